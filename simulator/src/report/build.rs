//! From a program and its timing to a report.

use isa::program::NodeInfo;
use isa::{Engine, Hardware, Program};
use timing::{Bucket, EngineCycles, LayerTime, Timing, TrafficClass};

use super::error::ReportError;
use super::schema::{
    Accuracy, Area, BoundCycles, Buckets, Check, Cycles, Energy, Engines, HostWork, Layer,
    LayerBound, Memory, Moved, Orders, ProgramFacts, ReadWrite, Report, SCHEMA_VERSION,
    ScratchpadStreams, Span, Time, Traffic, TrafficClasses, Utilization, Waits,
};
use crate::area;
use crate::bounds::{self, LowerBounds, NodeBound, Peak};
use crate::energy;
use crate::occupancy::{Occupancy, check_instructions};
use crate::work::{ProgramWork, ScratchpadBytes, Work};

/// What only the reader of the program file knows about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramFile {
    /// SHA-256 of the file, hex.
    pub hash: String,
    /// Size of the file.
    pub bytes: u64,
    /// Version of its format.
    pub schema: u32,
}

impl ProgramFacts {
    /// What a program says of itself and its file.
    #[must_use]
    pub fn new(program: &Program, file: &ProgramFile) -> ProgramFacts {
        ProgramFacts {
            model: program.meta.model.clone(),
            hash: file.hash.clone(),
            weight_bits: program.meta.weight_bits.into(),
            act_bits: program.meta.act_bits.into(),
            random_weights_seed: program.meta.random_weights.map(|how| how.seed),
            schema: file.schema,
        }
    }
}

impl Report {
    /// Makes the report of a program that took `timing` on `hardware`, which may differ from the program's own in timing-only
    /// parameters. Accuracy and check are `null` until the caller fills them in.
    ///
    /// # Errors
    /// When `timing` is of another program, or does not account for every cycle exactly once.
    pub fn new(
        program: &Program,
        hardware: &Hardware,
        file: &ProgramFile,
        timing: &Timing,
    ) -> Result<Report, ReportError> {
        check_balance(program, timing)?;
        let work = ProgramWork::count(program)?;
        let bounds = LowerBounds::of(program, hardware)?;
        let occupancy = Occupancy::of(program, timing)?;
        let dram = dram_traffic(timing);
        let energy = energy::Energy::of(&work.total, sum(timing), hardware);
        let area = area::Area::of(hardware);
        let layers = program.nodes.iter().zip(&timing.layers).zip(&work.nodes).zip(&bounds.nodes);
        Ok(Report {
            schema_version: SCHEMA_VERSION,
            program: ProgramFacts::new(program, file),
            cycles: Cycles {
                total: timing.total_cycles,
                engines: engines(&timing.engines),
                lower_bound: BoundCycles {
                    compute: bounds.compute_cycles,
                    dram: bounds.dram_cycles,
                    total: bounds.total_cycles(),
                    compute_mapped: work.total.array_cycles,
                },
            },
            time: Time {
                us: timing.total_cycles as f64 / f64::from(hardware.clock_mhz.max(1)),
                clock_mhz: hardware.clock_mhz,
            },
            utilization: Utilization {
                mac: mac_utilization(&program.nodes, hardware, timing.total_cycles),
            },
            traffic: Traffic {
                dram,
                scratchpad: scratchpad_traffic(&work.total.scratchpad),
                lower_bound_bytes: bounds.footprint.total_bytes(),
            },
            energy: Energy {
                total_pj: picojoules(energy.total_fj()),
                array_pj: picojoules(energy.array_fj),
                vector_pj: picojoules(energy.vector_fj),
                accumulator_pj: picojoules(energy.accumulator_fj),
                scratchpad_pj: picojoules(energy.scratchpad_fj),
                dram_pj: picojoules(energy.dram_fj),
                source: energy::SOURCE.to_owned(),
            },
            memory: Memory {
                scratchpad_peak_bytes: u64::from(occupancy.peak_rows)
                    * u64::from(hardware.row_bytes()),
                weights_bytes: bounds.footprint.weights_bytes,
                program_bytes: file.bytes,
            },
            area: Area {
                lut4: area.lut4,
                dsp: area.dsp,
                ff: area.ff,
                ram_bits: area.ram_bits,
                source: area::SOURCE.to_owned(),
            },
            accuracy: Accuracy::default(),
            check: Check::default(),
            host: HostWork::default(),
            orders: Orders::default(),
            top5: Vec::new(),
            layers: layers
                .map(|(((node, time), work), bound)| layer(node, time, work, bound, hardware))
                .collect(),
            hardware: hardware.clone(),
        })
    }

    /// The report as indented JSON, keys in the order of declaration.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only string keys")
    }
}

/// Checks that every cycle of every engine is in one bucket and belongs to one layer.
fn check_balance(program: &Program, timing: &Timing) -> Result<(), ReportError> {
    check_instructions(program, timing)?;
    let total = timing.total_cycles;
    for engine in Engine::ALL {
        let sum = timing.engines[engine.index()].total();
        if sum != total {
            return Err(ReportError::Unbalanced { engine, sum, total });
        }
    }
    let (found, expected) = (timing.layers.len(), program.nodes.len());
    if found != expected {
        return Err(ReportError::Nodes { found, expected });
    }
    let sum = timing.layers.iter().map(|layer| layer.cycles).sum();
    if sum != total && expected > 0 {
        return Err(ReportError::Layers { sum, total });
    }
    Ok(())
}

pub(crate) fn engines(cycles: &[EngineCycles; 4]) -> Engines<Buckets> {
    let of = |engine: Engine| buckets(&cycles[engine.index()]);
    Engines {
        load: of(Engine::Load),
        mxu: of(Engine::Mxu),
        vpu: of(Engine::Vpu),
        store: of(Engine::Store),
    }
}

pub(crate) fn buckets(cycles: &EngineCycles) -> Buckets {
    Buckets {
        busy: cycles[Bucket::Busy],
        wait: Waits {
            weights: cycles[Bucket::WaitWeights],
            activations: cycles[Bucket::WaitActivations],
            accumulator: cycles[Bucket::WaitAccumulator],
            params: cycles[Bucket::WaitParams],
            dram_bandwidth: cycles[Bucket::WaitDramBandwidth],
            dram_latency: cycles[Bucket::WaitDramLatency],
            token: cycles[Bucket::WaitToken],
            bank: cycles[Bucket::WaitBank],
            config: cycles[Bucket::WaitConfig],
            queue: cycles[Bucket::WaitQueue],
            fill: cycles[Bucket::WaitFill],
            drain: cycles[Bucket::WaitDrain],
        },
        idle: cycles[Bucket::Idle],
        done: cycles[Bucket::Done],
    }
}

fn moved(traffic: timing::Traffic) -> Moved {
    let timing::Traffic { read_bytes, write_bytes, useful_bytes } = traffic;
    Moved { read_bytes, write_bytes, useful_bytes }
}

/// Traffic of all classes together.
fn sum(timing: &Timing) -> timing::Traffic {
    timing.traffic.values().fold(timing::Traffic::default(), |sum, class| timing::Traffic {
        read_bytes: sum.read_bytes + class.read_bytes,
        write_bytes: sum.write_bytes + class.write_bytes,
        useful_bytes: sum.useful_bytes + class.useful_bytes,
    })
}

fn dram_traffic(timing: &Timing) -> TrafficClasses<Moved> {
    let of = |class| moved(timing.traffic.get(&class).copied().unwrap_or_default());
    TrafficClasses {
        total: moved(sum(timing)),
        weights: of(TrafficClass::Weights),
        inputs: of(TrafficClass::Inputs),
        outputs: of(TrafficClass::Outputs),
        spills: of(TrafficClass::Spills),
        params: of(TrafficClass::Params),
        instructions: of(TrafficClass::Instructions),
        other: of(TrafficClass::Other),
    }
}

fn scratchpad_traffic(bytes: &ScratchpadBytes) -> ScratchpadStreams<ReadWrite> {
    let read = |read_bytes| ReadWrite { read_bytes, write_bytes: 0 };
    let write = |write_bytes| ReadWrite { read_bytes: 0, write_bytes };
    ScratchpadStreams {
        total: ReadWrite { read_bytes: bytes.read_bytes(), write_bytes: bytes.write_bytes() },
        load: write(bytes.load),
        mxu_activations: read(bytes.mxu_activations),
        mxu_weights: read(bytes.mxu_weights),
        vpu_a: read(bytes.vpu_a),
        vpu_b: read(bytes.vpu_b),
        vpu_weights: read(bytes.vpu_weights),
        vpu_result: write(bytes.vpu_result),
        store: read(bytes.store),
    }
}

fn picojoules(femtojoules: u128) -> f64 {
    femtojoules as f64 / 1000.0
}

/// `part / whole`, 0 if there is no whole.
fn share(part: u128, whole: u128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mac_utilization(nodes: &[NodeInfo], hardware: &Hardware, cycles: u64) -> f64 {
    let needed = nodes.iter().map(bounds::pe_quarter_cycles).sum();
    share(needed, bounds::array_quarters_per_cycle(hardware) * u128::from(cycles))
}

fn layer(
    node: &NodeInfo,
    time: &LayerTime,
    work: &Work,
    bound: &NodeBound,
    hardware: &Hardware,
) -> Layer {
    Layer {
        node: node.name.clone(),
        op: node.op.clone(),
        cycles: time.cycles,
        span: time.span.map(|span| Span { first: span.first_issue, last: span.finish }),
        engines: engines(&time.engines),
        macs: node.macs,
        utilization: layer_utilization(node, time, hardware),
        dram: moved(work.dram),
        lower_bound: LayerBound {
            compute: bound.compute_cycles,
            dram: bound.dram_cycles,
            total: bound.compute_cycles.max(bound.dram_cycles),
            dram_bytes: bound.dram_bytes,
        },
        tile: node.tile.clone(),
        bound: layer_bound(time, work, hardware).to_owned(),
    }
}

/// Share of the peak of the multiplying unit, in the cycles that this unit gave to the node.
fn layer_utilization(node: &NodeInfo, time: &LayerTime, hardware: &Hardware) -> Option<f64> {
    let Peak { engine, needed, rate } = Peak::of(node, hardware)?;
    let cycles = time.engines[engine.index()].total();
    (needed > 0 && cycles > 0).then(|| share(needed, rate * u128::from(cycles)))
}

/// What limits a node: the resource used in most cycles, if that is at least half of them.
fn layer_bound(time: &LayerTime, work: &Work, hardware: &Hardware) -> &'static str {
    if time.span.is_none() {
        return "none";
    }
    let busy = |engine: Engine| time.engines[engine.index()][Bucket::Busy];
    let moved = work.dram.read_bytes.saturating_add(work.dram.write_bytes);
    let uses = [
        ("compute", busy(Engine::Mxu)),
        ("vector", busy(Engine::Vpu)),
        ("dram", moved.div_ceil(hardware.dram_bytes_per_cycle.max(1).into())),
    ];
    // The first of equals: an array that is as busy as the bus is what one would enlarge.
    let (name, most) =
        uses.into_iter().rev().max_by_key(|&(_, cycles)| cycles).unwrap_or(("overhead", 0));
    if most > 0 && most.saturating_mul(2) >= time.cycles { name } else { "overhead" }
}

#[cfg(test)]
mod tests {
    use isa::program::Unit;

    use super::*;
    use crate::sample;

    /// A node of 1000 cycles in which the array, the lanes and the bus work as long as told (at 12 bytes a cycle).
    fn bound(mxu: u64, vpu: u64, dram_bytes: u64) -> &'static str {
        let span = Some(timing::Span { first_issue: 0, finish: 1000 });
        let mut time = LayerTime { cycles: 1000, span, ..LayerTime::default() };
        time.engines[Engine::Mxu.index()][Bucket::Busy] = mxu;
        time.engines[Engine::Vpu.index()][Bucket::Busy] = vpu;
        let dram = timing::Traffic { read_bytes: dram_bytes, ..timing::Traffic::default() };
        layer_bound(&time, &Work { dram, ..Work::default() }, &Hardware::default())
    }

    #[test]
    fn a_layer_is_bound_by_what_it_uses_most() {
        assert_eq!(bound(600, 500, 0), "compute");
        assert_eq!(bound(600, 700, 0), "vector");
        assert_eq!(bound(600, 700, 12 * 701), "dram");
        assert_eq!(bound(600, 600, 12 * 600), "compute");
        assert_eq!(bound(499, 0, 0), "overhead");
        assert_eq!(bound(0, 0, 0), "overhead");
        let none = LayerTime::default();
        assert_eq!(layer_bound(&none, &Work::default(), &Hardware::default()), "none");
    }

    #[test]
    fn utilization_is_of_the_unit_that_multiplies() {
        let mut time = LayerTime::default();
        time.engines[Engine::Mxu.index()][Bucket::Busy] = 75;
        time.engines[Engine::Mxu.index()][Bucket::WaitToken] = 25;
        time.engines[Engine::Vpu.index()][Bucket::Busy] = 10;
        let used = |unit, macs, weight_bits| {
            let node = NodeInfo { weight_bits, ..sample::node("n", "Conv", macs, unit) };
            layer_utilization(&node, &time, &Hardware::default())
        };
        assert_eq!(used(Unit::Array, 12_800, 8), Some(0.5));
        assert_eq!(used(Unit::Array, 12_800, 4), Some(0.25));
        assert_eq!(used(Unit::Vector, 720, 8), Some(0.5));
        assert_eq!(used(Unit::Vector, 0, 8), None);
        assert_eq!(used(Unit::None, 0, 0), None);
    }
}
