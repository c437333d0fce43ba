//! Turns `scale * x + shift`, constant along all axes but one, into weights: of the operator that computes `x` if it can
//! take them, else of a depthwise 1x1 convolution, which the integer graph computes exactly as well. If it is the same
//! everywhere it is a function of one value, which costs less.

use ir::function::{Function, Primitive, Term};
use ir::graph::{Graph, Node, Op, ValueId, Window};
use ir::tensor::{Data, Tensor};

use super::edit::{
    Insertion, add_constant, add_tensor, add_value, count, floats, free_value_name, name,
    private_producer, shape,
};
use super::{Context, Statistics};

/// An affine map of a tensor.
pub(super) struct Affine {
    /// Axis along which the coefficients vary; `None` if they are the same everywhere (one coefficient each).
    pub(super) axis: Option<usize>,
    /// Factors.
    pub(super) scale: Vec<f64>,
    /// Added behind the product.
    pub(super) shift: Vec<f64>,
}

/// Window of a 1x1 convolution.
pub(super) const POINT: Window =
    Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };

impl Affine {
    /// Coefficients for each of `extent` places along `axis`, if they vary along no other axis.
    fn along(&self, axis: usize, extent: usize) -> Option<(Vec<f64>, Vec<f64>)> {
        match self.axis {
            None => Some((vec![self.scale[0]; extent], vec![self.shift[0]; extent])),
            Some(own) if own == axis => Some((self.scale.clone(), self.shift.clone())),
            Some(_) => None,
        }
    }
}

/// Replaces node `index`, which computes `affine(x)`. `trained` are the statistics of its result, where known; else
/// they follow from those of `x`.
pub(super) fn replace(
    graph: &mut Graph,
    context: &mut Context,
    index: usize,
    x: ValueId,
    affine: &Affine,
    trained: Option<Statistics>,
) {
    let result = name(graph, graph.nodes[index].output).to_owned();
    let derived = || {
        let before = context.statistics.get(name(graph, x))?;
        let (scale, shift) = affine.along(1, before.mean.len())?;
        Some(before.affine(&scale, &shift))
    };
    if let Some(statistics) = trained.or_else(derived) {
        context.statistics.insert(result, statistics);
    }
    if !absorb(graph, index, x, affine) {
        stand_alone(graph, index, x, affine);
    }
}

/// Multiplies the map into the convolution or dense layer that computes `x`, looking through a reshape that leaves the
/// axis alone. Needs that nobody else uses `x`.
fn absorb(graph: &mut Graph, index: usize, x: ValueId, affine: &Affine) -> bool {
    let Some(mut maker) = private_producer(graph, x) else {
        return false;
    };
    let reshape = (graph.nodes[maker].op == Op::Reshape).then_some(maker);
    if reshape.is_some() {
        let inner = graph.nodes[maker].inputs[0];
        let Some(behind) =
            private_producer(graph, inner).filter(|_| same_place(graph, inner, x, affine))
        else {
            return false;
        };
        maker = behind;
    }
    let z = graph.nodes[maker].output;
    if let (&Op::MatMul { scale }, None, [factor], [0.0], None) =
        (&graph.nodes[maker].op, affine.axis, &affine.scale[..], &affine.shift[..], reshape)
    {
        let scale = (f64::from(scale) * factor) as f32;
        if !scale.is_normal() || scale < 0.0 {
            return false;
        }
        graph.nodes[maker].op = Op::MatMul { scale };
        let y = graph.nodes[index].output;
        graph.nodes[maker].output = y;
        graph.nodes.remove(index);
        return true;
    }
    let axis = match graph.nodes[maker].op {
        Op::Conv { .. } | Op::ConvTranspose { .. } => 1,
        Op::Dense => shape(graph, z).len() - 1,
        _ => return false,
    };
    let Some((scale, shift)) = affine.along(axis, shape(graph, z)[axis]) else {
        return false;
    };
    scale_weights(graph, maker, &scale, &shift);
    let y = graph.nodes[index].output;
    if let Some(reshape) = reshape {
        graph.nodes[reshape].output = y;
        // What the maker computes now is not the tensor that the file calls so.
        let wanted = format!("{}/before_{}", name(graph, y), graph.nodes[reshape].name);
        graph.values[z.0 as usize].name = free_value_name(graph, wanted);
    } else {
        graph.nodes[maker].output = y;
    }
    graph.nodes.remove(index);
    true
}

/// Whether the map's axis has the same elements in `inner` and in its reshaped form `x`.
fn same_place(graph: &Graph, inner: ValueId, x: ValueId, affine: &Affine) -> bool {
    let (inner, x) = (shape(graph, inner), shape(graph, x));
    affine.axis.is_none_or(|axis| inner.get(..=axis) == x.get(..=axis))
}

fn scale_weights(graph: &mut Graph, maker: usize, scale: &[f64], shift: &[f64]) {
    let Node { name, inputs, .. } = graph.nodes[maker].clone();
    let weights = scaled(graph, inputs[1], scale);
    let bias = inputs.get(2).map(|&id| floats(graph, id).expect("the bias is constant"));
    let old = |m: usize| bias.as_ref().map_or(0.0, |b| f64::from(b[m]));
    let shifted = (0..scale.len()).map(|m| (old(m) * scale[m] + shift[m]) as f32).collect();
    let w = add_tensor(graph, format!("{name}/weight"), weights);
    let b = add_constant(graph, format!("{name}/bias"), vec![scale.len()], shifted);
    graph.nodes[maker].inputs = vec![inputs[0], w, b];
}

/// Weights with row `m` multiplied by `scale[m]`. Those that the file stores as integers keep them.
fn scaled(graph: &Graph, weights: ValueId, scale: &[f64]) -> Tensor {
    let tensor = graph.values[weights.0 as usize].constant.as_ref().expect("weights are constant");
    let quantized = tensor.quantized().and_then(|stored| stored.with_rows_scaled(scale));
    let data = quantized.map(Data::Quantized).unwrap_or_else(|| {
        let floats = tensor.f32_values().expect("weights are floats");
        let row = floats.len() / scale.len();
        let product = |(i, w): (usize, &f32)| (f64::from(*w) * scale[i / row]) as f32;
        Data::F32(floats.iter().enumerate().map(product).collect())
    });
    Tensor { shape: tensor.shape.clone(), data }
}

/// A depthwise 1x1 convolution of the map's axis in place of node `index`, or a function. Reshapes and transposes around it bring the
/// axis to position 1; they move no data where channels are innermost already.
fn stand_alone(graph: &mut Graph, index: usize, x: ValueId, affine: &Affine) {
    let Some(axis) = affine.axis else {
        let node = &mut graph.nodes[index];
        let function = Function::new(vec![
            Term::X,
            Term::Constant(affine.scale[0] as f32),
            Term::Apply(Primitive::Mul),
            Term::Constant(affine.shift[0] as f32),
            Term::Apply(Primitive::Add),
        ]);
        let function = function.expect("constants of folded operators are numbers");
        (node.op, node.inputs) = (Op::Unary { function }, vec![x]);
        return;
    };
    let node = graph.nodes.remove(index);
    let x_shape = shape(graph, x).to_vec();
    let rank = x_shape.len();
    let channels = x_shape[axis];
    let (scale, shift) = (affine.scale.clone(), affine.shift.clone());
    let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect();
    let w = add_constant(
        graph,
        format!("{}/weight", node.name),
        vec![channels, 1, 1, 1],
        narrow(scale),
    );
    let b = add_constant(graph, format!("{}/bias", node.name), vec![channels], narrow(shift));
    let conv = |x, output| Node {
        name: node.name.clone(),
        op: Op::Conv { window: POINT, groups: channels },
        inputs: vec![x, w, b],
        output,
    };
    if rank == 4 && axis == 1 {
        graph.nodes.insert(index, conv(x, node.output));
        return;
    }
    // [.., c, ..] -> [others, c] -> [1, a, b, c] -> [1, c, a, b], convolved, and back.
    let others: Vec<usize> = (0..rank).filter(|&i| i != axis).collect();
    let a = others.iter().map(|&i| x_shape[i]).find(|&extent| extent != 1).unwrap_or(1);
    let last: Vec<usize> = others.into_iter().chain([axis]).collect();
    let last_shape: Vec<usize> = last.iter().map(|&i| x_shape[i]).collect();
    let mut back = vec![0; rank];
    for (position, &i) in last.iter().enumerate() {
        back[i] = position;
    }
    let b_extent = count(&x_shape) / channels / a;
    let (map, image) = ([1, a, b_extent, channels], [1, channels, a, b_extent]);
    let convolved = add_value(graph, format!("{}/image", node.name), image.to_vec());
    let mut row = Insertion { graph, at: index, base: &node.name };
    let v = row.unary("channels_last", Op::Transpose { perm: last }, x, &last_shape);
    let v = row.unary("to_map", Op::Reshape, v, &map);
    let v = row.unary("to_image", Op::Transpose { perm: vec![0, 3, 1, 2] }, v, &image);
    row.node(conv(v, convolved));
    let v = row.unary("from_image", Op::Transpose { perm: vec![0, 2, 3, 1] }, convolved, &map);
    let v = row.unary("from_map", Op::Reshape, v, &last_shape);
    row.unary("channels_back", Op::Transpose { perm: back }, v, &x_shape);
    row.end_with(node.output);
}
