//! `--trace`: which form, and the run that writes it.

use std::path::{Path, PathBuf};

use isa::Program;
use simulator::trace::{TraceError, TraceOptions, TraceWriter};
use simulator::waves::{WaveFormat, WaveWriter};
use timing::{Mode, Timing, TimingError};

use crate::error::CliError;
use crate::output::Output;

/// What a trace file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Timeline,
    Waves(WaveFormat),
}

/// Forms by extension.
const FORMS: [(&str, Form); 3] = [
    ("json", Form::Timeline),
    ("vcd", Form::Waves(WaveFormat::Vcd)),
    ("fst", Form::Waves(WaveFormat::Fst)),
];

/// A trace to be written.
pub(super) struct Target {
    path: PathBuf,
    form: Form,
    file: Output,
}

impl Target {
    /// Opens the file, so that a bad path fails before the work.
    pub(super) fn open(path: &Path) -> Result<Target, CliError> {
        Ok(Target { path: path.to_path_buf(), form: form(path)?, file: Output::open(path)? })
    }

    /// Times the program and writes what happens; the file is yet to be put in place. `name` is the program's.
    pub(super) fn write(
        mut self,
        name: &Path,
        program: &Program,
        mode: Mode,
    ) -> Result<(Timing, Written), CliError> {
        let hardware = &program.hardware;
        let options = TraceOptions::default();
        let untimed = |e: TimingError| CliError::in_file(name, e);
        let path = self.path;
        let unwritten = |e: TraceError| CliError::in_file(&path, e);
        let (timing, viewer) = match self.form {
            Form::Timeline => {
                let mut writer =
                    TraceWriter::new(&mut self.file, program, hardware.clock_mhz, options);
                let timing =
                    timing::run_on(program, hardware, mode, &mut writer).map_err(untimed)?;
                writer.finish(&timing).map_err(unwritten)?;
                (timing, "a trace viewer such as ui.perfetto.dev")
            }
            Form::Waves(format) => {
                let known = timing::run(program, Mode::Event).map_err(untimed)?;
                let window = options.window_cycles;
                let mut writer = WaveWriter::new(format, &mut self.file, program, &known, window)
                    .map_err(unwritten)?;
                let timing =
                    timing::run_on(program, hardware, mode, &mut writer).map_err(untimed)?;
                writer.finish().map_err(unwritten)?;
                (timing, "a wave viewer such as GTKWave or Surfer")
            }
        };
        Ok((timing, Written { path, viewer, file: self.file }))
    }
}

/// A trace that is complete but not yet in place.
pub(super) struct Written {
    path: PathBuf,
    viewer: &'static str,
    /// The file.
    pub file: Output,
}

impl Written {
    /// What to do with it, once it is in place.
    pub(super) fn note(&self) -> String {
        format!("wrote {} (open it in {})", self.path.display(), self.viewer)
    }
}

/// The extension says the form.
fn form(path: &Path) -> Result<Form, CliError> {
    let extension = path.extension().and_then(|e| e.to_str());
    let found = FORMS.iter().find(|(known, _)| extension == Some(known));
    found.map(|&(_, form)| form).ok_or_else(|| {
        CliError::Usage(format!(
            "--trace={}: unknown trace form\n  hint: the extension says it: .json is a timeline, .vcd and .fst are waves",
            path.display()
        ))
    })
}
