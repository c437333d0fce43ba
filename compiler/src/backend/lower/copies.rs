//! Many byte copies as few mover words: loops at constant distances around runs of bytes.

/// Most steps of a mover loop.
pub(super) const MAX_STEPS: usize = 4095;

/// Longest run of bytes of a mover word.
const MAX_RUN: usize = 65_535;

/// Byte runs at constant distances on two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub src: usize,
    pub dst: usize,
    pub len: usize,
    pub inner: usize,
    pub src1: isize,
    pub dst1: isize,
    pub outer: usize,
    pub src0: isize,
    pub dst0: isize,
}

impl Group {
    /// One run of bytes.
    pub(super) fn run(src: usize, dst: usize, len: usize) -> Group {
        Group { src, dst, len, inner: 1, src1: 0, dst1: 0, outer: 1, src0: 0, dst0: 0 }
    }
}

/// Repetitions at constant distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    pub(super) count: usize,
    pub(super) src: usize,
    pub(super) dst: usize,
}

/// Copies a byte for each of `points` (source and destination) and all combinations of `loops`.
pub(super) fn groups(points: &[(usize, usize)], loops: Vec<Loop>) -> Vec<Group> {
    let (len, loops) = run_and_loops(loops);
    let runs = byte_runs(points, len);
    let Some((longest, rest)) = loops.split_first() else {
        return outer_groups(inner_groups(runs));
    };
    // One loop around runs that are joined where they can be, or two loops around single runs: whichever takes fewer words.
    let joined = inner_groups(runs.clone());
    let (around, bodies, rest) = match rest.split_first() {
        Some((second, others)) if runs.len() < joined.len() * second.count => {
            let inner = |run: &Group| with_inner(*run, second);
            (longest, runs.iter().flat_map(inner).collect(), others)
        }
        Some(_) | None => (longest, joined, rest),
    };
    let mut out: Vec<Group> = bodies.iter().flat_map(|body| with_outer(*body, around)).collect();
    for Loop { count, src, dst } in rest {
        let moved = |i: usize| {
            out.iter().map(move |g| Group { src: g.src + i * src, dst: g.dst + i * dst, ..*g })
        };
        out = (0..*count).flat_map(moved).collect();
    }
    out
}

/// Length of a run, and the loops around runs, longest first: loops that continue a run or each other are one.
fn run_and_loops(mut loops: Vec<Loop>) -> (usize, Vec<Loop>) {
    loops.retain(|l| l.count > 1);
    loops.sort_by_key(|l| (l.dst, l.src));
    let (mut len, mut merged) = (1, Vec::<Loop>::new());
    for l in loops {
        match merged.last_mut() {
            None if l.src == len && l.dst == len && len * l.count <= MAX_RUN => len *= l.count,
            Some(last) if l.src == last.src * last.count && l.dst == last.dst * last.count => {
                last.count *= l.count;
            }
            Some(_) | None => merged.push(l),
        }
    }
    merged.sort_by_key(|l| std::cmp::Reverse(l.count));
    (len, merged)
}

/// Runs of `len` bytes at the points, neighbours joined.
fn byte_runs(points: &[(usize, usize)], len: usize) -> Vec<Group> {
    let mut runs: Vec<Group> = Vec::new();
    for &(src, dst) in points {
        match runs.last_mut() {
            Some(run)
                if src == run.src + run.len
                    && dst == run.dst + run.len
                    && run.len + len <= MAX_RUN =>
            {
                run.len += len;
            }
            Some(_) | None => runs.push(Group::run(src, dst, len)),
        }
    }
    runs
}

/// The run repeated by a loop, in pieces that a mover's inner loop holds.
fn with_inner(run: Group, l: &Loop) -> impl Iterator<Item = Group> {
    let Loop { count, src, dst } = *l;
    (0..count).step_by(MAX_STEPS).map(move |i| Group {
        src: run.src + i * src,
        dst: run.dst + i * dst,
        inner: MAX_STEPS.min(count - i),
        src1: src.cast_signed(),
        dst1: dst.cast_signed(),
        ..run
    })
}

/// The body repeated by a loop, in pieces that a mover's outer loop holds.
fn with_outer(body: Group, l: &Loop) -> impl Iterator<Item = Group> {
    let Loop { count, src, dst } = *l;
    (0..count).step_by(MAX_STEPS).map(move |i| Group {
        src: body.src + i * src,
        dst: body.dst + i * dst,
        outer: MAX_STEPS.min(count - i),
        src0: src.cast_signed(),
        dst0: dst.cast_signed(),
        ..body
    })
}

fn distance(a: usize, b: usize) -> isize {
    b.cast_signed() - a.cast_signed()
}

/// Joins runs of equal length at constant distances into inner loops.
fn inner_groups(runs: Vec<Group>) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for run in runs {
        if let Some(g) = out.last_mut()
            && g.len == run.len
            && g.inner < MAX_STEPS
        {
            let step = g.inner.cast_signed();
            let (ds, dd) = (distance(g.src, run.src), distance(g.dst, run.dst));
            if g.inner == 1 || (ds == g.src1 * step && dd == g.dst1 * step) {
                if g.inner == 1 {
                    (g.src1, g.dst1) = (ds, dd);
                }
                g.inner += 1;
                continue;
            }
        }
        out.push(run);
    }
    out
}

/// Joins equal inner loops at constant distances into outer loops.
fn outer_groups(groups: Vec<Group>) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for group in groups {
        if let Some(g) = out.last_mut()
            && (g.len, g.inner, g.src1, g.dst1) == (group.len, group.inner, group.src1, group.dst1)
            && g.outer < MAX_STEPS
        {
            let step = g.outer.cast_signed();
            let (ds, dd) = (distance(g.src, group.src), distance(g.dst, group.dst));
            if g.outer == 1 || (ds == g.src0 * step && dd == g.dst0 * step) {
                if g.outer == 1 {
                    (g.src0, g.dst0) = (ds, dd);
                }
                g.outer += 1;
                continue;
            }
        }
        out.push(group);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All bytes a list of groups copies.
    fn bytes(groups: &[Group]) -> BTreeSet<(usize, usize)> {
        let mut out = BTreeSet::new();
        for g in groups {
            for (i, j) in (0..g.outer).flat_map(|i| (0..g.inner).map(move |j| (i, j))) {
                let at = |base: usize, outer: isize, inner: isize| {
                    base.checked_add_signed(i.cast_signed() * outer + j.cast_signed() * inner)
                        .unwrap()
                };
                for k in 0..g.len {
                    let pair = (at(g.src, g.src0, g.src1) + k, at(g.dst, g.dst0, g.dst1) + k);
                    assert!(out.insert(pair), "{pair:?} is copied twice");
                }
            }
        }
        out
    }

    fn check(points: &[(usize, usize)], loops: &[Loop], words: usize) {
        let mut expected = BTreeSet::from_iter(points.iter().copied());
        for l in loops {
            expected = expected
                .iter()
                .flat_map(|&(s, d)| (0..l.count).map(move |i| (s + i * l.src, d + i * l.dst)))
                .collect();
        }
        let found = groups(points, loops.to_vec());
        assert_eq!(bytes(&found), expected);
        assert_eq!(found.len(), words, "{found:?}");
    }

    #[test]
    fn loops_and_points_become_words() {
        let l = |count, src, dst| Loop { count, src, dst };
        // A transpose of pixels with whole rows of 16 lanes.
        check(&[(0, 0)], &[l(16, 1, 1), l(5, 16, 64), l(4, 80, 16)], 1);
        // A copy is one run.
        check(&[(7, 9)], &[l(16, 1, 1), l(5, 16, 16), l(4, 80, 80)], 1);
        // A channel shuffle: lanes in a loop, pixels in another, blocks apart.
        check(&[(0, 0)], &[l(2, 8, 1), l(8, 1, 2), l(100, 16, 16)], 2);
        // 24 channels of a transpose of pixels with 16 lanes: two runs, two loops.
        let lanes: Vec<(usize, usize)> =
            (0..24).map(|c| (c / 16 * 400 + c % 16, c / 16 * 400 + c % 16)).collect();
        check(&lanes, &[l(5, 16, 64), l(4, 80, 16)], 2);
        // Scattered points with one loop.
        check(&[(0, 3), (4, 2), (8, 1), (12, 0)], &[l(9, 32, 32)], 1);
        check(&[(0, 0), (1, 5), (9, 2)], &[], 2);
    }

    #[test]
    fn long_loops_are_cut() {
        let l = |count, src, dst| Loop { count, src, dst };
        check(&[(0, 0)], &[l(5000, 2, 3)], 2);
        check(&[(0, 0)], &[l(70_000, 1, 1)], 18);
    }
}
