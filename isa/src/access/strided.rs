//! Sets of addresses with a regular structure: runs repeated at fixed strides.
//!
//! A tile of a tensor touches a few thousand scratchpad rows, but a start, a length and three strides describe them. All
//! questions asked of such a set (which interval bounds it, which runs it has, does it meet another one) are answered from
//! that description; only the last can need a search.

use std::ops::Range;

/// Strides of an instruction: planes, channel blocks, image rows.
const MAX_DIMS: usize = 3;

/// Steps after which [`Strided::overlaps`] gives up and says yes. Every tile of a real tensor needs a few dozen.
const SEARCH_STEPS: u32 = 1 << 14;

/// Runs of `len` addresses, repeated along up to three strides from `base`.
///
/// An address is a scratchpad row, an accumulator row, a parameter entry or a byte, as the [`Space`](super::Space) of the
/// access says. Byte-wise instructions on the scratchpad describe bytes and give the row size as the *unit*: every result is
/// then in rows, each run widened to the whole rows it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strided {
    base: i64,
    len: i64,
    dims: [Dim; MAX_DIMS],
    /// Dimensions given so far, those of a single repetition included, so that equal sets described alike are equal.
    used: usize,
    unit: i64,
}

/// `count` repetitions at a distance of `stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dim {
    count: i64,
    stride: i64,
}

impl Dim {
    const ONCE: Dim = Dim { count: 1, stride: 0 };

    /// Distance from the first repetition to the last.
    fn reach(self) -> i64 {
        (self.count - 1).saturating_mul(self.stride)
    }
}

impl Strided {
    /// The addresses `base .. base + len`; `len` must be at least 1.
    pub(super) fn run(base: i64, len: i64) -> Strided {
        debug_assert!(len > 0, "an empty set has no description");
        Strided { base, len, dims: [Dim::ONCE; MAX_DIMS], used: 0, unit: 1 }
    }

    /// The same set at `count` (at least 1) places, `stride` apart. At most three times.
    pub(super) fn repeat(mut self, count: u32, stride: i64) -> Strided {
        debug_assert!(self.used < MAX_DIMS, "no instruction has more than three strides");
        if count > 1 {
            self.dims[self.used] = Dim { count: count.into(), stride };
        }
        self.used += 1;
        self
    }

    /// The rows of `unit` bytes that a set of bytes touches.
    pub(super) fn in_rows_of(mut self, unit: u32) -> Strided {
        self.unit = unit.into();
        self
    }

    /// The smallest interval that holds every address.
    pub fn bounds(&self) -> Range<i64> {
        let (mut low, mut high) = (self.base, self.base.saturating_add(self.len));
        for dim in self.dims {
            low = low.saturating_add(dim.reach().min(0));
            high = high.saturating_add(dim.reach().max(0));
        }
        low.div_euclid(self.unit)..(high - 1).div_euclid(self.unit) + 1
    }

    /// The contiguous intervals that make up the set. Neighbours are merged where strides allow; intervals may come in any
    /// order and, if strides make the set overlap itself, share addresses.
    pub fn intervals(&self) -> impl Iterator<Item = Range<i64>> {
        let set = self.canonical();
        let [outer, middle, inner] = set.dims;
        (0..outer.count).flat_map(move |i| {
            (0..middle.count).flat_map(move |j| {
                (0..inner.count).map(move |k| {
                    let low = set.base + i * outer.stride + j * middle.stride + k * inner.stride;
                    low.div_euclid(set.unit)..(low + set.len - 1).div_euclid(set.unit) + 1
                })
            })
        })
    }

    /// How many [`intervals`](Self::intervals) there are; saturates.
    pub fn runs(&self) -> u64 {
        self.canonical()
            .dims
            .iter()
            .fold(1, |runs, dim| runs.saturating_mul(dim.count.unsigned_abs()))
    }

    /// At least as many as a walk over the intervals meets addresses; saturates.
    pub fn walk(&self) -> u64 {
        let each = self.canonical().len / self.unit + 2;
        self.runs().saturating_mul(each.unsigned_abs())
    }

    /// Addresses of the description (bytes where a unit is given) counted with repetition; saturates.
    pub fn total(&self) -> i64 {
        self.dims.iter().fold(self.len, |total, dim| total.saturating_mul(dim.count))
    }

    /// Whether `address` is in the set.
    pub fn contains(&self, address: i64) -> bool {
        self.overlaps(&Strided::run(address, 1))
    }

    /// Whether the two sets share an address. Exact, except that a search among so many runs that no tile of a tensor would
    /// have them ends with "yes"; it never misses a shared address.
    pub fn overlaps(&self, other: &Strided) -> bool {
        let (a, b) = (self.canonical(), other.canonical());
        !a.never_meets(&b) && meet(a, b, &mut SEARCH_STEPS.clone())
    }

    /// Whether no address occurs twice; `false` also where the strides do not nest, so that it is not obvious.
    pub(super) fn is_plainly_injective(&self) -> bool {
        let set = self.canonical();
        let mut span = set.len;
        set.dims.iter().rev().filter(|dim| dim.count > 1).all(|dim| {
            let nested = dim.stride >= span;
            span = span.saturating_add(dim.reach());
            nested
        }) && set.total() == self.total()
    }

    /// The same set with positive strides in falling order, contiguous repetitions merged into runs.
    fn canonical(&self) -> Strided {
        let mut set = *self;
        for dim in &mut set.dims {
            if dim.stride < 0 {
                set.base = set.base.saturating_add(dim.reach());
                dim.stride = -dim.stride;
            }
            if dim.count == 1 || dim.stride == 0 {
                *dim = Dim::ONCE;
            }
        }
        set.dims.sort_unstable_by_key(|dim| -dim.stride);
        for dim in set.dims.iter_mut().rev() {
            if dim.stride <= set.len {
                set.len = set.len.saturating_add(dim.reach());
                *dim = Dim::ONCE;
            } else {
                break;
            }
        }
        set.dims.sort_unstable_by_key(|dim| -dim.stride);
        set
    }

    /// Quick proof that two canonical sets are disjoint: modulo a common divisor of all strides each is one short run, as for two
    /// halves of the lanes of the same rows.
    fn never_meets(&self, other: &Strided) -> bool {
        if self.unit != other.unit || self.unit != 1 {
            return false;
        }
        let modulus = self.dims.iter().chain(&other.dims).fold(0, |g, dim| gcd(g, dim.stride));
        if modulus == 0 {
            return false;
        }
        let ahead = (other.base - self.base).rem_euclid(modulus);
        ahead >= self.len && ahead + other.len <= modulus
    }

    /// Which indices of the first dimension can reach `interval` (in units), and the set without that dimension.
    fn split(&self, interval: &Range<i64>) -> Option<(Range<i64>, Dim, Strided)> {
        let dim = self.dims[0];
        if dim.count == 1 {
            return None;
        }
        let mut rest = *self;
        rest.dims = [self.dims[1], self.dims[2], Dim::ONCE];
        let rest_end = rest.dims.iter().fold(rest.base + rest.len, |end, dim| end + dim.reach());
        // Sub-set i spans rest.base + i*stride .. rest_end + i*stride and must meet the interval scaled to bytes.
        let (low, high) = (interval.start * self.unit, interval.end * self.unit);
        let first = (low - rest_end).div_euclid(dim.stride) + 1;
        let end = (high - 1 - rest.base).div_euclid(dim.stride) + 1;
        Some((first.max(0)..end.min(dim.count), dim, rest))
    }
}

/// Whether two canonical sets share an address; `true` as well when `steps` are used up.
fn meet(a: Strided, b: Strided, steps: &mut u32) -> bool {
    let (bounds_a, bounds_b) = (a.bounds(), b.bounds());
    if bounds_a.end <= bounds_b.start || bounds_b.end <= bounds_a.start {
        return false;
    }
    // Split the wider one: its pieces are then likely to miss the other.
    let a_is_wider = bounds_a.end - bounds_a.start >= bounds_b.end - bounds_b.start;
    let (wide, narrow, interval) = if a_is_wider { (a, b, bounds_b) } else { (b, a, bounds_a) };
    let (indices, dim, rest, other) = if let Some((indices, dim, rest)) = wide.split(&interval) {
        (indices, dim, rest, narrow)
    } else if let Some((indices, dim, rest)) = narrow.split(&wide.bounds()) {
        (indices, dim, rest, wide)
    } else {
        return true;
    };
    for i in indices {
        let Some(left) = steps.checked_sub(1) else { return true };
        *steps = left;
        if meet(Strided { base: rest.base + i * dim.stride, ..rest }, other, steps) {
            return true;
        }
    }
    false
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn addresses(set: &Strided) -> BTreeSet<i64> {
        set.intervals().flatten().collect()
    }

    #[test]
    fn a_tile_is_its_rows() {
        // Two channel blocks 20 apart, three image rows 5 apart, two pixels each.
        let tile = Strided::run(7, 2).repeat(3, 5).repeat(2, 20);
        assert_eq!(tile.bounds(), 7..39);
        let runs: Vec<_> = tile.intervals().collect();
        assert_eq!(runs, [7..9, 12..14, 17..19, 27..29, 32..34, 37..39]);
        assert!(!tile.overlaps(&Strided::run(9, 3).repeat(3, 5)));
        assert!(tile.overlaps(&Strided::run(9, 4)));
        assert!(tile.is_plainly_injective());
    }

    #[test]
    fn contiguous_tiles_merge_into_one_run() {
        let tile = Strided::run(3, 4).repeat(5, 4).repeat(2, 20);
        assert_eq!(tile.intervals().count(), 1);
        assert_eq!(tile.intervals().next(), Some(3..43));
        assert!(tile.is_plainly_injective());
        assert!(!Strided::run(3, 4).repeat(5, 3).is_plainly_injective());
        assert!(!Strided::run(3, 4).repeat(5, 0).is_plainly_injective());
    }

    #[test]
    fn bytes_widen_to_rows_and_may_go_backwards() {
        // Bytes 14..17 touch rows 3 and 4 of four bytes; one step back, bytes 4..7 touch row 1.
        let bytes = Strided::run(14, 3).repeat(2, -10).in_rows_of(4);
        assert_eq!(bytes.bounds(), 1..5);
        assert_eq!(addresses(&bytes), BTreeSet::from([1, 3, 4]));
        assert!(!bytes.contains(2));
        assert_eq!(Strided::run(-1, 1).in_rows_of(4).bounds(), -1..0);
    }

    #[test]
    fn a_hopeless_search_ends() {
        let comb = |base, stride| {
            Strided::run(base, 1).repeat(60000, stride).repeat(60000, stride * 70001)
        };
        assert!(!comb(0, 6).overlaps(&comb(1, 10)));
        // Even and odd rows, given in bytes: billions of steps would be needed to tell them apart, so the answer is "yes".
        assert!(comb(0, 4).in_rows_of(2).overlaps(&comb(2, 4).in_rows_of(2)));
    }

    fn any_set() -> impl Strategy<Value = Strided> {
        let dim = || (1u32..5, -12i64..30);
        (0i64..80, 1i64..6, dim(), dim(), dim(), 1u32..5).prop_map(|(base, len, d, e, f, unit)| {
            let set = Strided::run(base, len).repeat(d.0, d.1).repeat(e.0, e.1).repeat(f.0, f.1);
            set.in_rows_of(unit)
        })
    }

    /// The definition, by enumeration.
    fn enumerate(set: &Strided) -> Vec<i64> {
        let [d, e, f] = set.dims;
        let mut all = Vec::new();
        for i in 0..d.count {
            for j in 0..e.count {
                for k in 0..f.count {
                    let base = set.base + i * d.stride + j * e.stride + k * f.stride;
                    all.extend((base..base + set.len).map(|byte| byte.div_euclid(set.unit)));
                }
            }
        }
        all
    }

    proptest! {
        #[test]
        fn answers_equal_enumeration(a in any_set(), b in any_set()) {
            let (all_a, all_b): (BTreeSet<_>, BTreeSet<_>) =
                (enumerate(&a).into_iter().collect(), enumerate(&b).into_iter().collect());
            prop_assert_eq!(addresses(&a), all_a.clone());
            prop_assert_eq!(a.bounds(), all_a.first().unwrap().to_owned()..all_a.last().unwrap() + 1);
            prop_assert!(a.walk() >= a.intervals().map(|run| run.end.abs_diff(run.start)).sum());
            prop_assert_eq!(a.runs(), a.intervals().count() as u64);
            prop_assert_eq!(a.overlaps(&b), !all_a.is_disjoint(&all_b));
            prop_assert!(!a.is_plainly_injective() || a.unit > 1 || all_a.len() == enumerate(&a).len());
        }
    }
}
