//! Instruction fetch of one engine (T32, T33).

use std::collections::VecDeque;

use isa::Hardware;

use crate::bursts::{Burst, Bursts, Transfer};
use crate::result::TrafficClass;

/// Prefetch buffer of one engine. Words leave it in order, so the word of instruction `i` is in it from the arrival of the first
/// `i + 1` words until the instruction issues.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    capacity: u32,
    latency: u64,
    bursts: Bursts,
    /// Next burst to request.
    wanted: Option<Burst>,
    /// Words requested so far.
    requested: u32,
    /// Words that have arrived so far, as of the last look.
    arrived: u32,
    /// Bursts on their way: arrival and words.
    under_way: VecDeque<(u64, u32)>,
}

impl Fetch {
    /// An empty buffer in front of `code`.
    pub(super) fn new(hw: &Hardware, code: Transfer) -> Fetch {
        let mut bursts = code.bursts(hw.dram_burst_bytes);
        Fetch {
            capacity: hw.fetch_words,
            latency: hw.dram_latency_cycles.into(),
            wanted: bursts.next(),
            bursts,
            requested: 0,
            arrived: 0,
            under_way: VecDeque::new(),
        }
    }

    /// Whether a burst remains and its words have room, `issued` words having left the buffer.
    pub(super) fn has_room(&self, issued: u32) -> bool {
        self.wanted.is_some_and(|burst| self.requested - issued + burst.rows <= self.capacity)
    }

    /// Whether the word of instruction `index`, the next to issue, is in the buffer at `cycle`.
    pub(super) fn has_word(&mut self, index: u32, cycle: u64) -> bool {
        while let Some((_, words)) = self.under_way.pop_front_if(|(arrival, _)| *arrival <= cycle) {
            self.arrived += words;
        }
        index < self.arrived
    }

    /// When the next words arrive, as of the last look; `u64::MAX` if none are under way.
    pub(super) fn next_arrival(&self) -> u64 {
        self.under_way.front().map_or(u64::MAX, |&(arrival, _)| arrival)
    }

    /// Grants the next burst at `cycle`; returns what for and how many bytes of it are code.
    pub(super) fn grant(&mut self, cycle: u64) -> (TrafficClass, u32) {
        let burst = self.wanted.take().expect("only a fetch with room is eligible");
        self.wanted = self.bursts.next();
        self.requested += burst.rows;
        self.under_way.push_back((cycle + self.latency + 1, burst.rows));
        (TrafficClass::Instructions, burst.useful_bytes)
    }
}
