//! A sweep of the strategy `mixed` as a curve: every point with the bits of every layer, from the cheapest to the dearest.

use serde_json::Value as Json;

use crate::front::{Front, aligned, shown};
use crate::space::{Direction, Space, WIDTHS};
use crate::sweep::Row;

/// Head of the last column.
const LAYERS: &str = "bits by layer";

/// All points of a space with assignments, by the objectives that are to be small, the first one first, then by the others: a line
/// each with axes, objectives, whether it is on the front, and bits per weight of each layer in the order of the graph.
#[must_use]
pub fn curve(space: &Space, rows: &[Row]) -> String {
    let front = Front::of(space, rows);
    let best: Vec<u64> = front.rows().map(|row| row.point).collect();
    let (costs, gains): (Vec<_>, Vec<_>) =
        space.objectives.iter().partition(|o| o.direction == Direction::Min);
    let keys: Vec<&str> = costs.iter().chain(&gains).map(|o| o.key.as_str()).collect();
    let mut sorted: Vec<_> = rows.iter().map(|row| (row, row.object())).collect();
    sorted.sort_by(|(_, a), (_, b)| {
        let number = |found: &serde_json::Map<String, Json>, key: &str| {
            found[key].as_f64().unwrap_or(f64::INFINITY)
        };
        let orders = keys.iter().map(|key| number(a, key).total_cmp(&number(b, key)));
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let axes = space.axes.iter().map(|axis| axis.name.as_str());
    let columns: Vec<&str> =
        ["point"].into_iter().chain(axes).chain(keys.iter().copied()).collect();
    let head = columns.iter().copied().chain(["front", LAYERS]).map(str::to_owned).collect();
    let mut lines: Vec<Vec<String>> = vec![head];
    for (row, found) in sorted {
        let named = |a: &&crate::space::Assignment| found[WIDTHS] == Json::String(a.name.clone());
        let layers = space.assignments.iter().find(named).map(|a| a.layers.clone());
        let on_front = if best.contains(&row.point) { "*" } else { "" };
        let cells = columns.iter().map(|column| shown(&found[*column]));
        let rest = [on_front.to_owned(), layers.unwrap_or_default()];
        lines.push(cells.chain(rest).collect());
    }
    aligned(&lines)
}
