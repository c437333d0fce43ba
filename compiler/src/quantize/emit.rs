//! Builds the integer graph node by node.
//!
//! The emitter walks the float graph once. It remembers where each float value is stored and in which layout, puts
//! reorders and rescales where an operator needs its operand in another form, and names what it adds after the node
//! that asked for it.

mod elementwise;
mod finish;
mod function;
mod gather;
mod interpolate;
mod join;
mod linear;
mod lrn;
mod matmul;
mod pool;

pub(super) use function::NODE_STEP;
pub(crate) use function::slope_axis;
pub(super) use pool::uncut;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ir::graph::{Graph, Node, Op, ValueId};
use ir::qgraph::{Bounds, Hwc, QGraph, QNode, QOp, QType, QValue, View};
use isa::numerics::{AddMultipliers, NumericsError, Requant, product_fits};

use super::fusion::{Clip, Fusion};
use super::layout::{Layout, Reshaped, reshape};
use super::params::Params;
use super::scales::Assigned;
use super::{Arithmetic, QuantizeError, Refusal};
use crate::options::Options;

/// Where a float value is stored.
#[derive(Clone, Debug)]
struct Stored {
    /// Value of the integer graph.
    id: ValueId,
    /// How the float value lies in it.
    layout: Layout,
}

/// The state of one walk.
pub(super) struct Emitter<'a> {
    graph: &'a Graph,
    assigned: &'a [Option<Assigned>],
    options: &'a Options,
    arithmetic: &'a Arithmetic,
    /// Bits per weight by layer.
    bits: &'a BTreeMap<String, u8>,
    q: QGraph,
    stored: BTreeMap<ValueId, Stored>,
    /// Reordered copies, so that several users share one.
    reordered: BTreeMap<Reordering, ValueId>,
    node_names: BTreeSet<String>,
    value_names: BTreeSet<String>,
}

/// What identifies a reordered copy: the original, `dims`, `perm`, and the extents of the result.
type Reordering = (ValueId, Vec<usize>, Vec<usize>, Hwc);

/// One node of the float graph with the activation fused into it.
#[derive(Clone, Copy)]
struct Group<'a> {
    node: &'a Node,
    result: ValueId,
    clip: Clip,
}

impl<'a> Emitter<'a> {
    /// An empty integer graph for `graph`, whose stored values are `assigned` their parameters.
    pub(super) fn new(
        graph: &'a Graph,
        assigned: &'a [Option<Assigned>],
        options: &'a Options,
        arithmetic: &'a Arithmetic,
        bits: &'a BTreeMap<String, u8>,
        rounding: isa::numerics::Rounding,
    ) -> Emitter<'a> {
        Emitter {
            graph,
            assigned,
            options,
            arithmetic,
            bits,
            q: QGraph { name: graph.name.clone(), rounding, ..QGraph::default() },
            stored: BTreeMap::new(),
            reordered: BTreeMap::new(),
            // Names of the file are kept for what they name there.
            node_names: graph.nodes.iter().map(|node| node.name.clone()).collect(),
            value_names: graph.values.iter().map(|value| value.name.clone()).collect(),
        }
    }

    /// The integer graph.
    pub(super) fn run(mut self, fusion: &Fusion) -> Result<QGraph, QuantizeError> {
        for &input in &self.graph.inputs {
            let layout = self.input_layout(input);
            let id = self.named_value(input, layout.hwc);
            self.q.inputs.push(id);
            self.stored.insert(input, Stored { id, layout });
        }
        for (node, result, clip) in fusion.nodes(self.graph) {
            let clip = self.storable(result, clip);
            self.group(Group { node, result, clip })?;
        }
        self.finish();
        Ok(self.q)
    }

    /// How an input is stored. The host stores it in any order, so one that is only transposed (an image with channels last)
    /// lies as its first transpose would have it.
    fn input_layout(&self, input: ValueId) -> Layout {
        let shape = self.shape(input);
        let users = self.graph.nodes.iter().filter(|node| node.inputs.contains(&input));
        let perms: Option<Vec<&[usize]>> = users
            .map(|node| match &node.op {
                Op::Transpose { perm } => Some(perm.as_slice()),
                _ => None,
            })
            .collect();
        match perms.as_deref() {
            Some([perm, ..]) => {
                let transposed: Vec<usize> = perm.iter().map(|&axis| shape[axis]).collect();
                Layout::standard(&transposed).before_transpose(perm)
            }
            Some([]) | None => Layout::standard(shape),
        }
    }

    /// `clip` within the real values of the integers that store `result`: some options use a part of int8 only.
    fn storable(&self, result: ValueId, clip: Clip) -> Clip {
        match self.assigned[result.0 as usize] {
            Some(Assigned { params, storage, .. }) if storage.dtype == QType::I8 => {
                let span = params.span_in(storage);
                Clip { lo: clip.lo.max(span.lo), hi: clip.hi.min(span.hi) }
            }
            Some(_) | None => clip,
        }
    }

    fn group(&mut self, group: Group<'_>) -> Result<(), QuantizeError> {
        let x = group.node.inputs[0];
        match &group.node.op {
            Op::Conv { window, groups } => self.conv(group, *window, *groups),
            Op::Dense => self.dense(group),
            &Op::MatMul { scale } => self.matmul(group, scale),
            Op::Add => self.add(group, 1.0),
            Op::Sub => self.add(group, -1.0),
            Op::Mul => self.mul(group),
            Op::Max => {
                self.extremum(group, |ma, mb, shift, bounds| QOp::Max { ma, mb, shift, bounds })
            }
            Op::Min => {
                self.extremum(group, |ma, mb, shift, bounds| QOp::Min { ma, mb, shift, bounds })
            }
            Op::Unary { function } => self.unary(group, function),
            Op::PRelu => self.prelu(group),
            Op::Clip { .. } => self.clip(group),
            Op::FakeQuantize { .. } => self.round(group),
            &Op::Lrn { size, alpha, beta, bias } => self.lrn(group, size, [alpha, beta, bias]),
            Op::Interpolate { axes } => self.interpolate(group, axes),
            Op::MaxPool { window } => {
                self.max_pool(group, *window);
                Ok(())
            }
            Op::AveragePool { window, count_include_pad } => {
                self.average_pool(group, *window, *count_include_pad)
            }
            Op::Concat { axis } => self.concat(group, *axis),
            Op::Pad { before, after, value } => self.pad(group, before, after, *value),
            Op::Gather { indices } => self.gather(group, indices),
            Op::Softmax { axis } => self.softmax(group, *axis),
            Op::Reshape => {
                self.reshape(group, x);
                Ok(())
            }
            Op::Transpose { perm } => {
                let Stored { id, layout } = self.stored(x);
                self.stored.insert(group.result, Stored { id, layout: layout.transposed(perm) });
                Ok(())
            }
            Op::BatchNorm { .. } | Op::ConvTranspose { .. } | Op::ReduceMean { .. } => {
                unreachable!("refused before: see `check`")
            }
        }
    }

    fn reshape(&mut self, group: Group<'_>, x: ValueId) {
        let (from, to) = (self.shape(x).to_vec(), self.shape(group.result).to_vec());
        let stored = self.stored(x);
        let stored = match reshape(&stored.layout, &from, &to) {
            Reshaped::Free(layout) => Stored { id: stored.id, layout },
            Reshaped::Reorder { dims, perm } => {
                let layout = Layout::standard(&to);
                let id = self.reorder(&group.node.name, stored.id, dims, perm, layout.hwc);
                Stored { id, layout }
            }
            Reshaped::NeedsRowMajor => {
                let target = stored.layout.row_major(&from);
                let id = self.arrange(&group.node.name, x, &target);
                Stored { id, layout: target.row_major(&to) }
            }
        };
        self.stored.insert(group.result, stored);
    }

    /// Extents of a float value.
    fn shape(&self, id: ValueId) -> &'a [usize] {
        &self.graph.values[id.0 as usize].shape
    }

    /// How a float value is stored.
    fn params(&self, id: ValueId) -> Params {
        self.assigned(id).params
    }

    fn assigned(&self, id: ValueId) -> Assigned {
        self.assigned[id.0 as usize].expect("every operand and result of a group has a scale")
    }

    fn stored(&self, id: ValueId) -> Stored {
        self.stored.get(&id).cloned().expect("operands stand before their users")
    }

    /// Extents of an integer value.
    fn hwc(&self, id: ValueId) -> Hwc {
        self.q.values[id.0 as usize].shape
    }

    /// The integer value of float value `x` in layout `target`, reordered for `base` if it is stored otherwise.
    fn arrange(&mut self, base: &str, x: ValueId, target: &Layout) -> ValueId {
        let Stored { id, layout } = self.stored(x);
        if layout == *target {
            return id;
        }
        let (dims, perm) = layout.reorder_to(self.shape(x), &target.order);
        self.reorder(base, id, dims, perm, target.hwc)
    }

    fn reorder(
        &mut self,
        base: &str,
        id: ValueId,
        dims: Vec<usize>,
        perm: Vec<usize>,
        shape: Hwc,
    ) -> ValueId {
        let key = (id, dims.clone(), perm.clone(), shape);
        if let Some(&copy) = self.reordered.get(&key) {
            return copy;
        }
        let copy = self.derived_value(id, base, "reorder", shape);
        self.push_added(base, "reorder", "Transpose", QOp::Reorder { dims, perm }, &[id], copy);
        self.reordered.insert(key, copy);
        copy
    }

    /// The value in the standard image layout `[h, w, c]` of `[n, c, h, w]`.
    fn image(&mut self, node: &Node, x: ValueId) -> ValueId {
        self.arrange(&node.name, x, &Layout::standard(self.shape(x)))
    }

    /// `id` with the parameters `to`, rescaled if it has others.
    fn rescaled(&mut self, node: &Node, id: ValueId, to: Params) -> Result<ValueId, QuantizeError> {
        let from = self.params_of(id);
        if from == to {
            return Ok(id);
        }
        let copy = self.added_value(&node.name, "rescale", self.hwc(id), to);
        let op = self.rescale_op(node, from, to, to.bounds(Clip::NONE))?;
        self.push_added(&node.name, "rescale", "QuantizeLinear", op, &[id], copy);
        Ok(copy)
    }

    fn rescale_op(
        &self,
        node: &Node,
        from: Params,
        to: Params,
        bounds: Bounds,
    ) -> Result<QOp, QuantizeError> {
        let ratio = from.scale / to.scale;
        let AddMultipliers { ma, shift, .. } = self.add_multipliers(node, ratio, ratio)?;
        Ok(QOp::Rescale { m: ma, shift, bounds })
    }

    fn add_multipliers(
        &self,
        node: &Node,
        a: f64,
        b: f64,
    ) -> Result<AddMultipliers, QuantizeError> {
        AddMultipliers::from_scales(a, b, self.arithmetic.add_multiplier_bits)
            .map_err(scale_error(node))
    }

    /// The multiplier for `scale` that keeps the product with an accumulator of up to `bound` within 64 bits; it has
    /// fewer significant bits than the machine's where wide accumulators ask for that.
    fn requant(&self, node: &Node, scale: f64, bound: u64) -> Result<Requant, QuantizeError> {
        let mut bits = self.arithmetic.multiplier_bits;
        loop {
            let requant = Requant::from_scale(scale, bits).map_err(scale_error(node))?;
            if product_fits(bound, requant) || bits == 1 {
                return Ok(requant);
            }
            bits -= 1;
        }
    }

    fn params_of(&self, id: ValueId) -> Params {
        let QValue { dtype, scale, zero_point, .. } = self.q.values[id.0 as usize];
        Params { dtype, scale, zero_point }
    }

    /// A value that stands for a float value.
    fn named_value(&mut self, float: ValueId, shape: Hwc) -> ValueId {
        let name = self.graph.values[float.0 as usize].name.clone();
        let params = self.params(float);
        self.push_value(name, shape, params)
    }

    /// A value that the compiler adds, with the parameters of `original`.
    fn derived_value(
        &mut self,
        original: ValueId,
        base: &str,
        suffix: &str,
        shape: Hwc,
    ) -> ValueId {
        self.added_value(base, suffix, shape, self.params_of(original))
    }

    /// A value that the compiler adds.
    fn added_value(&mut self, base: &str, suffix: &str, shape: Hwc, params: Params) -> ValueId {
        let name = free_name(&mut self.value_names, format!("{base}/{suffix}"));
        self.push_value(name, shape, params)
    }

    fn push_value(&mut self, name: String, shape: Hwc, params: Params) -> ValueId {
        let Params { dtype, scale, zero_point } = params;
        self.q.values.push(QValue { name, shape, dtype, scale, zero_point, view: View::default() });
        ValueId(u32::try_from(self.q.values.len() - 1).expect("fewer than 2^32 values"))
    }

    /// The node of a group; its result is stored in `layout`.
    fn push(&mut self, group: Group<'_>, op: QOp, inputs: &[ValueId], layout: Layout) {
        let output = self.named_value(group.result, layout.hwc);
        let onnx_op = onnx_name(&group.node.op).into_owned();
        let name = group.node.name.clone();
        self.q.nodes.push(QNode { name, onnx_op, op, inputs: inputs.to_vec(), output });
        self.stored.insert(group.result, Stored { id: output, layout });
    }

    /// The error for a node that has no integer form in the layouts at hand.
    fn refuse(&self, node: &Node, reason: &str) -> QuantizeError {
        let refusal =
            Refusal { node: node.name.clone(), op: onnx_name(&node.op), reason: reason.to_owned() };
        QuantizeError::Refused { refusals: vec![refusal] }
    }

    /// A node that the compiler adds, named after `base`.
    fn push_added(
        &mut self,
        base: &str,
        suffix: &str,
        onnx_op: &str,
        op: QOp,
        inputs: &[ValueId],
        output: ValueId,
    ) {
        let name = free_name(&mut self.node_names, format!("{base}/{suffix}"));
        self.q.nodes.push(QNode {
            name,
            onnx_op: onnx_op.to_owned(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
    }
}

/// `wanted`, or `wanted` with a number, whichever is free; taken from then on.
fn free_name(taken: &mut BTreeSet<String>, wanted: String) -> String {
    let numbered = (1u64..).map(|n| format!("{wanted}_{n}"));
    let mut candidates = std::iter::once(wanted.clone()).chain(numbered);
    let name =
        candidates.find(|name| !taken.contains(name)).expect("there are more numbers than names");
    taken.insert(name.clone());
    name
}

fn scale_error(node: &Node) -> impl Fn(NumericsError) -> QuantizeError + '_ {
    |source| QuantizeError::Scale { node: node.name.clone(), source }
}

/// The ONNX operator that a float operator stands for in reports.
pub(super) fn onnx_name(op: &Op) -> Cow<'static, str> {
    let name = match op {
        Op::Unary { function } => return function.onnx_name().into(),
        Op::Max => "Max",
        Op::Min => "Min",
        Op::PRelu => "PRelu",
        Op::Conv { .. } => "Conv",
        Op::ConvTranspose { .. } => "ConvTranspose",
        Op::Dense => "Gemm",
        Op::MatMul { .. } => "MatMul",
        Op::BatchNorm { .. } => "BatchNormalization",
        Op::Add => "Add",
        Op::Sub => "Sub",
        Op::Mul => "Mul",
        Op::Clip { .. } => "Clip",
        Op::FakeQuantize { .. } => "QuantizeLinear",
        Op::Interpolate { .. } => "Resize",
        Op::Lrn { .. } => "LRN",
        Op::MaxPool { .. } => "MaxPool",
        Op::AveragePool { .. } => "AveragePool",
        Op::ReduceMean { .. } => "ReduceMean",
        Op::Concat { .. } => "Concat",
        Op::Reshape => "Reshape",
        Op::Transpose { .. } => "Transpose",
        Op::Pad { .. } => "Pad",
        // One run per axis is a slice; what repeats elements or jumps between them is not.
        Op::Gather { indices } if indices.iter().all(|list| list.runs().len() == 1) => "Slice",
        Op::Gather { .. } => "Gather",
        Op::Softmax { .. } => "Softmax",
    };
    name.into()
}
