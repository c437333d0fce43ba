//! Operators that only move elements, in whatever layout their operands have.

use ir::indices::Indices;

use super::*;

/// Picks by the lists of some axes and keeps the others.
fn gather(shape: &[usize], lists: &[(usize, &[usize])]) -> Op {
    let mut indices: Vec<Indices> = shape.iter().map(|&extent| Indices::all(extent)).collect();
    for (axis, list) in lists {
        indices[*axis] = list.iter().copied().collect();
    }
    Op::Gather { indices }
}

#[test]
fn every_axis_can_be_picked_from_in_any_layout() {
    let mut b = Build::new(20);
    let x = b.input(&[1, 3, 4, 5]);
    let y = b.conv(x, 6, [1, 1], 1);
    let s = [1, 6, 4, 5];
    // Channels backwards, rows twice, columns cut.
    let lists: [(usize, &[usize]); 3] =
        [(1, &[5, 3, 1]), (2, &[0, 0, 1, 1, 2, 2, 3, 3]), (3, &[1, 2, 3])];
    let image = b.op(gather(&s, &lists), &[y], &[1, 3, 8, 3]);
    // A transposed map keeps its layout, and merged axes are picked from in every combination.
    let turned = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[y], &[1, 4, 5, 6]);
    let last = b.op(gather(&[1, 4, 5, 6], &[(3, &[0, 2, 4])]), &[turned], &[1, 4, 5, 3]);
    let split = b.op(Op::Reshape, &[y], &[1, 2, 3, 4, 5]);
    let picked = [(1, [1].as_slice()), (2, &[2, 0]), (4, &[4, 0, 0])];
    let merged = b.op(gather(&[1, 2, 3, 4, 5], &picked), &[split], &[1, 1, 2, 4, 3]);
    // Axes of one element are repeated.
    let mean = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[y], &[1, 6, 1, 1]);
    let grown = gather(&[1, 6, 1, 1], &[(0, &[0, 0]), (2, &[0, 0, 0]), (3, &[0, 0])]);
    let grown = b.op(grown, &[mean], &[2, 6, 3, 2]);
    let graph = b.finish(&[image, last, merged, grown]);
    for options in [Options::default(), Options { act_bits: 16, ..Options::default() }] {
        let hardware = Hardware { acc_bits: 48, ..Hardware::default() };
        let q = check_sqnr(&graph, &options, &hardware, 25.0);
        assert_eq!(ops(&q).iter().filter(|op| **op == "gather").count(), 4);
        assert!(!ops(&q).contains(&"reorder"), "{:?}", ops(&q));
    }
}

#[test]
fn a_value_without_extents_of_its_own_is_arranged_first() {
    let mut b = Build::new(21);
    let x = b.input(&[1, 6, 4, 5]);
    let y = b.conv(x, 6, [1, 1], 1);
    // 120 elements in the layout of 4 x 5 pixels cannot be told apart as 8 x 15.
    let flat = b.op(Op::Reshape, &[y], &[8, 15]);
    let z = b.op(gather(&[8, 15], &[(0, &[7, 1, 1]), (1, &[14, 0])]), &[flat], &[3, 2]);
    check_sqnr(&b.finish(&[z]), &Options::default(), &Hardware::default(), 25.0);
}

#[test]
fn channels_last_inputs_and_outputs_cost_nothing_even_before_padding() {
    let mut b = Build::new(22);
    let x = b.input(&[1, 6, 5, 3]);
    let y = b.op(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[x], &[1, 3, 6, 5]);
    let op = Op::Pad { before: vec![0; 4], after: vec![0, 2, 1, 1], value: 0.0 };
    let y = b.op(op, &[y], &[1, 5, 7, 6]);
    let y = b.conv(y, 4, [3, 3], 1);
    let shape = b.shape(y);
    let (h, w) = (shape[2], shape[3]);
    let y = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[y], &[1, h, w, 4]);
    let q = check_sqnr(&b.finish(&[y]), &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(ops(&q), ["pad", "conv"]);
    assert_eq!(q.values[q.inputs[0].0 as usize].shape.extents(), [6, 5, 3]);
}

#[test]
fn blocks_of_pixels_become_channels_in_one_reorder() {
    let mut b = Build::new(23);
    let x = b.input(&[1, 3, 4, 5]);
    let y = b.conv(x, 8, [1, 1], 1);
    let y = b.op(Op::Reshape, &[y], &[1, 2, 2, 2, 4, 5]);
    let y = b.op(Op::Transpose { perm: vec![0, 3, 4, 1, 5, 2] }, &[y], &[1, 2, 4, 2, 5, 2]);
    let y = b.op(Op::Reshape, &[y], &[1, 2, 8, 10]);
    let y = b.conv(y, 3, [1, 1], 1);
    let q = check_sqnr(&b.finish(&[y]), &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(ops(&q), ["conv", "reorder", "conv"]);
}
