//! Cycles of a single tile instruction, in closed form (T10 to T19 of `docs/timing.md`).
//!
//! Plain functions of geometry and machine: the cores use them when they decode a program, the compiler when it compares
//! tiles that are no program yet. Results saturate at `u64::MAX`, far beyond what a core accepts.

use isa::Hardware;
use isa::access::WindowAxis;

/// Scratchpad rows, or passes of the array, per element row: 2 for 16-bit data, else 1 (`f` in the rules).
pub const fn planes(wide: bool) -> u64 {
    if wide { 2 } else { 1 }
}

/// Folds of a convolution: weight tiles that visit the array one after another. `taps` = `kh * kw`; `nibbles`: weights of at
/// most 4 bits, two channel blocks to a fold.
pub const fn conv_folds(taps: u64, blocks: u64, nibbles: bool) -> u64 {
    taps.saturating_mul(if nibbles { blocks.div_ceil(2) } else { blocks })
}

/// Cycles that one fold streams a tile of `pixels` output pixels through the array.
pub const fn conv_stream(pixels: u64, wide: bool) -> u64 {
    pixels.saturating_mul(planes(wide))
}

/// What one `mxu.conv` costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvCost {
    /// Weight tiles (`n`), at least 1.
    pub folds: u64,
    /// Cycles a fold streams (`s`).
    pub stream_cycles: u64,
    /// Cycles to shift the weights of a fold into the array (`w`).
    pub shift_cycles: u64,
    /// Cycles from the start of a fold's stream to that of the next one (`T`).
    pub period_cycles: u64,
}

impl ConvCost {
    /// Cost by T10. `shared_bank`: activation and weight stream need a common scratchpad bank.
    pub fn new(folds: u64, stream_cycles: u64, cols: u64, shared_bank: bool) -> ConvCost {
        let period_cycles =
            if shared_bank { stream_cycles.saturating_add(cols) } else { stream_cycles.max(cols) };
        ConvCost { folds: folds.max(1), stream_cycles, shift_cycles: cols, period_cycles }
    }

    /// Cycles from the start of the first fold's stream to that of the last one.
    pub const fn last_fold_offset(&self) -> u64 {
        (self.folds - 1).saturating_mul(self.period_cycles)
    }

    /// Cycles in which the array streams.
    pub const fn busy_cycles(&self) -> u64 {
        self.folds.saturating_mul(self.stream_cycles)
    }

    /// Cycles from issue to the end of the last fold's stream on an idle array.
    pub const fn alone_cycles(&self) -> u64 {
        self.shift_cycles.saturating_add(self.last_fold_offset()).saturating_add(self.stream_cycles)
    }
}

/// Vector steps per scratchpad row (`q` in the rules).
fn lane_steps(hw: &Hardware) -> u64 {
    hw.array_rows.div_ceil(hw.vector_lanes).into()
}

/// Work of `vpu.drain` (T15) on `pixels` = `th * tw` pixels of `cols` accumulator columns, the first result in `lane`.
/// `side_wide` is the width of operand `b` if it is read.
pub fn drain_work(
    hw: &Hardware,
    pixels: u64,
    lane: u64,
    cols: u64,
    result_wide: bool,
    side_wide: Option<bool>,
) -> u64 {
    let rows = (lane + cols).div_ceil(hw.array_rows.into());
    let steps = cols.div_ceil(hw.vector_lanes.into());
    let moved = side_wide.into_iter().chain([result_wide]).map(|wide| rows * planes(wide)).max();
    pixels.saturating_mul(steps.max(moved.unwrap_or(0)))
}

/// The second operand of an elementwise instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SideStream {
    /// It has 16 bits.
    pub wide: bool,
    /// It needs a scratchpad bank that operand `a` needs too.
    pub shared_bank: bool,
}

/// Work of `vpu.add`, `vpu.mul`, `vpu.max`, `vpu.prelu`, `vpu.lut` (T16) on `rows` = `th * tw * blocks` scratchpad rows.
pub fn elementwise_work(
    hw: &Hardware,
    rows: u64,
    result_wide: bool,
    a_wide: bool,
    side: Option<SideStream>,
) -> u64 {
    let reads = match side {
        None => planes(a_wide),
        Some(SideStream { wide, shared_bank: false }) => planes(a_wide).max(planes(wide)),
        Some(SideStream { wide, shared_bank: true }) => planes(a_wide) + planes(wide),
    };
    rows.saturating_mul(lane_steps(hw).max(planes(result_wide)).max(reads))
}

/// Which instruction slides a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// `vpu.depthwise`.
    Depthwise,
    /// `vpu.pool`.
    Pool,
}

/// Work of `vpu.depthwise` and `vpu.pool` (T17) on `blocks` channel blocks of the window that `y` and `x` describe.
pub fn window_work(
    hw: &Hardware,
    kind: WindowKind,
    y: &WindowAxis,
    x: &WindowAxis,
    blocks: u64,
    a_wide: bool,
    result_wide: bool,
) -> u64 {
    let pixels = u64::from(y.tile) * u64::from(x.tile);
    let taps = u64::from(y.kernel) * u64::from(x.kernel);
    let extent =
        |axis: &WindowAxis| axis.clipped().map_or(0, |(_, positions)| u64::from(positions));
    let inputs = if extent(x) > u64::from(hw.line_cols) {
        pixels.saturating_mul(taps)
    } else {
        extent(y) * extent(x)
    };
    let read = inputs.saturating_mul(planes(a_wide));
    let computed = pixels.saturating_mul(taps.div_ceil(hw.depthwise_taps.into()));
    let written = pixels * planes(result_wide);
    let block = read.max(computed).max(written).saturating_mul(lane_steps(hw));
    let weights = match kind {
        WindowKind::Depthwise => taps,
        WindowKind::Pool => 0,
    };
    blocks.saturating_mul(block.saturating_add(weights))
}

/// Work of `vpu.softmax` (T18).
pub fn softmax_work(hw: &Hardware, pixels: u64, channels: u64) -> u64 {
    let passes = 3 * channels.div_ceil(hw.vector_lanes.into());
    pixels.saturating_mul(passes + u64::from(hw.softmax_divide_cycles))
}

/// Byte runs of the data mover in the scratchpad: run `(i, j)` starts at byte `first + i * strides[0] + j * strides[1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRuns {
    /// Byte address `row * R + lane` of the first run.
    pub first: i64,
    /// Bytes from one outer, and from one inner step to the next.
    pub strides: [i64; 2],
}

/// Work of `vpu.move` (two sides) and `vpu.fill` (one): for each of the `outer * inner` runs of `len` bytes the larger number of
/// rows touched on any side (T19).
pub fn move_work(hw: &Hardware, sides: &[ByteRuns], steps: [u64; 2], len: u64) -> u64 {
    let row_bytes = i64::from(hw.array_rows);
    // Rows touched depend on the start modulo the row size only, a power of two, so they repeat after at most that many steps.
    let period = |axis: usize| {
        let aligned =
            sides.iter().map(|side| side.strides[axis].trailing_zeros()).min().unwrap_or(u32::MAX);
        u64::from(hw.array_rows >> aligned.min(hw.array_rows.trailing_zeros()))
    };
    let [outer, inner] = [classes(steps[0], period(0)), classes(steps[1], period(1))];
    let mut work = 0u64;
    for (i, outer_times) in outer {
        for (j, inner_times) in inner.clone() {
            let rows = sides.iter().map(|side| {
                let start = side.first + i * side.strides[0] + j * side.strides[1];
                let lane = start.rem_euclid(row_bytes).unsigned_abs();
                if len == 0 { 0 } else { (lane + len - 1) / u64::from(hw.array_rows) + 1 }
            });
            work = work.saturating_add(rows.max().unwrap_or(0) * outer_times * inner_times);
        }
    }
    work
}

/// The first step of each residue class modulo `period` among `steps` steps, and the number of steps in the class.
fn classes(steps: u64, period: u64) -> impl Iterator<Item = (i64, u64)> + Clone {
    (0..steps.min(period)).map(move |i| (i.cast_signed(), (steps - 1 - i) / period + 1))
}

/// Bursts that a contiguous range of DRAM is cut into (T20).
pub fn bursts(address: u64, bytes: u64, burst_bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { (address + bytes - 1) / burst_bytes - address / burst_bytes + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 16 rows, 16 lanes, 9 taps, 256 line columns.
    fn edge16() -> Hardware {
        Hardware::default()
    }

    fn axis(origin: i32, tile: u32, kernel: u32, extent: u32) -> WindowAxis {
        WindowAxis { origin, tile, step: 1, kernel, dilation: 1, extent }
    }

    #[test]
    fn folds_overlap_with_weights_unless_a_bank_is_shared() {
        // 3x3 taps, 5 blocks in 4 bits: 9 * 3 folds.
        assert_eq!(conv_folds(9, 5, true), 27);
        assert_eq!(conv_folds(9, 5, false), 45);
        // 20 pixels stream longer than 16 columns shift.
        let apart = ConvCost::new(3, conv_stream(20, false), 16, false);
        assert_eq!(
            (apart.period_cycles, apart.last_fold_offset(), apart.busy_cycles()),
            (20, 40, 60)
        );
        assert_eq!(apart.alone_cycles(), 16 + 60);
        assert_eq!(ConvCost::new(3, 20, 16, true).period_cycles, 36);
        // 7 pixels of 16 bits stream 14 cycles and wait for the 16 columns.
        assert_eq!(ConvCost::new(3, conv_stream(7, true), 16, false).period_cycles, 16);
    }

    #[test]
    fn drain_takes_the_slowest_of_lanes_result_and_side() {
        let mut hw = edge16();
        // Lanes 12..22 touch two rows a pixel.
        assert_eq!(drain_work(&hw, 10, 12, 10, false, None), 20);
        assert_eq!(drain_work(&hw, 10, 12, 10, true, None), 40);
        assert_eq!(drain_work(&hw, 10, 0, 16, false, Some(true)), 20);
        hw.vector_lanes = 4;
        assert_eq!(drain_work(&hw, 10, 0, 9, false, Some(true)), 30);
    }

    #[test]
    fn elementwise_reads_share_a_bank_or_not() {
        let mut hw = edge16();
        let side = |wide, shared_bank| Some(SideStream { wide, shared_bank });
        assert_eq!(elementwise_work(&hw, 7, false, false, None), 7);
        assert_eq!(elementwise_work(&hw, 7, false, false, side(true, false)), 14);
        assert_eq!(elementwise_work(&hw, 7, false, false, side(true, true)), 21);
        hw.vector_lanes = 2;
        assert_eq!(elementwise_work(&hw, 7, true, true, side(true, true)), 56);
    }

    #[test]
    fn windows_count_each_input_once_if_the_line_buffer_holds_it() {
        let mut hw = edge16();
        // 3x3 over a 5x5 region with one column and row of padding before: inputs 0..=4 each way.
        let (y, x) = (axis(-1, 5, 3, 5), axis(-1, 5, 3, 5));
        assert_eq!(window_work(&hw, WindowKind::Pool, &y, &x, 2, false, false), 2 * 25);
        assert_eq!(window_work(&hw, WindowKind::Depthwise, &y, &x, 2, false, false), 2 * (9 + 25));
        assert_eq!(window_work(&hw, WindowKind::Pool, &y, &x, 1, true, false), 50);
        hw.depthwise_taps = 4;
        assert_eq!(window_work(&hw, WindowKind::Pool, &y, &x, 1, false, false), 25 * 3);
        hw.line_cols = 4;
        assert_eq!(window_work(&hw, WindowKind::Pool, &y, &x, 1, false, false), 25 * 9);
        // Wholly in the padding: nothing to read, still results to write.
        let outside = axis(7, 2, 1, 5);
        assert_eq!(
            window_work(&hw, WindowKind::Depthwise, &outside, &outside, 1, false, true),
            1 + 8
        );
    }

    #[test]
    fn softmax_passes_three_times() {
        assert_eq!(softmax_work(&edge16(), 4, 17), 4 * (3 * 2 + 32));
    }

    #[test]
    fn costs_saturate() {
        let axis = |kernel| WindowAxis {
            origin: 0,
            tile: 2047,
            step: 63,
            kernel,
            dilation: 63,
            extent: 65535,
        };
        let mut hw = edge16();
        (hw.line_cols, hw.array_rows, hw.vector_lanes) = (1, 256, 1);
        let work =
            window_work(&hw, WindowKind::Depthwise, &axis(4095), &axis(4095), 1023, true, true);
        assert_eq!(work, u64::MAX);
    }

    proptest! {
        #[test]
        fn moves_equal_the_sum_over_all_runs(
            rows_log in 0u32..6, first in (0i64..900, 0i64..900),
            strides in proptest::array::uniform4(-70i64..70), steps in (1u64..40, 1u64..40), len in 0u64..70, fill in any::<bool>(),
        ) {
            let mut hw = edge16();
            hw.array_rows = 1 << rows_log;
            let src = ByteRuns { first: first.0, strides: [strides[0], strides[1]] };
            let dst = ByteRuns { first: first.1, strides: [strides[2], strides[3]] };
            let sides = if fill { vec![dst] } else { vec![src, dst] };
            let r = i64::from(hw.array_rows);
            let mut expected = 0;
            for i in 0..steps.0 as i64 {
                for j in 0..steps.1 as i64 {
                    let rows = sides.iter().map(|side| {
                        let p = side.first + i * side.strides[0] + j * side.strides[1];
                        if len == 0 { 0 } else { (p + len as i64 - 1).div_euclid(r) - p.div_euclid(r) + 1 }
                    });
                    expected += rows.max().unwrap() as u64;
                }
            }
            prop_assert_eq!(move_work(&hw, &sides, [steps.0, steps.1], len), expected);
        }
    }
}
