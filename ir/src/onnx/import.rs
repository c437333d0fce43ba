//! The walk over a model's nodes.
//!
//! Every node is looked up in [`OPS`], checked against its constraints, then folded (if all its operands are
//! constant) or imported. A node that cannot be taken is noted and its results become unknown; nodes behind it are
//! still checked as far as possible, so that one run names everything unsupported.

mod host;
mod inputs;

use std::collections::{BTreeMap, BTreeSet};

use super::builder::{Builder, SlotId};
use super::error::{ImportError, NodeError, TensorProtoError, Unsupported};
use super::external::External;
use super::integers::{IntType, Reading, reading, round_inputs};
use super::node::{NodeCtx, Refusal};
use super::ops::{OpSpec, find_in};
use super::order::{needed_nodes, node_label, reads};
use super::proto::{DataType, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::shapes::{Declared, all_names};
use super::tensor::{Budget, MAX_RANK, decode};
use super::unsupported::explain_unknown;
use crate::graph::Graph;
use host::Parts;

/// Imports the graph of `model`, and tells what the symbols in its inputs' shapes were taken for.
pub(super) fn import(
    model: &ModelProto,
    opset: i64,
    external: External,
    budget: Budget,
    shapes: &BTreeMap<String, Vec<usize>>,
    warnings: &mut Vec<String>,
) -> Result<(Graph, BTreeMap<String, usize>), ImportError> {
    let Some(proto) = &model.graph else {
        return Err(ImportError::NoOutput);
    };
    if proto.output.is_empty() {
        return Err(ImportError::NoOutput);
    }
    let order = needed_nodes(proto)?;
    let dropped = proto.node.len() - order.len();
    if dropped > 0 {
        warnings.push(format!("{dropped} nodes reach no output and are left out"));
    }
    let values = (proto.input.iter().map(|i| &i.name))
        .chain(proto.initializer.iter().map(|i| &i.name))
        .chain(proto.node.iter().flat_map(|n| &n.output));
    let nodes = proto.node.iter().map(|n| &n.name);
    let builder = Builder::new(&proto.name, budget, external, all_names(values), all_names(nodes));
    let declared = Declared::new(proto.value_info.iter().chain(&proto.output));
    let names = Names {
        constants: proto.initializer.iter().map(|tensor| tensor.name.as_str()).collect(),
        results: proto.node.iter().flat_map(|node| &node.output).map(String::as_str).collect(),
        outputs: proto.output.iter().map(|output| output.name.as_str()).collect(),
    };
    let unsupported = Vec::new();
    let (parts, described, has_integers) = (Parts::default(), Vec::new(), false);
    let mut import = Import {
        model,
        proto,
        opset,
        builder,
        declared,
        names,
        unsupported,
        warnings,
        parts,
        described,
        has_integers,
    };
    import.constants(proto)?;
    let extents = import.inputs(shapes)?;
    import.nodes(proto, &order)?;
    Ok((import.finish()?, extents))
}

/// Names in the file, for looking up.
struct Names<'a> {
    constants: BTreeSet<&'a str>,
    results: BTreeSet<&'a str>,
    outputs: BTreeSet<&'a str>,
}

struct Import<'a> {
    model: &'a ModelProto,
    proto: &'a GraphProto,
    opset: i64,
    builder: Builder,
    declared: Declared,
    names: Names<'a>,
    unsupported: Vec<Unsupported>,
    warnings: &'a mut Vec<String>,
    /// What the host computes.
    parts: Parts,
    /// The network's inputs as who gives them sees them.
    described: Vec<ValueInfoProto>,
    /// Whether some of them are integers.
    has_integers: bool,
}

impl Import<'_> {
    fn constants(&mut self, graph: &GraphProto) -> Result<(), ImportError> {
        for tensor in &graph.initializer {
            let slot = self.constant(tensor)?;
            self.define(&tensor.name, slot)?;
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", |values| values.name.as_str());
            self.refuse(
                name,
                "initializer",
                "sparse constants are not supported",
                "store it densely",
            );
            let slot = self.builder.unknown_slot();
            self.define(name, slot)?;
        }
        Ok(())
    }

    fn constant(&mut self, tensor: &TensorProto) -> Result<SlotId, ImportError> {
        let name = &tensor.name;
        let Builder { external, budget, .. } = &mut self.builder;
        match decode(tensor, external, budget) {
            Ok(decoded) => {
                if decoded.rounded {
                    self.warnings.push(format!(
                        "constant `{name}`: float64 elements are rounded to float32"
                    ));
                }
                let slot = self.builder.constant_slot(name, decoded.tensor);
                if let Some(int) = IntType::of(tensor.data_type) {
                    self.builder.note_int_type(slot, int);
                }
                Ok(slot)
            }
            Err(error @ TensorProtoError::ElementType(_)) => {
                self.refuse(name, "initializer", &error.to_string(), "");
                Ok(self.builder.unknown_slot())
            }
            Err(TensorProtoError::Limit) => Err(self.over_limit(name)),
            Err(source) => Err(ImportError::Tensor { tensor: name.clone(), source }),
        }
    }

    fn tell_real(&mut self, end: &str, name: &str, int: IntType) {
        self.warnings.push(format!(
            "{end} `{name}` holds {} integers in the file; here it holds the real values they stand for",
            int.name()
        ));
    }

    fn define(&mut self, name: &str, slot: SlotId) -> Result<(), ImportError> {
        if !self.builder.bind(name, slot) || self.names.results.contains(name) {
            return Err(ImportError::Redefined { value: name.to_owned() });
        }
        Ok(())
    }

    fn refuse(&mut self, node: &str, op: &str, reason: &str, suggestion: &str) {
        let [node, op, reason, suggestion] = [node, op, reason, suggestion].map(str::to_owned);
        self.unsupported.push(Unsupported { node, op, reason, suggestion });
    }

    fn over_limit(&self, place: &str) -> ImportError {
        ImportError::ConstantLimit {
            place: place.to_owned(),
            needed_bytes: self.builder.budget.needed_bytes(),
            limit_bytes: self.builder.budget.limit_bytes(),
        }
    }

    /// Imports nodes of `graph`: that of the file, or a branch that was taken.
    fn nodes(&mut self, graph: &GraphProto, order: &[usize]) -> Result<(), ImportError> {
        let mut used: BTreeSet<&str> = graph.node.iter().flat_map(reads).collect();
        used.extend(graph.output.iter().map(|output| output.name.as_str()));
        let mut seen_names = BTreeSet::new();
        for &index in order {
            let node = &graph.node[index];
            let label = node_label(graph, index);
            // A name of the file is kept for its first node; made-up and repeated ones must not meet another.
            let name = if !node.name.is_empty() && seen_names.insert(node.name.as_str()) {
                label.clone()
            } else {
                self.builder.fresh_node_name(&label)
            };
            if let Some(replacement) = self.node(node, name, &used)? {
                self.constants(&replacement)?;
                self.nodes(&replacement, &needed_nodes(&replacement)?)?;
            }
            self.define_results(node, &label)?;
        }
        Ok(())
    }

    /// Imports one node, or returns the nodes that stand in its place.
    fn node(
        &mut self,
        node: &NodeProto,
        name: String,
        used: &BTreeSet<&str>,
    ) -> Result<Option<GraphProto>, ImportError> {
        let inputs = self.input_slots(node, &name)?;
        let op = &node.op_type;
        let Some(spec) = find_in(&node.domain, op) else {
            let (reason, suggestion) = explain_unknown(self.model, node);
            self.refuse(&name, op, &reason, &suggestion);
            return Ok(None);
        };
        if let Some(taken) = self.outsource(spec, node, &name, &inputs, used)? {
            return Ok(taken);
        }
        let is_graph_output =
            node.output.first().is_some_and(|name| self.names.outputs.contains(name.as_str()));
        let mut ctx = NodeCtx {
            proto: node,
            opset: self.opset,
            name: name.clone(),
            inputs,
            is_graph_output,
            used_values: used,
            builder: &mut self.builder,
            replacement: None,
        };
        match import_node(spec, &mut ctx, &mut self.unsupported) {
            Ok(()) => {
                let replacement = ctx.replacement;
                if matches!(op.as_str(), "DynamicQuantizeLinear" | "DynamicQuantizeMatMul") {
                    self.warnings.push(format!(
                        "node `{name}` finds a scale for every input anew; here it is calibrated once"
                    ));
                }
                Ok(replacement)
            }
            Err(Refusal::Unsupported { reason, suggestion }) => {
                self.refuse(&name, op, &reason, &suggestion);
                Ok(None)
            }
            Err(Refusal::Invalid(
                NodeError::Limit | NodeError::Constant(TensorProtoError::Limit),
            )) => Err(self.over_limit(&name)),
            Err(Refusal::Invalid(source)) => {
                Err(ImportError::Node { node: name, op: op.clone(), source })
            }
        }
    }

    fn input_slots(
        &self,
        node: &NodeProto,
        name: &str,
    ) -> Result<Vec<Option<SlotId>>, ImportError> {
        let slot = |value: &String| {
            if value.is_empty() {
                return Ok(None);
            }
            let undefined =
                || ImportError::Undefined { place: format!("node `{name}`"), value: value.clone() };
            self.builder.slot(value).map(Some).ok_or_else(undefined)
        };
        node.input.iter().map(slot).collect()
    }

    /// Results that were not made are unknown; those that were are compared with the file's declarations.
    fn define_results(&mut self, node: &NodeProto, label: &str) -> Result<(), ImportError> {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            let Some(slot) = self.builder.slot(name) else {
                let slot = self.builder.unknown_slot();
                self.builder.bind(name, slot);
                continue;
            };
            let Some(shape) = self.builder.shape(slot) else {
                continue;
            };
            if shape.len() > MAX_RANK {
                let source = NodeError::Rank { found: shape.len(), most: MAX_RANK };
                return Err(ImportError::Node {
                    node: label.to_owned(),
                    op: node.op_type.clone(),
                    source,
                });
            }
            self.declared.check(name, shape)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Graph, ImportError> {
        self.split()?;
        round_inputs(&mut self.builder);
        if self.unsupported.is_empty() {
            Ok(self.builder.graph)
        } else {
            Err(ImportError::Unsupported(self.unsupported))
        }
    }
}

/// Checks one node against its entry in the table, then folds or imports it.
pub(super) fn import_node(
    spec: &OpSpec,
    ctx: &mut NodeCtx<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<(), Refusal> {
    let (name, op) = (ctx.name.clone(), ctx.proto.op_type.clone());
    let mut refused = false;
    let mut refuse = |reason: String, suggestion: &str| {
        refused = true;
        let (node, op, suggestion) = (name.clone(), op.clone(), suggestion.to_owned());
        unsupported.push(Unsupported { node, op, reason, suggestion });
    };
    if ctx.opset < spec.versions[0] {
        let reason = format!(
            "the operator exists since operator set {}, the file uses {}",
            spec.versions[0], ctx.opset
        );
        refuse(reason, "");
    }
    for attribute in &ctx.proto.attribute {
        if !spec.attributes.contains(&attribute.name.as_str()) {
            refuse(format!("attribute `{}` is not known", attribute.name), "");
        }
    }
    for constraint in spec.constraints {
        if let Some(found) = (constraint.violation)(ctx)? {
            refuse(format!("{}; found {found}", constraint.text), constraint.suggestion);
        }
    }
    let unknown = ctx.inputs.iter().flatten().any(|&slot| ctx.builder.is_unknown(slot));
    if refused || unknown {
        return Ok(());
    }
    let all_constant = (0..ctx.n_inputs()).all(|i| !ctx.has_input(i) || ctx.constant(i).is_some());
    let reading = reading(ctx.builder, spec, &ctx.inputs);
    if let Reading::Refused(reason) = reading {
        let suggestion =
            "put DequantizeLinear in front of it, and QuantizeLinear behind".to_owned();
        return Err(Refusal::Unsupported { reason, suggestion });
    }
    match (spec.fold, spec.import) {
        (Some(fold), _) if all_constant => fold(ctx)?,
        (_, Some(import)) => import(ctx)?,
        (_, None) => Err(Refusal::Unsupported {
            reason: "it is taken only where its operands are constant".to_owned(),
            suggestion: "simplify the model before export, for example with onnxsim".to_owned(),
        })?,
    }
    if let Reading::Moves(integers) = reading {
        ctx.note_all_integers(integers);
    }
    Ok(())
}

fn element_type(info: &ValueInfoProto) -> i32 {
    let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    tensor.map_or(DataType::Undefined as i32, |t| t.elem_type)
}
