//! Folds additions, subtractions and multiplications with per-channel or scalar constants into weights.
//!
//! These are the biases that exporters write as separate nodes, input normalisation inside the network, and scales left
//! over from training. The integer graph has no constant operands; constants that vary along more than one axis stay
//! and are refused when the graph is quantized.

use std::borrow::Cow;

use ir::graph::{Graph, Op, ValueId};

use super::affine::{Affine, replace};
use super::edit::{finish, floats, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "fold-affine",
    about: "fold additions and multiplications with per-channel constants into weights",
    run,
};

fn run(graph: &mut Graph, context: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        match affine(graph, index)? {
            Some((x, affine)) => {
                replace(graph, context, index, x, &affine, None);
                changes += 1;
                // The node is gone or has become others; none of them is an addition or product.
            }
            None => index += 1,
        }
    }
    Ok(finish(graph, changes))
}

/// The computed operand of node `index` and what the node does to it, if the other one is a suitable constant.
///
/// # Errors
/// When the constant holds something that is not a finite number.
fn affine(graph: &Graph, index: usize) -> Result<Option<(ValueId, Affine)>, PassError> {
    let Some((x, values, axis)) = operands(graph, index) else {
        return Ok(None);
    };
    let node = &graph.nodes[index];
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(PassError::Constant { node: node.name.clone(), index, value: values[index] });
    }
    let constant = values.iter().map(|v| f64::from(*v));
    let uniform = |value: f64| vec![value; values.len()];
    let (scale, shift) = match (&node.op, x == node.inputs[1]) {
        (Op::Mul, _) => (constant.collect(), uniform(0.0)),
        (Op::Add, _) => (uniform(1.0), constant.collect()),
        (Op::Sub, true) => (uniform(-1.0), constant.collect()),
        (_, _) => (uniform(1.0), constant.map(|v| -v).collect()),
    };
    Ok(Some((x, Affine { axis, scale, shift })))
}

/// The computed operand of node `index`, the elements of the constant one, and the axis along which these vary.
fn operands(graph: &Graph, index: usize) -> Option<(ValueId, Cow<'_, [f32]>, Option<usize>)> {
    let node = &graph.nodes[index];
    if !matches!(node.op, Op::Add | Op::Sub | Op::Mul) {
        return None;
    }
    let (a, b) = (node.inputs[0], node.inputs[1]);
    let constant_first = floats(graph, a).is_some();
    let (constant, x) = if constant_first { (a, b) } else { (b, a) };
    let values = floats(graph, constant)?;
    let result = shape(graph, node.output);
    if floats(graph, x).is_some() || shape(graph, x) != result {
        return None;
    }
    // Shapes are aligned at their last axes, and the constant's is the shorter one.
    let constant_shape = shape(graph, constant);
    let missing = result.len().checked_sub(constant_shape.len())?;
    let mut varies = (0..constant_shape.len()).filter(|&i| constant_shape[i] != 1);
    let axis = varies.next().map(|i| i + missing);
    if values.iter().all(|value| *value == values[0]) {
        return Some((x, values, None));
    }
    varies.next().is_none().then_some((x, values, axis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::Statistics;
    use crate::testing::{Build, check_pass, check_pass_with};

    #[test]
    fn biases_and_factors_join_the_weights() {
        let mut b = Build::new(30);
        let x = b.input(&[1, 3, 4, 5]);
        let mut y = b.conv(x, 4, [3, 3], 1);
        let shape = [1, 4, 2, 3];
        let (p, q, r) = (b.constant(&[4, 1, 1]), b.constant(&[1, 4, 1, 1]), b.constant(&[]));
        y = b.op(Op::Mul, &[p, y], &shape);
        y = b.op(Op::Sub, &[q, y], &shape);
        y = b.op(Op::Add, &[y, r], &shape);
        y = b.op(Op::Reshape, &[y], &[4, 6]);
        y = b.dense(y, 7);
        let s = b.constant(&[7]);
        y = b.op(Op::Sub, &[y, s], &[4, 7]);
        let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
        assert_eq!((after.nodes.len(), changes), (3, Changes(4)));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn alone_they_become_depthwise_convolutions_on_any_axis() {
        for (shape, constant) in [
            (&[1, 3, 4, 5][..], &[3, 1, 1][..]),
            (&[1, 3, 4, 5], &[5]),
            (&[1, 3, 4, 5], &[4, 1]),
            (&[1, 6], &[6]),
            (&[1, 3, 6], &[6]),
            (&[2, 3, 6], &[1, 3, 1]),
            (&[2, 3], &[2, 1]),
            (&[1, 3, 6], &[]),
            (&[1, 7], &[1]),
        ] {
            for op in [Op::Add, Op::Sub, Op::Mul] {
                let mut b = Build::new(31);
                let x = b.input(shape);
                let c = b.constant(constant);
                let y = b.op(op, &[x, c], shape);
                let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
                assert_eq!(changes, Changes(1));
                assert!(after.nodes.iter().all(|n| !matches!(n.op, Op::Add | Op::Sub | Op::Mul)));
            }
        }
    }

    #[test]
    fn leaves_two_axes_and_broadcast_activations_alone() {
        let mut b = Build::new(32);
        let x = b.input(&[1, 3, 4, 5]);
        let c = b.constant(&[4, 5]);
        let y = b.op(Op::Add, &[x, c], &[1, 3, 4, 5]);
        let d = b.constant(&[3, 1, 1, 1]);
        let z = b.op(Op::Mul, &[x, d], &[3, 3, 4, 5]);
        let graph = b.finish(&[y, z]);
        assert_eq!(check_pass(&PASS, &graph).1, Changes(0));
    }

    #[test]
    fn constants_must_be_finite() {
        let mut b = Build::new(34);
        let x = b.input(&[1, 2]);
        let c = b.constant_of(&[], vec![f32::NAN]);
        let y = b.op(Op::Add, &[x, c], &[1, 2]);
        let error = (PASS.run)(&mut b.finish(&[y]), &mut Context::default()).unwrap_err();
        assert!(error.to_string().contains("element 0 of its constant is NaN"), "{error}");
    }

    #[test]
    fn statistics_follow_the_map() {
        let mut b = Build::new(33);
        let x = b.input(&[1, 2, 3, 3]);
        let y = b.conv(x, 2, [1, 1], 1);
        let c = b.constant(&[]);
        let z = b.op(Op::Mul, &[y, c], &[1, 2, 3, 3]);
        let mut graph = b.finish(&[z]);
        graph.values[c.0 as usize].constant.as_mut().unwrap().f32_mut().unwrap()[0] = -2.0;
        let mut context = Context::default();
        let known = Statistics { mean: vec![1.0, -3.0], std: vec![0.5, 4.0] };
        context.statistics.insert(graph.values[y.0 as usize].name.clone(), known);
        let (_, _, context) = check_pass_with(&PASS, &graph, context);
        let expected = Statistics { mean: vec![-2.0, 6.0], std: vec![1.0, 8.0] };
        assert_eq!(context.statistics[&graph.values[z.0 as usize].name], expected);
    }
}
