//! 512-bit kernels around `vpdpbusd`, which adds four products of an unsigned and a signed byte to an `i32` without
//! saturation.
//!
//! The weights are the unsigned operand, 128 too large; `sum (w + 128) * x = sum w * x + 128 * sum x`, so each row of
//! sums starts at `-128 * sum x`. Filling is 0 in that form, and a filled group cancels whatever activation it meets.

use std::arch::x86_64::*;

use super::MAX_ROWS;
use super::avx2::Destination;
use crate::gemm::PANEL;
use crate::matrix::{Accumulate, Rows, Sums};

/// Rows of one tile: 10 x 2 vectors of sums, two of weights and one of activations, of 32 registers. Enough to keep the
/// multipliers busy; with 12 rows compilers move sums to memory, at half the speed.
const TILE_ROWS: usize = MAX_ROWS;

/// Bytes of weights worked on at a time: they stay in the second-level cache while all rows pass by, and the sums of a
/// row are written one behind the other.
const BLOCK_BYTES: usize = 256 << 10;

/// Rows whose elements are summed together.
const SUM_ROWS: usize = 4;

/// The product `a * w` with `w` packed in panels of quads for exactly the shape of `a` and `c`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn qs8_gemm__avx512vnni(a: &Rows<'_>, w: &[u8], c: &mut Sums<'_>) {
    let [rows, columns] = c.shape();
    let panel_len = a.segments() * a.segment_len().next_multiple_of(4) * PANEL;
    let panels = columns.div_ceil(PANEL);
    assert!(rows == a.len() && w.len() == panels * panel_len, "weights packed for another shape");
    let add = c.accumulate() == Accumulate::Add;
    let mut starts = Vec::with_capacity(rows + SUM_ROWS);
    for first in (0..rows).step_by(SUM_ROWS) {
        starts.extend(row_sums(a, first).map(|sum| sum.wrapping_mul(-128)));
    }
    let block = (BLOCK_BYTES / panel_len).max(1).next_multiple_of(2);
    for first in (0..panels).step_by(block) {
        for (row, tile_rows) in super::even_runs(rows, TILE_ROWS) {
            for panel in (first..panels.min(first + block)).step_by(2) {
                let tile = Tile {
                    a,
                    first_row: row,
                    starts: &starts[row..row + tile_rows],
                    w: &w[panel * panel_len..],
                    panel_len,
                    add,
                };
                let out = Destination::new(c, row, panel * PANEL, 2 * PANEL);
                // SAFETY: the rows exist in `a` and, from the destination on, in `c`; `w` holds one panel from `panel`
                // on, and two if there are more than 16 columns left.
                unsafe {
                    if out.columns > PANEL {
                        run_tile::<2>(&tile, &out);
                    } else {
                        run_tile::<1>(&tile, &out);
                    }
                }
            }
        }
    }
}

/// Sums of the elements of the four rows from `first` on; beyond the last row, that row's again.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn row_sums(a: &Rows<'_>, first: usize) -> [i32; SUM_ROWS] {
    let ones = _mm512_set1_epi8(1);
    let data = a.data().as_ptr();
    let (whole, rest) = (a.segment_len() / 64, a.segment_len() % 64);
    let mut acc = [_mm512_setzero_si512(); MAX_ROWS];
    for s in 0..a.segments() {
        each_row!(R < SUM_ROWS {
            // SAFETY: every segment lies inside the data, and only its elements are loaded.
            unsafe {
                let segment = data.add(a.offset((first + R).min(a.len() - 1), s));
                for i in 0..whole {
                    let x = _mm512_loadu_si512(segment.add(i * 64).cast());
                    acc[R] = _mm512_dpbusd_epi32(acc[R], ones, x);
                }
                if rest > 0 {
                    let x = _mm512_maskz_loadu_epi8(u64::MAX >> (64 - rest), segment.add(whole * 64));
                    acc[R] = _mm512_dpbusd_epi32(acc[R], ones, x);
                }
            }
        });
    }
    // Sums of pairs of lanes, then of fours, with the four rows side by side; then of the four 128-bit parts.
    let [a, b, c, d, ..] = acc;
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let fours = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let halves =
        _mm256_add_epi32(_mm512_castsi512_si256(fours), _mm512_extracti64x4_epi64::<1>(fours));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
    let mut out = [0; SUM_ROWS];
    // SAFETY: four sums are 16 bytes.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}

/// Operands of one tile.
struct Tile<'a> {
    a: &'a Rows<'a>,
    first_row: usize,
    /// What each row's sums start at; one entry per row of the tile.
    starts: &'a [i32],
    w: &'a [u8],
    panel_len: usize,
    /// Whether to add to the sums already there.
    add: bool,
}

/// # Safety
/// As [`qs8_gemm_10x32__avx512vnni`] with as many rows as `tile.starts` has.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn run_tile<const PANELS: usize>(tile: &Tile<'_>, out: &Destination) {
    // SAFETY: passed on to the caller.
    unsafe {
        match tile.starts.len() {
            1 => qs8_gemm_10x32__avx512vnni::<1, PANELS>(tile, out),
            2 => qs8_gemm_10x32__avx512vnni::<2, PANELS>(tile, out),
            3 => qs8_gemm_10x32__avx512vnni::<3, PANELS>(tile, out),
            4 => qs8_gemm_10x32__avx512vnni::<4, PANELS>(tile, out),
            5 => qs8_gemm_10x32__avx512vnni::<5, PANELS>(tile, out),
            6 => qs8_gemm_10x32__avx512vnni::<6, PANELS>(tile, out),
            7 => qs8_gemm_10x32__avx512vnni::<7, PANELS>(tile, out),
            8 => qs8_gemm_10x32__avx512vnni::<8, PANELS>(tile, out),
            9 => qs8_gemm_10x32__avx512vnni::<9, PANELS>(tile, out),
            _ => qs8_gemm_10x32__avx512vnni::<10, PANELS>(tile, out),
        }
    }
}

/// `ROWS` (1 to 10) rows by `PANELS` (1 or 2) times 16 columns of sums.
///
/// # Safety
/// `tile` must have `ROWS` rows in `a` and starts, and `PANELS` panels in `w`; `out` must be valid for reads and writes of
/// `ROWS` rows of its columns, which must be more than `16 * (PANELS - 1)`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn qs8_gemm_10x32__avx512vnni<const ROWS: usize, const PANELS: usize>(
    tile: &Tile<'_>,
    out: &Destination,
) {
    assert!(ROWS <= TILE_ROWS && ROWS <= tile.starts.len(), "a tile has a start per row");
    let (quads, tail) = (tile.a.segment_len() / 4, tile.a.segment_len() % 4);
    let read_past = tile.a.may_read_past(4 - tail);
    let mut acc = [[_mm512_setzero_si512(); 2]; TILE_ROWS];
    each_row!(R < ROWS { acc[R] = [_mm512_set1_epi32(tile.starts[R]); 2] });
    let data = tile.a.data().as_ptr();
    let mut w = tile.w.as_ptr();
    for s in 0..tile.a.segments() {
        let mut rows = [data; TILE_ROWS];
        // SAFETY: every segment lies inside the data.
        each_row!(R < ROWS { rows[R] = unsafe { data.add(tile.a.offset(tile.first_row + R, s)) } });
        for q in 0..quads {
            // SAFETY: quad `q` lies inside every segment and panel.
            unsafe {
                let w = panels::<PANELS>(w.add(q * 64), tile.panel_len);
                each_row!(R < ROWS {
                    let x = rows[R].add(q * 4).cast::<i32>().read_unaligned();
                    acc[R] = multiply_add::<PANELS>(acc[R], w, x);
                });
            }
        }
        if tail > 0 {
            // SAFETY: the group with the last 1 to 3 elements lies inside every panel, and they inside every segment.
            unsafe {
                let w = panels::<PANELS>(w.add(quads * 64), tile.panel_len);
                each_row!(R < ROWS {
                    let x = last_quad(rows[R].add(quads * 4), tail, read_past);
                    acc[R] = multiply_add::<PANELS>(acc[R], w, x);
                });
            }
        }
        // SAFETY: at most one past the first panel.
        w = unsafe { w.add(tile.a.segment_len().next_multiple_of(4) * PANEL) };
    }
    // SAFETY: the rows and columns are inside the result.
    each_row!(R < ROWS { unsafe { store32(acc[R], out.c.add(R * out.stride), out.columns, tile.add) } });
}

/// Adds the products of four elements with the groups of one or two panels.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn multiply_add<const PANELS: usize>(acc: [__m512i; 2], w: [__m512i; 2], x: i32) -> [__m512i; 2] {
    let x = _mm512_set1_epi32(x);
    let first = _mm512_dpbusd_epi32(acc[0], w[0], x);
    [first, if PANELS == 2 { _mm512_dpbusd_epi32(acc[1], w[1], x) } else { acc[1] }]
}

/// Writes (or adds) the first `columns` of 32 sums.
///
/// # Safety
/// `c` must be valid for reads and writes of `columns` sums.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store32(acc: [__m512i; 2], c: *mut i32, columns: usize, add: bool) {
    let mask = u32::MAX >> (32 - columns.min(32));
    // SAFETY: masked-out lanes are not touched.
    unsafe {
        store16(acc[0], c, mask as u16, add);
        if columns > PANEL {
            store16(acc[1], c.add(PANEL), (mask >> PANEL) as u16, add);
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

/// The group of weights at `w` in one or two panels.
///
/// # Safety
/// 64 bytes must be readable at `w` and, with two panels, `panel_len` further on.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn panels<const PANELS: usize>(w: *const u8, panel_len: usize) -> [__m512i; 2] {
    // SAFETY: promised by the caller.
    unsafe {
        let first = _mm512_loadu_si512(w.cast());
        [first, if PANELS == 2 { _mm512_loadu_si512(w.add(panel_len).cast()) } else { first }]
    }
}
