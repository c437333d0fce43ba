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

use std::collections::BTreeMap;
use std::ops::Bound;

use isa::access::Space;
use isa::hardware::{activation_passes, k_rows_per_pe};
use isa::program::{Class, IoBinding, NodeInfo, Unit};
use isa::{Engine, Hardware, Program};

use crate::report::ReportError;
use crate::work;

/// Lower bounds of one program on its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LowerBounds {
    /// Cycles that the multipliers need.
    pub compute_cycles: u64,
    /// Cycles that the DRAM bus needs.
    pub dram_cycles: u64,
    /// What must cross the DRAM bus.
    pub footprint: Footprint,
    /// Bounds of each node taken by itself, indexed as [`Program::nodes`].
    pub nodes: Vec<NodeBound>,
}

/// Lower bounds of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeBound {
    /// Cycles of its multiply-accumulates at the peak of the unit that does them.
    pub compute_cycles: u64,
    /// Cycles of its `dram_bytes` at the bandwidth of the bus.
    pub dram_cycles: u64,
    /// Bytes of the footprint that it is the first to load, or that it stores.
    pub dram_bytes: u64,
}

impl LowerBounds {
    /// Computes both bounds for a run on `hardware`, which may differ from the program's own in timing-only parameters.
    ///
    /// # Errors
    /// [`ReportError::Illegal`] for a word that the machine cannot execute.
    pub fn of(program: &Program, hardware: &Hardware) -> Result<LowerBounds, ReportError> {
        let (footprint, shares) = Footprint::with_shares(program)?;
        let bandwidth = u64::from(hardware.dram_bytes_per_cycle.max(1));
        let bound = |(node, dram_bytes): (&NodeInfo, u64)| NodeBound {
            compute_cycles: Peak::of(node, hardware).map_or(0, |peak| peak.cycles()),
            dram_cycles: dram_bytes.div_ceil(bandwidth),
            dram_bytes,
        };
        Ok(LowerBounds {
            compute_cycles: compute_cycles(&program.nodes, hardware),
            dram_cycles: footprint.total_bytes().div_ceil(bandwidth),
            footprint,
            nodes: program.nodes.iter().zip(shares).map(bound).collect(),
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

/// The multiplications of a node and the unit that does them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Engine of the unit.
    pub engine: Engine,
    /// What the node needs, in parts of a cycle of one multiplier.
    pub needed: u128,
    /// What all multipliers of the unit do of it in one cycle.
    pub rate: u128,
}

impl Peak {
    /// `None` for a node on no unit that multiplies.
    #[must_use]
    pub fn of(node: &NodeInfo, hardware: &Hardware) -> Option<Peak> {
        let (engine, needed, rate) = match node.unit {
            Unit::Array => {
                (Engine::Mxu, pe_quarter_cycles(node), array_quarters_per_cycle(hardware))
            }
            Unit::Vector => (Engine::Vpu, node.macs.into(), lane_macs_per_cycle(hardware)),
            Unit::None => return None,
        };
        Some(Peak { engine, needed, rate })
    }

    /// Whole cycles at the full rate.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        u64::try_from(self.needed.div_ceil(self.rate.max(1))).unwrap_or(u64::MAX)
    }
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
        Footprint::with_shares(program).map(|(footprint, _)| footprint)
    }

    /// As [`of`](Self::of), with the bytes of each node: those that no earlier word loads, and the outputs it stores. They sum to the
    /// whole if every word that transfers belongs to a node and every output is stored.
    fn with_shares(program: &Program) -> Result<(Footprint, Vec<u64>), ReportError> {
        let constants = program.constants_bytes();
        let inputs: Vec<_> = bindings(program, &program.inputs).collect();
        let outputs: Vec<_> = bindings(program, &program.outputs).collect();
        let mut covers: [Cover; 4] = Default::default();
        let [weights, all_constants, read_inputs, stored] = &mut covers;
        let mut shares = vec![0; program.nodes.len()];
        work::for_each(program, |step| {
            let mut share = 0;
            for access in step.accesses.iter().filter(|access| access.space == Space::Dram) {
                for run in work::intervals(&access.rows) {
                    let run = run.start.max(0).unsigned_abs()..run.end.max(0).unsigned_abs();
                    if access.write {
                        share += outputs.iter().map(|at| stored.add(&run, at)).sum::<u64>();
                        continue;
                    }
                    if step.note.class == Class::Weights {
                        weights.add(&run, &constants);
                    }
                    share += all_constants.add(&run, &constants);
                    share += inputs.iter().map(|at| read_inputs.add(&run, at)).sum::<u64>();
                }
            }
            if let Some(sum) = shares.get_mut(step.note.node as usize) {
                *sum += share;
            }
        })?;
        let mut declared = Cover::default();
        let footprint = Footprint {
            weights_bytes: weights.bytes,
            // A byte loaded as both is read once at least.
            params_bytes: all_constants.bytes - weights.bytes,
            inputs_bytes: read_inputs.bytes,
            outputs_bytes: outputs.iter().map(|at| declared.add(at, at)).sum(),
        };
        Ok((footprint, shares))
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
    bindings.iter().map(|binding| program.binding_bytes(binding))
}

/// A set of bytes.
#[derive(Default)]
struct Cover {
    /// End of each run by its start; runs neither overlap nor touch.
    runs: BTreeMap<u64, u64>,
    /// How many bytes.
    bytes: u64,
}

impl Cover {
    /// Adds what `run` and `limits` share. Returns how many bytes of it are new.
    fn add(&mut self, run: &Bytes, limits: &Bytes) -> u64 {
        let (start, end) = (run.start.max(limits.start), run.end.min(limits.end));
        if start >= end {
            return 0;
        }
        let mut new = end - start;
        let mut joined = start..end;
        // The run that begins before, and those that begin inside or right behind.
        let before = self.runs.range(..=start).next_back().filter(|(_, last)| **last >= start);
        let inside = self.runs.range((Bound::Excluded(start), Bound::Included(end)));
        let touching: Vec<Bytes> = before.into_iter().chain(inside).map(|(&s, &e)| s..e).collect();
        for old in touching {
            new -= old.end.min(end) - old.start.max(start);
            joined = joined.start.min(old.start)..joined.end.max(old.end);
            self.runs.remove(&old.start);
        }
        self.runs.insert(joined.start, joined.end);
        self.bytes += new;
        new
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
        // The second node loads its table, works in place and stores the output.
        let bytes: Vec<u64> = bounds.nodes.iter().map(|node| node.dram_bytes).collect();
        assert_eq!(bytes, [324 + 96 + 90, 256 + 360]);
        let computes: Vec<u64> = bounds.nodes.iter().map(|node| node.compute_cycles).collect();
        assert_eq!(computes, [38, 0]);
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
                let before = bytes.len();
                bytes.extend((start..start + len).filter(|b| limits.contains(b)));
                let new = (bytes.len() - before) as u64;
                prop_assert_eq!(cover.add(&(start..start + len), &limits), new);
                prop_assert_eq!(cover.bytes, bytes.len() as u64);
                let ends: Vec<_> = cover.runs.iter().collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
        }
    }
}
