//! Which index of an operand each index of a result comes from, along one axis.
//!
//! Slices, nearest resizing, reflected borders and repetitions are all such lists. They are kept as runs at constant
//! distances: a slice of any length is one run.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// `count` indices from `first` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// First index.
    pub first: usize,
    /// Number of indices, at least 1.
    pub count: usize,
    /// Distance from one index to the next; 0 repeats, and a run of one index has 0.
    pub step: isize,
}

impl Run {
    /// A run of at least one index, or `None` if it is empty or leaves the range of indices.
    #[must_use]
    pub fn new(first: usize, count: usize, step: isize) -> Option<Run> {
        let step = if count > 1 { step } else { 0 };
        let run = Run { first, count, step };
        let reach = isize::try_from(count.checked_sub(1)?).ok()?.checked_mul(step)?;
        first.checked_add_signed(reach)?;
        // The list behind the run is asked for its next index.
        isize::try_from(first).ok()?.checked_add(reach)?.checked_add(step)?;
        Some(run)
    }

    /// The index at `position`, which is below `count`.
    fn at(&self, position: usize) -> usize {
        self.first.wrapping_add_signed(position.cast_signed().wrapping_mul(self.step))
    }

    /// The last index.
    #[must_use]
    pub fn last(&self) -> usize {
        self.at(self.count - 1)
    }

    /// The run without its first `skipped` indices; `None` if none are left.
    fn behind(self, skipped: usize) -> Option<Run> {
        let count = self.count - skipped;
        let step = if count > 1 { self.step } else { 0 };
        (count > 0).then(|| Run { first: self.at(skipped), count, step })
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.first, self.count, self.step)
    }
}

/// A text that is no [`Run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a run of indices `first:count:step`")]
pub struct NotARun;

impl FromStr for Run {
    type Err = NotARun;

    fn from_str(text: &str) -> Result<Run, NotARun> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[first, count, step] = parts.as_slice() else {
            return Err(NotARun);
        };
        let number = |text: &str| text.parse::<usize>().map_err(|_| NotARun);
        let step = step.parse::<isize>().map_err(|_| NotARun)?;
        Run::new(number(first)?, number(count)?, step).ok_or(NotARun)
    }
}

/// A list of indices. Equal lists are equal values: the runs are those that a walk from front to back finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Indices {
    runs: Vec<Run>,
}

impl Indices {
    /// Every index of an axis of `extent` elements, in order.
    #[must_use]
    pub fn all(extent: usize) -> Indices {
        Indices { runs: Run::new(0, extent, 1).into_iter().collect() }
    }

    /// The runs, from front to back.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Number of indices; saturates, as runs can come from a text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().fold(0, |total, run| total.saturating_add(run.count))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether these are all indices of an axis of `extent` elements, in order.
    #[must_use]
    pub fn is_all(&self, extent: usize) -> bool {
        *self == Indices::all(extent)
    }

    /// The largest index.
    #[must_use]
    pub fn max(&self) -> Option<usize> {
        self.runs.iter().map(|run| run.first.max(run.last())).max()
    }

    /// The indices one by one.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.runs.iter().flat_map(|run| (0..run.count).map(|position| run.at(position)))
    }

    /// Appends a run.
    pub fn push(&mut self, run: Run) {
        let mut rest = Some(run);
        while let Some(run) = rest {
            match self.runs.last_mut() {
                Some(last) if last.count == 1 => {
                    last.step = run.first.wrapping_sub(last.first).cast_signed();
                    last.count = 2;
                    rest = run.behind(1);
                }
                Some(last)
                    if last.last().checked_add_signed(last.step) == Some(run.first)
                        && (run.count == 1 || run.step == last.step) =>
                {
                    last.count = last.count.saturating_add(run.count);
                    return;
                }
                Some(last) if last.last().checked_add_signed(last.step) == Some(run.first) => {
                    last.count = last.count.saturating_add(1);
                    rest = run.behind(1);
                }
                Some(_) | None => {
                    self.runs.push(run);
                    return;
                }
            }
        }
    }
}

impl FromIterator<Run> for Indices {
    fn from_iter<I: IntoIterator<Item = Run>>(runs: I) -> Indices {
        let mut indices = Indices::default();
        runs.into_iter().for_each(|run| indices.push(run));
        indices
    }
}

impl FromIterator<usize> for Indices {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Indices {
        indices.into_iter().map(|first| Run { first, count: 1, step: 0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(indices: &[usize]) -> Indices {
        indices.iter().copied().collect()
    }

    #[test]
    fn slices_are_one_run_and_repeats_are_found() {
        assert_eq!(list(&[0, 1, 2, 3]), Indices::all(4));
        assert_eq!(list(&[9, 6, 3]).runs(), [Run { first: 9, count: 3, step: -3 }]);
        assert_eq!(list(&[5]).runs(), [Run { first: 5, count: 1, step: 0 }]);
        let doubled = list(&[0, 0, 1, 1]);
        assert_eq!(doubled.runs().len(), 2);
        assert_eq!((doubled.len(), doubled.max(), list(&[]).max()), (4, Some(1), None));
        assert!(Indices::all(0).is_empty() && Indices::all(0).is_all(0));
    }

    #[test]
    fn hostile_runs_are_refused_and_huge_ones_cost_nothing() {
        for text in ["", "1:2", "1:0:1", "0:2:-1", "5:9223372036854775807:3", "1:1:1:1", "a:1:1"] {
            assert_eq!(text.parse::<Run>(), Err(NotARun), "{text}");
        }
        let huge: Run = "0:4611686018427387904:1".parse().unwrap();
        let four: Indices = [huge; 4].into_iter().collect();
        assert_eq!(four.len(), usize::MAX);
    }

    proptest! {
        #[test]
        fn lists_read_back_and_are_canonical(indices in prop::collection::vec(0usize..6, 0..20), cut in 0usize..20) {
            let whole = list(&indices);
            prop_assert_eq!(whole.iter().collect::<Vec<_>>(), indices.clone());
            prop_assert_eq!(whole.len(), indices.len());
            prop_assert_eq!(whole.max(), indices.iter().copied().max());
            // However the list is put together from runs, it is the same value.
            let (front, back) = indices.split_at(cut.min(indices.len()));
            let joined: Indices =
                list(front).runs().iter().chain(list(back).runs()).copied().collect();
            prop_assert_eq!(&joined, &whole);
            let printed: Vec<String> = whole.runs().iter().map(Run::to_string).collect();
            let read: Indices = printed.iter().map(|run| run.parse::<Run>().unwrap()).collect();
            prop_assert_eq!(read, whole);
        }
    }
}
