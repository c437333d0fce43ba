//! Where samples come from: which are measured, and which calibrate.

use std::collections::BTreeSet;
use std::path::Path;

use compiler::compile::Network;
use compiler::options::Options;
use ir::qgraph::QValue;
use isa::program::Preprocess;

use super::args::SourceArgs;
use crate::data::Samples;
use crate::error::CliError;
use crate::output::Talk;
use crate::progress::Progress;
use crate::qcc::calibrate::{Calibrated, observe};

/// Where ranges come from.
pub(super) struct Source<'a> {
    pub(super) args: &'a SourceArgs,
    pub(super) network: &'a Network,
    pub(super) inputs: &'a [QValue],
    pub(super) how: Option<&'a Preprocess>,
    pub(super) talk: Talk,
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

impl Source<'_> {
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
    ) -> Result<Calibrated, CliError> {
        if self.args.no_data {
            let _stage = Progress::stage(self.talk, "calibrating");
            let table = self.network.calibrate_without_data(options).map_err(CliError::refused)?;
            return Ok(Calibrated { table, ..Calibrated::default() });
        }
        let Some(path) = &self.args.calib else {
            let chosen = (0..samples.count).step_by(2).collect();
            let data = self.args.data()?;
            return observe(self.network, data, samples, chosen, None, options, self.talk);
        };
        let samples = Samples::read(path, self.inputs, self.how, None)?;
        let all = (0..samples.count).collect();
        observe(self.network, path, &samples, all, None, options, self.talk)
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
    pub(super) fn warn_overlap(&self, samples: &Samples<'_>, hashes: &BTreeSet<u64>) {
        if self.args.calib.is_none() {
            return;
        }
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
