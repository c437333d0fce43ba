//! The numbers at the top of a page.

use simulator::report::{Accuracy, Check, Report};
use simulator::wording::{bytes, duration, energy_text, grouped, percent, significant};

use crate::page::Fact;

fn fact(name: &str, value: String, note: String) -> Fact {
    Fact { name: name.to_owned(), value, note }
}

/// What was run, in a line.
pub(crate) fn lead(report: &Report) -> String {
    let (program, hardware) = (&report.program, &report.hardware);
    let random = program.random_weights_seed.map_or_else(String::new, |seed| {
        format!(" Its weights are random (seed {seed}) and not those of the file.")
    });
    format!(
        "{}-bit weights, {}-bit activations, on {} x {} processing elements, {} vector lanes, {} KiB of scratchpad and {} bytes of DRAM per cycle, at {} MHz.{random} Cycles and bytes are exact; energy and area are estimates.",
        program.weight_bits,
        program.act_bits,
        hardware.array_rows,
        hardware.array_cols,
        hardware.vector_lanes,
        hardware.scratchpad_kib,
        hardware.dram_bytes_per_cycle,
        hardware.clock_mhz,
    )
}

/// The numbers of a report; of accuracy and checks those that were measured.
pub(crate) fn facts(report: &Report) -> Vec<Fact> {
    let bound = &report.cycles.lower_bound;
    let total = report.cycles.total;
    let (times, rate) = (total as f64 / bound.total.max(1) as f64, 1e6 / report.time.us);
    let dram = &report.traffic.dram.total;
    let moved = dram.read_bytes.saturating_add(dram.write_bytes);
    let mut facts = vec![
        fact(
            "cycles",
            grouped(total),
            format!("{times:.2} x the lower bound {}", grouped(bound.total)),
        ),
        fact("time", duration(report.time.us), format!("{} inferences/s", significant(rate))),
        fact("array used", percent(report.utilization.mac), "of all it could multiply".into()),
        fact(
            "DRAM traffic",
            bytes(moved),
            format!("at least {}", bytes(report.traffic.lower_bound_bytes)),
        ),
        fact(
            "scratchpad",
            bytes(report.memory.scratchpad_peak_bytes),
            format!("in use at most, of {} KiB", report.hardware.scratchpad_kib),
        ),
        fact("energy", energy_text(report.energy.total_pj), "estimate".into()),
        fact(
            "area",
            format!("{} LUT4", grouped(report.area.lut4)),
            format!("and {} DSP, estimate", grouped(report.area.dsp)),
        ),
    ];
    facts.extend(accuracy(&report.accuracy));
    facts.extend(check(&report.check));
    if let (Some(run), Some(differing)) = (report.orders.run, report.orders.differing) {
        let value = if differing == 0 { "equal bytes" } else { "they race" };
        facts.push(fact("hostile orders", value.into(), format!("{differing} of {run} differ")));
    }
    facts
}

fn accuracy(accuracy: &Accuracy) -> Vec<Fact> {
    let mut facts = Vec::new();
    let samples = accuracy.samples.map_or_else(String::new, |n| format!("{} samples", grouped(n)));
    if let Some(top1) = accuracy.top1 {
        let float =
            accuracy.reference_top1.map_or_else(String::new, |f| format!("float {}, ", percent(f)));
        facts.push(fact("top-1", percent(top1), format!("{float}{samples}")));
    }
    if let Some(top5) = accuracy.top5 {
        facts.push(fact("top-5", percent(top5), samples.clone()));
    }
    if let Some(agreement) = accuracy.agreement {
        facts.push(fact("agreement", percent(agreement), "with the float network".into()));
    }
    if let Some(sqnr) = accuracy.sqnr_db {
        facts.push(fact("SQNR", format!("{sqnr:.1} dB"), "of the outputs against float".into()));
    }
    facts
}

fn check(check: &Check) -> Option<Fact> {
    let exact = check.bit_exact?;
    let value = if exact { "bit-exact" } else { "differs" };
    let tensors = grouped(check.layers.unwrap_or(0));
    let note = match &check.first_mismatch {
        None => format!("{tensors} tensors equal those of the host"),
        Some(first) => format!(
            "{} elements of {tensors} tensors; first in {}",
            grouped(check.mismatches.unwrap_or(0)),
            first.node
        ),
    };
    Some(fact("check", value.into(), note))
}
