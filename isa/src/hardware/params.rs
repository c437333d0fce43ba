//! The list of hardware parameters. A new one is one entry here.
//!
//! Energy defaults are from M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014,
//! figure 1.1.9 (45 nm, 0.9 V): 8-bit add 0.03 pJ, 32-bit add 0.1 pJ, 8-bit multiply 0.2 pJ, 32-bit multiply 3.1 pJ,
//! 64 bits from a cache of 8 KB 10 pJ, of 32 KB 20 pJ, of 1 MB 100 pJ, from DRAM 1.3 to 2.6 nJ. They rank designs;
//! they do not predict a chip.

use serde::{Deserialize, Serialize};

use super::HardwareError;
use crate::numerics::Rounding;

/// What is known of one integer parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Key in TOML files and in `--set`.
    pub name: &'static str,
    /// Unit, for people.
    pub unit: &'static str,
    /// Doc comment, one or more lines, as written.
    pub doc: &'static str,
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
    /// Value of the preset `edge16`.
    pub default: u32,
    /// Whether only powers of two are accepted.
    pub pow2: bool,
    /// Whether it changes cycles or energy only, never a value or the meaning of a program.
    pub timing_only: bool,
}

impl ParamInfo {
    const fn plain(
        name: &'static str,
        unit: &'static str,
        doc: &'static str,
        min: u32,
        max: u32,
        default: u32,
    ) -> Self {
        ParamInfo { name, unit, doc, min, max, default, pow2: false, timing_only: false }
    }
}

hw_params! {
    /// Rows of processing elements: the reduction (K) extent of one weight tile, and the bytes of a scratchpad row.
    array_rows = 16, 1..=256 pow2, "PEs";
    /// Columns of processing elements: output channels of one weight tile.
    array_cols = 16, 1..=256 pow2, "PEs";
    /// Scratchpad capacity.
    scratchpad_kib = 384, 1..=65536, "KiB";
    /// Scratchpad banks; each has one read and one write port of one row per cycle.
    scratchpad_banks = 16, 1..=64, "banks";
    /// Accumulator rows of `array_cols` words in each of the two banks (row counts have 11 bits).
    acc_rows = 256, 8..=2047, "rows per bank";
    /// Width of an accumulator, two's complement. 32 suits 8-bit activations, 48 suits 16-bit ones.
    acc_bits = 32, 16..=48, "bits";
    /// Significant bits of the requantization multiplier. 24 reproduces ONNX Runtime; 1 is a machine that only shifts.
    multiplier_bits = 24, 1..=31, "bits";
    /// Significant bits of the larger multiplier of an addition; 1 means powers of two up to 2^15.
    add_multiplier_bits = 24, 1..=31, "bits";
    /// Lanes of the vector unit: elements it takes per cycle.
    vector_lanes = 16, 1..=256 pow2, "lanes";
    /// Multipliers per vector lane: taps of a depthwise or pooling window taken per cycle.
    depthwise_taps = 9, 1..=64, "MACs per lane";
    /// Columns of the vector unit's line buffer; a depthwise or pooling tile with a wider input reads every tap anew.
    line_cols = 256, 1..=4096, "columns";
    /// Per-channel parameter entries in each of the vector unit's two slots.
    param_entries = 512, 16..=2048, "entries per slot";
    /// DRAM bandwidth, reads and writes together.
    dram_bytes_per_cycle = 12, 1..=4096 timing_only, "bytes/cycle";
    /// Cycles from a DRAM request to its first byte.
    dram_latency_cycles = 100, 0..=100000 timing_only, "cycles";
    /// DRAM transfer granule; traffic counts whole bursts.
    dram_burst_bytes = 64, 16..=4096 pow2, "bytes";
    /// DRAM bursts that one engine may have under way.
    dram_outstanding = 32, 1..=1024 timing_only, "bursts per engine";
    /// Cycles lost when the DRAM bus turns from reading to writing or back.
    dram_turnaround_cycles = 4, 0..=1000 timing_only, "cycles";
    /// Instruction words each engine fetches ahead; at least two bursts of them.
    fetch_words = 32, 8..=4096 timing_only, "words per engine";
    /// Cycles from the last element entering the vector unit to its result being written.
    vpu_pipeline_cycles = 8, 0..=256 timing_only, "cycles";
    /// Cycles of one softmax division, independent of its operands.
    softmax_divide_cycles = 32, 1..=1024 timing_only, "cycles";
    /// Clock frequency, for times and bandwidths in reports.
    clock_mhz = 1000, 1..=10000 timing_only, "MHz";
    /// Energy of an 8x8-bit multiply-accumulate: 8-bit multiply 0.2 pJ and 32-bit add 0.1 pJ.
    energy_mac8_fj = 300, 0..=1000000 timing_only, "fJ";
    /// Energy of an 8x4-bit multiply-accumulate: half an 8-bit multiply (0.1 pJ), and half of the one 8-bit (0.03 pJ)
    /// and the one 32-bit add (0.1 pJ) that two of them share.
    energy_mac4_fj = 165, 0..=1000000 timing_only, "fJ";
    /// Energy of one vector-unit operation on one element: 32-bit multiply 3.1 pJ and 32-bit add 0.1 pJ.
    energy_vector_op_fj = 3200, 0..=1000000 timing_only, "fJ";
    /// Energy of a byte read from or written to the scratchpad: a bank is near the 32 KB cache, 20 pJ for 8 bytes.
    energy_scratchpad_byte_fj = 2500, 0..=1000000 timing_only, "fJ/byte";
    /// Energy of reading or writing one 32-bit accumulator word: half an access of the 8 KB cache, 10 pJ for 64 bits.
    energy_acc_access_fj = 5000, 0..=1000000 timing_only, "fJ/word";
    /// Energy of a byte moved to or from DRAM: the lower end, 1.3 nJ for 8 bytes.
    energy_dram_byte_fj = 162500, 0..=10000000 timing_only, "fJ/byte";
}
