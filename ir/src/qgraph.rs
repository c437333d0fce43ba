//! The integer graph: what the machine computes, exactly.
//!
//! Every value is one image's tensor `[h, w, c]` of int8 or int16; batch is not represented. No operator reads a scale:
//! scales and zero points on values serve the two ends (float in, float out) and reports. `docs/numerics.md` defines
//! each operator's integers; the runtime computes them plainly, the compiler lowers them, the simulator must agree.

use std::fmt;

use isa::numerics::{Requant, Rounding};

pub use crate::graph::{ValueId, Window};
pub use crate::indices::{Indices, Run};

/// An integer network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QGraph {
    /// Name of the ONNX graph.
    pub name: String,
    /// Arena of values.
    pub values: Vec<QValue>,
    /// Nodes in topological order.
    pub nodes: Vec<QNode>,
    /// Run-time inputs.
    pub inputs: Vec<ValueId>,
    /// Outputs.
    pub outputs: Vec<ValueId>,
    /// Rounding mode of every requantization in the graph.
    pub rounding: Rounding,
}

/// Storage type of an integer value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QType {
    /// -128..=127.
    I8,
    /// -32768..=32767.
    I16,
}

/// One integer tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct QValue {
    /// Name of the ONNX value it stands for (a suffix marks values the compiler added).
    pub name: String,
    /// Height, width, channels; all at least 1.
    pub shape: Hwc,
    /// Storage type.
    pub dtype: QType,
    /// `real = scale * (q - zero_point)`.
    pub scale: f64,
    /// Stored integer that stands for real zero.
    pub zero_point: i32,
    /// How the ONNX tensor lies in `[h, w, c]`; meaningful for graph inputs and outputs.
    pub view: View,
}

/// Extents of an integer tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hwc {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels, innermost.
    pub c: usize,
}

/// Relation between an ONNX tensor (batch 1 included) and its `[h, w, c]` form: transposing the ONNX tensor by
/// `perm` and merging gives `[h, w, c]` in row-major order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// ONNX extents, e.g. `[1, 3, 224, 224]`.
    pub onnx_shape: Vec<usize>,
    /// ONNX axis at each position of the transposed tensor, e.g. `[0, 2, 3, 1]`.
    pub perm: Vec<usize>,
}

/// One integer operation.
#[derive(Clone, Debug, PartialEq)]
pub struct QNode {
    /// Name of the ONNX node it computes (of the last one where several were fused).
    pub name: String,
    /// ONNX operator it came from, for reports (`Conv`, `Gemm`, ...).
    pub onnx_op: String,
    /// What it does.
    pub op: QOp,
    /// Operands.
    pub inputs: Vec<ValueId>,
    /// The single result.
    pub output: ValueId,
}

/// Convolution constants; a dense layer is a 1x1 convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct QWeights {
    /// Output channels.
    pub oc: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Input channels of one group.
    pub ic: usize,
    /// Bits per weight, 2..=8; every value lies in `[-2^(bits-1), 2^(bits-1)-1]`. Our own quantization leaves the lowest out.
    pub bits: u8,
    /// `[oc, kh, kw, ic]` row-major.
    pub data: Vec<i8>,
}

/// Saturation bounds of a result, inclusive: the storage range narrowed by a fused activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Smallest stored integer.
    pub lo: i32,
    /// Largest stored integer.
    pub hi: i32,
}

/// A place between two neighbouring elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Index of the first one.
    pub index: usize,
    /// Weight of the second one in 128ths, 0..=127.
    pub weight: u8,
}

/// The closed set of integer operators. `Za`, `Zb`, `Zy` below are the zero points of the operands and the result.
#[derive(Clone, Debug, PartialEq)]
pub enum QOp {
    /// `clamp(RQ_o(bias[o] + sum x * w) + Zy)`. `x` are stored integers and padding injects `Zx`: the input zero point is
    /// already inside `bias` (`B' = b - Zx * sum w`).
    Conv {
        /// Weights.
        weights: QWeights,
        /// `B'` per output channel; fits the accumulator together with every partial sum (proved at build).
        bias: Vec<i64>,
        /// Multiplier and shift per output channel.
        requant: Vec<Requant>,
        /// Window geometry.
        window: Window,
        /// Channel groups.
        groups: usize,
        /// Saturation.
        bounds: Bounds,
    },
    /// Product of two computed tensors: `y[h, i, j] = clamp(RQ(sum over k of a[h, i, k] * b[h, j, k]) + Zy)`, so a row of `b` is what
    /// one column of the result is made of. Both zero points are 0; `b` is int8 and may have extent 1 on h (broadcast).
    MatMul {
        /// Multiplier and shift.
        requant: Requant,
        /// Saturation.
        bounds: Bounds,
    },
    /// `clamp(round(((a-Za)*ma + (b-Zb)*mb) / 2^shift) + Zy)`; one rounding. `b` may have extent 1 on h, w and/or c (broadcast).
    Add {
        /// Signed multiplier of the first operand.
        ma: i32,
        /// Signed multiplier of the second operand (negative for Sub).
        mb: i32,
        /// Common shift.
        shift: u8,
        /// Saturation.
        bounds: Bounds,
    },
    /// `clamp(round(max((a-Za)*ma, (b-Zb)*mb) / 2^shift) + Zy)`; `b` may broadcast as in `Add`.
    Max {
        /// Multiplier of the first operand.
        ma: i32,
        /// Multiplier of the second operand.
        mb: i32,
        /// Common shift.
        shift: u8,
        /// Saturation.
        bounds: Bounds,
    },
    /// As `Max`, with the minimum.
    Min {
        /// Multiplier of the first operand.
        ma: i32,
        /// Multiplier of the second operand.
        mb: i32,
        /// Common shift.
        shift: u8,
        /// Saturation.
        bounds: Bounds,
    },
    /// `clamp(RQ((a-Za)*(b-Zb)) + Zy)`; `b` may broadcast as in `Add`.
    Mul {
        /// Multiplier and shift.
        requant: Requant,
        /// Saturation.
        bounds: Bounds,
    },
    /// `clamp(round((a-Za)*m / 2^shift) + Zy)`: another scale, zero point or width for the same real value. Also clips.
    Rescale {
        /// Multiplier.
        m: i32,
        /// Shift.
        shift: u8,
        /// Saturation.
        bounds: Bounds,
    },
    /// Linear interpolation along one axis: `clamp(round(((x[i]-Zx)*(128-w) + (x[i+1]-Zx)*w) / 2^shift) + Zy)` at index `j` of
    /// the result, `i` and `w` those of `points[j]`. `x[i+1]` is not read where `w` is 0.
    Interpolate {
        /// 0 = h, 1 = w.
        axis: usize,
        /// One a result along the axis.
        points: Vec<Point>,
        /// Shift: 7 keeps the scale, 0 keeps every bit.
        shift: u8,
        /// Saturation.
        bounds: Bounds,
    },
    /// Maximum over valid taps; input and output share scale and zero point.
    MaxPool {
        /// Window geometry.
        window: Window,
    },
    /// `clamp(RQ_n(sum over valid taps of (x-Zx)) + Zy)`, `n` the number of valid taps (inside the input).
    AveragePool {
        /// Window geometry.
        window: Window,
        /// Entry `n-1` serves windows with `n` valid taps; one entry only if every window has all taps.
        requant: Vec<Requant>,
        /// Saturation.
        bounds: Bounds,
    },
    /// Any unary function of an int8 value: `table[x + 128]` (int8 in, int8 out).
    Lut8 {
        /// 256 results.
        table: Vec<i8>,
    },
    /// A unary function of an int16 value, interpolated (int16 in, int16 out): with `i = (x >> 7) + 256`,
    /// `nodes[i] + (((nodes[i+1] - nodes[i]) * (x & 127) + 64) >> 7)`.
    Lut16 {
        /// 513 results.
        nodes: Vec<i16>,
    },
    /// Leaky ReLU with a slope per channel: `clamp(round((x-Zx) * (x >= Zx ? M_c : negative[c]) / 2^S_c) + Zy)`.
    PRelu {
        /// `M_c` and `S_c` per channel.
        requant: Vec<Requant>,
        /// Multiplier below the zero point, per channel.
        negative: Vec<i32>,
        /// Saturation.
        bounds: Bounds,
    },
    /// Softmax over channels at each pixel, int8 in, int8 out (scale 1/256, zero point -128):
    /// `d = max - x`, `T = sum exp[d_i]`, `y = min(floor((512*exp[d] + T) / (2T)) - 128, 127)`.
    Softmax {
        /// `exp[d] = rne(e^(-d*S) * 2^fraction_bits)`, 256 entries.
        exp: Vec<u32>,
    },
    /// Joins operands along an axis; all share scale and zero point with the result.
    Concat {
        /// Axis: 0 = h, 1 = w, 2 = c.
        axis: usize,
    },
    /// Constant border.
    Pad {
        /// Elements in front on h, w, c.
        before: [usize; 3],
        /// Elements behind on h, w, c.
        after: [usize; 3],
        /// Stored integer of the border.
        value: i32,
    },
    /// `y[i, j, k] = x[h[i], w[j], c[k]]`: slices, repetitions, nearest resizing, reflected borders.
    Gather {
        /// Indices of the operand along h, w, c.
        indices: [Indices; 3],
    },
    /// Index permutation: the operand's `[h, w, c]` row-major order seen as `dims`, transposed by `perm`, seen as the
    /// result's `[h, w, c]`.
    Reorder {
        /// Factorised operand extents; their product is `h*w*c`.
        dims: Vec<usize>,
        /// `dims` axis at each position of the result.
        perm: Vec<usize>,
    },
}

impl QGraph {
    /// The value `id`, or `None` when `id` is not of this graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> Option<&QValue> {
        self.values.get(id.0 as usize)
    }
}

impl QType {
    /// Smallest and largest stored integer.
    #[must_use]
    pub const fn range(self) -> (i32, i32) {
        match self {
            QType::I8 => (i8::MIN as i32, i8::MAX as i32),
            QType::I16 => (i16::MIN as i32, i16::MAX as i32),
        }
    }

    /// Most bits of an accumulator that sums products with operands of this type, on any machine and on the host.
    #[must_use]
    pub const fn accumulator_bits(self) -> u8 {
        match self {
            QType::I8 => 32,
            QType::I16 => 48,
        }
    }

    /// Name in the text form: `i8`, `i16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            QType::I8 => "i8",
            QType::I16 => "i16",
        }
    }

    /// The type with that text name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<QType> {
        [QType::I8, QType::I16].into_iter().find(|dtype| dtype.name() == name)
    }
}

impl Hwc {
    /// The extents as an array `[h, w, c]`.
    #[must_use]
    pub const fn extents(self) -> [usize; 3] {
        [self.h, self.w, self.c]
    }
}

impl fmt::Display for Hwc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}, {}]", self.h, self.w, self.c)
    }
}

impl QOp {
    /// Name in the text form and in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            QOp::Conv { .. } => "conv",
            QOp::MatMul { .. } => "matmul",
            QOp::Add { .. } => "add",
            QOp::Max { .. } => "max",
            QOp::Min { .. } => "min",
            QOp::Mul { .. } => "mul",
            QOp::Rescale { .. } => "rescale",
            QOp::Interpolate { .. } => "interpolate",
            QOp::MaxPool { .. } => "max_pool",
            QOp::AveragePool { .. } => "average_pool",
            QOp::Lut8 { .. } => "lut8",
            QOp::Lut16 { .. } => "lut16",
            QOp::PRelu { .. } => "prelu",
            QOp::Softmax { .. } => "softmax",
            QOp::Concat { .. } => "concat",
            QOp::Pad { .. } => "pad",
            QOp::Gather { .. } => "gather",
            QOp::Reorder { .. } => "reorder",
        }
    }
}
