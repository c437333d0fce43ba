//! The float graph: what the ONNX file says, in about twenty operators, with every shape known.
//!
//! Shapes keep ONNX's order (`[n, c, h, w]` for images) and always carry the batch dimension, which is 1
//! after import unless the user fixed it otherwise. Nodes stand in topological order; a value has one producer
//! (a node, a graph input, or a constant).

use crate::tensor::{DType, Tensor};

/// Index into [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// A float network.
#[derive(Clone, Debug, Default)]
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
}

/// One tensor that flows through the graph.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
    /// `x [.., k]`, `w [m, k]` constant and already transposed and scaled by alpha; optional `b [m]` constant.
    /// From Gemm, and from MatMul with a constant.
    Dense,
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
    /// `min(max(x, lo), hi)`; Relu is `lo = 0, hi = +inf`.
    Clip {
        /// Lower bound, may be -inf.
        lo: f32,
        /// Upper bound, may be +inf.
        hi: f32,
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
    /// Softmax over one axis (older opsets' flattened form is rewritten at import).
    Softmax {
        /// Axis normalised, non-negative.
        axis: usize,
    },
}
