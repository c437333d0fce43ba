//! Bits for every layer along the whole curve of cost, and the uniform widths to compare it with: the strategy `mixed`.
//!
//! What each width does to each layer is [measured](crate::sensitivity) once, on samples that nothing was fitted to; for a ladder of budgets the
//! assignment of least harm is found by dynamic programming ([`choose`](crate::knapsack::choose)). The ladder stands on what the uniform widths
//! cost, so that each has a rival in no more bytes or cycles, and on even steps between the least and the most. Whether a rival is
//! better is for those to say who measure the points.

use compiler::compile::CompileError;
use compiler::options::Options;
use compiler::quantize::{free_widths, layer_bits};
use rayon::prelude::*;

use crate::bench::Cost;
use crate::sensitivity::Effect;
use crate::space::{Assignment, CYCLES, SIZE, Space};
use crate::widths::budget::Resource;
use crate::widths::items::{Items, cost, uniform_costs};
use crate::widths::measure::{Measure, MeasureError};

/// Assignments for a space of the strategy `mixed`: uniform widths in the order of the lists, then those chosen layer by layer, from
/// the most harm to the least. No two give all layers the same widths.
///
/// `base` says all of quantization but the widths; the bench of `measure` has one of the machines of the space.
///
/// # Errors
/// When the network has no integer form or no program for that machine.
pub fn assignments(
    measure: &Measure<'_>,
    space: &Space,
    base: &Options,
) -> Result<Vec<Assignment>, MeasureError> {
    let [weights, activations] = space.widths(base);
    let uniform = uniform(measure, base, &weights, &activations)?;
    measure.listener.begin("counting uniform widths", uniform.len());
    // What has no program becomes a row that says so.
    let counted = |(_, options): &(String, Options)| {
        let found = cost(measure, options).ok();
        measure.listener.tick();
        found
    };
    let costs: Vec<Cost> = uniform.par_iter().filter_map(counted).collect();
    let planner = Planner { measure, base, weights, activations };
    let resources = [(SIZE, Resource::Size), (CYCLES, Resource::Cycles)];
    let wanted =
        resources.into_iter().filter(|(key, _)| space.objectives.iter().any(|o| o.key == *key));
    let wanted: Vec<Resource> = wanted.map(|(_, resource)| resource).collect();
    let rungs = rungs(space, uniform.len()) / wanted.len().max(1);
    let (mut plans, mut known) = (Vec::new(), Vec::new());
    for resource in wanted {
        let limits: Vec<u64> = costs.iter().map(|cost| resource.of(cost)).collect();
        plans.extend(planner.curve(resource, limits, rungs, &mut known)?);
    }
    plans.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut named = uniform;
    let plans = plans.into_iter().map(|(_, options)| options);
    let mut found: Vec<Options> = Vec::new();
    for options in plans {
        if !found.contains(&options)
            && !named.iter().any(|(_, other)| planner.same(other, &options))
        {
            found.push(options);
        }
    }
    named.extend((1..).zip(found).map(|(number, options)| (format!("mixed {number}"), options)));
    named.into_iter().map(|(name, options)| planner.assignment(name, &options)).collect()
}

/// Assignments of a ladder that the budget of a space leaves room for, beside `uniform` ones.
fn rungs(space: &Space, uniform: usize) -> usize {
    let most = space.search.budget / space.machines().max(1);
    usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(uniform)
}

/// Most uniform assignments of a space: each width of weights with and without the rule for delicate layers.
#[must_use]
pub fn most_uniform(space: &Space) -> u64 {
    let [weights, activations] = space.widths(&Options::default());
    let variants = |bits: &u8| if *bits < 8 { 2 } else { 1 };
    weights.iter().map(variants).sum::<u64>() * activations.len() as u64
}

/// Every combination of the widths, for all layers, and where it differs with the rule for delicate layers.
fn uniform(
    measure: &Measure<'_>,
    base: &Options,
    weights: &[u8],
    activations: &[u8],
) -> Result<Vec<(String, Options)>, MeasureError> {
    let mut found = Vec::new();
    for (&act_bits, &weight_bits) in
        activations.iter().flat_map(|a| weights.iter().map(move |w| (a, w)))
    {
        let with = |weight_bits_everywhere| Options {
            weight_bits,
            act_bits,
            weight_bits_everywhere,
            ..base.clone()
        };
        let name = format!("W{weight_bits}A{act_bits}");
        let graph = &measure.bench.network().graph;
        let bits = |options: &Options| layer_bits(graph, options).map_err(CompileError::from);
        if bits(&with(true))? != bits(&with(false))? {
            found.push((format!("{name} everywhere"), with(true)));
        }
        found.push((name, with(false)));
    }
    Ok(found)
}

/// Makes curves.
struct Planner<'p> {
    measure: &'p Measure<'p>,
    base: &'p Options,
    weights: Vec<u8>,
    activations: Vec<u8>,
}

impl Planner<'_> {
    /// At most `rungs` plans as options, with their harm: one within each limit as long as there are as many, then others.
    fn curve(
        &self,
        resource: Resource,
        mut limits: Vec<u64>,
        rungs: usize,
        known: &mut Vec<Effect>,
    ) -> Result<Vec<(f64, Options)>, MeasureError> {
        let measure = self.measure;
        let widest = self.weights.last().copied().unwrap_or(8);
        // Fewer than 8 bits of an activation cost as much as 8 on these machines, so what is open is 16 or not.
        let narrow = self.activations.iter().rfind(|bits| **bits <= 8);
        let act_bits = narrow.or(self.activations.last()).copied().unwrap_or(8);
        let base = Options {
            weight_bits: widest,
            weight_bits_everywhere: true,
            act_bits,
            ..self.base.clone()
        };
        let uniform = uniform_costs(measure, &base, &self.weights)?;
        let mut items = Items::weights(measure, &base, resource, &uniform, known)?;
        // Constants take hardly any bytes more for 16-bit values, so a limit of bytes would not keep any narrow.
        let widen = resource == Resource::Cycles && self.activations.contains(&16);
        if let (true, Some(costs)) = (widen, uniform.get(&widest)) {
            items.add_activations(measure, costs, u64::MAX, known)?;
        }
        limits.sort_unstable();
        limits.dedup();
        let (least, most) = items.span();
        let step =
            |i: usize, of: usize| least + ((most - least) as u128 * i as u128 / of as u128) as u64;
        let mut plans = Vec::new();
        for limit in limits.into_iter().take(rungs) {
            plans.extend(items.plan_within(measure, limit)?);
        }
        let more = rungs.saturating_sub(plans.len());
        // Even steps whose ends are uniform widths.
        plans.extend((1..=more).filter_map(|i| items.plan(step(i, more + 1))));
        Ok(plans.iter().map(|plan| (items.harm(plan), items.options(plan))).collect())
    }

    /// Whether two ways to quantize give every layer the same widths.
    fn same(&self, a: &Options, b: &Options) -> bool {
        let graph = &self.measure.bench.network().graph;
        let weights = |options: &Options| layer_bits(graph, options).ok();
        let values = |options: &Options| {
            let of = |name: &String| options.layer_act_bits.get(name).copied();
            let bits = |name: String| of(&name).unwrap_or(options.act_bits);
            free_widths(graph).into_iter().map(bits).collect::<Vec<u8>>()
        };
        weights(a) == weights(b) && values(a) == values(b)
    }

    /// What is kept of options.
    fn assignment(&self, name: String, options: &Options) -> Result<Assignment, MeasureError> {
        let graph = &self.measure.bench.network().graph;
        let bits = layer_bits(graph, options).map_err(CompileError::from)?;
        let in_order = graph.nodes.iter().filter_map(|node| bits.get(&node.name));
        let mut layers: String = in_order.map(ToString::to_string).collect();
        let wide = options.layer_act_bits.values().filter(|bits| **bits == 16).count();
        if wide > 0 {
            layers += &format!(", {wide} values of 16 bits");
        }
        Ok(Assignment::of(options, name, layers))
    }
}
