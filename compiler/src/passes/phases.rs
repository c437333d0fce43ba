//! One axis of a transposed convolution, seen as ordinary convolutions: the phases of its result.
//!
//! Tap `k` carries input element `i` to result element `stride * i + dilation * k - pad`. The elements `stride * q + r` of one
//! *phase* `r` therefore read `x[q + offset]` with
//!
//! ```text
//! offset = (r + pad - dilation * k) / stride
//! ```
//!
//! for the taps `k` that leave no remainder: a convolution of stride 1 over `q` whose kernel has one place an offset.

use ir::graph::Window;

/// Most kernel places of one axis; no network comes near, but a file can ask for any number.
pub(crate) const MOST_PLACES: usize = 1 << 12;

/// Some phases of one axis as one convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phases {
    /// Kernel places.
    pub(super) kernel: usize,
    /// Input elements from one place to the next.
    pub(super) dilation: usize,
    /// Padding in front of the input and behind it.
    pub(super) pad: [usize; 2],
    /// Results of each phase.
    pub(super) count: usize,
    /// Per phase: the tap of the transposed kernel at each place, if any.
    pub(super) taps: Vec<Vec<Option<usize>>>,
}

/// Axis `axis` (0 = y, 1 = x) of a transposed convolution with `input` elements in and `output` elements out.
pub(super) struct Axis<'a> {
    pub(super) window: &'a Window,
    pub(super) axis: usize,
    pub(super) input: usize,
    pub(super) output: usize,
}

impl Axis<'_> {
    fn stride(&self) -> usize {
        self.window.stride[self.axis]
    }

    /// All phases as one convolution, whose kernel has a place for every offset that occurs. `None` if it would be absurdly
    /// large.
    pub(super) fn together(&self) -> Option<Phases> {
        self.phases(&(0..self.stride()).collect::<Vec<_>>())
    }

    /// Each phase as a convolution of its own, all with as many results.
    pub(super) fn apart(&self) -> Option<Vec<Phases>> {
        let phases = (0..self.stride()).map(|phase| self.phases(&[phase]));
        let mut phases = phases.collect::<Option<Vec<_>>>()?;
        let count = phases.iter().map(|phase| phase.count).max()?;
        for phase in &mut phases {
            phase.pad[1] += count - phase.count;
            phase.count = count;
        }
        Some(phases)
    }

    fn phases(&self, phases: &[usize]) -> Option<Phases> {
        let (stride, step) =
            (self.stride().cast_signed(), self.window.dilation[self.axis].cast_signed());
        let pad = self.window.pad[self.axis].cast_signed();
        let of_phase = |&phase: &usize| {
            let carried = move |k: usize| phase.cast_signed() + pad - step * k.cast_signed();
            let taps = (0..self.window.kernel[self.axis]).filter(|&k| carried(k) % stride == 0);
            taps.map(|k| (carried(k) / stride, k)).collect()
        };
        let offsets: Vec<Vec<(isize, usize)>> = phases.iter().map(of_phase).collect();
        let all = || offsets.iter().flatten().map(|&(offset, _)| offset);
        // A phase without taps is the bias alone: one place of weight 0.
        let (lowest, highest) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        let dilation = all().map(|offset| highest.abs_diff(offset)).fold(0, gcd).max(1);
        // Padding is never negative: where all places lie behind the first element, weightless ones fill the gap.
        let gap = lowest.max(0).unsigned_abs().div_ceil(dilation) * dilation;
        let first = lowest - gap.cast_signed();
        let kernel = highest.abs_diff(first) / dilation + 1;
        if kernel > MOST_PLACES {
            return None;
        }
        let mut taps = vec![vec![None; kernel]; phases.len()];
        for (places, of_phase) in taps.iter_mut().zip(&offsets) {
            for &(offset, k) in of_phase {
                places[offset.abs_diff(first) / dilation] = Some(k);
            }
        }
        let (before, reach) = (first.unsigned_abs(), (kernel - 1) * dilation + 1);
        let wanted = self.output.div_ceil(self.stride());
        // Padding behind is not negative either: then there are more results than wanted.
        let count = wanted.max((self.input + before + 1).saturating_sub(reach));
        let after = count + reach - 1 - self.input - before;
        Some(Phases { kernel, dilation, pad: [before, after], count, taps })
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(kernel: usize, stride: usize, dilation: usize, pad: usize) -> Window {
        Window {
            kernel: [1, kernel],
            stride: [1, stride],
            dilation: [1, dilation],
            pad: [0, pad, 0, pad],
        }
    }

    fn together(window: &Window, input: usize, output: usize) -> Phases {
        Axis { window, axis: 1, input, output }.together().unwrap()
    }

    #[test]
    fn a_kernel_of_the_stride_is_a_point() {
        let phases = together(&axis(2, 2, 1, 0), 5, 10);
        assert_eq!((phases.kernel, phases.pad, phases.count), (1, [0, 0], 5));
        assert_eq!(phases.taps, [[Some(0)], [Some(1)]]);
    }

    #[test]
    fn phases_that_do_not_line_up_need_a_wider_kernel_together() {
        let phases = together(&axis(3, 2, 1, 1), 5, 10);
        assert_eq!((phases.kernel, phases.pad), (2, [0, 1]));
        assert_eq!(phases.taps, [[Some(1), None], [Some(2), Some(0)]]);
        let phases = together(&axis(4, 2, 1, 1), 5, 10);
        assert_eq!((phases.kernel, phases.pad, phases.count), (3, [1, 1], 5));
        assert_eq!(phases.taps, [[Some(3), Some(1), None], [None, Some(2), Some(0)]]);
    }

    #[test]
    fn stride_1_is_a_flipped_kernel_with_its_dilation() {
        let phases = together(&axis(3, 1, 2, 1), 8, 10);
        assert_eq!((phases.kernel, phases.dilation, phases.pad), (3, 2, [3, 3]));
        assert_eq!(phases.taps, [[Some(2), Some(1), Some(0)]]);
    }

    #[test]
    fn phases_apart_have_their_own_kernels_and_equal_counts() {
        let window = axis(3, 2, 1, 1);
        let phases = Axis { window: &window, axis: 1, input: 5, output: 10 }.apart().unwrap();
        let kernels: Vec<_> = phases.iter().map(|p| (p.kernel, p.pad, p.count)).collect();
        assert_eq!(kernels, [(1, [0, 0], 5), (2, [0, 1], 5)]);
    }

    #[test]
    fn absurd_kernels_are_left_alone() {
        let window = axis(3, 2, 1_000_000_001, 0);
        assert_eq!(Axis { window: &window, axis: 1, input: 5, output: 10 }.together(), None);
    }
}
