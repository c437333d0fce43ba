//! Values inside normalizations by statistics of the sample, which eight bits would ruin: squares have twice the bits of what
//! they are made of, and the root of a small variance is steep.

use std::collections::BTreeMap;

use ir::function::{Function, Primitive, Term};
use ir::graph::{Graph, Node, Op, ValueId};

/// Whether a function is `x * x`.
pub(super) fn is_square(function: &Function) -> bool {
    match function.terms() {
        [Term::X, Term::X, Term::Apply(Primitive::Mul)] => true,
        &[Term::X, Term::Constant(exponent), Term::Apply(Primitive::Pow)] => exponent == 2.0,
        _ => false,
    }
}

/// Whether a function divides by a root.
fn is_inverse_root(function: &Function) -> bool {
    let has = |primitive| function.terms().contains(&Term::Apply(primitive));
    let inverts = has(Primitive::Reciprocal) || has(Primitive::Div);
    let power = [Term::Constant(-0.5), Term::Apply(Primitive::Pow)];
    has(Primitive::Sqrt) && inverts || function.terms().ends_with(&power)
}

/// Values between the operand of a normalization and its result, and the result where scale and bias follow: deviations from
/// the mean, their squares, the mean of these, and the inverse of its root.
pub(super) fn inner_values(graph: &Graph) -> Vec<ValueId> {
    let makers: BTreeMap<ValueId, &Node> = graph.nodes.iter().map(|n| (n.output, n)).collect();
    // Who computes a value, whatever moved it since.
    let maker = |mut id: ValueId| loop {
        let node = *makers.get(&id)?;
        match node.op {
            Op::Reshape | Op::Transpose { .. } => id = node.inputs[0],
            _ => return Some(node),
        }
    };
    let mean_of = |id: ValueId| {
        let averages = |n: &&Node| matches!(n.op, Op::Dense | Op::AveragePool { .. });
        maker(id).filter(averages).map(|n| n.inputs[0])
    };
    let square_of = |id: ValueId| match maker(id).map(|n| (&n.op, &n.inputs[..])) {
        Some((Op::Unary { function }, &[x])) if is_square(function) => Some(x),
        Some((Op::Mul, &[x, y])) if x == y => Some(x),
        _ => None,
    };
    let mut inner = Vec::new();
    for root in &graph.nodes {
        let Op::Unary { function } = &root.op else { continue };
        let variance = root.inputs[0];
        let found = mean_of(variance).and_then(|squares| Some((squares, square_of(squares)?)));
        let Some((squares, x)) = found.filter(|_| is_inverse_root(function)) else { continue };
        inner.extend([variance, squares, root.output]);
        if let Some(Node { op: Op::Sub, inputs, .. }) = maker(x)
            && mean_of(inputs[1]).is_some()
        {
            inner.extend([x, inputs[1]]);
        }
        let reads = |node: &Node, of: &Node| {
            node.inputs.iter().any(|&id| maker(id).is_some_and(|m| m.output == of.output))
        };
        for product in graph.nodes.iter().filter(|n| n.op == Op::Mul && reads(n, root)) {
            let scales = |n: &&Node| matches!(n.op, Op::Conv { groups, .. } if groups > 1);
            if graph.nodes.iter().filter(scales).any(|n| reads(n, product)) {
                inner.push(product.output);
            }
        }
    }
    inner
}
