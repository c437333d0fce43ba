//! Lower bounds: cycles and DRAM bytes that no schedule of the same network on the same machine can go below.
//!
//! **Compute.** Every multiply-accumulate runs on some multiplier. Those of convolutions and matrix products can only run on
//! the systolic array (the vector lanes have no sum across channels), so they take at least
//! `array MACs / array peak` cycles. All of them together cannot be faster than all multipliers at once,
//! `all MACs / (array peak + lane peak)`. The larger of the two holds for every order, tiling and overlap, because it uses nothing but
//! the number of multipliers. A processing element does two MACs a cycle with weights of at most 4 bits and half a MAC with 16-bit
//! activations; MACs are weighted accordingly. MACs are those of the network as its operators define them, taps in the
//! padding included, which the array streams like any other.
//!
//! **DRAM.** A cold scratchpad holds nothing, so every constant and every input byte the program uses is read at least once, and
//! every output byte is written at least once. Instruction words, spills, repeated reads and partly used bursts
//! only add to this. Cycles follow from the bandwidth, which the credit rule (T22 of `docs/timing.md`) never exceeds.
//!
//! Both run side by side at best, so the bound of the whole is the larger of the two.

use isa::access::Stream;
use isa::hardware::{activation_passes, k_rows_per_pe};
use isa::layout;
use isa::program::{Class, IoBinding, NodeInfo, Unit};
use isa::{Hardware, Program};

use crate::report::ReportError;
use crate::work;

/// Lower bounds of one program on its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LowerBounds {
    /// Cycles that the multipliers need.
    pub compute_cycles: u64,
    /// Cycles that the DRAM bus needs.
    pub dram_cycles: u64,
    /// What must cross the DRAM bus.
    pub footprint: Footprint,
}

impl LowerBounds {
    /// Computes both bounds for a run on `hardware`, which may differ from the program's own in timing-only parameters.
    ///
    /// # Errors
    /// [`ReportError::Illegal`] for a word that the machine cannot execute.
    pub fn of(program: &Program, hardware: &Hardware) -> Result<LowerBounds, ReportError> {
        let footprint = Footprint::of(program)?;
        let bandwidth = u64::from(hardware.dram_bytes_per_cycle.max(1));
        Ok(LowerBounds {
            compute_cycles: compute_cycles(&program.nodes, hardware),
            dram_cycles: footprint.total_bytes().div_ceil(bandwidth),
            footprint,
        })
    }

    /// Cycles that the whole needs.
    #[must_use]
    pub fn total_cycles(&self) -> u64 {
        self.compute_cycles.max(self.dram_cycles)
    }
}

/// Multiply-accumulates of a node in quarters of an array cycle of one processing element: 2 with weights of at most 4
/// bits, 4 with wider ones, twice that with 16-bit activations.
#[must_use]
pub fn pe_quarter_cycles(node: &NodeInfo) -> u128 {
    u128::from(node.macs) * u128::from(quarters_per_mac(node))
}

fn quarters_per_mac(node: &NodeInfo) -> u32 {
    // No weights: a product of two activations, which holds one of them as 8-bit weights.
    let weight_bits = if node.weight_bits == 0 { 8 } else { node.weight_bits };
    4 * activation_passes(node.act_bits) / k_rows_per_pe(weight_bits)
}

/// Quarter cycles that the processing elements of a machine have to offer in one cycle.
#[must_use]
pub fn array_quarters_per_cycle(hardware: &Hardware) -> u128 {
    4 * u128::from(hardware.array_rows) * u128::from(hardware.array_cols)
}

/// Multiply-accumulates per cycle of all vector lanes, at any width (rule T17).
#[must_use]
pub fn lane_macs_per_cycle(hardware: &Hardware) -> u128 {
    u128::from(hardware.vector_lanes) * u128::from(hardware.depthwise_taps)
}

/// The compute bound of a network.
#[must_use]
pub fn compute_cycles(nodes: &[NodeInfo], hardware: &Hardware) -> u64 {
    let array_rate = array_quarters_per_cycle(hardware);
    let on = |unit: Unit| nodes.iter().filter(move |node| node.unit == unit);
    let array: u128 = on(Unit::Array).map(pe_quarter_cycles).sum();
    let array_only = array.div_ceil(array_rate.max(1));
    // In T cycles the lanes do at most lane_rate * T MACs of vector nodes, and the array, busy with its own `array` quarters,
    // at most (array_rate * T - array) / cheapest more. Together they must do all of them.
    let vector: u128 = on(Unit::Vector).map(|node| u128::from(node.macs)).sum();
    let cheapest = on(Unit::Vector).filter(|node| node.macs > 0).map(quarters_per_mac).min();
    let shared = cheapest.map_or(0, |quarters| {
        let quarters = u128::from(quarters);
        let rate = lane_macs_per_cycle(hardware) * quarters + array_rate;
        (vector * quarters + array).div_ceil(rate.max(1))
    });
    u64::try_from(array_only.max(shared)).unwrap_or(u64::MAX)
}

/// Distinct DRAM bytes that a program cannot do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Constants that are loaded as weights.
    pub weights_bytes: u64,
    /// Other constants that are loaded: parameters and tables.
    pub params_bytes: u64,
    /// Bytes of the network's inputs that are loaded.
    pub inputs_bytes: u64,
    /// Bytes of the network's outputs.
    pub outputs_bytes: u64,
}

impl Footprint {
    /// Collects what the transfers of a program touch.
    ///
    /// # Errors
    /// [`ReportError::Illegal`] for a word that the machine cannot execute.
    pub fn of(program: &Program) -> Result<Footprint, ReportError> {
        let constants = program.constants_base
            ..program.constants_base.saturating_add(program.constants.len() as u64);
        let inputs: Vec<_> = bindings(program, &program.inputs).collect();
        let (mut weights, mut params, mut read_inputs) =
            (Cover::default(), Cover::default(), Cover::default());
        work::for_each(program, |step| {
            if let Some(access) = step.accesses.iter().find(|a| a.stream == Stream::LoadRead) {
                for run in work::intervals(&access.rows) {
                    let run = run.start.max(0).unsigned_abs()..run.end.max(0).unsigned_abs();
                    let class =
                        if step.note.class == Class::Weights { &mut weights } else { &mut params };
                    class.add(&run, &constants);
                    for input in &inputs {
                        read_inputs.add(&run, input);
                    }
                }
            }
        })?;
        let mut outputs = Cover::default();
        for output in bindings(program, &program.outputs) {
            outputs.add(&output, &output);
        }
        let weights_bytes = weights.bytes();
        // A byte loaded as both is read once at least.
        weights.runs.append(&mut params.runs);
        Ok(Footprint {
            weights_bytes,
            params_bytes: weights.bytes() - weights_bytes,
            inputs_bytes: read_inputs.bytes(),
            outputs_bytes: outputs.bytes(),
        })
    }

    /// All of them.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let constants = self.weights_bytes.saturating_add(self.params_bytes);
        constants.saturating_add(self.inputs_bytes).saturating_add(self.outputs_bytes)
    }
}

type Bytes = std::ops::Range<u64>;

/// DRAM ranges of inputs or outputs.
fn bindings(program: &Program, bindings: &[IoBinding]) -> impl Iterator<Item = Bytes> {
    bindings.iter().filter_map(|binding| {
        let tensor = program.tensors.get(binding.tensor as usize)?;
        let bytes = layout::dram_bytes(tensor.shape, tensor.bits);
        Some(binding.dram..binding.dram.saturating_add(bytes))
    })
}

/// A set of bytes, as runs that may overlap.
#[derive(Default)]
struct Cover {
    runs: Vec<Bytes>,
}

impl Cover {
    /// Adds what `run` and `limits` share.
    fn add(&mut self, run: &Bytes, limits: &Bytes) {
        let (start, end) = (run.start.max(limits.start), run.end.min(limits.end));
        if start >= end {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.runs.push(start..end),
        }
    }

    /// Distinct bytes. Leaves the runs sorted and disjoint.
    fn bytes(&mut self) -> u64 {
        self.runs.sort_unstable_by_key(|run| run.start);
        let mut joined: Vec<Bytes> = Vec::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            match joined.last_mut() {
                Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
                _ => joined.push(run),
            }
        }
        self.runs = joined;
        self.runs.iter().map(|run| run.end - run.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use isa::program::Unit;
    use proptest::prelude::*;
    use timing::Mode;

    use super::*;
    use crate::sample;

    fn cycles(nodes: &[NodeInfo]) -> u64 {
        compute_cycles(nodes, &Hardware::default())
    }

    fn node(unit: Unit, macs: u64, weight_bits: u8, act_bits: u8) -> NodeInfo {
        NodeInfo { weight_bits, act_bits, ..sample::node("n", "Conv", macs, unit) }
    }

    #[test]
    fn the_array_is_the_bound_of_dense_work() {
        // 256 PEs; 4-bit weights double the rate, 16-bit activations halve it.
        assert_eq!(cycles(&[node(Unit::Array, 25_600, 8, 8)]), 100);
        assert_eq!(cycles(&[node(Unit::Array, 25_601, 5, 8)]), 101);
        assert_eq!(cycles(&[node(Unit::Array, 25_600, 4, 8)]), 50);
        assert_eq!(cycles(&[node(Unit::Array, 25_600, 8, 16)]), 200);
        assert_eq!(cycles(&[node(Unit::Array, 25_600, 2, 16)]), 100);
        assert_eq!(cycles(&[node(Unit::Array, 25_600, 0, 8)]), 100);
        assert_eq!(cycles(&[]), 0);
    }

    #[test]
    fn vector_work_is_shared_at_best() {
        // 144 lane MACs beside 256 PEs.
        assert_eq!(cycles(&[node(Unit::Vector, 40_000, 8, 8)]), 100);
        // The array alone needs 100 cycles, in which the lanes do their part.
        assert_eq!(
            cycles(&[node(Unit::Array, 25_600, 8, 8), node(Unit::Vector, 14_400, 8, 8)]),
            100
        );
        assert_eq!(
            cycles(&[node(Unit::Array, 25_600, 8, 8), node(Unit::Vector, 14_800, 8, 8)]),
            101
        );
    }

    #[test]
    fn the_footprint_of_the_sample_is_counted_by_hand() {
        let program = sample::program();
        let footprint = Footprint::of(&program).unwrap();
        let expected = Footprint {
            weights_bytes: 324,
            params_bytes: 96 + 256,
            inputs_bytes: 90,
            outputs_bytes: 360,
        };
        assert_eq!(footprint, expected);
        let slow = Hardware { dram_bytes_per_cycle: 1, ..program.hardware.clone() };
        let bounds = LowerBounds::of(&program, &slow).unwrap();
        assert_eq!((bounds.dram_cycles, bounds.compute_cycles), (1126, 38));
        assert_eq!(bounds.total_cycles(), 1126);
    }

    #[test]
    fn reading_again_adds_nothing() {
        let mut program = sample::program();
        let once = Footprint::of(&program).unwrap();
        let load = &mut program.code[0];
        load.words.insert(4, load.words[3]);
        load.notes.insert(4, load.notes[3]);
        assert_eq!(Footprint::of(&program), Ok(once));
    }

    #[test]
    fn the_sample_takes_longer_than_its_bounds() {
        let program = sample::program();
        for dram_bytes_per_cycle in [1, 7, 64, 4096] {
            let hardware = Hardware { dram_bytes_per_cycle, ..program.hardware.clone() };
            let bounds = LowerBounds::of(&program, &hardware).unwrap();
            let timing =
                timing::run_on(&program, &hardware, Mode::Stepped, &mut timing::NoObserver)
                    .unwrap();
            assert!(timing.total_cycles > bounds.total_cycles());
        }
    }

    proptest! {
        #[test]
        fn covers_count_distinct_bytes(runs in prop::collection::vec((0u64..60, 1u64..9), 0..20)) {
            let limits = 10..50;
            let mut cover = Cover::default();
            let mut bytes = std::collections::BTreeSet::new();
            for (start, len) in runs {
                cover.add(&(start..start + len), &limits);
                bytes.extend((start..start + len).filter(|b| limits.contains(b)));
            }
            prop_assert_eq!(cover.bytes(), bytes.len() as u64);
        }
    }
}
