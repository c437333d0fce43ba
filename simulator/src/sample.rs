//! A small program for tests: a 3x3 convolution of 3 to 12 channels on a 6x5 image, a lookup table in place, the result to DRAM.

use isa::instructions::{
    Halt, Load, LoadGeom, LoadParams, LoadTable, MxuConv, MxuInput, MxuKernel, Store, StoreGeom,
    VpuDrain, VpuIn, VpuLut, VpuOut, VpuQuant,
};
use isa::program::{Class, IoBinding, Meta, NodeInfo, Note, Section, TensorInfo, Unit};
use isa::{Engine, EngineSet, Hardware, Inst, Op, Program};

/// DRAM: weights 108 rows of 3, parameters 12 of 8, a table of 256; then input, output and code.
pub(crate) const WEIGHTS: u64 = 0;
const PARAMS: u64 = 328;
const TABLE: u64 = 448;
const CONSTANTS: usize = 704;
pub(crate) const INPUT: u64 = 704;
const OUTPUT: u64 = 832;
const CODE: u64 = 1216;

/// The machine's own semaphores order everything.
pub(crate) fn program() -> Program {
    let mut program = Program {
        hardware: Hardware::default(),
        meta: Meta { model: "sample".to_owned(), weight_bits: 8, act_bits: 8, ..Meta::default() },
        tensors: vec![tensor("x", [6, 5, 3]), tensor("y", [6, 5, 12])],
        inputs: vec![IoBinding { tensor: 0, dram: INPUT }],
        outputs: vec![IoBinding { tensor: 1, dram: OUTPUT }],
        nodes: vec![
            node("/conv1/Conv", "Conv", 30 * 12 * 27, Unit::Array),
            node("/act, \"1\"/HardSwish", "HardSwish", 0, Unit::None),
        ],
        code: [load(), mxu(), vpu(), store()],
        constants_base: WEIGHTS,
        constants: vec![1; CONSTANTS],
        dram_bytes: 0,
        reference: None,
        float_model: None,
        host: isa::program::Host::default(),
    };
    let mut base = CODE;
    for section in &mut program.code {
        section.base = base;
        base = (base + 16 * section.words.len() as u64).next_multiple_of(64);
    }
    program.dram_bytes = base;
    program
}

/// Slow, fast and narrow memories; few and many requests; a machine where everything meets in one bank.
pub(crate) fn machines() -> Vec<Hardware> {
    let edge = Hardware::default();
    let mut machines = vec![edge.clone()];
    for (bandwidth, latency, outstanding) in [(1, 0, 1), (3, 7, 2), (64, 100, 32), (4096, 1000, 5)]
    {
        machines.push(Hardware {
            dram_bytes_per_cycle: bandwidth,
            dram_latency_cycles: latency,
            dram_outstanding: outstanding,
            ..edge.clone()
        });
    }
    machines.push(Hardware { scratchpad_banks: 1, fetch_words: 8, ..edge });
    machines
}

fn tensor(name: &str, shape: [u32; 3]) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        shape,
        bits: 8,
        scale: 1.0,
        zero_point: 0,
        onnx_shape: shape.to_vec(),
        perm: vec![0, 1, 2],
    }
}

pub(crate) fn node(name: &str, op: &str, macs: u64, unit: Unit) -> NodeInfo {
    NodeInfo {
        name: name.to_owned(),
        op: op.to_owned(),
        macs,
        unit,
        weight_bits: if macs > 0 { 8 } else { 0 },
        act_bits: 8,
        tile: "6x5x12".to_owned(),
    }
}

/// Words with node, class, wait and signal sets.
type Word = (Op, u32, Class, &'static [Engine], &'static [Engine]);

fn section(engine: Engine, words: Vec<Word>) -> Section {
    let set = |engines: &[Engine]| engines.iter().copied().collect::<EngineSet>();
    let notes =
        words.iter().map(|&(_, node, class, ..)| Note { node, class, tile: None }).collect();
    let words = words.into_iter().map(|(op, _, _, wait, signal)| Inst {
        engine,
        wait: set(wait),
        signal: set(signal),
        op,
    });
    Section { base: 0, words: words.collect(), notes }
}

const NONE: u32 = u32::MAX;

fn load() -> Section {
    let geom =
        |page, rows, elems| LoadGeom { page, rows, elems, bits: 8, spad_stride: 0, dram_stride: 0 };
    section(
        Engine::Load,
        vec![
            (geom(0, 30, 3).into(), 0, Class::None, &[], &[]),
            (Load { page: 0, dst: 0, src: INPUT, count: 1 }.into(), 0, Class::Inputs, &[], &[]),
            (geom(1, 108, 3).into(), 0, Class::None, &[], &[]),
            (
                Load { page: 1, dst: 100, src: WEIGHTS, count: 1 }.into(),
                0,
                Class::Weights,
                &[],
                &[Engine::Mxu],
            ),
            (
                LoadParams { slot: 0, src: PARAMS, base: 0, count: 12 }.into(),
                0,
                Class::Params,
                &[],
                &[Engine::Vpu],
            ),
            (
                LoadTable { slot: 0, src: TABLE, bytes: 256 }.into(),
                1,
                Class::Params,
                &[],
                &[Engine::Vpu],
            ),
            (Halt {}.into(), NONE, Class::None, &[], &[]),
        ],
    )
}

fn mxu() -> Section {
    let kernel = MxuKernel {
        page: 0,
        kh: 3,
        kw: 3,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols: 12,
        nibbles: false,
        wide: false,
        pad: 0,
    };
    let input = MxuInput { page: 0, h: 6, w: 5, row_stride: 5, block_stride: 0, plane_stride: 0 };
    section(
        Engine::Mxu,
        vec![
            (kernel.into(), 0, Class::None, &[], &[]),
            (input.into(), 0, Class::None, &[], &[]),
            (conv().into(), 0, Class::None, &[Engine::Load], &[Engine::Vpu]),
            (Halt {}.into(), NONE, Class::None, &[], &[]),
        ],
    )
}

pub(crate) fn conv() -> MxuConv {
    MxuConv {
        page: 0,
        act: 0,
        wgt: 100,
        acc: 0,
        bank: 0,
        th: 6,
        tw: 5,
        iy0: -1,
        ix0: -1,
        blocks: 1,
        add: false,
    }
}

fn vpu() -> Section {
    let input =
        VpuIn { page: 0, h: 6, w: 5, row_stride: 5, block_stride: 0, plane_stride: 0, wide: false };
    let out = VpuOut { page: 0, row_stride: 5, block_stride: 0, plane_stride: 0, wide: false };
    let quant = VpuQuant { page: 0, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 };
    let drain = VpuDrain {
        page: 0,
        acc: 0,
        bank: 0,
        dst: 300,
        lane: 0,
        th: 6,
        tw: 5,
        cols: 12,
        slot: 0,
        base: 0,
        b: 0,
        add: false,
    };
    let lut = VpuLut { page: 0, a: 300, dst: 300, th: 6, tw: 5, blocks: 1, slot: 0 };
    section(
        Engine::Vpu,
        vec![
            (input.into(), 0, Class::None, &[], &[]),
            (out.into(), 0, Class::None, &[], &[]),
            (quant.into(), 0, Class::None, &[], &[]),
            (drain.into(), 0, Class::None, &[Engine::Load, Engine::Mxu], &[]),
            (lut.into(), 1, Class::None, &[Engine::Load], &[Engine::Store]),
            (Halt {}.into(), NONE, Class::None, &[], &[]),
        ],
    )
}

fn store() -> Section {
    let geom = StoreGeom { page: 0, rows: 30, bytes: 12, spad_stride: 0, dram_stride: 0 };
    section(
        Engine::Store,
        vec![
            (geom.into(), 1, Class::None, &[], &[]),
            (
                Store { page: 0, src: 300, dst: OUTPUT, count: 1 }.into(),
                1,
                Class::Outputs,
                &[Engine::Vpu],
                &[],
            ),
            (Halt {}.into(), NONE, Class::None, &[], &[]),
        ],
    )
}
