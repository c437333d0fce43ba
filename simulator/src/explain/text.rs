//! An explanation for people: a table of the layers, or a page about one.

use std::fmt::Write as _;

use isa::Hardware;

use super::schema::{Computed, Explanation, Extremes, Gap, LayerPage, Tensor, Words};
use crate::report::Buckets;
use crate::report::text::title;
use crate::wording::{bytes, cut, grouped, line, percent, printable, ratio, wrapped};

/// Columns of a layer's name in the table.
const NODE: usize = 28;

impl Explanation {
    /// The table of all layers.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n\n", title(&self.program, &self.hardware));
        let bound = &self.lower_bound;
        let times = ratio(self.total_cycles, bound.total);
        line(
            &mut text,
            "cycles",
            &format!(
                "{}, lower bound {} (compute {}, dram {}), {times:.2} x the bound",
                grouped(self.total_cycles),
                grouped(bound.total),
                grouped(bound.compute),
                grouped(bound.dram),
            ),
        );
        let _ = writeln!(
            text,
            "\n{:>3} {:<NODE$} {:<11} {:<12} {:>13} {:>10} {:>10} {:>6} {:>8} {:>8}  most of the gap",
            "#", "layer", "op", "shape", "MACs", "cycles", "at least", "used", "DRAM", "at least",
        );
        for layer in &self.layers {
            let report = &layer.report;
            let shape = layer.output.as_ref().map_or_else(|| "-".to_owned(), |t| extents(&t.shape));
            let moved = report.dram.read_bytes.saturating_add(report.dram.write_bytes);
            let _ = writeln!(
                text,
                "{:>3} {:<NODE$} {:<11} {:<12} {:>13} {:>10} {:>10} {:>6} {:>8} {:>8}  {}",
                layer.number,
                cut(&printable(&report.node), NODE),
                cut(&printable(&report.op), 11),
                cut(&shape, 12),
                grouped(report.macs),
                grouped(report.cycles),
                grouped(report.lower_bound.total),
                report.utilization.map_or_else(|| "-".to_owned(), percent),
                bytes(moved),
                bytes(report.lower_bound.dram_bytes),
                layer.gap.reason(),
            );
        }
        if self.layers.is_empty() {
            text.push_str("the program names no layers\n");
        }
        text
    }
}

impl LayerPage {
    /// The page about this layer.
    #[must_use]
    pub fn to_text(&self, hardware: &Hardware) -> String {
        let mut text = String::new();
        let name = printable(&self.report.node);
        line(&mut text, &format!("layer {}", self.number), &format!("{name} ({})", self.report.op));
        if !self.onnx_nodes.is_empty() {
            let names: Vec<String> = self.onnx_nodes.iter().map(|name| printable(name)).collect();
            wrapped(&mut text, "ONNX nodes", &names);
        }
        match &self.computes[..] {
            [] => {
                if let Some(output) = &self.output {
                    line(&mut text, "makes", &described(output));
                }
            }
            nodes => nodes.iter().for_each(|node| computed(&mut text, node, hardware)),
        }
        self.memory(&mut text, hardware);
        self.words(&mut text);
        self.window(&mut text);
        self.distance(&mut text, hardware);
        text
    }

    fn memory(&self, text: &mut String, hardware: &Hardware) {
        text.push('\n');
        line(text, "tile", &printable(&self.report.tile));
        let memory = &self.memory;
        let scratchpad = bytes(u64::from(hardware.scratchpad_kib) * 1024);
        let in_use = bytes(memory.scratchpad_peak_bytes);
        line(text, "scratchpad", &format!("at most {in_use} of {scratchpad} in use in its cycles"));
        if memory.accumulator_banks > 0 {
            let (rows, banks) = (memory.accumulator_rows, memory.accumulator_banks);
            let of = hardware.acc_rows;
            line(text, "accumulators", &format!("{rows} of {of} rows in each of {banks} banks"));
        }
        let dram = &self.report.dram;
        line(
            text,
            "DRAM",
            &format!(
                "read {}, written {}; at least {} in all",
                bytes(dram.read_bytes),
                bytes(dram.write_bytes),
                bytes(self.report.lower_bound.dram_bytes),
            ),
        );
    }

    fn words(&self, text: &mut String) {
        text.push('\n');
        for (engine, words) in self.words.iter().filter(|(_, words)| words.count > 0) {
            let Words { first, last, count, mnemonics, listing } = words;
            let kinds: Vec<String> =
                mnemonics.iter().map(|kind| format!("{} {}", kind.count, kind.name)).collect();
            let range = format!("{}..={}", first.unwrap_or(0), last.unwrap_or(0));
            line(text, &format!("{engine} words"), &format!("{count} at {range}"));
            wrapped(text, "", &kinds);
            for word in listing {
                let _ = writeln!(text, "    {word}");
            }
        }
    }

    fn window(&self, text: &mut String) {
        let report = &self.report;
        let span = report.span.as_ref().map_or_else(
            || "no instruction of its own".to_owned(),
            |span| format!("from first issue to last completion {}..{}", span.first, span.last),
        );
        text.push('\n');
        line(text, "cycles", &format!("{}; {span}", grouped(report.cycles)));
        let engines: Vec<(&str, [(&str, u64); Buckets::COUNT])> =
            self.window.iter().map(|(name, buckets)| (name, buckets.parts())).collect();
        let heads: String = engines.iter().map(|(name, _)| format!(" {name:>11}")).collect();
        let _ = writeln!(text, "{:<20}{heads}", "  in them");
        for i in 0..Buckets::COUNT {
            let cells = engines.iter().map(|(_, parts)| parts[i].1);
            if cells.clone().any(|cycles| cycles > 0) {
                let cells: String =
                    cells.map(|cycles| format!(" {:>11}", grouped(cycles))).collect();
                let name = engines.first().map_or("", |(_, parts)| parts[i].0);
                let _ = writeln!(text, "    {name:<16}{cells}");
            }
        }
    }

    fn distance(&self, text: &mut String, hardware: &Hardware) {
        let (gap, bound) = (&self.gap, &self.report.lower_bound);
        let _ = writeln!(text, "\ndistance to the bound, in cycles of {}", gap.engine);
        let macs = format!("{} MACs take {}", grouped(self.report.macs), grouped(bound.compute));
        let dram = format!(
            "{} at {} B/cycle take {}",
            bytes(bound.dram_bytes),
            hardware.dram_bytes_per_cycle,
            grouped(bound.dram)
        );
        let mut row = |sign: &str, cycles: u64, what: &str| {
            let _ = writeln!(text, "{sign:>3} {:>13}  {what}", grouped(cycles));
        };
        row("", gap.lower_bound, &format!("lower bound: {macs}; {dram}"));
        for (name, cycles) in gap.parts().filter(|(_, cycles)| *cycles != 0) {
            let sign = if cycles < 0 { "-" } else { "+" };
            row(sign, cycles.unsigned_abs(), &gap.meaning(name));
        }
        row("=", self.report.cycles, "cycles of the layer");
    }
}

/// What one node of the integer graph computes.
fn computed(text: &mut String, node: &Computed, hardware: &Hardware) {
    text.push('\n');
    let what = format!("{} ({} of ONNX node {})", node.op, node.onnx_op, node.name);
    line(text, "computes", &printable(&what));
    node.inputs.iter().for_each(|tensor| line(text, "  in", &described(tensor)));
    if let Some(weights) = &node.weights {
        let shape = extents(&weights.shape);
        line(text, "  weights", &format!("{shape}, {} bits", weights.bits));
    }
    line(text, "  out", &described(&node.output));
    let range = |Extremes { min, max }: &Extremes| match min == max {
        true => min.to_string(),
        false => format!("{min}..={max}"),
    };
    let parts: Vec<String> = [
        ("multipliers", &node.multipliers),
        ("shifts", &node.shifts),
        ("saturates to", &node.saturation),
    ]
    .into_iter()
    .filter_map(|(name, values)| Some(format!("{name} {}", range(values.as_ref()?))))
    .collect();
    if !parts.is_empty() {
        line(text, "  requantizes", &parts.join(", "));
    }
    if let Some(bits) = node.accumulator_bits {
        let has = hardware.acc_bits;
        line(text, "  accumulator", &format!("{bits} bits hold every sum (proved), it has {has}"));
    }
}

fn described(tensor: &Tensor) -> String {
    let Tensor { name, shape, bits, scale, zero_point } = tensor;
    let shape = extents(shape);
    format!("{} {shape} int{bits}, scale {scale}, zero point {zero_point}", printable(name))
}

fn extents(shape: &[u32]) -> String {
    shape.iter().map(u32::to_string).collect::<Vec<_>>().join("x")
}

impl Gap {
    /// The largest part, in few words.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.main.as_str(), self.engine.as_str()) {
            ("none", _) => "-".to_owned(),
            ("mapping", "mxu") => "array not filled".to_owned(),
            ("mapping", "vpu") => "vector work".to_owned(),
            ("mapping", _) => "transfers".to_owned(),
            ("other_layers", _) => "other layers".to_owned(),
            ("idle" | "done", _) => "other engines".to_owned(),
            (main, _) => match main.strip_prefix("wait.") {
                Some(cause) => format!("waits: {cause}"),
                None => main.to_owned(),
            },
        }
    }

    /// A part in words.
    fn meaning(&self, part: &str) -> String {
        let words = match (part, self.engine.as_str()) {
            ("mapping", "mxu") => {
                "rows, columns or taps of the array that multiply nothing, and register words"
            }
            ("mapping", "vpu") => "vector work beyond multiplications at the peak",
            ("mapping", _) => "transfers and register words",
            ("overlapped", _) => "done beside other layers, outside of these cycles",
            ("other_layers", _) => "busy for other layers",
            ("idle", _) => "nothing to do but wait for other engines",
            ("done", _) => "halted, while other engines finish",
            _ => return part.replace("wait.", "waits: "),
        };
        format!("{part}: {words}")
    }
}
