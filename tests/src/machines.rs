//! Random machines: legal, tiny and awkward.

use isa::Hardware;
use isa::numerics::Rounding;
use rand::{Rng, RngExt};

/// A random machine with an array of 1..=8 by 1..=8 and a scratchpad of a few KiB.
pub fn tiny(rng: &mut impl Rng) -> Hardware {
    loop {
        let hw = Hardware {
            array_rows: 1 << rng.random_range(0..4),
            array_cols: 1 << rng.random_range(0..4),
            scratchpad_kib: rng.random_range(1..7),
            scratchpad_banks: 1 << rng.random_range(0..4),
            acc_rows: rng.random_range(8..80),
            acc_bits: *pick(rng, &[32, 32, 40, 48]),
            multiplier_bits: *pick(rng, &[24, 24, 8, 16, 31]),
            add_multiplier_bits: *pick(rng, &[24, 16, 8]),
            rounding: *pick(
                rng,
                &[
                    Rounding::HalfEven,
                    Rounding::HalfEven,
                    Rounding::HalfUp,
                    Rounding::HalfAway,
                    Rounding::Floor,
                ],
            ),
            vector_lanes: 1 << rng.random_range(0..4),
            depthwise_taps: rng.random_range(1..10),
            line_cols: rng.random_range(4..40),
            param_entries: rng.random_range(16..80),
            dram_bytes_per_cycle: *pick(rng, &[1, 3, 4, 12, 64, 100]),
            dram_latency_cycles: rng.random_range(0..60),
            dram_burst_bytes: *pick(rng, &[16, 32, 64]),
            dram_outstanding: rng.random_range(1..9),
            dram_turnaround_cycles: rng.random_range(0..9),
            fetch_words: rng.random_range(8..40),
            vpu_pipeline_cycles: rng.random_range(0..12),
            softmax_divide_cycles: rng.random_range(0..40),
            ..Hardware::default()
        };
        if hw.validate().is_ok() {
            return hw;
        }
    }
}

/// One of a list.
pub fn pick<'a, T>(rng: &mut impl Rng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}
