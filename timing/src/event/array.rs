//! The systolic array in time (T10 to T14): when the folds of the latest instruction stream.

use std::ops::Range;

use isa::Hardware;

use crate::cost::ConvCost;

/// Streams of the latest `mxu.conv` and the end of the one before it. Older ones cannot stream any more: an instruction issues
/// only in or after the last fold of the previous one.
#[derive(Clone, Debug)]
pub(super) struct Array {
    /// Cycles from the end of the last stream until the last row has crossed the array.
    crossing_cycles: u64,
    /// End of the stream of the previous instruction.
    previous_end: u64,
    /// From the start of the first fold's stream to the end of the last one's.
    folds: Range<u64>,
    /// Start of the last fold's stream.
    last_start: u64,
    stream_cycles: u64,
    period_cycles: u64,
}

impl Array {
    /// An idle array.
    pub(super) fn new(hw: &Hardware) -> Array {
        Array {
            crossing_cycles: u64::from(hw.array_rows) + u64::from(hw.array_cols) - 1,
            previous_end: 0,
            folds: 0..0,
            last_start: 0,
            stream_cycles: 0,
            period_cycles: 1,
        }
    }

    /// First cycle in which the engine can take its next instruction (T5).
    pub(super) fn free_from(&self) -> u64 {
        self.last_start
    }

    /// An `mxu.conv` issues; returns its own end.
    pub(super) fn issue(&mut self, cycle: u64, cost: &ConvCost) -> u64 {
        let weights = cycle.max(self.last_start);
        let start = (weights + cost.shift_cycles).max(self.folds.end);
        self.previous_end = self.folds.end;
        self.last_start = start + cost.last_fold_offset();
        self.folds = start..self.last_start + cost.stream_cycles;
        self.stream_cycles = cost.stream_cycles;
        self.period_cycles = cost.period_cycles;
        self.folds.end + self.crossing_cycles
    }

    /// End of the stream of the instruction before the latest.
    pub(super) fn previous_end(&self) -> u64 {
        self.previous_end
    }

    /// From the start of the first to the end of the last fold's stream of the latest instruction.
    pub(super) fn folds(&self) -> Range<u64> {
        self.folds.clone()
    }

    /// Cycles of `cycles`, which lie in [`folds`](Self::folds), in which a fold streams.
    pub(super) fn streaming_cycles(&self, cycles: &Range<u64>) -> u64 {
        let before = |cycle: u64| {
            let offset = cycle - self.folds.start;
            offset / self.period_cycles * self.stream_cycles
                + (offset % self.period_cycles).min(self.stream_cycles)
        };
        before(cycles.end) - before(cycles.start)
    }

    /// `cycles`, which lie in [`folds`](Self::folds), cut where streams begin and end; `true` for those in which a fold streams.
    pub(super) fn fold_pieces(
        &self,
        cycles: Range<u64>,
    ) -> impl Iterator<Item = (bool, Range<u64>)> + use<> {
        let (first, stream, period) = (self.folds.start, self.stream_cycles, self.period_cycles);
        let mut from = cycles.start;
        std::iter::from_fn(move || {
            let offset = (from - first) % period;
            let streams = offset < stream;
            // Streams without a gap are one piece.
            let length = match (streams, stream == period) {
                (_, true) => cycles.end - from,
                (true, false) => stream - offset,
                (false, false) => period - offset,
            };
            let piece = from..(from + length).min(cycles.end);
            from = piece.end;
            (!piece.is_empty()).then_some((streams, piece))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weights_shift_in_behind_the_previous_stream() {
        let mut array =
            Array::new(&Hardware { array_rows: 8, array_cols: 4, ..Hardware::default() });
        // Three folds of 10 cycles, 4 columns: weights 5..9, streams 9..19, 19..29, 29..39, crossing 8 + 4 - 1.
        let end = array.issue(5, &ConvCost::new(3, 10, 4, false));
        assert_eq!((array.folds(), array.free_from(), end), (9..39, 29, 39 + 11));
        // Issued in the last fold: weights are in at 34, the array is free at 39. Period max(2, 3).
        let end = array.issue(31, &ConvCost::new(2, 2, 3, false));
        assert_eq!(
            (array.previous_end(), array.folds(), array.free_from(), end),
            (39, 39..44, 42, 44 + 11)
        );
        // Issued too late: the weights are the bottleneck.
        array.issue(43, &ConvCost::new(1, 2, 4, false));
        assert_eq!(array.folds(), 47..49);
    }

    proptest! {
        #[test]
        fn streaming_cycles_are_those_of_the_folds(
            folds in 1u64..6, stream in 1u64..9, cols in 1u64..9, shared: bool, cut in (0u64..90, 0u64..90),
        ) {
            let mut array = Array::new(&Hardware::default());
            let cost = ConvCost::new(folds, stream, cols, shared);
            array.issue(3, &cost);
            let all = array.folds();
            let (a, b) = (all.start + cut.0 % (all.end - all.start + 1), all.start + cut.1 % (all.end - all.start + 1));
            let cycles = a.min(b)..a.max(b);
            let streams = |t: u64| (0..folds).any(|k| {
                let start = all.start + k * cost.period_cycles;
                (start..start + stream).contains(&t)
            });
            let expected = cycles.clone().filter(|&t| streams(t)).count() as u64;
            prop_assert_eq!(array.streaming_cycles(&cycles), expected);
            let mut from = cycles.start;
            for (busy, piece) in array.fold_pieces(cycles.clone()) {
                prop_assert_eq!(piece.start, from);
                prop_assert!(piece.clone().all(|t| streams(t) == busy));
                from = piece.end;
            }
            prop_assert_eq!(from, cycles.end);
        }
    }
}
