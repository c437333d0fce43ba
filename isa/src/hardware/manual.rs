//! The manual page of the hardware parameters, generated from the list.

use std::fmt::Write as _;

use super::{CONSTRAINTS, Hardware, PRESETS, activation_passes, k_rows_per_pe};
use crate::numerics::Rounding;

/// Markdown: every parameter, the rules between them, the presets, and the throughput of the array by bit width.
#[must_use]
pub fn manual() -> String {
    let mut text = String::from(
        "# Hardware parameters\n\n\
         Generated from the list in `isa/src/hardware/params.rs`. In a TOML file write every parameter, or\n\
         `preset = \"edge16\"` and those that differ. On the command line: `--hw edge16 --set array_rows=32`.\n\
         A program runs only on a machine equal to the one it was compiled for, except in timing-only parameters.\n",
    );
    parameters(&mut text);
    rules(&mut text);
    presets(&mut text);
    throughput(&mut text);
    text
}

fn parameters(text: &mut String) {
    text.push_str(
        "\n## Parameters\n\n| name | unit | default | range | timing only | meaning |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for info in Hardware::PARAMS {
        let pow2 = if info.pow2 { ", power of two" } else { "" };
        let timing = if info.timing_only { "yes" } else { "" };
        let doc: Vec<&str> = info.doc.lines().map(str::trim).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}..={}{pow2} | {timing} | {} |",
            info.name,
            info.unit,
            info.default,
            info.min,
            info.max,
            doc.join(" "),
        );
    }
    let modes = Rounding::ALL.map(Rounding::name).join(", ");
    let _ = writeln!(
        text,
        "| `rounding` | - | {} | {modes} |  | Rounding mode of every requantization. |",
        Rounding::default(),
    );
    text.push_str(
        "\nEnergy defaults: M. Horowitz, \"Computing's energy problem (and what we can do about it)\", ISSCC 2014\n\
         (45 nm); the meaning column shows how each follows. They rank designs and do not predict a chip.\n",
    );
}

fn rules(text: &mut String) {
    text.push_str("\n## Rules between parameters\n\n");
    for rule in CONSTRAINTS {
        let _ = writeln!(text, "- {}.", rule.message);
    }
}

fn presets(text: &mut String) {
    let _ = writeln!(text, "\n## Presets\n\n| parameter | {} |", PRESETS.join(" | "));
    let _ = writeln!(text, "| --- |{}", " --- |".repeat(PRESETS.len()));
    let machines: Vec<Hardware> =
        PRESETS.iter().filter_map(|name| Hardware::preset(name)).collect();
    for name in Hardware::names() {
        let values: Vec<String> = machines.iter().map(|hw| hw.value_text(name)).collect();
        let _ = writeln!(text, "| `{name}` | {} |", values.join(" | "));
    }
}

fn throughput(text: &mut String) {
    text.push_str(
        "\n## Throughput of the array by bit width\n\n\
         Two weights of at most 4 bits share a processing element and feed one partial sum, so a tile is twice as deep\n\
         and two activation rows are read per cycle. 5 to 8 bits run alike; narrower ones save traffic and capacity.\n\
         A processing element multiplies 9 by 8 signed bits: 16-bit activations pass twice, as a signed high byte\n\
         (shifted by 8) and an unsigned low byte.\n\n\
         | weight bits | activation bits | K rows per PE | passes | MACs per PE per cycle |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for (range, weight_bits) in [("2..=4", 4), ("5..=8", 8)] {
        for activation_bits in [8, 16] {
            let rows = k_rows_per_pe(weight_bits);
            let passes = activation_passes(activation_bits);
            let rate = if rows < passes { "1/2".to_owned() } else { (rows / passes).to_string() };
            let _ = writeln!(text, "| {range} | {activation_bits} | {rows} | {passes} | {rate} |");
        }
    }
}
