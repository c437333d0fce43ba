//! Folds batch norms into the preceding convolution or dense layer (Jacob et al., 2018, section 3.2), keeping what they
//! tell about ranges.
//!
//! A trained batch norm says that its result has mean `bias` and standard deviation `|scale|` in each channel. Without
//! data this is the best knowledge of activation ranges there is (Nagel et al., 2019, "Data-free quantization", section
//! 4.2), so it is noted in the context under the result's name. A batch norm that cannot be folded becomes a depthwise
//! 1x1 convolution.

use ir::graph::{Graph, Op};

use super::affine::{Affine, replace};
use super::edit::{finish, floats};
use super::{Changes, Context, Pass, PassError, Statistics};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "fold-batch-norm",
    about: "fold batch norms into weights, noting their statistics; others become depthwise convolutions",
    run,
};

fn run(graph: &mut Graph, context: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    while let Some(index) = graph.nodes.iter().position(|n| matches!(n.op, Op::BatchNorm { .. })) {
        let (affine, statistics) = coefficients(graph, index)?;
        let x = graph.nodes[index].inputs[0];
        replace(graph, context, index, x, &affine, Some(statistics));
        changes += 1;
    }
    Ok(finish(graph, changes))
}

fn coefficients(graph: &Graph, index: usize) -> Result<(Affine, Statistics), PassError> {
    let node = &graph.nodes[index];
    let Op::BatchNorm { epsilon } = node.op else {
        unreachable!("the caller found a batch norm here");
    };
    let operand = |i: usize| floats(graph, node.inputs[i]).expect("batch norm constants");
    let (scale, bias, mean, variance) = (operand(1), operand(2), operand(3), operand(4));
    let mut affine = Affine { axis: Some(1), scale: Vec::new(), shift: Vec::new() };
    let mut statistics = Statistics { mean: Vec::new(), std: Vec::new() };
    for channel in 0..scale.len() {
        let (s, b, m, v) = (scale[channel], bias[channel], mean[channel], variance[channel]);
        let spread = f64::from(v) + f64::from(epsilon);
        if !(spread > 0.0 && [s, b, m, v].iter().all(|x| x.is_finite())) {
            let node = node.name.clone();
            return Err(PassError::BatchNorm {
                node,
                channel,
                variance: v,
                scale: s,
                bias: b,
                mean: m,
            });
        }
        let factor = f64::from(s) / spread.sqrt();
        affine.scale.push(factor);
        affine.shift.push(f64::from(b) - f64::from(m) * factor);
        statistics.mean.push(f64::from(b));
        statistics.std.push(f64::from(s).abs());
    }
    Ok((affine, statistics))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass, check_pass_with};

    #[test]
    fn disappears_into_a_convolution_and_a_dense_layer() {
        let mut b = Build::new(20);
        let x = b.input(&[1, 4, 5, 3]);
        let y = b.conv(x, 6, [3, 2], 2);
        let y = b.batch_norm(y);
        let y = b.op(Op::Reshape, &[y], &[1, 36]);
        let y = b.dense(y, 5);
        let y = b.batch_norm(y);
        let (graph, name) = (b.finish(&[y]), "v12");
        let (after, changes, context) = check_pass_with(&PASS, &graph, Context::default());
        assert_eq!((after.nodes.len(), changes), (3, Changes(2)));
        assert_eq!(context.statistics.len(), 2);
        assert_eq!(
            after.values[after.nodes[2].output.0 as usize].name,
            graph.values[y.0 as usize].name
        );
        assert!(context.statistics.values().all(|s| s.std.iter().all(|v| *v >= 0.0)), "{name}");
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn passes_through_the_reshape_of_a_one_dimensional_convolution() {
        let mut b = Build::new(21);
        let x = b.input(&[1, 4, 1, 9]);
        let y = b.conv(x, 6, [1, 3], 1);
        let y = b.op(Op::Reshape, &[y], &[1, 6, 7]);
        let y = b.batch_norm(y);
        let (after, _) = check_pass(&PASS, &b.finish(&[y]));
        let ops: Vec<_> = after.nodes.iter().map(|n| matches!(n.op, Op::Conv { .. })).collect();
        assert_eq!(ops, [true, false]);
    }

    #[test]
    fn alone_it_becomes_a_depthwise_convolution() {
        for shape in [&[1, 5, 3, 4][..], &[1, 5], &[1, 5, 7], &[2, 5, 3], &[1, 5, 2, 3, 2]] {
            let mut b = Build::new(22);
            let x = b.input(shape);
            let y = b.batch_norm(x);
            let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
            assert_eq!(changes, Changes(1));
            let conv = after.nodes.iter().find(|n| matches!(n.op, Op::Conv { .. })).unwrap();
            assert!(matches!(conv.op, Op::Conv { groups: 5, .. }));
        }
    }

    #[test]
    fn a_convolution_with_two_users_keeps_its_weights() {
        let mut b = Build::new(23);
        let x = b.input(&[1, 2, 4, 4]);
        let y = b.conv(x, 3, [1, 1], 1);
        let z = b.batch_norm(y);
        let graph = b.finish(&[y, z]);
        let (after, _) = check_pass(&PASS, &graph);
        assert_eq!(
            (after.nodes.len(), after.nodes[0].inputs.clone()),
            (2, graph.nodes[0].inputs.clone())
        );
    }

    #[test]
    fn a_negative_variance_is_an_error() {
        let mut b = Build::new(24);
        let x = b.input(&[1, 2, 4, 4]);
        let y = b.batch_norm(x);
        let mut graph = b.finish(&[y]);
        let variance = graph.nodes[0].inputs[4].0 as usize;
        graph.values[variance].constant.as_mut().unwrap().f32_mut().unwrap()[1] = -1.0;
        let result = (PASS.run)(&mut graph, &mut Context::default());
        assert!(matches!(result, Err(PassError::BatchNorm { channel: 1, .. })));
    }
}
