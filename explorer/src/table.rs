//! A study as text, JSON and CSV.

use std::fmt::Write;

use crate::study::{Row, Study};

/// A column: its head, and its cell in a row; of numbers, so ranged right.
type Column = (&'static str, fn(&Row) -> Option<String>);

const COLUMNS: &[Column] = &[
    ("bytes", |row| row.bytes.map(grouped)),
    ("of float", |row| row.of_float.map(|v| format!("{v:.3}"))),
    ("top-1", |row| row.top1.map(percent)),
    ("agreement", |row| row.agreement.map(percent)),
    ("SQNR dB", |row| row.sqnr_db.map(|v| format!("{v:.1}"))),
    ("host time", |row| row.host_time.map(|v| format!("{v:.2}"))),
    ("cycles", |row| row.cycles.map(grouped).or(row.host_only.then(|| "host only".into()))),
    ("DRAM bytes", |row| row.dram_bytes.map(grouped)),
];

impl Study {
    /// A table for people, with what its columns mean.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}: {} samples\n\n", self.model, grouped(self.samples));
        let name = self.rows.iter().map(|row| row.scheme.len()).max().unwrap_or(0);
        let cells = |row: &Row| -> Vec<String> {
            COLUMNS.iter().map(|(_, cell)| cell(row).unwrap_or_else(|| "-".into())).collect()
        };
        let widths: Vec<usize> = (COLUMNS.iter().enumerate())
            .map(|(i, (head, _))| {
                let widest = self.rows.iter().map(|row| cells(row)[i].len()).max();
                widest.unwrap_or(0).max(head.len())
            })
            .collect();
        let mut line = |first: &str, cells: &[String]| {
            let _ = write!(text, "{first:name$}");
            for (cell, &width) in cells.iter().zip(&widths) {
                let _ = write!(text, "  {cell:>width$}");
            }
            text.push('\n');
        };
        let heads: Vec<String> = COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect();
        line("scheme", &heads);
        for row in &self.rows {
            line(row.scheme, &cells(row));
        }
        for row in &self.rows {
            if let Some(reason) = &row.refused {
                let _ = write!(text, "\n{}: {reason}\n", row.scheme);
            }
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

    /// A line of names, then one for each scheme; empty where there is nothing.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = String::from(
            "scheme,options,host_only,bytes,of_float,top1,agreement,sqnr_db,host_time,cycles,dram_bytes,refused\n",
        );
        let quoted = |s: &str| format!("\"{}\"", s.replace('"', "\"\""));
        let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
        let count = |v: Option<u64>| v.map_or(String::new(), |v| v.to_string());
        for row in &self.rows {
            let cells = [
                quoted(row.scheme),
                quoted(row.options.as_deref().unwrap_or("")),
                row.host_only.to_string(),
                count(row.bytes),
                number(row.of_float),
                number(row.top1),
                number(row.agreement),
                number(row.sqnr_db),
                number(row.host_time),
                count(row.cycles),
                count(row.dram_bytes),
                quoted(row.refused.as_deref().unwrap_or("")),
            ];
            let _ = writeln!(text, "{}", cells.join(","));
        }
        text
    }
}

/// What the columns and the names mean.
const NOTES: &str = "
bytes: constants as stored; agreement, SQNR: with float32
host time: one sample on one thread over float32, median of runs in turn; noisy, and floats pay for
  starting a thread each time, which weighs on small networks
host only: needs floating point at run time; all others are what `qcc` compiles with the options
  that --format json names, and `qsim` reports the same of them
W4A4: 4-bit activations are stored and computed as 8-bit ones, so cycles are those of W4A8
";

fn percent(fraction: f64) -> String {
    format!("{:.2}%", 100.0 * fraction)
}

/// Digits in groups of three.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_absent_ones_are_dashes() {
        let row = |scheme, bytes| Row {
            scheme,
            options: None,
            host_only: true,
            bytes,
            of_float: None,
            top1: Some(0.5),
            agreement: None,
            sqnr_db: None,
            host_time: None,
            cycles: None,
            dram_bytes: Some(1_234_567),
            refused: bytes.is_none().then(|| "because".to_owned()),
        };
        let rows = vec![row("a", Some(1234)), row("long name", None)];
        let study = Study { model: "m".into(), samples: 1000, rows };
        let text = study.to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "m: 1,000 samples");
        assert!(lines[3].starts_with("a          1,234         -  50.00%"), "{text}");
        assert!(lines[4].ends_with("host only   1,234,567"), "{text}");
        assert!(text.contains("\nlong name: because\n"), "{text}");
        assert!(
            study.to_csv().ends_with("\"long name\",\"\",true,,,0.5,,,,,1234567,\"because\"\n")
        );
    }
}
