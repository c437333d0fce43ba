//! Rules of the float graph.

use super::Problem;
use super::structure::Structure;
use crate::graph::{Graph, Node, Op, Value};
use crate::infer::infer;
use crate::qgraph::QType;
use crate::tensor::{DType, Tensor, TensorError, element_count};

/// All broken rules of `graph`.
pub(super) fn problems(graph: &Graph) -> Vec<Problem> {
    let structure = Structure {
        values: graph.values.iter().map(|v| (v.name.as_str(), v.constant.is_some())).collect(),
        nodes: graph
            .nodes
            .iter()
            .map(|n| (n.name.as_str(), n.inputs.as_slice(), n.output))
            .collect(),
        inputs: &graph.inputs,
        outputs: &graph.outputs,
    };
    let mut problems = structure.problems();
    for value in &graph.values {
        check_value(value, &mut problems);
    }
    for node in &graph.nodes {
        check_parameters(node, &mut problems);
        check_node(graph, node, &mut problems);
    }
    problems
}

fn check_value(value: &Value, problems: &mut Vec<Problem>) {
    let addressable = element_count(&value.shape).is_some_and(|count| count > 0);
    if !addressable {
        problems.push(Problem::Extents { value: value.name.clone(), shape: value.shape.clone() });
    }
    let Some(tensor) = &value.constant else {
        return;
    };
    let Tensor { shape, data } = tensor;
    if element_count(shape) != Some(data.len()) {
        let source = count_error(shape, data.len());
        problems.push(Problem::Constant { value: value.name.clone(), source });
    }
    if (data.dtype(), shape) != (value.dtype, &value.shape) {
        let text = |dtype: DType, shape: &[usize]| format!("{}{shape:?}", dtype.name());
        problems.push(Problem::ConstantType {
            value: value.name.clone(),
            declared: text(value.dtype, &value.shape),
            held: text(data.dtype(), shape),
        });
    }
}

fn count_error(shape: &[usize], found: usize) -> TensorError {
    match element_count(shape) {
        Some(expected) => TensorError::Count { shape: shape.to_vec(), expected, found },
        None => TensorError::TooLarge { shape: shape.to_vec() },
    }
}

/// Numbers in the operator that no shape rule sees.
fn check_parameters(node: &Node, problems: &mut Vec<Problem>) {
    let mut bad = |parameter, found: f32, expected: &str| {
        problems.push(Problem::Parameter {
            node: node.name.clone(),
            parameter,
            found: found.to_string(),
            expected: expected.to_owned(),
        });
    };
    match &node.op {
        Op::Clip { lo, hi } => {
            if lo.is_nan() {
                bad("the lower bound", *lo, "a number");
            }
            if hi.is_nan() {
                bad("the upper bound", *hi, "a number");
            }
        }
        Op::Lrn { size, alpha, beta, bias } => {
            if *size == 0 {
                bad("the size", 0.0, "at least 1");
            }
            if !alpha.is_finite() || *alpha < 0.0 {
                bad("alpha", *alpha, "a finite number of at least 0");
            }
            if !beta.is_finite() {
                bad("beta", *beta, "a finite number");
            }
            if !bias.is_finite() || *bias <= 0.0 {
                bad("bias", *bias, "a finite number above 0");
            }
        }
        Op::BatchNorm { epsilon } => {
            if !epsilon.is_finite() || *epsilon < 0.0 {
                bad("epsilon", *epsilon, "a finite number of at least 0");
            }
        }
        Op::FakeQuantize { to } => {
            if !to.scale.is_normal() || to.scale < 0.0 {
                bad("scale", to.scale, "a positive normal number");
            }
            let (lo, hi) = to.dtype.range();
            let fits = match to.dtype {
                QType::I8 => (lo..=hi).contains(&to.zero_point),
                QType::I16 => to.zero_point == 0,
            };
            if !fits {
                bad("zero point", to.zero_point as f32, "-128 to 127 for int8, 0 for int16");
            }
        }
        Op::MatMul { scale } => {
            if !scale.is_normal() || *scale < 0.0 {
                bad("the factor", *scale, "a positive normal number");
            }
        }
        Op::Pad { value, .. } => {
            if value.is_nan() {
                bad("the padding value", *value, "a number");
            }
        }
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Interpolate { .. }
        | Op::Max
        | Op::Min
        | Op::Unary { .. }
        | Op::PRelu
        | Op::MaxPool { .. }
        | Op::AveragePool { .. }
        | Op::ReduceMean { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Gather { .. }
        | Op::Softmax { .. } => {}
    }
}

fn check_node(graph: &Graph, node: &Node, problems: &mut Vec<Problem>) {
    let operands: Option<Vec<&Value>> = node.inputs.iter().map(|&id| graph.value(id)).collect();
    // Ids out of range are reported with the structure.
    let (Some(operands), Some(result)) = (operands, graph.value(node.output)) else {
        return;
    };
    for value in operands.iter().copied().chain([result]) {
        if value.dtype != DType::F32 {
            problems.push(Problem::ElementType {
                node: node.name.clone(),
                value: value.name.clone(),
                found: value.dtype,
                expected: DType::F32,
            });
        }
    }
    if let Some(first) = node.op.constant_operands_from() {
        for (operand, value) in operands.iter().enumerate().skip(first) {
            if value.constant.is_none() {
                problems.push(Problem::NotConstant { node: node.name.clone(), operand });
            }
        }
    }
    let shapes: Vec<&[usize]> = operands.iter().map(|v| v.shape.as_slice()).collect();
    match infer(&node.op, &shapes) {
        Err(source) => problems.push(Problem::Operands { node: node.name.clone(), source }),
        Ok(rule) => {
            if !rule.admits(&result.shape) {
                problems.push(Problem::ResultShape {
                    node: node.name.clone(),
                    found: result.shape.clone(),
                    expected: rule,
                });
            }
        }
    }
}
