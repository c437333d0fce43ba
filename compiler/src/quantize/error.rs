//! Why a float graph has no integer form.

use std::borrow::Cow;

use ir::verify::Problem;
use isa::numerics::NumericsError;
use isa::spelling::similar;

/// A node that the integer graph cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the node.
    pub node: String,
    /// Its ONNX operator.
    pub op: Cow<'static, str>,
    /// Why, and what to do.
    pub reason: String,
}

/// Why quantization stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// Nodes without an integer form, all of them.
    #[error("{} of the network's nodes cannot be quantized: {}", refusals.len(), list(refusals))]
    Refused {
        /// The nodes.
        refusals: Vec<Refusal>,
    },
    /// The calibration does not know some values.
    #[error(
        "the calibration has no range for {}; it was made for another network or another version of the compiler, calibrate again",
        names.join(", ")
    )]
    MissingRanges {
        /// The values.
        names: Vec<String>,
    },
    /// Weights that are not numbers.
    #[error("node `{node}`: {what} {index} is {value}, expected a finite number")]
    NotFinite {
        /// The node.
        node: String,
        /// `weight` or `bias`.
        what: &'static str,
        /// Position in the constant.
        index: usize,
        /// What was found.
        value: f32,
    },
    /// An accumulator that would have to be wider.
    #[error(
        "node `{node}`: output channel {channel} cannot be accumulated in {acc_bits} bits without losing its weights\n  hint: sums of int8 activations have at most 32 bits, those of int16 ones at most 48 (--act-bits 16), and none more than the machine's `acc_bits`"
    )]
    Accumulator {
        /// The node.
        node: String,
        /// The output channel.
        channel: usize,
        /// Bits that its sums may have.
        acc_bits: u8,
    },
    /// A ratio of scales that the machine's multipliers cannot express.
    #[error("node `{node}`: {source}")]
    Scale {
        /// The node.
        node: String,
        /// What is wrong.
        source: NumericsError,
    },
    /// A setting outside its range.
    #[error("`{name}` is {found}, expected {expected}")]
    Option {
        /// Name of the setting.
        name: &'static str,
        /// Value given.
        found: String,
        /// Values accepted.
        expected: &'static str,
    },
    /// Bits were asked for nodes that are not there, or that nodes cannot have; all of them.
    #[error("{}", problems.join("\n  "))]
    Layers {
        /// One sentence each.
        problems: Vec<String>,
    },
    /// The calibration table does not know the means of some layer.
    #[error(
        "the calibration has no {channels} means for `{name}`; it was made for another network or another version of the compiler, calibrate again"
    )]
    MissingMeans {
        /// Result of the layer.
        name: String,
        /// Its channels.
        channels: usize,
    },
    /// The calibration table does not know the answers to the held-out samples.
    #[error(
        "the calibration does not have the answers `{name}` to these samples; it was made for another network, other samples or another version of the compiler, calibrate again"
    )]
    MissingAnswers {
        /// The output.
        name: String,
    },
    /// The integers cannot be computed on the samples.
    #[error("`{name}` cannot be computed on the calibration samples: {message}")]
    Run {
        /// Input or node.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The result breaks the rules of integer graphs.
    #[error("the quantized graph is not valid: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Broken rules.
        problems: Vec<Problem>,
    },
}

/// Names that are listed at most.
const LISTED: usize = 12;

/// What to say of a `name` that no `what` has: the closest names that there are, else some of them.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>,
) -> String {
    let known: Vec<&str> = known.map(AsRef::as_ref).collect();
    let near = similar(name, known.iter().copied());
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let hint = match known.len().saturating_sub(LISTED) {
        _ if !near.is_empty() => format!("did you mean {}?", quoted(&near)),
        _ if known.is_empty() => "the network has none".into(),
        0 => format!("the network has {}", quoted(&known)),
        more => format!("the network has {} and {more} more", quoted(&known[..LISTED])),
    };
    format!("no {what} is called `{name}`; {hint}")
}

fn list(refusals: &[Refusal]) -> String {
    let line = |r: &Refusal| format!("`{}` ({}): {}", r.node, r.op, r.reason);
    refusals.iter().map(line).collect::<Vec<_>>().join("; ")
}
