//! The report for people: a page of at most 100 columns, readable without colour.

use std::fmt::Write as _;

use isa::Hardware;

use super::schema::{Buckets, HostOp, Layer, Moved, Orders, ProgramFacts, Report};
use crate::wording::{
    WIDTH, bytes, cut, duration, energy_text, grouped, line, percent, printable, ratio,
    significant, wrapped,
};

/// Columns of an engine's bar.
const BAR: usize = 50;

/// Layers in the table.
const TOP_LAYERS: usize = 12;

/// Columns of a node's name in the table.
const NODE: usize = 34;

/// Letter of each bucket in a bar, in the order of [`Buckets::parts`].
const LETTERS: [(char, &str); Buckets::COUNT] = [
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
        let _ = writeln!(text, "{}\n", title(&self.program, &self.hardware));
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
        wrapped(text, "", &classes);
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
        wrapped(text, "", &parts);
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
        self.host_lines(text);
        self.orders_line(text);
    }

    /// Which operators the host computes, and how much of the work they are.
    fn host_lines(&self, text: &mut String) {
        for part in ["head", "tail"] {
            let ops: Vec<&HostOp> = self.host.ops.iter().filter(|op| op.part == part).collect();
            if ops.is_empty() {
                continue;
            }
            let mut names: Vec<&str> = ops.iter().map(|op| op.op.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let (count, names) = (ops.len(), printable(&names.join(", ")));
            line(text, "host", &format!("{part}: {count} operations: {names}"));
        }
        if !self.host.ops.is_empty() {
            let share = 100.0 * self.host.share;
            line(text, "", &format!("{share:.3} % of the network's operations"));
        }
    }

    fn orders_line(&self, text: &mut String) {
        let Orders { run: Some(run), differing, race } = &self.orders else { return };
        let Some(race) = race else {
            let what = format!("{} hostile orders, every byte as usual", grouped(*run));
            return line(text, "orders", &what);
        };
        let differing = grouped(differing.unwrap_or(0));
        line(text, "orders", &format!("RACE: {differing} of {} orders differ", grouped(*run)));
        for word in [&race.early, &race.late] {
            let node =
                word.node.as_deref().map_or(String::new(), |n| format!(" ({})", printable(n)));
            line(text, "", &format!("{} word {}{node}: {}", word.engine, word.index, word.text));
        }
    }

    fn engine_bars(&self, text: &mut String) {
        let total = self.cycles.total;
        text.push('\n');
        let mut seen = [false; LETTERS.len()];
        for (name, buckets) in self.cycles.engines.iter() {
            let parts = buckets.parts().map(|(_, cycles)| cycles);
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
        wrapped(text, "", &legend);
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

/// What was run, on which machine, in one line.
pub(crate) fn title(program: &ProgramFacts, hardware: &Hardware) -> String {
    let weights = match program.random_weights_seed {
        Some(seed) => format!(" with random weights (seed {seed})"),
        None => String::new(),
    };
    let title = format!(
        "{}{weights}, {}-bit weights, {}-bit activations, on {}x{} PEs, {} KiB scratchpad, {} B/cycle DRAM",
        printable(&program.model),
        program.weight_bits,
        program.act_bits,
        hardware.array_rows,
        hardware.array_cols,
        hardware.scratchpad_kib,
        hardware.dram_bytes_per_cycle,
    );
    cut(&title, WIDTH)
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn letters_stand_for_the_parts_in_their_order() {
        for ((_, letter), (part, _)) in LETTERS.iter().zip(Buckets::default().parts()) {
            assert_eq!(part.trim_start_matches("wait."), *letter);
        }
    }

    #[test]
    fn letters_differ() {
        let letters: std::collections::BTreeSet<char> =
            LETTERS.iter().map(|(letter, _)| *letter).collect();
        assert_eq!(letters.len(), LETTERS.len());
    }
}
