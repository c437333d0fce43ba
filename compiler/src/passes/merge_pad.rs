//! Merges padding into the convolution or pool behind it, where the result stays exactly the same.
//!
//! - Convolution: padding of value 0.
//! - Average pool: padding of value 0, if every padded element counts, before and after.
//! - Maximum pool: padding below every float, or padding of value 0 behind an activation that is never negative.

use ir::graph::{Graph, Op, ValueId, Window};
use ir::infer::infer;

use super::edit::{finish, producer, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "merge-pad",
    about: "merge padding into convolutions and pools where that is exact",
    run,
};

/// Exporters write minus infinity as the lowest float.
const LOWEST: f32 = f32::MIN;

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some((op, x)) = merged(graph, index) {
            let node = &mut graph.nodes[index];
            (node.op, node.inputs[0]) = (op, x);
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

/// The operator of node `index` with the padding in front of it, and the operand before that padding.
fn merged(graph: &Graph, index: usize) -> Option<(Op, ValueId)> {
    let node = &graph.nodes[index];
    let pad = &graph.nodes[producer(graph, node.inputs[0])?];
    let Op::Pad { before, after, value } = &pad.op else {
        return None;
    };
    let (&[0, 0, top, left], &[0, 0, bottom, right]) = (&before[..], &after[..]) else {
        return None;
    };
    let x = pad.inputs[0];
    let grow = |window: &Window| {
        let more = [top, left, bottom, right];
        let pad = std::array::from_fn(|side| window.pad[side] + more[side]);
        Window { pad, ..*window }
    };
    let op = match &node.op {
        Op::Conv { window, groups } if *value == 0.0 => {
            Op::Conv { window: grow(window), groups: *groups }
        }
        Op::AveragePool { window, count_include_pad }
            if *value == 0.0 && (*count_include_pad || window.pad == [0; 4]) =>
        {
            Op::AveragePool { window: grow(window), count_include_pad: true }
        }
        Op::MaxPool { window }
            if *value <= LOWEST || (*value == 0.0 && never_negative(graph, x)) =>
        {
            Op::MaxPool { window: grow(window) }
        }
        _ => return None,
    };
    // A pool may not take any window; and in ceil mode the last window must not begin in the padding, but may in an operand
    // that was padded before.
    let mut operands: Vec<&[usize]> = node.inputs.iter().map(|&id| shape(graph, id)).collect();
    operands[0] = shape(graph, x);
    let rule = infer(&op, &operands).ok()?;
    rule.admits(shape(graph, node.output)).then_some((op, x))
}

fn never_negative(graph: &Graph, x: ValueId) -> bool {
    let maker = producer(graph, x).map(|index| &graph.nodes[index]);
    match maker.map(|node| (&node.op, &node.inputs)) {
        Some((Op::Clip { lo, .. }, _)) => *lo >= 0.0,
        // Rounding keeps zero, and the order.
        Some((Op::FakeQuantize { .. }, inputs)) => never_negative(graph, inputs[0]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    fn padded(b: &mut Build, x: ValueId, value: f32) -> ValueId {
        let op = Op::Pad { before: vec![0, 0, 1, 0], after: vec![0, 0, 0, 2], value };
        b.op(op, &[x], &[1, 2, 7, 7])
    }

    fn window(pad: [usize; 4]) -> Window {
        Window { kernel: [3, 3], stride: [2, 1], dilation: [1, 1], pad }
    }

    #[test]
    fn merges_where_exact() {
        let mut b = Build::new(60);
        let x = b.input(&[1, 2, 6, 5]);
        let zero = padded(&mut b, x, 0.0);
        let conv = b.conv(zero, 3, [3, 2], 1);
        let average = Op::AveragePool { window: window([1, 0, 1, 0]), count_include_pad: true };
        let average = b.op(average, &[zero], &[1, 2, 4, 5]);
        let low = padded(&mut b, x, f32::MIN);
        let max = b.op(Op::MaxPool { window: window([0; 4]) }, &[low], &[1, 2, 3, 5]);
        let relu = b.clip(x, 0.0, f32::INFINITY);
        let zero = padded(&mut b, relu, 0.0);
        let positive = b.op(Op::MaxPool { window: window([0; 4]) }, &[zero], &[1, 2, 3, 5]);
        let graph = b.finish(&[conv, average, max, positive]);
        let (after, changes) = check_pass(&PASS, &graph);
        assert_eq!(changes, Changes(4));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn keeps_padding_in_which_a_window_of_ceil_mode_begins() {
        let mut b = Build::new(62);
        let x = b.input(&[1, 1, 3, 2]);
        let op = Op::Pad { before: vec![0; 4], after: vec![0, 0, 1, 1], value: 0.0 };
        let zero = b.op(op, &[x], &[1, 1, 4, 3]);
        let window = Window { kernel: [2, 2], stride: [3, 2], dilation: [1, 1], pad: [0; 4] };
        let average = Op::AveragePool { window, count_include_pad: true };
        let average = b.op(average, &[zero], &[1, 1, 2, 2]);
        let (_, changes) = check_pass(&PASS, &b.finish(&[average]));
        assert_eq!(changes, Changes(0));
    }

    #[test]
    fn keeps_padding_that_matters() {
        let mut b = Build::new(61);
        let x = b.input(&[1, 2, 6, 5]);
        let one = padded(&mut b, x, 1.0);
        let conv = b.conv(one, 3, [3, 2], 1);
        let zero = padded(&mut b, x, 0.0);
        let max = b.op(Op::MaxPool { window: window([0; 4]) }, &[zero], &[1, 2, 3, 5]);
        let partly = Op::AveragePool { window: window([1, 0, 1, 0]), count_include_pad: false };
        let partly = b.op(partly, &[zero], &[1, 2, 4, 5]);
        // Merged, the first window of this pool would see padding only.
        let op = Op::Pad { before: vec![0, 0, 3, 0], after: vec![0; 4], value: 0.0 };
        let far = b.op(op, &[x], &[1, 2, 9, 5]);
        let empty = Op::AveragePool { window: window([0; 4]), count_include_pad: false };
        let empty = b.op(empty, &[far], &[1, 2, 4, 3]);
        let graph = b.finish(&[conv, max, partly, empty]);
        assert_eq!(check_pass(&PASS, &graph).1, Changes(0));
    }
}
