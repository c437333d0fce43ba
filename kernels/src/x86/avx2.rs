//! 256-bit kernels: operands widened to 16 bits, multiplied and added in pairs by `vpmaddwd`.
//!
//! `vpmaddwd` is exact for widened int8 (`2 * 128 * 128` is far from `2^31`), unlike the byte form `vpmaddubsw`, whose
//! 16-bit sums saturate.

use std::arch::x86_64::*;

use super::MAX_ROWS;
use super::columns_avx2::Columns;
use crate::gemm::PANEL;
use crate::matrix::{Accumulate, Activation, Rows, Sums};
use crate::panel_requant::PanelRequant;

/// Rows of one tile: 6 x 2 vectors of sums, two of weights, one of activations and one of products fill 16 registers.
const TILE_ROWS: usize = 6;

/// Rows widened at a time. Their depth blocks stay in the second-level cache while all panels pass by.
const BLOCK_ROWS: usize = 48;

/// Elements of depth worked on at a time (even): a panel's block is 32 KiB.
const BLOCK_DEPTH: usize = 1024;

/// Panels worked on at a time: their blocks stay in the second-level cache while the rows pass by.
const BLOCK_PANELS: usize = 4;

/// Sum of `a[i] * b[i]` for slices of one length.
#[target_feature(enable = "avx2")]
pub(super) fn qs8_dot__avx2(a: &[i8], b: &[i8]) -> i32 {
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    let mut acc = _mm256_setzero_si256();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        // SAFETY: both are 16 bytes.
        let (a, b) =
            unsafe { (_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast())) };
        let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
        acc = _mm256_add_epi32(acc, products);
    }
    let mut lanes = [0_i32; 8];
    // SAFETY: eight lanes are 32 bytes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), acc) };
    let rest = crate::plain::qs8_dot(a_rest, b_rest);
    lanes.into_iter().fold(rest, i32::wrapping_add)
}

/// Where the sums of a product go.
pub(super) enum Results<'r> {
    /// To memory, added to what is there or not.
    Sums { c: *mut i32, stride: usize, add: bool },
    /// Requantized.
    Bytes { out: *mut i8, stride: usize, requant: &'r PanelRequant },
}

impl Results<'_> {
    /// All rows and columns of `c`.
    pub(super) fn sums(c: &mut Sums<'_>) -> Self {
        let add = c.accumulate() == Accumulate::Add;
        Results::Sums { stride: c.stride(), c: c.as_mut_ptr(), add }
    }

    /// From `row` and `column` on; those of the depths behind the first are added.
    fn from(&self, row: usize, column: usize, first_depth: bool) -> Self {
        match *self {
            Results::Sums { c, stride, add } => {
                let c = c.wrapping_add(row * stride + column);
                Results::Sums { c, stride, add: add || !first_depth }
            }
            Results::Bytes { out, stride, requant } => {
                Results::Bytes { out: out.wrapping_add(row * stride + column), stride, requant }
            }
        }
    }
}

/// The product `a * w` with `w` packed in panels of pairs for exactly the shape of `a` and `columns`.
///
/// # Safety
/// `results` must be valid for reads and writes of `a.len()` rows of `columns` elements, and have constants for as many
/// columns if it has any.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn qs8_gemm__avx2<T: Activation>(
    a: &Rows<'_, T>,
    w: &[i16],
    columns: usize,
    results: &Results<'_>,
) {
    let rows = a.len();
    let depth = a.segments() * a.segment_len().next_multiple_of(2);
    let panels = columns.div_ceil(PANEL);
    assert!(w.len() == panels * depth * PANEL, "weights packed for another shape");
    // Sums that are requantized at once must be complete.
    let most_depth = if matches!(results, Results::Sums { .. }) { BLOCK_DEPTH } else { depth };
    let mut wide = Vec::with_capacity(rows.min(BLOCK_ROWS) * depth);
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let block_rows = BLOCK_ROWS.min(rows - first);
        widen(a, first, block_rows, &mut wide);
        for k in (0..depth).step_by(most_depth) {
            let block_depth = most_depth.min(depth - k);
            for first_panel in (0..panels).step_by(BLOCK_PANELS) {
                for (row, tile_rows) in super::even_runs(block_rows, TILE_ROWS) {
                    for panel in first_panel..panels.min(first_panel + BLOCK_PANELS) {
                        let column = panel * PANEL;
                        let tile = Tile {
                            a: &wide[row * depth + k..],
                            a_stride: depth,
                            w: &w[(panel * depth + k) * PANEL..][..block_depth * PANEL],
                            rows: tile_rows,
                            column,
                            columns: PANEL.min(columns - column),
                        };
                        // SAFETY: the tile's rows and columns are inside the results.
                        unsafe { run_tile(&tile, &results.from(first + row, column, k == 0)) };
                    }
                }
            }
        }
    }
}

/// Copies `rows` rows from `first` on into `wide` as i16, segments filled up with a zero to even length.
#[target_feature(enable = "avx2")]
fn widen<T: Activation>(a: &Rows<'_, T>, first: usize, rows: usize, wide: &mut Vec<i16>) {
    wide.clear();
    for r in first..first + rows {
        for s in 0..a.segments() {
            wide.extend(a.segment(r, s).iter().map(|x| x.value()));
            if a.segment_len() % 2 == 1 {
                wide.push(0);
            }
        }
    }
}

/// Operands of one tile.
struct Tile<'a> {
    /// Rows at distance `a_stride`, the first at the start.
    a: &'a [i16],
    a_stride: usize,
    /// One panel's pairs; they tell the depth.
    w: &'a [i16],
    rows: usize,
    /// First column.
    column: usize,
    /// Columns that exist, 1 to 16.
    columns: usize,
}

impl Tile<'_> {
    /// Pairs of elements in depth.
    fn pairs(&self) -> usize {
        self.w.len() / (2 * PANEL)
    }
}

/// # Safety
/// `to` must be valid for reads and writes of the tile's rows and columns from its start on.
#[target_feature(enable = "avx2")]
unsafe fn run_tile(tile: &Tile<'_>, to: &Results<'_>) {
    let last_end = (tile.rows - 1) * tile.a_stride + 2 * tile.pairs();
    assert!(last_end <= tile.a.len(), "widened rows are complete");
    // SAFETY: the rows are complete; the rest is passed on to the caller.
    unsafe {
        match tile.rows {
            1 => qs8_gemm_6x16__avx2::<1>(tile, to),
            2 => qs8_gemm_6x16__avx2::<2>(tile, to),
            3 => qs8_gemm_6x16__avx2::<3>(tile, to),
            4 => qs8_gemm_6x16__avx2::<4>(tile, to),
            5 => qs8_gemm_6x16__avx2::<5>(tile, to),
            _ => qs8_gemm_6x16__avx2::<6>(tile, to),
        }
    }
}

/// `ROWS` (1 to 6) rows by 16 columns of results.
///
/// # Safety
/// `tile.a` must hold `ROWS` rows of the panel's depth, and `to` must be valid for reads and writes of `ROWS` rows of its
/// columns.
#[target_feature(enable = "avx2")]
unsafe fn qs8_gemm_6x16__avx2<const ROWS: usize>(tile: &Tile<'_>, to: &Results<'_>) {
    let mut acc = [[_mm256_setzero_si256(); 2]; MAX_ROWS];
    let (a, w) = (tile.a.as_ptr(), tile.w.as_ptr());
    for p in 0..tile.pairs() {
        // SAFETY: pair `p` of the panel and of each row is inside by the caller's promise.
        unsafe {
            let w0 = _mm256_loadu_si256(w.add(p * 32).cast());
            let w1 = _mm256_loadu_si256(w.add(p * 32 + 16).cast());
            each_row!(R < ROWS {
                let pair = a.add(R * tile.a_stride + p * 2).cast::<i32>().read_unaligned();
                let x = _mm256_set1_epi32(pair);
                acc[R][0] = _mm256_add_epi32(acc[R][0], _mm256_madd_epi16(x, w0));
                acc[R][1] = _mm256_add_epi32(acc[R][1], _mm256_madd_epi16(x, w1));
            });
        }
    }
    match *to {
        Results::Sums { c, stride, add } => {
            // SAFETY: the rows and columns are inside the result by the caller's promise.
            each_row!(R < ROWS { unsafe { store16(acc[R], c.add(R * stride), tile.columns, add) } });
        }
        Results::Bytes { out, stride, requant } => {
            // SAFETY: as above, and the panel has constants.
            let columns = unsafe { Columns::load(requant, tile.column) };
            each_row!(R < ROWS { unsafe { columns.store(acc[R], out.add(R * stride), tile.columns) } });
        }
    }
}

/// Writes (or adds) the first `columns` of 16 sums.
///
/// # Safety
/// `c` must be valid for reads and writes of `columns` sums, at most 16.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn store16(acc: [__m256i; 2], c: *mut i32, columns: usize, add: bool) {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (half, sums) in acc.into_iter().enumerate() {
        let present = columns.saturating_sub(half * 8).min(8) as i32;
        let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(present), lane);
        let c = c.wrapping_add(half * 8);
        // SAFETY: masked-out lanes are not touched, the others are columns below `columns`.
        unsafe {
            let old = if add { _mm256_maskload_epi32(c, mask) } else { _mm256_setzero_si256() };
            _mm256_maskstore_epi32(c, mask, _mm256_add_epi32(old, sums));
        }
    }
}
