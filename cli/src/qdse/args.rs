//! The command line of `qdse`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::args::{DATA_HELP, MachineArgs, TalkArgs};
use crate::qcc::args::MethodArgs;

/// Explore number formats and machines for an ONNX network
#[derive(Debug, Parser)]
#[command(
    name = "qdse",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  qdse model.onnx --space space.toml --data test.npz --calib calib.npz --preprocess mean=0,std=255 -o out/\n  qdse model.onnx --space space.toml --data test.npz -o out/ --resume\n  qdse study model.onnx --data test.npz --preprocess mean=0,std=255\n  qdse study model.onnx --data test.npz --calib calib.npz --preprocess mean=0,std=255 --format csv -o study.csv\n\nExit codes: 0 done, 1 input refused, 2 usage, 3 no point keeps to all constraints, 101 a bug of ours, 130 interrupted."
)]
pub(crate) struct Cli {
    /// What to do instead of sweeping a space.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Sweep a space.
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// How to talk.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// Commands beside sweeping.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare number formats for one network: size, accuracy, host time, cycles, DRAM traffic
    ///
    /// One row each for float32; float16, int8 and int4 weights alone; dynamic int8; integers of 8, 16 and 4 bits as `qcc` compiles them, for
    /// machines with full, narrow and no multipliers behind the accumulators. Accuracy is over --data, top-1 where it has labels. Rows with
    /// cycles are what `qcc` makes with the options that --format json names, and `qsim` reports the same of them; all others
    /// need floating point at run time and run on the host only.
    Study(Box<StudyArgs>),
    /// Put the shards of a sweep together: the same files as of one run
    Merge(MergeArgs),
    /// Compile a program's integers for another machine and say what changes, layer by layer
    ///
    /// The machine is the program's with --hw and --set. Without either: cycles with half and with twice of every parameter. Parameters that quantization
    /// depends on cannot change: acc_bits, multiplier_bits, add_multiplier_bits, rounding.
    WhatIf(WhatIfArgs),
}

/// A network and the samples for it.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The network
    #[arg(value_name = "MODEL.onnx", required = true)]
    pub model: Option<PathBuf>,
    /// Samples to measure on, labelled or not; without --calib or --no-data every other one is calibrated on instead
    #[arg(long, value_name = "FILE|FOLDER", required = true, long_help = measured_help())]
    pub data: Option<PathBuf>,
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
    /// The machine, except for the parameters that rows or points name
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// Options of a study.
#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    /// The table as text, JSON, or CSV
    #[arg(long, default_value = "text")]
    pub format: StudyFormat,
    /// Where the table goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What is compared.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Options of a sweep.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// What to vary, and what to judge points by: a TOML file (docs/exploration.md)
    #[arg(long, value_name = "FILE.toml", required = true)]
    pub space: Option<PathBuf>,
    /// Folder for points.jsonl, front.csv, front.svg and report.html
    #[arg(short, long, value_name = "FOLDER", required = true)]
    pub output: Option<PathBuf>,
    /// Go on where an interrupted sweep stopped: what the folder holds is not evaluated again
    #[arg(long)]
    pub resume: bool,
    /// Evaluate the I-th of N parts of the points, for `qdse merge`
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<Shard>,
    /// Measure on so many samples at most, spread evenly over those there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: Option<u32>,
    /// Which points: grid is all, random draws some, nsga2 breeds from the best so far, mixed chooses widths layer by layer; in place of what the space file says
    ///
    /// mixed takes the widths that `weight_bits` and `act_bits` list, measures once what each does to each layer, and for a ladder of budgets finds the bits of every
    /// layer that do least harm within it: points along the whole curve of memory.weights_bytes or cycles.total, whichever is an objective, with uniform widths beside
    /// them. Layers are measured on calibration samples, so --data has no part in the choice.
    #[arg(long, value_parser = ["grid", "random", "nsga2", "mixed"])]
    pub strategy: Option<String>,
    /// Points that random and nsga2 evaluate, and most points of mixed, in place of what the space file says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub budget: Option<u64>,
    /// Seed of random and nsga2, in place of what the space file says
    #[arg(long, value_name = "N")]
    pub search_seed: Option<u64>,
    /// What is explored.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// One of several equal parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// Which one, from 1.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((index, of)) if index >= 1 && index <= of => Ok(Shard { index, of }),
        _ => Err("expected I/N with I from 1 to N, such as 1/4".into()),
    }
}

/// Options of a change of machine.
#[derive(Debug, Args)]
pub(crate) struct WhatIfArgs {
    /// The program
    #[arg(value_name = "PROG.bin")]
    pub program: PathBuf,
    /// Text for people, or JSON
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub format: String,
    /// Where it goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What changes
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// Options of a merge.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Folders of all shards of one sweep
    #[arg(value_name = "FOLDER", required = true)]
    pub shards: Vec<PathBuf>,
    /// Folder for the whole sweep
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
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
