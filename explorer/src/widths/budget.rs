//! Bits for every layer, so that the program fits a budget and its answers suffer least.
//!
//! `min sum d(l, b)` such that `sum cost(l, b) <= B`: the harm `d` of `b` bits for layer `l` alone is
//! [measured](crate::sensitivity) on held-out samples, the cost is what the compiler makes of it. Harms of single layers add up
//! only nearly, and so do costs, so the plan is compiled, counted, and planned again for what is left or lacking.

use std::collections::BTreeMap;

use compiler::compile::CompileError;
use compiler::options::Options;
use compiler::quantize::layer_bits;
use rayon::prelude::*;

use super::{SearchError, Searcher, Tried};
use crate::bench::{Candidate, Cost, NodeCost};
use crate::judge::sqnr;
use crate::knapsack::{Choice, choose};
use crate::sensitivity::{Bits, Change};

/// Bits that weights may have.
const WEIGHTS: std::ops::RangeInclusive<u8> = 2..=8;

/// Plans made at most: each one corrects the room by what the one before missed.
const PLANS: usize = 8;

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

    fn of_node(self, cost: NodeCost) -> u64 {
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

/// One decision: choices with what they cost more than the cheapest, and the change that each makes to the base.
struct Item {
    choices: Vec<Choice>,
    changes: Vec<Option<Change>>,
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
    let uniform = uniform_costs(searcher, base, eight.cost.clone())?;
    let mut items = weight_items(searcher, base, resource, &uniform)?;
    // What the cheapest choices take together.
    let spared: u64 = items.iter().filter_map(|item| item.choices.last()).map(|c| c.cost).sum();
    let least = resource.of(&eight.cost).saturating_sub(spared);
    if resource == Resource::Cycles {
        items.extend(activation_items(searcher, base, &eight, limit.saturating_sub(least))?);
    }
    let mut best = planned(searcher, base, budget.resource, &items, limit, least)?;
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

/// Costs with the same bits for all weights, by bits.
fn uniform_costs<E: Send>(
    searcher: &Searcher<'_, E>,
    base: &Options,
    eight: Cost,
) -> Result<BTreeMap<u8, Cost>, SearchError<E>> {
    let narrower: Vec<u8> = WEIGHTS.filter(|bits| *bits < 8).collect();
    searcher.listener.begin("counting widths", narrower.len());
    let cost = |&bits: &u8| -> Result<(u8, Cost), SearchError<E>> {
        let options = Options { weight_bits: bits, ..base.clone() };
        let graph = searcher.bench.sketch(&options, searcher.bench.hardware())?;
        let cost = searcher.bench.cost(&graph)?;
        searcher.listener.tick();
        Ok((bits, cost))
    };
    let mut costs: BTreeMap<u8, Cost> =
        narrower.par_iter().map(cost).collect::<Result<_, SearchError<E>>>()?;
    costs.insert(8, eight);
    Ok(costs)
}

/// For each layer with weights the widths that are worth their cost, from 2 bits to 8.
fn weight_items<E: Send>(
    searcher: &Searcher<'_, E>,
    base: &Options,
    resource: Resource,
    uniform: &BTreeMap<u8, Cost>,
) -> Result<Vec<Item>, SearchError<E>> {
    let layers = layer_bits(&searcher.bench.network().graph, base).map_err(CompileError::from)?;
    let open = layers.into_keys().filter(|layer| !base.layer_bits.contains_key(layer));
    let mut changes = Vec::new();
    let mut plans = Vec::new();
    for layer in open {
        let cost = |bits: u8| {
            let node = uniform.get(&bits).and_then(|cost| cost.nodes.get(&layer));
            resource.of_node(node.copied().unwrap_or_default())
        };
        // A width that costs no less than a wider one is never chosen.
        let worth = |&bits: &u8| (bits + 1..=8).all(|wider| cost(bits) < cost(wider));
        let widths: Vec<(u8, u64)> = WEIGHTS.filter(worth).map(|bits| (bits, cost(bits))).collect();
        let change = |bits: u8| Change { node: layer.clone(), bits: Bits::Weights(bits) };
        changes.extend(widths.iter().filter(|(bits, _)| *bits < 8).map(|&(bits, _)| change(bits)));
        plans.push((layer.clone(), widths));
    }
    let effects = searcher.measured(base, &changes)?;
    let mut noises = effects.into_iter().map(|effect| effect.noise);
    let item = |(layer, widths): (String, Vec<(u8, u64)>)| {
        let least = widths.iter().map(|(_, cost)| *cost).min().unwrap_or(0);
        let choice = |&(bits, cost): &(u8, u64)| {
            // Measured in the order of the widths.
            let harm = if bits < 8 { noises.next().unwrap_or(f64::INFINITY) } else { 0.0 };
            Choice { cost: cost - least, harm }
        };
        let choices = widths.iter().map(choice).collect();
        let change = |&(bits, _): &(u8, u64)| {
            (bits < 8).then(|| Change { node: layer.clone(), bits: Bits::Weights(bits) })
        };
        Item { choices, changes: widths.iter().map(change).collect() }
    };
    Ok(plans.into_iter().map(item).collect())
}

/// For each value whose 16 bits leave room: stay as it is, or take them.
fn activation_items<E: Send>(
    searcher: &Searcher<'_, E>,
    base: &Options,
    eight: &Tried,
    room: u64,
) -> Result<Vec<Item>, SearchError<E>> {
    if base.act_bits == 16 {
        return Ok(Vec::new());
    }
    let open = searcher.open_values(base);
    searcher.listener.begin("counting 16-bit values", open.len());
    let widened = |node: &String| Change { node: node.clone(), bits: Bits::Activations(16) };
    let cost = |node: &String| {
        let options = widened(node).applied(base);
        let graph = searcher.bench.sketch(&options, searcher.bench.hardware());
        let cost = graph.ok().and_then(|graph| searcher.bench.cost(&graph).ok());
        searcher.listener.tick();
        let more = cost?.cycles.saturating_sub(eight.cost.cycles);
        (more <= room).then(|| (node.clone(), more))
    };
    let costs: Vec<(String, u64)> = open.par_iter().filter_map(cost).collect();
    let nodes: Vec<String> = costs.iter().map(|(node, _)| node.clone()).collect();
    let effects = searcher.activations(base, &nodes)?;
    let item = |((node, more), effect): ((String, u64), crate::sensitivity::Effect)| {
        let stay = Choice { cost: 0, harm: effect.noise };
        let widen = Choice { cost: more, harm: 0.0 };
        Item { choices: vec![stay, widen], changes: vec![None, Some(widened(&node))] }
    };
    Ok(costs.into_iter().zip(effects).map(item).collect())
}

/// The best plan whose program keeps to the limit; if none does, the cheapest.
fn planned<E: Send>(
    searcher: &Searcher<'_, E>,
    base: &Options,
    resource: Resource,
    items: &[Item],
    limit: u64,
    least: u64,
) -> Result<Attempt, SearchError<E>> {
    let choices: Vec<Vec<Choice>> = items.iter().map(|item| item.choices.clone()).collect();
    let harm = |plan: &[usize]| -> f64 { plan.iter().zip(&choices).map(|(&i, c)| c[i].harm).sum() };
    let mut room = limit.saturating_sub(least);
    let mut best: Option<Vec<usize>> = None;
    let mut seen: Vec<Vec<usize>> = Vec::new();
    searcher.listener.begin("planning", PLANS);
    for _ in 0..PLANS {
        let Some(plan) = choose(&choices, room) else { break };
        if seen.contains(&plan) {
            break;
        }
        let options = with(base, items, &plan);
        let graph = searcher.bench.sketch(&options, searcher.bench.hardware())?;
        let found = resource.of(&searcher.bench.cost(&graph)?);
        searcher.listener.tick();
        if found <= limit {
            room = room.saturating_add(limit - found);
            if best.as_ref().is_none_or(|best| harm(&plan) < harm(best)) {
                best = Some(plan.clone());
            }
        } else {
            room = room.saturating_sub(found - limit);
        }
        seen.push(plan);
    }
    let cheapest = || choose(&choices, 0).unwrap_or_else(|| vec![0; items.len()]);
    let options = with(base, items, &best.unwrap_or_else(cheapest));
    searcher.attempt("bits by layer".into(), &options)
}

/// The base with what a plan chooses.
fn with(base: &Options, items: &[Item], plan: &[usize]) -> Options {
    let changes = items.iter().zip(plan).filter_map(|(item, &i)| item.changes[i].as_ref());
    changes.fold(base.clone(), |options, change| change.applied(&options))
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
