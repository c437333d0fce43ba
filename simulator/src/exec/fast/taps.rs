//! Which scratchpad row lies under each tap of each output of a windowed tile.
//!
//! A window is a product of two axes, so two small tables answer for all of them without a division or comparison per tap.

use std::ops::Range;

use isa::access::WindowAxis;

use crate::exec::region::Region;
use crate::exec::tap_position;

/// Marks a tap in the padding.
const PADDING: u32 = u32::MAX;

/// Rows under the taps of a tile in channel block 0.
pub(super) struct TapRows {
    first: u32,
    /// Rows from the first one to the image row under tap `ky` of output `y`, at `y * kh + ky`.
    down: Vec<u32>,
    /// Rows from there to the pixel under tap `kx` of output `x`, at `x * kw + kx`.
    across: Vec<u32>,
    kernel: [u32; 2],
    tw: u32,
}

impl TapRows {
    pub(super) fn new(axes: &[WindowAxis; 2], region: &Region) -> TapRows {
        let distances = |axis: &WindowAxis, stride: u32| {
            let outputs = (0..axis.tile).flat_map(|i| (0..axis.kernel).map(move |k| (i, k)));
            // A product that wraps belongs to a tile that lies wholly in the padding of the other axis.
            let distance =
                |(i, k)| tap_position(axis, i, k).map_or(PADDING, |at| at.wrapping_mul(stride));
            outputs.map(distance).collect()
        };
        TapRows {
            first: region.first,
            down: distances(&axes[0], region.row_stride),
            across: distances(&axes[1], 1),
            kernel: [axes[0].kernel, axes[1].kernel],
            tw: axes[1].tile,
        }
    }

    /// Taps of a window.
    pub(super) fn count(&self) -> u32 {
        self.kernel[0] * self.kernel[1]
    }

    /// Visits the given taps (`ky * kw + kx`) of output `pixel` (`y * tw + x`) in order; `None` is padding.
    #[inline]
    pub(super) fn for_each(
        &self,
        pixel: u32,
        taps: Range<u32>,
        mut visit: impl FnMut(Option<u32>),
    ) {
        let [kh, kw] = self.kernel.map(|extent| extent as usize);
        let down = &self.down[(pixel / self.tw) as usize * kh..][..kh];
        let across = &self.across[(pixel % self.tw) as usize * kw..][..kw];
        let mut visit = |down: u32, across: u32| {
            let padding = down == PADDING || across == PADDING;
            visit((!padding).then(|| self.first + down + across));
        };
        if taps.end - taps.start == self.count() {
            for &down in down {
                across.iter().for_each(|&across| visit(down, across));
            }
        } else {
            for tap in taps {
                visit(down[tap as usize / kw], across[tap as usize % kw]);
            }
        }
    }
}
