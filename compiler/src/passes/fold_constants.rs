//! Replaces operators on constants by their result.

use ir::graph::Graph;
use ir::tensor::Tensor;

use super::edit::{count, shape};
use super::{Changes, Context, Pass, PassError};
use crate::evaluate::{Operand, evaluate};

/// Larger results stay computed, because broadcasting can make a small file ask for any amount of memory.
const MAX_ELEMENTS: usize = 1 << 24;

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "fold-constants",
    about: "compute at compile time what depends on constants only",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let before = graph.nodes.len();
    let nodes = std::mem::take(&mut graph.nodes);
    graph.nodes = nodes.into_iter().filter(|node| !fold(graph, node)).collect();
    Ok(Changes(before - graph.nodes.len()))
}

/// Makes the node's result a constant if all its operands are.
fn fold(graph: &mut Graph, node: &ir::graph::Node) -> bool {
    let result_shape = shape(graph, node.output).to_vec();
    let interface = graph.outputs.contains(&node.output);
    if interface || count(&result_shape) > MAX_ELEMENTS {
        return false;
    }
    let floats = node.inputs.iter().map(|&id| super::edit::floats(graph, id));
    let Some(floats) = floats.collect::<Option<Vec<_>>>() else {
        return false;
    };
    let operands: Vec<_> = (node.inputs.iter().zip(&floats))
        .map(|(&id, data)| Operand { shape: shape(graph, id), data })
        .collect();
    let Some(result) = evaluate(&node.op, &operands, &result_shape) else {
        return false;
    };
    let tensor = Tensor::from_f32(&result_shape, result).expect("evaluation fills the shape");
    graph.values[node.output.0 as usize].constant = Some(tensor);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};
    use ir::graph::Op;

    #[test]
    fn folds_a_chain_of_constants() {
        let mut b = Build::new(5);
        let x = b.input(&[1, 3, 2, 4]);
        let (p, q) = (b.constant(&[3, 1]), b.constant(&[1, 2]));
        let sum = b.op(Op::Add, &[p, q], &[3, 2]);
        let flat = b.op(Op::Reshape, &[sum], &[6, 1, 1]);
        let clipped = b.clip(flat, -0.5, 0.5);
        let part = b.op(Op::Reshape, &[clipped], &[3, 2, 1]);
        let y = b.op(Op::Mul, &[x, part], &[1, 3, 2, 4]);
        let graph = b.finish(&[y]);
        let (after, changes) = check_pass(&PASS, &graph);
        assert_eq!((after.nodes.len(), changes), (1, Changes(4)));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn keeps_constant_outputs_and_huge_results() {
        let mut b = Build::new(6);
        let c = b.constant(&[4]);
        let y = b.clip(c, 0.0, 1.0);
        let graph = b.finish(&[y]);
        assert_eq!(check_pass(&PASS, &graph).1, Changes(0));

        let mut b = Build::new(7);
        let (p, q) = (b.constant(&[4096, 1]), b.constant(&[1, 4097]));
        let big = b.op(Op::Add, &[p, q], &[4096, 4097]);
        let y = b.op(Op::ReduceMean { axes: vec![0, 1] }, &[big], &[1, 1]);
        let mut graph = b.finish(&[y]);
        assert_eq!((PASS.run)(&mut graph, &mut Context::default()), Ok(Changes(0)));
    }
}
