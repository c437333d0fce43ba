//! Kernels for the vector units of x86-64.
//!
//! Names say operation, tile (rows x columns) and instruction set: `qs8_gemm_6x16__avx2`. The functions of this module
//! are the safe doors to them: they check once that the processor has the instructions and that pointers stay inside
//! the operands.
#![allow(unsafe_code, reason = "vector loads and stores take pointers")]
#![allow(non_snake_case, reason = "two underscores set the instruction set apart in kernel names")]

/// Most rows that [`each_row`] repeats a block for: the length of arrays indexed in it.
const MAX_ROWS: usize = 10;

/// Repeats a block for each row of a tile, up to [`MAX_ROWS`]: `each_row!(R < ROWS { .. })` with `R` a constant 0, 1, ...
///
/// A loop would leave it to the compiler whether sums stay in registers: only constant indices let it take an array of
/// vectors apart, and it unrolls loops over rows too late for that.
macro_rules! each_row {
    ($row:ident < $rows:ident $body:block) => {
        each_row!($row < $rows $body 0 1 2 3 4 5 6 7 8 9)
    };
    ($row:ident < $rows:ident $body:block $($index:literal)+) => {
        $({
            const $row: usize = $index;
            if $row < $rows $body
        })+
    };
}

mod add;
mod avx2;
mod avx512vnni;
mod columns_avx2;
mod columns_avx512;
mod depthwise_avx2;
mod depthwise_avx512vnni;
mod depthwise_row_avx2;
mod depthwise_row_avx512vnni;
mod requantize_avx2;
mod requantize_avx512;

use crate::depthwise_row::{DepthwiseRow, PackedDepthwiseRow, TapColumns};
use crate::gemm::Quads;
use crate::matrix::{Activation, Rows, Sums};
use crate::panel_requant::PanelRequant;
use crate::requantize::PackedRequant;
use crate::{AddConstants, InstructionSet};

fn demand(set: InstructionSet) {
    assert!(set.is_available(), "this processor does not have {set}");
}

/// [`crate::qs8_dot`] of rows of equal length.
pub(crate) fn qs8_dot(a: &[i8], b: &[i8]) -> i32 {
    demand(InstructionSet::Avx2);
    // SAFETY: the processor has AVX2.
    unsafe { avx2::qs8_dot__avx2(a, b) }
}

/// [`crate::qs8_gemm`] with weights in panels of pairs.
pub(crate) fn qs8_gemm_pairs<T: Activation>(a: &Rows<'_, T>, w: &[i16], c: &mut Sums<'_>) {
    demand(InstructionSet::Avx2);
    assert_eq!(c.shape()[0], a.len(), "a row of sums per row");
    let columns = c.shape()[1];
    // SAFETY: the processor has AVX2; the results are those of `c`.
    unsafe { avx2::qs8_gemm__avx2(a, w, columns, &avx2::Results::sums(c)) }
}

/// [`crate::qs8_gemm_requantize`] with weights in panels of pairs.
pub(crate) fn qs8_gemm_requantize_pairs<T: Activation>(
    a: &Rows<'_, T>,
    w: &[i16],
    requant: &PanelRequant,
    out: &mut Sums<'_, i8>,
) {
    demand(InstructionSet::Avx2);
    let [rows, columns] = out.shape();
    assert!(rows == a.len() && columns == requant.columns(), "a result per row and column");
    let (stride, out) = (out.stride(), out.as_mut_ptr());
    // SAFETY: the processor has AVX2; rows and columns are those of `out`, and every column has constants.
    unsafe { avx2::qs8_gemm__avx2(a, w, columns, &avx2::Results::Bytes { out, stride, requant }) }
}

/// [`crate::qs8_gemm`] with weights in panels of quads.
pub(crate) fn qs8_gemm_quads<T: Activation>(a: &Rows<'_, T>, w: &Quads, c: &mut Sums<'_>) {
    demand(InstructionSet::Avx512Vnni);
    assert_eq!(c.shape()[0], a.len(), "a row of sums per row");
    let columns = c.shape()[1];
    // SAFETY: the processor has AVX-512 VNNI; the results are those of `c`.
    unsafe { avx512vnni::qs8_gemm__avx512vnni(a, w, columns, &avx512vnni::Results::sums(c)) }
}

/// [`crate::qs8_gemm_requantize`] with weights in panels of quads.
pub(crate) fn qs8_gemm_requantize_quads<T: Activation>(
    a: &Rows<'_, T>,
    w: &Quads,
    requant: &PanelRequant,
    out: &mut Sums<'_, i8>,
) {
    demand(InstructionSet::Avx512Vnni);
    let [rows, columns] = out.shape();
    assert!(rows == a.len() && columns == requant.columns(), "a result per row and column");
    let (stride, out) = (out.stride(), out.as_mut_ptr());
    let results = avx512vnni::Results::Bytes { out, stride, requant };
    // SAFETY: the processor has AVX-512 VNNI; rows and columns are those of `out`, and every column has constants.
    unsafe { avx512vnni::qs8_gemm__avx512vnni(a, w, columns, &results) }
}

/// [`crate::qs8_depthwise`] with weights in blocks of pairs of taps.
pub(crate) fn qs8_depthwise_pairs(x: &Rows<'_>, w: &[i16], c: &mut Sums<'_>) {
    demand(InstructionSet::Avx2);
    // SAFETY: the processor has AVX2.
    unsafe { depthwise_avx2::qs8_depthwise_1x16__avx2(x, w, c) }
}

/// [`crate::qs8_depthwise`] with weights in blocks of quads of taps, and what each channel's sums start at.
pub(crate) fn qs8_depthwise_quads(x: &Rows<'_>, w: &[i8], starts: &[i32], c: &mut Sums<'_>) {
    demand(InstructionSet::Avx512Vnni);
    // SAFETY: the processor has AVX-512 VNNI.
    unsafe { depthwise_avx512vnni::qs8_depthwise_1x64__avx512vnni(x, w, starts, c) }
}

/// [`crate::qs8_depthwise_row`] with weights in blocks of pairs of taps; the windows lie inside the data.
pub(crate) fn qs8_depthwise_row_pairs(
    x: &DepthwiseRow<'_>,
    weights: &[i16],
    w: &PackedDepthwiseRow,
    out: &mut [i8],
) {
    demand(InstructionSet::Avx2);
    // SAFETY: the processor has AVX2.
    unsafe { depthwise_row_avx2::qs8_depthwise_row_1x16__avx2(x, weights, w, out) }
}

/// [`crate::qs8_depthwise_row`] with weights in columns of taps.
pub(crate) fn qs8_depthwise_row_columns(
    x: &DepthwiseRow<'_>,
    columns: &TapColumns,
    w: &PackedDepthwiseRow,
    out: &mut [i8],
) {
    demand(InstructionSet::Avx512Vnni);
    // SAFETY: the processor has AVX-512 VNNI.
    unsafe { depthwise_row_avx512vnni::qs8_depthwise_row_1x64__avx512vnni(x, columns, w, out) }
}

/// [`crate::qs8_requantize`] for the leading columns; returns how many it did in every row.
pub(crate) fn qs8_requantize(
    set: InstructionSet,
    sums: &[i32],
    constants: &PackedRequant,
    out: &mut [i8],
) -> usize {
    demand(set);
    match set {
        InstructionSet::Plain => 0,
        // SAFETY: the processor has AVX2.
        InstructionSet::Avx2 => unsafe {
            requantize_avx2::qs8_requantize_1x8__avx2(sums, constants, out)
        },
        // SAFETY: the processor has AVX-512 F, BW and VL.
        InstructionSet::Avx512Vnni => unsafe {
            requantize_avx512::qs8_requantize_1x16__avx512(sums, constants, out)
        },
    }
}

/// [`crate::qs8_add`] of operands of one length, for the leading elements; returns how many it did.
pub(crate) fn qs8_add(
    set: InstructionSet,
    a: &[i8],
    b: &[i8],
    constants: &AddConstants,
    out: &mut [i8],
) -> usize {
    demand(set);
    let Some(split) = add::SplitConstants::new(constants) else { return 0 };
    match set {
        InstructionSet::Plain => 0,
        // SAFETY: the processor has AVX2.
        InstructionSet::Avx2 => unsafe { add::qs8_add_1x16__avx2(a, b, &split, out) },
        // SAFETY: the processor has AVX-512 F, BW and VL.
        InstructionSet::Avx512Vnni => unsafe { add::qs8_add_1x32__avx512(a, b, &split, out) },
    }
}

/// Splits `total` into runs of at most `most` whose lengths differ by at most one: `(start, length)` of each.
///
/// A tile of 10 rows is almost as efficient as one of 12, a tile of one row is not: 49 rows go as 10, 10, 10, 10, 9.
fn even_runs(total: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let runs = total.div_ceil(most);
    (0..runs).map(move |i| {
        let (start, end) = (i * total / runs, (i + 1) * total / runs);
        (start, end - start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_everything_evenly() {
        assert_eq!(even_runs(49, 12).map(|run| run.1).collect::<Vec<_>>(), [9, 10, 10, 10, 10]);
        assert_eq!(even_runs(0, 12).count(), 0);
        for total in 1..200 {
            let mut next = 0;
            for (start, len) in even_runs(total, 12) {
                assert_eq!(start, next);
                assert!((1..=12).contains(&len));
                next += len;
            }
            assert_eq!(next, total);
        }
    }
}
