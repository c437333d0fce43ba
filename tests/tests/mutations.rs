//! Mutants: legal programs broken in one place at random. The static checks (file, verifier, validator) must find what can change an output byte or hang.
//!
//! What a mutant does is found by running it: on two inputs, in the usual order and in hostile ones. `QCC_MUTANTS=n` sets how many are made.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it saw"
)]

use std::collections::BTreeMap;

use ir::qgraph::QGraph;
use isa::inst::{Engine, EngineSet, Inst, decode, encode};
use isa::{Hardware, Program};
use qcc_tests::generate::{inputs, network};
use qcc_tests::machines::{pick, tiny};
use qcc_tests::oracle::{How, compare, host};
use rand::{Rng, RngExt, SeedableRng};
use runtime::{Path, QTensor};
use simulator::exec::Kernels;

/// Mutants made by the test.
const MUTANTS: u64 = 4000;

/// A program with what it should compute.
struct Case {
    graph: QGraph,
    program: Program,
    samples: Vec<(Vec<Vec<i32>>, Vec<QTensor>)>,
}

fn case(seed: u64) -> Option<Case> {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let hw: Hardware = tiny(&mut rng);
    let (graph, _) = network(&mut rng, &hw);
    let program = compiler::backend::generate(&graph, &hw, Default::default()).ok()?;
    let samples = (0..2)
        .map(|_| {
            let x = inputs(&mut rng, &graph);
            let y = host(&graph, &x, Path::Plain).unwrap();
            (x, y)
        })
        .collect();
    Some(Case { graph, program, samples })
}

/// An engine and a word of it, the final `halt` left out.
fn word(rng: &mut impl Rng, program: &Program) -> Option<(usize, usize)> {
    let engine = rng.random_range(0..4);
    let n = program.code[engine].words.len() - 1;
    (n > 0).then(|| (engine, rng.random_range(0..n)))
}

/// Breaks a program in one place; the kind of the break, or nothing where there is no such place.
fn mutate(rng: &mut impl Rng, program: &mut Program) -> Option<String> {
    match rng.random_range(0..10) {
        0..5 => flip_field(rng, program),
        5 => semaphore(rng, program),
        6 => {
            let (e, at) = word(rng, program)?;
            let section = &mut program.code[e];
            if at + 2 >= section.words.len() || section.words[at] == section.words[at + 1] {
                return None;
            }
            section.words.swap(at, at + 1);
            section.notes.swap(at, at + 1);
            Some("two words swapped".into())
        }
        7 => {
            let (e, at) = word(rng, program)?;
            program.code[e].words.remove(at);
            program.code[e].notes.remove(at);
            Some("a word lost".into())
        }
        8 => {
            let (e, at) = word(rng, program)?;
            let (inst, note) = (program.code[e].words[at], program.code[e].notes[at]);
            program.code[e].words.insert(at, inst);
            program.code[e].notes.insert(at, note);
            Some("a word doubled".into())
        }
        _ => {
            if program.constants.is_empty() {
                return None;
            }
            let at = rng.random_range(0..program.constants.len());
            program.constants[at] ^= 1 << rng.random_range(0..8);
            Some("a bit of the constants".into())
        }
    }
}

/// Flips one bit of a word that is not among its semaphores.
fn flip_field(rng: &mut impl Rng, program: &mut Program) -> Option<String> {
    let (e, at) = word(rng, program)?;
    let inst = &mut program.code[e].words[at];
    let bits = encode(inst).unwrap();
    let flipped: Inst = decode(bits ^ 1 << rng.random_range(14..128), inst.engine).ok()?;
    let kind = format!("a bit of {}", inst.op.mnemonic());
    *inst = flipped;
    Some(kind)
}

/// Takes away or adds a wait or a signal.
fn semaphore(rng: &mut impl Rng, program: &mut Program) -> Option<String> {
    let (e, at) = word(rng, program)?;
    let inst = &mut program.code[e].words[at];
    let other = *pick(rng, &Engine::ALL);
    if other.index() == e {
        return None;
    }
    let wait = rng.random_bool(0.5);
    let set = if wait { &mut inst.wait } else { &mut inst.signal };
    let had = set.contains(other);
    *set = Engine::ALL
        .into_iter()
        .filter(|&x| if x == other { !had } else { set.contains(x) })
        .collect::<EngineSet>();
    let what = if wait { "wait" } else { "signal" };
    Some(format!("{what} {}", if had { "lost" } else { "added" }))
}

/// Whether the static checks find anything.
fn found(case: &Case, mutant: &Program) -> bool {
    !mutant.check().is_empty()
        || !isa::verify::verify(mutant).is_empty()
        || !compiler::validate::validate(mutant, &case.graph).is_empty()
}

/// Whether a mutant can be seen to compute something else, trap or hang.
fn harmful(case: &Case, mutant: &Program) -> bool {
    case.samples.iter().any(|(x, y)| {
        [None, Some(1), Some(2), Some(3)].into_iter().any(|adversarial| {
            let how = How { kernels: Kernels::Fast, adversarial };
            compare(&case.graph, mutant, x, y, how).is_err()
        })
    })
}

#[test]
fn static_checks_find_harmful_mutants() {
    let wanted: u64 =
        std::env::var("QCC_MUTANTS").ok().and_then(|v| v.parse().ok()).unwrap_or(MUTANTS);
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(11);
    // By kind: mutants, those that do harm, and those of them that are found.
    let mut counts: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    let mut escaped = Vec::new();
    let mut made = 0;
    for seed in 2000.. {
        if made >= wanted {
            break;
        }
        let Some(case) = case(seed) else { continue };
        for _ in 0..40 {
            let mut mutant = case.program.clone();
            let Some(kind) = mutate(&mut rng, &mut mutant) else { continue };
            if mutant == case.program {
                continue;
            }
            made += 1;
            let count = counts.entry(kind.clone()).or_default();
            count[0] += 1;
            let found = found(&case, &mutant);
            // What is refused before it can be loaded is never run.
            if found && (!mutant.check().is_empty()) {
                count[1] += 1;
                count[2] += 1;
            } else if harmful(&case, &mutant) {
                count[1] += 1;
                count[2] += u64::from(found);
                if !found {
                    escaped.push(format!("network {seed}: {kind}"));
                }
            }
        }
    }
    let mut total = [0; 3];
    for (kind, count) in &counts {
        println!("{kind}: {} made, {} harmful, {} found", count[0], count[1], count[2]);
        total = [0, 1, 2].map(|i| total[i] + count[i]);
    }
    println!(
        "all: {} made, {} harmful, {} found, escaped: {escaped:?}",
        total[0], total[1], total[2]
    );
    assert!(counts.len() >= 20, "only {} kinds of mutants", counts.len());
    assert!(total[1] * 4 > total[0], "too few mutants do harm: {total:?}");
    assert!(total[2] * 100 >= total[1] * 99, "escaped: {escaped:?}");
}
