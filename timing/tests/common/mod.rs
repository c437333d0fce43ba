//! Programs by hand: a builder that leaves only what matters for time to the test.

use isa::instructions::{
    Halt, Load, LoadGeom, MxuConv, MxuInput, MxuKernel, Store, StoreGeom, Sync, VpuDrain, VpuFill,
    VpuOut, VpuQuant, VpuStride,
};
use isa::program::{Class, Meta, NodeInfo, Note, Section, Unit};
use isa::{Engine, Hardware, Inst, Op, Program};

/// An 8x8 machine with four scratchpad banks of 1024 rows, one burst a cycle and 10 cycles of latency.
pub fn machine() -> Hardware {
    Hardware {
        array_rows: 8,
        array_cols: 8,
        scratchpad_kib: 32,
        scratchpad_banks: 4,
        vector_lanes: 8,
        dram_bytes_per_cycle: 64,
        dram_burst_bytes: 64,
        dram_latency_cycles: 10,
        dram_outstanding: 4,
        dram_turnaround_cycles: 3,
        fetch_words: 8,
        vpu_pipeline_cycles: 5,
        ..Hardware::default()
    }
}

/// A program under construction.
pub struct Code {
    program: Program,
}

impl Code {
    /// No instruction yet, `nodes` nodes.
    pub fn new(hardware: Hardware, nodes: usize) -> Code {
        let node = NodeInfo {
            name: String::new(),
            op: String::new(),
            macs: 0,
            unit: Unit::None,
            weight_bits: 8,
            act_bits: 8,
            tile: String::new(),
        };
        Code {
            program: Program {
                hardware,
                meta: Meta::default(),
                tensors: vec![],
                inputs: vec![],
                outputs: vec![],
                nodes: vec![node; nodes],
                code: Default::default(),
                constants_base: 1 << 24,
                constants: vec![],
                dram_bytes: 1 << 30,
                reference: None,
                float_model: None,
            },
        }
    }

    /// Appends a word of no node and no class.
    pub fn push(&mut self, engine: Engine, op: impl Into<Op>) -> Word<'_> {
        let section = &mut self.program.code[engine.index()];
        section.words.push(Inst::new(engine, op));
        section.notes.push(Note::default());
        Word { section }
    }

    /// Ends every engine's code with `halt` and gives it its place in DRAM.
    pub fn finish(mut self) -> Program {
        for engine in Engine::ALL {
            self.push(engine, Halt {});
        }
        self.finish_as_is()
    }

    /// Gives the code its place in DRAM.
    pub fn finish_as_is(mut self) -> Program {
        for (i, section) in self.program.code.iter_mut().enumerate() {
            section.base = (i as u64) << 20;
        }
        self.program
    }
}

/// The word just appended.
pub struct Word<'a> {
    section: &'a mut Section,
}

impl Word<'_> {
    pub fn wait(self, engine: Engine) -> Self {
        self.section.words.last_mut().unwrap().wait.insert(engine);
        self
    }

    pub fn signal(self, engine: Engine) -> Self {
        self.section.words.last_mut().unwrap().signal.insert(engine);
        self
    }

    pub fn class(self, class: Class) -> Self {
        self.section.notes.last_mut().unwrap().class = class;
        self
    }

    pub fn node(self, node: u32) -> Self {
        self.section.notes.last_mut().unwrap().node = node;
        self
    }
}

pub fn sync() -> Op {
    Sync {}.into()
}

/// Runs of `rows` rows of `bytes` bytes, adjacent in DRAM and in the scratchpad.
pub fn load_geom(page: u32, rows: u32, bytes: u32) -> Op {
    let dram_stride = u64::from(rows * bytes);
    LoadGeom { page, rows, elems: bytes, bits: 8, spad_stride: rows, dram_stride }.into()
}

pub fn load(page: u32, dst: u32, src: u64) -> Op {
    Load { page, dst, src, count: 1 }.into()
}

/// As [`load_geom`], for the store engine.
pub fn store_geom(page: u32, rows: u32, bytes: u32) -> Op {
    StoreGeom { page, rows, bytes, spad_stride: rows, dram_stride: u64::from(rows * bytes) }.into()
}

pub fn store(page: u32, src: u32, dst: u64) -> Op {
    Store { page, src, dst, count: 1 }.into()
}

/// A `k x k` window of 8-bit weights and activations.
pub fn kernel(page: u32, k: u32, cols: u32) -> Op {
    MxuKernel {
        page,
        kh: k,
        kw: k,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols,
        nibbles: false,
        wide: false,
        pad: 0,
    }
    .into()
}

/// An `h x w` input region.
pub fn input(page: u32, h: u32, w: u32) -> Op {
    MxuInput { page, h, w, row_stride: w, block_stride: h * w, plane_stride: 0 }.into()
}

/// A tile of `th x tw` pixels whose first tap is the first pixel of the region.
pub fn conv(page: u32, act: u32, wgt: u32, [th, tw]: [u32; 2], blocks: u32) -> Op {
    MxuConv { page, act, wgt, acc: 0, bank: 0, th, tw, iy0: 0, ix0: 0, blocks, add: false }.into()
}

pub fn vpu_out(page: u32) -> Op {
    VpuOut { page, row_stride: 64, block_stride: 512, plane_stride: 0, wide: false }.into()
}

pub fn vpu_quant(page: u32) -> Op {
    VpuQuant { page, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 }.into()
}

/// Drains `th x tw` pixels of `cols` columns to `dst`.
pub fn drain(page: u32, dst: u32, [th, tw]: [u32; 2], cols: u32) -> Op {
    VpuDrain {
        page,
        acc: 0,
        bank: 0,
        dst,
        lane: 0,
        th,
        tw,
        cols,
        slot: 0,
        base: 0,
        b: 0,
        add: false,
    }
    .into()
}

/// Strides of one row of 8 bytes.
pub fn vpu_stride(page: u32) -> Op {
    VpuStride { page, src0: 8, src1: 8, dst0: 8, dst1: 8 }.into()
}

/// Fills one byte in each of `rows` rows from `dst` on: a cycle for each.
pub fn fill(page: u32, dst: u32, rows: u32) -> Op {
    VpuFill { page, dst, dst_lane: 0, outer: rows, inner: 1, len: 1, value: 0 }.into()
}
