//! Functions that are not a multiplication: the interpolated int16 table and softmax.
//!
//! An int8 function of one variable needs no definition here: it is a table of 256 results, exact by construction.

/// Nodes of a [`lut16`] table: 512 segments of 128 inputs each, and the far end of the last one.
pub const LUT16_NODES: usize = 513;

/// Piecewise linear function of an int16 value. `nodes[i]` is the result at `v = 128 * i - 32768`; in between,
/// `nodes[i] + (((nodes[i+1] - nodes[i]) * f + 64) >> 7)` with `f = v & 127` (ties towards plus infinity).
#[inline]
#[must_use]
pub fn lut16(nodes: &[i16; LUT16_NODES], v: i16) -> i16 {
    let position = (i32::from(v) + 32768).unsigned_abs() as usize;
    let (left, right) = (i32::from(nodes[position >> 7]), i32::from(nodes[(position >> 7) + 1]));
    let rise = ((right - left) * i32::from(v & 127) + 64) >> 7;
    i16::try_from(left + rise).expect("interpolation stays between two i16 nodes")
}

/// Softmax of one row of stored int8 values, written to `out` (scale 1/256, zero point -128).
///
/// With `d_i = max(x) - x_i`, `E_i = exp[d_i]`, `T = sum E_i`:
/// `out_i = min(floor((512 * E_i + T) / (2 * T)) - 128, 127)`, the exact quotient `256 * E_i / T` rounded half up.
/// `exp[d]` is `e^(-d * S)` as a fixed-point number of any fraction width. Rows may have up to 2^16 elements. If all
/// used table entries are 0 every result is -128; elements beyond the shorter of `x` and `out` are not written.
pub fn softmax_row(x: &[i8], exp: &[u32; 256], out: &mut [i8]) {
    let Some(&max) = x.iter().max() else { return };
    let weight = |v: i8| u64::from(exp[usize::from(max.abs_diff(v))]);
    let total: u64 = x.iter().map(|&v| weight(v)).sum::<u64>().max(1);
    for (y, &v) in out.iter_mut().zip(x) {
        let quotient = ((512 * weight(v) + total) / (2 * total)).min(255);
        let shifted = i16::try_from(quotient).expect("at most 255") - 128;
        *y = i8::try_from(shifted).expect("0..=255 less 128 is an i8");
    }
}
