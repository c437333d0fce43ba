//! Area of a machine on an FPGA: an estimate from a few measured building blocks.
//!
//! Measured with Yosys 0.70 and nextpnr-ecp5 0.11 on a trial array for the Lattice ECP5 (4-input LUTs, 18x18 multiplier blocks):
//!
//! | block | LUT4 | DSP | FF |
//! | --- | --- | --- | --- |
//! | 8x8 array of 8-bit PEs with 32-bit sums, routed, pin wrapper included | 2562 | 64 | 4248 |
//! | requantization lane, multiplier of 15 or 17 bits, barrel shifter | 740 | 2 | - |
//! | requantization lane, multiplier of 31 bits, full-range barrel shifter | 1150 | 4 | - |
//!
//! From these: a PE is a 64th of the array, and so is a tap of a vector lane, which is the same multiplier and adder. A
//! multiplier between the two measured widths is priced as the wider one. Each bit of a wider or narrower sum adds or saves one
//! LUT and one flip-flop per PE (one bit of an adder and of its register). Memories are given as bits, since they
//! become block RAM. Control, address generators, registers of the requantization lanes, softmax divider and DRAM
//! controller were not measured and are left out: the sum is a floor.

use isa::Hardware;

use isa::access::TABLE_BYTES;

/// Where the numbers are from.
pub const SOURCE: &str = "estimate: blocks synthesized for Lattice ECP5 (Yosys 0.70, nextpnr-ecp5 0.11), times their number; \
                          no control, address generators or DRAM controller";

/// PEs of the measured array.
const TRIAL_PES: u64 = 64;
const TRIAL_LUT4: u64 = 2562;
const TRIAL_DSP: u64 = 64;
const TRIAL_FF: u64 = 4248;
/// Width of its sums.
const TRIAL_ACC_BITS: u64 = 32;

/// Widest multiplier measured at the lower price.
const NARROW_MULTIPLIER_BITS: u32 = 17;
const NARROW_REQUANT: Area = Area { lut4: 740, dsp: 2, ff: 0, ram_bits: 0 };
const WIDE_REQUANT: Area = Area { lut4: 1150, dsp: 4, ff: 0, ram_bits: 0 };
/// A machine that only shifts needs the shifter alone.
const SHIFT_REQUANT: Area = Area { lut4: 740, dsp: 0, ff: 0, ram_bits: 0 };

/// Resources of an FPGA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// 4-input lookup tables.
    pub lut4: u64,
    /// 18x18 multiplier blocks.
    pub dsp: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Memory bits: scratchpad, accumulators, parameter and table slots, line buffer, fetch buffers.
    pub ram_bits: u64,
}

impl Area {
    /// Estimates a machine.
    #[must_use]
    pub fn of(hardware: &Hardware) -> Area {
        let array = u64::from(hardware.array_rows) * u64::from(hardware.array_cols);
        let lanes = u64::from(hardware.vector_lanes);
        let macs = array + lanes * u64::from(hardware.depthwise_taps);
        let requant = match hardware.multiplier_bits {
            1 => SHIFT_REQUANT,
            2..=NARROW_MULTIPLIER_BITS => NARROW_REQUANT,
            _ => WIDE_REQUANT,
        };
        Area {
            lut4: multipliers(macs, TRIAL_LUT4, hardware.acc_bits) + lanes * requant.lut4,
            dsp: macs * TRIAL_DSP / TRIAL_PES + lanes * requant.dsp,
            ff: multipliers(macs, TRIAL_FF, hardware.acc_bits) + lanes * requant.ff,
            ram_bits: ram_bits(hardware),
        }
    }
}

/// `count` PEs at `trial` units per [`TRIAL_PES`] of them, one unit more or less per bit of the sum.
fn multipliers(count: u64, trial: u64, acc_bits: u32) -> u64 {
    let measured = (count * trial).div_ceil(TRIAL_PES);
    let bits = u64::from(acc_bits);
    (measured + count * bits).saturating_sub(count * TRIAL_ACC_BITS)
}

fn ram_bits(hardware: &Hardware) -> u64 {
    let wide = |value: u32| u64::from(value);
    let scratchpad = hardware.scratchpad_bytes() * 8;
    let accumulators =
        2 * wide(hardware.acc_rows) * wide(hardware.array_cols) * wide(hardware.acc_bits);
    let params = 2 * wide(hardware.param_entries) * wide(hardware.param_entry_bytes()) * 8;
    let tables = 2 * wide(TABLE_BYTES) * 8;
    // One row of a three-row window comes straight from the scratchpad, the other two are kept.
    let line_buffer = 2 * wide(hardware.line_cols) * wide(hardware.vector_lanes) * 8;
    let fetch = 4 * wide(hardware.fetch_words) * 128;
    scratchpad + accumulators + params + tables + line_buffer + fetch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_array_is_reproduced() {
        let trial = Hardware {
            array_rows: 8,
            array_cols: 8,
            vector_lanes: 1,
            depthwise_taps: 1,
            multiplier_bits: 17,
            ..Hardware::default()
        };
        let area = Area::of(&trial);
        // 64 PEs and one tap, one requantization lane.
        assert_eq!((area.lut4, area.dsp, area.ff), (2562 + 41 + 740, 64 + 1 + 2, 4248 + 67));
    }

    #[test]
    fn wider_multipliers_and_sums_cost_more() {
        let area = |multiplier_bits, acc_bits| {
            Area::of(&Hardware { multiplier_bits, acc_bits, ..Hardware::default() })
        };
        assert_eq!(area(1, 32).dsp, 16 * 16 + 16 * 9);
        assert_eq!(area(17, 32).dsp - area(1, 32).dsp, 32);
        assert_eq!(area(24, 32).dsp - area(1, 32).dsp, 64);
        assert_eq!(area(24, 31).lut4 + 400, area(24, 32).lut4);
        assert_eq!(area(24, 48).ff, area(24, 32).ff + 400 * 16);
    }

    #[test]
    fn every_extreme_machine_has_an_area() {
        for largest in [false, true] {
            let mut hardware = Hardware::default();
            for info in Hardware::PARAMS {
                let value = if largest { info.max } else { info.min };
                hardware.set(info.name, &value.to_string()).unwrap();
            }
            assert!(Area::of(&hardware).lut4 > 0);
        }
    }

    #[test]
    fn memories_are_counted_in_bits() {
        // 384 KiB, 2 x 256 x 16 x 32, 2 x 512 x 64, 2 x 2048 x 8, 2 x 256 x 16 x 8, 4 x 32 x 128.
        let expected = 3_145_728 + 262_144 + 65_536 + 32_768 + 65_536 + 16_384;
        assert_eq!(Area::of(&Hardware::default()).ram_bits, expected);
    }
}
