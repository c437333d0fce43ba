//! Known answers for every kind of word, every refusal, and hostile words.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::inst::{Engine, arbitrary};
use crate::instructions::*;

/// Four lanes, two columns, 256 rows in four banks.
fn machine() -> Hardware {
    let mut hardware = Hardware::preset("tiny8").unwrap();
    let settings = [
        "array_rows=4",
        "array_cols=2",
        "scratchpad_kib=1",
        "scratchpad_banks=4",
        "acc_rows=16",
        "param_entries=16",
    ];
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap();
        hardware.set(name, value).unwrap();
    }
    hardware.validate().unwrap();
    hardware
}

fn accesses(
    engine: Engine,
    registers: &[Op],
    op: impl Into<Op>,
) -> Result<Vec<Access>, AccessError> {
    let mut pages = Pages::default();
    for &regs in registers {
        pages.apply(&Inst::new(engine, regs));
    }
    access(&Inst::new(engine, op), &pages, &machine())
}

/// `stream`'s addresses, its memory and whether they are written; panics if it is not there exactly once.
fn find(found: &[Access], stream: Stream, write: bool) -> (Space, BTreeSet<i64>) {
    let mut matching =
        found.iter().filter(|access| access.stream == stream && access.write == write);
    let access = matching.next().expect("the stream is there");
    assert!(matching.next().is_none(), "the stream is there once");
    (access.space, access.rows.intervals().flatten().collect())
}

fn set(ranges: &[std::ops::Range<i64>]) -> BTreeSet<i64> {
    ranges.iter().cloned().flatten().collect()
}

const LOAD_GEOM: LoadGeom =
    LoadGeom { page: 0, rows: 3, elems: 5, bits: 4, spad_stride: 10, dram_stride: 100 };
const LOAD: Load = Load { page: 0, dst: 7, src: 1000, count: 2 };

#[test]
fn load_touches_rows_and_packed_bytes() {
    let found = accesses(Engine::Load, &[LOAD_GEOM.into()], LOAD).unwrap();
    assert_eq!(find(&found, Stream::LoadWrite, true), (Space::Spad, set(&[7..10, 17..20])));
    // Five nibbles are three bytes, three rows are nine.
    assert_eq!(
        find(&found, Stream::LoadRead, false),
        (Space::Dram, set(&[1000..1009, 1100..1109]))
    );
    assert_eq!(check_dram(&found, 1109), Ok(()));
    assert!(matches!(
        check_dram(&found, 1108),
        Err(AccessError::Outside { space: Space::Dram, high: 1109, .. })
    ));
}

#[test]
fn load_refuses_what_no_row_holds() {
    let load = |geom: LoadGeom, op: Load| accesses(Engine::Load, &[geom.into()], op);
    let eight = LoadGeom { bits: 8, ..LOAD_GEOM };
    assert!(matches!(
        load(eight, LOAD),
        Err(AccessError::Field { field: "load.geom elems", found: 5, max: 4, .. })
    ));
    assert!(matches!(
        load(LoadGeom { elems: 9, ..LOAD_GEOM }, LOAD),
        Err(AccessError::Field { max: 8, .. })
    ));
    assert!(matches!(
        load(LoadGeom { bits: 1, ..LOAD_GEOM }, LOAD),
        Err(AccessError::Field { min: 2, .. })
    ));
    assert!(matches!(
        load(LoadGeom { rows: 0, ..LOAD_GEOM }, LOAD),
        Err(AccessError::Field { found: 0, .. })
    ));
    assert!(matches!(
        load(LOAD_GEOM, Load { count: 0, ..LOAD }),
        Err(AccessError::Field { field: "count", .. })
    ));
    assert!(matches!(
        load(LOAD_GEOM, Load { dst: 244, ..LOAD }),
        Err(AccessError::Outside { low: 244, high: 257, limit: 256, .. })
    ));
    assert!(matches!(
        load(LoadGeom { spad_stride: 2, ..LOAD_GEOM }, LOAD),
        Err(AccessError::SelfOverlap { .. })
    ));
    let unwritten = load(LOAD_GEOM, Load { page: 1, ..LOAD }).unwrap_err();
    assert_eq!(unwritten, AccessError::Unwritten { group: "load.geom", page: 1 });
    assert_eq!(
        unwritten.to_string(),
        "reads the registers of `load.geom` in page 1, which no earlier word has written"
    );
}

#[test]
fn parameters_and_tables_have_slots() {
    let op = LoadParams { slot: 1, src: 64, base: 3, count: 4 };
    let found = accesses(Engine::Load, &[], op).unwrap();
    assert_eq!(find(&found, Stream::LoadWrite, true), (Space::Params(1), set(&[3..7])));
    assert_eq!(find(&found, Stream::LoadRead, false).1, set(&[64..96]));
    let outside = accesses(Engine::Load, &[], LoadParams { base: 13, ..op });
    assert!(matches!(
        outside,
        Err(AccessError::Outside { space: Space::Params(1), high: 17, limit: 16, .. })
    ));
    let found = accesses(Engine::Load, &[], LoadTable { slot: 0, src: 9, bytes: 2048 }).unwrap();
    assert_eq!(find(&found, Stream::LoadWrite, true), (Space::Table(0), set(&[0..2048])));
    for bytes in [0, 2049] {
        assert!(accesses(Engine::Load, &[], LoadTable { slot: 0, src: 9, bytes }).is_err());
    }
}

#[test]
fn store_reads_rows_and_writes_narrow_bytes() {
    let geom = StoreGeom { page: 1, rows: 2, bytes: 3, spad_stride: 4, dram_stride: 6 };
    let op = Store { page: 1, src: 8, dst: 50, count: 3 };
    let found = accesses(Engine::Store, &[geom.into()], op).unwrap();
    assert_eq!(
        find(&found, Stream::StoreRead, false),
        (Space::Spad, set(&[8..10, 12..14, 16..18]))
    );
    assert_eq!(find(&found, Stream::StoreWrite, true), (Space::Dram, set(&[50..68])));
    let overlapping = StoreGeom { dram_stride: 5, ..geom };
    assert!(matches!(
        accesses(Engine::Store, &[overlapping.into()], op),
        Err(AccessError::SelfOverlap { .. })
    ));
}

const KERNEL: MxuKernel = MxuKernel {
    page: 0,
    kh: 3,
    kw: 2,
    sy: 2,
    sx: 1,
    dy: 1,
    dx: 2,
    cols: 2,
    nibbles: false,
    wide: false,
    pad: 0,
};
const INPUT: MxuInput =
    MxuInput { page: 0, h: 5, w: 4, row_stride: 6, block_stride: 40, plane_stride: 100 };
const CONV: MxuConv = MxuConv {
    page: 0,
    act: 10,
    wgt: 200,
    acc: 3,
    bank: 1,
    th: 2,
    tw: 3,
    iy0: -1,
    ix0: 1,
    blocks: 2,
    add: false,
};

#[test]
fn conv_reads_the_clipped_window() {
    let found = accesses(Engine::Mxu, &[KERNEL.into(), INPUT.into()], CONV).unwrap();
    // Image rows -1..=3 clip to 0..=3, columns 1..=5 clip to 1..=3; blocks 40 rows apart.
    let block = |b: i64| (0..4).map(move |y| 10 + 40 * b + 6 * y + 1..10 + 40 * b + 6 * y + 4);
    let expected: Vec<_> = block(0).chain(block(1)).collect();
    assert_eq!(find(&found, Stream::MxuAct, false), (Space::Spad, set(&expected)));
    // Six taps, two blocks, two columns.
    assert_eq!(find(&found, Stream::MxuWeights, false).1, set(&[200..224]));
    assert_eq!(find(&found, Stream::MxuSums, true), (Space::Acc(1), set(&[3..9])));
    assert_eq!(found.len(), 3);
    // Rows 11..72 lie in banks 0 and 1 of 64 rows, weights in bank 3.
    let hardware = machine();
    let banks = |stream| found.iter().find(|a| a.stream == stream).unwrap().banks(&hardware);
    assert_eq!([Stream::MxuAct, Stream::MxuWeights, Stream::MxuSums].map(banks), [0b11, 0b1000, 0]);
}

#[test]
fn conv_variants_change_the_streams() {
    let conv =
        |kernel: MxuKernel, op: MxuConv| accesses(Engine::Mxu, &[kernel.into(), INPUT.into()], op);
    let adding = conv(KERNEL, MxuConv { add: true, ..CONV }).unwrap();
    assert_eq!(find(&adding, Stream::MxuSums, false), (Space::Acc(1), set(&[3..9])));
    let wide = conv(MxuKernel { wide: true, pad: -3000, ..KERNEL }, CONV).unwrap();
    assert_eq!(find(&wide, Stream::MxuAct, false).1.len(), 2 * 2 * 4 * 3);
    // Three blocks of nibbles are two folds a tap.
    let nibbles =
        conv(MxuKernel { nibbles: true, ..KERNEL }, MxuConv { blocks: 3, ..CONV }).unwrap();
    assert_eq!(find(&nibbles, Stream::MxuWeights, false).1, set(&[200..224]));
    let padding = conv(KERNEL, MxuConv { iy0: -9, ..CONV }).unwrap();
    assert!(padding.iter().all(|access| access.stream != Stream::MxuAct));
    assert!(matches!(
        conv(MxuKernel { cols: 3, ..KERNEL }, CONV),
        Err(AccessError::Field { max: 2, .. })
    ));
    assert!(matches!(
        conv(MxuKernel { pad: 128, ..KERNEL }, CONV),
        Err(AccessError::Field { max: 127, .. })
    ));
    assert!(matches!(conv(MxuKernel { sx: 0, ..KERNEL }, CONV), Err(AccessError::Field { .. })));
    let overfull = conv(KERNEL, MxuConv { acc: 11, ..CONV });
    assert!(matches!(
        overfull,
        Err(AccessError::Outside { space: Space::Acc(1), high: 17, limit: 16, .. })
    ));
}

const IN: VpuIn =
    VpuIn { page: 0, h: 3, w: 3, row_stride: 3, block_stride: 10, plane_stride: 30, wide: false };
const SIDE: VpuSide = VpuSide {
    page: 0,
    row_stride: 3,
    block_stride: 10,
    plane_stride: 30,
    x_stride: 1,
    lane_broadcast: false,
    wide: false,
};
const OUT: VpuOut =
    VpuOut { page: 0, row_stride: 3, block_stride: 10, plane_stride: 30, wide: false };
const QUANT: VpuQuant =
    VpuQuant { page: 0, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 };
const SCALE: VpuScale = VpuScale { page: 0, ma: 1, mb: 1, shift: 0, za: 0, zb: 0 };
const WINDOW: VpuKernel = VpuKernel {
    page: 0,
    kh: 2,
    kw: 2,
    sy: 1,
    sx: 1,
    dy: 1,
    dx: 1,
    pad: 0,
    weights: 200,
    by_count: false,
};

fn vpu(registers: &[Op], op: impl Into<Op>) -> Result<Vec<Access>, AccessError> {
    let defaults: [Op; 6] =
        [IN.into(), SIDE.into(), OUT.into(), QUANT.into(), SCALE.into(), WINDOW.into()];
    accesses(Engine::Vpu, &[&defaults, registers].concat(), op)
}

const DRAIN: VpuDrain = VpuDrain {
    page: 0,
    acc: 4,
    bank: 0,
    dst: 60,
    lane: 3,
    th: 2,
    tw: 2,
    cols: 2,
    slot: 1,
    base: 5,
    b: 100,
    add: false,
};

#[test]
fn drain_crosses_blocks_and_adds_b() {
    let found = vpu(&[], DRAIN).unwrap();
    // Lanes 3 and 4: two channel blocks.
    assert_eq!(find(&found, Stream::VpuWrite, true).1, set(&[60..62, 63..65, 70..72, 73..75]));
    assert_eq!(find(&found, Stream::VpuSums, false), (Space::Acc(0), set(&[4..8])));
    assert_eq!(find(&found, Stream::VpuParams, false), (Space::Params(1), set(&[5..7])));
    assert_eq!(found.len(), 3);
    let adding = VpuDrain { add: true, ..DRAIN };
    let b = |side: VpuSide| find(&vpu(&[side.into()], adding).unwrap(), Stream::VpuB, false).1;
    assert_eq!(b(SIDE), set(&[100..102, 103..105, 110..112, 113..115]));
    assert_eq!(b(VpuSide { x_stride: 0, ..SIDE }), set(&[100..101, 103..104, 110..111, 113..114]));
    assert_eq!(b(VpuSide { lane_broadcast: true, row_stride: 0, ..SIDE }), set(&[100..102]));
    assert_eq!(b(VpuSide { wide: true, ..SIDE }).len(), 16);
    // With a multiplier of 0 there is no b.
    let found = vpu(&[VpuScale { mb: 0, ..SCALE }.into()], adding).unwrap();
    assert!(found.iter().all(|access| access.stream != Stream::VpuB));
    assert!(matches!(
        vpu(&[], VpuDrain { lane: 4, ..DRAIN }),
        Err(AccessError::Field { field: "lane", .. })
    ));
    assert!(matches!(
        vpu(&[], VpuDrain { cols: 3, ..DRAIN }),
        Err(AccessError::Field { field: "cols", .. })
    ));
}

#[test]
fn saturation_bounds_must_fit_the_result() {
    let quant = VpuQuant { lo0: -200, ..QUANT };
    let refused = AccessError::ResultRange { low: -200, high: 127, bits: 8 };
    assert_eq!(vpu(&[quant.into()], DRAIN), Err(refused));
    assert!(vpu(&[quant.into(), VpuOut { wide: true, ..OUT }.into()], DRAIN).is_ok());
    // Before an addition the bounds are those of an inner step.
    assert!(vpu(&[quant.into()], VpuDrain { add: true, ..DRAIN }).is_ok());
    assert!(vpu(&[VpuQuant { lo0: 5, hi0: 4, ..QUANT }.into()], DRAIN).is_err());
}

const DEPTHWISE: VpuDepthwise = VpuDepthwise {
    page: 0,
    a: 0,
    dst: 60,
    th: 2,
    tw: 3,
    iy0: -1,
    ix0: 1,
    blocks: 2,
    slot: 0,
    base: 1,
};

#[test]
fn depthwise_reads_weights_and_parameters_of_whole_blocks() {
    let found = vpu(&[], DEPTHWISE).unwrap();
    // Image rows 0..=1, columns 1..=2.
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[1..3, 4..6, 11..13, 14..16]));
    assert_eq!(find(&found, Stream::VpuWeights, false).1, set(&[200..208]));
    assert_eq!(find(&found, Stream::VpuParams, false), (Space::Params(0), set(&[1..9])));
    assert_eq!(find(&found, Stream::VpuWrite, true).1, set(&[60..66, 70..76]));
    let in_place = vpu(&[], VpuDepthwise { dst: 0, ..DEPTHWISE });
    assert_eq!(in_place, Err(AccessError::Overlap { operand: Stream::VpuA, in_place: false }));
    let on_weights = vpu(&[], VpuDepthwise { dst: 200, ..DEPTHWISE });
    assert_eq!(
        on_weights,
        Err(AccessError::Overlap { operand: Stream::VpuWeights, in_place: false })
    );
}

#[test]
fn pooling_needs_a_valid_tap_in_every_window() {
    let pool = VpuPool {
        page: 0,
        a: 0,
        dst: 60,
        th: 2,
        tw: 2,
        iy0: -1,
        ix0: 0,
        blocks: 1,
        slot: 0,
        base: 2,
        average: true,
    };
    let found = vpu(&[], pool).unwrap();
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[0..3, 3..6]));
    assert_eq!(find(&found, Stream::VpuParams, false).1, set(&[2..3]));
    let by_count = VpuKernel { by_count: true, ..WINDOW };
    // One or two rows of two columns: entries 2 and 4 (counts from 1).
    assert_eq!(
        find(&vpu(&[by_count.into()], pool).unwrap(), Stream::VpuParams, false).1,
        set(&[3..6])
    );
    assert_eq!(vpu(&[], VpuPool { iy0: -2, ..pool }), Err(AccessError::EmptyWindow));
    let maximum = vpu(&[], VpuPool { average: false, ..pool }).unwrap();
    assert_eq!(maximum.len(), 2);
    let wide = VpuIn { wide: true, ..IN };
    let narrowing = vpu(&[wide.into()], VpuPool { average: false, ..pool });
    assert_eq!(
        narrowing,
        Err(AccessError::Width { field: "vpu.out wide", found: 8, expected: 16 })
    );
}

#[test]
fn elementwise_may_work_in_place_only_exactly() {
    let add = VpuAdd { page: 0, a: 0, b: 100, dst: 0, th: 2, tw: 2, blocks: 2 };
    let found = vpu(&[], add).unwrap();
    let rows = |first: i64| {
        set(&[
            first..first + 2,
            first + 3..first + 5,
            first + 10..first + 12,
            first + 13..first + 15,
        ])
    };
    assert_eq!(find(&found, Stream::VpuA, false).1, rows(0));
    assert_eq!(find(&found, Stream::VpuB, false).1, rows(100));
    assert_eq!(find(&found, Stream::VpuWrite, true).1, rows(0));
    assert!(vpu(&[], VpuAdd { dst: 100, ..add }).is_ok());
    let shifted = Err(AccessError::Overlap { operand: Stream::VpuA, in_place: true });
    assert_eq!(vpu(&[], VpuAdd { dst: 1, ..add }), shifted);
    let one_operand = vpu(&[VpuScale { mb: 0, ..SCALE }.into()], add).unwrap();
    assert_eq!(one_operand.len(), 2);
    // Planes of b where the result has blocks: the same rows, but not pixel for pixel.
    let broadcast = VpuSide { wide: true, lane_broadcast: true, plane_stride: 10, ..SIDE };
    let aliased = VpuAdd { dst: 100, th: 1, ..add };
    assert!(matches!(
        vpu(&[broadcast.into()], aliased),
        Err(AccessError::Overlap { operand: Stream::VpuB, .. })
    ));
    let mul = VpuMul { page: 0, a: 0, b: 100, dst: 0, th: 2, tw: 2, blocks: 2 };
    assert_eq!(vpu(&[], mul).unwrap().len(), 3);
    assert!(vpu(&[VpuScale { ma: -1, ..SCALE }.into()], mul).is_err());
    assert!(vpu(&[VpuScale { shift: 63, ..SCALE }.into()], mul).is_err());
    let overlapping = VpuOut { row_stride: 1, ..OUT };
    assert!(matches!(
        vpu(&[overlapping.into()], VpuAdd { dst: 60, ..add }),
        Err(AccessError::SelfOverlap { .. })
    ));
}

#[test]
fn tables_depend_on_the_width() {
    let lut = VpuLut { page: 0, a: 0, dst: 120, th: 1, tw: 2, blocks: 1, slot: 1 };
    assert_eq!(
        find(&vpu(&[], lut).unwrap(), Stream::VpuTable, false),
        (Space::Table(1), set(&[0..256]))
    );
    let wide: [Op; 2] = [VpuIn { wide: true, ..IN }.into(), VpuOut { wide: true, ..OUT }.into()];
    let found = vpu(&wide, lut).unwrap();
    assert_eq!(find(&found, Stream::VpuTable, false).1, set(&[0..1026]));
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[0..2, 30..32]));
    assert!(matches!(vpu(&wide[..1], lut), Err(AccessError::Width { .. })));
    let softmax = VpuSoftmax { page: 0, a: 0, dst: 0, th: 1, tw: 2, channels: 5, slot: 0 };
    let found = vpu(&[], softmax).unwrap();
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[0..2, 10..12]));
    assert_eq!(find(&found, Stream::VpuTable, false).1, set(&[0..1024]));
    assert!(vpu(&wide, softmax).is_err());
    assert!(vpu(&[], VpuSoftmax { channels: 0, ..softmax }).is_err());
}

#[test]
fn moves_touch_the_rows_of_their_bytes() {
    let stride = VpuStride { page: 0, src0: 8, src1: -4, dst0: 4, dst1: 16 };
    let op = VpuMove {
        page: 0,
        src: 10,
        src_lane: 3,
        dst: 100,
        dst_lane: 0,
        outer: 2,
        inner: 2,
        len: 2,
    };
    let found = vpu(&[stride.into()], op).unwrap();
    // Source bytes 43, 39, 51, 47 (two each), destination bytes 400, 416, 404, 420.
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[9..14]));
    assert_eq!(find(&found, Stream::VpuWrite, true).1, set(&[100..102, 104..106]));
    let before = VpuMove { src: 0, src_lane: 0, ..op };
    assert!(matches!(vpu(&[stride.into()], before), Err(AccessError::Outside { low: -1, .. })));
    // The other lanes of the same rows are no overlap, the same bytes are.
    let lanes = VpuStride { src0: 4, dst0: 4, ..stride };
    let side_by_side =
        VpuMove { src: 20, src_lane: 0, dst: 20, dst_lane: 2, outer: 9, inner: 1, len: 2, ..op };
    assert!(vpu(&[lanes.into()], side_by_side).is_ok());
    let clash = vpu(&[lanes.into()], VpuMove { len: 3, ..side_by_side });
    assert_eq!(clash, Err(AccessError::Overlap { operand: Stream::VpuA, in_place: false }));
    let fill = VpuFill { page: 0, dst: 100, dst_lane: 3, outer: 1, inner: 2, len: 2, value: -1 };
    assert_eq!(
        find(&vpu(&[stride.into()], fill).unwrap(), Stream::VpuWrite, true).1,
        set(&[100..102, 104..106])
    );
}

#[test]
fn register_words_touch_nothing_and_impossible_fields_are_refused() {
    assert_eq!(vpu(&[], SCALE), Ok(vec![]));
    assert_eq!(accesses(Engine::Store, &[], Halt {}), Ok(vec![]));
    assert!(matches!(vpu(&[], VpuDrain { page: 2, ..DRAIN }), Err(AccessError::Encode(_))));
    assert!(matches!(accesses(Engine::Load, &[], DRAIN), Err(AccessError::Encode(_))));
}

#[test]
fn only_writes_conflict() {
    let found = accesses(Engine::Mxu, &[KERNEL.into(), INPUT.into()], CONV).unwrap();
    let load = accesses(Engine::Load, &[LOAD_GEOM.into()], LOAD).unwrap();
    let conflicts =
        |a: &[Access], b: &[Access]| a.iter().any(|a| b.iter().any(|b| a.conflicts_with(b)));
    assert!(conflicts(&found, &load));
    assert!(!conflicts(&found[..2], &found[..2]));
}

proptest! {
    /// Whatever the words say, nothing panics or overflows, and what is legal stays inside the memories.
    #[test]
    fn hostile_words_are_refused_or_stay_inside(numbers in proptest::collection::vec(any::<u64>(), 400)) {
        let mut numbers = numbers.into_iter().cycle();
        let hardware = machine();
        let mut pages = Pages::default();
        for _ in 0..40 {
            let inst = arbitrary(|| numbers.next().unwrap());
            pages.apply(&inst);
            for found in access(&inst, &pages, &hardware).into_iter().flatten() {
                let bounds = found.rows.bounds();
                prop_assert!(0 <= bounds.start && bounds.start < bounds.end);
                if found.space == Space::Spad {
                    prop_assert!(bounds.end <= 256);
                }
            }
        }
    }
}
