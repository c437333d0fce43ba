//! 512-bit kernels around `vpdpbusd`, which adds four products of an unsigned and a signed byte to an `i32` without
//! saturation.
//!
//! The activations are the unsigned operand, 128 too large; `sum (x + 128) * w = sum x * w + 128 * sum w`, so the sums of a
//! column start at `-128 * sum w`. Filling has weights of 0 and cancels whatever activation it meets.

use std::arch::x86_64::*;

use super::MAX_ROWS;
use super::columns_avx512::Columns;
use crate::gemm::{PANEL, Quads};
use crate::matrix::{Accumulate, Activation, Rows, Sums};
use crate::panel_requant::PanelRequant;

/// Rows of one tile: 10 x 2 vectors of sums, two of weights and one of activations, of 32 registers. Enough to keep the
/// multipliers busy; with 12 rows compilers move sums to memory, at half the speed.
const TILE_ROWS: usize = MAX_ROWS;

/// Bytes of weights worked on at a time: they stay in the second-level cache while all rows pass by, and the results of a
/// row are written one behind the other.
const BLOCK_BYTES: usize = 256 << 10;

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
}

/// The product `a * w` with `w` packed in panels of quads for exactly the shape of `a` and `columns`.
///
/// # Safety
/// `results` must be valid for reads and writes of `a.len()` rows of `columns` elements, and have constants for as many
/// columns if it has any.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn qs8_gemm__avx512vnni<T: Activation>(
    a: &Rows<'_, T>,
    w: &Quads,
    columns: usize,
    results: &Results<'_>,
) {
    let rows = a.len();
    let panel_len = a.segments() * a.segment_len().next_multiple_of(4) * PANEL;
    let panels = columns.div_ceil(PANEL);
    let packed = w.weights.len() == panels * panel_len && w.starts.len() == panels * PANEL;
    assert!(packed, "weights packed for another shape");
    let block = (BLOCK_BYTES / panel_len).max(1).next_multiple_of(2);
    for first in (0..panels).step_by(block) {
        for (row, tile_rows) in super::even_runs(rows, TILE_ROWS) {
            for panel in (first..panels.min(first + block)).step_by(2) {
                let tile = Tile {
                    a,
                    row,
                    rows: tile_rows,
                    w: &w.weights[panel * panel_len..],
                    starts: &w.starts[panel * PANEL..],
                    panel_len,
                    column: panel * PANEL,
                    columns: (columns - panel * PANEL).min(2 * PANEL),
                };
                // SAFETY: the rows exist in `a` and in the results; weights and starts hold one panel from `panel` on, and
                // two if there are more than 16 columns left.
                unsafe {
                    if tile.columns > PANEL {
                        run_tile::<T, 2>(&tile, results);
                    } else {
                        run_tile::<T, 1>(&tile, results);
                    }
                }
            }
        }
    }
}

/// Operands of one tile.
struct Tile<'a, T> {
    a: &'a Rows<'a, T>,
    /// First row.
    row: usize,
    rows: usize,
    w: &'a [i8],
    /// What each column's sums start at.
    starts: &'a [i32],
    panel_len: usize,
    /// First column.
    column: usize,
    /// Columns that exist, 1 to 32.
    columns: usize,
}

/// # Safety
/// As [`qs8_gemm_10x32__avx512vnni`] with as many rows as the tile has.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn run_tile<T: Activation, const PANELS: usize>(tile: &Tile<'_, T>, to: &Results<'_>) {
    // SAFETY: passed on to the caller.
    unsafe {
        match tile.rows {
            1 => qs8_gemm_10x32__avx512vnni::<T, 1, PANELS>(tile, to),
            2 => qs8_gemm_10x32__avx512vnni::<T, 2, PANELS>(tile, to),
            3 => qs8_gemm_10x32__avx512vnni::<T, 3, PANELS>(tile, to),
            4 => qs8_gemm_10x32__avx512vnni::<T, 4, PANELS>(tile, to),
            5 => qs8_gemm_10x32__avx512vnni::<T, 5, PANELS>(tile, to),
            6 => qs8_gemm_10x32__avx512vnni::<T, 6, PANELS>(tile, to),
            7 => qs8_gemm_10x32__avx512vnni::<T, 7, PANELS>(tile, to),
            8 => qs8_gemm_10x32__avx512vnni::<T, 8, PANELS>(tile, to),
            9 => qs8_gemm_10x32__avx512vnni::<T, 9, PANELS>(tile, to),
            _ => qs8_gemm_10x32__avx512vnni::<T, 10, PANELS>(tile, to),
        }
    }
}

/// `ROWS` (1 to 10) rows by `PANELS` (1 or 2) times 16 columns of results.
///
/// # Safety
/// `tile` must have `ROWS` rows in `a`, and `PANELS` panels in `w` and `starts`; `to` must be valid for reads and writes of the
/// tile's rows and columns, which must be more than `16 * (PANELS - 1)`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn qs8_gemm_10x32__avx512vnni<T: Activation, const ROWS: usize, const PANELS: usize>(
    tile: &Tile<'_, T>,
    to: &Results<'_>,
) {
    assert!(ROWS <= TILE_ROWS && tile.starts.len() >= PANELS * PANEL, "a column has a start");
    let (quads, tail) = (tile.a.segment_len() / 4, tile.a.segment_len() % 4);
    let read_past = tile.a.may_read_past(4 - tail);
    let mut acc = [[_mm512_setzero_si512(); 2]; TILE_ROWS];
    // SAFETY: there are `PANELS` panels of starts.
    let starts = unsafe { panels::<PANELS>(tile.starts.as_ptr().cast(), PANEL * 4) };
    each_row!(R < ROWS { acc[R] = starts });
    let data: *const i8 = tile.a.data().as_ptr().cast();
    let mut w = tile.w.as_ptr();
    for s in 0..tile.a.segments() {
        let mut rows = [data; TILE_ROWS];
        // SAFETY: every segment lies inside the data.
        each_row!(R < ROWS { rows[R] = unsafe { data.add(tile.a.offset(tile.row + R, s)) } });
        for q in 0..quads {
            // SAFETY: quad `q` lies inside every segment and panel.
            unsafe {
                let w = panels::<PANELS>(w.add(q * 64), tile.panel_len);
                each_row!(R < ROWS {
                    let x = rows[R].add(q * 4).cast::<i32>().read_unaligned();
                    acc[R] = multiply_add::<T, PANELS>(acc[R], w, x);
                });
            }
        }
        if tail > 0 {
            // SAFETY: the group with the last 1 to 3 elements lies inside every panel, and they inside every segment.
            unsafe {
                let w = panels::<PANELS>(w.add(quads * 64), tile.panel_len);
                each_row!(R < ROWS {
                    let x = last_quad(rows[R].add(quads * 4), tail, read_past);
                    acc[R] = multiply_add::<T, PANELS>(acc[R], w, x);
                });
            }
        }
        // SAFETY: at most one past the first panel.
        w = unsafe { w.add(tile.a.segment_len().next_multiple_of(4) * PANEL) };
    }
    let mask = u32::MAX >> (32 - tile.columns);
    match *to {
        Results::Sums { c, stride, add } => {
            let c = c.wrapping_add(tile.row * stride + tile.column);
            // SAFETY: the rows and the columns of the mask are inside the result.
            each_row!(R < ROWS { unsafe { store32(acc[R], c.wrapping_add(R * stride), mask, add) } });
        }
        Results::Bytes { out, stride, requant } => {
            let out = out.wrapping_add(tile.row * stride + tile.column);
            // SAFETY: as above, and the panels have constants.
            let columns = unsafe { Columns::load(requant, tile.column) };
            each_row!(R < ROWS { unsafe { columns.store(acc[R][0], out.wrapping_add(R * stride), mask as u16) } });
            if PANELS == 2 {
                let out = out.wrapping_add(PANEL);
                // SAFETY: as above.
                let columns = unsafe { Columns::load(requant, tile.column + PANEL) };
                each_row!(R < ROWS {
                    unsafe { columns.store(acc[R][1], out.wrapping_add(R * stride), (mask >> PANEL) as u16) }
                });
            }
        }
    }
}

/// Adds the products of four elements with the groups of one or two panels.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn multiply_add<T: Activation, const PANELS: usize>(
    acc: [__m512i; 2],
    w: [__m512i; 2],
    x: i32,
) -> [__m512i; 2] {
    let mut x = _mm512_set1_epi32(x);
    if !T::EXCESS {
        x = _mm512_xor_si512(x, _mm512_set1_epi8(i8::MIN));
    }
    let first = _mm512_dpbusd_epi32(acc[0], x, w[0]);
    [first, if PANELS == 2 { _mm512_dpbusd_epi32(acc[1], x, w[1]) } else { acc[1] }]
}

/// Writes (or adds) the sums of `mask`.
///
/// # Safety
/// `c` must be valid for reads and writes of the sums of `mask`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store32(acc: [__m512i; 2], c: *mut i32, mask: u32, add: bool) {
    // SAFETY: masked-out lanes are not touched.
    unsafe {
        store16(acc[0], c, mask as u16, add);
        if mask >> PANEL != 0 {
            store16(acc[1], c.wrapping_add(PANEL), (mask >> PANEL) as u16, add);
        }
    }
}

/// Writes (or adds) the sums of `mask`.
///
/// # Safety
/// `c` must be valid for reads and writes of the sums of `mask`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store16(sums: __m512i, c: *mut i32, mask: u16, add: bool) {
    // SAFETY: masked-out lanes are not touched.
    unsafe {
        let old = if add { _mm512_maskz_loadu_epi32(mask, c) } else { _mm512_setzero_si512() };
        _mm512_mask_storeu_epi32(c, mask, _mm512_add_epi32(old, sums));
    }
}

/// Four bytes whose first `tail` (1 to 3) are the elements at `x`; the others meet weights of 0.
///
/// # Safety
/// `tail` elements must be readable at `x`, and four if `read_past`.
#[inline]
unsafe fn last_quad(x: *const i8, tail: usize, read_past: bool) -> i32 {
    let x = x.cast::<u8>();
    // SAFETY: promised by the caller.
    unsafe {
        if read_past {
            return x.cast::<i32>().read_unaligned();
        }
        let mut bytes = [x.read(), 0, 0, 0];
        if tail > 1 {
            bytes[1] = x.add(1).read();
        }
        if tail > 2 {
            bytes[2] = x.add(2).read();
        }
        i32::from_le_bytes(bytes)
    }
}

/// The 64 bytes at `w` and, with two panels, `panel_len` bytes further on.
///
/// # Safety
/// 64 bytes must be readable at both.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn panels<const PANELS: usize>(w: *const i8, panel_len: usize) -> [__m512i; 2] {
    // SAFETY: promised by the caller.
    unsafe {
        let first = _mm512_loadu_si512(w.cast());
        [first, if PANELS == 2 { _mm512_loadu_si512(w.add(panel_len).cast()) } else { first }]
    }
}
