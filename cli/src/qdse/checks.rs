//! What a sweep refuses before it begins.

use std::path::Path;

use compiler::options::Options;
use compiler::quantize::layer_bits;
use explorer::mixed::most_uniform;
use explorer::space::{Axis, Space};
use explorer::sweep::Setup;

use super::sweep::WIDTHS;
use crate::data::Samples;
use crate::error::CliError;

/// Refuses spaces in which widths cannot be chosen by layer.
pub(super) fn check_mixed(path: &Path, space: &Space, no_data: bool) -> Result<(), CliError> {
    if no_data {
        return Err(CliError::Usage(
            "--no-data: strategy mixed measures layers on samples\n  hint: --calib FILE".into(),
        ));
    }
    let mut problems = space.refusals_of_mixed();
    let (uniform, machines) = (most_uniform(space), space.machines());
    let budget = space.search.budget;
    if uniform.saturating_mul(machines) >= budget {
        problems.push(format!(
            "budget: {budget} points, of which {uniform} uniform widths on {machines} machines leave none for widths by layer; --budget {} leaves as many",
            uniform.saturating_mul(machines).saturating_mul(2)
        ));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(CliError::all(path, problems)),
    }
}

/// Refuses axes that choose between observed values where none are observed.
pub(super) fn check_observed(space: &Space, no_data: bool) -> Result<(), CliError> {
    let empirical = |axis: &Axis| axis.values.iter().any(|value| value.to_string() == "empirical");
    let chooses = |axis: &&Axis| match axis.name.as_str() {
        "observer" | "percentile" | "logits" => true,
        "bias_correction" => empirical(axis),
        _ => false,
    };
    match space.axes.iter().find(chooses) {
        Some(axis) if no_data => Err(CliError::Usage(format!(
            "--no-data: axis `{}` chooses from what samples show",
            axis.name
        ))),
        _ => Ok(()),
    }
}

/// Refuses axes of layers that the network does not have.
pub(super) fn check_layers(setup: Setup<'_>) -> Result<(), CliError> {
    let named = setup.space.axes.iter().filter_map(|axis| axis.layer());
    let layers = named.map(|layer| (layer.to_owned(), WIDTHS[0])).collect();
    let options = Options { layer_bits: layers, ..Options::default() };
    layer_bits(&setup.network.graph, &options).map_err(CliError::refused)?;
    Ok(())
}

/// Refuses to judge by labels that are not there.
pub(super) fn check_labels(
    space: &Space,
    samples: &Samples<'_>,
    data: &Path,
) -> Result<(), CliError> {
    const OF_LABELS: [&str; 3] = ["accuracy.top1", "accuracy.top5", "accuracy.reference_top1"];
    let objectives = space.objectives.iter().map(|objective| &objective.key);
    let mut keys = objectives.chain(space.constraints.iter().map(|constraint| &constraint.key));
    match keys.find(|key| OF_LABELS.contains(&key.as_str())) {
        Some(key) if samples.labels.is_none() => Err(CliError::in_file(
            data,
            format!(
                "has no labels, but the space asks for {key}\n  hint: accuracy.agreement and accuracy.sqnr_db compare with the float network"
            ),
        )),
        _ => Ok(()),
    }
}
