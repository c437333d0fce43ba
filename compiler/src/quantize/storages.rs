//! Which integers store each value: the one place that decides it.
//!
//! Values that share stored integers share their width, the largest one asked for any of them. What only puts operands
//! side by side (a concatenation, a border) is as wide as the widest of them, unless it is asked otherwise.

use std::collections::{BTreeMap, BTreeSet};

use ir::graph::{Graph, Op, ValueId};

use super::QuantizeError;
use super::error::unknown;
use super::fusion::Fusion;
use super::normalization::inner_values;
use super::params::{Storage, ends_in_sigmoid};
use super::searched::searched;
use super::sharing::Sets;
use crate::options::Options;

/// Bits where eight do not do.
const WIDE: u8 = 16;

/// Bits that an activation can have.
const fn is_width(bits: u8) -> bool {
    matches!(bits, 2..=8 | 16)
}

/// Storage of every value of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Storages {
    of: Vec<Storage>,
    /// What differs from the rest, for people.
    notes: Vec<String>,
}

impl Storages {
    /// Storage of each value of `graph`, which must have been through the passes: what the file decides, else what
    /// `options` say of the node that computes it, else of all.
    ///
    /// # Errors
    /// When the options name a node whose result has no width of its own, or ask for a width that there is not.
    pub(crate) fn new(graph: &Graph, options: &Options) -> Result<Storages, QuantizeError> {
        if !is_width(options.act_bits) {
            let (name, found) = ("act_bits", options.act_bits.to_string());
            return Err(QuantizeError::Option { name, found, expected: "2 to 8, or 16" });
        }
        let fusion = Fusion::of(graph);
        let sets = Sets::of(graph, &fusion);
        let asked = asked(graph, &fusion, &sets, options)?;
        let default = options.storage(options.act_bits);
        let mut by_set: BTreeMap<usize, Storage> =
            asked.iter().map(|(&set, &bits)| (set, options.storage(bits))).collect();
        let mut raised = BTreeSet::new();
        for set in inner_values(graph).into_iter().map(|value| sets.find(value)) {
            if !asked.contains_key(&set) && default.bits < WIDE {
                by_set.insert(set, options.storage(WIDE));
                raised.insert(set);
            }
        }
        let searched = widened(graph, &fusion, &sets, &asked);
        by_set.extend(searched.iter().map(|&set| (set, options.storage(16))));
        for (node, result, _) in fusion.nodes(graph) {
            let set = sets.find(result);
            if is_join(&node.op) && !asked.contains_key(&set) {
                let operands = node.inputs.iter().map(|&x| by_set.get(&sets.find(x)));
                let widest =
                    operands.map(|known| *known.unwrap_or(&default)).max_by_key(|s| s.bits);
                by_set.extend(widest.filter(|&wide| wide != default).map(|wide| (set, wide)));
            }
        }
        for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::MatMul { .. })) {
            // What has zero in the middle enters a product as it is.
            for &x in &node.inputs {
                by_set.entry(sets.find(x)).or_insert(default).symmetric = true;
            }
        }
        for (set, encoding) in sets.encodings(graph, &fusion) {
            by_set.insert(set, Storage::whole(encoding.dtype));
        }
        let value = |index: usize| {
            let id = ValueId(u32::try_from(index).expect("ids have 32 bits"));
            by_set.get(&sets.find(id)).copied().unwrap_or(default)
        };
        let of: Vec<Storage> = (0..graph.values.len()).map(value).collect();
        let mut notes = notes(graph, &fusion, &of, options);
        if !raised.is_empty() {
            notes.push(format!("{} values inside normalizations have {WIDE} bits", raised.len()));
        }
        notes.extend(widened_note(graph, &fusion, &sets, &searched));
        Ok(Storages { of, notes })
    }

    /// Storage of a value.
    pub(crate) fn of(&self, value: ValueId) -> Storage {
        self.at(value.0 as usize)
    }

    /// Storage of the value with that index.
    pub(super) fn at(&self, index: usize) -> Storage {
        self.of[index]
    }

    /// One sentence each about values whose width differs from that of most.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Sets of values that have 16 bits because of what they are for: those whose width is free and not asked for.
fn widened(
    graph: &Graph,
    fusion: &Fusion,
    sets: &Sets,
    asked: &BTreeMap<usize, u8>,
) -> BTreeSet<usize> {
    let searched = searched(graph, fusion);
    if searched.is_empty() {
        return BTreeSet::new();
    }
    let free: BTreeSet<usize> =
        free_values(graph, fusion, sets).into_values().map(|free| sets.find(free.value)).collect();
    let wanted = searched.into_iter().map(|value| sets.find(value));
    wanted.filter(|set| free.contains(set) && !asked.contains_key(set)).collect()
}

/// Which values have 16 bits for that.
fn widened_note(
    graph: &Graph,
    fusion: &Fusion,
    sets: &Sets,
    widened: &BTreeSet<usize>,
) -> Option<String> {
    let results =
        fusion.nodes(graph).filter(|(_, result, _)| widened.contains(&sets.find(*result)));
    let names: Vec<&str> = results.map(|(node, ..)| node.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        let list = names.join(", ");
        format!("16 bits for values in which the host looks for positions: {list}")
    })
}

/// Operators whose result holds its operands' values, at a scale of its own.
fn is_join(op: &Op) -> bool {
    match op {
        Op::Concat { .. } => true,
        Op::Pad { value, .. } => *value != 0.0,
        _ => false,
    }
}

/// Bits that the options ask for sets of values.
fn asked(
    graph: &Graph,
    fusion: &Fusion,
    sets: &Sets,
    options: &Options,
) -> Result<BTreeMap<usize, u8>, QuantizeError> {
    let free = free_values(graph, fusion, sets);
    let mut asked: BTreeMap<usize, u8> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, &bits) in &options.layer_act_bits {
        match free.get(name.as_str()) {
            None => problems.push(unknown(
                "node whose result has a width of its own",
                name,
                free.keys(),
            )),
            Some(_) if !is_width(bits) => problems.push(format!(
                "bits of `{name}` are {bits} per activation, expected 2 to 8, or 16"
            )),
            Some(Free { whole: true, .. }) if bits < 8 => {
                problems.push(format!(
                    "results of `{name}`, a sigmoid's, have 8 or 16 bits, not {bits}"
                ));
            }
            Some(&Free { value, .. }) => {
                let set = asked.entry(sets.find(value)).or_default();
                *set = bits.max(*set);
            }
        }
    }
    if problems.is_empty() { Ok(asked) } else { Err(QuantizeError::Layers { problems }) }
}

/// A value whose width may be chosen.
struct Free {
    value: ValueId,
    /// Whether it takes all integers of its type.
    whole: bool,
}

/// Values whose width the options may say, by the names under which they may: of the node that computes it, of one
/// fused behind it, or of the input.
fn free_values<'g>(graph: &'g Graph, fusion: &'g Fusion, sets: &Sets) -> BTreeMap<&'g str, Free> {
    let mut taken: BTreeSet<usize> = sets.encodings(graph, fusion).into_keys().collect();
    let mut whole = BTreeSet::new();
    let mut names: BTreeMap<&str, ValueId> = BTreeMap::new();
    for &input in &graph.inputs {
        names.insert(&graph.values[input.0 as usize].name, input);
    }
    let mut results = BTreeSet::new();
    for (node, result, _) in fusion.nodes(graph) {
        names.insert(&node.name, result);
        results.insert(result);
        match &node.op {
            Op::Softmax { .. } => drop(taken.insert(sets.find(result))),
            Op::Unary { function } if ends_in_sigmoid(function) => {
                whole.insert(sets.find(result));
            }
            _ => {}
        }
    }
    for node in graph.nodes.iter().filter(|node| results.contains(&node.output)) {
        names.entry(&node.name).or_insert(node.output);
    }
    let free = names.into_iter().filter(|(_, value)| !taken.contains(&sets.find(*value)));
    free.map(|(name, value)| (name, Free { value, whole: whole.contains(&sets.find(value)) }))
        .collect()
}

/// Names of nodes and inputs for whose values [`Options::layer_act_bits`] may say the width, in graph order: one for each set of
/// values that share integers.
#[must_use]
pub fn free_widths(graph: &Graph) -> Vec<String> {
    let fusion = Fusion::of(graph);
    let sets = Sets::of(graph, &fusion);
    let free = free_values(graph, &fusion, &sets);
    let inputs = graph.inputs.iter().map(|&id| graph.values[id.0 as usize].name.as_str());
    let nodes = fusion.nodes(graph).map(|(node, ..)| node.name.as_str());
    let mut taken = BTreeSet::new();
    let first = |name: &&str| free.get(name).is_some_and(|f| taken.insert(sets.find(f.value)));
    inputs.chain(nodes).filter(first).map(str::to_owned).collect()
}

/// What differs from the rest.
fn notes(graph: &Graph, fusion: &Fusion, of: &[Storage], options: &Options) -> Vec<String> {
    let bits = |value: ValueId| of[value.0 as usize].bits;
    let inputs = graph.inputs.iter().map(|&id| (graph.values[id.0 as usize].name.as_str(), id));
    let results = fusion.nodes(graph).map(|(node, result, _)| (node.name.as_str(), result));
    let stored: Vec<(&str, ValueId)> = inputs.chain(results).collect();
    let others = stored
        .iter()
        .filter(|(_, value)| fusion.decided(*value).is_none() && bits(*value) != options.act_bits);
    let named: Vec<String> =
        others.map(|&(name, value)| format!("{name} ({})", bits(value))).collect();
    let mut notes = Vec::new();
    if !options.layer_act_bits.is_empty() && !named.is_empty() {
        notes.push(format!(
            "{} of {} values have other bits per activation: {}",
            named.len(),
            stored.len(),
            named.join(", ")
        ));
    }
    for (name, value) in stored {
        if let Some(&asked) = options.layer_act_bits.get(name)
            && asked != bits(value)
        {
            let bits = bits(value);
            notes.push(format!("`{name}` has {bits} bits instead of {asked}: it shares its integers with a value of {bits}"));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;
    use ir::graph::Window;

    /// n0 conv, n1 relu behind it, n2 pool of it, n3 conv beside it, n4 both concatenated, n5 softmax.
    fn network() -> Graph {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 4, 4]);
        let left = b.conv(x, 2, [1, 1], 1);
        let left = b.relu(left);
        let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
        let left = b.pool(left, |window| Op::MaxPool { window }, window);
        let right = b.conv(x, 2, [1, 1], 1);
        let joined = b.op(Op::Concat { axis: 1 }, &[left, right], &[1, 4, 4, 4]);
        let scores = b.op(Op::Softmax { axis: 1 }, &[joined], &[1, 4, 4, 4]);
        b.finish(&[scores])
    }

    fn bits(asked: &[(&str, u8)]) -> Result<(Vec<u8>, Vec<String>), String> {
        let layer_act_bits = asked.iter().map(|&(name, bits)| (name.to_owned(), bits)).collect();
        let options = Options { layer_act_bits, ..Options::default() };
        let graph = network();
        let storages = Storages::new(&graph, &options).map_err(|e| e.to_string())?;
        let stored = graph.inputs.iter().copied().chain(graph.nodes.iter().map(|n| n.output));
        Ok((stored.map(|id| storages.of(id).bits).collect(), storages.notes))
    }

    #[test]
    fn what_shares_integers_and_what_joins_them_follows() {
        let all = |asked: &[(&str, u8)]| bits(asked).unwrap().0;
        // Input, conv (inside the fusion), relu, pool, conv, concat, softmax.
        assert_eq!(all(&[]), [8; 7]);
        assert_eq!(all(&[("n0", 16)]), [8, 8, 16, 16, 8, 16, 8]);
        assert_eq!(all(&[("n1", 16)]), all(&[("n0", 16)]), "the node fused behind");
        assert_eq!(all(&[("n2", 16)]), all(&[("n0", 16)]), "the pool of it");
        assert_eq!(all(&[("n0", 4)]), [8, 8, 4, 4, 8, 8, 8]);
        assert_eq!(all(&[("n0", 4), ("n3", 5)]), [8, 8, 4, 4, 5, 5, 8]);
        assert_eq!(all(&[("n0", 16), ("n4", 8)]), [8, 8, 16, 16, 8, 8, 8]);
        assert_eq!(all(&[("v0", 16)]), [16, 8, 8, 8, 8, 8, 8]);
        assert_eq!(free_widths(&network()), ["v0", "n0", "n3", "n4"]);
    }

    #[test]
    fn the_notes_say_what_was_raised() {
        let (_, notes) = bits(&[("n0", 16), ("n2", 4)]).unwrap();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert_eq!(
            notes[0],
            "3 of 6 values have other bits per activation: n0 (16), n2 (16), n4 (16)"
        );
        assert!(notes[1].starts_with("`n2` has 16 bits instead of 4"), "{notes:?}");
        assert_eq!(bits(&[]).unwrap().1, [""; 0]);
    }

    #[test]
    fn all_wrong_names_and_widths_are_said_at_once() {
        let error = bits(&[("n9", 8), ("n5", 16), ("n0", 12)]).unwrap_err();
        assert!(error.contains("called `n9`") && error.contains("called `n5`"), "{error}");
        assert!(error.contains("bits of `n0` are 12"), "{error}");
    }
}
