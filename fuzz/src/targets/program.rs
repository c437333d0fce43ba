//! Program files: read, checked, verified, validated, timed, run.
//!
//! Changes are made within sections, and the checksums and the hash of the hardware parameters mended, so that they reach what lies behind.

use isa::Program;
use rand::RngExt;

use super::{networks, run};
use crate::{Change, Rng, Target, mutate as change_text, scratch};

mod container;

pub(super) const TARGET: Target = Target { name: "program", run, seeds, mutate, dictionary };

/// Numbers of sections with something peculiar.
const HARDWARE: u32 = 1;
const META: u32 = 2;
const FIRST_CODE: u32 = 7;
const LAST_CODE: u32 = 10;
const REFERENCE: u32 = 16;

fn run(bytes: &[u8]) {
    let program = match Program::from_bytes(bytes) {
        Err(error) => return drop(error.to_string()),
        Ok(program) => program,
    };
    assert!(program.to_bytes().as_deref() == Ok(bytes), "every program has exactly one file");
    if run::program(&program) {
        let path = scratch::file("program.bin", bytes);
        let path = path.to_string_lossy();
        let report = scratch::folder().join("report").to_string_lossy().into_owned();
        for rest in [
            &["--check"][..],
            &["--format", "csv", "--cycle-stepped"],
            &["--format", "json", "--reference", "--trace"],
        ] {
            let _ = qcc::untrusted::simulate(&[&[&*path, "-q", "-o", &report], rest].concat());
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let compiled = networks::programs(24);
    let by_hand = [
        include_str!("../../../programs/asm/add.qasm"),
        include_str!("../../../programs/asm/matmul.qasm"),
        include_str!("../../../programs/asm/softmax.qasm"),
        include_str!("../../../programs/asm/transpose.qasm"),
    ]
    .map(|text| isa::asm::assemble(text).expect("the examples can be assembled"));
    by_hand.into_iter().chain(compiled).filter_map(|program| program.to_bytes().ok()).collect()
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng, change: &mut Change<'_>) {
    let Some(mut sections) = container::split(bytes) else { return change(bytes) };
    if sections.is_empty() || rng.random_bool(0.02) {
        return change(bytes);
    }
    for _ in 0..rng.random_range(1..3) {
        // Half of the changes meet code.
        let code =
            |(_, (number, _)): &(usize, &(u32, Vec<u8>))| (FIRST_CODE..=LAST_CODE).contains(number);
        let codes: Vec<usize> =
            sections.iter().enumerate().filter(code).map(|(at, _)| at).collect();
        let at = match rng.random_bool(0.5) && !codes.is_empty() {
            true => codes[rng.random_range(0..codes.len())],
            false => rng.random_range(0..sections.len()),
        };
        let (number, payload) = &mut sections[at];
        match *number {
            HARDWARE => {
                let mut text = payload.split_off(payload.len().min(8));
                change_text::text(&mut text, rng, change);
                payload.clear();
                payload.extend_from_slice(&container::hardware_hash(&text));
                payload.extend(text);
            }
            META | REFERENCE => change_text::text(payload, rng, change),
            FIRST_CODE..=LAST_CODE => word(payload, rng, change),
            _ if rng.random_bool(0.02) => drop(sections.remove(at)),
            _ => change(payload),
        }
        if sections.is_empty() {
            break;
        }
    }
    *bytes = container::join(&sections);
}

/// Changes a word of code: a bit, a whole field, its place, or the base.
fn word(code: &mut Vec<u8>, rng: &mut Rng, change: &mut Change<'_>) {
    let words = code.len().saturating_sub(8) / 16;
    if words == 0 || rng.random_bool(0.1) {
        return change(code);
    }
    let at = 8 + 16 * rng.random_range(0..words);
    let word: [u8; 16] = std::array::from_fn(|i| code[at + i]);
    let bits = u128::from_le_bytes(word);
    let first = rng.random_range(0..128u32);
    match rng.random_range(0..8) {
        0..3 => code[at..at + 16].copy_from_slice(&(bits ^ 1 << first).to_le_bytes()),
        3..5 => {
            // All ones, all zeros or any bits in a run of them.
            let width = rng.random_range(1..21).min(128 - first);
            let mask = ((1u128 << width) - 1) << first;
            let value = match rng.random_range(0..3) {
                0 => 0,
                1 => mask,
                _ => (u128::from(rng.random::<u64>()) << first) & mask,
            };
            code[at..at + 16].copy_from_slice(&(bits & !mask | value).to_le_bytes());
        }
        5 => drop(code.drain(at..at + 16)),
        6 => {
            let to = 8 + 16 * rng.random_range(0..words);
            code.splice(to..to, word);
        }
        _ => {
            let to = 8 + 16 * rng.random_range(0..words);
            for i in 0..16 {
                code.swap(at + i, to + i);
            }
        }
    }
}

fn dictionary() -> Vec<String> {
    isa::Hardware::names().map(str::to_owned).collect()
}
