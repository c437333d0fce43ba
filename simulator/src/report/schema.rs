//! The keys of the report. A new one is one line here, filled in `build.rs`.

use isa::Hardware;
use serde::{Deserialize, Serialize};

use super::declare::{groups, objects};

/// Version of the key list.
pub const SCHEMA_VERSION: u32 = 1;

objects! {
    /// Everything a run found out.
    Report {
        /// Version of this list of keys.
        schema_version: u32 = "version";
        /// What was run.
        program: ProgramFacts = "";
        /// Where the cycles went.
        cycles: Cycles = "";
        /// Time of one inference.
        time: Time = "";
        /// How much of the machine was used.
        utilization: Utilization = "";
        /// Bytes moved.
        traffic: Traffic = "";
        /// Energy, an estimate.
        energy: Energy = "";
        /// Sizes in memory.
        memory: Memory = "";
        /// Size of the machine on an FPGA, an estimate.
        area: Area = "";
        /// Accuracy over labelled data.
        accuracy: Accuracy = "";
        /// Comparison with the host runtime, element by element.
        check: Check = "";
        /// What of the network the host computes, not the machine: no part of cycles, traffic or energy.
        host: HostWork = "";
        /// Comparison of hostile orders of the engines' words with the usual one (`--adversarial`).
        orders: Orders = "";
        /// The largest values of the first output, largest first, at most five; empty unless a single sample was named.
        top5: Vec<Top> = "";
        /// Nodes of the network in program order.
        layers: Vec<Layer> = "";
        /// The machine: every parameter (`docs/generated/hardware.md`).
        hardware: Hardware = "";
    }

    /// What was run.
    ProgramFacts {
        /// Name of the network.
        model: String = "name";
        /// SHA-256 of the program file.
        hash: String = "hex";
        /// Bits of most weights.
        weight_bits: u32 = "bits";
        /// Bits of most activations.
        act_bits: u32 = "bits";
        /// Seed of the weights, where they are random and not those of the file.
        random_weights_seed: Option<u64> = "seed";
        /// Version of the program file format.
        schema: u32 = "version";
    }

    /// Where the cycles went.
    Cycles {
        /// From the start until the last engine has halted.
        total: u64 = "cycles";
        /// What each engine did; its buckets sum to `cycles.total`.
        engines: Engines<Buckets> = "";
        /// Cycles that no schedule of the network on this machine can go below.
        lower_bound: BoundCycles = "";
    }

    /// Cycles of one engine by what it did. Every cycle is in exactly one.
    Buckets {
        /// Doing the work it is there for.
        busy: u64 = "cycles";
        /// Not working, by cause.
        wait: Waits = "";
        /// Nothing to do but wait for other engines (at `sync` and `halt`).
        idle: u64 = "cycles";
        /// Halted.
        done: u64 = "cycles";
    }

    /// Waiting cycles of one engine by cause.
    Waits {
        /// Waiting for weights: from DRAM, or for the next fold's weights to shift into the array.
        weights: u64 = "cycles";
        /// Waiting for activations: from DRAM, or from the vector engine.
        activations: u64 = "cycles";
        /// Waiting for an accumulator bank to be filled or drained.
        accumulator: u64 = "cycles";
        /// Waiting for requantization parameters or a table.
        params: u64 = "cycles";
        /// A transfer waits for its turn on the DRAM bus.
        dram_bandwidth: u64 = "cycles";
        /// A transfer waits for DRAM to answer.
        dram_latency: u64 = "cycles";
        /// Waiting for any other semaphore, such as a free buffer.
        token: u64 = "cycles";
        /// Waiting for a port of a scratchpad bank.
        bank: u64 = "cycles";
        /// Waiting for a register page in use, or for the engine to take an instruction.
        config: u64 = "cycles";
        /// Waiting for the next instruction word.
        queue: u64 = "cycles";
        /// A pipeline fills: first weights of the array, first rows of a store.
        fill: u64 = "cycles";
        /// The array drains: the last rows cross it.
        drain: u64 = "cycles";
    }

    /// Cycles that no schedule can go below.
    BoundCycles {
        /// What the multipliers need: the larger of array MACs / array peak and all MACs / (array + lane peak).
        compute: u64 = "cycles";
        /// What the DRAM bus needs for `traffic.lower_bound_bytes`.
        dram: u64 = "cycles";
        /// The larger of the two.
        total: u64 = "cycles";
        /// Cycles in which this program's folds stream through the array: the compute bound of its own mapping, partly filled
        /// rows and columns included. Not a bound for other mappings, and no part of `total`.
        compute_mapped: u64 = "cycles";
    }

    /// Time of one inference.
    Time {
        /// `cycles.total` at `time.clock_mhz`. Quantizing the input on the host is not included.
        us: f64 = "us";
        /// Clock frequency.
        clock_mhz: u32 = "MHz";
    }

    /// How much of the machine was used.
    Utilization {
        /// Share of what the array could multiply in `cycles.total`: MACs of the network, those of the vector lanes included,
        /// over the peak at each node's bit widths.
        mac: f64 = "0..1";
    }

    /// Bytes moved.
    Traffic {
        /// DRAM traffic. Bytes read and written count whole bursts.
        dram: TrafficClasses<Moved> = "";
        /// Scratchpad traffic in whole rows: each row of an operand once per instruction, activations of the array once per tap.
        scratchpad: ScratchpadStreams<ReadWrite> = "";
        /// DRAM bytes that no schedule with a cold scratchpad can avoid: the constants and inputs used, once, and the outputs.
        lower_bound_bytes: u64 = "bytes";
    }

    /// DRAM bytes.
    Moved {
        /// Bytes read.
        read_bytes: u64 = "bytes";
        /// Bytes written.
        write_bytes: u64 = "bytes";
        /// Bytes of the two that were asked for.
        useful_bytes: u64 = "bytes";
    }

    /// Scratchpad bytes.
    ReadWrite {
        /// Bytes read.
        read_bytes: u64 = "bytes";
        /// Bytes written.
        write_bytes: u64 = "bytes";
    }

    /// Energy of one inference by part.
    Energy {
        /// All parts together.
        total_pj: f64 = "pJ";
        /// Multiply-accumulates of the systolic array.
        array_pj: f64 = "pJ";
        /// Taps and operations of the vector lanes.
        vector_pj: f64 = "pJ";
        /// Accumulator words read and written.
        accumulator_pj: f64 = "pJ";
        /// Scratchpad bytes read and written.
        scratchpad_pj: f64 = "pJ";
        /// DRAM bytes read and written.
        dram_pj: f64 = "pJ";
        /// Where the numbers are from.
        source: String = "text";
    }

    /// Sizes in memory.
    Memory {
        /// Most scratchpad bytes that hold a value still to be read, at any time.
        scratchpad_peak_bytes: u64 = "bytes";
        /// Constants in DRAM that are loaded as weights.
        weights_bytes: u64 = "bytes";
        /// The program file.
        program_bytes: u64 = "bytes";
    }

    /// Size of the machine on an FPGA.
    Area {
        /// 4-input lookup tables.
        lut4: u64 = "LUTs";
        /// 18x18 multiplier blocks.
        dsp: u64 = "blocks";
        /// Flip-flops.
        ff: u64 = "FFs";
        /// Memory: scratchpad, accumulators, slots and buffers.
        ram_bits: u64 = "bits";
        /// Where the numbers are from.
        source: String = "text";
    }

    /// Accuracy over labelled data.
    Accuracy {
        /// Samples that were run.
        samples: Option<u64> = "samples";
        /// Share of samples whose largest output is the label.
        top1: Option<f64> = "0..1";
        /// Share of samples whose label is among the five largest outputs.
        top5: Option<f64> = "0..1";
        /// `accuracy.top1` of the float model.
        reference_top1: Option<f64> = "0..1";
        /// Share of samples whose largest output is that of the float model.
        agreement: Option<f64> = "0..1";
        /// Signal to quantization noise of the outputs against the float model; `null` also if there is no noise at all.
        sqnr_db: Option<f64> = "dB";
    }

    /// One of the largest values of an output.
    Top {
        /// Index of the value.
        class: u64 = "index";
        /// Name of the class, if the program has names.
        name: Option<String> = "name";
        /// Real value.
        score: f64 = "real";
    }

    /// Comparison with the host runtime, element by element.
    Check {
        /// Whether every element was equal.
        bit_exact: Option<bool> = "";
        /// Tensors compared, over all samples.
        layers: Option<u64> = "tensors";
        /// Elements that differ.
        mismatches: Option<u64> = "elements";
        /// The first one, in program order.
        first_mismatch: Option<Mismatch> = "";
    }

    /// What of the network the host computes.
    HostWork {
        /// Its nodes, in order.
        ops: Vec<HostOp> = "";
        /// Their elements over these and all operations of the network, two for each multiply-accumulate.
        share: f64 = "0..1";
    }

    /// A node that the host computes.
    HostOp {
        /// `head` in front of the program, or `tail` behind it.
        part: String = "name";
        /// Name of the node.
        node: String = "name";
        /// ONNX operator.
        op: String = "name";
        /// Elements written; read, of one that chooses among elements; none of one that only changes extents.
        elements: u64 = "elements";
    }

    /// Comparison of hostile orders of the engines' words with the usual one, on one sample.
    Orders {
        /// Orders run.
        run: Option<u64> = "orders";
        /// Orders in which any byte was another: noted tiles, or a memory at the end.
        differing: Option<u64> = "orders";
        /// Two words that race, from the first such order.
        race: Option<Race> = "";
    }

    /// Two words whose order decides bytes, though no semaphore decides their order.
    Race {
        /// The word that may run earlier than usual.
        early: Word = "";
        /// The word that it may overtake.
        late: Word = "";
        /// Where it shows first.
        place: String = "text";
    }

    /// A word of the program.
    Word {
        /// Engine whose code holds it.
        engine: String = "name";
        /// Its position in that code.
        index: u64 = "index";
        /// The instruction in assembly.
        text: String = "text";
        /// Node it belongs to.
        node: Option<String> = "name";
    }

    /// An element that differs.
    Mismatch {
        /// Node that computes it.
        node: String = "name";
        /// Tensor it belongs to.
        tensor: String = "name";
        /// Sample, counted from 0.
        sample: u64 = "index";
        /// Row, column and channel.
        position: Vec<u32> = "index";
        /// Stored integer of the machine.
        found: i64 = "integer";
        /// Stored integer of the host runtime.
        expected: i64 = "integer";
    }

    /// One node of the network.
    Layer {
        /// ONNX node name.
        node: String = "name";
        /// ONNX operator.
        op: String = "name";
        /// Cycles attributed to this node alone; those of all nodes sum to `cycles.total`. 0 if it ran wholly beside others.
        cycles: u64 = "cycles";
        /// From its first issue to its last completion; overlaps with other nodes.
        span: Option<Span> = "";
        /// What each engine did on account of this node: working on its instructions, or waiting to issue the next of them.
        engines: Engines<Buckets> = "";
        /// Multiply-accumulates of the node.
        macs: u64 = "MACs";
        /// Share of the peak of the unit that multiplies (array or vector lanes), in the cycles that unit spent on account of this
        /// node; `null` if there is nothing to multiply.
        utilization: Option<f64> = "0..1";
        /// DRAM bytes of its loads and stores, without instruction words.
        dram: Moved = "";
        /// What the node needs, taken by itself.
        lower_bound: LayerBound = "";
        /// Tile the compiler chose.
        tile: String = "text";
        /// What limits it: `compute` (array), `vector`, `dram`, or `overhead` if none of them is used in half of its cycles; `none` if the
        /// node has no instructions.
        bound: String = "name";
    }

    /// What a node needs, taken by itself.
    LayerBound {
        /// Its MACs at the peak of the unit that multiplies (array or vector lanes); 0 if there is nothing to multiply.
        compute: u64 = "cycles";
        /// `lower_bound.dram_bytes` at the bandwidth of the DRAM bus.
        dram: u64 = "cycles";
        /// The larger of the two. The node can take fewer of its own where it works beside earlier nodes.
        total: u64 = "cycles";
        /// Bytes of `traffic.lower_bound_bytes` that this node is the first to load, and of the outputs that it stores.
        dram_bytes: u64 = "bytes";
    }

    /// First and last cycle.
    Span {
        /// Cycle of the first issue.
        first: u64 = "cycle";
        /// Cycle of the last completion.
        last: u64 = "cycle";
    }
}

groups! {
    /// One of the four engines.
    Engines {
        /// DRAM to scratchpad.
        load,
        /// Systolic array.
        mxu,
        /// Vector engine.
        vpu,
        /// Scratchpad to DRAM.
        store,
    }

    /// What a transfer is for.
    TrafficClasses {
        /// All classes together.
        total,
        /// Weights.
        weights,
        /// Network inputs.
        inputs,
        /// Network outputs.
        outputs,
        /// Intermediate tensors that do not stay in the scratchpad.
        spills,
        /// Requantization parameters and tables.
        params,
        /// Code.
        instructions,
        /// Transfers of hand-written programs that name no class.
        other,
    }

    /// What the bytes are for.
    ScratchpadStreams {
        /// All streams together.
        total,
        /// Written by the load engine.
        load,
        /// Activations of the systolic array.
        mxu_activations,
        /// Weights of the systolic array.
        mxu_weights,
        /// Operand `a` of the vector engine.
        vpu_a,
        /// Operand `b` of the vector engine.
        vpu_b,
        /// Depthwise weights.
        vpu_weights,
        /// Results of the vector engine.
        vpu_result,
        /// Read by the store engine.
        store,
    }
}

impl Buckets {
    /// How many buckets there are.
    pub const COUNT: usize = 15;

    /// All buckets by key, in the order of the list.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, u64); Buckets::COUNT] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.wait.parts();
        let (busy, idle, done) = (("busy", self.busy), ("idle", self.idle), ("done", self.done));
        [busy, a, b, c, d, e, f, g, h, i, j, k, l, idle, done]
    }
}

impl Waits {
    /// All causes by key of [`Buckets`], in the order of the list.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, u64); 12] {
        [
            ("wait.weights", self.weights),
            ("wait.activations", self.activations),
            ("wait.accumulator", self.accumulator),
            ("wait.params", self.params),
            ("wait.dram_bandwidth", self.dram_bandwidth),
            ("wait.dram_latency", self.dram_latency),
            ("wait.token", self.token),
            ("wait.bank", self.bank),
            ("wait.config", self.config),
            ("wait.queue", self.queue),
            ("wait.fill", self.fill),
            ("wait.drain", self.drain),
        ]
    }
}
