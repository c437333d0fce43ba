//! Tile choice: every candidate is enumerated, checked against the free scratchpad, and judged by cycles, then DRAM bytes.

use isa::hardware::Hardware;

/// Which loop runs outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Pixel tiles outside: each input tile is loaded once.
    PixelsOuter,
    /// Output channels outside: each weight is loaded once.
    ChannelsOuter,
}

/// How a step is cut, and how many buffers each operand has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Output rows of a tile.
    pub th: usize,
    /// Output columns of a tile.
    pub tw: usize,
    /// Channel blocks of a tile: of the reduction for an array convolution, of the result otherwise.
    pub blocks: usize,
    /// Loop order.
    pub order: Order,
    /// Working buffers.
    pub buffers: Vec<Buffer>,
}

/// What a working buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Tiles of operand `i`.
    Input(usize),
    /// Weights.
    Weights,
    /// Result tiles on their way to DRAM.
    Output,
}

/// A working buffer: `slots` pieces of `rows` scratchpad rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    /// What it holds.
    pub role: Role,
    /// Rows of one slot.
    pub rows: usize,
    /// Slots.
    pub slots: usize,
    /// First row of each slot; filled in by placement.
    pub at: Vec<usize>,
}

impl Buffer {
    /// A buffer not yet placed.
    pub(crate) fn new(role: Role, rows: usize, slots: usize) -> Buffer {
        Buffer { role, rows, slots, at: Vec::new() }
    }
}

/// Estimated cost of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Cycles of the array.
    pub mxu: u64,
    /// Cycles of the vector engine.
    pub vpu: u64,
    /// DRAM bytes, both ways.
    pub bytes: u64,
    /// DRAM transfers that an engine waits for because there is no second buffer, with their bytes.
    pub exposed: u64,
    /// Bytes of those transfers.
    pub exposed_bytes: u64,
    /// Tiles, for the fixed costs of each.
    pub tiles: u64,
}

impl Cost {
    /// Cycles: the slowest engine, plus what double buffering does not hide.
    pub(crate) fn cycles(&self, hw: &Hardware) -> u64 {
        let rate = u64::from(hw.dram_bytes_per_cycle);
        let latency = u64::from(hw.dram_latency_cycles);
        let fixed = u64::from(hw.vpu_pipeline_cycles) * self.tiles;
        let slowest = self.mxu.max(self.vpu + fixed).max(self.bytes / rate);
        slowest + self.exposed * latency + self.exposed_bytes / rate
    }

    /// Order of preference, smaller first.
    pub(crate) fn rank(&self, hw: &Hardware) -> (u64, u64, u64) {
        (self.cycles(hw), self.bytes, self.tiles)
    }
}

/// A candidate with its cost.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The cut.
    pub tiling: Tiling,
    /// What it costs.
    pub cost: Cost,
}

/// Slot counts worth trying for an operand that is loaded `units` times in all: everything resident, double, single.
pub(crate) fn slot_choices(units: usize) -> Vec<usize> {
    let mut out = vec![units.max(1), 2, 1];
    out.retain(|&n| n <= units.max(1));
    out.dedup();
    out
}
