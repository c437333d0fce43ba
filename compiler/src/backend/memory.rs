//! Scratchpad allocation: tensors that stay for several steps, and the working buffers of one step in the gaps between them.

/// A half-open range of scratchpad rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First row.
    pub lo: usize,
    /// Row behind the last.
    pub hi: usize,
}

/// Where a step's buffers start looking for room. Alternating sides lets the next step's loads begin while this step still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// From row 0 upwards.
    Low,
    /// From the last row downwards.
    High,
}

/// Ranges of `0..capacity` that no taken span covers.
pub(crate) fn gaps(capacity: usize, taken: &[Span]) -> Vec<Span> {
    let mut sorted = taken.to_vec();
    sorted.sort_by_key(|s| s.lo);
    let mut out = Vec::new();
    let mut at = 0;
    for span in sorted {
        if span.lo > at {
            out.push(Span { lo: at, hi: span.lo });
        }
        at = at.max(span.hi);
    }
    if at < capacity {
        out.push(Span { lo: at, hi: capacity });
    }
    out
}

/// Places buffers of the given row counts in the gaps, largest first; each starts on a bank border where that still fits
/// (fewer port conflicts). `None` if they do not fit.
pub(crate) fn place(
    capacity: usize,
    bank_rows: usize,
    taken: &[Span],
    sizes: &[usize],
    side: Side,
) -> Option<Vec<usize>> {
    place_aligned(capacity, bank_rows, taken, sizes, side)
        .or_else(|| place_aligned(capacity, 1, taken, sizes, side))
}

fn place_aligned(
    capacity: usize,
    align: usize,
    taken: &[Span],
    sizes: &[usize],
    side: Side,
) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(sizes[i]), i));
    let mut taken = taken.to_vec();
    let mut out = vec![0; sizes.len()];
    for i in order {
        let size = sizes[i];
        if size == 0 {
            continue;
        }
        let mut free = gaps(capacity, &taken);
        if side == Side::High {
            free.reverse();
        }
        let row = free.into_iter().find_map(|gap| {
            let row = match side {
                Side::Low => gap.lo.next_multiple_of(align),
                Side::High => gap.hi.checked_sub(size)? / align * align,
            };
            (row >= gap.lo && row + size <= gap.hi).then_some(row)
        })?;
        out[i] = row;
        taken.push(Span { lo: row, hi: row + size });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placed_buffers_are_disjoint_and_inside() {
        let taken = [Span { lo: 10, hi: 20 }, Span { lo: 40, hi: 41 }];
        for side in [Side::Low, Side::High] {
            let sizes = [9, 3, 18, 1];
            let at = place(64, 8, &taken, &sizes, side).unwrap();
            let mut all: Vec<Span> = taken.to_vec();
            all.extend(at.iter().zip(sizes).map(|(&lo, n)| Span { lo, hi: lo + n }));
            all.sort_by_key(|s| s.lo);
            assert!(all.windows(2).all(|p| p[0].hi <= p[1].lo), "{all:?}");
            assert!(all.last().unwrap().hi <= 64);
        }
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(place(16, 4, &[Span { lo: 7, hi: 9 }], &[8], Side::Low), None);
        assert_eq!(place(16, 4, &[Span { lo: 7, hi: 9 }], &[7, 7], Side::Low), Some(vec![0, 9]));
    }
}
