//! Rules of the integer graph's values: storage range, scale, zero point, view.

use super::Problem;
use super::qops::NodeCheck;
use super::structure::Structure;
use crate::infer::is_permutation;
use crate::qgraph::{Hwc, QGraph, QValue, View};
use crate::tensor::element_count;

/// All broken rules of `graph`, and the range of stored integers of each value, narrowed by the bounds of the operator that makes it.
pub(super) fn check(graph: &QGraph) -> (Vec<Problem>, Vec<(i32, i32)>) {
    let structure = Structure {
        values: graph.values.iter().map(|v| (v.name.as_str(), false)).collect(),
        nodes: graph
            .nodes
            .iter()
            .map(|n| (n.name.as_str(), n.inputs.as_slice(), n.output))
            .collect(),
        inputs: &graph.inputs,
        outputs: &graph.outputs,
    };
    let mut problems = structure.problems();
    // The host sees inputs and outputs; any other value may do without a view.
    let mut seen = vec![false; graph.values.len()];
    for id in graph.inputs.iter().chain(&graph.outputs) {
        if let Some(seen) = seen.get_mut(id.0 as usize) {
            *seen = true;
        }
    }
    for (value, seen) in graph.values.iter().zip(seen) {
        check_value(value, &mut problems);
        if seen || value.view != View::default() {
            check_view(value, &mut problems);
        }
    }
    let mut ranges: Vec<(i32, i32)> = graph.values.iter().map(|v| v.dtype.range()).collect();
    for node in &graph.nodes {
        let operands: Option<Vec<&QValue>> =
            node.inputs.iter().map(|&id| graph.value(id)).collect();
        // Ids out of range are reported with the structure.
        let (Some(operands), Some(result)) = (operands, graph.value(node.output)) else {
            continue;
        };
        let operand_ranges: Vec<_> = node.inputs.iter().map(|id| ranges[id.0 as usize]).collect();
        let check = NodeCheck { node, operands: &operands, ranges: &operand_ranges, result };
        if let Some(range) = check.run(&mut problems) {
            ranges[node.output.0 as usize] = range;
        }
    }
    (problems, ranges)
}

fn check_value(value: &QValue, problems: &mut Vec<Problem>) {
    let mut bad = |parameter, found: String, expected: String| {
        let value = value.name.clone();
        problems.push(Problem::ValueParameter { value, parameter, found, expected });
    };
    let Hwc { h, w, c } = value.shape;
    if element_count(&[h, w, c]).is_none_or(|count| count == 0) {
        let expected = "extents of at least 1 and an addressable size".to_owned();
        bad("the shape", value.shape.to_string(), expected);
    }
    if !value.scale.is_finite() || value.scale <= 0.0 {
        bad("the scale", format!("{:?}", value.scale), "a finite number above 0".to_owned());
    }
    let (lo, hi) = value.dtype.range();
    if value.zero_point < lo || hi < value.zero_point {
        bad("the zero point", value.zero_point.to_string(), format!("{lo} to {hi}"));
    }
}

/// The ONNX tensor, transposed and with neighbouring axes merged, must give `[h, w, c]`.
fn check_view(value: &QValue, problems: &mut Vec<Problem>) {
    let view = &value.view;
    let mut bad = |found: String, expected: String| {
        let parameter = "the view";
        problems.push(Problem::ValueParameter {
            value: value.name.clone(),
            parameter,
            found,
            expected,
        });
    };
    let rank = view.onnx_shape.len();
    if !is_permutation(&view.perm, rank) {
        bad(format!("permutation {:?}", view.perm), format!("each of {rank} axes once"));
        return;
    }
    // Products of the leading extents: each border between h, w and c must fall between two axes.
    let mut leading = vec![Some(1usize)];
    for &axis in &view.perm {
        let last = leading[leading.len() - 1];
        leading.push(last.and_then(|product| product.checked_mul(view.onnx_shape[axis])));
    }
    let Hwc { h, w, c } = value.shape;
    let borders = [Some(h), h.checked_mul(w)];
    let total = element_count(&[h, w, c]);
    let merges =
        borders.iter().all(|border| leading.contains(border)) && leading.last() == Some(&total);
    if !merges {
        bad(
            format!("{:?} transposed by {:?}", view.onnx_shape, view.perm),
            format!("axes that merge into {}", value.shape),
        );
    }
}
