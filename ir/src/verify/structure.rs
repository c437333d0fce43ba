//! What both graphs share: ids in range, unique names, one producer for each value, topological order.

use std::collections::BTreeSet;

use super::Problem;
use crate::graph::ValueId;

/// The skeleton of a graph.
pub(super) struct Structure<'a> {
    /// Names of the values and whether they are constants.
    pub(super) values: Vec<(&'a str, bool)>,
    /// Name, operands and result of each node.
    pub(super) nodes: Vec<(&'a str, &'a [ValueId], ValueId)>,
    /// Graph inputs.
    pub(super) inputs: &'a [ValueId],
    /// Graph outputs.
    pub(super) outputs: &'a [ValueId],
}

impl Structure<'_> {
    /// All broken rules.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.names(&mut problems);
        self.ids(&mut problems);
        self.producers_and_order(&mut problems);
        if self.outputs.is_empty() {
            problems.push(Problem::NoOutput);
        }
        problems
    }

    fn names(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeSet::new();
        for (index, &(name, _)) in self.values.iter().enumerate() {
            if name.is_empty() {
                problems.push(Problem::NoName { what: "value", index });
            } else if !seen.insert(name) {
                problems.push(Problem::DuplicateValue { value: name.to_owned() });
            }
        }
        let mut seen = BTreeSet::new();
        for (index, &(name, ..)) in self.nodes.iter().enumerate() {
            if name.is_empty() {
                problems.push(Problem::NoName { what: "node", index });
            } else if !seen.insert(name) {
                problems.push(Problem::DuplicateNode { node: name.to_owned() });
            }
        }
    }

    fn ids(&self, problems: &mut Vec<Problem>) {
        let count = self.values.len();
        let mut check = |place: &dyn Fn() -> String, id: ValueId| {
            if self.values.get(id.0 as usize).is_none() {
                problems.push(Problem::UnknownValue { place: place(), id: id.0, count });
            }
        };
        for &id in self.inputs {
            check(&|| "the list of inputs".to_owned(), id);
        }
        for &(name, operands, result) in &self.nodes {
            for &id in operands.iter().chain([&result]) {
                check(&|| format!("node `{name}`"), id);
            }
        }
        for &id in self.outputs {
            check(&|| "the list of outputs".to_owned(), id);
        }
    }

    fn producers_and_order(&self, problems: &mut Vec<Problem>) {
        // Producers met so far, while walking inputs, constants and nodes in order.
        let mut producers: Vec<usize> =
            self.values.iter().map(|&(_, constant)| usize::from(constant)).collect();
        for &id in self.inputs {
            if let Some(count) = producers.get_mut(id.0 as usize) {
                *count += 1;
            }
        }
        for &(name, operands, result) in &self.nodes {
            for &id in operands {
                if producers.get(id.0 as usize) == Some(&0) {
                    let value = self.values[id.0 as usize].0.to_owned();
                    problems.push(Problem::Order { node: name.to_owned(), value });
                }
            }
            if let Some(count) = producers.get_mut(result.0 as usize) {
                *count += 1;
            }
        }
        for (&(name, _), &count) in self.values.iter().zip(&producers) {
            if count != 1 {
                problems.push(Problem::Producers { value: name.to_owned(), producers: count });
            }
        }
    }
}
