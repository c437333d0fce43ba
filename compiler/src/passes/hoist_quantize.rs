//! Moves the roundings of a network that was quantized before next to the operator whose result they round, and removes those
//! that change nothing.
//!
//! Tools put QuantizeLinear and DequantizeLinear on both sides of every operator. Behind data movement the second one rounds
//! what is rounded already. Rounding is monotonic, so it commutes with a maximum pool, and an activation between two equal
//! roundings gives the same result without the first.

use ir::graph::{Graph, Op, ValueId};

use super::edit::{
    Insertion, add_value, bypass, finish, is_arithmetic, name, private_producer, producer,
    replace_uses, shape,
};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "hoist-quantize",
    about: "move the roundings of a quantized network in front of data movement; remove those that change nothing",
    run,
};

fn run(graph: &mut Graph, context: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        match settle(graph, context, index) {
            Some(next) => {
                changes += 1;
                index = next;
            }
            None => index += 1,
        }
    }
    Ok(finish(graph, changes))
}

/// One simplification of the rounding at `index`, if it is one; where to look next.
fn settle(graph: &mut Graph, context: &mut Context, index: usize) -> Option<usize> {
    let Op::FakeQuantize { .. } = graph.nodes[index].op else {
        return None;
    };
    let x = graph.nodes[index].inputs[0];
    if rounded_before(graph, index) {
        return bypass(graph, context, index).then_some(index);
    }
    if let Some(twin) = (0..index)
        .find(|&i| graph.nodes[i].op == graph.nodes[index].op && graph.nodes[i].inputs[0] == x)
    {
        let (first, second) = (graph.nodes[twin].output, graph.nodes[index].output);
        if graph.outputs.contains(&second) {
            return None;
        }
        replace_uses(graph, second, first);
        graph.nodes.remove(index);
        return Some(index);
    }
    let before = private_producer(graph, x)?;
    match graph.nodes[before].op {
        Op::Reshape | Op::Transpose { .. } | Op::Gather { .. } | Op::MaxPool { .. } => {
            swap(graph, index, before);
            Some(before)
        }
        Op::Pad { value: 0.0, .. } => {
            swap(graph, index, before);
            Some(before)
        }
        Op::Clip { .. } => {
            let inner = graph.nodes[before].inputs[0];
            let first = private_producer(graph, inner)?;
            let redundant = graph.nodes[first].op == graph.nodes[index].op;
            (redundant && bypass(graph, context, first)).then_some(index - 1)
        }
        Op::Concat { .. } => distribute(graph, index, before),
        _ => None,
    }
}

/// Whether the operand is what an equal rounding made, moved at most.
fn rounded_before(graph: &Graph, index: usize) -> bool {
    let mut x = graph.nodes[index].inputs[0];
    while let Some(maker) = producer(graph, x) {
        let node = &graph.nodes[maker];
        match node.op {
            Op::FakeQuantize { .. } => return node.op == graph.nodes[index].op,
            Op::Reshape | Op::Transpose { .. } | Op::Gather { .. } | Op::MaxPool { .. } => {
                x = node.inputs[0];
            }
            _ => return false,
        }
    }
    false
}

/// Exchanges the rounding at `index` and the movement at `before`, whose result nobody else uses.
fn swap(graph: &mut Graph, index: usize, before: usize) {
    let (source, output) = (graph.nodes[before].inputs[0], graph.nodes[index].output);
    let wanted = format!("{}/before_{}", name(graph, output), graph.nodes[before].name);
    let rounded = add_value(graph, wanted, shape(graph, source).to_vec());
    graph.nodes[before].output = output;
    graph.nodes[before].inputs[0] = rounded;
    let mut rounding = graph.nodes.remove(index);
    (rounding.inputs[0], rounding.output) = (source, rounded);
    graph.nodes.insert(before, rounding);
}

/// Replaces the rounding at `index` by one on each operand of the concatenation at `concat`, if all of them are computed for it
/// alone by arithmetic, which then ends in the rounding.
fn distribute(graph: &mut Graph, index: usize, concat: usize) -> Option<usize> {
    let parts = graph.nodes[concat].inputs.clone();
    let open = |&part: &ValueId| {
        private_producer(graph, part).is_some_and(|maker| is_arithmetic(&graph.nodes[maker].op))
    };
    if !parts.iter().all(open) {
        return None;
    }
    let rounding = graph.nodes.remove(index);
    graph.nodes[concat].output = rounding.output;
    let mut row = Insertion { graph, at: concat, base: &rounding.name };
    let rounded = parts.iter().enumerate().map(|(position, &part)| {
        let extents = shape(row.graph, part).to_vec();
        row.unary(&format!("part{position}"), rounding.op.clone(), part, &extents)
    });
    let rounded: Vec<ValueId> = rounded.collect();
    let behind = row.at;
    graph.nodes[behind].inputs = rounded;
    Some(concat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};
    use ir::graph::Window;
    use ir::qgraph::QType;
    use ir::quantized::Encoding;

    fn rounding(scale: f32) -> Op {
        Op::FakeQuantize { to: Encoding { dtype: QType::I8, scale, zero_point: 3 } }
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes.iter().map(|node| node.op.name()).collect()
    }

    #[test]
    fn behind_movement_it_changes_nothing() {
        let mut b = Build::new(70);
        let s = [1, 2, 4, 4];
        let x = b.input(&s);
        let x = b.op(rounding(0.5), &[x], &s);
        let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pad: [0; 4] };
        let pooled = b.pool(x, |window| Op::MaxPool { window }, window);
        let y = b.op(rounding(0.5), &[pooled], &[1, 2, 2, 2]);
        let y = b.op(Op::Reshape, &[y], &[1, 8]);
        let y = b.op(rounding(0.5), &[y], &[1, 8]);
        let y = b.dense(y, 3);
        let (after, changes) = check_pass(&PASS, &b.finish(&[y, pooled]));
        assert_eq!(changes, Changes(2));
        assert_eq!(names(&after), ["fake_quantize", "max_pool", "reshape", "dense"]);
    }

    #[test]
    fn it_moves_to_the_arithmetic_in_front() {
        let mut b = Build::new(71);
        let x = b.input(&[1, 2, 4, 4]);
        let parts: Vec<_> = (0..2).map(|_| b.conv(x, 2, [1, 1], 1)).collect();
        let y = b.op(Op::Concat { axis: 1 }, &parts, &[1, 4, 4, 4]);
        let y = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[y], &[1, 4, 4, 4]);
        let pad = Op::Pad { before: vec![0, 1, 0, 0], after: vec![0; 4], value: 0.0 };
        let y = b.op(pad, &[y], &[1, 5, 4, 4]);
        let y = b.op(rounding(0.01), &[y], &[1, 5, 4, 4]);
        let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
        assert_eq!(changes, Changes(3));
        let expected =
            ["conv", "conv", "fake_quantize", "fake_quantize", "concat", "transpose", "pad"];
        assert_eq!(names(&after), expected);
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn an_activation_between_equal_roundings_needs_the_second_only() {
        for (second, left) in [(0.25, 2), (0.125, 3)] {
            let mut b = Build::new(72);
            let x = b.input(&[1, 9]);
            let y = b.op(rounding(0.25), &[x], &[1, 9]);
            let y = b.clip(y, -0.3, 0.3);
            let y = b.op(rounding(second), &[y], &[1, 9]);
            let (after, _) = check_pass(&PASS, &b.finish(&[y]));
            assert_eq!(after.nodes.len(), left);
        }
    }

    #[test]
    fn equal_roundings_of_one_value_become_one() {
        let mut b = Build::new(73);
        let x = b.input(&[1, 4]);
        let (p, q) = (b.op(rounding(0.1), &[x], &[1, 4]), b.op(rounding(0.1), &[x], &[1, 4]));
        let r = b.op(rounding(0.2), &[x], &[1, 4]);
        let y = b.op(Op::Add, &[p, q], &[1, 4]);
        let y = b.op(Op::Add, &[y, r], &[1, 4]);
        let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
        assert_eq!((after.nodes.len(), changes), (4, Changes(1)));
    }
}
