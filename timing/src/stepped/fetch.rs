//! Instruction fetch of one engine (T32, T33): bursts of code come from DRAM into a small prefetch buffer.
//!
//! Only the number of words matters for time, so the buffer is a count; which words they are follows from program order.

use std::collections::VecDeque;
use std::iter::Peekable;

use isa::Hardware;

use crate::bursts::{Burst, Bursts, Transfer};

/// A burst of code under way.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// Cycle in which its words are in the buffer.
    cycle: u64,
    words: u32,
}

/// Prefetch buffer of one engine and the bursts on their way to it.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// Words the buffer holds.
    capacity: u32,
    latency: u64,
    /// Bursts of code not yet granted.
    bursts: Peekable<Bursts>,
    /// Words granted and not arrived: the sum over `under_way`.
    requested: u32,
    /// Words in the buffer.
    buffered: u32,
    /// Bursts granted and not arrived, oldest first.
    under_way: VecDeque<Arrival>,
}

impl Fetch {
    /// An empty buffer in front of an engine's code, a transfer that counts words.
    pub(super) fn new(hardware: &Hardware, code: &Transfer) -> Fetch {
        Fetch {
            capacity: hardware.fetch_words,
            latency: hardware.dram_latency_cycles.into(),
            bursts: code.bursts(hardware.dram_burst_bytes).peekable(),
            requested: 0,
            buffered: 0,
            under_way: VecDeque::with_capacity(hardware.fetch_words as usize),
        }
    }

    /// Phase 1: words that arrive at `t` enter the buffer (T33).
    pub(super) fn arrive(&mut self, t: u64) {
        while let Some(arrival) = self.under_way.pop_front_if(|arrival| arrival.cycle <= t) {
            self.requested -= arrival.words;
            self.buffered += arrival.words;
        }
    }

    /// Whether the next word is in the buffer (T4a).
    pub(super) fn has_word(&self) -> bool {
        self.buffered > 0
    }

    /// Phase 2: the next word leaves the buffer (T33).
    pub(super) fn take_word(&mut self) {
        self.buffered -= 1;
    }

    /// Phase 3: whether a burst is wanted and has room (T33).
    pub(super) fn is_eligible(&mut self) -> bool {
        let filled = self.buffered + self.requested;
        self.bursts.peek().is_some_and(|next| filled + next.rows <= self.capacity)
    }

    /// Phase 3: the next burst is granted at `t`. Returns it, and the cycle its words arrive in.
    pub(super) fn grant(&mut self, t: u64) -> (Burst, u64) {
        let burst = self.bursts.next().expect("only an eligible engine is granted a burst");
        let cycle = t + self.latency + 1;
        self.requested += burst.rows;
        self.under_way.push_back(Arrival { cycle, words: burst.rows });
        (burst, cycle)
    }
}
