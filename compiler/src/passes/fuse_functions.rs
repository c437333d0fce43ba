//! Replaces every subgraph that is a function of one value, element by element, by one operator.
//!
//! Files spell activations in many ways: HardSwish as `x * clip(x + 3, 0, 6) / 6`, LeakyRelu as `max(x, 0.1 * x)`, SiLU as
//! `x * sigmoid(x)`. Whatever the spelling, the machine looks the result up in one table, so only what the subgraph computes matters.
//! Left alone is what costs nothing elsewhere: a bias or factor that weights can take in, and a clip that is the saturation of
//! the operator in front of it.

use ir::function::{Function, FunctionError, Primitive, Term};
use ir::graph::{Graph, Op, ValueId};

use super::edit::{finish, floats, is_arithmetic, private_producer, producer, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "fuse-functions",
    about: "merge operators that compute a function of one value, however it is spelled, into one",
    run,
};

/// A value as a function of another one of the same shape.
type Known = Option<(ValueId, Function)>;

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    let mut known: Vec<Known> = vec![None; graph.values.len()];
    for index in 0..graph.nodes.len() {
        let Some((source, function)) = compose(graph, &known, index) else {
            continue;
        };
        if belongs_in_front(graph, &known, index) {
            continue;
        }
        let node = &graph.nodes[index];
        let behind_table = node.inputs.iter().any(|&x| is_table(graph, x));
        if behind_table || function.unclipped().affine().is_none() {
            let op = Op::Unary { function: function.clone() };
            if node.op != op || node.inputs != [source] {
                (graph.nodes[index].op, graph.nodes[index].inputs) = (op, vec![source]);
                changes += 1;
            }
        }
        known[graph.nodes[index].output.0 as usize] = Some((source, function));
    }
    Ok(finish(graph, changes))
}

/// The result of node `index` as a function of one value, if it is one.
fn compose(graph: &Graph, known: &[Known], index: usize) -> Known {
    let node = &graph.nodes[index];
    let mut source = None;
    let mut operands = Vec::new();
    for &x in &node.inputs {
        let terms = match (uniform(graph, x), &known[x.0 as usize]) {
            (Some(value), _) => vec![Term::Constant(value)],
            (None, Some((root, function))) => {
                source.get_or_insert(*root);
                if source != Some(*root) {
                    return None;
                }
                function.terms().to_vec()
            }
            (None, None) => {
                source.get_or_insert(x);
                if source != Some(x) {
                    return None;
                }
                vec![Term::X]
            }
        };
        operands.push(terms);
    }
    let source = source?;
    if shape(graph, source) != shape(graph, node.output) {
        return None;
    }
    let function = of_node(&node.op, operands)?.ok()?;
    Some((source, function))
}

/// The function that `op` makes of its operands' terms; `None` if it is not elementwise.
fn of_node(op: &Op, mut operands: Vec<Vec<Term>>) -> Option<Result<Function, FunctionError>> {
    let primitive = match op {
        Op::Add => Primitive::Add,
        Op::Sub => Primitive::Sub,
        Op::Mul => Primitive::Mul,
        Op::Max => Primitive::Max,
        Op::Min => Primitive::Min,
        Op::PRelu => Primitive::LeakyRelu,
        Op::Clip { lo, hi } => {
            let mut terms = operands.pop()?;
            for (bound, primitive) in [(*lo, Primitive::Max), (*hi, Primitive::Min)] {
                if bound.is_finite() {
                    terms.extend([Term::Constant(bound), Term::Apply(primitive)]);
                }
            }
            return Some(Function::new(terms));
        }
        Op::Unary { function } => {
            let inner = operands.pop()?;
            let term = |term: &Term| if *term == Term::X { inner.clone() } else { vec![*term] };
            return Some(Function::new(function.terms().iter().flat_map(term).collect()));
        }
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::BatchNorm { .. }
        | Op::Lrn { .. }
        | Op::Interpolate { .. }
        | Op::MaxPool { .. }
        | Op::AveragePool { .. }
        | Op::ReduceMean { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Gather { .. }
        | Op::FakeQuantize { .. }
        | Op::Pad { .. }
        | Op::Softmax { .. } => return None,
    };
    operands.push(vec![Term::Apply(primitive)]);
    Some(Function::new(operands.concat()))
}

/// Whether node `index` is a clip, a bias or a factor right behind arithmetic that only it uses, which can take it in.
fn belongs_in_front(graph: &Graph, known: &[Known], index: usize) -> bool {
    let node = &graph.nodes[index];
    let simple = matches!(node.op, Op::Clip { .. } | Op::Add | Op::Sub | Op::Mul);
    let computed = node.inputs.iter().find(|&&x| floats(graph, x).is_none());
    simple
        && computed.is_some_and(|&x| {
            known[x.0 as usize].is_none()
                && private_producer(graph, x)
                    .is_some_and(|maker| is_arithmetic(&graph.nodes[maker].op))
        })
}

fn is_table(graph: &Graph, x: ValueId) -> bool {
    producer(graph, x).is_some_and(|maker| matches!(graph.nodes[maker].op, Op::Unary { .. }))
}

/// The one number that a constant consists of.
fn uniform(graph: &Graph, id: ValueId) -> Option<f32> {
    let values = floats(graph, id)?;
    let first = *values.first()?;
    values.iter().all(|&value| value == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    fn function(text: &str) -> Op {
        let terms = text.split(' ').map(|term| term.parse().unwrap()).collect();
        Op::Unary { function: Function::new(terms).unwrap() }
    }

    /// Nodes left of `y = spell(x)`, and whether `x` is computed by a convolution with another user.
    fn spelled(shared: bool, spell: impl Fn(&mut Build, ValueId, &[usize]) -> ValueId) -> Vec<Op> {
        let mut b = Build::new(50);
        let s = [1, 3, 4, 5];
        let input = b.input(&s);
        let x = b.conv(input, 3, [1, 1], 1);
        let y = spell(&mut b, x, &s);
        let outputs = if shared { vec![y, x] } else { vec![y] };
        let (after, _) = check_pass(&PASS, &b.finish(&outputs));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
        let (after, _) = check_pass(&super::super::remove_dead::PASS, &after);
        let ops = after.nodes.into_iter().map(|node| node.op);
        ops.filter(|op| !matches!(op, Op::Conv { .. })).collect()
    }

    #[test]
    fn hard_swish_in_three_spellings() {
        let gate = |b: &mut Build, x, s: &[usize]| {
            let three = b.constant_of(&[1, 1, 1, 1], vec![3.0]);
            let sum = b.op(Op::Add, &[three, x], s);
            b.clip(sum, 0.0, 6.0)
        };
        let spellings = [
            (true, "x 3 x add 0 max 6 min mul 0.16666667 mul"),
            (false, "x 3 x add 0 max 6 min 0.16666667 mul mul"),
        ];
        for (product_first, expected) in spellings {
            let nodes = spelled(false, |b, x, s| {
                let six = b.constant_of(&[], vec![1.0 / 6.0]);
                let gate = gate(b, x, s);
                if product_first {
                    let y = b.op(Op::Mul, &[x, gate], s);
                    b.op(Op::Mul, &[y, six], s)
                } else {
                    let scaled = b.op(Op::Mul, &[gate, six], s);
                    b.op(Op::Mul, &[x, scaled], s)
                }
            });
            assert_eq!(nodes, [function(expected)]);
        }
        let half = spelled(true, |b, x, s| {
            let (scale, shift) = (b.constant_of(&[], vec![0.25]), b.constant_of(&[], vec![0.5]));
            let scaled = b.op(Op::Mul, &[x, scale], s);
            let shifted = b.op(Op::Add, &[scaled, shift], s);
            let gate = b.clip(shifted, 0.0, 1.0);
            b.op(Op::Mul, &[gate, x], s)
        });
        assert_eq!(half, [function("x 0.25 mul 0.5 add 0 max 1 min x mul")]);
    }

    #[test]
    fn chains_and_diamonds_become_one() {
        let leaky = spelled(false, |b, x, s| {
            let slope = b.constant_of(&[3, 1, 1], vec![0.1; 3]);
            let scaled = b.op(Op::Mul, &[x, slope], s);
            b.op(Op::Max, &[x, scaled], s)
        });
        assert_eq!(leaky, [function("x x 0.1 mul max")]);
        let prelu = spelled(false, |b, x, s| {
            let slope = b.constant_of(&[3, 1, 1], vec![0.1; 3]);
            b.op(Op::PRelu, &[x, slope], s)
        });
        assert_eq!(prelu, [function("x 0.1 leaky_relu")]);
        let chain = spelled(false, |b, x, s| {
            let gate = b.op(function("x sigmoid"), &[x], s);
            let silu = b.op(Op::Mul, &[x, gate], s);
            let y = b.op(function("x tanh"), &[silu], s);
            let two = b.constant_of(&[], vec![2.0]);
            let y = b.op(Op::Mul, &[two, y], s);
            let y = b.clip(y, -1.0, f32::INFINITY);
            b.op(Op::Min, &[y, gate], s)
        });
        assert_eq!(chain, [function("2 x x sigmoid mul tanh mul -1 max x sigmoid min")]);
    }

    #[test]
    fn what_is_free_in_the_operator_in_front_stays_there() {
        let relu = spelled(false, |b, x, s| {
            let bias = b.constant_of(&[], vec![0.5]);
            let y = b.op(Op::Add, &[x, bias], s);
            let y = b.relu(y);
            b.op(function("x sigmoid"), &[y], s)
        });
        let clip = Op::Clip { lo: 0.0, hi: f32::INFINITY };
        assert_eq!(
            relu,
            [Op::Add, clip, function("x sigmoid")],
            "bias and clip join the convolution"
        );
        let clip = spelled(false, |b, x, s| {
            let y = b.clip(x, 0.0, 6.0);
            b.op(function("x x mul"), &[y], s)
        });
        assert_eq!(clip, [Op::Clip { lo: 0.0, hi: 6.0 }, function("x x mul")]);
        let hard_sigmoid = spelled(true, |b, x, s| {
            let scale = b.constant_of(&[], vec![0.2]);
            let y = b.op(Op::Mul, &[x, scale], s);
            b.clip(y, 0.0, 1.0)
        });
        assert_eq!(hard_sigmoid, [Op::Mul, Op::Clip { lo: 0.0, hi: 1.0 }]);
    }

    #[test]
    fn two_values_and_varying_constants_are_no_function() {
        let varying = spelled(false, |b, x, s| {
            let slope = b.constant(&[3, 1, 1]);
            let scaled = b.op(Op::Mul, &[x, slope], s);
            b.op(Op::Max, &[x, scaled], s)
        });
        assert_eq!(varying, [Op::Mul, Op::Max]);
        let mut b = Build::new(51);
        let (x, z) = (b.input(&[1, 4]), b.input(&[1, 4]));
        let gate = b.op(function("x sigmoid"), &[z], &[1, 4]);
        let y = b.op(Op::Mul, &[x, gate], &[1, 4]);
        let tall = b.constant_of(&[2, 1], vec![1.0; 2]);
        let w = b.op(Op::Mul, &[gate, tall], &[2, 4]);
        assert_eq!(check_pass(&PASS, &b.finish(&[y, w])).1, Changes(0));
    }

    #[test]
    fn a_function_does_not_grow_without_end() {
        let mut b = Build::new(52);
        let mut x = b.input(&[1, 4]);
        for _ in 0..10 {
            x = b.op(function("x x tanh mul"), &[x], &[1, 4]);
        }
        let (after, _) = check_pass(&PASS, &b.finish(&[x]));
        let long = |node: &ir::graph::Node| match &node.op {
            Op::Unary { function } => function.terms().len() > ir::function::MAX_TERMS,
            _ => false,
        };
        assert!(!after.nodes.iter().any(long));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }
}
