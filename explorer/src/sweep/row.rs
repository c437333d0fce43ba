//! What was found at a point: one line of JSON.

use compiler::options::Options;
use serde_json::{Map, Value as Json};

use super::stages::Numbers;
use crate::space::{Axis, Constraint, Space, Value};

/// The key of the options of `qcc` that, beside those of the sweep, make the program of a point.
pub const QCC: &str = "qcc";

/// The least that a broken constraint counts.
const LEAST: f64 = 1e-9;

/// What evaluating a point gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Numbers of the report.
    pub numbers: Numbers,
    /// Why there are no more.
    pub error: Option<String>,
}

impl Outcome {
    pub(super) fn of(numbers: Numbers) -> Outcome {
        Outcome { numbers, error: None }
    }

    pub(super) fn failed(reason: String) -> Outcome {
        Outcome { numbers: Numbers::new(), error: Some(reason) }
    }

    pub(super) fn add(&mut self, found: Result<Numbers, String>) {
        match found {
            Ok(numbers) => self.numbers.extend(numbers),
            Err(reason) => self.error = self.error.take().or(Some(reason)),
        }
    }
}

/// A point and what was found there.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Number of the point.
    pub point: u64,
    /// One line of JSON without its end.
    pub line: String,
    /// Its objectives as costs, in their order, if it has all of them.
    pub costs: Option<Vec<f64>>,
    /// By how much it breaks constraints, each by its share of the bound; 0 if it keeps to all, infinite if it failed.
    pub violation: f64,
}

/// Why a line is no row of a space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no row of this sweep")]
pub struct RowError;

impl Row {
    pub(super) fn new(space: &Space, options: &Options, point: u64, outcome: Outcome) -> Row {
        let Outcome { numbers, error } = outcome;
        let mut object = Map::new();
        object.insert("point".into(), point.into());
        for (axis, value) in space.axes.iter().zip(space.values(point)) {
            let value = serde_json::to_value(value).expect("values are plain");
            object.insert(axis.name.clone(), value);
        }
        object.insert(QCC.into(), space.flags(point, options).into());
        for key in space.keys() {
            object.insert(key.to_owned(), numbers.get(key).cloned().unwrap_or(Json::Null));
        }
        let broken = space.constraints.iter().filter(|c| {
            let value = numbers.get(&c.key).and_then(Json::as_f64);
            value.is_some_and(|value| !c.holds(value))
        });
        object.insert("violates".into(), broken.map(|c| c.text.clone()).collect());
        object.insert("error".into(), error.map_or(Json::Null, Json::String));
        let line = serde_json::to_string(&object).expect("an object has only string keys");
        // Read again, so that a row is the same whether it was evaluated now or before.
        Row::parse(space, &line).expect("what was written is a row")
    }

    /// A row from its line.
    ///
    /// # Errors
    /// When the line is no row of this space.
    pub fn parse(space: &Space, line: &str) -> Result<Row, RowError> {
        let object: Map<String, Json> = serde_json::from_str(line).map_err(|_| RowError)?;
        let point = object.get("point").and_then(Json::as_u64).filter(|p| *p < space.count());
        let point = point.ok_or(RowError)?;
        let same = |(axis, value): (&Axis, &Value)| {
            let found = object.get(&axis.name).cloned().map(serde_json::from_value::<Value>);
            found.is_some_and(|found| found.is_ok_and(|found| found == *value))
        };
        if !space.axes.iter().zip(space.values(point)).all(same) {
            return Err(RowError);
        }
        let number = |key: &str| object.get(key).and_then(Json::as_f64);
        let costs = space.objectives.iter().map(|o| Some(o.cost(number(&o.key)?))).collect();
        let excess = |c: &Constraint| match number(&c.key) {
            // A strict bound that is just met is broken by next to nothing.
            Some(value) if !c.holds(value) => {
                ((value - c.bound).abs() / c.bound.abs().max(LEAST)).max(LEAST)
            }
            Some(_) | None => 0.0,
        };
        let violation = match object.get("error") {
            Some(Json::Null) => space.constraints.iter().map(excess).sum(),
            Some(_) => f64::INFINITY,
            None => return Err(RowError),
        };
        Ok(Row { point, line: line.to_owned(), costs, violation })
    }

    /// Whether it did not fail, keeps to all constraints and has all objectives.
    #[must_use]
    pub fn is_feasible(&self) -> bool {
        self.costs.is_some() && self.violation == 0.0
    }

    /// Its texts and numbers by key.
    #[must_use]
    pub fn object(&self) -> Map<String, Json> {
        serde_json::from_str(&self.line).unwrap_or_default()
    }
}
