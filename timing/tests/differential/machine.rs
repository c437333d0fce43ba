//! Random small machines: few rows, narrow buses and buffers, so that everything is scarce in some machine.

use isa::Hardware;

use crate::rng::Rng;

/// A machine that a short program can bring to all of its limits.
pub(crate) fn machine(rng: &mut Rng) -> Hardware {
    let mut hw = Hardware::default();
    hw.array_rows = rng.pick(&[1, 2, 4, 8, 16, 16, 64]);
    hw.array_cols = rng.pick(&[1, 2, 4, 8, 16]);
    hw.scratchpad_banks = rng.within(1..=8);
    hw.scratchpad_kib = hw.scratchpad_banks * rng.within(1..=2);
    hw.acc_rows = rng.within(8..=64);
    hw.vector_lanes = rng.pick(&[1, 2, 4, 8, 16]);
    hw.depthwise_taps = rng.within(1..=9);
    hw.line_cols = rng.within(1..=12);
    hw.param_entries = rng.within(16..=200);
    hw.acc_bits = rng.pick(&[32, 48]);
    hw.dram_burst_bytes = rng.pick(&[16, 16, 32, 64, 128]);
    let burst = hw.dram_burst_bytes;
    hw.dram_bytes_per_cycle = match rng.below(4) {
        0 => rng.within(1..=8),
        1 => rng.within(burst..=4 * burst),
        2 => burst,
        _ => rng.within(1..=2 * burst),
    };
    hw.dram_latency_cycles = rng.pick(&[0, 0, 1, 3, 10, 40]);
    hw.dram_outstanding = rng.pick(&[1, 1, 2, 3, 8]);
    hw.dram_turnaround_cycles = rng.pick(&[0, 0, 1, 2, 5, 20]);
    hw.fetch_words = (2 * burst / 16).max(8) + rng.pick(&[0, 0, 1, 3, 20, 300]);
    hw.vpu_pipeline_cycles = rng.pick(&[0, 1, 8]);
    hw.softmax_divide_cycles = rng.within(1..=8);
    hw.validate().expect("the ranges above are legal");
    hw
}
