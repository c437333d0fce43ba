//! The weights of one layer, rounded on what it reads.

use ir::qgraph::{QGraph, QOp};
use rayon::prelude::*;

use super::frontier::Frontier;
use super::gram::{Gram, Symmetric};
use super::layer::Layer;
use super::rounding::{DAMPINGS, Rounder};
use super::taps::Taps;

/// Most taps of a group: a matrix has the square of that, and its factor takes the cube of it.
const MOST_TAPS: usize = 2304;

/// Positions of the inputs that are looked at, per tap, and for few taps.
const ROWS_PER_TAP: usize = 16;
const LEAST_ROWS: usize = 8192;

/// Fewest positions per tap: with fewer, the form fits the samples and nothing else.
const FEWEST_ROWS_PER_TAP: usize = 1;

/// How integers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Solver {
    /// One after the other, the rest making up for each (GPTQ).
    NearestPlane,
    /// By single steps from what is there.
    Descent,
    /// By single steps from the former.
    Both,
}

impl Solver {
    /// Name in notes.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Solver::NearestPlane => "gptq",
            Solver::Descent => "descent",
            Solver::Both => "gptq and descent",
        }
    }
}

/// The weights of one layer, about to be rounded anew.
pub(super) struct Rounding<'a> {
    /// Index of the layer in the integer graph.
    pub(super) node: usize,
    pub(super) layer: &'a Layer<'a>,
    /// What its samples read.
    pub(super) frontier: &'a Frontier,
    /// Mean stored integer of each tap, if the bias will be corrected for it: errors of the mean do not count then.
    pub(super) mean: Option<&'a [f64]>,
    pub(super) solver: Solver,
}

impl Rounding<'_> {
    /// Gives each output channel other integers where that lowers its error on the held-out samples; whether any has got some.
    pub(super) fn apply(&self, q: &mut QGraph, acc_bits: u32) -> bool {
        let groups = self.layer.groups();
        let each = self.layer.channels() / groups;
        let of_group = |group: usize| {
            let forms = self.forms(q, group)?;
            let row = |channel: usize| Some((channel, self.better(q, &forms, channel)?));
            let rows = (group * each..(group + 1) * each).into_par_iter().filter_map(row);
            Some(rows.collect::<Vec<_>>())
        };
        let rows: Vec<_> = (0..groups).into_par_iter().filter_map(of_group).collect();
        let mut any = false;
        for (channel, integers) in rows.into_iter().flatten() {
            any |= self.layer.set_weights(q, channel, &integers, acc_bits);
        }
        any
    }

    /// The forms of one group of channels; `None` if there are too many weights, or too few samples for them.
    fn forms(&self, q: &QGraph, group: usize) -> Option<Forms> {
        let taps = Taps::of(q, self.node);
        let groups = self.layer.groups();
        let count = taps.count() / groups;
        let (fitted, held_out) = self.frontier.operands(q, self.node);
        let rows = fitted.len() * taps.positions();
        if count > MOST_TAPS || held_out.is_empty() || rows < FEWEST_ROWS_PER_TAP * count {
            return None;
        }
        let most = (ROWS_PER_TAP * count).max(LEAST_ROWS);
        let fitted = Gram::of(&taps, fitted, (group, groups), most);
        let held_out = Gram::of(&taps, held_out, (group, groups), most);
        let first = group * (self.layer.channels() / groups);
        let center: Vec<f64> = match self.mean {
            Some(mean) => self
                .layer
                .tap_indices(first)
                .map(|tap| mean[tap] - self.layer.zero_point())
                .collect(),
            None => vec![0.0; count],
        };
        let form = fitted.about(&center);
        let rounders = DAMPINGS.iter().filter_map(|&damping| Rounder::new(&form, damping));
        Some(Forms { rounders: rounders.collect(), held_out: held_out.about(&center) })
    }

    /// Integers for a channel that are better than those it has, if any are.
    fn better(&self, q: &QGraph, forms: &Forms, channel: usize) -> Option<Vec<i8>> {
        let QOp::Conv { weights, .. } = &q.nodes[self.node].op else {
            unreachable!("a layer is a convolution");
        };
        let limit = f64::from(i8::MAX >> (8 - weights.bits));
        let (wanted, before) = (self.layer.steps(channel), self.layer.integers(q, channel));
        let error = |integers: &[i8]| {
            let errors = integers.iter().zip(&wanted).map(|(&q, w)| f64::from(q) - w);
            forms.held_out.of(&errors.collect::<Vec<_>>())
        };
        let found = forms.rounders.iter().map(|rounder| {
            let mut integers = match self.solver {
                Solver::Descent => before.to_vec(),
                Solver::NearestPlane | Solver::Both => rounder.nearest_plane(&wanted, limit),
            };
            if self.solver != Solver::NearestPlane {
                rounder.descend(&wanted, &mut integers, limit);
            }
            (error(&integers), integers)
        });
        let start = (error(before), None);
        let better = |best: (f64, Option<Vec<i8>>), (error, integers): (f64, Vec<i8>)| {
            if error < best.0 { (error, Some(integers)) } else { best }
        };
        found.fold(start, better).1
    }
}

/// What the errors of an output channel's weights come to.
struct Forms {
    /// On the samples that weights are fitted to, with less and less trust in what they say.
    rounders: Vec<Rounder>,
    /// On those held out.
    held_out: Symmetric,
}
