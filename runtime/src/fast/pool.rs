//! Pools, a whole pixel's channels at a time.

use ir::qgraph::{Bounds, Hwc, Window};
use isa::numerics::{Requant, requantize};

use super::stored::Stored;
use crate::int8::Target;
use crate::int8::window::{tap_column, tap_row};

/// Writes the largest stored integer under each window.
pub(crate) fn max_pool<T: Stored>(
    x: &[T],
    input: Hwc,
    window: &Window,
    output: Hwc,
    out: &mut [T],
) {
    each_window(input, window, output, |pixel, taps| {
        let best = &mut out[pixel * input.c..][..input.c];
        for (i, &start) in taps.iter().enumerate() {
            let channels = &x[start..start + input.c];
            if i == 0 {
                best.copy_from_slice(channels);
            } else {
                best.iter_mut().zip(channels).for_each(|(best, &x)| *best = x.max(*best));
            }
        }
    });
}

/// Constants of an average pool.
#[derive(Clone, Copy)]
pub(crate) struct Average<'g> {
    pub(crate) window: &'g Window,
    pub(crate) requant: &'g [Requant],
    pub(crate) bounds: Bounds,
    /// Of the operand.
    pub(crate) zero_point: i32,
}

/// Writes the requantized sums over the valid taps of each window; the entry of `requant` is chosen as in the plain loop.
pub(crate) fn average_pool<T: Stored, U: Stored>(
    x: &[T],
    input: Hwc,
    pool: &Average<'_>,
    target: &Target,
    out: &mut [U],
) {
    let mut sums = vec![0_i64; input.c];
    each_window(input, pool.window, target.shape, |pixel, taps| {
        sums.fill(0);
        for &start in taps {
            let channels = &x[start..start + input.c];
            sums.iter_mut().zip(channels).for_each(|(sum, x)| *sum += i64::from(x.widen()));
        }
        let entry =
            if pool.requant.len() == 1 { pool.requant[0] } else { pool.requant[taps.len() - 1] };
        let zeros = taps.len() as i64 * i64::from(pool.zero_point);
        for (out, sum) in out[pixel * input.c..].iter_mut().zip(&sums) {
            let (zero, Bounds { lo, hi }) = (target.zero_point, pool.bounds);
            *out = U::narrow(requantize(sum - zeros, entry, zero, lo, hi, target.rounding));
        }
    });
}

/// Calls `visit(pixel, starts of its valid taps in the input)` for every output pixel.
fn each_window(input: Hwc, window: &Window, output: Hwc, mut visit: impl FnMut(usize, &[usize])) {
    let mut taps = Vec::new();
    for oy in 0..output.h {
        for ox in 0..output.w {
            taps.clear();
            for y in (0..window.kernel[0]).filter_map(|ky| tap_row(window, oy, ky, input.h)) {
                let columns =
                    (0..window.kernel[1]).filter_map(|kx| tap_column(window, ox, kx, input.w));
                taps.extend(columns.map(|x| (y * input.w + x) * input.c));
            }
            visit(oy * output.w + ox, &taps);
        }
    }
}
