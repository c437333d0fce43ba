//! Rewrites `a * (b * c)` with `c` constant as `(a * b) * c` where `b` alone is smaller: then `c` meets a value of the result's extents, and may
//! become weights.

use ir::graph::{Graph, Node, Op, ValueId};

use super::edit::{add_value, finish, private_producer, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "pull-factors",
    about: "multiply by a constant last where it enlarges what it meets",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some(found) = found(graph, index) {
            rewrite(graph, found);
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

struct Found {
    outer: usize,
    inner: usize,
    a: ValueId,
    b: ValueId,
    c: ValueId,
}

fn found(graph: &Graph, outer: usize) -> Option<Found> {
    let node = &graph.nodes[outer];
    if node.op != Op::Mul {
        return None;
    }
    let constant = |id: ValueId| graph.values[id.0 as usize].constant.is_some();
    let both = [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])];
    both.into_iter().find_map(|(a, product)| {
        let inner = private_producer(graph, product)?;
        let (Op::Mul, &[p, q]) = (&graph.nodes[inner].op, graph.nodes[inner].inputs.as_slice())
        else {
            return None;
        };
        let (b, c) = match (constant(p), constant(q)) {
            (false, true) => (p, q),
            (true, false) => (q, p),
            _ => return None,
        };
        let enlarges = shape(graph, b) != shape(graph, product);
        let whole = shape(graph, a) == shape(graph, node.output) && !constant(a);
        (enlarges && whole).then_some(Found { outer, inner, a, b, c })
    })
}

fn rewrite(graph: &mut Graph, found: Found) {
    let Found { outer, inner, a, b, c } = found;
    let all = shape(graph, a).to_vec();
    let Node { name, output, .. } = graph.nodes[outer].clone();
    let product = add_value(graph, format!("{name}/product"), all);
    let first = graph.nodes[inner].name.clone();
    graph.nodes[outer] = Node { name, op: Op::Mul, inputs: vec![product, c], output };
    graph
        .nodes
        .insert(outer, Node { name: first, op: Op::Mul, inputs: vec![a, b], output: product });
    graph.nodes.remove(inner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    #[test]
    fn constants_that_enlarge_come_last() {
        for swapped in [false, true] {
            let mut b = Build::new(3);
            let x = b.input(&[1, 6, 4]);
            let r = b.op(Op::ReduceMean { axes: vec![1] }, &[x], &[1, 1, 4]);
            let c = b.constant(&[1, 6, 1]);
            let gain = b.op(Op::Mul, &[r, c], &[1, 6, 4]);
            let inputs = if swapped { [gain, x] } else { [x, gain] };
            let y = b.op(Op::Mul, &inputs, &[1, 6, 4]);
            let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
            assert_eq!(changes, Changes(1));
            let last = after.nodes.last().unwrap();
            assert!(after.values[last.inputs[1].0 as usize].constant.is_some());
        }
    }
}
