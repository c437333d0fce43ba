//! The keys of a fault report. A new one is one line here, filled in `tally.rs`.

use serde::{Deserialize, Serialize};

use crate::report::declare::{keys_of, objects, table};
use crate::report::{Key, ProgramFacts};

/// Version of the key list.
pub const SCHEMA_VERSION: u32 = 1;

objects! {
    /// What faults did to a program.
    FaultReport {
        /// Version of this list of keys.
        schema_version: u32 = "version";
        /// What was run.
        program: ProgramFacts = "";
        /// Seed of the faults.
        seed: u64 = "seed";
        /// Runs of each campaign.
        runs: u64 = "runs";
        /// Different samples among the runs, which take them in turn.
        samples: u64 = "samples";
        /// Cycles of a run without faults.
        cycles: u64 = "cycles";
        /// One for each `--inject`.
        campaigns: Vec<Campaign> = "";
    }

    /// Runs with faults of one spec.
    Campaign {
        /// The spec.
        spec: String = "text";
        /// `weights`, `params`, `tables`, `scratchpad`, `accumulators` or `instructions`.
        space: String = "name";
        /// Bits of the whole memory; of `weights`, `params` and `tables` those that the program loads.
        bits: u64 = "bits";
        /// Share of the faults that are possible in the memory (its bits, or its bits at every cycle) among which the spec chooses.
        share: f64 = "0..1";
        /// Share of the memory's bits at every cycle that hold a value still to be read, counted in whole rows; `null` for what lies in DRAM.
        live: Option<f64> = "0..1";
        /// Bits that flipped, over all runs.
        flips: u64 = "bits";
        /// How the runs ended.
        outcomes: Outcomes = "";
        /// How faults were detected.
        detected_by: DetectedBy = "";
        /// Shares of the runs with 95% confidence intervals (Wilson score).
        rates: Rates = "";
        /// What `qsim verify` says of changed words that the machine accepts: it needs no run, and of a program with a reference graph it
        /// demands the proof that every layer is right; `null` but for `instructions`.
        verifier: Option<VerifierCounts> = "";
        /// Runs to the end in which the result of some layer differs.
        visible: u64 = "runs";
        /// Those of them whose outputs are nevertheless as without the fault.
        died_out: u64 = "runs";
        /// Accuracy with and without faults, over the runs that gave an answer.
        accuracy: FaultAccuracy = "";
        /// Layers in program order; a last one without a name stands for what no layer uses.
        layers: Vec<LayerFaults> = "";
        /// By bit position; empty unless every run flips exactly one bit.
        bit_positions: Vec<BitFaults> = "";
    }

    /// How runs ended. The four sum to `runs`.
    Outcomes {
        /// All.
        runs: u64 = "runs";
        /// Every output is as without the fault.
        masked: u64 = "runs";
        /// Outputs differ silently; the largest value of the first output is where it was.
        benign: u64 = "runs";
        /// Outputs differ silently, and the largest value of the first output is elsewhere.
        critical: u64 = "runs";
        /// The machine refused or stopped.
        detected: u64 = "runs";
    }

    /// How faults were detected.
    DetectedBy {
        /// A word that is no instruction.
        decode: u64 = "runs";
        /// An instruction that is illegal where it stands: addresses outside a memory, extents of 0, registers never written, a write to
        /// constants or code.
        check: u64 = "runs";
        /// Engines that wait for each other for ever, or a word that takes longer than any sensible program: a watchdog.
        hang: u64 = "runs";
        /// A parameter entry that makes no sense; with `--reference` also an accumulator that wrapped.
        trap: u64 = "runs";
    }

    /// Shares of the runs.
    Rates {
        /// `masked`.
        masked: Estimate = "";
        /// `benign` and `critical`: silent data corruption.
        sdc: Estimate = "";
        /// `critical` alone (SDC-1).
        critical: Estimate = "";
        /// The largest value of the first output is none of the five largest without the fault (SDC-5).
        sdc5: Estimate = "";
        /// `detected`.
        detected: Estimate = "";
    }

    /// A share with its 95% confidence interval.
    Estimate {
        /// The share found.
        rate: f64 = "0..1";
        /// Lower end.
        low: f64 = "0..1";
        /// Upper end.
        high: f64 = "0..1";
    }

    /// What `qsim verify` says of changed words that the machine accepts.
    VerifierCounts {
        /// Runs whose words decode and are legal where they stand.
        accepted: u64 = "runs";
        /// Those of them that the verifier refuses.
        found: u64 = "runs";
        /// Those of them that end in silent data corruption.
        sdc: u64 = "runs";
        /// Those of these that the verifier refuses.
        sdc_found: u64 = "runs";
    }

    /// Accuracy with and without faults.
    FaultAccuracy {
        /// Runs that were not cut short.
        answered: u64 = "runs";
        /// Share of them with the same arg-max as without the fault; `null` if none answered.
        agreement: Option<f64> = "0..1";
        /// Share of the labelled ones that are classified right with the fault; `null` without labels.
        top1: Option<f64> = "0..1";
        /// The same without the fault, on the same samples.
        fault_free_top1: Option<f64> = "0..1";
    }

    /// Faults by layer.
    LayerFaults {
        /// Node; empty for what no layer uses.
        node: String = "name";
        /// Its ONNX operator.
        op: String = "name";
        /// Runs whose fault struck what this layer loads, reads or executes; `null` unless every run flips exactly one bit.
        struck: Option<Outcomes> = "";
        /// Share of `struck` that ended in silent data corruption; `null` if there are none.
        sdc: Option<Estimate> = "";
        /// Share of `struck` that ended with another arg-max; `null` if there are none.
        critical: Option<Estimate> = "";
        /// Runs in which the result of this layer differs, wherever the fault struck.
        changed: u64 = "runs";
        /// Masked runs in which this is the last layer whose result differs: its readers let the fault die.
        died_out: u64 = "runs";
    }

    /// Faults by bit position.
    BitFaults {
        /// Bit of the weight, parameter entry, table element, scratchpad byte, accumulator or word, 0 the lowest.
        bit: u32 = "bit";
        /// Runs whose fault struck it.
        struck: Outcomes = "";
        /// Share that ended in silent data corruption.
        sdc: Estimate = "";
        /// Share that ended with another arg-max.
        critical: Estimate = "";
    }
}

/// Every key of a fault report, in order.
#[must_use]
pub fn keys() -> Vec<Key> {
    keys_of::<FaultReport>()
}

/// The manual page: every key with its type, unit and meaning, and the columns of the CSV, as Markdown.
#[must_use]
pub fn schema_markdown() -> String {
    format!(
        "# Fault report\n\n\
         What `qsim PROG.bin --inject SPEC --format json` prints; [reliability](../reliability.md) says what it means. Generated from the list in\n\
         `simulator/src/inject/report.rs`. This is schema version {SCHEMA_VERSION}; keys change as those of the [report](report.md) do. `[]` in a name\n\
         stands for the elements of an array. Every key is always present; what was not measured is `null`.\n\n{}\n\
         ## CSV\n\n\
         `--format csv` prints one line of column names, then for each campaign one line for all its runs (`total`), one per layer and one per\n\
         bit position, as RFC 4180 says; what is `null` is empty:\n\n```text\n{}\n```\n",
        table(&keys()),
        super::text::COLUMNS.join("\n"),
    )
}

impl FaultReport {
    /// The whole report as one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only string keys")
    }
}
