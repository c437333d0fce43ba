//! Widths of layers for the strategy `mixed`.

use compiler::options::Options;
use explorer::bench::Bench;
use explorer::mixed::assignments;
use explorer::space::{Assignment, Settings};
use explorer::sweep::Setup;
use explorer::widths::Listener;
use explorer::widths::measure::{MEASURED, Measure};

use super::source::Source;
use crate::data::Samples;
use crate::error::CliError;
use crate::output::Talk;
use crate::progress::Stages;

/// Fewest samples to calibrate on of which some are held out.
const FEWEST: usize = 8;

/// Chooses widths for the first machine of the space that can be, on samples that calibrate and are held out of all fitting: what is measured later has no part in it.
pub(super) fn choose(
    setup: Setup<'_>,
    source: &Source<'_>,
    samples: &Samples<'_>,
    talk: Talk,
) -> Result<Vec<Assignment>, CliError> {
    let Setup { space, network, options, hardware, .. } = setup;
    let mut points = 0..space.count();
    let first = points.find_map(|point| space.settings(point, options, hardware).ok());
    let Settings { options: first, hardware } =
        first.ok_or_else(|| CliError::Refused("no machine of the space can be".into()))?;
    // The widths of a point are among those chosen from.
    let base = Options { weight_bits: options.weight_bits, act_bits: options.act_bits, ..first };
    let watched = source.watched(samples)?;
    let held_out = watched.probes.held_out();
    if held_out.is_empty() {
        return Err(CliError::Refused(format!(
            "{} samples calibrate: strategy mixed measures layers on every fourth\n  hint: --calib or --data with at least {FEWEST} of them",
            watched.hashes.len()
        )));
    }
    let count = held_out.len().min(MEASURED);
    let few: Vec<_> = (0..count).map(|i| held_out[i * held_out.len() / count].clone()).collect();
    let listener = Said(Stages::new(talk));
    let way = base.bias_correction;
    let bench = Bench::new(network, &watched.observed, &watched.probes, way, &hardware)
        .map_err(CliError::refused)?;
    let measure = Measure { bench: &bench, samples: &few, listener: &listener };
    let found = assignments(&measure, space, &base).map_err(CliError::refused)?;
    talk.note(format_args!(
        "{} ways to give layers widths, chosen on {count} samples that nothing was fitted to",
        found.len()
    ));
    Ok(found)
}

/// Tells the user how far the choice is.
struct Said(Stages);

impl Listener for Said {
    fn begin(&self, what: &'static str, count: usize) {
        self.0.begin(what, count);
    }

    fn tick(&self) {
        self.0.tick();
    }

    fn refused(&self, name: &str, reason: &str) {
        self.0.line(&format!("{name}: {reason}"));
    }
}
