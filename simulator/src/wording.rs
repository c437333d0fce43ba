//! Words and numbers of the pages for people: text of at most [`WIDTH`] columns is readable without colour.

use std::fmt::Write as _;

/// Widest line.
pub(crate) const WIDTH: usize = 100;

/// Width of the first column.
pub(crate) const LABEL: usize = 14;

pub(crate) fn line(text: &mut String, label: &str, rest: &str) {
    let _ = writeln!(text, "{label:<LABEL$}{}", cut(rest, WIDTH - LABEL));
}

/// Parts joined by commas behind a label, on as many lines as they take.
pub(crate) fn wrapped(text: &mut String, label: &str, parts: &[String]) {
    let mut label = label;
    let mut row = String::new();
    for part in parts {
        if !row.is_empty() && row.chars().count() + 2 + part.chars().count() > WIDTH - LABEL {
            line(text, std::mem::take(&mut label), &row);
            row.clear();
        }
        if !row.is_empty() {
            row.push_str(", ");
        }
        row.push_str(part);
    }
    if !row.is_empty() {
        line(text, label, &row);
    }
}

/// Names come from files: nothing in them may steer a terminal.
#[must_use]
pub fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// At most `width` characters; what is left out in the middle is marked, because names differ at their ends.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(2);
    let front = kept / 2;
    let start = text.chars().take(front);
    let end = text.chars().skip(count - (kept - front));
    start.chain("..".chars()).chain(end).collect()
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A share as `12.3%`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A number with a unit prefix: the largest one that leaves at least 1.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = units.iter().find(|(size, _)| value >= *size).or(units.last());
    match fits {
        Some((size, unit)) => format!("{} {unit}", significant(value / size)),
        None => significant(value),
    }
}

/// Three significant digits, more only before the decimal point.
#[must_use]
pub fn significant(value: f64) -> String {
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Decimal prefixes, as bandwidths use them.
#[must_use]
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    scaled(count as f64, &[(1e9, "GB"), (1e6, "MB"), (1e3, "KB")])
}

/// Microseconds with the prefix that suits them.
#[must_use]
pub fn duration(us: f64) -> String {
    scaled(us, &[(1e6, "s"), (1e3, "ms"), (1.0, "us"), (1e-3, "ns")])
}

/// Picojoules with the prefix that suits them.
#[must_use]
pub fn energy_text(pj: f64) -> String {
    scaled(pj, &[(1e12, "J"), (1e9, "mJ"), (1e6, "uJ"), (1e3, "nJ"), (1.0, "pJ")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1000, 12_345, 999_999_999].map(bytes),
            ["0 B", "999 B", "1.00 KB", "12.3 KB", "1000 MB"]
        );
        assert_eq!(duration(0.25), "250 ns");
        assert_eq!(duration(1234.5), "1.23 ms");
        assert_eq!(energy_text(0.0), "0.00 pJ");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(cut("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut("abcdefghi", 8), "abc..ghi");
        assert_eq!(printable("a\x1b[31m\nb"), "a?[31m?b");
    }
}
