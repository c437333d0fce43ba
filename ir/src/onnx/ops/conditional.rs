//! If: the branch that a constant condition takes.

use std::collections::{BTreeMap, BTreeSet};

use super::{OpSpec, constant_operand};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::order::{defined, node_label};
use crate::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};

/// If.
pub(super) const IF: OpSpec = OpSpec {
    name: "If",
    versions: &[1, 11, 13, 16, 19, 21, 23, 24, 25],
    attributes: &["else_branch", "then_branch"],
    constraints: &[constant_operand::<0>("the condition is constant")],
    fold: Some(take_branch),
    import: None,
};

fn take_branch(node: &mut NodeCtx<'_>) -> Imported {
    let &[condition] = node.booleans(0)? else {
        let found = format!("{} truth values", node.booleans(0)?.len());
        return Err(NodeError::OperandValue { operand: 0, found, expected: "one" }.into());
    };
    let name = if condition { "then_branch" } else { "else_branch" };
    let branch = node.attributes().graph(name)?.ok_or(NodeError::MissingAttribute(name))?;
    if branch.output.len() != node.proto.output.len() || !branch.input.is_empty() {
        let found = format!("{} inputs and {} outputs", branch.input.len(), branch.output.len());
        let expected = "no input, and as many outputs as the node has results";
        return Err(NodeError::AttributeValue { attribute: name, found, expected }.into());
    }
    node.replacement = Some(inlined(node, branch));
    Ok(())
}

/// The branch as nodes that may stand beside those around it: what is defined inside gets names of its own, except
/// that outputs take the names of the node's results.
fn inlined(node: &mut NodeCtx<'_>, branch: &GraphProto) -> GraphProto {
    let results: BTreeSet<&String> = branch.node.iter().flat_map(|inner| &inner.output).collect();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut nodes = branch.node.clone();
    for (output, result) in branch.output.iter().zip(&node.proto.output) {
        if result.is_empty() {
            continue;
        }
        if results.contains(&output.name) && !names.contains_key(&output.name) {
            names.insert(output.name.clone(), result.clone());
        } else {
            // From outside, a constant, or a second name for the same value.
            nodes.push(NodeProto {
                op_type: "Identity".to_owned(),
                input: vec![output.name.clone()],
                output: vec![result.clone()],
                ..NodeProto::default()
            });
        }
    }
    for name in defined(branch) {
        names.entry(name.to_owned()).or_insert_with(|| node.builder.fresh_value_name(name));
    }
    let mut graph = GraphProto { node: nodes, output: Vec::new(), ..branch.clone() };
    for (index, inner) in graph.node.iter_mut().enumerate().take(branch.node.len()) {
        let label = format!("{}/{}", node.name, node_label(branch, index));
        inner.name = node.builder.fresh_node_name(&label);
    }
    rename(&mut graph, &mut names);
    graph.output = (node.proto.output.iter().filter(|name| !name.is_empty()))
        .map(|name| ValueInfoProto { name: name.clone(), r#type: None })
        .collect();
    graph
}

/// Replaces names, also where subgraphs use them.
fn rename(graph: &mut GraphProto, names: &mut BTreeMap<String, String>) {
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut());
    let constants = graph.initializer.iter_mut().chain(sparse).map(|tensor| &mut tensor.name);
    let outputs = graph.output.iter_mut().map(|output| &mut output.name);
    let of_nodes = graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
    for name in constants.chain(outputs).chain(of_nodes) {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    }
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    for inner in attributes.filter_map(|attribute| attribute.g.as_deref_mut()) {
        // A subgraph may use such a name for something of its own.
        let hidden: Vec<(String, String)> =
            defined(inner).into_iter().filter_map(|own| names.remove_entry(own)).collect();
        rename(inner, names);
        names.extend(hidden);
    }
}
