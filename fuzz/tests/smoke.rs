//! Every target on its seeds and on random changes of them, with Rust alone: the same assertions as under libFuzzer, without its guidance.
//!
//! `QCC_FUZZ_CHANGES=n` sets how many changes each target gets, `QCC_FUZZ_TARGET` names the only one, and `QCC_SEED` what the changes follow
//! from. An input that fails is left in the temporary folder; `QCC_FUZZ_INPUT` names it, with its target, to run it alone.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::{Duration, Instant};

use qcc_fuzz::{Rng, Target, memory, mutate, scratch, targets};
use rand::{RngExt, SeedableRng};

/// Changes for each target.
const CHANGES: u64 = 1500;

/// Longest time for one input, as under libFuzzer.
const LONGEST: Duration = Duration::from_secs(10);

/// Largest input.
const MAX_BYTES: usize = 1 << 16;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one input. It is kept until it has returned, so that it is there if it never does.
fn run(target: &Target, input: &[u8]) {
    let kept =
        std::env::temp_dir().join(format!("qcc-fuzz-{}-{}", target.name, std::process::id()));
    std::fs::write(&kept, input).unwrap();
    let begun = Instant::now();
    memory::bounded(input.len(), || (target.run)(input));
    let took = begun.elapsed();
    assert!(took < LONGEST, "{} took {took:?} for {}", target.name, kept.display());
    std::fs::remove_file(kept).unwrap();
}

/// All targets in one test: memory is counted for the whole process.
#[test]
fn hostile_files_are_read_or_refused() {
    let only = std::env::var("QCC_FUZZ_TARGET").ok();
    for target in targets::ALL.iter().filter(|t| only.as_ref().is_none_or(|only| only == t.name)) {
        if let Ok(path) = std::env::var("QCC_FUZZ_INPUT") {
            return run(target, &std::fs::read(path).unwrap());
        }
        let mut rng = Rng::seed_from_u64(variable("QCC_SEED").unwrap_or(1));
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} begins with nothing", target.name);
        seeds.iter().for_each(|seed| run(target, seed));
        let mut pool = seeds.clone();
        for _ in 0..variable("QCC_FUZZ_CHANGES").unwrap_or(CHANGES) {
            let mut input = pool[rng.random_range(0..pool.len())].clone();
            let mut own = Rng::seed_from_u64(rng.random());
            for _ in 0..rng.random_range(1..4) {
                let mut change = |bytes: &mut Vec<u8>| mutate::bytes(bytes, &mut own);
                (target.mutate)(&mut input, &mut rng, &mut change);
            }
            input.truncate(MAX_BYTES);
            run(target, &input);
            // What was changed once is changed again now and then.
            if rng.random_bool(0.1) {
                let at = rng.random_range(0..pool.len());
                let replaced = if rng.random_bool(0.3) { seeds[at].clone() } else { input };
                pool[at] = replaced;
            }
        }
    }
    std::fs::remove_dir_all(scratch::folder()).unwrap();
}
