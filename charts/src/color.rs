//! Colors: one for each thing, the same in every chart; they differ in print and on dark paper too.

use timing::TrafficClass;

/// Work of the engine for the layer in question, and for others.
pub(crate) const WORK: &str = "#2f7d4f";
pub(crate) const OTHERS: &str = "#9bc4a5";

/// What is not there, and what does not matter.
pub(crate) const NOTHING: &str = "#b8bec7";

/// What an engine does, by the key of its bucket.
pub(crate) fn bucket(key: &str) -> &'static str {
    match key {
        "busy" => WORK,
        "wait.weights" => "#d97706",
        "wait.activations" => "#f2b04a",
        "wait.accumulator" => "#7c5cbf",
        "wait.params" => "#a8632a",
        "wait.dram_bandwidth" => "#c0392b",
        "wait.dram_latency" => "#e98b80",
        "wait.token" => "#b79be3",
        "wait.bank" => "#1f78a5",
        "wait.config" => "#6aaed6",
        "wait.queue" => "#a9d3e8",
        "wait.fill" => "#c8c14a",
        "wait.drain" => "#8d8a2e",
        "done" => "#dfe3e8",
        _ => NOTHING,
    }
}

/// What bytes are for.
pub(crate) fn class(class: TrafficClass) -> &'static str {
    match class {
        TrafficClass::Weights => "#d97706",
        TrafficClass::Inputs => "#1f78a5",
        TrafficClass::Outputs => "#2f7d4f",
        TrafficClass::Spills => "#c0392b",
        TrafficClass::Params => "#a8632a",
        TrafficClass::Instructions => "#7c5cbf",
        TrafficClass::Other => NOTHING,
    }
}

/// What the scratchpad holds, in two shades, so that one layer's values stand out from the next one's. `None` is computed values.
pub(crate) fn held(class: Option<TrafficClass>, odd: bool) -> &'static str {
    let shades = match class {
        None => ["#2f7d4f", "#86bd97"],
        Some(TrafficClass::Weights) => ["#d97706", "#f2b04a"],
        Some(TrafficClass::Inputs) => ["#1f78a5", "#6aaed6"],
        Some(TrafficClass::Spills) => ["#c0392b", "#e98b80"],
        Some(TrafficClass::Params) => ["#a8632a", "#cf9a6b"],
        Some(TrafficClass::Outputs | TrafficClass::Instructions | TrafficClass::Other) => {
            [NOTHING, "#dfe3e8"]
        }
    };
    shades[usize::from(odd)]
}
