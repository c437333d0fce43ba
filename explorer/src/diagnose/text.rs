//! A diagnosis for people.

use std::fmt::Write;

use super::cause::percent;
use super::{Diagnosis, Finding, Spread};

/// Difference between the whole and the sum of its sources from which on predictions are uncertain.
const INTERPLAY_DB: f64 = 1.0;

impl Diagnosis {
    /// Text with the `top` worst sources.
    #[must_use]
    pub fn to_text(&self, top: usize) -> String {
        let db = |v: Option<f64>| v.map_or_else(|| "no noise".into(), |v| format!("{v:.1} dB"));
        let mut text = format!(
            "{}: outputs {} on {} samples; the {} sources below, each alone and added up, {}\n\n",
            self.model,
            db(self.sqnr_db),
            self.samples,
            self.sources.len(),
            db(self.predicted_sqnr_db)
        );
        for loss in self.loss.iter().filter(|loss| loss.share > 0.0) {
            let _ = writeln!(text, "{:>8}  {}", percent(loss.share), loss.kind);
        }
        if let Some(apart) = self.sqnr_db.zip(self.predicted_sqnr_db).map(|(a, b)| (a - b).abs())
            && apart > INTERPLAY_DB
        {
            let _ = writeln!(
                text,
                "\nthe two differ by {apart:.1} dB: sources act on each other, and predicted gains are as uncertain"
            );
        }
        text.push('\n');
        let shown = &self.sources[..top.min(self.sources.len())];
        let name = shown.iter().map(|f| label(f).len()).max().unwrap_or(0).max("source".len());
        let _ = writeln!(
            text,
            "{:name$}  {:>7}  {:>9}  {:>9}  cause",
            "source", "share", "alone dB", "passed on"
        );
        let number = |v: Option<f64>| v.map_or_else(|| "-".into(), |v| format!("{v:.1}"));
        for finding in shown {
            let passed = finding.passed_on_db.map_or_else(|| "-".into(), |v| format!("{v:+.1}"));
            let _ = writeln!(
                text,
                "{:name$}  {:>7}  {:>9}  {passed:>9}  {}",
                label(finding),
                percent(finding.share),
                number(finding.output_sqnr_db),
                finding.cause
            );
            if let (Some(fix), Some(gain)) = (&finding.fix, finding.predicted_gain_db) {
                let _ = writeln!(text, "{:name$}           {fix}: {gain:+.2} dB predicted", "");
            }
        }
        if let Some(rest) = self.sources.get(shown.len()..).filter(|rest| !rest.is_empty()) {
            let share: f64 = rest.iter().map(|finding| finding.share).sum();
            let _ = writeln!(text, "{} more sources: {} (--top)", rest.len(), percent(share));
        }
        if let Some(spread) = &self.spread {
            spread.write(&mut text);
        }
        text.push_str(NOTES);
        text
    }

    /// One JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and finite numbers have a JSON form")
            + "\n"
    }
}

impl Spread {
    fn write(&self, text: &mut String) {
        text.push_str("\ncalibrated on disjoint subsets of the samples:\n");
        for subset in &self.subsets {
            let sqnr = subset.sqnr_db.map_or_else(|| "no noise".into(), |v| format!("{v:.1} dB"));
            let _ = writeln!(text, "  {:>5} samples: {sqnr}", subset.samples);
        }
        let ratios: Vec<String> =
            self.widest.iter().map(|(name, ratio)| format!("{name} {ratio:.2}x")).collect();
        let _ = writeln!(text, "  ranges that differ most: {}", ratios.join(", "));
    }
}

fn label(finding: &Finding) -> String {
    format!("{} ({} {})", finding.name, finding.operator, finding.part)
}

const NOTES: &str = "
share      of the noise power at the outputs, if all sources are added up
alone dB   signal to noise at the outputs with this source as the only one
passed on  how much its noise grows relative to the signal on the way to the outputs
";
