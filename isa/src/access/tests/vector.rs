//! Words of the vector engine.

use super::*;

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
    assert_eq!(find(&found, Stream::VpuSums, false), (Space::Acc(0), span(4..8)));
    assert_eq!(find(&found, Stream::VpuParams, false), (Space::Params(1), span(5..7)));
    assert_eq!(found.len(), 3);
    let adding = VpuDrain { add: true, ..DRAIN };
    let b = |side: VpuSide| find(&vpu(&[side.into()], adding).unwrap(), Stream::VpuB, false).1;
    assert_eq!(b(SIDE), set(&[100..102, 103..105, 110..112, 113..115]));
    assert_eq!(b(VpuSide { x_stride: 0, ..SIDE }), set(&[100..101, 103..104, 110..111, 113..114]));
    assert_eq!(b(VpuSide { lane_broadcast: true, row_stride: 0, ..SIDE }), span(100..102));
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
    assert_eq!(find(&found, Stream::VpuWeights, false).1, span(200..208));
    assert_eq!(find(&found, Stream::VpuParams, false), (Space::Params(0), span(1..9)));
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
    assert_eq!(find(&found, Stream::VpuParams, false).1, span(2..3));
    let by_count = VpuKernel { by_count: true, ..WINDOW };
    // One or two rows of two columns: entries 2 and 4 (counts from 1).
    assert_eq!(
        find(&vpu(&[by_count.into()], pool).unwrap(), Stream::VpuParams, false).1,
        span(3..6)
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
    let one_lane = VpuSide { lane_broadcast: true, ..SIDE };
    let refused = AccessError::Overlap { operand: Stream::VpuB, in_place: false };
    assert_eq!(vpu(&[one_lane.into()], VpuAdd { dst: 100, blocks: 1, ..add }), Err(refused));
    let mul = VpuMul { page: 0, a: 0, b: 100, dst: 0, th: 2, tw: 2, blocks: 2 };
    assert_eq!(vpu(&[], mul).unwrap().len(), 3);
    assert!(vpu(&[VpuScale { ma: -1, ..SCALE }.into()], mul).is_err());
    assert!(vpu(&[VpuScale { shift: 63, ..SCALE }.into()], mul).is_err());
    let max = VpuMax { page: 0, a: 0, b: 100, dst: 0, th: 2, tw: 2, blocks: 2, least: true };
    assert_eq!(vpu(&[VpuScale { ma: -1, mb: 0, ..SCALE }.into()], max).unwrap().len(), 3);
    assert!(vpu(&[VpuScale { shift: 63, ..SCALE }.into()], max).is_err());
    let overlapping = VpuOut { row_stride: 1, ..OUT };
    assert!(matches!(
        vpu(&[overlapping.into()], VpuAdd { dst: 60, ..add }),
        Err(AccessError::SelfOverlap { .. })
    ));
}

#[test]
fn prelu_reads_an_entry_for_each_lane() {
    let prelu = VpuPrelu { page: 0, a: 0, dst: 0, th: 2, tw: 2, blocks: 2, slot: 1, base: 3 };
    let found = vpu(&[], prelu).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(find(&found, Stream::VpuParams, false), (Space::Params(1), span(3..11)));
    let shifted = Err(AccessError::Overlap { operand: Stream::VpuA, in_place: true });
    assert_eq!(vpu(&[], VpuPrelu { dst: 1, ..prelu }), shifted);
    assert!(vpu(&[], VpuPrelu { base: 2047, ..prelu }).is_err());
}

#[test]
fn tables_depend_on_the_width() {
    let lut = VpuLut { page: 0, a: 0, dst: 120, th: 1, tw: 2, blocks: 1, slot: 1 };
    assert_eq!(
        find(&vpu(&[], lut).unwrap(), Stream::VpuTable, false),
        (Space::Table(1), span(0..256))
    );
    let wide: [Op; 2] = [VpuIn { wide: true, ..IN }.into(), VpuOut { wide: true, ..OUT }.into()];
    let found = vpu(&wide, lut).unwrap();
    assert_eq!(find(&found, Stream::VpuTable, false).1, span(0..1026));
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[0..2, 30..32]));
    assert!(matches!(vpu(&wide[..1], lut), Err(AccessError::Width { .. })));
    let softmax = VpuSoftmax { page: 0, a: 0, dst: 0, th: 1, tw: 2, channels: 5, slot: 0 };
    let found = vpu(&[], softmax).unwrap();
    assert_eq!(find(&found, Stream::VpuA, false).1, set(&[0..2, 10..12]));
    assert_eq!(find(&found, Stream::VpuTable, false).1, span(0..1024));
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
    assert_eq!(find(&found, Stream::VpuA, false).1, span(9..14));
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
