//! From single runs to the numbers of a report.

use std::collections::BTreeMap;

use isa::Program;

use super::campaign::{Bench, Detection, Outcome, RunResult, Runs};
use super::report::{
    BitFaults, Campaign, DetectedBy, Estimate, FaultAccuracy, LayerFaults, Outcomes, Rates,
    VerifierCounts,
};
use super::spec::{FaultSpace, Spec};
use crate::wording::ratio;

/// The 97.5% quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

impl Campaign {
    /// Sums up the runs of a campaign of `bench`.
    #[must_use]
    pub fn new(bench: &Bench<'_>, spec: &Spec, runs: &Runs) -> Campaign {
        let results = &runs.results;
        let outcomes = Outcomes::of(results.iter());
        let count = |wanted: fn(&RunResult) -> bool| {
            results.iter().filter(|run| wanted(run)).count() as u64
        };
        let by =
            |how| results.iter().filter(|run| run.outcome == Outcome::Detected(how)).count() as u64;
        let lost = count(|run| is_answered(run) && !run.in_top5);
        let share = |part| Estimate::of(part, outcomes.runs);
        Campaign {
            spec: spec.to_string(),
            space: spec.space.to_string(),
            bits: runs.bits,
            share: runs.share,
            live: runs.live,
            flips: results.iter().map(|run| run.faults.len() as u64).sum(),
            detected_by: DetectedBy {
                decode: by(Detection::Decode),
                check: by(Detection::Check),
                hang: by(Detection::Hang),
                trap: by(Detection::Trap),
            },
            rates: Rates {
                masked: share(outcomes.masked),
                sdc: share(outcomes.sdc()),
                critical: share(outcomes.critical),
                sdc5: share(lost),
                detected: share(outcomes.detected),
            },
            verifier: (spec.space == FaultSpace::Instructions).then(|| VerifierCounts {
                accepted: count(|run| run.verifier.is_some()),
                found: count(|run| run.verifier == Some(true)),
                sdc: count(|run| run.verifier.is_some() && is_silent(run)),
                sdc_found: count(|run| run.verifier == Some(true) && is_silent(run)),
            }),
            visible: count(|run| !run.changed.is_empty()),
            died_out: count(|run| !run.changed.is_empty() && run.outcome == Outcome::Masked),
            accuracy: accuracy(bench, results),
            layers: layers(bench.program(), results),
            bit_positions: bit_positions(results),
            outcomes,
        }
    }
}

impl Outcomes {
    fn of<'a>(runs: impl Iterator<Item = &'a RunResult>) -> Outcomes {
        let mut sum = Outcomes::default();
        for run in runs {
            sum.runs += 1;
            *match run.outcome {
                Outcome::Masked => &mut sum.masked,
                Outcome::Benign => &mut sum.benign,
                Outcome::Critical => &mut sum.critical,
                Outcome::Detected(_) => &mut sum.detected,
            } += 1;
        }
        sum
    }

    /// The runs of both.
    pub(super) fn plus(&self, other: &Outcomes) -> Outcomes {
        Outcomes {
            runs: self.runs + other.runs,
            masked: self.masked + other.masked,
            benign: self.benign + other.benign,
            critical: self.critical + other.critical,
            detected: self.detected + other.detected,
        }
    }

    /// Runs that ended in silent data corruption.
    #[must_use]
    pub fn sdc(&self) -> u64 {
        self.benign + self.critical
    }
}

impl Estimate {
    /// `part` of `whole` (at least 1) with the Wilson score interval (Wilson 1927) at 95%.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Estimate {
        let (n, rate) = (whole.max(1) as f64, ratio(part, whole));
        let center = rate + Z * Z / (2.0 * n);
        let spread = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        // Rounding must not exclude what was found.
        let low = ((center - spread) / scale).clamp(0.0, rate);
        let high = ((center + spread) / scale).clamp(rate, 1.0);
        Estimate { rate, low, high }
    }

    fn some(part: u64, whole: u64) -> Option<Estimate> {
        (whole > 0).then(|| Estimate::of(part, whole))
    }
}

fn is_silent(run: &RunResult) -> bool {
    matches!(run.outcome, Outcome::Benign | Outcome::Critical)
}

fn is_answered(run: &RunResult) -> bool {
    !matches!(run.outcome, Outcome::Detected(_))
}

fn accuracy(bench: &Bench<'_>, results: &[RunResult]) -> FaultAccuracy {
    let mut answered = 0;
    let [mut agree, mut labelled, mut right, mut right_before] = [0; 4];
    for run in results.iter().filter(|run| is_answered(run)) {
        answered += 1;
        agree += u64::from(run.outcome != Outcome::Critical);
        if let (Some(now), Some(before)) = (run.correct, bench.correct_fault_free(run.sample)) {
            labelled += 1;
            right += u64::from(now);
            right_before += u64::from(before);
        }
    }
    let share = |part, whole| (whole > 0).then(|| ratio(part, whole));
    FaultAccuracy {
        answered,
        agreement: share(agree, answered),
        top1: share(right, labelled),
        fault_free_top1: share(right_before, labelled),
    }
}

/// Whether every run flips exactly one bit, so that what it did can be put down to a place.
fn single(results: &[RunResult]) -> bool {
    results.iter().all(|run| run.faults.len() == 1)
}

fn layers(program: &Program, results: &[RunResult]) -> Vec<LayerFaults> {
    let single = single(results);
    let mut struck: BTreeMap<u32, Vec<&RunResult>> = BTreeMap::new();
    let mut changed: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    for run in results {
        if let ([fault], true) = (&run.faults[..], single) {
            struck.entry(fault.node).or_default().push(run);
        }
        for node in &run.changed {
            changed.entry(*node).or_default()[0] += 1;
        }
        if let (Some(last), Outcome::Masked) = (run.changed.last(), run.outcome) {
            changed.entry(*last).or_default()[1] += 1;
        }
    }
    let row = |node: u32| {
        let hit = struck.get(&node);
        let info = program.nodes.get(node as usize);
        let [differs, died_out] = changed.get(&node).copied().unwrap_or_default();
        (hit.is_some() || differs > 0).then(|| {
            let outcomes = Outcomes::of(hit.into_iter().flatten().copied());
            LayerFaults {
                node: info.map_or_else(String::new, |node| node.name.clone()),
                op: info.map_or_else(String::new, |node| node.op.clone()),
                sdc: Estimate::some(outcomes.sdc(), outcomes.runs),
                critical: Estimate::some(outcomes.critical, outcomes.runs),
                struck: single.then_some(outcomes),
                changed: differs,
                died_out,
            }
        })
    };
    (0..program.nodes.len() as u32).chain([u32::MAX]).filter_map(row).collect()
}

fn bit_positions(results: &[RunResult]) -> Vec<BitFaults> {
    if !single(results) {
        return Vec::new();
    }
    let mut struck: BTreeMap<u32, Vec<&RunResult>> = BTreeMap::new();
    for run in results {
        for fault in &run.faults {
            struck.entry(fault.bit).or_default().push(run);
        }
    }
    let row = |(bit, runs): (u32, Vec<&RunResult>)| {
        let struck = Outcomes::of(runs.into_iter());
        let sdc = Estimate::of(struck.sdc(), struck.runs);
        let critical = Estimate::of(struck.critical, struck.runs);
        BitFaults { bit, struck, sdc, critical }
    };
    struck.into_iter().map(row).collect()
}
