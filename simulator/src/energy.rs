//! Energy of a run: an estimate, the sum of its operations times a price for each.
//!
//! Prices are the `energy_*` parameters of the machine, in femtojoules; the arithmetic is on integers, so that equal programs
//! have equal energies to the last digit. What is counted: multiply-accumulates of the array by weight width, taps of the vector
//! lanes (as 8-bit multiply-accumulates, which is generous to pooling), vector operations, accumulator words, scratchpad bytes,
//! DRAM bytes in whole bursts. What is not: control, instruction decoding, parameter and table slots, clock tree, leakage. Such an
//! estimate ranks programs and machines; it does not predict a chip.

use isa::Hardware;
use timing::Traffic;

use crate::work::Work;

/// Where the default prices are from.
pub const SOURCE: &str = "estimate: operation counts x energy_* parameters; defaults after M. Horowitz, \
                          \"Computing's energy problem\", ISSCC 2014 (45 nm); no control, clock or leakage";

/// Width that `energy_acc_access_fj` is given for.
const PRICED_ACC_BITS: u128 = 32;

/// Energy by part, in femtojoules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Energy {
    /// Multiply-accumulates of the systolic array.
    pub array_fj: u128,
    /// Taps and operations of the vector lanes.
    pub vector_fj: u128,
    /// Accumulator words read and written.
    pub accumulator_fj: u128,
    /// Scratchpad bytes read and written.
    pub scratchpad_fj: u128,
    /// DRAM bytes read and written.
    pub dram_fj: u128,
}

impl Energy {
    /// Energy of the work of a program and of its DRAM traffic, instruction fetch included.
    #[must_use]
    pub fn of(work: &Work, dram: Traffic, hardware: &Hardware) -> Energy {
        let price = |count: u64, fj: u32| u128::from(count) * u128::from(fj);
        let scratchpad = &work.scratchpad;
        let acc_words = price(work.acc_words, hardware.energy_acc_access_fj);
        Energy {
            array_fj: price(work.mac8, hardware.energy_mac8_fj)
                + price(work.mac4, hardware.energy_mac4_fj),
            vector_fj: price(work.lane_taps, hardware.energy_mac8_fj)
                + price(work.vector_ops, hardware.energy_vector_op_fj),
            accumulator_fj: acc_words * u128::from(hardware.acc_bits) / PRICED_ACC_BITS,
            scratchpad_fj: price(scratchpad.read_bytes(), hardware.energy_scratchpad_byte_fj)
                + price(scratchpad.write_bytes(), hardware.energy_scratchpad_byte_fj),
            dram_fj: price(dram.read_bytes, hardware.energy_dram_byte_fj)
                + price(dram.write_bytes, hardware.energy_dram_byte_fj),
        }
    }

    /// All parts together.
    #[must_use]
    pub fn total_fj(&self) -> u128 {
        self.array_fj + self.vector_fj + self.accumulator_fj + self.scratchpad_fj + self.dram_fj
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::ScratchpadBytes;

    #[test]
    fn each_part_is_count_times_price() {
        let hardware = Hardware {
            energy_mac8_fj: 2,
            energy_mac4_fj: 3,
            energy_vector_op_fj: 5,
            energy_scratchpad_byte_fj: 7,
            energy_acc_access_fj: 11,
            energy_dram_byte_fj: 13,
            acc_bits: 48,
            ..Hardware::default()
        };
        let work = Work {
            mac8: 100,
            mac4: 10,
            lane_taps: 1000,
            vector_ops: 1,
            acc_words: 6,
            scratchpad: ScratchpadBytes {
                load: 4,
                vpu_a: 2,
                store: 1,
                ..ScratchpadBytes::default()
            },
            ..Work::default()
        };
        let dram = Traffic { read_bytes: 3, write_bytes: 2, useful_bytes: 1 };
        let energy = Energy::of(&work, dram, &hardware);
        let expected = Energy {
            array_fj: 230,
            vector_fj: 2005,
            accumulator_fj: 99,
            scratchpad_fj: 49,
            dram_fj: 65,
        };
        assert_eq!(energy, expected);
        assert_eq!(energy.total_fj(), 230 + 2005 + 99 + 49 + 65);
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        let scratchpad =
            ScratchpadBytes { load: u64::MAX, store: u64::MAX, ..ScratchpadBytes::default() };
        let work = Work { mac8: u64::MAX, acc_words: u64::MAX, scratchpad, ..Work::default() };
        let dram = Traffic { read_bytes: u64::MAX, write_bytes: u64::MAX, useful_bytes: 0 };
        let hardware = Hardware {
            energy_acc_access_fj: 1_000_000,
            energy_dram_byte_fj: 10_000_000,
            ..Hardware::default()
        };
        assert!(Energy::of(&work, dram, &hardware).total_fj() > u128::from(u64::MAX));
    }
}
