//! Convolutions whose sums are requantized while they are in registers.

use ir::qgraph::QType;
use isa::numerics::Rounding;
use kernels::{
    Accumulate, ColumnRequant, DepthwiseShape, PackedDepthwiseRow, PackedWeights, PanelRequant,
    Rows, Sums, qs8_gemm_requantize,
};

use crate::int8::{Conv, Target};

/// Packed weights and constants.
pub(crate) enum Fused {
    /// Of each group.
    Product(Vec<Group>),
    /// Every channel is its own group and has one result.
    Depthwise(PackedDepthwiseRow),
}

/// One group of a product.
pub(crate) struct Group {
    weights: PackedWeights,
    requant: PanelRequant,
}

impl Group {
    /// Writes the results of `rows`, `columns` each, rows of results being `stride` apart.
    pub(crate) fn run(
        &self,
        rows: &Rows<'_, u8>,
        columns: usize,
        (out, stride): (&mut [i8], usize),
    ) {
        let shape = [rows.len(), columns];
        let mut results = Sums::new(out, shape, stride, Accumulate::Replace);
        qs8_gemm_requantize(rows, &self.weights, &self.requant, &mut results);
    }
}

impl Fused {
    /// Packs a convolution of int8 values whose windows have `[segments, segment length]`; `None` if the kernels do not
    /// compute its requantization.
    pub(crate) fn new(
        conv: &Conv<'_>,
        target: &Target,
        depthwise: bool,
        [segments, segment_len]: [usize; 2],
    ) -> Option<Self> {
        if target.dtype != QType::I8 || target.rounding == Rounding::Floor {
            return None;
        }
        let (w, window) = (conv.weights, conv.window);
        let taps = w.kernel[0] * w.kernel[1];
        let output = [target.zero_point, conv.bounds.lo, conv.bounds.hi];
        let channels = w.data.chunks_exact(taps * w.ic).enumerate();
        let constants: Option<Vec<ColumnRequant>> =
            channels.map(|(o, w)| column(conv, o, w)).collect();
        let constants = constants?;
        if depthwise {
            let tap_of_channel = |i: usize| w.data[i % w.oc * taps + i / w.oc];
            let by_tap: Vec<i8> = (0..taps * w.oc).map(tap_of_channel).collect();
            let (stride, dilation) = (window.stride[1], window.dilation[1]);
            let shape = DepthwiseShape { kernel: w.kernel, stride, dilation, channels: w.oc };
            return PackedDepthwiseRow::new(&by_tap, shape, &constants, output)
                .map(Self::Depthwise);
        }
        let columns = w.oc / conv.groups;
        let weights = w.data.chunks_exact(columns * taps * w.ic);
        let group = |(weights, constants): (&[i8], &[ColumnRequant])| {
            let requant = PanelRequant::new(constants, output)?;
            let weights = PackedWeights::segmented(weights, columns, segments, segment_len);
            Some(Group { weights, requant })
        };
        let groups = weights.zip(constants.chunks_exact(columns)).map(group);
        groups.collect::<Option<Vec<Group>>>().map(Self::Product)
    }
}

/// Constants of output channel `o` with weights `w`.
fn column(conv: &Conv<'_>, o: usize, w: &[i8]) -> Option<ColumnRequant> {
    let largest = w.iter().map(|w| 128 * u64::from(w.unsigned_abs())).sum::<u64>();
    Some(ColumnRequant {
        bias: i32::try_from(conv.bias[o]).ok()?,
        multiplier: conv.requant[o].multiplier,
        shift: conv.requant[o].shift,
        largest: u32::try_from(largest).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::qgraph::{Bounds, Hwc, QWeights, Window};
    use isa::numerics::Requant;

    /// Whether eight channels with `groups` groups, that shift and that rounding are computed in registers.
    fn fuses(groups: usize, shift: u8, rounding: Rounding) -> bool {
        let ic = 8 / groups;
        let data = vec![3; 8 * 9 * ic];
        let weights = QWeights { oc: 8, kernel: [3; 2], ic, bits: 8, data };
        let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad: [1; 4] };
        let requant = [Requant { multiplier: (1 << 23) + 1, shift }; 8];
        let (bias, bounds) = ([5; 8], Bounds { lo: -128, hi: 127 });
        let conv = Conv {
            weights: &weights,
            bias: &bias,
            requant: &requant,
            window: &window,
            groups,
            bounds,
        };
        let shape = Hwc { h: 4, w: 4, c: 8 };
        let target = Target { shape, dtype: QType::I8, zero_point: 1, rounding };
        let rows = if groups == 8 { [9, 8] } else { [3, 3 * ic] };
        Fused::new(&conv, &target, groups == 8, rows).is_some()
    }

    #[test]
    fn usual_convolutions_are_requantized_in_registers() {
        for rounding in [Rounding::HalfEven, Rounding::HalfUp, Rounding::HalfAway] {
            assert!(fuses(1, 31, rounding) && fuses(8, 31, rounding), "{rounding:?}");
        }
    }

    #[test]
    fn what_the_kernels_do_not_compute_is_left_to_others() {
        assert!(!fuses(1, 31, Rounding::Floor));
        // Factors of a half and more.
        assert!(!fuses(1, 20, Rounding::HalfEven));
    }
}
