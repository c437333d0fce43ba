//! Running a part: every node folds constants, the inputs among them.

use std::collections::BTreeSet;

use super::{End, HostError, Kind, Part, RUN_BYTES, Work};
use crate::onnx::builder::{Builder, SlotId};
use crate::onnx::error::NodeError;
use crate::onnx::external::External;
use crate::onnx::import::import_node;
use crate::onnx::node::{NodeCtx, Refusal};
use crate::onnx::ops::find_in;
use crate::onnx::order::reads;
use crate::onnx::proto::NodeProto;
use crate::onnx::tensor::{Budget, decode};
use crate::tensor::{Data, Tensor};

impl Part {
    /// The outputs for one sample's inputs, in their order.
    ///
    /// # Errors
    /// When the inputs are not those of [`inputs`](Self::inputs), or a node fails on them: an index outside a table, a division by zero.
    pub fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, HostError> {
        self.run_seeing(inputs, |_, _| {})
    }

    /// How much work each node is, found by running on zeros.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn work(&self) -> Result<Vec<Work>, HostError> {
        let mut work = Vec::new();
        self.run_seeing(self.inputs.iter().map(zeros).collect(), |node, elements| {
            let (name, op) = (node.name.clone(), node.op_type.clone());
            work.push(Work { node: name, op, elements: elements as u64 });
        })?;
        Ok(work)
    }

    fn run_seeing(
        &self,
        inputs: Vec<Tensor>,
        mut seen: impl FnMut(&NodeProto, usize),
    ) -> Result<Vec<Tensor>, HostError> {
        let mut builder = Builder::new(
            "",
            Budget::new(RUN_BYTES),
            External::new(None),
            BTreeSet::new(),
            BTreeSet::new(),
        );
        self.bind(&mut builder, inputs)?;
        let mut used: BTreeSet<&str> = self.graph.node.iter().flat_map(reads).collect();
        used.extend(self.outputs.iter().map(|end| end.name.as_str()));
        for &index in &self.order {
            let node = &self.graph.node[index];
            self.node(node, &used, &mut builder)?;
            seen(node, elements(node, &builder));
        }
        let output = |end: &End| {
            let tensor = builder.slot(&end.name).and_then(|slot| builder.constant(slot));
            let tensor = tensor.ok_or_else(|| HostError::End {
                name: end.name.clone(),
                reason: "nothing computes it".to_owned(),
            })?;
            let (found, expected) = (tensor.shape.clone(), end.shape.clone());
            if found != expected {
                let reason = format!("has shape {found:?}, expected {expected:?}");
                return Err(HostError::End { name: end.name.clone(), reason });
            }
            Ok(tensor.clone())
        };
        self.outputs.iter().map(output).collect()
    }

    /// Binds constants and inputs to their names.
    fn bind(&self, builder: &mut Builder, inputs: Vec<Tensor>) -> Result<(), HostError> {
        for proto in &self.graph.initializer {
            let Builder { external, budget, .. } = &mut *builder;
            let decoded = decode(proto, external, budget).map_err(|source| {
                HostError::Constant { name: proto.name.clone(), source: Box::new(source) }
            })?;
            let slot = builder.constant_slot(&proto.name, decoded.tensor);
            builder.bind(&proto.name, slot);
        }
        let found = inputs.len();
        if found != self.inputs.len() {
            let expected = self.inputs.len().to_string();
            let name = self.inputs.first().map_or_else(String::new, |end| end.name.clone());
            return Err(HostError::Input { name, found: format!("{found} fellows"), expected });
        }
        for (end, tensor) in self.inputs.iter().zip(inputs) {
            fits(end, &tensor)?;
            let slot = builder.constant_slot(&end.name, tensor);
            builder.rebind(&end.name, slot);
        }
        Ok(())
    }

    fn node(
        &self,
        node: &NodeProto,
        used: &BTreeSet<&str>,
        builder: &mut Builder,
    ) -> Result<(), HostError> {
        let [name, op] = [&node.name, &node.op_type].map(String::clone);
        let refuse =
            |reason: String| HostError::Operator { node: name.clone(), op: op.clone(), reason };
        let spec = find_in(&node.domain, &node.op_type)
            .ok_or_else(|| refuse("the host does not compute this operator".to_owned()))?;
        let slot = |value: &String| match builder.slot(value) {
            _ if value.is_empty() => Ok(None),
            Some(slot) => Ok(Some(slot)),
            None => Err(refuse(format!("nothing defines `{value}`"))),
        };
        let inputs = node.input.iter().map(slot).collect::<Result<Vec<Option<SlotId>>, _>>()?;
        let mut ctx = NodeCtx {
            proto: node,
            opset: self.opset,
            name: name.clone(),
            inputs,
            is_graph_output: false,
            used_values: used,
            builder,
            replacement: None,
        };
        let mut unsupported = Vec::new();
        match import_node(spec, &mut ctx, &mut unsupported) {
            Ok(()) if ctx.replacement.is_some() => {
                return Err(refuse("the host does not run graphs inside nodes".to_owned()));
            }
            Ok(()) => {}
            Err(Refusal::Unsupported { reason, .. }) => return Err(refuse(reason)),
            Err(Refusal::Invalid(NodeError::Index { index, extent })) => {
                let at = self.find(builder, index);
                return Err(HostError::Index { node: name, op, index, extent, at });
            }
            Err(Refusal::Invalid(source)) => {
                return Err(HostError::Node { node: name, op, source: Box::new(source) });
            }
        }
        match unsupported.pop() {
            Some(first) => Err(refuse(first.reason)),
            None => Ok(()),
        }
    }

    /// The first integer input that holds `value`, and where.
    fn find(&self, builder: &Builder, value: i64) -> Option<(String, Vec<usize>)> {
        self.inputs.iter().find_map(|end| {
            let tensor = builder.constant(builder.slot(&end.name)?)?;
            let at = tensor.i64_values()?.iter().position(|&v| v == value)?;
            Some((end.name.clone(), position(&end.shape, at)))
        })
    }
}

/// Index along each axis of the element with that number.
fn position(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut indices = vec![0; shape.len()];
    for (index, &extent) in indices.iter_mut().zip(shape).rev() {
        *index = at % extent.max(1);
        at /= extent.max(1);
    }
    indices
}

fn zeros(end: &End) -> Tensor {
    let count = end.shape.iter().product();
    let data = match end.kind {
        Kind::Real => Data::SplatF32 { value: 0.0, count },
        Kind::Integer { .. } => Data::I64(vec![0; count]),
        Kind::Truth => Data::Bool(vec![false; count]),
    };
    Tensor { shape: end.shape.clone(), data }
}

/// Whether a tensor is what an input takes.
fn fits(end: &End, tensor: &Tensor) -> Result<(), HostError> {
    let wrong = |found: String, expected: String| {
        Err(HostError::Input { name: end.name.clone(), found, expected })
    };
    if tensor.shape != end.shape {
        return wrong(format!("shape {:?}", tensor.shape), format!("{:?}", end.shape));
    }
    match (end.kind, &tensor.data) {
        (Kind::Integer { lo, hi }, Data::I64(values)) => {
            let Some(at) = values.iter().position(|v| !(lo..=hi).contains(v)) else {
                return Ok(());
            };
            let (name, position) = (end.name.clone(), position(&end.shape, at));
            Err(HostError::Range { name, position, value: values[at], lo, hi })
        }
        (Kind::Truth, Data::Bool(_)) => Ok(()),
        (Kind::Real, data) if data.dtype() == crate::tensor::DType::F32 => Ok(()),
        (_, data) => {
            wrong(format!("elements of type {}", data.dtype().name()), "others".to_owned())
        }
    }
}

/// How much work a node was: see [`Work::elements`].
fn elements(node: &NodeProto, builder: &Builder) -> usize {
    let count = |name: &String| {
        let tensor = builder.slot(name).and_then(|slot| builder.constant(slot));
        tensor.map_or(0, |tensor| tensor.data.len())
    };
    match node.op_type.as_str() {
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Identity" | "Shape" | "Size" => 0,
        op if op.starts_with("Reduce") || matches!(op, "ArgMax" | "ArgMin" | "TopK") => {
            node.input.first().map_or(0, count)
        }
        _ => node.output.iter().map(count).sum(),
    }
}
