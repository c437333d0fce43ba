//! A small program for tests: a 1x1 convolution of a 2x3 image from 5 to 4 channels on `tiny8`, with every section in use.

use crate::hardware::Hardware;
use crate::inst::{Engine, EngineSet, Inst, Op};
use crate::instructions::{
    Halt, Load, LoadGeom, LoadParams, MxuConv, MxuInput, MxuKernel, Store, StoreGeom, VpuDrain,
    VpuOut, VpuQuant,
};

use super::{
    Class, IoBinding, Meta, NodeInfo, Note, Preprocess, Program, Section, TensorInfo, TileNote,
    Unit,
};

/// Scratchpad rows of the input, weights and output.
const X: u32 = 0;
const WEIGHTS: u32 = 8;
const Y: u32 = 16;

/// The program.
pub(crate) fn sample() -> Program {
    let mut program = Program {
        hardware: Hardware::preset("tiny8").unwrap(),
        meta: meta(),
        tensors: vec![
            tensor("x", 5, vec![1, 5, 2, 3], vec![0, 2, 3, 1]),
            tensor("y \"1\"", 4, vec![], vec![]),
        ],
        inputs: vec![IoBinding { tensor: 0, dram: 0 }],
        outputs: vec![IoBinding { tensor: 1, dram: 192 }],
        nodes: vec![node("conv1", Unit::Array, 120), node("ü\n", Unit::None, 0)],
        code: [load(), mxu(), vpu(), store()],
        constants_base: 64,
        constants: (0..64u8).map(|i| i.wrapping_mul(77)).chain([0; 60]).chain([9; 4]).collect(),
        dram_bytes: 0,
        reference: Some(b"graph @conv {\n}\n".to_vec()),
        float_model: Some(vec![0, 255, 1]),
        host: super::Host { head: Some(vec![1, 2, 3]), tail: Some(vec![4]) },
    };
    let mut end = 256;
    for section in &mut program.code {
        section.base = end;
        end += (section.words.len() as u64 * 16).next_multiple_of(64);
    }
    program.dram_bytes = end;
    assert_eq!(program.check(), []);
    program
}

fn meta() -> Meta {
    Meta {
        model: "conv ; // \"one\"".into(),
        weight_bits: 8,
        act_bits: 8,
        sample_hashes: vec![u64::MAX, 1],
        labels: vec!["cat".into(), "ä\tdog".into()],
        preprocess: Some(Preprocess {
            mean: vec![0.485, 127.5],
            std: vec![0.1],
            crop: Some([3, 3]),
            ..Preprocess::default()
        }),
        ..Meta::default()
    }
}

fn tensor(name: &str, channels: u32, onnx_shape: Vec<u32>, perm: Vec<u32>) -> TensorInfo {
    let shape = [2, 3, channels];
    TensorInfo {
        name: name.into(),
        shape,
        bits: 8,
        scale: 0.1 / 3.0,
        zero_point: -128,
        onnx_shape,
        perm,
    }
}

fn node(name: &str, unit: Unit, macs: u64) -> NodeInfo {
    let (op, tile) = ("Conv".into(), "2x3x4, k 1".into());
    NodeInfo { name: name.into(), op, macs, unit, weight_bits: 8, act_bits: 8, tile }
}

fn section<const N: usize>(
    engine: Engine,
    words: [(Op, &[Engine], &[Engine], Class); N],
) -> Section {
    let mut section = Section::default();
    for (op, wait, signal, class) in words {
        let set = |engines: &[Engine]| engines.iter().copied().collect::<EngineSet>();
        section.words.push(Inst { engine, wait: set(wait), signal: set(signal), op });
        section.notes.push(Note {
            node: if class == Class::None { u32::MAX } else { 0 },
            class,
            tile: None,
        });
    }
    section
}

fn load() -> Section {
    let geom = |page, rows, elems, dram_stride| LoadGeom {
        page,
        rows,
        elems,
        bits: 8,
        spad_stride: rows,
        dram_stride,
    };
    let run = |page, dst, src, count| Load { page, dst, src, count };
    let mut section = section(
        Engine::Load,
        [
            (geom(0, 3, 5, 15).into(), &[], &[], Class::None),
            (run(0, X, 0, 2).into(), &[], &[], Class::Inputs),
            (geom(1, 4, 8, 0).into(), &[], &[], Class::None),
            (run(1, WEIGHTS, 64, 1).into(), &[], &[Engine::Mxu], Class::Weights),
            (
                LoadParams { slot: 1, src: 96, base: 0, count: 4 }.into(),
                &[],
                &[Engine::Vpu],
                Class::Params,
            ),
            (Halt {}.into(), &[], &[], Class::None),
        ],
    );
    section.notes[1].tile = Some(TileNote {
        tensor: 0,
        origin: [0, 0, 0],
        extent: [2, 3, 5],
        row: X,
        lane: 0,
        row_stride: 3,
        block_stride: 6,
        plane_stride: 0,
    });
    section
}

fn mxu() -> Section {
    let kernel = MxuKernel {
        page: 0,
        kh: 1,
        kw: 1,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols: 4,
        nibbles: false,
        wide: false,
        pad: -128,
    };
    let input = MxuInput { page: 0, h: 2, w: 3, row_stride: 3, block_stride: 6, plane_stride: 0 };
    let conv = MxuConv {
        page: 0,
        act: X,
        wgt: WEIGHTS,
        acc: 0,
        bank: 1,
        th: 2,
        tw: 3,
        iy0: 0,
        ix0: 0,
        blocks: 1,
        add: false,
    };
    section(
        Engine::Mxu,
        [
            (kernel.into(), &[], &[], Class::None),
            (input.into(), &[], &[], Class::None),
            (conv.into(), &[Engine::Load], &[Engine::Vpu], Class::None),
            (Halt {}.into(), &[], &[], Class::None),
        ],
    )
}

fn vpu() -> Section {
    let out = VpuOut { page: 0, row_stride: 3, block_stride: 6, plane_stride: 0, wide: false };
    let quant = VpuQuant { page: 0, zero0: -3, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 };
    let drain = VpuDrain {
        page: 0,
        acc: 0,
        bank: 1,
        dst: Y,
        lane: 0,
        th: 2,
        tw: 3,
        cols: 4,
        slot: 1,
        base: 0,
        b: 0,
        add: false,
    };
    section(
        Engine::Vpu,
        [
            (out.into(), &[], &[], Class::None),
            (quant.into(), &[], &[], Class::None),
            (drain.into(), &[Engine::Load, Engine::Mxu], &[Engine::Store], Class::None),
            (Halt {}.into(), &[], &[], Class::None),
        ],
    )
}

fn store() -> Section {
    let geom = StoreGeom { page: 0, rows: 6, bytes: 4, spad_stride: 6, dram_stride: 24 };
    section(
        Engine::Store,
        [
            (geom.into(), &[], &[], Class::None),
            (
                Store { page: 0, src: Y, dst: 192, count: 1 }.into(),
                &[Engine::Vpu],
                &[],
                Class::Outputs,
            ),
            (Halt {}.into(), &[], &[], Class::None),
        ],
    )
}
