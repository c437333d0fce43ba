//! Bits for every layer, so that the program fits a budget and its answers suffer least.
//!
//! `min sum d(l, b)` such that `sum cost(l, b) <= B`: the harm `d` of `b` bits for layer `l` alone is
//! [measured](crate::sensitivity) on held-out samples, the cost is what the compiler makes of it. Harms of single layers add up
//! only nearly, and so do costs, so the plan is compiled, counted, and planned again for what is left or lacking.

use std::collections::BTreeMap;

use compiler::options::Options;

use super::items::{Items, uniform_costs};
use super::{SearchError, Searcher, Tried};
use crate::bench::{Candidate, Cost, NodeCost};
use crate::judge::sqnr;

/// Bits that weights may have beside 8.
const NARROWER: [u8; 6] = [2, 3, 4, 5, 6, 7];

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of the program's constants.
    Size,
    /// Cycles of one inference.
    Cycles,
}

/// How much of it there may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So much.
    Absolute(u64),
    /// A share of what 8 bits everywhere take.
    Share(f64),
}

/// A resource and its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// What is limited.
    pub resource: Resource,
    /// To how much.
    pub limit: Limit,
}

/// What a search for widths found.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The program's measures.
    pub tried: Tried,
    /// Its integers.
    pub candidate: Candidate,
    /// The limit as a number of bytes or cycles.
    pub limit: u64,
    /// Whether the program keeps to it.
    pub met: bool,
}

impl Resource {
    /// How much of it a program takes.
    #[must_use]
    pub fn of(self, cost: &Cost) -> u64 {
        match self {
            Resource::Size => cost.bytes,
            Resource::Cycles => cost.cycles,
        }
    }

    pub(super) fn of_node(self, cost: NodeCost) -> u64 {
        match self {
            Resource::Size => cost.bytes,
            Resource::Cycles => cost.cycles,
        }
    }

    /// Its unit, in words.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Resource::Size => "bytes of constants",
            Resource::Cycles => "cycles",
        }
    }
}

/// Chooses widths of weights, and under a limit of cycles of activations too, that keep to the budget. What `base` asks of single
/// layers stays. Uniform widths that keep to the budget are tried beside, and the one with the least noise wins.
///
/// # Errors
/// When the network has no program at 8 bits.
pub fn fit<E: Send>(
    searcher: &Searcher<'_, E>,
    base: &Options,
    budget: Budget,
) -> Result<Fitted, SearchError<E>> {
    let resource = budget.resource;
    let base = &Options { weight_bits: 8, weight_bits_everywhere: true, ..base.clone() };
    let (eight, eight_made) = searcher.attempt("8 bits everywhere".into(), base)?;
    let limit = match budget.limit {
        Limit::Absolute(limit) => limit,
        // The cast saturates.
        Limit::Share(share) => (share * resource.of(&eight.cost) as f64) as u64,
    };
    let few = searcher.few()?;
    let measure = &searcher.measure(&few);
    let mut uniform = uniform_costs(measure, base, &NARROWER)?;
    uniform.insert(8, eight.cost.clone());
    let known = &mut Vec::new();
    let mut items = Items::weights(measure, base, resource, &uniform, known)?;
    if resource == Resource::Cycles {
        let (least, _) = items.span();
        items.add_activations(measure, &eight.cost, limit.saturating_sub(least), known)?;
    }
    let plan = items.plan_within(measure, limit)?.unwrap_or_else(|| items.cheapest());
    let mut best = searcher.attempt("bits by layer".into(), &items.options(&plan))?;
    let rivals = if resource.of(&eight.cost) <= limit {
        best = nearer(best, (eight, eight_made), resource, limit);
        Vec::new()
    } else {
        rivals(base, resource, &uniform, limit)
    };
    for rival in rivals {
        let bits = rival.weight_bits;
        let kept = if rival.weight_bits_everywhere { "" } else { ", but 8 for delicate layers" };
        if let Ok(rival) = searcher.attempt(format!("{bits} bits for all weights{kept}"), &rival) {
            best = nearer(best, rival, resource, limit);
        }
    }
    let (tried, candidate) = best;
    let met = resource.of(&tried.cost) <= limit;
    Ok(Fitted { tried, candidate, limit, met })
}

type Attempt = (Tried, Candidate);

/// The one that keeps to the limit and has less noise; if none does, the first.
fn nearer(a: Attempt, b: Attempt, resource: Resource, limit: u64) -> Attempt {
    let fits = |attempt: &Attempt| resource.of(&attempt.0.cost) <= limit;
    let better = sqnr(&b.0.accuracy) > sqnr(&a.0.accuracy);
    if fits(&b) && (better || !fits(&a)) { b } else { a }
}

/// Uniform widths that may keep to the limit: the widest for all weights, and the widest with the rule of `qcc --weight-bits`.
fn rivals(
    base: &Options,
    resource: Resource,
    uniform: &BTreeMap<u8, Cost>,
    limit: u64,
) -> Vec<Options> {
    let fitting = uniform.iter().filter(|(bits, cost)| **bits < 8 && resource.of(cost) <= limit);
    let Some(widest) = fitting.map(|(bits, _)| *bits).max() else {
        return Vec::new();
    };
    let with = |weight_bits_everywhere| Options {
        weight_bits: widest,
        weight_bits_everywhere,
        ..base.clone()
    };
    vec![with(true), with(false)]
}
