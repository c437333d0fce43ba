//! The systolic array: when the folds of an `mxu.conv` stream (T10 to T14), and what the array does in a cycle (T42).
//!
//! The weights of an instruction shift in while the last fold of the one before it still streams, so two instructions can
//! be under way.

use std::collections::VecDeque;

use isa::Hardware;

use crate::bucket::Bucket;
use crate::cost::ConvCost;

/// An `mxu.conv` under way.
#[derive(Clone, Copy, Debug)]
struct Conv {
    cost: ConvCost,
    /// First fold streams from here (`S_1`).
    first: u64,
    /// The last fold's stream ends (`E`).
    end: u64,
}

impl Conv {
    /// Whether one of its folds streams at `t` (T12).
    fn streams_at(&self, t: u64) -> bool {
        (self.first..self.end).contains(&t)
            && (t - self.first) % self.cost.period_cycles < self.cost.stream_cycles
    }
}

/// The array.
#[derive(Clone, Debug)]
pub(super) struct Array {
    /// Cycles from the end of the last stream to the last result, `R + C - 1` (T14).
    crossing: u64,
    /// Convolutions issued and not complete, oldest first.
    under_way: VecDeque<Conv>,
    /// `S_last` of the convolution that issued last.
    last_start: u64,
    /// `E` of the convolution that issued last.
    last_end: u64,
}

impl Array {
    /// An array with nothing in it.
    pub(super) fn new(hardware: &Hardware) -> Array {
        let crossing = u64::from(hardware.array_rows) + u64::from(hardware.array_cols) - 1;
        Array { crossing, under_way: VecDeque::new(), last_start: 0, last_end: 0 }
    }

    /// Whether the last convolution has come to its last fold (T5).
    pub(super) fn takes_instruction(&self, t: u64) -> bool {
        t >= self.last_start
    }

    /// Phase 2: a convolution issues at `t`. Returns its own end (T14).
    pub(super) fn issue(&mut self, t: u64, cost: ConvCost) -> u64 {
        let weights = t.max(self.last_start); // T11
        let first = (weights + cost.shift_cycles).max(self.last_end); // T12
        let last = first + (cost.folds - 1) * cost.period_cycles; // T13
        let end = last + cost.stream_cycles;
        self.under_way.push_back(Conv { cost, first, end });
        (self.last_start, self.last_end) = (last, end);
        end + self.crossing
    }

    /// Phase 1: the oldest convolution completes.
    pub(super) fn complete(&mut self) {
        self.under_way.pop_front();
    }

    /// Phase 4: the bucket of the engine at `t`, given that it runs (T42).
    pub(super) fn bucket(&self, t: u64) -> Bucket {
        if self.under_way.iter().any(|conv| conv.streams_at(t)) {
            return Bucket::Busy;
        }
        match self.under_way.back() {
            Some(newest) if t < newest.first && self.under_way.len() > 1 => Bucket::WaitWeights,
            Some(newest) if t < newest.first => Bucket::WaitFill,
            Some(newest) if t < newest.end => Bucket::WaitWeights,
            Some(_) => Bucket::WaitDrain,
            None => Bucket::Busy,
        }
    }
}
