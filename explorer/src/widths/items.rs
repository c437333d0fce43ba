//! The decisions of a plan: for every layer and value the widths it may have, with what each costs and the harm it does.
//!
//! The cost of a width is the layer's share of a program in which all layers have it; its harm is
//! [measured](crate::sensitivity). Both add up only nearly, so a plan is compiled, counted, and made again for what is left or lacking.

use std::collections::BTreeMap;

use compiler::compile::CompileError;
use compiler::options::Options;
use compiler::quantize::layer_bits;
use rayon::prelude::*;

use super::budget::Resource;
use super::measure::{Measure, MeasureError};
use crate::bench::Cost;
use crate::knapsack::{Choice, choose};
use crate::sensitivity::{Bits, Change, Effect};

/// Plans made at most for one budget: each one corrects the room by what the one before missed.
const PLANS: usize = 8;

/// One decision: choices with what they cost more than the cheapest, and the change that each makes to the base.
struct Item {
    choices: Vec<Choice>,
    changes: Vec<Option<Change>>,
}

/// All decisions about a network that is otherwise quantized as a base.
pub(crate) struct Items {
    resource: Resource,
    base: Options,
    items: Vec<Item>,
    /// What the base takes with the cheapest choices.
    least: u64,
}

/// Costs with the same bits for all weights, by bits.
pub(crate) fn uniform_costs(
    measure: &Measure<'_>,
    base: &Options,
    widths: &[u8],
) -> Result<BTreeMap<u8, Cost>, MeasureError> {
    measure.listener.begin("counting widths", widths.len());
    let cost = |&bits: &u8| {
        let options = Options { weight_bits: bits, ..base.clone() };
        let cost = cost(measure, &options)?;
        measure.listener.tick();
        Ok((bits, cost))
    };
    widths.par_iter().map(cost).collect()
}

/// What the program takes that options lead to.
pub(crate) fn cost(measure: &Measure<'_>, options: &Options) -> Result<Cost, MeasureError> {
    let graph = measure.bench.sketch(options, measure.bench.hardware())?;
    Ok(measure.bench.cost(&graph)?)
}

impl Items {
    /// Widths of weights: those of `uniform`, of which `base` has the widest everywhere. What it says of single layers stays. Effects that
    /// are `known` are not measured again.
    ///
    /// # Errors
    /// When effects cannot be measured.
    pub(crate) fn weights(
        measure: &Measure<'_>,
        base: &Options,
        resource: Resource,
        uniform: &BTreeMap<u8, Cost>,
        known: &mut Vec<Effect>,
    ) -> Result<Items, MeasureError> {
        let layers =
            layer_bits(&measure.bench.network().graph, base).map_err(CompileError::from)?;
        let open = layers.into_keys().filter(|layer| !base.layer_bits.contains_key(layer));
        let widest = base.weight_bits;
        let mut changes = Vec::new();
        let mut plans = Vec::new();
        for layer in open {
            let cost = |bits: u8| {
                let node = uniform.get(&bits).and_then(|cost| cost.nodes.get(&layer));
                resource.of_node(node.copied().unwrap_or_default())
            };
            // A width that costs no less than a wider one is never chosen.
            let worth = |bits: &u8| uniform.keys().all(|w| w <= bits || cost(*bits) < cost(*w));
            let widths: Vec<(u8, u64)> =
                uniform.keys().copied().filter(worth).map(|bits| (bits, cost(bits))).collect();
            let change = |bits: u8| Change { node: layer.clone(), bits: Bits::Weights(bits) };
            let narrow = widths.iter().filter(|(bits, _)| *bits < widest);
            changes.extend(narrow.map(|&(bits, _)| change(bits)));
            plans.push((layer.clone(), widths));
        }
        let effects = measure.effects(base, &changes, known)?;
        let mut noises = effects.into_iter().map(|effect| effect.noise);
        let item = |(layer, widths): (String, Vec<(u8, u64)>)| {
            let least = widths.iter().map(|(_, cost)| *cost).min().unwrap_or(0);
            let choice = |&(bits, cost): &(u8, u64)| {
                // Measured in the order of the widths.
                let harm = if bits < widest { noises.next().unwrap_or(f64::INFINITY) } else { 0.0 };
                Choice { cost: cost - least, harm }
            };
            let choices = widths.iter().map(choice).collect();
            let change = |&(bits, _): &(u8, u64)| {
                (bits < widest).then(|| Change { node: layer.clone(), bits: Bits::Weights(bits) })
            };
            Item { choices, changes: widths.iter().map(change).collect() }
        };
        let items: Vec<Item> = plans.into_iter().map(item).collect();
        let spared: u64 = items.iter().filter_map(|item| item.choices.last()).map(|c| c.cost).sum();
        let whole = uniform.get(&widest).map_or(0, |cost| resource.of(cost));
        let least = whole.saturating_sub(spared);
        Ok(Items { resource, base: base.clone(), items, least })
    }

    /// Adds the widths of values: as the base has them, or 16 bits where these cost no more than `room` beside `narrow`, the cost of the base.
    ///
    /// # Errors
    /// When effects cannot be measured.
    pub(crate) fn add_activations(
        &mut self,
        measure: &Measure<'_>,
        narrow: &Cost,
        room: u64,
        known: &mut Vec<Effect>,
    ) -> Result<(), MeasureError> {
        if self.base.act_bits == 16 {
            return Ok(());
        }
        let open = measure.open_values(&self.base);
        measure.listener.begin("counting 16-bit values", open.len());
        let widened = |node: &String| Change { node: node.clone(), bits: Bits::Activations(16) };
        let more = |node: &String| {
            let found = cost(measure, &widened(node).applied(&self.base)).ok();
            measure.listener.tick();
            let more = self.resource.of(&found?).saturating_sub(self.resource.of(narrow));
            (more <= room).then(|| (node.clone(), more))
        };
        let costs: Vec<(String, u64)> = open.par_iter().filter_map(more).collect();
        let nodes: Vec<String> = costs.iter().map(|(node, _)| node.clone()).collect();
        let effects = measure.activations(&self.base, &nodes, known)?;
        let item = |((node, more), effect): ((String, u64), Effect)| {
            let stay = Choice { cost: 0, harm: effect.noise };
            let widen = Choice { cost: more, harm: 0.0 };
            Item { choices: vec![stay, widen], changes: vec![None, Some(widened(&node))] }
        };
        self.items.extend(costs.into_iter().zip(effects).map(item));
        Ok(())
    }

    /// What the cheapest plan takes, and what the dearest one takes, as costs add up.
    pub(crate) fn span(&self) -> (u64, u64) {
        let most = |item: &Item| item.choices.iter().map(|choice| choice.cost).max().unwrap_or(0);
        let more = self.items.iter().map(most).fold(0, u64::saturating_add);
        (self.least, self.least.saturating_add(more))
    }

    /// Harm of a plan, as single harms add up.
    pub(crate) fn harm(&self, plan: &[usize]) -> f64 {
        plan.iter().zip(&self.items).map(|(&i, item)| item.choices[i].harm).sum()
    }

    /// The base with what a plan chooses.
    pub(crate) fn options(&self, plan: &[usize]) -> Options {
        let changes = self.items.iter().zip(plan).filter_map(|(item, &i)| item.changes[i].as_ref());
        changes.fold(self.base.clone(), |options, change| change.applied(&options))
    }

    /// The plan of least harm within a budget, as costs add up.
    pub(crate) fn plan(&self, budget: u64) -> Option<Vec<usize>> {
        choose(&self.choices(), budget.checked_sub(self.least)?)
    }

    /// The cheapest plan.
    pub(crate) fn cheapest(&self) -> Vec<usize> {
        choose(&self.choices(), 0).unwrap_or_else(|| vec![0; self.items.len()])
    }

    fn choices(&self) -> Vec<Vec<Choice>> {
        self.items.iter().map(|item| item.choices.clone()).collect()
    }

    /// The plan of least harm whose program keeps to `limit`, of those tried.
    ///
    /// # Errors
    /// When a plan has no program.
    pub(crate) fn plan_within(
        &self,
        measure: &Measure<'_>,
        limit: u64,
    ) -> Result<Option<Vec<usize>>, MeasureError> {
        let choices = self.choices();
        let mut room = limit.saturating_sub(self.least);
        let mut best: Option<Vec<usize>> = None;
        let mut seen: Vec<Vec<usize>> = Vec::new();
        measure.listener.begin("planning", PLANS);
        for _ in 0..PLANS {
            let Some(plan) = choose(&choices, room) else { break };
            if seen.contains(&plan) {
                break;
            }
            let found = self.resource.of(&cost(measure, &self.options(&plan))?);
            measure.listener.tick();
            if found <= limit {
                room = room.saturating_add(limit - found);
                if best.as_ref().is_none_or(|best| self.harm(&plan) < self.harm(best)) {
                    best = Some(plan.clone());
                }
            } else {
                room = room.saturating_sub(found - limit);
            }
            seen.push(plan);
        }
        Ok(best)
    }
}
