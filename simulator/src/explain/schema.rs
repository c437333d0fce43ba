//! The keys of an explanation. A new one is one line here, filled in `build.rs` or, where it takes a graph, by the caller.

use isa::Hardware;
use serde::{Deserialize, Serialize};

use crate::report::declare::objects;
use crate::report::{BoundCycles, Buckets, Engines, Layer, ProgramFacts, Waits};

/// Version of the key list.
pub const SCHEMA_VERSION: u32 = 1;

objects! {
    /// Why each layer takes as long as it does.
    Explanation {
        /// Version of this list of keys.
        schema_version: u32 = "version";
        /// What is explained.
        program: ProgramFacts = "";
        /// From the start until the last engine has halted.
        total_cycles: u64 = "cycles";
        /// Cycles that no schedule of the network on this machine can go below.
        lower_bound: BoundCycles = "";
        /// The layers in program order: all, or the one that was asked for.
        layers: Vec<LayerPage> = "";
        /// The machine: every parameter (`docs/generated/hardware.md`).
        hardware: Hardware = "";
    }

    /// All that is known of one layer.
    LayerPage {
        /// Position in program order, from 0.
        number: u64 = "index";
        /// The layer as the report of `qsim` has it.
        report: Layer = "";
        /// What each engine did in the cycles of this layer, on account of whichever layer. Each sums to `report.cycles`, and over all
        /// layers bucket by bucket to the report's `cycles.engines`.
        window: Engines<Buckets> = "";
        /// What separates the layer's cycles from its lower bound.
        gap: Gap = "";
        /// The layer's instruction words.
        words: Engines<Words> = "";
        /// What the layer occupies.
        memory: LayerMemory = "";
        /// The tensor it makes; `null` if the program does not say.
        output: Option<Tensor> = "";
        /// Names of the ONNX nodes it came from, in the order of the file; empty without the float model.
        onnx_nodes: Vec<String> = "name";
        /// The nodes of the integer graph that it computes, in order; empty if the program holds no reference graph.
        computes: Vec<Computed> = "";
    }

    /// The distance to the bound, told of one engine: its cycles in the layer's window, each in one part. All parts sum to `report.cycles`.
    Gap {
        /// Engine: the one that multiplies (`mxu` or `vpu`), for a layer without multiplications the one that works most for it.
        engine: String = "name";
        /// `report.lower_bound.total`: the multiplications at the peak, or the DRAM bytes if these take longer.
        lower_bound: u64 = "cycles";
        /// Cycles busy for this layer beyond its multiplications at the peak: rows, columns, lanes or taps that multiply nothing, other
        /// operations, register words.
        mapping: i64 = "cycles";
        /// Never positive: what of the layer's work and of its DRAM bytes was done outside of its window, beside other layers.
        overlapped: i64 = "cycles";
        /// Busy for other layers, whose work reaches into this window.
        other_layers: u64 = "cycles";
        /// Waits by cause. Where DRAM is the bound, the cycles that its bytes take beyond the multiplications are not repeated here: they
        /// are taken off `weights`, `activations`, `params`, `dram_bandwidth` and `dram_latency`, in this order.
        wait: Waits = "";
        /// Nothing to do but wait for other engines (at `sync` and `halt`).
        idle: u64 = "cycles";
        /// Halted.
        done: u64 = "cycles";
        /// The largest part beside `lower_bound`, by its key; `none` if there is no other.
        main: String = "name";
    }

    /// Words of one engine for one layer.
    Words {
        /// Position of the first one in the engine's code.
        first: Option<u64> = "index";
        /// Position of the last one; words between the two may be of other layers.
        last: Option<u64> = "index";
        /// How many.
        count: u64 = "words";
        /// How many of each kind, by name.
        mnemonics: Vec<MnemonicCount> = "";
        /// The first few, as assembly.
        listing: Vec<String> = "text";
    }

    /// Words of one kind.
    MnemonicCount {
        /// Mnemonic.
        name: String = "name";
        /// How many.
        count: u64 = "words";
    }

    /// What a layer occupies.
    LayerMemory {
        /// Most scratchpad bytes that hold a value still to be read, at any time in the layer's window.
        scratchpad_peak_bytes: u64 = "bytes";
        /// Rows of an accumulator bank that it uses, at most.
        accumulator_rows: u64 = "rows";
        /// Accumulator banks that it uses.
        accumulator_banks: u64 = "banks";
    }

    /// A tensor of integers: `real = scale * (q - zero_point)`.
    Tensor {
        /// Name of the ONNX value.
        name: String = "name";
        /// Height, width, channels.
        shape: Vec<u32> = "elements";
        /// Bits of an element, 8 or 16.
        bits: u32 = "bits";
        /// Real value of one step.
        scale: f64 = "real";
        /// Stored integer of real zero.
        zero_point: i64 = "integer";
    }

    /// One node of the integer graph, as `docs/numerics.md` defines it.
    Computed {
        /// Name of the ONNX node.
        name: String = "name";
        /// ONNX operator it came from.
        onnx_op: String = "name";
        /// Integer operator.
        op: String = "name";
        /// Operands that are no constants.
        inputs: Vec<Tensor> = "";
        /// Result.
        output: Tensor = "";
        /// Weights; `null` if it has none.
        weights: Option<Weights> = "";
        /// Multipliers of its requantization, over all channels; `null` if it has none.
        multipliers: Option<Extremes> = "";
        /// Shifts of its requantization, over all channels; `null` if it has none.
        shifts: Option<Extremes> = "";
        /// Bounds of the result, a fused activation included; `null` if the operator has none.
        saturation: Option<Extremes> = "";
        /// Bits of an accumulator that no sum of any input can leave, in any order; the machine has `hardware.acc_bits`. `null` without weights.
        accumulator_bits: Option<u32> = "bits";
    }

    /// Weights of a convolution or matrix product.
    Weights {
        /// Output channels, kernel height and width, input channels of a group.
        shape: Vec<u32> = "elements";
        /// Bits of each.
        bits: u32 = "bits";
    }

    /// Smallest and largest of several integers.
    Extremes {
        /// Smallest.
        min: i64 = "integer";
        /// Largest.
        max: i64 = "integer";
    }
}

impl Extremes {
    /// Of all `values`; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = i64>) -> Option<Extremes> {
        let wider = |found: Option<Extremes>, value: i64| {
            let Extremes { min, max } = found.unwrap_or(Extremes { min: value, max: value });
            Some(Extremes { min: min.min(value), max: max.max(value) })
        };
        values.into_iter().fold(None, wider)
    }
}

impl Gap {
    /// The parts beside the bound, by key, in the order of the list.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, i64)> + use<> {
        let signed = |(name, cycles)| (name, i64::try_from(cycles).unwrap_or(i64::MAX));
        let own = [("mapping", self.mapping), ("overlapped", self.overlapped)];
        let rest = [("idle", self.idle), ("done", self.done)];
        let counted = [("other_layers", self.other_layers)].into_iter().chain(self.wait.parts());
        own.into_iter().chain(counted.chain(rest).map(signed))
    }
}
