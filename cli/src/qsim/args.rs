//! The command line of `qsim`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::args::{DATA_HELP, Format, MachineArgs, TalkArgs};

/// Run a compiled program at cycle level: values, cycles, traffic, energy, accuracy
#[derive(Debug, Parser)]
#[command(
    name = "qsim",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  qsim prog.bin --trace                 timeline in prog.trace.json\n  qsim prog.bin --trace=prog.fst         waves for GTKWave or Surfer\n  qsim prog.bin --html prog.html         a page with charts; --svg FOLDER writes them as files\n  qsim prog.bin --data test.npz --check  accuracy, and every layer against the host runtime\n  qsim prog.bin --data photos/ --float model.onnx\n  qsim prog.bin --input photo.jpg        its five most likely classes\n  qsim prog.bin --set dram_latency_cycles=500 --timing-only\n  qsim prog.bin --data test.npz --inject weights --inject scratchpad:rate=1e-6 --runs 5000\n\nExit codes: 0 done, 1 input refused, 2 usage, 3 a check or constraint failed, 101 a bug of ours, 130 interrupted."
)]
pub(crate) struct Cli {
    /// What to do instead of running a program.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Run a program.
    #[command(flatten)]
    pub run: RunArgs,
    /// How to talk.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// What `--inject` takes.
const INJECT_HELP: &str = "\
Flip bits, run, and compare with a run without faults; --runs times, each with faults of its own, for each
--inject: SPACE[:KEY=VALUE,..] or `all`, one bit anywhere in each space that the program has.
Spaces, there from the start of a run:
  weights        bits of the weights in DRAM, as stored
  params         bits of biases, multipliers and shifts in DRAM
  tables         bits of lookup tables in DRAM
  instructions   bits of the instruction words
and at one cycle of it, until the cell is written again:
  scratchpad     a bit of a byte at a cycle, all bits and cycles equally likely
  accumulators   a bit of an accumulator at a cycle, likewise
How many bits:
  count=N        so many different ones [default: 1]
  rate=P         each bit with this probability during a run
  at=N.BIT+..    these: byte of the constants, byte of the scratchpad, accumulator, or word of engine=NAME
Which ones:
  layer=NAME     what this layer loads, reads or executes
  bit=B          this bit of a weight, entry, byte, accumulator or word
  engine=NAME    instructions of one engine
  cycle=C, live  on-chip memories: at this cycle; only values still to be read";

/// Commands beside running a program.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prove a program free of races, deadlocks, reads of unwritten memory and sums that wrap, and that it computes its integer graph
    Verify {
        /// The program
        #[arg(value_name = "PROG.bin")]
        program: PathBuf,
        /// Also say for every layer how far its dot products reach, how many bits hold them, and how many accumulators round to
        /// another integer than ONNX Runtime's float32 arithmetic; with FILE, each of them by output channel, as CSV
        #[arg(long, value_name = "FILE.csv", num_args = 0..=1, require_equals = true)]
        accumulators: Option<Option<PathBuf>>,
    },
    /// Assemble text into a program
    Asm {
        /// The assembly text
        #[arg(value_name = "TEXT.qasm")]
        source: PathBuf,
        /// Where the program goes [default: the source's name with .bin]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print a program as assembly text
    Disasm {
        /// The program
        #[arg(value_name = "PROG.bin")]
        program: PathBuf,
        /// Where the text goes [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Compare two programs of one network: machine, cycles, traffic, and every layer that changed, with the largest part of why
    Diff(DiffArgs),
    /// Compile the embedded Fashion-MNIST network and run 1,000 real images through it
    Demo {
        /// Folder for the program, the report and the trace
        #[arg(short, long, value_name = "FOLDER", default_value = "qcc-demo")]
        output: PathBuf,
    },
}

/// Options of a comparison.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A program
    #[arg(value_name = "A.bin")]
    pub before: PathBuf,
    /// Another one
    #[arg(value_name = "B.bin")]
    pub after: PathBuf,
    /// Text for people, or JSON
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub format: String,
    /// Where it goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of a run.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The program
    #[arg(value_name = "PROG.bin", required = true)]
    pub program: Option<PathBuf>,
    /// Samples to run, labelled or not: .npz, .npy, or a folder of images; without, one seeded random input
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with = "input", long_help = DATA_HELP)]
    pub data: Option<PathBuf>,
    /// One sample: .npy, .npz with one array per network input, or an image; the report lists the five largest values of the first output
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Where the outputs go, as real values: .npz with one array per output, or .npy for a single one
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// --input and --output hold stored integers, [h, w, c] in row-major order, instead of real values
    #[arg(long)]
    pub raw: bool,
    /// How images and uint8 pixels become the network's input: stored in the program, so that another value given here is an error
    #[arg(long, value_name = "KEY=VALUE,..")]
    pub preprocess: Option<String>,
    /// Float model to compare with on --data: the one compiled from, unless the program holds it
    #[arg(long, value_name = "MODEL.onnx", requires = "data", conflicts_with = "input")]
    pub float: Option<PathBuf>,
    /// Compare every layer of every sample with the host runtime
    #[arg(long, conflicts_with = "timing_only")]
    pub check: bool,
    /// Write what each engine does in every cycle: a timeline (.json), or waves (.vcd, .fst) [default file: PROG.trace.json]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub trace: Option<Option<PathBuf>>,
    /// Write a page with charts of the run, one file that needs no network: roofline, stalls and traffic of each layer, memory and engines over time, and all that is known of each layer
    #[arg(long, value_name = "FILE.html")]
    pub html: Option<PathBuf>,
    /// Write each chart as a file of its own, for papers: roofline.svg, cycles.svg, traffic.svg, memory.svg, engines.svg, dram.svg
    #[arg(long, value_name = "FOLDER")]
    pub svg: Option<PathBuf>,
    /// Time only: compute no values
    #[arg(long, conflicts_with_all = ["data", "input", "output", "float", "raw", "preprocess"])]
    pub timing_only: bool,
    /// Count cycles with the cycle-stepped core instead of the event-driven one (same result, slower)
    #[arg(long)]
    pub cycle_stepped: bool,
    /// Compute values with plain loops that trap when an accumulator wraps (same result, slower)
    #[arg(long)]
    pub reference: bool,
    /// Also run the first sample in N hostile orders of the engines' words that the semaphores allow, the extreme ones first (24 orders of preference), then random ones; a byte that differs names the two words that race
    #[arg(long, value_name = "N", conflicts_with = "timing_only", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub adversarial: Option<u64>,
    /// Flip bits and report what becomes of them; may be repeated
    #[arg(long, value_name = "SPEC", long_help = INJECT_HELP, conflicts_with_all = ["check", "trace", "html", "svg", "timing_only", "cycle_stepped", "float", "output", "adversarial"])]
    pub inject: Vec<String>,
    /// Runs of each --inject, which take the samples in turn [default: 1000]
    #[arg(long, value_name = "N", requires = "inject", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub runs: Option<u64>,
    /// Machine parameters; only those that change nothing but time may differ from the program's
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Report as text, JSON, or CSV per layer
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Where the report goes [default: standard output]
    #[arg(short = 'o', long = "report", value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Seed of the random input, and of the faults of --inject
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}
