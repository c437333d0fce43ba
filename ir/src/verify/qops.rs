//! Rules of the integer graph's operators, one function each.
//!
//! Accumulators are proved here as the machine needs them: no partial sum, in any order, leaves the accumulator (32
//! bits for int8 inputs, 48 for int16), and no product with a multiplier leaves 64 bits. The proof uses the range of
//! stored integers that the producer's bounds leave.

use isa::numerics::{
    LUT16_NODES, MAX_MULTIPLIER_BITS, MAX_SHIFT, Requant, accumulator_bits, accumulator_bound,
    product_fits,
};

use super::Problem;
use crate::infer::{check_pool_window, is_permutation, window_extents};
use crate::qgraph::{Bounds, Hwc, Indices, Point, QNode, QOp, QType, QValue, QWeights, Window};
use crate::tensor::element_count;

/// Smallest and largest stored integer.
type Range = (i32, i32);

/// Longest softmax row: its sum of table entries must stay within 64 bits after scaling.
const MAX_SOFTMAX_CHANNELS: usize = 1 << 16;

/// One node with what it touches.
pub(super) struct NodeCheck<'a> {
    pub(super) node: &'a QNode,
    pub(super) operands: &'a [&'a QValue],
    pub(super) ranges: &'a [Range],
    pub(super) result: &'a QValue,
}

impl NodeCheck<'_> {
    /// Reports broken rules; returns the range of the result, if operands and operator allow to tell it.
    pub(super) fn run(&self, problems: &mut Vec<Problem>) -> Option<Range> {
        let (least, most) = match self.node.op {
            QOp::MatMul { .. }
            | QOp::Add { .. }
            | QOp::Max { .. }
            | QOp::Min { .. }
            | QOp::Mul { .. } => (2, 2),
            QOp::Concat { .. } => (1, usize::MAX),
            QOp::Conv { .. }
            | QOp::Rescale { .. }
            | QOp::Interpolate { .. }
            | QOp::MaxPool { .. }
            | QOp::AveragePool { .. }
            | QOp::Lut8 { .. }
            | QOp::Lut16 { .. }
            | QOp::PRelu { .. }
            | QOp::Softmax { .. }
            | QOp::Pad { .. }
            | QOp::Gather { .. }
            | QOp::Reorder { .. } => (1, 1),
        };
        let found = self.operands.len();
        if found < least || most < found {
            let expected = format!("{least} to {most}");
            self.bad(problems, "the number of operands", found.to_string(), expected);
            return None;
        }
        match &self.node.op {
            QOp::Conv { weights, bias, requant, window, groups, bounds } => {
                self.conv(weights, bias, requant, window, *groups, problems);
                self.bounds(bounds, problems)
            }
            QOp::Add { ma: _, mb: _, shift, bounds }
            | QOp::Max { ma: _, mb: _, shift, bounds }
            | QOp::Min { ma: _, mb: _, shift, bounds } => {
                self.broadcast(problems);
                self.shift(*shift, problems);
                self.bounds(bounds, problems)
            }
            QOp::Mul { requant, bounds } => {
                self.broadcast(problems);
                let factor = |i: usize| magnitude(self.ranges[i], self.operands[i].zero_point);
                self.requant(0, requant, factor(0).saturating_mul(factor(1)), problems);
                self.bounds(bounds, problems)
            }
            QOp::MatMul { requant, bounds } => {
                self.matmul(requant, problems);
                self.bounds(bounds, problems)
            }
            QOp::Rescale { m: _, shift, bounds } => {
                self.shape_is(self.operands[0].shape, problems);
                self.shift(*shift, problems);
                self.bounds(bounds, problems)
            }
            QOp::Interpolate { axis, points, shift, bounds } => {
                self.interpolate(*axis, points, problems);
                self.shift(*shift, problems);
                self.bounds(bounds, problems)
            }
            QOp::MaxPool { window } => {
                self.pool_shape(window, problems);
                self.same_quantization(problems);
                Some(self.ranges[0])
            }
            QOp::AveragePool { window, requant, bounds } => {
                self.pool_shape(window, problems);
                self.average(window, requant, problems);
                self.bounds(bounds, problems)
            }
            QOp::Lut8 { table } => {
                self.typed(QType::I8, problems);
                self.entries("the table's length", table.len(), 256, problems);
                range(table)
            }
            QOp::Lut16 { nodes } => {
                self.typed(QType::I16, problems);
                self.entries("the number of nodes", nodes.len(), LUT16_NODES, problems);
                range(nodes)
            }
            QOp::PRelu { requant, negative, bounds } => {
                self.prelu(requant, negative, problems);
                self.bounds(bounds, problems)
            }
            QOp::Softmax { exp } => {
                self.softmax(exp, problems);
                Some(self.result.dtype.range())
            }
            QOp::Concat { axis } => {
                self.concat(*axis, problems);
                self.same_quantization(problems);
                let lows = self.ranges.iter().map(|range| range.0);
                let highs = self.ranges.iter().map(|range| range.1);
                lows.min().zip(highs.max())
            }
            QOp::Pad { before, after, value } => {
                self.pad(before, after, *value, problems);
                self.same_quantization(problems);
                let (lo, hi) = self.ranges[0];
                Some((lo.min(*value), hi.max(*value)))
            }
            QOp::Gather { indices } => {
                self.gather(indices, problems);
                self.same_quantization(problems);
                Some(self.ranges[0])
            }
            QOp::Reorder { dims, perm } => {
                self.reorder(dims, perm, problems);
                self.same_quantization(problems);
                Some(self.ranges[0])
            }
        }
    }

    fn interpolate(&self, axis: usize, points: &[Point], problems: &mut Vec<Problem>) {
        let mut shape = self.operands[0].shape;
        let extent = match axis {
            0 => &mut shape.h,
            1 => &mut shape.w,
            _ => return self.bad(problems, "the axis", axis.to_string(), "0 or 1".to_owned()),
        };
        let inside = |point: &&Point| {
            let last = point.index.checked_add(usize::from(point.weight > 0));
            last.is_some_and(|last| last < *extent) && point.weight < 128
        };
        if let Some(point) = points.iter().find(|point| !inside(point)) {
            let found = format!("{} + {}/128", point.index, point.weight);
            let expected = format!("a point between {extent} elements");
            self.bad(problems, "a point", found, expected);
        }
        *extent = points.len();
        self.shape_is(shape, problems);
    }

    fn bad(
        &self,
        problems: &mut Vec<Problem>,
        parameter: &'static str,
        found: String,
        expected: String,
    ) {
        problems.push(Problem::Parameter {
            node: self.node.name.clone(),
            parameter,
            found,
            expected,
        });
    }

    fn shape_is(&self, expected: Hwc, problems: &mut Vec<Problem>) {
        let found = self.result.shape;
        if found != expected {
            let (node, expected) = (self.node.name.clone(), expected.to_string());
            problems.push(Problem::ResultHwc { node, found, expected });
        }
    }

    /// Bounds inside the storage range; they are the range of the result.
    fn bounds(&self, bounds: &Bounds, problems: &mut Vec<Problem>) -> Option<Range> {
        let (lo, hi) = self.result.dtype.range();
        if bounds.lo < lo || hi < bounds.hi || bounds.hi < bounds.lo {
            let found = format!("{}..={}", bounds.lo, bounds.hi);
            self.bad(
                problems,
                "the saturation range",
                found,
                format!("a range inside {lo}..={hi}"),
            );
            return None;
        }
        Some((bounds.lo, bounds.hi))
    }

    fn shift(&self, shift: u8, problems: &mut Vec<Problem>) {
        if shift > MAX_SHIFT {
            self.bad(problems, "the shift", shift.to_string(), format!("0 to {MAX_SHIFT}"));
        }
    }

    /// `bound` is the largest absolute sum that `requant` scales.
    fn requant(&self, index: usize, requant: &Requant, bound: u64, problems: &mut Vec<Problem>) {
        self.shift(requant.shift, problems);
        if requant.multiplier >> MAX_MULTIPLIER_BITS != 0 {
            let expected = format!("below 2^{MAX_MULTIPLIER_BITS}");
            self.bad(problems, "the multiplier", requant.multiplier.to_string(), expected);
        } else if requant.shift <= MAX_SHIFT && !product_fits(bound, *requant) {
            problems.push(Problem::Product {
                node: self.node.name.clone(),
                index,
                multiplier: requant.multiplier,
                shift: requant.shift,
                bound,
            });
        }
    }

    /// All operands share type, scale and zero point with the result.
    fn same_quantization(&self, problems: &mut Vec<Problem>) {
        for operand in self.operands {
            let result = self.result;
            let what = if operand.dtype != result.dtype {
                "type"
            } else if operand.scale.to_bits() != result.scale.to_bits() {
                "scale"
            } else if operand.zero_point != result.zero_point {
                "zero point"
            } else {
                continue;
            };
            let (a, b) = (operand.name.clone(), result.name.clone());
            problems.push(Problem::Differ { node: self.node.name.clone(), a, b, what });
        }
    }

    fn conv(
        &self,
        weights: &QWeights,
        bias: &[i64],
        requant: &[Requant],
        window: &Window,
        groups: usize,
        problems: &mut Vec<Problem>,
    ) {
        let input = self.operands[0];
        let QWeights { oc, kernel, ic, bits, data } = weights;
        let [kh, kw] = *kernel;
        if *kernel != window.kernel {
            self.bad(
                problems,
                "the weights' kernel",
                format!("{kernel:?}"),
                format!("{:?}", window.kernel),
            );
        }
        if groups == 0 || oc % groups != 0 || ic.checked_mul(groups) != Some(input.shape.c) {
            let found = format!("{groups} of {ic} input channels, {oc} output channels");
            let expected =
                format!("groups that divide both and cover {} input channels", input.shape.c);
            self.bad(problems, "the grouping", found, expected);
        }
        for (parameter, found) in
            [("the number of biases", bias.len()), ("the number of requantizations", requant.len())]
        {
            if found != *oc {
                self.bad(
                    problems,
                    parameter,
                    found.to_string(),
                    format!("{oc}, one per output channel"),
                );
            }
        }
        match window_extents(window, [input.shape.h, input.shape.w], false) {
            Ok([h, w]) => self.shape_is(Hwc { h, w, c: *oc }, problems),
            Err(source) => {
                problems.push(Problem::Operands { node: self.node.name.clone(), source })
            }
        }
        if !(2..=8).contains(bits) {
            self.bad(problems, "the weights' bits", bits.to_string(), "2 to 8".to_owned());
            return;
        }
        let limit = (1i16 << (bits - 1)) - 1;
        let range = -limit - 1..=limit;
        if let Some(weight) = data.iter().find(|&&w| !range.contains(&w.into())) {
            let expected = format!("{} to {limit} at {bits} bits", range.start());
            self.bad(problems, "a weight", weight.to_string(), expected);
        }
        let taps = element_count(&[kh, kw, *ic]).unwrap_or(0);
        if taps == 0 || element_count(&[*oc, taps]) != Some(data.len()) {
            let expected = format!("{oc} x {kh} x {kw} x {ic}, none of them 0");
            self.bad(problems, "the number of weights", data.len().to_string(), expected);
            return;
        }
        self.accumulators(data.chunks_exact(taps), bias, requant, problems);
    }

    fn accumulators<'w>(
        &self,
        channels: impl Iterator<Item = &'w [i8]>,
        bias: &[i64],
        requant: &[Requant],
        problems: &mut Vec<Problem>,
    ) {
        let input = self.operands[0];
        // Padding injects the zero point.
        let (lo, hi) =
            (self.ranges[0].0.min(input.zero_point), self.ranges[0].1.max(input.zero_point));
        let bits = input.dtype.accumulator_bits();
        for (channel, ((weights, bias), requant)) in channels.zip(bias).zip(requant).enumerate() {
            let bound = accumulator_bound(weights, lo, hi, *bias);
            if accumulator_bits(bound) > u32::from(bits) {
                let node = self.node.name.clone();
                problems.push(Problem::Accumulator { node, channel, bound, bits });
            }
            self.requant(channel, requant, bound, problems);
        }
    }

    fn matmul(&self, requant: &Requant, problems: &mut Vec<Problem>) {
        let (a, b) = (self.operands[0], self.operands[1]);
        for value in [a, b] {
            if value.zero_point != 0 {
                let found = format!("{} of `{}`", value.zero_point, value.name);
                self.bad(problems, "a zero point", found, "0".to_owned());
            }
        }
        if b.dtype != QType::I8 {
            let found = b.dtype.name().to_owned();
            self.bad(problems, "the second operand's type", found, QType::I8.name().to_owned());
        }
        if (b.shape.h != a.shape.h && b.shape.h != 1) || b.shape.c != a.shape.c {
            let expected = format!("{} or 1 rows, {} channels", a.shape.h, a.shape.c);
            self.bad(problems, "the second operand's shape", b.shape.to_string(), expected);
        }
        self.shape_is(Hwc { c: b.shape.w, ..a.shape }, problems);
        let bound = product_bound([a, b], [self.ranges[0], self.ranges[1]]);
        let bits = a.dtype.accumulator_bits();
        if accumulator_bits(bound) > u32::from(bits) {
            let node = self.node.name.clone();
            problems.push(Problem::Accumulator { node, channel: 0, bound, bits });
        }
        self.requant(0, requant, bound, problems);
    }

    /// The first operand has the result's shape; the second may have extent 1 anywhere.
    fn broadcast(&self, problems: &mut Vec<Problem>) {
        self.shape_is(self.operands[0].shape, problems);
        let (a, b) = (self.operands[0].shape, self.operands[1].shape);
        if (a.extents().iter().zip(b.extents())).any(|(&full, part)| part != full && part != 1) {
            self.bad(
                problems,
                "the second operand's shape",
                b.to_string(),
                format!("{a}, or 1 on any axis"),
            );
        }
    }

    fn pool_shape(&self, window: &Window, problems: &mut Vec<Problem>) {
        let Hwc { h, w, c } = self.operands[0].shape;
        let extents = |ceil| window_extents(window, [h, w], ceil).map(|[h, w]| Hwc { h, w, c });
        let shapes =
            check_pool_window(window, [h, w]).and_then(|()| Ok((extents(false)?, extents(true)?)));
        match shapes {
            Err(source) => {
                problems.push(Problem::Operands { node: self.node.name.clone(), source })
            }
            Ok((floor, ceil)) => {
                let found = self.result.shape;
                if found != floor && found != ceil {
                    let (node, expected) = (self.node.name.clone(), format!("{floor} or {ceil}"));
                    problems.push(Problem::ResultHwc { node, found, expected });
                }
            }
        }
    }

    fn average(&self, window: &Window, requant: &[Requant], problems: &mut Vec<Problem>) {
        let [kh, kw] = window.kernel;
        let taps = kh.saturating_mul(kw);
        let one_suffices = requant.len() == 1 && self.every_window_is_full(window);
        if requant.len() != taps && !one_suffices {
            let expected = format!("{taps}, or 1 where every window has all its taps");
            self.bad(
                problems,
                "the number of requantizations",
                requant.len().to_string(),
                expected,
            );
            return;
        }
        let step = magnitude(self.ranges[0], self.operands[0].zero_point);
        for (index, entry) in requant.iter().enumerate() {
            let valid = if one_suffices { taps } else { index + 1 };
            let bound = step.saturating_mul(u64::try_from(valid).unwrap_or(u64::MAX));
            self.requant(index, entry, bound, problems);
        }
    }

    fn every_window_is_full(&self, window: &Window) -> bool {
        let (input, output) = (self.operands[0].shape.extents(), self.result.shape.extents());
        window.pad == [0; 4]
            && (0..2).all(|axis| {
                let last_start = output[axis].saturating_sub(1).checked_mul(window.stride[axis]);
                let end = last_start
                    .zip(window.reach(axis))
                    .and_then(|(start, reach)| start.checked_add(reach));
                end.is_some_and(|end| end <= input[axis])
            })
    }

    /// Operand and result are of one type and shape.
    fn typed(&self, dtype: QType, problems: &mut Vec<Problem>) {
        for value in [self.operands[0], self.result] {
            if value.dtype != dtype {
                let found = format!("{} `{}`", value.dtype.name(), value.name);
                self.bad(problems, "an operand or result", found, dtype.name().to_owned());
            }
        }
        self.shape_is(self.operands[0].shape, problems);
    }

    fn entries(
        &self,
        parameter: &'static str,
        found: usize,
        expected: usize,
        problems: &mut Vec<Problem>,
    ) {
        if found != expected {
            self.bad(problems, parameter, found.to_string(), expected.to_string());
        }
    }

    fn prelu(&self, requant: &[Requant], negative: &[i32], problems: &mut Vec<Problem>) {
        let input = self.operands[0];
        self.shape_is(input.shape, problems);
        for (parameter, found) in [
            ("the number of requantizations", requant.len()),
            ("the number of slopes", negative.len()),
        ] {
            self.entries(parameter, found, input.shape.c, problems);
        }
        let bound = magnitude(self.ranges[0], input.zero_point);
        for (channel, (entry, slope)) in requant.iter().zip(negative).enumerate() {
            self.requant(channel, entry, bound, problems);
            let below = Requant { multiplier: slope.unsigned_abs(), ..*entry };
            if !product_fits(bound, below) {
                let (node, multiplier) = (self.node.name.clone(), below.multiplier);
                let (index, shift) = (channel, entry.shift);
                problems.push(Problem::Product { node, index, multiplier, shift, bound });
            }
        }
    }

    fn softmax(&self, exp: &[u32], problems: &mut Vec<Problem>) {
        self.typed(QType::I8, problems);
        if exp.len() != 256 || exp[0] == 0 || !exp.is_sorted_by(|a, b| a >= b) {
            let found = format!("{} entries starting with {:?}", exp.len(), exp.first());
            let expected = "256 entries that start above 0 and never rise".to_owned();
            self.bad(problems, "the exponential table", found, expected);
        }
        if self.result.scale.to_bits() != (1.0f64 / 256.0).to_bits()
            || self.result.zero_point != -128
        {
            let found =
                format!("scale {:?}, zero point {}", self.result.scale, self.result.zero_point);
            let expected = "scale 0.00390625, zero point -128".to_owned();
            self.bad(problems, "the result's quantization", found, expected);
        }
        let channels = self.operands[0].shape.c;
        if channels > MAX_SOFTMAX_CHANNELS {
            let expected = format!("at most {MAX_SOFTMAX_CHANNELS}");
            self.bad(problems, "the number of channels", channels.to_string(), expected);
        }
    }

    fn concat(&self, axis: usize, problems: &mut Vec<Problem>) {
        if axis > 2 {
            self.bad(problems, "the axis", axis.to_string(), "0 to 2".to_owned());
            return;
        }
        let mut joined = self.operands[0].shape.extents();
        for operand in &self.operands[1..] {
            let extents = operand.shape.extents();
            if (0..3).any(|i| i != axis && extents[i] != joined[i]) {
                let expected = format!("{} except on axis {axis}", self.operands[0].shape);
                self.bad(problems, "an operand's shape", operand.shape.to_string(), expected);
                return;
            }
            joined[axis] = joined[axis].saturating_add(extents[axis]);
        }
        let [h, w, c] = joined;
        self.shape_is(Hwc { h, w, c }, problems);
    }

    fn pad(
        &self,
        before: &[usize; 3],
        after: &[usize; 3],
        value: i32,
        problems: &mut Vec<Problem>,
    ) {
        let extents = self.operands[0].shape.extents();
        let [h, w, c] =
            [0, 1, 2].map(|i| extents[i].saturating_add(before[i]).saturating_add(after[i]));
        self.shape_is(Hwc { h, w, c }, problems);
        let (lo, hi) = self.result.dtype.range();
        if value < lo || hi < value {
            self.bad(problems, "the padding value", value.to_string(), format!("{lo} to {hi}"));
        }
    }

    fn gather(&self, indices: &[Indices; 3], problems: &mut Vec<Problem>) {
        let [h, w, c] = [0, 1, 2].map(|axis| indices[axis].len());
        self.shape_is(Hwc { h, w, c }, problems);
        for (axis, extent) in self.operands[0].shape.extents().into_iter().enumerate() {
            if let Some(max) = indices[axis].max().filter(|&max| max >= extent) {
                let expected = format!("below {extent} on axis {axis}");
                self.bad(problems, "an index", max.to_string(), expected);
            }
        }
    }

    fn reorder(&self, dims: &[usize], perm: &[usize], problems: &mut Vec<Problem>) {
        let count = |shape: Hwc| element_count(&shape.extents());
        let (input, output) = (self.operands[0].shape, self.result.shape);
        if element_count(dims) != count(input) {
            let expected = format!("factors of the elements of {input}");
            self.bad(problems, "the factorisation", format!("{dims:?}"), expected);
        }
        if count(input) != count(output) {
            let (node, expected) = (self.node.name.clone(), format!("as many elements as {input}"));
            problems.push(Problem::ResultHwc { node, found: output, expected });
        }
        if !is_permutation(perm, dims.len()) {
            let expected = format!("each of {} axes once", dims.len());
            self.bad(problems, "the permutation", format!("{perm:?}"), expected);
        }
    }
}

/// Smallest and largest entry of a table.
fn range<T: Copy + Ord + Into<i32>>(table: &[T]) -> Option<Range> {
    table.iter().min().zip(table.iter().max()).map(|(&lo, &hi)| (lo.into(), hi.into()))
}

/// Largest absolute value of any partial sum of a product of two computed tensors: (N25) of `docs/numerics.md`.
pub(super) fn product_bound([a, b]: [&QValue; 2], [ra, rb]: [Range; 2]) -> u64 {
    // The array takes 16-bit elements as two bytes, which can be larger on their own.
    let ra = match a.dtype {
        QType::I8 => ra,
        QType::I16 => (ra.0 & !0xff, ra.1.max(0xff)),
    };
    let terms = u64::try_from(b.shape.c).unwrap_or(u64::MAX);
    magnitude(ra, 0).saturating_mul(magnitude(rb, 0)).saturating_mul(terms)
}

/// Largest `|x - zero_point|` over a range.
pub(super) fn magnitude((lo, hi): Range, zero_point: i32) -> u64 {
    let distance = |x: i32| (i64::from(x) - i64::from(zero_point)).unsigned_abs();
    distance(lo).max(distance(hi))
}
