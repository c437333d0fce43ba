//! The reference graph inside a program file is opaque to the file's own checks, so anything may stand there: reading it must never panic or
//! allocate more than the program justifies.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use compiler::backend::{ReferenceError, generate, reference_graph};
use isa::Program;
use qcc_tests::generate::network;
use qcc_tests::machines::tiny;
use rand::{RngExt, SeedableRng};

/// A random network's program.
fn made(seed: u64) -> Option<Program> {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let hw = tiny(&mut rng);
    let (graph, _) = network(&mut rng, &hw);
    generate(&graph, &hw, Default::default()).ok()
}

#[test]
fn a_damaged_reference_is_refused_or_still_a_graph() {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(7);
    let (mut refused, mut read) = (0, 0);
    for seed in 0..40 {
        let Some(program) = made(seed) else { continue };
        for _ in 0..25 {
            let mut damaged = program.clone();
            let bytes = damaged.reference.as_mut().unwrap();
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random_range(b' '..b'~');
            match reference_graph(&damaged) {
                Ok(graph) => {
                    graph.verify().unwrap();
                    read += 1;
                }
                Err(ReferenceError::Damaged(_)) => refused += 1,
                Err(ReferenceError::Missing) => panic!("the reference is there"),
            }
        }
    }
    assert!(refused > 100 && read > 20, "{refused} refused, {read} read");
}

#[test]
fn weights_outside_the_constants_are_refused() {
    let program = (0..).find_map(|seed| made(seed).filter(|p| p.constants.len() > 64)).unwrap();
    let cut = Program { constants: program.constants[..0].to_vec(), ..program.clone() };
    assert!(matches!(reference_graph(&cut), Err(ReferenceError::Damaged(_))));
    let moved = Program { constants_base: program.constants_base + (1 << 40), ..program.clone() };
    assert!(matches!(reference_graph(&moved), Err(ReferenceError::Damaged(_))));
    let bare = Program { reference: None, ..program };
    assert!(matches!(reference_graph(&bare), Err(ReferenceError::Missing)));
}

#[test]
fn a_graph_that_claims_huge_weights_is_refused_before_allocation() {
    let program = (0..).find_map(made).unwrap();
    let text = "[]\nqgraph \"g\" rounding=half-even (%x: i8[1, 1, 1] scale=1.0 zero_point=0) -> (%y) {\n  %y: i8[1, 1, 1] scale=1.0 zero_point=0 = conv \"c\"(%x) onnx=\"Conv\" kernel=[99999999, 99999999] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1 oc=1 ic=1 bits=8 weights=0x bias=[0] multipliers=[1] shifts=[0] lo=-128 hi=127\n}\n";
    let huge = Program { reference: Some(text.as_bytes().to_vec()), ..program };
    let Err(ReferenceError::Damaged(what)) = reference_graph(&huge) else { panic!("accepted") };
    assert!(what.contains("more weights than"), "{what}");
}

#[test]
fn a_graph_of_values_that_no_word_could_compute_is_refused_before_allocation() {
    let program = (0..).find_map(made).unwrap();
    let text = "[]\nqgraph \"g\" rounding=half-even (%x: i8[16000, 16000, 1] scale=1.0 zero_point=0) -> (%y) {\n  %y: i8[16000, 16000, 1] scale=1.0 zero_point=0 = rescale \"r\"(%x) onnx=\"Clip\" m=1 shift=0 lo=0 hi=6\n}\n";
    let huge = Program { reference: Some(text.as_bytes().to_vec()), ..program };
    let Err(ReferenceError::Damaged(what)) = reference_graph(&huge) else { panic!("accepted") };
    assert!(what.contains("512000000 elements, but the program writes"), "{what}");
}
