//! `qcc explain PROG.bin [LAYER]`.

mod origin;

use std::path::Path;

use compiler::backend::{ReferenceError, reference_graph};
use ir::graph::Graph;
use isa::Program;
use isa::spelling::similar;
use simulator::explain::{Explanation, LayerPage};
use simulator::report::ProgramFile;

use super::args::ExplainArgs;
use crate::error::{CliError, read_file};
use crate::float_model::{embedded_graph, open_graph};
use crate::output::{check_distinct, write_file};
use crate::qsim::run::program_file;

/// Explains a program or one of its layers.
pub(crate) fn explain_command(args: &ExplainArgs) -> Result<(), CliError> {
    let path = args.program.as_path();
    check_distinct(&[Some(path), args.float.as_deref()], &[("-o", args.output.as_deref())])?;
    let bytes = read_file(path)?;
    let mut program = Program::from_bytes(&bytes).map_err(|e| CliError::in_file(path, e))?;
    args.machine.retime(&mut program)?;
    let float = float(args, &program)?;
    let mut explanation = explained(&program, path, &program_file(&bytes), float.as_ref())?;
    if let Some(wanted) = &args.layer {
        let number = find(&explanation.layers, wanted).map_err(|e| CliError::in_file(path, e))?;
        explanation.layers = vec![explanation.layers.swap_remove(number)];
    }
    let text = match (args.json || args.format == "json", &args.layer, &explanation.layers[..]) {
        (true, ..) => explanation.to_json() + "\n",
        (false, Some(_), [layer]) => layer.to_text(&explanation.hardware),
        (false, ..) => explanation.to_text(),
    };
    write_file(args.output.as_deref().unwrap_or(Path::new("-")), text.as_bytes())
}

/// Everything that is known of the layers of the program at `path`, with what its graphs say.
pub(crate) fn explained(
    program: &Program,
    path: &Path,
    file: &ProgramFile,
    float: Option<&Graph>,
) -> Result<Explanation, CliError> {
    let mut explanation = Explanation::new(program, &program.hardware, file)
        .map_err(|e| CliError::in_file(path, e))?;
    match reference_graph(program) {
        Ok(graph) => origin::fill(&mut explanation, program, &graph, float),
        Err(ReferenceError::Missing) => {}
        Err(damaged) => return Err(CliError::in_file(path, damaged)),
    }
    Ok(explanation)
}

/// The float model that was named, or that the program holds.
fn float(args: &ExplainArgs, program: &Program) -> Result<Option<Graph>, CliError> {
    let meta = &program.meta;
    match (&args.float, &program.float_model) {
        (Some(path), _) => open_graph(path, meta).map(Some),
        (None, Some(onnx)) => embedded_graph(onnx.clone(), meta).map(Some),
        (None, None) => Ok(None),
    }
}

/// Index of the layer that `wanted` names: by its name, its number, an ONNX node that it computes, or the beginning of its name.
fn find(layers: &[LayerPage], wanted: &str) -> Result<usize, String> {
    let is_number = |layer: &&LayerPage| wanted.parse() == Ok(layer.number);
    let computes = |layer: &&LayerPage| {
        let nodes = layer.computes.iter().map(|node| &node.name);
        nodes.chain(&layer.onnx_nodes).any(|name| name == wanted)
    };
    let choose: [&dyn Fn(&&LayerPage) -> bool; 4] =
        [&|layer| layer.report.node == wanted, &is_number, &computes, &|layer| {
            layer.report.node.starts_with(wanted)
        }];
    for chosen in choose {
        let found: Vec<&LayerPage> = layers.iter().filter(|layer| chosen(layer)).collect();
        match found[..] {
            [] => {}
            [layer] => return Ok(layer.number as usize),
            [..] => {
                return Err(format!(
                    "`{wanted}` may be any of {} layers: {}\n  hint: a number names one",
                    found.len(),
                    listed(found.iter().map(|layer| (layer.number, layer.report.node.as_str())))
                ));
            }
        }
    }
    let names: Vec<&str> = layers.iter().map(|layer| layer.report.node.as_str()).collect();
    let near = similar(wanted, names.iter().copied());
    let hint = match (&near[..], layers.len()) {
        (_, 0) => "the program names no layers".to_owned(),
        ([], count) => format!("qcc explain PROG.bin lists all {count}"),
        (near, _) => format!("did you mean {}?", quoted(near)),
    };
    Err(format!("no layer is named `{wanted}`\n  hint: {hint}"))
}

/// The first few layers, with their numbers.
fn listed<'a>(layers: impl Iterator<Item = (u64, &'a str)>) -> String {
    const SHOWN: usize = 5;
    let mut parts: Vec<String> =
        layers.map(|(number, name)| format!("{number} `{name}`")).collect();
    if parts.len() > SHOWN {
        parts.truncate(SHOWN);
        parts.push("..".to_owned());
    }
    parts.join(", ")
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
