//! Removes operators that return their operand unchanged.

use ir::function::Function;
use ir::graph::{Graph, Node, Op, Window};

use super::edit::{bypass, finish, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "remove-identity",
    about: "remove reshapes, transposes, gathers, clips, functions, pads, means and pools that change nothing",
    run,
};

fn run(graph: &mut Graph, context: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if is_identity(graph, &graph.nodes[index]) && bypass(graph, context, index) {
            changes += 1;
        } else {
            index += 1;
        }
    }
    Ok(finish(graph, changes))
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let (x, y) = (shape(graph, node.inputs[0]), shape(graph, node.output));
    match &node.op {
        Op::Reshape => x == y,
        Op::Transpose { perm } => perm.iter().enumerate().all(|(i, &axis)| i == axis),
        Op::Gather { indices } => indices.iter().zip(x).all(|(list, &extent)| list.is_all(extent)),
        Op::Clip { lo, hi } => *lo == f32::NEG_INFINITY && *hi == f32::INFINITY,
        Op::Pad { before, after, .. } => before.iter().chain(after).all(|&amount| amount == 0),
        Op::ReduceMean { axes } => axes.iter().all(|&axis| x[axis] == 1),
        Op::MaxPool { window } => is_point(window) && x == y,
        Op::AveragePool { window, .. } => is_point(window) && x == y,
        Op::Interpolate { axes } => axes.is_empty(),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Unary { function } => *function == Function::identity(),
        // Neutral constants of elementwise operators become weights in `fold_affine`.
        Op::Add | Op::Sub | Op::Mul => false,
        Op::Max | Op::Min | Op::PRelu => false,
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::Lrn { .. }
        | Op::BatchNorm { .. }
        | Op::FakeQuantize { .. }
        | Op::Softmax { .. } => false,
    }
}

fn is_point(window: &Window) -> bool {
    window.kernel == [1, 1] && window.stride == [1, 1] && window.pad == [0; 4]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};
    use ir::indices::Indices;

    #[test]
    fn removes_each_kind() {
        let mut b = Build::new(8);
        let s = [1, 2, 3, 5];
        let x = b.input(&s);
        let mut y = b.clip(x, 0.0, 2.0);
        let point = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
        for op in [
            Op::Reshape,
            Op::Transpose { perm: vec![0, 1, 2, 3] },
            Op::Gather { indices: s.iter().map(|&extent| Indices::all(extent)).collect() },
            Op::Clip { lo: f32::NEG_INFINITY, hi: f32::INFINITY },
            Op::Pad { before: vec![0; 4], after: vec![0; 4], value: 3.0 },
            Op::ReduceMean { axes: vec![0] },
            Op::MaxPool { window: point },
            Op::AveragePool { window: point, count_include_pad: true },
            Op::Concat { axis: 2 },
            Op::Unary { function: Function::identity() },
        ] {
            y = b.op(op, &[y], &s);
        }
        let graph = b.finish(&[y]);
        let (after, changes) = check_pass(&PASS, &graph);
        assert_eq!((after.nodes.len(), changes), (1, Changes(10)));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn keeps_real_work_and_links_between_interface_values() {
        let mut b = Build::new(9);
        let x = b.input(&[1, 2, 4, 4]);
        let half = Window { kernel: [1, 1], stride: [2, 2], dilation: [1, 1], pad: [0; 4] };
        let y = b.op(Op::MaxPool { window: half }, &[x], &[1, 2, 2, 2]);
        let z = b.op(Op::Reshape, &[x], &[1, 2, 4, 4]);
        let relu = b.clip(x, 0.0, f32::INFINITY);
        let copy = b.op(Op::Reshape, &[relu], &[1, 2, 4, 4]);
        let graph = b.finish(&[y, z, relu, copy]);
        assert_eq!(check_pass(&PASS, &graph).1, Changes(0));
    }
}
