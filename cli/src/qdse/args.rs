//! The command line of `qdse`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::args::{DATA_HELP, MachineArgs, TalkArgs};
use crate::qcc::args::MethodArgs;

/// Explore number formats and machines for an ONNX network
#[derive(Debug, Parser)]
#[command(
    name = "qdse",
    version,
    after_help = "Examples:\n  qdse study model.onnx --data test.npz --preprocess mean=0,std=255\n  qdse study model.onnx --data test.npz --calib calib.npz --preprocess mean=0,std=255 --format csv -o study.csv\n\nExit codes: 0 done, 1 input refused, 2 usage, 101 a bug of ours, 130 interrupted."
)]
pub(crate) struct Cli {
    /// What to explore.
    #[command(subcommand)]
    pub command: Command,
    /// How to talk.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// What to explore.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare number formats for one network: size, accuracy, host time, cycles, DRAM traffic
    ///
    /// One row each for float32; float16, int8 and int4 weights alone; dynamic int8; integers of 8, 16 and 4 bits as `qcc` compiles them, for
    /// machines with full, narrow and no multipliers behind the accumulators. Accuracy is over --data, top-1 where it has labels. Rows with
    /// cycles are what `qcc` makes with the options that --format json names, and `qsim` reports the same of them; all others
    /// need floating point at run time and run on the host only.
    Study(StudyArgs),
}

/// Options of a study.
#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    /// The network
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Samples to measure on, labelled or not; without --calib or --no-data every other one is calibrated on instead
    #[arg(long, value_name = "FILE|FOLDER", long_help = measured_help())]
    pub data: PathBuf,
    /// Samples to calibrate on, in the same forms as --data
    #[arg(long, value_name = "FILE|FOLDER")]
    pub calib: Option<PathBuf>,
    /// Calibrate without data
    #[arg(long, conflicts_with = "calib")]
    pub no_data: bool,
    /// How to quantize.
    #[command(flatten)]
    pub method: MethodArgs,
    /// Fix a symbolic dimension by its name, INPUT:AXIS=EXTENT one by its place, or INPUT=1x3x224x224 all of an input; may be repeated
    #[arg(long, value_name = "NAME=EXTENT")]
    pub shape: Vec<String>,
    /// Class names, one a line, one for each value of the first output, for labels that are names
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// The machine; the parameters that a row names are the row's
    #[command(flatten)]
    pub machine: MachineArgs,
    /// The table as text, JSON, or CSV
    #[arg(long, default_value = "text")]
    pub format: StudyFormat,
    /// Where the table goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What `--data` reads, and which samples are measured.
fn measured_help() -> String {
    format!(
        "{DATA_HELP}\nAll of them are measured, if --calib names other samples to calibrate on, or with --no-data.\nElse the first, third, fifth .. calibrate, and the second, fourth .. are measured."
    )
}

/// How a study is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StudyFormat {
    /// A table for people.
    Text,
    /// One JSON document.
    Json,
    /// One line per scheme.
    Csv,
}
