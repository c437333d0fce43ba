//! The factors that two tensors of the same elements share, when one is a permutation of the other's indices.
//!
//! An axis of either tensor is a mixed-radix number whose digits are factors. A tile of the result is then a range of each
//! factor, and so is what it needs of the operand.

use std::ops::Range;

use ir::qgraph::Hwc;

/// A place in `[h, w, c]`: an axis, and the distance along it from one value of a factor to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) axis: usize,
    pub(super) stride: usize,
}

/// One factor of the elements' indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) extent: usize,
    pub(super) from: Place,
    pub(super) to: Place,
}

/// The factors, outermost of the result first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Factors(Vec<Factor>);

/// Factors while they are being cut: extents, and their order in either tensor, outermost first.
struct Cutting {
    extents: Vec<usize>,
    orders: [Vec<usize>; 2],
}

impl Cutting {
    /// Cuts the factor of tensor `side` that reaches over `boundary` elements, if any; `false` if it cannot be cut there.
    fn cut(&mut self, side: usize, boundary: usize) -> bool {
        let mut stride = 1;
        for &factor in self.orders[side].iter().rev() {
            let reach = stride * self.extents[factor];
            if stride < boundary && boundary < reach {
                if !boundary.is_multiple_of(stride) || !reach.is_multiple_of(boundary) {
                    return false;
                }
                let inner = self.extents.len();
                self.extents[factor] = reach / boundary;
                self.extents.push(boundary / stride);
                for order in &mut self.orders {
                    let at = order.iter().position(|&f| f == factor).map_or(0, |at| at + 1);
                    order.insert(at, inner);
                }
                return true;
            }
            stride = reach;
        }
        true
    }

    /// Place of each factor in tensor `side` of extents `shape`.
    fn places(&self, side: usize, shape: Hwc) -> Vec<Place> {
        let mut places = vec![Place { axis: 0, stride: 1 }; self.extents.len()];
        let mut stride = 1;
        for &factor in self.orders[side].iter().rev() {
            let (axis, inner) = match stride {
                s if s < shape.c => (2, 1),
                s if s < shape.c * shape.w => (1, shape.c),
                _ => (0, shape.c * shape.w),
            };
            places[factor] = Place { axis, stride: stride / inner };
            stride *= self.extents[factor];
        }
        places
    }
}

impl Factors {
    /// The factors of the permutation that sees `from` as `dims`, transposes by `perm`, and sees that as `to`. Channels are
    /// also cut at whole blocks of `lanes` where they can be. `None` if the axes of the two tensors cross.
    pub(super) fn new(
        dims: &[usize],
        perm: &[usize],
        (from, to): (Hwc, Hwc),
        lanes: usize,
    ) -> Option<Factors> {
        let orders = [(0..dims.len()).collect(), perm.to_vec()];
        let mut cutting = Cutting { extents: dims.to_vec(), orders };
        for (side, shape) in [from, to].into_iter().enumerate() {
            if !cutting.cut(side, shape.c) || !cutting.cut(side, shape.c * shape.w) {
                return None;
            }
        }
        for (side, shape) in [from, to].into_iter().enumerate() {
            if lanes < shape.c {
                cutting.cut(side, lanes);
            }
        }
        let places = [cutting.places(0, from), cutting.places(1, to)];
        let factor = |&f: &usize| Factor {
            extent: cutting.extents[f],
            from: places[0][f],
            to: places[1][f],
        };
        let all = cutting.orders[1].iter().map(factor);
        Some(Factors(all.filter(|factor| factor.extent > 1).collect()))
    }

    /// The factors.
    pub(super) fn all(&self) -> &[Factor] {
        &self.0
    }

    /// The smallest box of the operand, a range per axis, that holds a box of the result. The box of the result is not empty.
    pub(super) fn source(&self, result: &[Range<usize>; 3]) -> [Range<usize>; 3] {
        let (mut first, mut last) = ([0; 3], [0; 3]);
        // What is left of the first and the last index along each axis while all outer factors have one value.
        let mut ends = [0, 1, 2].map(|axis| Some((result[axis].start, result[axis].end - 1)));
        for Factor { extent, from, to } in &self.0 {
            let (low, high) = match &mut ends[to.axis] {
                Some((start, end)) => {
                    let values = (*start / to.stride, *end / to.stride);
                    (*start, *end) = (*start % to.stride, *end % to.stride);
                    values
                }
                None => (0, extent - 1),
            };
            if low != high {
                ends[to.axis] = None;
            }
            first[from.axis] += low * from.stride;
            last[from.axis] += high * from.stride;
        }
        [0, 1, 2].map(|axis| first[axis]..last[axis] + 1)
    }

    /// A box of the result as boxes of factors: one range per factor in each.
    pub(super) fn boxes(&self, result: &[Range<usize>; 3]) -> Vec<Vec<Range<usize>>> {
        let whole: Vec<Range<usize>> = self.0.iter().map(|factor| 0..factor.extent).collect();
        (0..3).fold(vec![whole], |boxes, axis| {
            let digits: Vec<usize> =
                (0..self.0.len()).filter(|&f| self.0[f].to.axis == axis).collect();
            let parts = self.cut_range(&digits, result[axis].clone());
            let combine = |outer: &Vec<Range<usize>>| {
                let set = |part: &Vec<Range<usize>>| {
                    let mut ranges = outer.clone();
                    for (&digit, range) in digits.iter().zip(part) {
                        ranges[digit] = range.clone();
                    }
                    ranges
                };
                parts.iter().map(set).collect::<Vec<_>>()
            };
            boxes.iter().flat_map(combine).collect()
        })
    }

    /// Cuts a range of an axis with the given digits, outermost first, into boxes.
    fn cut_range(&self, digits: &[usize], range: Range<usize>) -> Vec<Vec<Range<usize>>> {
        let Some((&digit, inner)) = digits.split_first() else {
            return vec![Vec::new()];
        };
        let stride = self.0[digit].to.stride;
        let with = |outer: Range<usize>, range: Range<usize>| {
            let parts = self.cut_range(inner, range).into_iter();
            parts.map(move |part| [vec![outer.clone()], part].concat()).collect::<Vec<_>>()
        };
        let (low, high) = (range.start / stride, range.end / stride);
        let (head, tail) = (range.start % stride, range.end % stride);
        if low == high {
            return with(low..low + 1, head..tail);
        }
        let mut parts = Vec::new();
        if head > 0 {
            parts.extend(with(low..low + 1, head..stride));
        }
        let whole = low + usize::from(head > 0)..high;
        if !whole.is_empty() {
            parts.extend(with(whole, 0..stride));
        }
        if tail > 0 {
            parts.extend(with(high..high + 1, 0..tail));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hwc(h: usize, w: usize, c: usize) -> Hwc {
        Hwc { h, w, c }
    }

    #[test]
    fn depth_to_space_has_a_factor_for_each_part_of_an_axis() {
        // [h, w, b, b, d] -> [h, b, w, b, d].
        let shapes = (hwc(3, 5, 8), hwc(6, 10, 2));
        let factors = Factors::new(&[3, 5, 2, 2, 2], &[0, 2, 1, 3, 4], shapes, 16).unwrap();
        let place = |axis, stride| Place { axis, stride };
        let factor = |extent, from, to| Factor { extent, from, to };
        assert_eq!(
            factors.all(),
            [
                factor(3, place(0, 1), place(0, 2)),
                factor(2, place(2, 4), place(0, 1)),
                factor(5, place(1, 1), place(1, 2)),
                factor(2, place(2, 2), place(1, 1)),
                factor(2, place(2, 1), place(2, 1)),
            ]
        );
        assert_eq!(factors.source(&[2..4, 0..3, 0..1]), [1..2, 0..2, 0..7]);
    }

    #[test]
    fn crossing_axes_have_no_factors() {
        assert_eq!(Factors::new(&[8, 15], &[1, 0], (hwc(4, 5, 6), hwc(1, 15, 8)), 4), None);
        assert!(Factors::new(&[20, 6], &[1, 0], (hwc(4, 5, 6), hwc(1, 1, 120)), 4).is_some());
    }

    #[test]
    fn boxes_partition_every_range_and_their_sources_stay_inside() {
        let factors = Factors::new(&[4, 6, 3, 4], &[2, 0, 1, 3], (hwc(4, 6, 12), hwc(12, 6, 4)), 4);
        let factors = factors.unwrap();
        for y in (0..12).flat_map(|a| (a + 1..=12).map(move |b| a..b)) {
            let result = [y.clone(), 1..4, 0..4];
            let mut seen = vec![0; 12 * 6 * 4];
            let source = factors.source(&result);
            for part in factors.boxes(&result) {
                let total: usize = part.iter().map(ExactSizeIterator::len).product();
                for mut i in 0..total {
                    let (mut from, mut to) = ([0; 3], [0; 3]);
                    for (factor, range) in factors.all().iter().zip(&part).rev() {
                        let value = range.start + i % range.len();
                        i /= range.len();
                        from[factor.from.axis] += value * factor.from.stride;
                        to[factor.to.axis] += value * factor.to.stride;
                    }
                    assert!(
                        (0..3).all(|a| source[a].contains(&from[a]) && result[a].contains(&to[a]))
                    );
                    seen[(to[0] * 6 + to[1]) * 4 + to[2]] += 1;
                }
            }
            assert_eq!(seen.iter().sum::<usize>(), y.len() * 3 * 4);
            assert!(seen.iter().all(|&n| n <= 1));
        }
    }
}
