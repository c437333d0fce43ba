//! Functions of one real variable: what an operator computes that looks at one element at a time.
//!
//! A function is written in postfix: `x 3 add 0 max 6 min x mul 6 div` is `x * min(max(x + 3, 0), 6) / 6`. So whatever
//! way a file spells an activation, it is one operator of the graph, and one table of the machine.

mod primitive;

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use thiserror::Error;

pub use primitive::Primitive;

/// Most terms of a function. Real activations have at most thirty.
pub const MAX_TERMS: usize = 128;

/// A function of `x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    terms: Vec<Term>,
}

/// One term of a function in postfix form.
#[derive(Clone, Copy, PartialEq)]
pub enum Term {
    /// The variable.
    X,
    /// A number.
    Constant(f32),
    /// A primitive function of the results before it.
    Apply(Primitive),
}

/// Why terms are no function.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FunctionError {
    /// Too few results in front of a primitive.
    #[error("`{primitive}` has too few operands in front of it")]
    Operands {
        /// Text name of the primitive.
        primitive: &'static str,
    },
    /// An attribute that is not a number.
    #[error("`{attribute}` of `{primitive}` must be a number")]
    Attribute {
        /// Text name of the primitive.
        primitive: &'static str,
        /// Name of the attribute.
        attribute: &'static str,
    },
    /// Not exactly one result.
    #[error("the function ends with {found} results, expected 1")]
    Results {
        /// Results left at the end.
        found: usize,
    },
    /// A function without its variable.
    #[error("the function does not use `x`")]
    Variable,
    /// A constant that is no number.
    #[error("a constant of the function is not a number")]
    Constant,
    /// Too long.
    #[error("the function has {found} terms, expected at most {MAX_TERMS}")]
    TooLong {
        /// Terms given.
        found: usize,
    },
}

impl Function {
    /// The function that `terms` spell.
    ///
    /// # Errors
    /// When they spell none, a constant or attribute is not a number, or there are more than [`MAX_TERMS`].
    pub fn new(terms: Vec<Term>) -> Result<Function, FunctionError> {
        if terms.len() > MAX_TERMS {
            return Err(FunctionError::TooLong { found: terms.len() });
        }
        // Of each result: whether it is a number in the text.
        let mut literal = Vec::new();
        for term in &terms {
            match term {
                Term::X => literal.push(false),
                Term::Constant(value) if value.is_nan() => return Err(FunctionError::Constant),
                Term::Constant(_) => literal.push(true),
                Term::Apply(primitive) => {
                    let name = primitive.name();
                    let attributes = primitive.attributes();
                    let needed = primitive.operands() + attributes.len();
                    let rest = literal.len().checked_sub(needed);
                    let rest = rest.ok_or(FunctionError::Operands { primitive: name })?;
                    let given = &literal[rest + primitive.operands()..];
                    if let Some(at) = given.iter().position(|is_number| !is_number) {
                        let attribute = attributes[at];
                        return Err(FunctionError::Attribute { primitive: name, attribute });
                    }
                    literal.truncate(rest);
                    literal.push(false);
                }
            }
        }
        if literal.len() != 1 {
            return Err(FunctionError::Results { found: literal.len() });
        }
        if !terms.contains(&Term::X) {
            return Err(FunctionError::Variable);
        }
        Ok(Function { terms })
    }

    /// A primitive of one operand, applied to `x`.
    ///
    /// # Errors
    /// When it has more operands, or `attributes` are not its attributes.
    pub fn of(primitive: Primitive, attributes: &[f32]) -> Result<Function, FunctionError> {
        let numbers = attributes.iter().copied().map(Term::Constant);
        Function::new(
            [Term::X].into_iter().chain(numbers).chain([Term::Apply(primitive)]).collect(),
        )
    }

    /// The function that returns `x`.
    #[must_use]
    pub fn identity() -> Function {
        Function { terms: vec![Term::X] }
    }

    /// The terms.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The value at `x`, in double precision, through the libm crate on every machine. Not a number where the function
    /// is not defined.
    #[must_use]
    pub fn evaluate(&self, x: f64) -> f64 {
        let mut stack = Vec::with_capacity(8);
        for term in &self.terms {
            match term {
                Term::X => stack.push(x),
                Term::Constant(value) => stack.push(f64::from(*value)),
                Term::Apply(primitive) => {
                    let rest = stack.len() - primitive.operands() - primitive.attributes().len();
                    let value = primitive.evaluate(&stack[rest..]);
                    stack.truncate(rest);
                    stack.push(value);
                }
            }
        }
        stack[0]
    }

    /// The primitives, in order of evaluation.
    pub fn primitives(&self) -> impl Iterator<Item = Primitive> {
        self.terms.iter().filter_map(|term| match term {
            Term::Apply(primitive) => Some(*primitive),
            Term::X | Term::Constant(_) => None,
        })
    }

    /// `(scale, shift)` if the function is `scale * x + shift`, told by its form.
    #[must_use]
    pub fn affine(&self) -> Option<(f64, f64)> {
        let mut stack: Vec<(f64, f64)> = Vec::new();
        for term in &self.terms {
            let value = match term {
                Term::X => (1.0, 0.0),
                Term::Constant(value) => (0.0, f64::from(*value)),
                Term::Apply(primitive) => {
                    let (b, a) = (stack.pop()?, stack.pop()?);
                    match primitive {
                        Primitive::Add => (a.0 + b.0, a.1 + b.1),
                        Primitive::Sub => (a.0 - b.0, a.1 - b.1),
                        Primitive::Mul if a.0 == 0.0 => (a.1 * b.0, a.1 * b.1),
                        Primitive::Mul if b.0 == 0.0 => (a.0 * b.1, a.1 * b.1),
                        Primitive::Div if b.0 == 0.0 => (a.0 / b.1, a.1 / b.1),
                        _ => return None,
                    }
                }
            };
            stack.push(value);
        }
        stack.pop()
    }

    /// The function with the bounds that it ends with taken off: `max` and `min` with a number as second operand.
    #[must_use]
    pub fn unclipped(&self) -> Function {
        let mut terms = self.terms.as_slice();
        while let [inner @ .., Term::Constant(_), Term::Apply(Primitive::Max | Primitive::Min)] =
            terms
        {
            terms = inner;
        }
        Function { terms: terms.to_vec() }
    }

    /// ONNX operators of which the function consists, joined by `-`: `HardSwish`, `Sigmoid-Mul`.
    #[must_use]
    pub fn onnx_name(&self) -> String {
        self.primitives().map(Primitive::onnx).collect::<Vec<_>>().join("-")
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Term::X => f.write_str("x"),
            Term::Constant(value) => write!(f, "{value:?}"),
            Term::Apply(primitive) => f.write_str(primitive.name()),
        }
    }
}

/// As it is written, so that lists of terms read as functions.
impl Debug for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl FromStr for Term {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> Result<Term, Self::Err> {
        match (text, Primitive::from_name(text)) {
            ("x", _) => Ok(Term::X),
            (_, Some(primitive)) => Ok(Term::Apply(primitive)),
            (_, None) => text.parse().map(Term::Constant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Function, FunctionError> {
        Function::new(text.split(' ').map(|word| word.parse().unwrap()).collect())
    }

    #[test]
    fn postfix_is_checked_and_evaluated() {
        let hard_swish = parse("x 3 add 0 max 6 min x mul 6 div").unwrap();
        for (x, y) in [(-4.0, 0.0), (-1.5, -0.375), (0.0, 0.0), (3.0, 3.0), (7.0, 7.0)] {
            assert_eq!(
                (
                    hard_swish.evaluate(x),
                    Function::of(Primitive::HardSwish, &[]).unwrap().evaluate(x)
                ),
                (y, y)
            );
        }
        assert_eq!(hard_swish.onnx_name(), "Add-Max-Min-Mul-Div");
        assert_eq!(parse("x add"), Err(FunctionError::Operands { primitive: "add" }));
        assert_eq!(parse("x x"), Err(FunctionError::Results { found: 2 }));
        assert_eq!(parse("x nan add"), Err(FunctionError::Constant));
        assert_eq!(parse("1 2 add"), Err(FunctionError::Variable));
        let attribute = FunctionError::Attribute { primitive: "elu", attribute: "alpha" };
        assert_eq!(parse("x x elu"), Err(attribute));
        let long = vec!["x abs"; 1].into_iter().chain(vec!["abs"; MAX_TERMS]).collect::<Vec<_>>();
        assert_eq!(parse(&long.join(" ")), Err(FunctionError::TooLong { found: MAX_TERMS + 2 }));
    }

    #[test]
    fn terms_print_as_they_parse() {
        for text in ["x", "0.1", "-inf", "leaky_relu", "1e-40"] {
            assert_eq!(text.parse::<Term>().unwrap().to_string(), text);
        }
        for primitive in Primitive::ALL {
            assert_eq!(primitive.name().parse(), Ok(Term::Apply(*primitive)));
        }
        assert!("sigmoidal".parse::<Term>().is_err());
    }

    #[test]
    fn affine_functions_are_known_by_their_form() {
        assert_eq!(parse("2 x 3 sub mul x add 4 div").unwrap().affine(), Some((0.75, -1.5)));
        assert_eq!(parse("x x mul").unwrap().affine(), None);
        assert_eq!(parse("x abs").unwrap().affine(), None);
        let clipped = parse("x 3 add 0 max 6 min").unwrap();
        assert_eq!(clipped.unclipped(), parse("x 3 add").unwrap());
        let both = parse("x 3 add x 2 mul max").unwrap();
        assert_eq!(both.unclipped(), both);
    }
}
