//! Options that several commands share. The same flag means the same everywhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use isa::{Hardware, Program};

use crate::error::{CliError, read_file};
use crate::output::{Talk, Verbosity};

/// What `--data` reads.
pub(crate) const DATA_HELP: &str = "\
Samples:
  FILE.npz   `x` (n, ...), or one array per network input by its name; optionally integer labels `y` (n)
  FILE.npy   (n, ...) for a network with one input
  FOLDER     JPEG and PNG images, in sorted order:
             with labels.csv, the files it lists: a line `file,label` each, where the label is a class
               index or a name of --names; a header line `file,label` is allowed
             or one subfolder per class: named as in --names, by class index, or (all classes there)
               in sorted order
             or images alone, without labels
Images and uint8 arrays pass through --preprocess; float arrays are taken as they are.
Inputs of integer type (token ids, pixels) take arrays of integers, and images without --preprocess.";

/// What `--preprocess` takes.
pub(crate) const PREPROCESS_HELP: &str = "\
How images and uint8 pixels become the network's input, stored in the program:
  mean=M, std=S        input = (pixel - mean) / std, pixels 0..255; several channels: mean=124:116:104
                       [default: 0 and 1]
  resize=256           shorter side of an image, the other in proportion
  resize=224x320       height x width
  resize=256:bicubic   filter: bilinear (default) or bicubic, both with antialiasing as in Pillow
  crop=224, 224x320    center crop, after resizing
  layout=nchw|nhwc     order of the axes of the network's input [default: nchw]
  color=rgb|bgr|gray   channels of the network's input, in the order of mean and std [default: rgb]
EXIF orientation is not applied. uint8 arrays are taken as resized, cropped and colored.";

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A summary for people.
    #[default]
    Text,
    /// One JSON document (docs/generated/report.md lists its keys).
    Json,
    /// One line per layer.
    Csv,
}

/// When messages are colored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether stderr gets color.
    pub(crate) fn on_stderr(self) -> bool {
        use std::io::IsTerminal;
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }
}

/// How much is said, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct TalkArgs {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what happens at each step
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Color messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

impl TalkArgs {
    /// Where talk goes.
    pub(crate) fn talk(&self) -> Talk {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Talk { verbosity }
    }
}

/// The machine.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// Machine: a preset (tiny8, edge16, edge32, tpu128, tpu256) or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    pub hw: Option<String>,
    /// Change one hardware parameter; may be repeated (docs/generated/hardware.md lists all)
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

impl MachineArgs {
    /// The machine these options describe, starting from `base` where `--hw` is not given.
    pub(crate) fn machine(&self, base: Hardware) -> Result<Hardware, CliError> {
        let mut hw = match self.hw.as_deref() {
            None => base,
            Some(name) => preset_or_file(name)?,
        };
        for change in &self.set {
            let (name, value) = change.split_once('=').ok_or_else(|| {
                CliError::Usage(format!("--set {change}: not of the form name=value"))
            })?;
            hw.set(name.trim(), value.trim())
                .map_err(|e| CliError::Refused(format!("--set {change}: {e}")))?;
        }
        hw.validate().map_err(CliError::refused)?;
        Ok(hw)
    }
}

impl MachineArgs {
    /// Gives a program this machine; only parameters that change nothing but time may differ from its own.
    pub(crate) fn retime(&self, program: &mut Program) -> Result<(), CliError> {
        let hw = self.machine(program.hardware.clone())?;
        let fixed = program.hardware.incompatible_with(&hw);
        if !fixed.is_empty() {
            let names: Vec<String> = fixed.iter().map(|n| format!("`{n}`")).collect();
            return Err(CliError::Refused(format!(
                "{} cannot change after compilation\n  hint: qcc --set compiles for another machine",
                names.join(", ")
            )));
        }
        program.hardware = hw;
        Ok(())
    }
}

fn preset_or_file(name: &str) -> Result<Hardware, CliError> {
    if let Some(hw) = Hardware::preset(name) {
        return Ok(hw);
    }
    let path = Path::new(name);
    if !path.exists() && !name.contains(['/', '.']) {
        let near = isa::spelling::similar(name, isa::hardware::PRESETS.iter().copied());
        let near = near.first().map_or(String::new(), |near| format!("did you mean `{near}`? "));
        return Err(CliError::Refused(format!(
            "--hw {name}: no such preset\n  hint: {near}it is one of {}, or a TOML file",
            isa::hardware::PRESETS.join(", ")
        )));
    }
    let bytes = read_file(path)?;
    let text = String::from_utf8(bytes).map_err(|_| CliError::in_file(path, "is not text"))?;
    Hardware::from_toml(&text).map_err(|e| CliError::in_file(path, e))
}

/// `--shape`: extents by symbol, by `INPUT:AXIS` or by input.
pub(crate) fn parse_shape(pairs: &[String]) -> Result<BTreeMap<String, Vec<usize>>, CliError> {
    let mut out = BTreeMap::new();
    for pair in pairs {
        let usage = |problem: &str| {
            CliError::Usage(format!(
                "--shape {pair}: {problem}; expected NAME=EXTENT such as batch=1, or INPUT=1x3x224x224"
            ))
        };
        // Names of inputs may hold an equals sign, extents do not.
        let (name, extents) = pair.rsplit_once('=').ok_or_else(|| usage("no `=` in it"))?;
        let extents: Option<Vec<usize>> = (extents.split('x'))
            .map(|extent| extent.trim().parse().ok().filter(|&extent| extent > 0))
            .collect();
        let extents = extents.ok_or_else(|| usage("not extents of at least 1"))?;
        if out.insert(name.trim().to_owned(), extents).is_some() {
            return Err(usage("given twice"));
        }
    }
    Ok(out)
}

/// `lo,hi` of `--input-range`.
pub(crate) fn parse_range(text: &str) -> Result<(f32, f32), String> {
    let parsed = text
        .split_once(',')
        .and_then(|(lo, hi)| Some((lo.trim().parse().ok()?, hi.trim().parse().ok()?)));
    match parsed {
        Some((lo, hi)) if f32::is_finite(lo) && f32::is_finite(hi) && lo < hi => Ok((lo, hi)),
        _ => Err("two numbers, the smaller first, such as 0,1".into()),
    }
}

/// A path with another extension appended in place of its own.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    path.with_extension(suffix)
}
