//! `qcc MODEL.onnx -o PROG.bin`.

use std::path::Path;

use compiler::compile::{Network, Quantized, program};
use compiler::options::{
    BiasCorrection, Equalize, Granularity, Logits, Observer, Options, WeightRounding,
};
use compiler::quantize::Kept;
use compiler::random_weights::{Replaced, randomize};
use ir::graph::Graph;
use ir::onnx::{LoadError, LoadOptions, Model, load};
use isa::Hardware;
use isa::program::{Host, Meta, Preprocess, Program, RandomWeights};

use super::args::{CompileArgs, Emit, MethodArgs, QuantizeArgs};
use super::autopilot::{self, Found, Task};
use super::calibrate::{Calibrated, calibrate};
use super::forms::{emitted, open_form};
use super::profile;
use crate::args::{MachineArgs, parse_shape, with_suffix};
use crate::data::labels::read_names;
use crate::error::{CliError, read_file};
use crate::float_model::{check_embeddable, sha256_of_file};
use crate::output::{Output, Talk, check_distinct};
use crate::parts::{MOST_SHARE, NetworkInputs, NetworkOutputs, host_work};
use crate::preprocess;
use crate::progress::Progress;

/// Compiles a network as the arguments say.
pub(crate) fn compile_command(args: &CompileArgs, talk: Talk) -> Result<(), CliError> {
    let path = args.model.as_deref().ok_or_else(|| CliError::Usage("name a network".into()))?;
    let hw = machine(&args.machine, &args.quantize)?;
    let shapes = parse_shape(&args.shape)?;
    let how = args.quantize.method.preprocess.as_deref().map(preprocess::parse).transpose()?;
    let mut options = quantize_options(&args.quantize, how.as_ref())?;
    let model_sha256 = sha256_of_file(path)?;
    let load_options = LoadOptions { shapes, max_constant_bytes: args.max_constant_bytes };
    let mut model = read_network(path, &load_options)?;
    let target = args.output.clone().unwrap_or_else(|| with_suffix(path, "bin"));
    check_paths(args, path, &target)?;
    if args.embed_float {
        check_embeddable(read_file(path)?, &load_options)?;
    }
    for warning in &model.warnings {
        talk.warn(warning);
    }
    if how.is_none() && options.input_range.is_none() {
        options.input_range = NetworkInputs::of_graph(&model.graph)?.range();
    }
    let labels = match &args.names {
        Some(names) => read_names(names, first_output_values(&model.graph))?,
        None => Vec::new(),
    };
    // Opened before the work, so that a bad path fails at once; they appear under their names when all are complete.
    let mut file = Output::open(&target)?;
    let mut ranges = args.quantize.calib_out.as_deref().map(Output::open).transpose()?;
    let forms: Result<Vec<Output>, CliError> = args.emit.iter().map(open_form).collect();
    let mut forms = forms?;

    let random_weights =
        args.random_weights.map(|seed| RandomWeights { seed, input_range: options.input_range });
    if let Some(how) = random_weights {
        tell_replaced(randomize(&mut model.graph, how.seed, how.input_range), talk);
    }
    let network = rewrite(path, model.graph, &args.quantize.method, talk)?;
    network.check_names(&options).map_err(|e| CliError::in_file(path, e))?;
    let kept = network.kept(&hw);
    tell_kept(kept.as_ref(), &args.quantize, talk);
    let goal = args.search.goal().zip(args.quantize.data.as_deref());
    let found = goal.map(|(goal, data)| {
        let (network, how, hardware) = (&network, how.as_ref(), &hw);
        autopilot::search(
            &Task { network, data, how, names: &labels, hardware, talk },
            goal,
            &options,
        )
    });
    let (options, calibrated, quantized, failure) = match found.transpose()? {
        Some(Found { options, calibrated, quantized, failure }) => {
            (options, calibrated, Some(quantized), failure)
        }
        None => {
            let calibrated = match &kept {
                Some(kept) if kept.open.is_empty() => Calibrated::default(),
                _ => calibrate(&network, &args.quantize, &options, how.as_ref(), talk)?,
            };
            (options, calibrated, None, None)
        }
    };
    let Calibrated { mut table, probes, sample_hashes } = calibrated;
    if let Some(kept) = &kept {
        let (summary, found) = (kept.summary(), &table.method);
        // Saved ranges tell already.
        if !found.starts_with(&summary) {
            let parts = [summary.as_str(), found].into_iter().filter(|part| !part.is_empty());
            table.method = parts.collect::<Vec<_>>().join("; ");
        }
    }
    talk.note(format_args!("calibration: {}", table.method));
    if let Some(ranges) = &mut ranges {
        ranges.put(table.to_json().as_bytes())?;
    }
    let quantize = || {
        let _stage = Progress::stage(talk, "quantizing");
        network.quantize_on(&probes, &table, &options, &hw)
    };
    let Quantized { graph: qgraph, notes } =
        quantized.map_or_else(quantize, Ok).map_err(|e| CliError::in_file(path, e))?;
    for note in &notes {
        talk.detail(note);
        table.method = format!("{}; {note}", table.method);
    }
    let meta = Meta {
        model: network.graph.name.clone(),
        model_sha256,
        shapes: model.shapes,
        compiler: concat!("qcc ", env!("CARGO_PKG_VERSION")).into(),
        weight_bits: options.weight_bits,
        act_bits: options.act_bits,
        calibration: table.method,
        sample_hashes,
        labels,
        preprocess: how,
        random_weights,
    };
    let stage = Progress::stage(talk, "generating the program");
    let made = program(&qgraph, &hw, meta);
    drop(stage);
    let mut made = made.map_err(|e| CliError::in_file(path, e))?;
    made.float_model = args.embed_float.then(|| read_file(path)).transpose()?;
    made.host = Host {
        head: network.graph.head.as_deref().map(<[u8]>::to_vec),
        tail: network.graph.tail.as_deref().map(<[u8]>::to_vec),
    };
    tell_host(path, &made, talk)?;
    let exports = args.emit.iter().any(|(kind, _)| matches!(kind, Emit::Qdq));
    if exports && made.host != Host::default() {
        talk.warn("--emit qdq writes what the machine computes: the host's nodes are not in it");
    }
    let bytes = made.to_bytes().map_err(CliError::refused)?;
    file.put(&bytes)?;
    for ((kind, _), form) in args.emit.iter().zip(&mut forms) {
        form.put(&emitted(*kind, &network.graph, &qgraph, &made)?)?;
    }
    Output::finish(ranges.into_iter().chain([file]).chain(forms).collect())?;
    let words: usize = made.code.iter().map(|s| s.words.len()).sum();
    talk.note(format_args!(
        "wrote {}: {} nodes, {words} instructions, {} bytes of constants, {} bytes in all",
        target.display(),
        made.nodes.len(),
        made.constants.len(),
        bytes.len()
    ));
    failure.map_or(Ok(()), |text| Err(CliError::Failed(text)))
}

/// Reads a network, or says what the file is instead.
pub(crate) fn read_network(path: &Path, options: &LoadOptions) -> Result<Model, CliError> {
    load(path, options).map_err(|e| not_a_network(path, &e))
}

/// Runs the passes and says what they did.
pub(crate) fn rewrite(
    path: &Path,
    graph: Graph,
    args: &MethodArgs,
    talk: Talk,
) -> Result<Network, CliError> {
    let way = Equalize::from_name(&args.equalize)
        .ok_or_else(|| CliError::Usage(format!("--equalize {}: unknown", args.equalize)))?;
    let mut network = Network::new(graph).map_err(|e| CliError::in_file(path, e))?;
    let pairs = network.equalize(way);
    for sentence in &network.left_out {
        talk.warn(sentence);
    }
    for applied in network.applied.iter().filter(|a| a.changes > 0) {
        talk.detail(format_args!("pass {}: {} changes", applied.pass, applied.changes));
    }
    if pairs > 0 {
        talk.detail(format_args!("equalized: {pairs} pairs of layers"));
    }
    Ok(network)
}

/// Refuses outputs that would overwrite an input or each other.
fn check_paths(args: &CompileArgs, model: &Path, target: &Path) -> Result<(), CliError> {
    let q = &args.quantize;
    let hw = args.machine.hw.as_deref().map(Path::new);
    let inputs = [Some(model), q.data.as_deref(), q.calib_in.as_deref(), args.names.as_deref(), hw];
    let forms = args.emit.iter().map(|(_, file)| ("--emit", file.as_deref()));
    let outputs = [("-o", Some(target)), ("--calib-out", q.calib_out.as_deref())];
    check_distinct(&inputs, &outputs.into_iter().chain(forms).collect::<Vec<_>>())
}

/// What a file that is no network may be instead.
fn not_a_network(path: &Path, error: &LoadError) -> CliError {
    let is_program = std::fs::read(path).is_ok_and(|bytes| Program::from_bytes(&bytes).is_ok());
    let hint = if is_program {
        format!("\n  hint: it is a compiled program; `qsim {}` runs it", path.display())
    } else {
        String::new()
    };
    CliError::Refused(format!("{error}{hint}"))
}

/// Says what the host computes, and that it is much where it is.
fn tell_host(path: &Path, made: &Program, talk: Talk) -> Result<(), CliError> {
    NetworkInputs::of_program(made).map_err(|e| CliError::in_file(path, e))?;
    NetworkOutputs::of_program(made).map_err(|e| CliError::in_file(path, e))?;
    let work = host_work(made)?;
    for part in ["head", "tail"] {
        let ops: Vec<&str> =
            work.ops.iter().filter(|op| op.part == part).map(|op| op.op.as_str()).collect();
        if !ops.is_empty() {
            let place = if part == "head" { "in front of" } else { "behind" };
            let (count, list) = (ops.len(), ops.join(", "));
            talk.note(format_args!("the host computes {count} nodes {place} the program: {list}"));
        }
    }
    if work.share > MOST_SHARE {
        talk.warn(format_args!(
            "the host computes {:.1} % of the network's operations: more than index work should be",
            100.0 * work.share
        ));
    }
    Ok(())
}

fn tell_replaced(replaced: Replaced, talk: Talk) {
    let Replaced { tensors, elements, real } = replaced;
    talk.note(format_args!("random weights: {elements} elements of {tensors} constants replaced"));
    if real > 0 {
        talk.warn(format_args!("{real} of them held real weights, which are not used"));
    }
}

/// What the file does not decide, and which flags are of no use where it does.
fn tell_kept(kept: Option<&Kept>, flags: &QuantizeArgs, talk: Talk) {
    let Some(kept) = kept else {
        return;
    };
    if kept.open.is_empty() {
        if flags.data.is_some() || flags.calib_in.is_some() {
            talk.note("the file decides every scale: no calibration is needed");
        }
    } else {
        talk.note(format_args!("calibrated here: `{}`", kept.open.join("`, `")));
    }
    if kept.layers_kept > 0 && (flags.weight_bits != 8 || flags.method.per_tensor) {
        talk.warn("weights that the file stores as integers keep their width and scales");
    }
    if kept.values_kept > 0 && profile::act_bits(flags) != 8 {
        talk.warn("values whose scale the file decides keep their width");
    }
    for note in &kept.notes {
        talk.warn(note);
    }
}

/// Values of the first output, which class names name.
pub(crate) fn first_output_values(graph: &Graph) -> usize {
    let first = graph.outputs.first().map(|v| &graph.values[v.0 as usize].shape);
    first.map_or(0, |shape| shape.iter().product())
}

/// The machine that a network is quantized for.
pub(super) fn machine(args: &MachineArgs, q: &QuantizeArgs) -> Result<Hardware, CliError> {
    profile::machine(args.machine(Hardware::default())?, q, &args.set)
}

/// What the command line says about quantization.
pub(super) fn quantize_options(
    q: &QuantizeArgs,
    how: Option<&Preprocess>,
) -> Result<Options, CliError> {
    check_observed(q)?;
    let mut options = Options {
        layer_bits: q.layer_bits.iter().cloned().collect(),
        layer_act_bits: q.layer_act_bits.iter().cloned().collect(),
        weight_bits_everywhere: q.weight_bits_everywhere,
        ..options(&q.method, [q.weight_bits, profile::act_bits(q)], how)?
    };
    profile::fill(&mut options, q);
    Ok(options)
}

/// What the command line says about methods of quantization, with bits per weight and per activation.
pub(crate) fn options(
    args: &MethodArgs,
    [weight_bits, act_bits]: [u8; 2],
    how: Option<&Preprocess>,
) -> Result<Options, CliError> {
    if args.percentile.is_some() && args.observer.as_deref() != Some("percentile") {
        return Err(CliError::Usage("--percentile belongs to --observer percentile".into()));
    }
    let default = Options::default();
    let observer = args.observer.as_deref().map_or(Some(default.observer), Observer::from_name);
    let logits = args.logits.as_deref().map_or(Some(default.logits), Logits::from_name);
    let bias_correction = BiasCorrection::from_name(&args.bias_correction).ok_or_else(|| {
        CliError::Usage(format!("--bias-correction {}: unknown", args.bias_correction))
    })?;
    let weight_rounding = WeightRounding::from_name(&args.rounding)
        .ok_or_else(|| CliError::Usage(format!("--rounding {}: unknown", args.rounding)))?;
    Ok(Options {
        weight_bits,
        act_bits,
        symmetric_activations: args.symmetric_activations,
        granularity: if args.per_tensor { Granularity::PerTensor } else { Granularity::PerChannel },
        observer: observer.expect("the parser knows the names"),
        percentile: args.percentile.unwrap_or(default.percentile),
        logits: logits.expect("the parser knows the names"),
        seed: args.seed,
        input_range: args.input_range.or_else(|| how.map(pixel_range)),
        bias_correction,
        weight_rounding,
        ..Options::default()
    })
}

/// Refuses choices between observed values where none are observed.
fn check_observed(args: &QuantizeArgs) -> Result<(), CliError> {
    let method = &args.method;
    let given = [("--observer", method.observer.is_some()), ("--logits", method.logits.is_some())];
    let Some((flag, _)) = given.iter().find(|(_, given)| *given) else {
        return Ok(());
    };
    if args.calib_in.is_some() {
        return Err(CliError::Usage(format!(
            "{flag} chooses ranges from what samples show, but --calib-in holds chosen ones"
        )));
    }
    if args.data.is_none() && args.distill.is_none() {
        return Err(CliError::Usage(format!(
            "{flag} chooses from what samples show, and needs --data"
        )));
    }
    Ok(())
}

/// Real values that pixels 0..255 can take after preprocessing.
fn pixel_range(how: &Preprocess) -> (f32, f32) {
    let ends = |pixel: f32| {
        let n = how.mean.len().max(how.std.len());
        (0..n).map(move |c| (pixel - how.mean[c % how.mean.len()]) / how.std[c % how.std.len()])
    };
    ends(0.0)
        .chain(ends(255.0))
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
}
