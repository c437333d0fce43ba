//! Where samples come from: which are measured, and which calibrate.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;

use compiler::calibrate::{Calibration, Observed};
use compiler::compile::Network;
use compiler::options::{BiasCorrection, Options, WeightRounding};
use compiler::refine::Probes;
use isa::program::Preprocess;

use super::args::SourceArgs;
use crate::data::Samples;
use crate::error::CliError;
use crate::output::Talk;
use crate::parts::NetworkInputs;
use crate::progress::Progress;
use crate::qcc::calibrate::{take_means, watch};

/// Where ranges come from.
pub(super) struct Source<'a> {
    pub(super) args: &'a SourceArgs,
    pub(super) network: &'a Network,
    pub(super) inputs: &'a NetworkInputs,
    pub(super) how: Option<&'a Preprocess>,
    pub(super) talk: Talk,
    watched: OnceCell<Watched>,
    /// Means and answers in a table, by what they depend on of the options.
    told: RefCell<Vec<(Asked, Calibration)>>,
}

/// What samples show.
pub(super) struct Watched {
    /// Of activations.
    pub(super) observed: Observed,
    /// Samples to refine on.
    pub(super) probes: Probes,
    /// Hashes of all samples.
    pub(super) hashes: Vec<u64>,
}

/// The options that means and answers depend on.
type Asked = (BiasCorrection, WeightRounding);

fn asked(options: &Options) -> Asked {
    (options.bias_correction, options.weight_rounding)
}

impl SourceArgs {
    /// The network.
    pub(super) fn model(&self) -> Result<&Path, CliError> {
        self.model.as_deref().ok_or_else(|| CliError::Usage("name a network".into()))
    }

    /// The samples to measure on.
    pub(super) fn data(&self) -> Result<&Path, CliError> {
        self.data.as_deref().ok_or_else(|| CliError::Usage("name samples with --data".into()))
    }
}

impl<'a> Source<'a> {
    /// Nothing is read yet.
    pub(super) fn new(
        args: &'a SourceArgs,
        network: &'a Network,
        inputs: &'a NetworkInputs,
        how: Option<&'a Preprocess>,
        talk: Talk,
    ) -> Source<'a> {
        let (watched, told) = (OnceCell::new(), RefCell::new(Vec::new()));
        Source { args, network, inputs, how, talk, watched, told }
    }

    /// Whether some samples of `--data` calibrate and the others are measured.
    fn splits(&self) -> bool {
        self.args.calib.is_none() && !self.args.no_data
    }

    /// The samples of `--data` that are measured.
    pub(super) fn measured(&self, samples: &Samples<'_>) -> Result<Vec<usize>, CliError> {
        if !self.splits() {
            return Ok((0..samples.count).collect());
        }
        if samples.count < 2 {
            return Err(CliError::in_file(
                self.args.data()?,
                "holds one sample, which cannot both calibrate and be measured\n  hint: --calib FILE, or --no-data",
            ));
        }
        let measured: Vec<usize> = (1..samples.count).step_by(2).collect();
        self.talk.note(format_args!(
            "{} of {} samples calibrate, {} are measured (--calib takes others)",
            samples.count - measured.len(),
            samples.count,
            measured.len()
        ));
        Ok(measured)
    }

    /// What is known of activations, for some options.
    pub(super) fn calibrate(
        &self,
        samples: &Samples<'_>,
        options: &Options,
    ) -> Result<Calibration, CliError> {
        if self.args.no_data {
            let _stage = Progress::stage(self.talk, "calibrating");
            return self.network.calibrate_without_data(options).map_err(CliError::refused);
        }
        let Watched { observed, probes, .. } = self.watched(samples)?;
        let mut table = self.network.ranges(observed, options).map_err(CliError::refused)?;
        let told = self.told.borrow().iter().find(|(way, _)| *way == asked(options)).cloned();
        match told {
            Some((_, told)) => (table.means, table.answers) = (told.means, told.answers),
            None => {
                take_means(self.network, probes, &mut table, options, self.talk)
                    .map_err(CliError::refused)?;
                self.told.borrow_mut().push((asked(options), table.clone()));
            }
        }
        Ok(table)
    }

    /// What samples show, whatever the options. They are run once.
    pub(super) fn watched(&self, samples: &Samples<'_>) -> Result<&Watched, CliError> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        let see = |each: &mut dyn Iterator<Item = _>| self.network.observe(each);
        let (observed, probes, hashes) = match &self.args.calib {
            None => {
                let chosen = (0..samples.count).step_by(2).collect();
                watch(self.network, self.args.data()?, samples, chosen, self.talk, see)?
            }
            Some(path) => {
                let samples = Samples::read(path, self.inputs, self.how, None)?;
                let all = (0..samples.count).collect();
                watch(self.network, path, &samples, all, self.talk, see)?
            }
        };
        Ok(self.watched.get_or_init(|| Watched { observed, probes, hashes }))
    }

    /// Samples to refine on; none without data or before any ranges were asked for.
    pub(super) fn probes(&self) -> Option<&Probes> {
        self.watched.get().map(|watched| &watched.probes)
    }

    /// Hashes of the samples that were calibrated on.
    pub(super) fn hashes(&self) -> &[u64] {
        self.watched.get().map_or(&[], |watched| &watched.hashes)
    }

    /// Hashes of the samples that calibrate, in their order.
    pub(super) fn calibrating(&self, samples: &Samples<'_>) -> Result<Vec<u64>, CliError> {
        let of = |samples: &Samples<'_>, chosen: Vec<usize>, path: &Path| {
            let hashes = samples.those(chosen).map(|sample| Ok(sample?.hash()));
            hashes.collect::<Result<Vec<u64>, CliError>>().map_err(|e| samples.explain(path, e))
        };
        match &self.args.calib {
            _ if self.args.no_data => Ok(Vec::new()),
            None => of(samples, (0..samples.count).step_by(2).collect(), self.args.data()?),
            Some(path) => {
                let samples = Samples::read(path, self.inputs, self.how, None)?;
                of(&samples, (0..samples.count).collect(), path)
            }
        }
    }

    /// Warns as `qsim` does, if samples of `--data` are among those that calibrated.
    pub(super) fn warn_overlap(&self, samples: &Samples<'_>) {
        if self.args.calib.is_none() {
            return;
        }
        let hashes: BTreeSet<u64> = self.hashes().iter().copied().collect();
        let calibrated = |sample: &Result<crate::data::Sample, CliError>| {
            sample.as_ref().is_ok_and(|sample| hashes.contains(&sample.hash()))
        };
        let overlap = samples.each().filter(calibrated).count();
        if overlap > 0 {
            self.talk.warn(format_args!(
                "{overlap} of {} samples were used for calibration: accuracy on them says little",
                samples.count
            ));
        }
    }
}
