//! A fault report for people, and as comma-separated values.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::report::{Campaign, Estimate, FaultAccuracy, FaultReport, Outcomes, VerifierCounts};
use crate::report::csv::cell;
use crate::wording::{WIDTH, cut, grouped, line, printable, ratio, wrapped};

/// Columns of a name.
const NAME: usize = 22;

/// Columns of the CSV.
pub(super) const COLUMNS: [&str; 15] = [
    "spec",
    "group",
    "name",
    "runs",
    "masked",
    "benign",
    "critical",
    "detected",
    "sdc",
    "sdc_low",
    "sdc_high",
    "critical_rate",
    "critical_low",
    "critical_high",
    "changed",
];

impl FaultReport {
    /// A table of the campaigns, then for each what detected the faults, accuracy, layers and bit positions.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = cut(&printable(&self.program.model), WIDTH) + "\n\n";
        let facts = [
            (
                "runs",
                format!(
                    "{} of each campaign on {} samples, seed {}",
                    grouped(self.runs),
                    grouped(self.samples),
                    self.seed
                ),
            ),
            ("cycles", format!("{} without faults", grouped(self.cycles))),
        ];
        for (label, fact) in facts {
            line(&mut text, label, &fact);
        }
        let _ = writeln!(text, "\n{}", header("faults"));
        for campaign in &self.campaigns {
            let Campaign { outcomes, rates, .. } = campaign;
            let row = row(&campaign.spec, outcomes, Some(&rates.sdc), Some(&rates.critical));
            let _ = writeln!(text, "{row}");
        }
        self.campaigns.iter().for_each(|campaign| campaign.details(&mut text));
        text.push_str(
            "\nmasked: outputs as without the fault; benign: outputs differ, same arg-max; critical: another\n\
             arg-max; detected: refused, trapped or hung. SDC: benign and critical; in brackets the 95%\n\
             confidence interval (Wilson).\n",
        );
        text
    }

    /// One line of column names, then for each campaign a line for all runs, one per layer and one per bit position.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = COLUMNS.join(",") + "\n";
        for campaign in &self.campaigns {
            let mut row = |group: &str,
                           name: &str,
                           outcomes: Option<&Outcomes>,
                           estimates: [Option<&Estimate>; 2],
                           changed: Option<u64>| {
                let counts = outcomes.map(|o| [o.runs, o.masked, o.benign, o.critical, o.detected]);
                let counts = (0..5).map(|i| json!(counts.map(|counts| counts[i])));
                let rates = estimates.into_iter().flat_map(|e| {
                    [json!(e.map(|e| e.rate)), json!(e.map(|e| e.low)), json!(e.map(|e| e.high))]
                });
                let names = [campaign.spec.as_str(), group, name].map(Value::from);
                let cells = names.into_iter().chain(counts).chain(rates).chain([json!(changed)]);
                text.push_str(&cells.map(|value| cell(&value)).collect::<Vec<_>>().join(","));
                text.push('\n');
            };
            let rates = &campaign.rates;
            row(
                "total",
                "",
                Some(&campaign.outcomes),
                [Some(&rates.sdc), Some(&rates.critical)],
                Some(campaign.visible),
            );
            for layer in &campaign.layers {
                let estimates = [layer.sdc.as_ref(), layer.critical.as_ref()];
                row("layer", &layer.node, layer.struck.as_ref(), estimates, Some(layer.changed));
            }
            for bit in &campaign.bit_positions {
                let estimates = [Some(&bit.sdc), Some(&bit.critical)];
                row("bit", &bit.bit.to_string(), Some(&bit.struck), estimates, None);
            }
        }
        text
    }
}

impl Campaign {
    fn details(&self, text: &mut String) {
        let _ = writeln!(text, "\n{}", cut(&printable(&self.spec), WIDTH));
        let mut memory = vec![format!("{} bits", grouped(self.bits))];
        if let Some(live) = self.live {
            memory
                .push(format!("{} of bits and cycles hold a value still to be read", share(live)));
        }
        if self.share < 1.0 {
            memory.push(format!("faults in {}", share(self.share)));
        }
        wrapped(text, "  memory", &memory);
        let mean = ratio(self.flips, self.outcomes.runs);
        line(text, "  flips", &format!("{}, {mean:.3} a run", grouped(self.flips)));
        let rates = &self.rates;
        let sdc = [
            estimate(&rates.sdc),
            format!("another arg-max {}", estimate(&rates.critical)),
            format!("arg-max not in the top 5 {}", estimate(&rates.sdc5)),
        ];
        wrapped(text, "  SDC", &sdc);
        self.detections(text);
        let seen = [
            format!("{} runs change the result of a layer", grouped(self.visible)),
            format!("in {} of them that dies out before the outputs", grouped(self.died_out)),
        ];
        wrapped(text, "  visible", &seen);
        let FaultAccuracy { answered, agreement, top1, fault_free_top1 } = &self.accuracy;
        let answered = format!("over {} answers", grouped(*answered));
        if let (Some(now), Some(before)) = (top1, fault_free_top1) {
            let parts = [share(*now) + " with faults", share(*before) + " without", answered];
            wrapped(text, "  accuracy", &parts);
        } else if let Some(agreement) = agreement {
            let parts = [share(*agreement) + " with the fault-free arg-max", answered];
            wrapped(text, "  agreement", &parts);
        }
        self.tables(text);
    }

    fn detections(&self, text: &mut String) {
        if self.outcomes.detected > 0 {
            let by = &self.detected_by;
            let mut parts = vec![estimate(&self.rates.detected)];
            let kinds = [
                (by.decode, "no instruction"),
                (by.check, "illegal where it stands"),
                (by.hang, "hang"),
                (by.trap, "trap"),
            ];
            let found = kinds.iter().filter(|(count, _)| *count > 0);
            parts.extend(found.map(|(count, what)| format!("{} {what}", grouped(*count))));
            wrapped(text, "  detected", &parts);
        }
        if let Some(VerifierCounts { accepted, found, sdc, sdc_found }) = &self.verifier {
            let of = |part: &u64, whole: &u64| format!("{} of {}", grouped(*part), grouped(*whole));
            let parts = [
                format!("refuses {} that the machine accepts", of(found, accepted)),
                format!("{} that corrupt silently", of(sdc_found, sdc)),
            ];
            wrapped(text, "  qsim verify", &parts);
        }
    }

    fn tables(&self, text: &mut String) {
        if self.layers.iter().any(|layer| layer.struck.is_some()) {
            let _ = writeln!(text, "\n{}", header("  used by layer"));
        }
        for layer in &self.layers {
            let Some(struck) = &layer.struck else { continue };
            let name = if layer.node.is_empty() { "(none)" } else { &layer.node };
            let row =
                row(&format!("  {name}"), struck, layer.sdc.as_ref(), layer.critical.as_ref());
            let _ = writeln!(text, "{row}");
        }
        let mut changed = self.layers.iter().filter(|layer| layer.changed > 0).peekable();
        if changed.peek().is_some() {
            let _ = writeln!(
                text,
                "\n{:<NAME$} {:>8} {:>8}",
                "  result of layer", "changed", "died out"
            );
        }
        for layer in changed {
            let name = cut(&format!("  {}", printable(&layer.node)), NAME);
            let _ = writeln!(text, "{name:<NAME$} {:>8} {:>8}", layer.changed, layer.died_out);
        }
        if !self.bit_positions.is_empty() {
            let _ = writeln!(text, "\n{}", header("  bit"));
        }
        // Words of 128 bits by eight neighbours; the other forms have every bit.
        let last = self.bit_positions.last().map_or(0, |bit| bit.bit);
        let step = if last < 32 { 1 } else { 8 };
        for bits in self.bit_positions.chunk_by(|a, b| a.bit / step == b.bit / step) {
            let first = bits[0].bit / step * step;
            let name = if step == 1 {
                format!("  {first}")
            } else {
                format!("  {first}..{}", first + step)
            };
            let struck = bits.iter().fold(Outcomes::default(), |sum, bit| sum.plus(&bit.struck));
            let sdc = Estimate::of(struck.sdc(), struck.runs);
            let critical = Estimate::of(struck.critical, struck.runs);
            let _ = writeln!(text, "{}", row(&name, &struck, Some(&sdc), Some(&critical)));
        }
    }
}

fn header(first: &str) -> String {
    let counts = format!(
        "{first:<NAME$} {:>7} {:>7} {:>7} {:>8} {:>8}",
        "runs", "masked", "benign", "critical", "detected"
    );
    format!("{counts}  {:<16} critical %", "SDC %")
}

fn row(
    name: &str,
    outcomes: &Outcomes,
    sdc: Option<&Estimate>,
    critical: Option<&Estimate>,
) -> String {
    let name = cut(&printable(name), NAME);
    let Outcomes { runs, masked, benign, critical: wrong, detected } = outcomes;
    let short = |estimate: Option<&Estimate>| match estimate {
        Some(e) => format!("{} [{}-{}]", points(e.rate), points(e.low), points(e.high)),
        None => "-".to_owned(),
    };
    format!(
        "{name:<NAME$} {runs:>7} {masked:>7} {benign:>7} {wrong:>8} {detected:>8}  {:<16} {}",
        short(sdc),
        short(critical),
    )
}

/// Percent with as many digits as small shares need.
fn points(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        p if p >= 9.95 => format!("{p:.0}"),
        p if p >= 0.995 || p == 0.0 => format!("{p:.1}"),
        p => format!("{p:.2}"),
    }
}

fn share(value: f64) -> String {
    format!("{:.2}%", 100.0 * value)
}

fn estimate(e: &Estimate) -> String {
    format!("{} [{}, {}]", share(e.rate), share(e.low), share(e.high))
}
