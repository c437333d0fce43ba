//! Fronts of points that nothing beats, and the volume they dominate. Everything is a cost: less is better.

/// Whether `a` is nowhere worse than `b` and somewhere better.
#[must_use]
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// Indexes of the points that no other dominates, in their order; of equal points all.
#[must_use]
pub fn front(costs: &[Vec<f64>]) -> Vec<usize> {
    // Sorted lexicographically, whatever dominates a point stands before it, and some point of the front so far does.
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|&a, &b| compare(&costs[a], &costs[b]).then(a.cmp(&b)));
    let mut front: Vec<usize> = Vec::new();
    for candidate in order {
        if !front.iter().any(|&kept| dominates(&costs[kept], &costs[candidate])) {
            front.push(candidate);
        }
    }
    front.sort_unstable();
    front
}

/// Ranks of non-dominated sorting: 0 for the front, 1 for the front of the others, and so on.
#[must_use]
pub fn ranks(costs: &[Vec<f64>]) -> Vec<usize> {
    let mut ranks = vec![0; costs.len()];
    let mut left: Vec<usize> = (0..costs.len()).collect();
    let mut rank = 0;
    while !left.is_empty() {
        let of_left: Vec<Vec<f64>> = left.iter().map(|&i| costs[i].clone()).collect();
        let best = front(&of_left);
        best.iter().for_each(|&position| ranks[left[position]] = rank);
        let mut best = best.into_iter().peekable();
        let mut position = 0;
        left.retain(|_| {
            let taken = best.next_if_eq(&position).is_some();
            position += 1;
            !taken
        });
        rank += 1;
    }
    ranks
}

/// Crowding distances of points of one front: the sum over objectives of the gap between both neighbours, as a share of the range;
/// infinite at the ends (Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002, section III B).
#[must_use]
pub fn crowding(costs: &[Vec<f64>]) -> Vec<f64> {
    let mut distances = vec![0.0; costs.len()];
    let objectives = costs.first().map_or(0, Vec::len);
    for objective in 0..objectives {
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|&a, &b| costs[a][objective].total_cmp(&costs[b][objective]).then(a.cmp(&b)));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = costs[last][objective] - costs[first][objective];
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
        if range > 0.0 {
            for neighbours in order.windows(3) {
                let gap = costs[neighbours[2]][objective] - costs[neighbours[0]][objective];
                distances[neighbours[1]] += gap / range;
            }
        }
    }
    distances
}

/// Volume that points dominate within `reference`, which bounds every cost from above; points beyond it count for nothing.
///
/// By slicing along the last objective (Zitzler, 1999): exact, in time exponential in the number of objectives.
#[must_use]
pub fn hypervolume(costs: &[Vec<f64>], reference: &[f64]) -> f64 {
    let inside = |cost: &&Vec<f64>| cost.iter().zip(reference).all(|(c, r)| c < r);
    let points: Vec<&[f64]> = costs.iter().filter(inside).map(Vec::as_slice).collect();
    volume(&points, reference)
}

fn volume(points: &[&[f64]], reference: &[f64]) -> f64 {
    let Some((&bound, bounds)) = reference.split_last() else {
        return 0.0;
    };
    let last = bounds.len();
    if last == 0 {
        let least = points.iter().map(|p| p[0]).fold(bound, f64::min);
        return bound - least;
    }
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a[last].total_cmp(&b[last]));
    let mut sum = 0.0;
    for i in 0..sorted.len() {
        let top = sorted.get(i + 1).map_or(bound, |next| next[last]);
        let height = top - sorted[i][last];
        if height > 0.0 {
            // Between this point and the next, all up to this one dominate.
            let below: Vec<&[f64]> = sorted[..=i].iter().map(|p| &p[..last]).collect();
            sum += height * volume(&below, bounds);
        }
    }
    sum
}

fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    let differing = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
    differing.unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(objectives: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
        // Few values, so that ties are common.
        let cost = prop::collection::vec((0..8u8).prop_map(f64::from), objectives);
        prop::collection::vec(cost, 1..14)
    }

    /// Unit cubes of the integer lattice below 8 that some point dominates.
    fn counted(costs: &[Vec<f64>], objectives: u32) -> f64 {
        let cell = |index: usize, axis: u32| ((index / 8usize.pow(axis)) % 8) as f64;
        let covered = |index: &usize| {
            let under = |c: &Vec<f64>| (0..objectives).all(|a| c[a as usize] <= cell(*index, a));
            costs.iter().any(under)
        };
        (0..8usize.pow(objectives)).filter(covered).count() as f64
    }

    proptest! {
        #[test]
        fn the_front_is_what_nothing_dominates(costs in points(3)) {
            let expected: Vec<usize> = (0..costs.len())
                .filter(|&i| !costs.iter().any(|other| dominates(other, &costs[i])))
                .collect();
            prop_assert_eq!(front(&costs), expected);
        }

        #[test]
        fn every_rank_is_dominated_by_the_one_before(costs in points(2)) {
            let ranks = ranks(&costs);
            for (i, &rank) in ranks.iter().enumerate() {
                let by = |of: usize| {
                    (0..costs.len()).any(|j| ranks[j] == of && dominates(&costs[j], &costs[i]))
                };
                prop_assert!(!by(rank) && (rank == 0 || by(rank - 1)));
            }
        }

        #[test]
        fn volume_is_that_of_counted_cubes(two in points(2), three in points(3)) {
            prop_assert_eq!(hypervolume(&two, &[8.0; 2]), counted(&two, 2));
            prop_assert_eq!(hypervolume(&three, &[8.0; 3]), counted(&three, 3));
        }

        #[test]
        fn volume_is_that_of_the_front(costs in points(3)) {
            let best: Vec<Vec<f64>> = front(&costs).into_iter().map(|i| costs[i].clone()).collect();
            prop_assert_eq!(hypervolume(&best, &[9.0; 3]), hypervolume(&costs, &[9.0; 3]));
        }
    }

    #[test]
    fn crowded_points_are_near_and_ends_are_far() {
        let costs = [[0.0, 10.0], [1.0, 8.0], [2.0, 7.0], [10.0, 0.0]].map(Vec::from);
        let distances = crowding(&costs);
        assert_eq!(distances[0], f64::INFINITY);
        assert_eq!(distances[3], f64::INFINITY);
        assert!((distances[1] - (0.2 + 0.3)).abs() < 1e-12);
        assert!((distances[2] - (0.9 + 0.8)).abs() < 1e-12);
    }
}
