//! Where the elements of a float tensor lie once it is stored as `[h, w, c]`.
//!
//! A stored tensor keeps its ONNX shape and the order in which its axes run through memory. Reshapes and transposes then
//! mostly change the description, not the data: only an operator that needs another order pays for a reorder. Axes of
//! extent 1 have no place and are left out of orders.

use ir::infer::is_permutation;
use ir::qgraph::{Hwc, View};

/// Arrangement of a tensor of some ONNX shape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Layout {
    /// ONNX axes longer than 1, outermost first.
    pub(super) order: Vec<usize>,
    /// Extents of the stored tensor; their product is that of the shape.
    pub(super) hwc: Hwc,
}

/// ONNX axes that make up each of h, w and c.
pub(super) type Groups = [Vec<usize>; 3];

/// Axes longer than 1.
fn long(shape: &[usize]) -> impl Iterator<Item = usize> + '_ {
    (0..shape.len()).filter(|&axis| shape[axis] != 1)
}

fn product(shape: &[usize], axes: &[usize]) -> usize {
    axes.iter().map(|&axis| shape[axis]).product()
}

impl Layout {
    /// The layout whose h, w and c are made of these axes.
    pub(super) fn of_groups(shape: &[usize], groups: &Groups) -> Layout {
        let order = groups.iter().flatten().copied().filter(|&axis| shape[axis] != 1).collect();
        let [h, w, c] = [0, 1, 2].map(|i| product(shape, &groups[i]));
        Layout { order, hwc: Hwc { h, w, c } }
    }

    /// How tensors are stored unless something else is known: images `[n, c, h, w]` with channels innermost, others in
    /// row-major order with the last axis as channels. What is left over joins h.
    pub(super) fn standard(shape: &[usize]) -> Layout {
        Layout::of_groups(shape, &Layout::standard_groups(shape.len()))
    }

    /// All axes of a tensor with `rank` axes, as [`Layout::standard`] arranges them.
    pub(super) fn standard_groups(rank: usize) -> Groups {
        match rank {
            4 => [vec![0, 2], vec![3], vec![1]],
            rank => {
                let (c, w) = (rank.checked_sub(1), rank.checked_sub(2).filter(|_| rank > 2));
                [
                    (0..w.or(c).unwrap_or(0)).collect(),
                    w.into_iter().collect(),
                    c.into_iter().collect(),
                ]
            }
        }
    }

    /// Row-major order of the ONNX shape, stored with the extents this layout has.
    pub(super) fn row_major(&self, shape: &[usize]) -> Layout {
        Layout { order: long(shape).collect(), hwc: self.hwc }
    }

    /// Which axes make up h, w and c; `None` if a border between them falls inside an axis.
    pub(super) fn groups(&self, shape: &[usize]) -> Option<Groups> {
        let mut rest = self.order.iter().copied().peekable();
        let mut take = |extent: usize| {
            let (mut axes, mut filled) = (Vec::new(), 1);
            while filled < extent {
                let axis = rest.next()?;
                filled *= shape[axis];
                axes.push(axis);
            }
            (filled == extent).then_some(axes)
        };
        let groups = [take(self.hwc.h)?, take(self.hwc.w)?, take(self.hwc.c)?];
        rest.peek().is_none().then_some(groups)
    }

    /// The view for the two ends of the network; `None` if a border between h, w and c falls inside an axis.
    pub(super) fn view(&self, shape: &[usize]) -> Option<View> {
        self.groups(shape)?;
        let ones = (0..shape.len()).filter(|&axis| shape[axis] == 1);
        let perm: Vec<usize> = ones.chain(self.order.iter().copied()).collect();
        debug_assert!(is_permutation(&perm, shape.len()));
        Some(View { onnx_shape: shape.to_vec(), perm })
    }

    /// The layout after an ONNX transpose that moves no data: result axis `i` is operand axis `perm[i]`.
    pub(super) fn transposed(&self, perm: &[usize]) -> Layout {
        let renamed =
            |axis: &usize| perm.iter().position(|p| p == axis).expect("perm names every axis");
        Layout { order: self.order.iter().map(renamed).collect(), hwc: self.hwc }
    }

    /// The layout that [`Layout::transposed`] turns into this one.
    pub(super) fn before_transpose(&self, perm: &[usize]) -> Layout {
        Layout { order: self.order.iter().map(|&axis| perm[axis]).collect(), hwc: self.hwc }
    }

    /// `dims` and `perm` of the reorder that turns this layout into one of order `target`, for a tensor of `shape`.
    pub(super) fn reorder_to(&self, shape: &[usize], target: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let dims = self.order.iter().map(|&axis| shape[axis]).collect();
        let place = |axis: &usize| self.order.iter().position(|a| a == axis).expect("same axes");
        merge_runs(dims, target.iter().map(place).collect())
    }
}

/// What a reshape means for a stored tensor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reshaped {
    /// The data stay; only the description changes.
    Free(Layout),
    /// A reorder gives the standard layout of the result.
    Reorder {
        /// Factors of the stored tensor.
        dims: Vec<usize>,
        /// Their new order.
        perm: Vec<usize>,
    },
    /// The shapes have no common factors: the tensor must be brought into row-major order first.
    NeedsRowMajor,
}

/// Follows a reshape from `from`, laid out as `layout`, to `to`.
pub(super) fn reshape(layout: &Layout, from: &[usize], to: &[usize]) -> Reshaped {
    if layout.order.is_sorted() {
        return Reshaped::Free(layout.row_major(to));
    }
    let Some(factors) = common_factors(from, to) else {
        return Reshaped::NeedsRowMajor;
    };
    // Factors in memory order, now.
    let expand = |order: &[usize], owner: fn(&Factor) -> usize| -> Vec<usize> {
        let of = |&axis: &usize| {
            (0..factors.len()).filter(|&f| owner(&factors[f]) == axis).collect::<Vec<_>>()
        };
        order.iter().flat_map(of).collect()
    };
    let now = expand(&layout.order, |f| f.from);
    let mut order: Vec<usize> = now.iter().map(|&f| factors[f].to).collect();
    order.dedup();
    // Free if each new axis is one run of its factors, in order.
    if expand(&order, |f| f.to) == now {
        return Reshaped::Free(Layout { order, hwc: layout.hwc });
    }
    let wanted = expand(&Layout::standard(to).order, |f| f.to);
    let dims = now.iter().map(|&f| factors[f].extent).collect();
    let place = |f: &usize| now.iter().position(|n| n == f).expect("same factors");
    let (dims, perm) = merge_runs(dims, wanted.iter().map(place).collect());
    Reshaped::Reorder { dims, perm }
}

/// A factor of an axis on either side of a reshape.
struct Factor {
    extent: usize,
    from: usize,
    to: usize,
}

/// The coarsest factors, outermost first, that make up the axes of both shapes; `None` if borders cross.
fn common_factors(from: &[usize], to: &[usize]) -> Option<Vec<Factor>> {
    let (mut from_axes, mut to_axes) = (long(from), long(to));
    let (mut a, mut b) =
        (from_axes.next().map(|i| (i, from[i])), to_axes.next().map(|i| (i, to[i])));
    let mut factors = Vec::new();
    while let (Some((from_axis, left)), Some((to_axis, right))) = (a, b) {
        let extent = left.min(right);
        if left % extent != 0 || right % extent != 0 {
            return None;
        }
        factors.push(Factor { extent, from: from_axis, to: to_axis });
        let rest = |axis, left: usize| (left != extent).then_some((axis, left / extent));
        a = rest(from_axis, left).or_else(|| from_axes.next().map(|i| (i, from[i])));
        b = rest(to_axis, right).or_else(|| to_axes.next().map(|i| (i, to[i])));
    }
    Some(factors)
}

/// Merges axes that stay neighbours, so that a reorder has the fewest dims; at least one remains.
fn merge_runs(dims: Vec<usize>, perm: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for axis in perm {
        match runs.last_mut() {
            Some(run) if run[run.len() - 1] + 1 == axis => run.push(axis),
            Some(_) | None => runs.push(vec![axis]),
        }
    }
    let mut by_place: Vec<usize> = (0..runs.len()).collect();
    by_place.sort_by_key(|&run| runs[run][0]);
    let merged: Vec<usize> = by_place.iter().map(|&run| product(&dims, &runs[run])).collect();
    let mut perm = vec![0; runs.len()];
    for (place, &run) in by_place.iter().enumerate() {
        perm[run] = place;
    }
    if merged.is_empty() { (vec![1], vec![0]) } else { (merged, perm) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hwc(h: usize, w: usize, c: usize) -> Hwc {
        Hwc { h, w, c }
    }

    #[test]
    fn standard_layouts() {
        let of = |shape: &[usize]| Layout::standard(shape);
        assert_eq!(of(&[1, 3, 4, 5]), Layout { order: vec![2, 3, 1], hwc: hwc(4, 5, 3) });
        assert_eq!(of(&[2, 1, 4, 5]), Layout { order: vec![0, 2, 3], hwc: hwc(8, 5, 1) });
        assert_eq!(of(&[1, 7]), Layout { order: vec![1], hwc: hwc(1, 1, 7) });
        assert_eq!(of(&[3, 7]), Layout { order: vec![0, 1], hwc: hwc(3, 1, 7) });
        assert_eq!(of(&[2, 3, 7]), Layout { order: vec![0, 1, 2], hwc: hwc(2, 3, 7) });
        assert_eq!(of(&[2, 3, 4, 5, 6]), Layout { order: vec![0, 1, 2, 3, 4], hwc: hwc(24, 5, 6) });
        assert_eq!(of(&[4]), Layout { order: vec![0], hwc: hwc(1, 1, 4) });
        assert_eq!(of(&[]), Layout { order: vec![], hwc: hwc(1, 1, 1) });
    }

    #[test]
    fn views_list_every_axis_and_need_borders_between_axes() {
        let shape = [1, 3, 4, 5];
        let view = Layout::standard(&shape).view(&shape).unwrap();
        assert_eq!(view, View { onnx_shape: shape.to_vec(), perm: vec![0, 2, 3, 1] });
        let cut = Layout { order: vec![1], hwc: hwc(2, 3, 1) };
        assert_eq!((cut.groups(&[1, 6]), cut.view(&[1, 6])), (None, None));
    }

    #[test]
    fn transposes_are_free() {
        let image = Layout::standard(&[1, 3, 4, 5]);
        let last = image.transposed(&[0, 2, 3, 1]);
        assert_eq!(last.order, [1, 2, 3]);
        assert_eq!(last.before_transpose(&[0, 2, 3, 1]), image);
        assert_eq!(last.groups(&[1, 4, 5, 3]).unwrap(), [vec![1], vec![2], vec![3]]);
    }

    #[test]
    fn reshapes_of_whole_runs_are_free() {
        let image = Layout::standard(&[1, 6, 4, 5]);
        let free = |to: &[usize]| match reshape(&image, &[1, 6, 4, 5], to) {
            Reshaped::Free(layout) => layout.order,
            other => panic!("{other:?}"),
        };
        assert_eq!(free(&[1, 6, 20]), [2, 1]);
        assert_eq!(free(&[1, 2, 3, 4, 5]), [3, 4, 1, 2]);
        assert_eq!(free(&[6, 1, 4, 1, 5]), [2, 4, 0]);
    }

    #[test]
    fn channel_shuffle_is_one_reorder() {
        // [1, 6, 4, 5] -> [1, 2, 3, 4, 5] -> transpose groups -> [1, 6, 4, 5].
        let image = Layout::standard(&[1, 6, 4, 5]);
        let Reshaped::Free(split) = reshape(&image, &[1, 6, 4, 5], &[1, 2, 3, 4, 5]) else {
            panic!("splitting moves nothing");
        };
        let turned = split.transposed(&[0, 2, 1, 3, 4]);
        let joined = reshape(&turned, &[1, 3, 2, 4, 5], &[1, 6, 4, 5]);
        assert_eq!(joined, Reshaped::Reorder { dims: vec![20, 2, 3], perm: vec![0, 2, 1] });
    }

    #[test]
    fn flattening_an_image_moves_channels_outwards() {
        let image = Layout::standard(&[1, 6, 4, 5]);
        let flat = reshape(&image, &[1, 6, 4, 5], &[1, 120]);
        assert_eq!(flat, Reshaped::Reorder { dims: vec![20, 6], perm: vec![1, 0] });
        assert_eq!(reshape(&image, &[1, 6, 4, 5], &[8, 15]), Reshaped::NeedsRowMajor);
    }
}
