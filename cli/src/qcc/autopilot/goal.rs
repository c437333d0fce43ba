//! What a search is to reach, as the command line says it.

use clap::Args;
use explorer::widths::budget::{Budget, Limit, Resource};

/// Options of a search.
#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
pub(crate) struct SearchArgs {
    /// Quantize ever better, at last with 16 bits where 8 hurt most, until at most POINTS of accuracy are lost
    #[arg(long, value_name = "POINTS", value_parser = parse_points, requires = "data", conflicts_with_all = ["no_data", "distill", "budget", "calib_in", "observer", "percentile", "rounding", "bias_correction"], long_help = MAX_DROP_HELP)]
    pub max_drop: Option<f64>,
    /// Choose bits layer by layer, so that the program fits and its answers suffer least
    #[arg(long, value_name = "size=BYTES|cycles=N", value_parser = parse_budget, requires = "data", conflicts_with_all = ["no_data", "distill", "calib_in", "weight_bits", "weight_bits_everywhere"], long_help = BUDGET_HELP)]
    pub budget: Option<Budget>,
}

/// What `--max-drop` does.
const MAX_DROP_HELP: &str = "\
Quantize ever better, at last with 16 bits where 8 hurt most, until at most POINTS of
accuracy are lost.
Every other sample of --data calibrates. On those between, the first step that loses no
more ends the search:
  1. ranges from smallest to largest
  2. ranges of least error
  3. bias correction
  4. rounding, 5. rounding on samples
  6. 16 bits (weights 8) for the 1, 2, 4, 8 .. layers that few bits hurt most, then as
     few of them as will do
  7. 16 bits everywhere
A step that brings the answers no nearer is taken back.
Points are percent of the samples: with labels, those that the float network gets right
less those that the program gets right; else those with another answer than float's.
If no step will do, the best program is written and the exit code is 3. --layer-bits and
--layer-act-bits stay as given.";

/// What `--budget` does.
const BUDGET_HELP: &str = "\
Choose bits layer by layer, so that the program fits and its answers suffer least:
  size=1.5M      bytes of constants (k, M, G, KiB, MiB, GiB)
  cycles=200k    cycles of one inference
  size=60%       a share of what 8 bits everywhere take
What fewer bits for one layer's weights do to the answers (under cycles= also what 16
bits for one value would spare) is measured on every other sample of --data; the rest
calibrates. Dynamic programming chooses. Uniform widths that fit are tried beside, and
the program with the least noise is written. If none fits, that which takes least is
written and the exit code is 3. --layer-bits and --layer-act-bits stay as given.";

/// What a search is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Points of accuracy that may be lost.
    MaxDrop(f64),
    /// What the program may take.
    Budget(Budget),
}

impl SearchArgs {
    /// What is searched for, if anything is.
    pub(crate) fn goal(&self) -> Option<Goal> {
        self.max_drop.map(Goal::MaxDrop).or(self.budget.map(Goal::Budget))
    }
}

fn parse_points(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(points) if (0.0..=100.0).contains(&points) => Ok(points),
        Ok(_) | Err(_) => Err("not a number of points from 0 to 100, such as 0.5".into()),
    }
}

fn parse_budget(text: &str) -> Result<Budget, String> {
    let expected = "expected size=BYTES or cycles=N, such as size=1.5M or cycles=80%";
    let (name, amount) = text.split_once('=').ok_or(expected)?;
    let resource = match name {
        "size" => Resource::Size,
        "cycles" => Resource::Cycles,
        _ => return Err(expected.into()),
    };
    let limit = parse_limit(amount).ok_or_else(|| {
        format!(
            "`{amount}` is no amount above 0; it is a number, with k, M, G, KiB, MiB, GiB, or %"
        )
    })?;
    Ok(Budget { resource, limit })
}

/// Suffixes and their factors.
const SUFFIXES: [(&str, f64); 7] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("", 1.0),
];

fn parse_limit(text: &str) -> Option<Limit> {
    let positive = |digits: &str| {
        let number: f64 = digits.trim_end().parse().ok()?;
        (number.is_finite() && number > 0.0).then_some(number)
    };
    if let Some(percent) = text.strip_suffix('%') {
        return Some(Limit::Share(positive(percent)? / 100.0));
    }
    let (digits, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    let amount = (positive(digits)? * factor).floor();
    // Exact below 2^53, and no program is larger.
    (1.0..9e15).contains(&amount).then_some(Limit::Absolute(amount as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_suffixes_and_shares() {
        for (text, bytes) in [
            ("size=1.5M", 1_500_000),
            ("size=200KiB", 204_800),
            ("size=200 KiB", 204_800),
            ("cycles=20k", 20_000),
            ("cycles=7", 7),
        ] {
            assert_eq!(parse_budget(text).unwrap().limit, Limit::Absolute(bytes), "{text}");
        }
        assert_eq!(parse_budget("size=60%").unwrap().limit, Limit::Share(0.6));
        assert_eq!(parse_budget("cycles=1k").unwrap().resource, Resource::Cycles);
        for text in [
            "1M",
            "size",
            "size=",
            "size=-1",
            "size=0",
            "size=1X",
            "size=nan",
            "time=1",
            "size=1e30",
            "size=0%",
        ] {
            assert!(parse_budget(text).is_err(), "{text}");
        }
    }
}
