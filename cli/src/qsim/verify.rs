//! `qsim verify PROG.bin`.

use std::fmt::Write;
use std::path::Path;

use compiler::backend::reference_graph;
use compiler::validate::validate;
use ir::proof::{Channel, Layer, layers};
use ir::qgraph::QGraph;
use isa::Program;

use super::text::load;
use crate::error::CliError;
use crate::output::{check_distinct, print, write_file};
use crate::parts::{NetworkInputs, NetworkOutputs, host_work};

/// Proves a program sound or lists what is wrong. `accumulators` also asks for its dot products, in a file or not.
pub(super) fn verify(path: &Path, accumulators: Option<Option<&Path>>) -> Result<(), CliError> {
    check_distinct(&[Some(path)], &[("--accumulators", accumulators.flatten())])?;
    let program = load(path)?;
    let graph = match &program.reference {
        Some(_) => Some(reference_graph(&program).map_err(|e| CliError::in_file(path, e))?),
        None => None,
    };
    let mut findings: Vec<String> =
        isa::verify::verify(&program).iter().map(ToString::to_string).collect();
    if let (true, Some(graph)) = (findings.is_empty(), &graph) {
        findings = validate(&program, graph).iter().map(ToString::to_string).collect();
    }
    if !findings.is_empty() {
        let list: String = findings.iter().fold(String::new(), |list, f| list + "\n  " + f);
        let n = findings.len();
        return Err(CliError::Failed(format!("{}: {n} findings{list}", path.display())));
    }
    let words: usize = program.code.iter().map(|s| s.words.len()).sum();
    let proved = "no race, no deadlock, nothing read unwritten, every output byte written once";
    let mut text = format!("{}: {words} words verified: {proved}", path.display());
    if let Some(graph) = &graph {
        text += ", every layer computes what the integer graph says";
        text += &no_wrap(graph, &program);
    }
    text += &host_parts(&program, path)?;
    text.push('\n');
    let Some(file) = accumulators else { return print(&text) };
    let graph = graph.ok_or_else(|| {
        let message = "the program holds no integer graph, so its layers are unknown\n  hint: qcc stores one; programs made from assembly have none";
        CliError::in_file(path, message)
    })?;
    let layers = layers(&graph, true);
    match file {
        Some(file) => write_file(file, csv(&layers).as_bytes())?,
        None => text += &table(&layers),
    }
    print(&text)
}

/// What the host computes: read, run on zeros, and told.
fn host_parts(program: &Program, path: &Path) -> Result<String, CliError> {
    let at = |e: CliError| CliError::in_file(path, e);
    NetworkInputs::of_program(program).map_err(at)?;
    NetworkOutputs::of_program(program).map_err(at)?;
    let work = host_work(program).map_err(at)?;
    let mut text = String::new();
    for op in &work.ops {
        let _ =
            write!(text, "\n  host {}: {} `{}`, {} elements", op.part, op.op, op.node, op.elements);
    }
    Ok(text)
}

/// The widest dot product, if there is one.
fn no_wrap(graph: &QGraph, program: &Program) -> String {
    let layers = layers(graph, false);
    let bits = layers.iter().flat_map(|layer| &layer.channels).map(Channel::bits).max();
    bits.map_or_else(String::new, |bits| {
        let has = program.hardware.acc_bits;
        format!(", no sum needs more than {bits} of the accumulators' {has} bits")
    })
}

/// One line a layer.
fn table(layers: &[Layer]) -> String {
    let width = layers.iter().map(|layer| layer.node.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "\n{:width$}  channels      least sum    largest sum  bits  in any order  other than ONNX Runtime's\n",
        "layer"
    );
    for layer in layers {
        let of = |key: fn(&Channel) -> u32| layer.channels.iter().map(key).max().unwrap_or(0);
        let least = layer.channels.iter().map(|c| c.min).min().unwrap_or(0);
        let largest = layer.channels.iter().map(|c| c.max).max().unwrap_or(0);
        let differing: Option<u64> = layer.channels.iter().map(Channel::differing).sum();
        let reachable: f64 =
            layer.channels.iter().map(|c| c.max.abs_diff(c.min) as f64 + 1.0).sum();
        let differing = match differing {
            None => "no such operator".to_owned(),
            Some(0) => "none".to_owned(),
            Some(n) => format!("{n} ({:.1e} of those it can reach)", n as f64 / reachable),
        };
        let _ = writeln!(
            text,
            "{:width$}  {:8}  {least:13}  {largest:13}  {:4}  {:12}  {differing}",
            layer.node,
            layer.channels.len(),
            of(Channel::final_bits),
            of(Channel::bits),
        );
    }
    text
}

/// One line an output channel. Runs of accumulators are `first..last`, apart by spaces; empty if there are none, `-` where
/// ONNX Runtime has no such operator.
fn csv(layers: &[Layer]) -> String {
    let mut text = String::from("node,channel,min,max,final_bits,bits,differing,accumulators\n");
    for layer in layers {
        let node = if layer.node.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", layer.node.replace('"', "\"\""))
        } else {
            layer.node.clone()
        };
        for (c, channel) in layer.channels.iter().enumerate() {
            let (count, list) = match &channel.differences {
                None => ("-".to_owned(), "-".to_owned()),
                Some(list) => {
                    let runs: Vec<String> =
                        list.iter().map(|d| format!("{}..{}", d.first, d.last)).collect();
                    (channel.differing().unwrap_or(0).to_string(), runs.join(" "))
                }
            };
            let Channel { min, max, .. } = channel;
            let (last, any) = (channel.final_bits(), channel.bits());
            let _ = writeln!(text, "{node},{c},{min},{max},{last},{any},{count},{list}");
        }
    }
    text
}
