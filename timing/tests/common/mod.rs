//! Programs by hand: a builder that leaves only what matters for time to the test.

#![allow(dead_code, reason = "each test and benchmark uses a part of it")]

use isa::instructions::{
    Halt, Load, LoadGeom, MxuConv, MxuInput, MxuKernel, Store, StoreGeom, Sync, VpuDrain, VpuFill,
    VpuOut, VpuQuant, VpuStride,
};
use isa::program::{Class, Meta, NodeInfo, Note, Section, Unit};
use isa::{Engine, Hardware, Inst, Op, Program};

/// An 8x8 machine with four scratchpad banks of 1024 rows, one burst a cycle and 10 cycles of latency.
pub(crate) fn machine() -> Hardware {
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
pub(crate) struct Code {
    program: Program,
}

impl Code {
    /// No instruction yet, `nodes` nodes.
    pub(crate) fn new(hardware: Hardware, nodes: usize) -> Code {
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
                host: isa::program::Host::default(),
            },
        }
    }

    /// Appends a word of no node and no class.
    pub(crate) fn push(&mut self, engine: Engine, op: impl Into<Op>) -> Word<'_> {
        let section = &mut self.program.code[engine.index()];
        section.words.push(Inst::new(engine, op));
        section.notes.push(Note::default());
        Word { section }
    }

    /// Ends every engine's code with `halt` and gives it its place in DRAM.
    pub(crate) fn finish(mut self) -> Program {
        for engine in Engine::ALL {
            self.push(engine, Halt {});
        }
        self.finish_as_is()
    }

    /// Gives the code its place in DRAM.
    pub(crate) fn finish_as_is(mut self) -> Program {
        for (i, section) in self.program.code.iter_mut().enumerate() {
            section.base = (i as u64) << 20;
        }
        self.program
    }
}

/// Why there is a last word.
const PUSHED: &str = "a word has just been pushed";

/// The word just appended.
pub(crate) struct Word<'a> {
    section: &'a mut Section,
}

impl Word<'_> {
    pub(crate) fn wait(self, engine: Engine) -> Self {
        self.section.words.last_mut().expect(PUSHED).wait.insert(engine);
        self
    }

    pub(crate) fn signal(self, engine: Engine) -> Self {
        self.section.words.last_mut().expect(PUSHED).signal.insert(engine);
        self
    }

    pub(crate) fn class(self, class: Class) -> Self {
        self.section.notes.last_mut().expect(PUSHED).class = class;
        self
    }

    pub(crate) fn node(self, node: u32) -> Self {
        self.section.notes.last_mut().expect(PUSHED).node = node;
        self
    }
}

pub(crate) fn sync() -> Op {
    Sync {}.into()
}

/// Runs of `rows` rows of `bytes` bytes, adjacent in DRAM and in the scratchpad.
pub(crate) fn load_geom(page: u32, rows: u32, bytes: u32) -> Op {
    let dram_stride = u64::from(rows * bytes);
    LoadGeom { page, rows, elems: bytes, bits: 8, spad_stride: rows, dram_stride }.into()
}

pub(crate) fn load(page: u32, dst: u32, src: u64) -> Op {
    Load { page, dst, src, count: 1 }.into()
}

/// As [`load_geom`], for the store engine.
pub(crate) fn store_geom(page: u32, rows: u32, bytes: u32) -> Op {
    StoreGeom { page, rows, bytes, spad_stride: rows, dram_stride: u64::from(rows * bytes) }.into()
}

pub(crate) fn store(page: u32, src: u32, dst: u64) -> Op {
    Store { page, src, dst, count: 1 }.into()
}

/// A `k x k` window of 8-bit weights and activations.
pub(crate) fn kernel(page: u32, k: u32, cols: u32) -> Op {
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
pub(crate) fn input(page: u32, h: u32, w: u32) -> Op {
    MxuInput { page, h, w, row_stride: w, block_stride: h * w, plane_stride: 0 }.into()
}

/// A tile of `th x tw` pixels whose first tap is the first pixel of the region.
pub(crate) fn conv(page: u32, act: u32, wgt: u32, [th, tw]: [u32; 2], blocks: u32) -> Op {
    MxuConv { page, act, wgt, acc: 0, bank: 0, th, tw, iy0: 0, ix0: 0, blocks, add: false }.into()
}

pub(crate) fn vpu_out(page: u32) -> Op {
    VpuOut { page, row_stride: 64, block_stride: 512, plane_stride: 0, wide: false }.into()
}

pub(crate) fn vpu_quant(page: u32) -> Op {
    VpuQuant { page, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 }.into()
}

/// Drains `th x tw` pixels of `cols` columns to `dst`.
pub(crate) fn drain(page: u32, dst: u32, [th, tw]: [u32; 2], cols: u32) -> Op {
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
pub(crate) fn vpu_stride(page: u32) -> Op {
    VpuStride { page, src0: 8, src1: 8, dst0: 8, dst1: 8 }.into()
}

/// Fills one byte in each of `rows` rows from `dst` on: a cycle for each.
pub(crate) fn fill(page: u32, dst: u32, rows: u32) -> Op {
    VpuFill { page, dst, dst_lane: 0, outer: rows, inner: 1, len: 1, value: 0 }.into()
}

/// A convolution cut into tiles, with double-buffered weights and activations.
pub(crate) struct Layer {
    pub(crate) tiles: u32,
    /// Window height and width.
    pub(crate) kernel: u32,
    /// Input channel blocks.
    pub(crate) blocks: u32,
    /// Height and width of the input tile.
    pub(crate) side: u32,
}

/// `layer` as a program: load weights and activations, multiply, drain, store, with the semaphores that a compiler would set.
/// Weights are in the first banks, activations in the middle, results in the last.
pub(crate) fn layers(hardware: Hardware, layer: &Layer) -> Program {
    let &Layer { tiles, kernel: k, blocks, side } = layer;
    let (lanes, rows) = (hardware.array_rows, hardware.scratchpad_rows());
    let (wgt_rows, act_rows) = (k * k * blocks * hardware.array_cols, blocks * side * side);
    let out = side - k + 1;
    let mut code = Code::new(hardware, 1);
    code.push(Engine::Load, load_geom(0, wgt_rows, lanes));
    code.push(Engine::Load, load_geom(1, act_rows, lanes));
    code.push(Engine::Mxu, kernel(0, k, lanes));
    code.push(Engine::Mxu, input(0, side, side));
    code.push(
        Engine::Vpu,
        VpuOut { page: 0, row_stride: out, block_stride: out * out, plane_stride: 0, wide: false },
    );
    code.push(Engine::Vpu, vpu_quant(0));
    code.push(Engine::Store, store_geom(0, out * out, lanes));
    for tile in 0..tiles {
        let buffer = tile % 2 * (rows / 8);
        let (wgt, act, dst) = (buffer, rows / 2 + buffer, rows / 4 * 3 + buffer);
        let reuse = tile >= 2;
        let mut word = code.push(Engine::Load, load(0, wgt, 1 << 24)).class(Class::Weights).node(0);
        if reuse {
            word = word.wait(Engine::Mxu);
        }
        word.signal(Engine::Mxu);
        code.push(Engine::Load, load(1, act, 1 << 25))
            .class(Class::Inputs)
            .node(0)
            .signal(Engine::Mxu);
        code.push(Engine::Mxu, sync()).wait(Engine::Load);
        let word = code
            .push(Engine::Mxu, conv(0, act, wgt, [out, out], blocks))
            .node(0)
            .wait(Engine::Load);
        let word = if reuse { word.wait(Engine::Vpu) } else { word };
        word.signal(Engine::Vpu).signal(Engine::Load);
        let word =
            code.push(Engine::Vpu, drain(0, dst, [out, out], lanes)).node(0).wait(Engine::Mxu);
        let word = if reuse { word.wait(Engine::Store) } else { word };
        word.signal(Engine::Mxu).signal(Engine::Store);
        let word = code.push(Engine::Store, store(0, dst, 1 << 26)).class(Class::Outputs).node(0);
        word.wait(Engine::Vpu).signal(Engine::Vpu);
    }
    code.finish()
}
