//! Which nodes matter, and in what order.
//!
//! ONNX demands topological order, but some writers do not keep it; and training leftovers hang on many graphs. So
//! nodes are sorted (keeping the file's order where it is right) and those that reach no output are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ImportError;
use super::proto::{GraphProto, NodeProto};

/// Indices of the nodes that some output needs, in topological order; among those that could come next, the one that
/// stands first in the file.
pub(super) fn needed_nodes(graph: &GraphProto) -> Result<Vec<usize>, ImportError> {
    let producer = producers(graph)?;
    let is_needed = needed(graph, &producer);
    // Unfinished producers per node, and who waits for whom.
    let mut missing: Vec<usize> = vec![0; graph.node.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (index, node) in graph.node.iter().enumerate().filter(|(index, _)| is_needed[*index]) {
        let sources: BTreeSet<usize> =
            reads(node).iter().filter_map(|name| producer.get(name).copied()).collect();
        missing[index] = sources.len();
        for source in sources {
            users[source].push(index);
        }
    }
    let mut ready: BTreeSet<usize> =
        (0..graph.node.len()).filter(|&i| is_needed[i] && missing[i] == 0).collect();
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &user in &users[index] {
            missing[user] -= 1;
            if missing[user] == 0 {
                ready.insert(user);
            }
        }
    }
    match (0..graph.node.len()).find(|&i| is_needed[i] && missing[i] > 0) {
        Some(index) => Err(ImportError::Cycle { node: node_label(graph, index) }),
        None => Ok(order),
    }
}

/// All names that a node reads: its operands, and what its subgraphs take from around them.
pub(super) fn reads(node: &NodeProto) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = node.input.iter().map(String::as_str).collect();
    for graph in node.attribute.iter().filter_map(|a| a.g.as_deref()) {
        let own = defined(graph);
        let outputs = graph.output.iter().map(|output| output.name.as_str());
        let read = graph.node.iter().flat_map(reads).chain(outputs);
        names.extend(read.filter(|name| !own.contains(name)));
    }
    names
}

/// Names that a subgraph gives to constants and results of its own.
pub(super) fn defined(graph: &GraphProto) -> BTreeSet<&str> {
    let constants = graph.initializer.iter().map(|tensor| &tensor.name);
    let sparse = graph.sparse_initializer.iter().filter_map(|s| Some(&s.values.as_ref()?.name));
    let results = graph.node.iter().flat_map(|node| &node.output);
    let names = constants.chain(sparse).chain(results).map(String::as_str);
    names.filter(|name| !name.is_empty()).collect()
}

/// Name of a node, or `<op>_<index>` where the file has none.
pub(super) fn node_label(graph: &GraphProto, index: usize) -> String {
    let node = &graph.node[index];
    if node.name.is_empty() { format!("{}_{index}", node.op_type) } else { node.name.clone() }
}

/// Which node makes each value.
fn producers(graph: &GraphProto) -> Result<BTreeMap<&str, usize>, ImportError> {
    let mut producer = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if producer.insert(name.as_str(), index).is_some() {
                return Err(ImportError::Redefined { value: name.clone() });
            }
        }
    }
    Ok(producer)
}

fn needed(graph: &GraphProto, producer: &BTreeMap<&str, usize>) -> Vec<bool> {
    let mut is_needed = vec![false; graph.node.len()];
    let source = |name: &str| producer.get(name).copied();
    let mut open: Vec<usize> =
        graph.output.iter().filter_map(|output| source(&output.name)).collect();
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut is_needed[index], true) {
            open.extend(reads(&graph.node[index]).into_iter().filter_map(source));
        }
    }
    is_needed
}
