//! Random choices among numbered faults.

use std::collections::BTreeSet;

use crate::random::SplitMix;

/// `count` different numbers below `len` (at least `count`), each set of them equally likely, in order (Floyd's method, Bentley 1987).
pub(super) fn distinct(random: &mut SplitMix, count: u64, len: u64) -> Vec<u64> {
    let mut chosen = BTreeSet::new();
    for last in len - count..len {
        let number = random.below(last + 1);
        if !chosen.insert(number) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().collect()
}

/// Every number below `len` with `probability`, independently, in order. The distances between them are geometric: the logarithm of a
/// uniform number over that of `1 - probability`.
pub(super) fn independent(random: &mut SplitMix, probability: f64, len: u64) -> Vec<u64> {
    let mut chosen = Vec::new();
    if probability <= 0.0 {
        return chosen;
    }
    // libm, because the platform's own logarithm may differ in the last place.
    let scale = libm::log1p(-probability);
    let mut next = 0u64;
    loop {
        // 53 uniform bits in (0, 1].
        let uniform = ((random.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        // A conversion to an integer saturates; with probability 1 the quotient is 0.
        next = next.saturating_add((libm::log(uniform) / scale) as u64);
        if next >= len {
            return chosen;
        }
        chosen.push(next);
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_numbers_are_distinct_and_uniform() {
        let mut random = SplitMix::new(1);
        let mut hits = [0u32; 10];
        for _ in 0..10_000 {
            let chosen = distinct(&mut random, 3, 10);
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.len() == 3);
            chosen.iter().for_each(|&number| hits[number as usize] += 1);
        }
        // 3,000 each, standard deviation 46.
        assert!(hits.iter().all(|hits| (2800..3200).contains(hits)), "{hits:?}");
        assert_eq!(distinct(&mut random, 4, 4), [0, 1, 2, 3]);
    }

    #[test]
    fn independent_numbers_come_as_often_as_their_probability_says() {
        let mut random = SplitMix::new(2);
        assert!(independent(&mut random, 0.0, 1 << 60).is_empty());
        assert_eq!(independent(&mut random, 1.0, 5), [0, 1, 2, 3, 4]);
        for (probability, len) in [(0.5, 100_000), (1e-3, 10_000_000), (1e-9, 10_000_000_000_000)] {
            let found = independent(&mut random, probability, len).len() as f64;
            let expected = probability * len as f64;
            let deviation = (expected * (1.0 - probability)).sqrt();
            assert!((found - expected).abs() < 5.0 * deviation, "{probability}: {found}");
        }
    }

    #[test]
    fn streams_of_a_seed_differ() {
        let first = |seed, number| SplitMix::stream(seed, number).next();
        let all: BTreeSet<u64> =
            (0..100).flat_map(|seed| (0..100).map(move |number| first(seed, number))).collect();
        assert_eq!(all.len(), 10_000);
    }
}
