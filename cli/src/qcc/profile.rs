//! `--profile`: the number formats of well-known tool chains.

use clap::ValueEnum;
use compiler::options::{Granularity, Observer, Options};
use isa::Hardware;

use super::args::QuantizeArgs;
use crate::error::CliError;

/// A tool chain whose conventions are followed. It decides what no other option says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// PyTorch for x86: activations in half of int8's range (7 bits), one weight scale per output channel.
    Fbgemm,
    /// PyTorch for ARM: 8 bits, one weight scale per layer.
    Qnnpack,
    /// TensorFlow Lite: int8 activations from their smallest to their largest value, one weight scale per output channel, fixed scales for
    /// results of softmax and sigmoid.
    Tflite,
    /// Scales that are powers of two, so that the machine shifts and never multiplies.
    Pow2,
}

/// Machine parameters that the power-of-two profile sets to 1.
const MULTIPLIERS: [&str; 2] = ["multiplier_bits", "add_multiplier_bits"];

/// Bits per activation.
pub(super) fn act_bits(q: &QuantizeArgs) -> u8 {
    let of_profile = if q.profile == Some(Profile::Fbgemm) { 7 } else { 8 };
    q.act_bits.unwrap_or(of_profile)
}

/// Fills in what the command line leaves to the profile.
pub(super) fn fill(options: &mut Options, q: &QuantizeArgs) {
    match q.profile {
        Some(Profile::Qnnpack) => options.granularity = Granularity::PerTensor,
        Some(Profile::Tflite) if q.method.observer.is_none() => options.observer = Observer::MinMax,
        Some(Profile::Fbgemm | Profile::Tflite | Profile::Pow2) | None => {}
    }
}

/// The machine that the profile asks for.
///
/// # Errors
/// When `--set` asks for multipliers that the profile does without.
pub(super) fn machine(
    mut hw: Hardware,
    q: &QuantizeArgs,
    set: &[String],
) -> Result<Hardware, CliError> {
    if q.profile != Some(Profile::Pow2) {
        return Ok(hw);
    }
    let asked = |change: &&String| {
        let (name, value) = change.split_once('=').unwrap_or((change, ""));
        MULTIPLIERS.contains(&name.trim()) && value.trim() != "1"
    };
    if let Some(change) = set.iter().find(asked) {
        return Err(CliError::Usage(format!(
            "--set {change}: --profile pow2 is for machines without multipliers\n  hint: leave one of the two out"
        )));
    }
    for name in MULTIPLIERS {
        hw.set(name, "1").map_err(|e| CliError::Refused(format!("--profile pow2: {e}")))?;
    }
    hw.validate().map_err(CliError::refused)?;
    Ok(hw)
}

/// What `--profile` chooses from.
pub(super) const HELP: &str = "\
Number formats of a well-known tool chain; other options go before it:
  fbgemm   PyTorch for x86: activations in half of int8's range (--act-bits 7), one weight scale per output channel
  qnnpack  PyTorch for ARM: 8 bits, one weight scale per layer (--per-tensor)
  tflite   TensorFlow Lite: int8 activations, all of their range (--observer minmax), one weight scale per output
           channel. Results of softmax and sigmoid have its fixed scales whatever the profile
  pow2     scales that are powers of two, for a machine that shifts and never multiplies (--set multiplier_bits=1
           --set add_multiplier_bits=1)
What no number format says (correction of biases, rounding) is as without.";
