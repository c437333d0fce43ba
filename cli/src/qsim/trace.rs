//! `--trace`: which form, and the run that writes it.

use std::path::{Path, PathBuf};

use isa::Program;
use simulator::trace::{TraceOptions, TraceWriter};
use simulator::waves::{WaveFormat, WaveWriter};
use timing::{Mode, Timing};

use crate::error::CliError;
use crate::output::{AtomicFile, Talk};

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
    file: AtomicFile,
}

impl Target {
    /// Opens the file, so that a bad path fails before the work. Without a name it is a timeline beside the program.
    pub(super) fn open(given: Option<&Path>, program: &Path) -> Result<Target, CliError> {
        let path = given.map_or_else(|| program.with_extension("trace.json"), Path::to_path_buf);
        let form = form(&path)?;
        let file = AtomicFile::create(&path)?;
        Ok(Target { path, form, file })
    }

    /// Times the program and writes what happens.
    pub(super) fn write(
        mut self,
        program: &Program,
        mode: Mode,
        talk: Talk,
    ) -> Result<Timing, Box<dyn std::error::Error>> {
        let hardware = &program.hardware;
        let options = TraceOptions::default();
        let (timing, viewer) = match self.form {
            Form::Timeline => {
                let mut writer =
                    TraceWriter::new(&mut self.file, program, hardware.clock_mhz, options);
                let timing = timing::run_on(program, hardware, mode, &mut writer)?;
                writer.finish(&timing)?;
                (timing, "a trace viewer such as ui.perfetto.dev")
            }
            Form::Waves(format) => {
                let known = timing::run(program, Mode::Event)?;
                let window = options.window_cycles;
                let mut writer = WaveWriter::new(format, &mut self.file, program, &known, window)?;
                let timing = timing::run_on(program, hardware, mode, &mut writer)?;
                writer.finish()?;
                (timing, "a wave viewer such as GTKWave or Surfer")
            }
        };
        self.file.commit()?;
        talk.note(format_args!("wrote {} (open it in {viewer})", self.path.display()));
        Ok(timing)
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
