//! The float graph: what the ONNX file says, in some twenty operators, with every shape known.
//!
//! Shapes keep ONNX's order (`[n, c, h, w]` for images) and always carry the batch dimension, which is 1
//! after import unless the user fixed it otherwise. Nodes stand in topological order; a value has one producer
//! (a node, a graph input, or a constant).

use std::ops::Range;

use bytes::Bytes;

use crate::function::Function;
use crate::indices::Indices;
use crate::quantized::Encoding;
use crate::tensor::{DType, Tensor};

/// Index into [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// A float network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Name of the ONNX graph.
    pub name: String,
    /// Arena of values.
    pub values: Vec<Value>,
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Run-time inputs (initializers that ONNX lists as inputs are constants, not inputs).
    pub inputs: Vec<ValueId>,
    /// Outputs.
    pub outputs: Vec<ValueId>,
    /// What the host does in front, where the file has inputs that are no real values: a [`Part`](crate::onnx::host::Part) from the
    /// inputs of the file to those of this graph. The text form leaves it out.
    pub head: Option<Bytes>,
    /// What the host does behind: a part from the outputs of this graph to those of the file. The text form leaves it out.
    pub tail: Option<Bytes>,
}

/// One tensor that flows through the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// ONNX name, unique in the graph.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements, if the value is constant.
    pub constant: Option<Tensor>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// ONNX node name, or `<op>_<index>` where the file has none. Unique.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Operands in the order the operator defines.
    pub inputs: Vec<ValueId>,
    /// The single result.
    pub output: ValueId,
}

/// Spatial window of a convolution or pool, resolved: `auto_pad` is gone, ceil mode is in the output shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Steps in y and x.
    pub stride: [usize; 2],
    /// Distance between taps in y and x.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right. In ceil mode the bottom and right may be overrun by the last window;
    /// such taps are padding that is never counted.
    pub pad: [usize; 4],
}

/// Linear interpolation along one axis: `y[j] = (1 - t) * x[i] + t * x[i + 1]`, where `i` is the whole part of `places[j]` and
/// `t` the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpolation {
    /// Axis, non-negative.
    pub axis: usize,
    /// Real index in the operand of each index of the result, between 0 and the last index.
    pub places: Vec<f32>,
}

/// The closed set of float operators. Everything else in ONNX is rewritten into these by the importer.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x [n,c,h,w]`, `w [m, c/groups, kh, kw]`, optional `b [m]` (w and b constant).
    Conv {
        /// Window geometry.
        window: Window,
        /// Channel groups; equal to `c` for depthwise.
        groups: usize,
    },
    /// Transposed convolution: `x [n,c,h,w]`, `w [m, c/groups, kh, kw]` (output channels first, as in `Conv`; ONNX has the two
    /// swapped), optional `b [m]` (w and b constant). Tap `k` of the kernel carries input element `i` to
    /// `stride * i + dilation * k - pad` on each axis; sums are formed where several meet.
    ConvTranspose {
        /// Kernel, stride and dilation over the result; `pad` is cut off its border.
        window: Window,
        /// Rows and columns added to the result at the bottom and right.
        output_padding: [usize; 2],
        /// Channel groups.
        groups: usize,
    },
    /// `x [.., k]`, `w [m, k]` constant and already transposed and scaled by alpha; optional `b [m]` constant.
    /// From Gemm, and from MatMul with a constant.
    Dense,
    /// Product of two computed tensors of matrices: `y[.., i, j] = scale * sum over k of a[.., i, k] * b[.., k, j]`; both have as
    /// many axes, at least two, and the same leading extents.
    MatMul {
        /// Positive factor of every sum: 1, or what a multiplication behind it left (`1 / sqrt(d)` of attention).
        scale: f32,
    },
    /// Local response normalization across channels (axis 1 of `[n,c,h,w]`):
    /// `y = x * (bias + alpha / size * sum of x^2 over lrn_window) ^ -beta`.
    Lrn {
        /// Channels summed.
        size: usize,
        /// Weight of the mean of squares.
        alpha: f32,
        /// Exponent.
        beta: f32,
        /// Added to the weighted mean, above 0.
        bias: f32,
    },
    /// `scale, bias, mean, var` constants of `[c]` on axis 1.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Elementwise with ONNX (NumPy) broadcasting; either operand may be constant.
    Add,
    /// As `Add`, first minus second.
    Sub,
    /// As `Add`, product.
    Mul,
    /// Larger one, broadcasting as `Add`.
    Max,
    /// Smaller one, broadcasting as `Add`.
    Min,
    /// A function of each element.
    Unary {
        /// The function.
        function: Function,
    },
    /// `x` where positive, else `slope * x`; `slope` is constant and broadcasts to `x`.
    PRelu,
    /// `min(max(x, lo), hi)`; Relu is `lo = 0, hi = +inf`.
    Clip {
        /// Lower bound, may be -inf.
        lo: f32,
        /// Upper bound, may be +inf.
        hi: f32,
    },
    /// What storing `x` as integers leaves of it ([`Encoding::round`]): QuantizeLinear followed by DequantizeLinear. A graph that
    /// was quantized before has one behind each value whose scale is decided.
    FakeQuantize {
        /// How it is stored.
        to: Encoding,
    },
    /// Linear interpolation along some axes, one after the other.
    Interpolate {
        /// The axes, ascending.
        axes: Vec<Interpolation>,
    },
    /// Maximum over a window; padding never wins.
    MaxPool {
        /// Window geometry.
        window: Window,
    },
    /// Mean over a window.
    AveragePool {
        /// Window geometry.
        window: Window,
        /// Whether padding inside the declared pads counts in the divisor.
        count_include_pad: bool,
    },
    /// Mean over `axes` (sorted, non-negative); reduced axes stay with extent 1 (a Reshape follows if ONNX drops them).
    /// GlobalAveragePool is the mean over all spatial axes.
    ReduceMean {
        /// Axes reduced.
        axes: Vec<usize>,
    },
    /// Joins operands along `axis`.
    Concat {
        /// Axis joined, non-negative.
        axis: usize,
    },
    /// Same elements in the same row-major order; the shape is the output value's. From Reshape, Flatten, Squeeze, Unsqueeze.
    Reshape,
    /// Output axis `i` is input axis `perm[i]`.
    Transpose {
        /// Axis permutation.
        perm: Vec<usize>,
    },
    /// Constant padding, `before[i]` and `after[i]` elements on axis `i` (negative amounts are refused at import).
    Pad {
        /// Elements added in front, per axis.
        before: Vec<usize>,
        /// Elements added behind, per axis.
        after: Vec<usize>,
        /// Value of the added elements.
        value: f32,
    },
    /// `y[i, j, ..] = x[indices[0][i], indices[1][j], ..]`: one index list per axis. From Slice, Split, nearest Resize,
    /// repeating borders of Pad, and Gather with constant indices.
    Gather {
        /// Indices of the operand along each axis.
        indices: Vec<Indices>,
    },
    /// Softmax over one axis (older opsets' flattened form is rewritten at import).
    Softmax {
        /// Axis normalised, non-negative.
        axis: usize,
    },
}

/// Channels that local response normalization of channel `channel` sums: `size` of them around it, an even size reaching
/// further up, as far as there are channels.
#[must_use]
pub fn lrn_window(channel: usize, size: usize, channels: usize) -> Range<usize> {
    let below = size.saturating_sub(1) / 2;
    let above = size.saturating_sub(below);
    channel.saturating_sub(below)..channel.saturating_add(above).min(channels)
}

impl Graph {
    /// The value `id`, or `None` when `id` is not of this graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> Option<&Value> {
        self.values.get(id.0 as usize)
    }
}

impl Window {
    /// Input elements that one window spans along `axis` (0 = y, 1 = x): `(kernel - 1) * dilation + 1`. `None` when a
    /// part is zero or the product overflows.
    #[must_use]
    pub fn reach(&self, axis: usize) -> Option<usize> {
        let dilation = self.dilation[axis];
        if dilation == 0 || self.stride[axis] == 0 {
            return None;
        }
        self.kernel[axis].checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
    }

    /// Results along `axis` when the window is transposed over `extent` input elements: kernels laid out `stride` apart,
    /// without the padding, with `more` behind. `None` if nothing is left or a product overflows.
    #[must_use]
    pub fn transposed_outputs(&self, axis: usize, extent: usize, more: usize) -> Option<usize> {
        let steps = extent.checked_sub(1)?.checked_mul(self.stride[axis])?;
        let whole = steps.checked_add(self.reach(axis)?)?.checked_add(more)?;
        let left = whole.checked_sub(self.pad[axis])?.checked_sub(self.pad[axis + 2])?;
        Some(left).filter(|&left| left > 0)
    }

    /// Windows along `axis` over `extent` input elements. With `ceil` the last window may overrun the padding, but it
    /// must start before the padding behind the input. `None` when no window fits.
    #[must_use]
    pub fn outputs(&self, axis: usize, extent: usize, ceil: bool) -> Option<usize> {
        let before = self.pad[axis];
        let padded = extent.checked_add(before)?.checked_add(self.pad[axis + 2])?;
        let room = padded.checked_sub(self.reach(axis)?)?;
        let stride = self.stride[axis];
        if !ceil {
            return Some(room / stride + 1);
        }
        let steps = room.div_ceil(stride);
        // `steps` is above zero whenever the last window starts behind the input, as the first one never does.
        let starts_behind = steps.checked_mul(stride).is_none_or(|start| start >= extent + before);
        Some(if starts_behind && steps > 0 { steps } else { steps + 1 })
    }
}

impl Op {
    /// Fewest and most operands.
    #[must_use]
    pub const fn operands(&self) -> (usize, usize) {
        match self {
            Op::Conv { .. } | Op::ConvTranspose { .. } | Op::Dense => (2, 3),
            Op::BatchNorm { .. } => (5, 5),
            Op::MatMul { .. } | Op::Add | Op::Sub | Op::Mul | Op::Max | Op::Min | Op::PRelu => {
                (2, 2)
            }
            Op::Concat { .. } => (1, usize::MAX),
            Op::Unary { .. }
            | Op::Clip { .. }
            | Op::FakeQuantize { .. }
            | Op::Lrn { .. }
            | Op::Interpolate { .. }
            | Op::MaxPool { .. }
            | Op::AveragePool { .. }
            | Op::ReduceMean { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Pad { .. }
            | Op::Gather { .. }
            | Op::Softmax { .. } => (1, 1),
        }
    }

    /// First operand that must be constant, where the operator has such: weights, bias, statistics and slopes.
    #[must_use]
    pub const fn constant_operands_from(&self) -> Option<usize> {
        match self {
            Op::Conv { .. }
            | Op::ConvTranspose { .. }
            | Op::Dense
            | Op::BatchNorm { .. }
            | Op::PRelu => Some(1),
            _ => None,
        }
    }

    /// Name in the text form, in reports and in made-up node names.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Op::Conv { .. } => "conv",
            Op::ConvTranspose { .. } => "conv_transpose",
            Op::Dense => "dense",
            Op::MatMul { .. } => "matmul",
            Op::Lrn { .. } => "lrn",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Add => "add",
            Op::Sub => "sub",
            Op::Mul => "mul",
            Op::Max => "max",
            Op::Min => "min",
            Op::Unary { .. } => "unary",
            Op::PRelu => "prelu",
            Op::Clip { .. } => "clip",
            Op::FakeQuantize { .. } => "fake_quantize",
            Op::Interpolate { .. } => "interpolate",
            Op::MaxPool { .. } => "max_pool",
            Op::AveragePool { .. } => "average_pool",
            Op::ReduceMean { .. } => "reduce_mean",
            Op::Concat { .. } => "concat",
            Op::Reshape => "reshape",
            Op::Transpose { .. } => "transpose",
            Op::Pad { .. } => "pad",
            Op::Gather { .. } => "gather",
            Op::Softmax { .. } => "softmax",
        }
    }
}
