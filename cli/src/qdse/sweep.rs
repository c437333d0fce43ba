//! `qdse MODEL.onnx --space SPACE.toml --data TEST.npz -o FOLDER`.

use compiler::options::Options;
use compiler::refine::Probes;
use explorer::curve::curve;
use explorer::front::Front;
use explorer::judge::Judge;
use explorer::search;
use explorer::space::{Search, Space, Strategy};
use explorer::study::Labelled;
use explorer::sweep::{Calibrated, Row, Setup, Sweep, by_graph};
use ir::onnx::LoadOptions;
use isa::Hardware;
use isa::program::Meta;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::args::{Shard, SweepArgs};
use super::checks::{check_labels, check_layers, check_mixed, check_observed};
use super::folder::Folder;
use super::identity::Identity;
use super::mixed;
use super::source::Source;
use crate::args::parse_shape;
use crate::data::Samples;
use crate::data::labels::{Classes, read_names};
use crate::error::{CliError, read_file};
use crate::float_model::sha256_of_file;
use crate::output::{Talk, print};
use crate::parts::NetworkInputs;
use crate::preprocess;
use crate::progress::Progress;
use crate::qcc::compile::{first_output_values, options, read_network, rewrite};

/// Bits of weights and activations where no axis says.
pub(super) const WIDTHS: [u8; 2] = [8, 8];

/// Sweeps a space as the arguments say, leaves the results in a folder, and prints the front.
pub(crate) fn sweep_command(args: &SweepArgs, talk: Talk) -> Result<(), CliError> {
    let source_args = &args.source;
    let (path, data) = (source_args.model()?, source_args.data()?);
    let (space_text, space) = read_space(args)?;
    let folder =
        args.output.as_deref().ok_or_else(|| CliError::Usage("name a folder with -o".into()))?;
    let hardware = source_args.machine.machine(Hardware::default())?;
    let how = source_args.method.preprocess.as_deref().map(preprocess::parse).transpose()?;
    let options = options(&source_args.method, WIDTHS, how.as_ref())?;
    check_observed(&space, source_args.no_data)?;
    let model_sha256 = sha256_of_file(path)?;
    let load_options =
        LoadOptions { shapes: parse_shape(&source_args.shape)?, ..LoadOptions::default() };
    let model = read_network(path, &load_options)?;
    for warning in &model.warnings {
        talk.warn(warning);
    }
    let values = first_output_values(&model.graph);
    let names = match &source_args.names {
        Some(names) => read_names(names, values)?,
        None => Vec::new(),
    };
    let network = rewrite(path, model.graph.clone(), &source_args.method, talk)?;
    let setup = Setup {
        space: &space,
        original: &model.graph,
        network: &network,
        options: &options,
        hardware: &hardware,
    };
    check_layers(setup)?;
    let inputs = NetworkInputs::of_graph(&network.graph)?;
    let classes = Classes { names: &names, count: values };
    let samples = Samples::read(data, &inputs, how.as_ref(), Some(&classes))?;
    check_labels(&space, &samples, data)?;
    let source = Source::new(source_args, &network, &inputs, how.as_ref(), talk);
    let chosen = thinned(source.measured(&samples)?, args.samples);
    let (labelled, data_sha256) = read_samples(&source, &samples, &chosen)?;
    let Search { strategy, budget, seed } = space.search;
    let mut identity = Identity {
        qdse: env!("CARGO_PKG_VERSION").into(),
        network: network.graph.name.clone(),
        model_sha256: model_sha256.clone(),
        data_sha256,
        samples: labelled.len() as u64,
        space: space_text,
        strategy: strategy.name().into(),
        budget: if strategy == Strategy::Grid { space.count() } else { budget },
        seed,
        shard: args.shard,
        assignments: Vec::new(),
        options: options.clone(),
        hardware: hardware.clone(),
    };
    let held = Folder::held(folder, &identity, args.resume)?;
    let space = if strategy == Strategy::Mixed {
        identity.assignments = match held {
            Some(held) => held,
            None => mixed::choose(setup, &source, &samples, talk)?,
        };
        &space.with_assignments(identity.assignments.clone()).map_err(CliError::Refused)?
    } else {
        setup.space
    };
    let setup = Setup { space, ..setup };
    let points = search::fixed(space).map(|points| match args.shard {
        Some(shard) => part(&by_graph(setup, &points), shard),
        None => points,
    });
    let mut folder = Folder::open(folder, space, &identity)?;
    let planned = match &points {
        Some(points) => points.len(),
        None => search::planned(space).map_err(CliError::Refused)? as usize,
    };
    if folder.len() > 0 {
        talk.note(format_args!("{} of {planned} points are there already", folder.len()));
    }
    let none = Probes::default();
    let mut calibrate = |options: &Options| {
        let table = source.calibrate(&samples, options).map_err(|e| e.to_string())?;
        talk.detail(format_args!("{}-bit activations: {}", options.act_bits, table.method));
        let meta = Meta {
            model: network.graph.name.clone(),
            model_sha256: model_sha256.clone(),
            shapes: model.shapes.clone(),
            compiler: concat!("qcc ", env!("CARGO_PKG_VERSION")).into(),
            weight_bits: options.weight_bits,
            act_bits: options.act_bits,
            calibration: table.method.clone(),
            sample_hashes: source.hashes().to_vec(),
            labels: names.clone(),
            preprocess: how.clone(),
            random_weights: None,
        };
        Ok(Calibrated { table, probes: source.probes().unwrap_or(&none), meta })
    };
    let progress = Progress::over(talk, "running the float network", labelled.len());
    let measured = |i: usize| Ok(labelled[i].clone());
    let output = &network.graph.values[network.graph.outputs[0].0 as usize].name;
    let judge = Judge::new(&model.graph, output, labelled.len(), &measured, || progress.tick());
    drop(progress);
    let judge = judge.map_err(|e| CliError::Refused(e.to_string()))?;
    let mut sweep = Sweep::new(setup, &judge);
    folder.show(Progress::over(talk, "exploring", planned.saturating_sub(folder.len())));
    let mut evaluate = |points: &[u64]| {
        sweep.evaluate(&folder.missing(points), &mut calibrate, &folder)?;
        Ok(folder.rows(points))
    };
    let searched: Result<(), String> = match &points {
        Some(points) => evaluate(points).map(drop),
        None => search::nsga2(space, &mut evaluate),
    };
    searched.map_err(CliError::Refused)?;
    let runs = if folder.is_finished() {
        folder.runs()?
    } else {
        let (best, few) = folder.front();
        let _stage = Progress::stage(talk, "proving the programs of the front");
        let drawn = |point: u64| args.shard.is_some() || few.contains(&point);
        sweep.prove(&best, drawn, &mut calibrate).map_err(CliError::Refused)?
    };
    let rows = folder.finish(&identity, &runs)?;
    source.warn_overlap(&samples);
    let front = Front::of(space, &rows);
    print(&shown(space, &front, &rows))?;
    match front.is_empty() && args.shard.is_none() {
        true => Err(CliError::Failed("no point keeps to all constraints".into())),
        false => Ok(()),
    }
}

/// What a sweep prints: its front, and of widths by layer the whole curve.
pub(super) fn shown(space: &Space, front: &Front<'_>, rows: &[Row]) -> String {
    match space.assignments.is_empty() {
        true => front.to_text(),
        false => format!("{}\n{}", front.to_text(), curve(space, rows)),
    }
}

/// The space with what the command line says about the search, and its text.
fn read_space(args: &SweepArgs) -> Result<(String, Space), CliError> {
    let path =
        args.space.as_deref().ok_or_else(|| CliError::Usage("name a space with --space".into()))?;
    let text =
        String::from_utf8(read_file(path)?).map_err(|_| CliError::in_file(path, "is not text"))?;
    let mut space = Space::parse(&text).map_err(|mistakes| {
        CliError::all(path, mistakes.iter().map(ToString::to_string).collect())
    })?;
    let search = &mut space.search;
    let strategy = args.strategy.as_deref().and_then(Strategy::from_name);
    search.strategy = strategy.unwrap_or(search.strategy);
    search.budget = args.budget.unwrap_or(search.budget);
    search.seed = args.search_seed.unwrap_or(search.seed);
    if search.strategy == Strategy::Grid && args.budget.is_some() {
        return Err(CliError::Usage(
            "--budget: a grid evaluates all points\n  hint: --strategy nsga2 or random".into(),
        ));
    }
    if search.strategy == Strategy::Nsga2 && args.shard.is_some() {
        return Err(CliError::Usage("--shard: nsga2 chooses points by what it found at others\n  hint: --strategy grid or random".into()));
    }
    if search.strategy == Strategy::Mixed {
        check_mixed(path, &space, args.source.no_data)?;
    }
    search::planned(&space).map_err(|e| CliError::in_file(path, e))?;
    Ok((text, space))
}

/// At most `most`, spread evenly.
fn thinned(chosen: Vec<usize>, most: Option<u32>) -> Vec<usize> {
    let most = most.map_or(chosen.len(), |most| chosen.len().min(most as usize));
    (0..most).map(|i| chosen[i * chosen.len() / most]).collect()
}

/// The samples that are measured, and a hash of all that rows depend on.
fn read_samples(
    source: &Source<'_>,
    samples: &Samples<'_>,
    chosen: &[usize],
) -> Result<(Vec<Labelled>, String), CliError> {
    let data = source.args.data()?;
    let read = |&i: &usize| -> Result<(Labelled, u64), CliError> {
        let sample = samples.sample(i)?;
        let real = samples.real(&sample)?;
        let inputs = real.ok_or_else(|| CliError::in_file(data, "holds no real values"))?;
        let label = samples.labels.as_ref().map(|labels| labels[i]);
        Ok((Labelled { inputs, label }, sample.hash()))
    };
    let read: Result<Vec<(Labelled, u64)>, CliError> = chosen.par_iter().map(read).collect();
    let read = read.map_err(|first| samples.explain(data, first))?;
    let mut hash = Sha256::new();
    for (sample, of_sample) in &read {
        hash.update(of_sample.to_le_bytes());
        hash.update(sample.label.unwrap_or(i64::MIN).to_le_bytes());
    }
    for of_sample in source.calibrating(samples)? {
        hash.update(of_sample.to_le_bytes());
    }
    let digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((read.into_iter().map(|(sample, _)| sample).collect(), digest))
}

/// One of `of` parts, whose sizes differ by one at most.
fn part(points: &[u64], shard: Shard) -> Vec<u64> {
    let edge = |i: u32| (points.len() as u128 * u128::from(i) / u128::from(shard.of)) as usize;
    points[edge(shard.index - 1)..edge(shard.index)].to_vec()
}
