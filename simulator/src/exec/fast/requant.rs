//! Requantization of rows of sums, by the kernel where it applies.

use isa::Hardware;
use isa::instructions::VpuQuant;
use isa::numerics::param::ParamEntry;
use isa::numerics::{Rounding, requantize};
use kernels::{PackedRequant, qs8_requantize};

/// One requantization per column, saturating by set 0.
pub(super) struct Requantizer<'a> {
    entries: &'a [ParamEntry],
    quant: &'a VpuQuant,
    rounding: Rounding,
    kernel: Option<PackedRequant>,
}

impl<'a> Requantizer<'a> {
    pub(super) fn new(entries: &'a [ParamEntry], quant: &'a VpuQuant, hardware: &Hardware) -> Self {
        let rounding = hardware.rounding;
        let output = [quant.zero0, quant.lo0, quant.hi0];
        let fits = hardware.acc_bits <= 32
            && rounding == Rounding::HalfEven
            && output.iter().all(|&value| i8::try_from(value).is_ok());
        let biases = entries.iter().map(|entry| i32::try_from(entry.bias).ok());
        let kernel = biases.collect::<Option<Vec<i32>>>().filter(|_| fits).map(|biases| {
            let multipliers = entries.iter().map(|entry| entry.requant.multiplier).collect();
            let shifts = entries.iter().map(|entry| entry.requant.shift).collect();
            PackedRequant::new(biases, multipliers, shifts, output)
        });
        Requantizer { entries, quant, rounding, kernel }
    }

    /// Whether [`int8`](Self::int8) can be used.
    pub(super) fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// Rows of sums to rows of int8 results, as many columns as entries.
    pub(super) fn int8(&self, sums: &[i32], out: &mut Vec<i8>) {
        out.clear();
        out.resize(sums.len(), 0);
        if let Some(kernel) = &self.kernel {
            qs8_requantize(sums, kernel, out);
        }
    }

    /// One result, of 8 or 16 bits.
    pub(super) fn one(&self, sum: i64, column: usize) -> i32 {
        let entry = self.entries[column];
        let &VpuQuant { zero0, lo0, hi0, .. } = self.quant;
        requantize(sum.saturating_add(entry.bias), entry.requant, zero0, lo0, hi0, self.rounding)
    }
}
