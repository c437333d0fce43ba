//! What an axis takes, and how two of them compare.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One value of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A finite fraction.
    Number(f64),
    /// A name.
    Word(String),
}

impl Value {
    /// Its number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Number(number) => Some(*number),
            Value::Flag(_) | Value::Word(_) => None,
        }
    }

    /// Whether both are numbers, both words, or both flags.
    #[must_use]
    pub fn is_like(&self, other: &Value) -> bool {
        self.compared(other).is_some()
    }

    fn compared(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Flag(a), Value::Flag(b)) => Some(a.cmp(b)),
            (Value::Word(a), Value::Word(b)) => Some(a.cmp(b)),
            (a, b) => a.number()?.partial_cmp(&b.number()?),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(flag) => flag.fmt(f),
            Value::Integer(number) => number.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Word(word) => word.fmt(f),
        }
    }
}

/// How a constraint compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `>`
    Above,
}

impl Comparison {
    /// All of them; longer signs come first, so that the first that fits is the one that is meant.
    const ALL: [(&'static str, Comparison); 6] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Below),
        (">", Comparison::Above),
    ];

    /// The sign that `text` begins with, and what follows it.
    #[must_use]
    pub fn split(text: &str) -> Option<(Comparison, &str)> {
        let found = |(sign, comparison): (&str, Comparison)| {
            Some((comparison, text.trim().strip_prefix(sign)?.trim()))
        };
        Comparison::ALL.into_iter().find_map(found)
    }

    /// Whether it holds between two values; never between a number and a word.
    #[must_use]
    pub fn holds(self, left: &Value, right: &Value) -> bool {
        left.compared(right).is_some_and(|order| self.accepts(order))
    }

    /// Whether it holds between two numbers.
    #[must_use]
    pub fn holds_between(self, left: f64, right: f64) -> bool {
        left.partial_cmp(&right).is_some_and(|order| self.accepts(order))
    }

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::Unequal => order.is_ne(),
            Comparison::AtMost => order.is_le(),
            Comparison::AtLeast => order.is_ge(),
            Comparison::Below => order.is_lt(),
            Comparison::Above => order.is_gt(),
        }
    }
}
