//! Two's complement widths, and the bound that proves an accumulator never wraps.

/// Whether `value` is representable in `bits` bits of two's complement (0 bits hold only 0; 64 and more hold all).
#[inline]
#[must_use]
pub const fn fits(value: i64, bits: u8) -> bool {
    wrap(value, bits) == value
}

/// The low `bits` bits of `value`, sign extended: what a two's complement register of that width keeps.
#[inline]
#[must_use]
pub const fn wrap(value: i64, bits: u8) -> i64 {
    match bits {
        0 => 0,
        1..=63 => (value << (64 - bits)) >> (64 - bits),
        64.. => value,
    }
}

/// Largest absolute value of any partial sum of a dot product, in any order, bias included:
/// `sum |w| * max(|lo|, |hi|) + |bias|`, where `lo..=hi` holds every input and every padding value.
///
/// For 16-bit inputs, which the array takes as two bytes, widen the range to `256 * floor(lo / 256)..=max(hi, 255)`.
/// Saturates at `u64::MAX`, which no accumulator holds.
#[must_use]
pub fn accumulator_bound(weights: &[i8], lo: i32, hi: i32, bias: i64) -> u64 {
    let weight_sum: u64 = weights.iter().map(|w| u64::from(w.unsigned_abs())).sum();
    let input_abs_max = u64::from(lo.unsigned_abs().max(hi.unsigned_abs()));
    weight_sum.saturating_mul(input_abs_max).saturating_add(bias.unsigned_abs())
}

/// Bits of the narrowest two's complement register in which `-bound..=bound` never wraps: `bound < 2^(bits-1)`.
#[must_use]
pub const fn accumulator_bits(bound: u64) -> u32 {
    u64::BITS - bound.leading_zeros() + 1
}
