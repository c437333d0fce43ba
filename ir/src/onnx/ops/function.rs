//! Functions of one value. Each operator is its formula in postfix, in which `x` is the operand and an attribute stands
//! for its value.

use super::{Constraint, OpSpec};
use crate::function::{Function, Primitive, Term};
use crate::graph::Op;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::{DType, Data, Tensor};

/// Attributes of an operator with their defaults in ONNX, by name.
type Attributes = &'static [(&'static str, f32)];

macro_rules! functions {
    ($($constant:ident $name:literal [$($version:literal),+] ($($attribute:ident = $default:literal),*) $formula:literal;)*) => {
        $(
            #[doc = concat!($name, ": `", $formula, "`.")]
            pub(super) const $constant: OpSpec = OpSpec {
                name: $name,
                versions: &[$($version),+],
                attributes: &[$(stringify!($attribute)),*],
                constraints: &[],
                fold: Some(|node| fold(node, &[$((stringify!($attribute), $default)),*], $formula)),
                import: Some(|node| import(node, &[$((stringify!($attribute), $default)),*], $formula)),
            };
        )*
    };
}

functions! {
    ABS "Abs" [6, 13] () "x abs";
    ACOS "Acos" [7, 22] () "x acos";
    ACOSH "Acosh" [9, 22] () "x acosh";
    ASIN "Asin" [7, 22] () "x asin";
    ASINH "Asinh" [9, 22] () "x asinh";
    ATAN "Atan" [7, 22] () "x atan";
    ATANH "Atanh" [9, 22] () "x atanh";
    CEIL "Ceil" [6, 13] () "x ceil";
    CELU "Celu" [12, 28] (alpha = 1.0) "x 0 max x alpha div exp 1 sub alpha mul 0 min add";
    COS "Cos" [7, 22] () "x cos";
    COSH "Cosh" [9, 22] () "x cosh";
    ELU "Elu" [6, 22] (alpha = 1.0) "x alpha elu";
    ERF "Erf" [9, 13] () "x erf";
    EXP "Exp" [6, 13] () "x exp";
    FLOOR "Floor" [6, 13] () "x floor";
    HARD_SWISH "HardSwish" [14, 22] () "x hard_swish";
    LEAKY_RELU "LeakyRelu" [6, 16] (alpha = 0.01) "x alpha leaky_relu";
    LOG "Log" [6, 13] () "x log";
    MISH "Mish" [18, 22] () "x softplus tanh x mul";
    RECIPROCAL "Reciprocal" [6, 13] () "x reciprocal";
    ROUND "Round" [11, 22] () "x round";
    SELU "Selu" [6, 22] (alpha = 1.673_263_2, gamma = 1.050_701) "x alpha elu gamma mul";
    SIGMOID "Sigmoid" [6, 13] () "x sigmoid";
    SIGN "Sign" [9, 13] () "x sign";
    SIN "Sin" [7, 22] () "x sin";
    SINH "Sinh" [9, 22] () "x sinh";
    SOFTPLUS "Softplus" [1, 22] () "x softplus";
    SOFTSIGN "Softsign" [1, 22] () "x softsign";
    SQRT "Sqrt" [6, 13] () "x sqrt";
    SWISH "Swish" [24] (alpha = 1.0) "x alpha mul sigmoid x mul";
    TAN "Tan" [7, 22] () "x tan";
    TANH "Tanh" [6, 13] () "x tanh";
    THRESHOLDED_RELU "ThresholdedRelu" [10, 22] (alpha = 1.0) "x alpha sub sign 0 max x mul";
}

/// Gelu.
pub(super) const GELU: OpSpec = OpSpec {
    name: "Gelu",
    versions: &[20],
    attributes: &["approximate"],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        let formula = match node.attributes().string("approximate")?.as_deref() {
            None | Some("none") => "x 2 sqrt div erf 1 add x mul 0.5 mul",
            // The constant is sqrt(2 / pi).
            Some("tanh") => {
                "x x mul x mul 0.044715 mul x add 0.7978845608 mul tanh 1 add x mul 0.5 mul"
            }
            Some(other) => {
                let (attribute, found) = ("approximate", format!("`{other}`"));
                return Err(NodeError::AttributeValue {
                    attribute,
                    found,
                    expected: "none or tanh",
                }
                .into());
            }
        };
        import(node, &[], formula)
    }),
};

/// HardSigmoid: the clip of an affine function, so that a convolution in front of it can do all of it.
pub(super) const HARD_SIGMOID: OpSpec = OpSpec {
    name: "HardSigmoid",
    versions: &[6, 22],
    attributes: &["alpha", "beta"],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        let attributes = node.attributes();
        let alpha = attributes.float("alpha")?.unwrap_or(0.2);
        let beta = attributes.float("beta")?.unwrap_or(0.5);
        let x = node.operand(0)?;
        let alpha = node.scalar_constant("alpha", alpha);
        let scaled = node.intermediate("scaled", Op::Mul, vec![x, alpha], None)?;
        let beta = node.scalar_constant("beta", beta);
        let shifted = node.intermediate("shifted", Op::Add, vec![scaled, beta], None)?;
        node.emit(Op::Clip { lo: 0.0, hi: 1.0 }, vec![shifted])
    }),
};

/// Neg: a product, which weights can take in.
pub(super) const NEG: OpSpec = OpSpec {
    name: "Neg",
    versions: &[6, 13],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| fold(node, &[], "x -1 mul")),
    import: Some(|node| {
        let x = node.operand(0)?;
        let sign = node.scalar_constant("sign", -1.0);
        node.emit(Op::Mul, vec![x, sign])
    }),
};

/// Pow with one constant.
pub(super) const POW: OpSpec = OpSpec {
    name: "Pow",
    versions: &[7, 12, 13, 15],
    attributes: &[],
    constraints: &[Constraint {
        text: "the exponent or the base is one constant",
        suggestion: "",
        violation: |node| {
            let operands = [node.known_shape(0), node.known_shape(1)];
            let found = format!(
                "operands of shapes {:?} and {:?}",
                operands[0].unwrap_or_default(),
                operands[1].unwrap_or_default()
            );
            let fits = operands.contains(&None)
                || node.constant(0).is_some() && node.constant(1).is_some()
                || node.uniform(0).is_some()
                || node.uniform(1).is_some();
            Ok((!fits).then_some(found))
        },
    }],
    fold: Some(super::arithmetic::pow),
    import: Some(|node| {
        let (x, terms) = match (node.uniform(0), node.uniform(1)) {
            (_, Some(exponent)) => (0, [Term::X, Term::Constant(exponent)]),
            (Some(base), None) => (1, [Term::Constant(base), Term::X]),
            (None, None) => return Err(NodeError::NotConstant(1).into()),
        };
        let function = Function::new([terms.as_slice(), &[Term::Apply(Primitive::Pow)]].concat())?;
        let x = node.operand(x)?;
        node.emit(Op::Unary { function }, vec![x])
    }),
};

/// The formula with the values of the attributes put in.
fn function(
    node: &NodeCtx<'_>,
    attributes: Attributes,
    formula: &str,
) -> Result<Function, NodeError> {
    let term = |word: &str| match attributes.iter().find(|(name, _)| *name == word) {
        Some((name, default)) => {
            Ok(Term::Constant(node.attributes().float(name)?.unwrap_or(*default)))
        }
        None => {
            Ok(word.parse().expect("formulas are made of `x`, attributes, numbers and primitives"))
        }
    };
    let terms = formula.split(' ').map(term).collect::<Result<_, NodeError>>()?;
    Ok(Function::new(terms)?)
}

fn import(node: &mut NodeCtx<'_>, attributes: Attributes, formula: &str) -> Imported {
    let function = function(node, attributes, formula)?;
    let x = node.operand(0)?;
    node.emit(Op::Unary { function }, vec![x])
}

/// Whether ONNX defines the function for integers: Abs, Neg and Sign.
fn of_integers(function: &Function) -> bool {
    let kept = [Primitive::Abs, Primitive::Mul, Primitive::Sign];
    function.primitives().all(|primitive| kept.contains(&primitive))
}

/// Integers are exact as far as doubles are.
fn fold(node: &mut NodeCtx<'_>, attributes: Attributes, formula: &str) -> Imported {
    let function = function(node, attributes, formula)?;
    let Tensor { shape, data } = node.required_constant(0)?;
    node.reserve(data.len(), 8)?;
    let data = match data {
        Data::I64(values) if of_integers(&function) => {
            let exact = |value: f64| value.abs() < (1u64 << 53) as f64 && value.fract() == 0.0;
            let value = |&v: &i64| {
                let y = function.evaluate(v as f64);
                (exact(v as f64) && exact(y)).then_some(y as i64)
            };
            Data::I64(values.iter().map(value).collect::<Option<_>>().ok_or(NodeError::Arithmetic)?)
        }
        Data::SplatF32 { value, count } => {
            let value = function.evaluate((*value).into()) as f32;
            Data::SplatF32 { value, count: *count }
        }
        data => {
            let wrong =
                NodeError::OperandType { operand: 0, found: data.dtype(), expected: DType::F32 };
            let values = node.required_constant(0)?.f32_iter().ok_or(wrong)?;
            Data::F32(values.map(|v| function.evaluate(v.into()) as f32).collect())
        }
    };
    let shape = shape.clone();
    node.set_constant(Tensor { shape, data })
}
