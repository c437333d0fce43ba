//! The picture of a front: a plot of two objectives, or a matrix of plots of all pairs.

use std::collections::BTreeSet;

use charts::{Chart, Grade, Point, Scatter, Variable};

use crate::front::{Front, shown};
use crate::space::{Direction, Space};
use crate::sweep::Row;

/// Draws a front among the other `rows`. A single objective stands against the numbers of the points.
#[must_use]
pub fn chart(space: &Space, rows: &[Row], front: &Front<'_>) -> Chart {
    let best: BTreeSet<u64> = front.rows().map(|row| row.point).collect();
    let mut variables: Vec<Variable> = (space.objectives.iter())
        .map(|o| Variable {
            name: o.key.clone(),
            more_is_better: Some(o.direction == Direction::Max),
        })
        .collect();
    let single = variables.len() == 1;
    if single {
        variables.push(Variable { name: "point".to_owned(), more_is_better: None });
    }
    let point = |row: &Row| {
        let found = row.object();
        let number = |key: &str| found.get(key).and_then(serde_json::Value::as_f64);
        let values: Option<Vec<f64>> = space.objectives.iter().map(|o| number(&o.key)).collect();
        let mut values = values?;
        if single {
            values.push(row.point as f64);
        }
        let grade = match (best.contains(&row.point), row.is_feasible()) {
            (true, _) => Grade::Front,
            (false, true) => Grade::Beaten,
            (false, false) => Grade::Broken,
        };
        let axes =
            space.axes.iter().map(|axis| format!("{} = {}", axis.name, shown(&found[&axis.name])));
        let tip = axes.collect::<Vec<_>>().join("\n");
        Some(Point { number: row.point, values, grade, tip })
    };
    let points = rows.iter().filter_map(point).collect();
    Scatter { name: "front", title: "The front", variables, points }.chart()
}
