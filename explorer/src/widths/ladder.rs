//! The autopilot: from cheap ways to quantize to dear ones, until accuracy holds.
//!
//! First methods that cost nothing at run time, one more at each rung; one that brings the answers no nearer is taken back. Then 16 bits for what 8 of them hurt most, 1, 2, 4, 8..
//! values, and once enough of them are wide, as few as do. Nothing is ever computed in float.

use std::collections::BTreeMap;

use compiler::options::{BiasCorrection, Observer, Options, WeightRounding};
use compiler::quantize::layer_bits;

use super::{SearchError, Searcher, Tried};
use crate::bench::Candidate;
use crate::sensitivity::{Bits, Change, Effect};

/// A step of the ladder: what it changes beside the steps before that helped.
#[derive(Clone, Copy, Debug)]
pub struct Rung {
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub change: fn(&mut Options),
}

/// The steps that cost nothing at run time, from the cheapest for the compiler on.
pub const RUNGS: &[Rung] = &[
    Rung {
        name: "ranges from smallest to largest",
        change: |options| {
            options.observer = Observer::MinMax;
            options.weight_rounding = WeightRounding::Nearest;
            options.bias_correction = BiasCorrection::Off;
        },
    },
    Rung { name: "ranges of least error", change: |options| options.observer = Observer::Mse },
    Rung {
        name: "bias correction",
        change: |options| options.bias_correction = BiasCorrection::Auto,
    },
    Rung { name: "rounding", change: |options| options.weight_rounding = WeightRounding::Auto },
    Rung {
        name: "rounding on samples",
        change: |options| options.weight_rounding = WeightRounding::Descent,
    },
];

/// Where a climb ended.
#[derive(Clone, Debug)]
pub struct Climbed {
    /// The first step that lost no more than allowed, else the one that lost least.
    pub tried: Tried,
    /// Its integers.
    pub candidate: Candidate,
    /// Whether it lost no more than allowed.
    pub passed: bool,
}

/// Climbs until at most `max_drop` points of accuracy are lost. What the base asks of single layers stays as it is.
///
/// # Errors
/// When the first step has no program; a later one without is told to the listener and passed over.
pub fn climb<E: Send>(
    searcher: &Searcher<'_, E>,
    base: &Options,
    max_drop: f64,
) -> Result<Climbed, SearchError<E>> {
    let mut climb = Climb { searcher, max_drop, last: None, best: None, passed: None };
    let mut options = base.clone();
    for rung in RUNGS {
        let mut changed = options.clone();
        (rung.change)(&mut changed);
        match climb.step(rung.name.to_owned(), &changed)? {
            Outcome::Passes => return climb.done(),
            Outcome::Nearer => options = changed,
            Outcome::NoNearer => {}
        }
    }
    let ranked = climb.ranked(&options)?;
    let widened = |count: usize| {
        ranked[..count].iter().fold(options.clone(), |options, change| change.applied(&options))
    };
    let (mut short, mut enough) = (0, 1);
    while enough < ranked.len() && !climb.passes(widened_name(enough), &widened(enough))? {
        (short, enough) = (enough, 2 * enough);
    }
    if enough >= ranked.len() {
        let all = Options { act_bits: 16, weight_bits: 8, ..options.clone() };
        if !climb.passes("16 bits everywhere (weights 8)".to_owned(), &all)? {
            return climb.done();
        }
        enough = ranked.len();
    }
    while enough - short > 1 {
        let middle = short + (enough - short) / 2;
        if climb.passes(widened_name(middle), &widened(middle))? {
            enough = middle;
        } else {
            short = middle;
        }
    }
    climb.done()
}

fn widened_name(count: usize) -> String {
    format!("16 bits (weights 8) for the {count} most sensitive")
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It loses no more than allowed.
    Passes,
    /// It loses more, but comes nearer to the float network than every step before.
    Nearer,
    /// It does not, or has no program.
    NoNearer,
}

/// The state of a climb.
struct Climb<'s, 'a, E> {
    searcher: &'s Searcher<'a, E>,
    max_drop: f64,
    last: Option<(Tried, Candidate)>,
    best: Option<(Tried, Candidate)>,
    passed: Option<(Tried, Candidate)>,
}

impl<E: Send> Climb<'_, '_, E> {
    /// Whether options lose no more than allowed.
    fn passes(&mut self, name: String, options: &Options) -> Result<bool, SearchError<E>> {
        Ok(self.step(name, options)? == Outcome::Passes)
    }

    /// Tries options.
    fn step(&mut self, name: String, options: &Options) -> Result<Outcome, SearchError<E>> {
        let made = match self.made(name.clone(), options) {
            Err(SearchError::Measure(e)) if self.last.is_some() => Err(e.to_string()),
            other => Ok(other?),
        };
        let made = match made {
            Ok(made) => made,
            Err(reason) => {
                self.searcher.listener.refused(&name, &reason);
                return Ok(Outcome::NoNearer);
            }
        };
        let passes = made.0.drop() <= self.max_drop;
        let nearer = self.best.as_ref().is_none_or(|(best, _)| made.0.is_nearer_than(best));
        if nearer {
            self.best = Some(made.clone());
        }
        if passes {
            self.passed = Some(made.clone());
        }
        self.last = Some(made);
        Ok(match (passes, nearer) {
            (true, _) => Outcome::Passes,
            (false, true) => Outcome::Nearer,
            (false, false) => Outcome::NoNearer,
        })
    }

    /// As the step before, where the integers are the same.
    fn made(&self, name: String, options: &Options) -> Result<(Tried, Candidate), SearchError<E>> {
        let candidate = self.searcher.bench.candidate(options)?;
        let graph = &candidate.quantized.graph;
        let tried = match &self.last {
            Some((last, before)) if before.quantized.graph == *graph => {
                Tried { name, ..last.clone() }
            }
            _ => self.searcher.judged(name, &candidate)?,
        };
        self.searcher.listener.tried(&tried);
        Ok((tried, candidate))
    }

    /// Changes that cost something, from the one that takes most noise away on.
    fn ranked(&self, options: &Options) -> Result<Vec<Change>, SearchError<E>> {
        let few = self.searcher.few()?;
        let measure = self.searcher.measure(&few);
        let (open, known) = (measure.open_values(options), &mut Vec::new());
        let mut effects = measure.activations(options, &open, known)?;
        let narrow = narrow_layers(self.searcher, options)?;
        let wide = Options { weight_bits: 8, ..options.clone() };
        effects.extend(measure.effects(&wide, &narrow, known)?);
        effects.retain(|effect| effect.noise.is_finite() && effect.noise > 0.0);
        effects.sort_by(|a, b| b.noise.total_cmp(&a.noise));
        let widened = |Effect { change: Change { node, bits }, .. }| {
            let bits = match bits {
                Bits::Activations(_) => Bits::Activations(16),
                Bits::Weights(_) => Bits::Weights(8),
            };
            Change { node, bits }
        };
        Ok(effects.into_iter().map(widened).collect())
    }

    /// # Panics
    /// Before the first step.
    fn done(self) -> Result<Climbed, SearchError<E>> {
        let passed = self.passed.is_some();
        let (tried, candidate) =
            self.passed.or(self.best).expect("a first step that fails is an error");
        Ok(Climbed { tried, candidate, passed })
    }
}

/// The layers whose weights have less than 8 bits though nobody asked it of them alone, with the bits that they have.
fn narrow_layers<E: Send>(
    searcher: &Searcher<'_, E>,
    options: &Options,
) -> Result<Vec<Change>, SearchError<E>> {
    let bits: BTreeMap<String, u8> = layer_bits(&searcher.bench.network().graph, options)
        .map_err(compiler::compile::CompileError::from)?;
    let narrow =
        bits.into_iter().filter(|(node, bits)| *bits < 8 && !options.layer_bits.contains_key(node));
    Ok(narrow.map(|(node, bits)| Change { node, bits: Bits::Weights(bits) }).collect())
}
