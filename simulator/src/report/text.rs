//! The report for people: a page of at most 100 columns, readable without colour.

use std::fmt::Write as _;

use super::schema::{Buckets, Layer, Moved, Report};

/// Widest line.
const WIDTH: usize = 100;

/// Width of the first column.
const LABEL: usize = 14;

/// Columns of an engine's bar.
const BAR: usize = 50;

/// Layers in the table.
const TOP_LAYERS: usize = 12;

/// Columns of a node's name in the table.
const NODE: usize = 34;

/// Letter of each bucket in a bar, in the order of [`parts`].
const LETTERS: [(char, &str); 15] = [
    ('#', "busy"),
    ('w', "weights"),
    ('a', "activations"),
    ('s', "accumulator"),
    ('p', "params"),
    ('D', "dram_bandwidth"),
    ('L', "dram_latency"),
    ('t', "token"),
    ('b', "bank"),
    ('c', "config"),
    ('q', "queue"),
    ('f', "fill"),
    ('d', "drain"),
    ('.', "idle"),
    ('-', "done"),
];

impl Report {
    /// The summary: time, distance to the bounds, traffic, energy, what each engine did, and the longest layers.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.traffic(&mut text);
        self.costs(&mut text);
        self.results(&mut text);
        self.engine_bars(&mut text);
        self.top_layers(&mut text);
        text
    }

    fn head(&self, text: &mut String) {
        let hardware = &self.hardware;
        let weights = match self.program.random_weights_seed {
            Some(seed) => format!(" with random weights (seed {seed})"),
            None => String::new(),
        };
        let title = format!(
            "{}{weights}, {}-bit weights, {}-bit activations, on {}x{} PEs, {} KiB scratchpad, {} B/cycle DRAM",
            printable(&self.program.model),
            self.program.weight_bits,
            self.program.act_bits,
            hardware.array_rows,
            hardware.array_cols,
            hardware.scratchpad_kib,
            hardware.dram_bytes_per_cycle,
        );
        let _ = writeln!(text, "{}\n", cut(&title, WIDTH));
        let cycles = &self.cycles;
        let rate = if self.time.us > 0.0 { 1e6 / self.time.us } else { 0.0 };
        let rate = if rate < 1000.0 { significant(rate) } else { grouped(rate as u64) };
        line(
            text,
            "cycles",
            &format!(
                "{} = {} at {} MHz, {rate} per second",
                grouped(cycles.total),
                duration(self.time.us),
                self.time.clock_mhz,
            ),
        );
        let bound = &cycles.lower_bound;
        let which = if bound.compute >= bound.dram { "compute" } else { "dram" };
        let times = if bound.total == 0 {
            String::new()
        } else {
            format!(", {:.2} x the bound", cycles.total as f64 / bound.total as f64)
        };
        line(
            text,
            "lower bound",
            &format!(
                "{} ({which}; compute {}, dram {}){times}",
                grouped(bound.total),
                grouped(bound.compute),
                grouped(bound.dram),
            ),
        );
        let macs = self.layers.iter().map(|layer| layer.macs).fold(0, u64::saturating_add);
        line(
            text,
            "MACs",
            &format!("{}, array used {}", grouped(macs), percent(self.utilization.mac)),
        );
    }

    fn traffic(&self, text: &mut String) {
        let dram = &self.traffic.dram;
        let all = |moved: &Moved| moved.read_bytes.saturating_add(moved.write_bytes);
        let bound = self.traffic.lower_bound_bytes;
        line(
            text,
            "DRAM",
            &format!(
                "{} (read {}, written {}), at least {}",
                bytes(all(&dram.total)),
                bytes(dram.total.read_bytes),
                bytes(dram.total.write_bytes),
                bytes(bound),
            ),
        );
        let classes = dram.iter().skip(1).filter(|(_, moved)| all(moved) > 0);
        let classes: Vec<String> =
            classes.map(|(name, moved)| format!("{name} {}", bytes(all(moved)))).collect();
        wrapped(text, &classes);
        let spad = &self.traffic.scratchpad.total;
        line(
            text,
            "scratchpad",
            &format!(
                "read {}, written {}, at most {} in use",
                bytes(spad.read_bytes),
                bytes(spad.write_bytes),
                bytes(self.memory.scratchpad_peak_bytes),
            ),
        );
        line(
            text,
            "program",
            &format!(
                "{}, of it weights {}",
                bytes(self.memory.program_bytes),
                bytes(self.memory.weights_bytes)
            ),
        );
    }

    fn costs(&self, text: &mut String) {
        let energy = &self.energy;
        let parts = [
            ("array", energy.array_pj),
            ("vector", energy.vector_pj),
            ("accumulators", energy.accumulator_pj),
            ("scratchpad", energy.scratchpad_pj),
            ("DRAM", energy.dram_pj),
        ];
        line(text, "energy", &format!("{} (estimate)", energy_text(energy.total_pj)));
        let parts: Vec<String> =
            parts.iter().map(|(name, pj)| format!("{name} {}", energy_text(*pj))).collect();
        wrapped(text, &parts);
        line(
            text,
            "area",
            &format!(
                "{} LUT4, {} DSP, {} FF, {} of RAM (estimate)",
                grouped(self.area.lut4),
                grouped(self.area.dsp),
                grouped(self.area.ff),
                bytes(self.area.ram_bits.div_ceil(8)),
            ),
        );
    }

    fn results(&self, text: &mut String) {
        let accuracy = &self.accuracy;
        let shares = [
            ("top-1", accuracy.top1),
            ("top-5", accuracy.top5),
            ("float top-1", accuracy.reference_top1),
            ("same as float", accuracy.agreement),
        ];
        let mut parts: Vec<String> = shares
            .iter()
            .filter_map(|(name, share)| share.map(|share| format!("{name} {}", percent(share))))
            .collect();
        parts.extend(accuracy.sqnr_db.map(|db| format!("SQNR {db:.1} dB")));
        parts.extend(accuracy.samples.map(|samples| format!("{} samples", grouped(samples))));
        // Two lines at most, so that nothing is cut.
        for (i, half) in parts.chunks(3).enumerate() {
            line(text, if i == 0 { "accuracy" } else { "" }, &half.join(", "));
        }
        for (i, top) in self.top5.iter().enumerate() {
            let name = top.name.as_deref().map_or(String::new(), |n| format!("  {}", printable(n)));
            let row = format!("{:>10.4}  class {}{name}", top.score, top.class);
            line(text, if i == 0 { "largest" } else { "" }, &row);
        }
        let layers = grouped(self.check.layers.unwrap_or(0));
        match self.check.bit_exact {
            None => {}
            Some(true) => {
                line(text, "check", &format!("bit-exact: {layers} tensors equal the host runtime"))
            }
            Some(false) => {
                let count = grouped(self.check.mismatches.unwrap_or(0));
                line(text, "check", &format!("DIFFERS: {count} elements of {layers} tensors"));
                if let Some(first) = &self.check.first_mismatch {
                    let what = format!(
                        "first: {} {:?} of sample {}: {} instead of {}",
                        printable(&first.node),
                        first.position,
                        first.sample,
                        first.found,
                        first.expected,
                    );
                    line(text, "", &what);
                }
            }
        }
    }

    fn engine_bars(&self, text: &mut String) {
        let total = self.cycles.total;
        text.push('\n');
        let mut seen = [false; LETTERS.len()];
        for (name, buckets) in self.cycles.engines.iter() {
            let parts = parts(buckets);
            let bar = bar(&parts, total);
            for (letter, seen) in LETTERS.iter().zip(&mut seen) {
                *seen |= bar.contains(letter.0);
            }
            let mut notes = format!("busy {}", percent(ratio(buckets.busy, total)));
            // Beside the work, the longest wait: all buckets but the first (busy) and the last (done).
            let waits = parts.iter().zip(LETTERS).skip(1).take(LETTERS.len() - 2);
            if let Some((&cycles, (_, wait))) = waits.max_by_key(|(cycles, _)| **cycles)
                && cycles > 0
            {
                let _ = write!(notes, ", {wait} {}", percent(ratio(cycles, total)));
            }
            let _ = writeln!(text, "{name:<6} [{bar}] {notes}");
        }
        let legend: Vec<String> = LETTERS
            .iter()
            .zip(seen)
            .filter(|&(_, seen)| seen)
            .map(|((letter, name), _)| format!("{letter} {name}"))
            .collect();
        wrapped(text, &legend);
    }

    fn top_layers(&self, text: &mut String) {
        let mut layers: Vec<&Layer> = self.layers.iter().collect();
        if layers.is_empty() {
            return;
        }
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.cycles));
        let _ = writeln!(
            text,
            "\n{:<NODE$} {:<14} {:>12} {:>6} {:>6} {:>9}  bound",
            "node", "op", "cycles", "share", "used", "DRAM",
        );
        for layer in layers.iter().take(TOP_LAYERS) {
            let used = layer.utilization.map_or_else(|| "-".to_owned(), percent);
            let moved = layer.dram.read_bytes.saturating_add(layer.dram.write_bytes);
            let row = format!(
                "{:<NODE$} {:<14} {:>12} {:>6} {used:>6} {:>9}  {}",
                cut(&printable(&layer.node), NODE),
                cut(&printable(&layer.op), 14),
                grouped(layer.cycles),
                percent(ratio(layer.cycles, self.cycles.total)),
                bytes(moved),
                layer.bound,
            );
            let _ = writeln!(text, "{}", cut(&row, WIDTH));
        }
        let left: u64 = layers.iter().skip(TOP_LAYERS).map(|layer| layer.cycles).sum();
        if let Some(more @ 1..) = layers.len().checked_sub(TOP_LAYERS) {
            let name = format!("{more} more");
            let share = percent(ratio(left, self.cycles.total));
            let _ = writeln!(text, "{name:<NODE$} {:<14} {:>12} {share:>6}", "", grouped(left));
        }
    }
}

/// Cycles in the order of [`LETTERS`].
fn parts(buckets: &Buckets) -> [u64; LETTERS.len()] {
    let wait = &buckets.wait;
    [
        buckets.busy,
        wait.weights,
        wait.activations,
        wait.accumulator,
        wait.params,
        wait.dram_bandwidth,
        wait.dram_latency,
        wait.token,
        wait.bank,
        wait.config,
        wait.queue,
        wait.fill,
        wait.drain,
        buckets.idle,
        buckets.done,
    ]
}

/// A bar of [`BAR`] letters in proportion: boundaries between buckets are rounded, so that the bar is never longer or shorter.
fn bar(parts: &[u64; LETTERS.len()], total: u64) -> String {
    let mut bar = String::with_capacity(BAR);
    let mut sum = 0u128;
    let mut filled = 0;
    for (cycles, (letter, _)) in parts.iter().zip(LETTERS) {
        sum += u128::from(*cycles);
        let whole = u128::from(total.max(1));
        let end = ((2 * sum * BAR as u128 + whole) / (2 * whole)).min(BAR as u128) as usize;
        bar.extend(std::iter::repeat_n(letter, end - filled));
        filled = end;
    }
    bar.extend(std::iter::repeat_n(' ', BAR - filled));
    bar
}

fn line(text: &mut String, label: &str, rest: &str) {
    let _ = writeln!(text, "{label:<LABEL$}{}", cut(rest, WIDTH - LABEL));
}

/// Parts joined by commas, on as many lines below a label as they take.
fn wrapped(text: &mut String, parts: &[String]) {
    let mut row = String::new();
    for part in parts {
        if !row.is_empty() && row.chars().count() + 2 + part.chars().count() > WIDTH - LABEL {
            line(text, "", &row);
            row.clear();
        }
        if !row.is_empty() {
            row.push_str(", ");
        }
        row.push_str(part);
    }
    if !row.is_empty() {
        line(text, "", &row);
    }
}

/// Names come from files: nothing in them may steer a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// At most `width` characters; what is left out in the middle is marked, because names differ at their ends.
fn cut(text: &str, width: usize) -> String {
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
fn grouped(value: u64) -> String {
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

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(share: f64) -> String {
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
fn significant(value: f64) -> String {
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Decimal prefixes, as bandwidths use them.
fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    scaled(count as f64, &[(1e9, "GB"), (1e6, "MB"), (1e3, "KB")])
}

fn duration(us: f64) -> String {
    scaled(us, &[(1e6, "s"), (1e3, "ms"), (1.0, "us"), (1e-3, "ns")])
}

fn energy_text(pj: f64) -> String {
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

    #[test]
    fn a_bar_is_always_as_long() {
        let mut parts = [0; LETTERS.len()];
        parts[0] = 1;
        parts[1] = 1;
        parts[13] = 1;
        let bar_text = bar(&parts, 3);
        assert_eq!(bar_text.chars().count(), BAR);
        assert_eq!(bar_text.matches('#').count(), 17);
        assert_eq!(bar(&[0; LETTERS.len()], 0).trim(), "");
        parts[0] = u64::MAX;
        assert_eq!(bar(&parts, u64::MAX), "#".repeat(BAR));
    }

    #[test]
    fn letters_differ() {
        let letters: std::collections::BTreeSet<char> =
            LETTERS.iter().map(|(letter, _)| *letter).collect();
        assert_eq!(letters.len(), LETTERS.len());
    }
}
