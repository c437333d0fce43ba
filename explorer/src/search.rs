//! Which points are evaluated: all, some drawn without bias, or generation after generation from the best so far. Those of widths
//! chosen layer by layer are all points of a space that [`mixed`](crate::mixed) makes.

mod nsga2;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::space::{Search, Space, Strategy};
use crate::sweep::Row;
pub use nsga2::nsga2;

/// Most points of a sweep: every one is a line in memory.
const MOST_POINTS: u64 = 10_000_000;

/// What evaluates points: rows in the order of the points, which are never the same twice.
pub type Evaluate<'e, E> = dyn FnMut(&[u64]) -> Result<Vec<Row>, E> + 'e;

/// Number of points that a search evaluates.
///
/// # Errors
/// With the reason, if there are too many.
pub fn planned(space: &Space) -> Result<u64, String> {
    let count = match space.search.strategy {
        Strategy::Grid | Strategy::Mixed => space.count(),
        Strategy::Random | Strategy::Nsga2 => space.count().min(space.search.budget),
    };
    if count <= MOST_POINTS {
        return Ok(count);
    }
    let hint = match space.search.strategy {
        Strategy::Grid => "strategy nsga2 or random takes some of them",
        Strategy::Random | Strategy::Nsga2 | Strategy::Mixed => "a smaller budget",
    };
    Err(format!("{count} points, expected at most {MOST_POINTS}\n  hint: {hint}"))
}

/// The points that do not depend on what is found at others, in order; `None` for a search that does.
#[must_use]
pub fn fixed(space: &Space) -> Option<Vec<u64>> {
    let Search { strategy, budget, seed } = space.search;
    match strategy {
        Strategy::Grid | Strategy::Mixed => Some((0..space.count()).collect()),
        Strategy::Random => Some(drawn(space.count(), budget, seed)),
        Strategy::Nsga2 => None,
    }
}

/// `wanted` different numbers below `count`, or all, in order: Floyd's sampling (Bentley, "Programming Pearls", CACM 30(9), 1987).
fn drawn(count: u64, wanted: u64, seed: u64) -> Vec<u64> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut chosen = BTreeSet::new();
    for last in count.saturating_sub(wanted)..count {
        let drawn = rng.random_range(0..=last);
        if !chosen.insert(drawn) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().collect()
}
