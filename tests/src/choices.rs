//! A source of random numbers that remembers what it gave, so that a failing case can be made smaller without knowing what
//! it is: the same generator run on fewer or smaller numbers makes a smaller case (MacIver and Donaldson, 2020, "Test-case
//! reduction via test-case generation", section 2).

use std::convert::Infallible;
use std::time::Instant;

use rand::{Rng, SeedableRng, TryRng};
use rand_pcg::Pcg64Mcg;

/// Zeros given after the end of a replay; then numbers that differ, so that a generator that waits for a certain number ends.
const ZEROS: usize = 10_000;

/// Steps towards the smallest number: as many as leading bits that matter to a range of a million.
const BISECTIONS: u32 = 20;

/// Random numbers, remembered; or a replay of such numbers, then zeros.
#[derive(Debug)]
pub struct Choices {
    given: Vec<u64>,
    next: usize,
    fresh: Option<Pcg64Mcg>,
}

impl Choices {
    /// Random numbers from a seed.
    #[must_use]
    pub fn random(seed: u64) -> Choices {
        Choices { given: Vec::new(), next: 0, fresh: Some(Pcg64Mcg::seed_from_u64(seed)) }
    }

    /// These numbers, then zeros.
    #[must_use]
    pub fn replay(given: &[u64]) -> Choices {
        Choices { given: given.to_vec(), next: 0, fresh: None }
    }

    /// What was given so far.
    #[must_use]
    pub fn given(&self) -> &[u64] {
        &self.given[..self.next.min(self.given.len())]
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        if let Some(fresh) = &mut self.fresh {
            let number = fresh.next_u64();
            self.given.push(number);
            return number;
        }
        let beyond = self.next.saturating_sub(self.given.len() + ZEROS) as u64;
        // The odd constant is that of the golden ratio: its multiples spread over all values.
        let filler = beyond.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.given.get(self.next - 1).copied().unwrap_or(filler)
    }
}

impl TryRng for Choices {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The high half decides ranges of 64-bit numbers, so it should here.
        Ok((self.number() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.number().to_le_bytes()[..piece.len()]);
        }
        Ok(())
    }
}

/// Fewer and smaller numbers for which `fails` still holds, as far as there is time.
pub fn shrink(
    mut given: Vec<u64>,
    until: Instant,
    mut fails: impl FnMut(&[u64]) -> bool,
) -> Vec<u64> {
    let mut fails = |candidate: &[u64]| Instant::now() < until && fails(candidate);
    loop {
        let before = given.clone();
        let mut size = given.len();
        while size > 0 {
            let mut start = 0;
            while start < given.len() {
                let end = (start + size).min(given.len());
                let without = [&given[..start], &given[end..]].concat();
                let mut zeroed = given.clone();
                zeroed[start..end].fill(0);
                if fails(&without) {
                    given = without;
                } else {
                    if zeroed != given && fails(&zeroed) {
                        given = zeroed;
                    }
                    start = end;
                }
            }
            size /= 2;
        }
        for at in 0..given.len() {
            // The smallest number that still fails, found by bisection as if all above it did.
            let (mut passing, mut smaller) = (0, given.clone());
            for _ in 0..BISECTIONS {
                let middle = passing + (given[at] - passing) / 2;
                smaller[at] = middle;
                if fails(&smaller) {
                    given[at] = middle;
                } else {
                    passing = middle;
                }
            }
        }
        if given == before {
            return given;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::RngExt;

    use super::*;

    fn list(rng: &mut impl Rng) -> Vec<u32> {
        let count = rng.random_range(0..40);
        (0..count).map(|_| rng.random_range(0..1000)).collect()
    }

    #[test]
    fn a_replay_gives_the_same() {
        let mut rng = Choices::random(5);
        let first = list(&mut rng);
        assert_eq!(list(&mut Choices::replay(rng.given())), first);
    }

    #[test]
    fn the_smallest_failing_case_is_found() {
        let fails = |numbers: &[u64]| {
            list(&mut Choices::replay(numbers)).iter().filter(|&&v| v >= 700).count() >= 2
        };
        let mut tried = 0;
        for seed in 0..20 {
            let mut rng = Choices::random(seed);
            list(&mut rng);
            let given = rng.given().to_vec();
            if fails(&given) {
                tried += 1;
                let until = Instant::now() + Duration::from_secs(60);
                let least = shrink(given, until, |numbers| fails(numbers));
                let least = list(&mut Choices::replay(&least));
                // Drawing a number may take a second one, which is no monotonic affair.
                let large: Vec<&u32> = least.iter().filter(|&&v| v > 0).collect();
                assert!(least.len() < 8 && large.len() == 2, "{least:?}");
                assert!(large.iter().all(|v| (700..800).contains(*v)), "{least:?}");
            }
        }
        assert!(tried > 10);
    }
}
