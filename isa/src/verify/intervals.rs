//! A map from half-open address intervals to values: its size follows the number of transfers, not of bytes.

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint intervals with a value each.
#[derive(Clone, Debug, Default)]
pub(super) struct Intervals<T> {
    /// By first address: end and value.
    map: BTreeMap<u64, (u64, T)>,
}

impl<T: Copy> Intervals<T> {
    /// The intervals that meet `range`, clipped to it, in order; gaps have no entry.
    pub(super) fn get(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, T)> {
        let before =
            self.map.range(..range.start).next_back().filter(|(_, (end, _))| *end > range.start);
        let inside = self.map.range(range.start..range.end.max(range.start));
        before
            .into_iter()
            .chain(inside)
            .map(move |(&lo, &(hi, value))| (lo.max(range.start)..hi.min(range.end), value))
    }

    /// Whether every address of `range` has a value; the first that has none otherwise.
    pub(super) fn first_gap(&self, range: Range<u64>) -> Option<u64> {
        let mut at = range.start;
        for (piece, _) in self.get(range.clone()) {
            if piece.start > at {
                return Some(at);
            }
            at = piece.end;
        }
        (at < range.end).then_some(at)
    }

    /// Replaces the values of `range` by what `f` makes of them (`None` where there is none).
    pub(super) fn update(&mut self, range: Range<u64>, mut f: impl FnMut(Option<T>) -> T) {
        if range.is_empty() {
            return;
        }
        self.cut(range.start);
        self.cut(range.end);
        let held: Vec<(Range<u64>, T)> = self.get(range.clone()).collect();
        let mut at = range.start;
        for (piece, value) in held {
            if piece.start > at {
                self.map.insert(at, (piece.start, f(None)));
            }
            self.map.insert(piece.start, (piece.end, f(Some(value))));
            at = piece.end;
        }
        if at < range.end {
            self.map.insert(at, (range.end, f(None)));
        }
    }

    /// Makes sure that no interval reaches across `at`.
    fn cut(&mut self, at: u64) {
        if let Some((&lo, &(hi, value))) = self.map.range(..at).next_back()
            && hi > at
        {
            self.map.insert(lo, (at, value));
            self.map.insert(at, (hi, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_an_array(updates in prop::collection::vec((0u64..60, 1u64..20), 0..12)) {
            let mut map = Intervals::default();
            let mut plain = [None; 80];
            for (lo, n) in updates {
                map.update(lo..lo + n, |old: Option<u32>| old.unwrap_or(0) + 1);
                for cell in &mut plain[lo as usize..(lo + n) as usize] {
                    *cell = Some(cell.unwrap_or(0) + 1);
                }
            }
            let mut seen = [None; 80];
            for (range, value) in map.get(0..80) {
                for at in range {
                    seen[at as usize] = Some(value);
                }
            }
            prop_assert_eq!(seen, plain);
            prop_assert_eq!(map.first_gap(0..80), plain.iter().position(Option::is_none).map(|n| n as u64));
        }
    }
}
