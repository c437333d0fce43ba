//! `--html` and `--svg`: the charts of a run, on a page and as files.

mod loss;

use std::path::Path;

use charts::{Chart, Run, Section};
use isa::Program;
use simulator::report::{ProgramFile, Report};

use crate::error::{CliError, describe};
use crate::float_model::{embedded_graph, open_graph};
use crate::output::{Output, Talk};
use crate::qcc::explain::explained;

/// Samples that the loss is measured on, at most: it takes a run of the float network for each source of noise.
pub(super) const LOSS_SAMPLES: usize = 16;

/// Pictures to be drawn.
pub(super) struct Pictures<'a> {
    page: Option<Output>,
    folder: Option<&'a Path>,
}

/// What they are of.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The program.
    pub program: &'a Program,
    /// Its file.
    pub path: &'a Path,
    /// What the run found out.
    pub report: &'a Report,
    /// Real inputs to measure the loss on, if there are any.
    pub real_inputs: &'a [Vec<Vec<f32>>],
}

impl<'a> Pictures<'a> {
    /// Opens the page and makes the folder, so that a bad path fails before the work.
    pub(super) fn open(
        page: Option<&Path>,
        folder: Option<&'a Path>,
    ) -> Result<Pictures<'a>, CliError> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|e| {
                CliError::in_file(folder, format!("cannot be made: {}", describe(folder, &e)))
            })?;
        }
        Ok(Pictures { page: page.map(Output::open).transpose()?, folder })
    }

    /// Draws them; the files are yet to be put in place.
    pub(super) fn draw(
        self,
        subject: Subject<'_>,
        float: Option<&Path>,
        talk: Talk,
    ) -> Result<Vec<Output>, CliError> {
        let Pictures { page, folder } = self;
        if page.is_none() && folder.is_none() {
            return Ok(Vec::new());
        }
        let Subject { program, path, report, real_inputs } = subject;
        let float = match (float, &program.float_model) {
            (Some(float), _) => Some(open_graph(float, &program.meta)?),
            (None, Some(onnx)) => Some(embedded_graph(onnx.clone(), &program.meta)?),
            (None, None) => None,
        };
        let file = ProgramFile {
            hash: report.program.hash.clone(),
            bytes: report.memory.program_bytes,
            schema: report.program.schema,
        };
        let explanation = explained(program, path, &file, float.as_ref())?;
        let run = Run::new(program, &explanation).map_err(|e| CliError::in_file(path, e))?;
        let loss: Option<(Chart, Section)> = match float {
            Some(float) if !real_inputs.is_empty() => {
                loss::section(program, float, real_inputs, talk)
            }
            _ => None,
        };
        let mut files = Vec::new();
        if let Some(folder) = folder {
            let charts = run.charts().into_iter().chain(loss.iter().map(|(c, _)| c.clone()));
            for chart in charts {
                let mut file = Output::open(&folder.join(chart.name).with_extension("svg"))?;
                file.put(chart.file().as_bytes())?;
                files.push(file);
            }
        }
        if let Some(mut page) = page {
            let more = loss.into_iter().map(|(_, section)| section).collect();
            page.put(run.page(report, more).as_bytes())?;
            files.push(page);
        }
        Ok(files)
    }
}
