//! Graphviz pictures of both graphs.

use std::fmt::Write as _;

use crate::graph::{Graph, ValueId};
use crate::qgraph::QGraph;

impl Graph {
    /// The graph in the DOT language: nodes are boxes, values are the arrows between them, constants are left out.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let values = self.values.iter();
        let labels = values.map(|value| match &value.constant {
            Some(_) => None,
            None => Some(format!("{}\n{:?}", value.name, value.shape)),
        });
        let nodes = self.nodes.iter();
        let nodes = nodes
            .map(|node| (format!("{}\n{}", node.op.name(), node.name), &node.inputs, node.output));
        draw(&self.name, labels.collect(), nodes.collect(), &self.inputs, &self.outputs)
    }
}

impl QGraph {
    /// The graph in the DOT language: nodes are boxes, values are the arrows between them.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let values = self.values.iter();
        let labels = values.map(|v| Some(format!("{}\n{} {}", v.name, v.dtype.name(), v.shape)));
        let nodes = self.nodes.iter();
        let nodes = nodes
            .map(|node| (format!("{}\n{}", node.op.name(), node.name), &node.inputs, node.output));
        draw(&self.name, labels.collect(), nodes.collect(), &self.inputs, &self.outputs)
    }
}

/// Where an arrow begins: a node, or a graph input.
#[derive(Clone, Copy)]
enum Source {
    Node(usize),
    Input(usize),
}

/// `labels`: per value, `None` for those not drawn. `nodes`: label, operands, result.
fn draw(
    name: &str,
    labels: Vec<Option<String>>,
    nodes: Vec<(String, &Vec<ValueId>, ValueId)>,
    inputs: &[ValueId],
    outputs: &[ValueId],
) -> String {
    let mut sources: Vec<Option<Source>> = vec![None; labels.len()];
    let origins = (inputs.iter().enumerate().map(|(index, id)| (id, Source::Input(index))))
        .chain(nodes.iter().enumerate().map(|(index, (_, _, id))| (id, Source::Node(index))));
    for (id, source) in origins {
        if let Some(slot) = sources.get_mut(id.0 as usize) {
            *slot = Some(source);
        }
    }
    let mut text = format!("digraph {} {{\n  node [shape=box];\n", quoted(name));
    let label = |id: ValueId| labels.get(id.0 as usize).and_then(|label| label.as_deref());
    for (index, &id) in inputs.iter().enumerate() {
        let _ = writeln!(
            text,
            "  i{index} [shape=oval, label={}];",
            quoted(label(id).unwrap_or_default())
        );
    }
    for (index, (node, ..)) in nodes.iter().enumerate() {
        let _ = writeln!(text, "  n{index} [label={}];", quoted(node));
    }
    let mut arrow = |id: ValueId, target: String| {
        let (Some(label), Some(Some(source))) = (label(id), sources.get(id.0 as usize)) else {
            return;
        };
        let source = match source {
            Source::Node(index) => format!("n{index}"),
            Source::Input(index) => format!("i{index}"),
        };
        let _ = writeln!(text, "  {source} -> {target} [label={}];", quoted(label));
    };
    for (index, (_, operands, _)) in nodes.iter().enumerate() {
        operands.iter().for_each(|&id| arrow(id, format!("n{index}")));
    }
    for (index, &id) in outputs.iter().enumerate() {
        arrow(id, format!("o{index}"));
    }
    for index in 0..outputs.len() {
        let _ = writeln!(text, "  o{index} [shape=oval, label=\"output {index}\"];");
    }
    text.push_str("}\n");
    text
}

/// A DOT string: quotes and backslashes escaped, line breaks as `\n`.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
