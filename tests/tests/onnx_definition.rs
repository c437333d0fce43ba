//! Operators that are computed during import, against the test cases of the ONNX definition.
//!
//! `tests/python/node_cases.py FOLDER` writes the cases; without the environment variable `QCC_NODE_CASES=FOLDER` the
//! test says so and passes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it saw"
)]

use std::path::{Path, PathBuf};

use ir::graph::ValueId;
use ir::onnx::{LoadOptions, load};
use ir::tensor::{Data, Tensor};

#[test]
fn constants_are_what_the_definition_says() {
    let Some(folder) = std::env::var_os("QCC_NODE_CASES").map(PathBuf::from) else {
        println!("skipped: QCC_NODE_CASES is not set");
        return;
    };
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    println!("{} of {} cases agree", cases.len() - failures.len(), cases.len());
    assert!(cases.len() > 300 && failures.is_empty(), "{}", failures.join("\n"));
}

/// The second half of a case's outputs are the expected values of the first.
fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy();
    let graph =
        load(case, &LoadOptions::default()).map_err(|error| format!("{name}: {error}"))?.graph;
    let (found, expected) = graph.outputs.split_at(graph.outputs.len() / 2);
    let constant = |id: &ValueId| {
        let value = &graph.values[id.0 as usize];
        value.constant.as_ref().ok_or_else(|| format!("{name}: `{}` is not constant", value.name))
    };
    for (found, expected) in found.iter().zip(expected) {
        let (found, expected) = (constant(found)?, constant(expected)?);
        // Functions written out as many nodes round after each.
        let tolerance = if name.contains("expanded") { 1e-4 } else { 2e-6 };
        if !agree(found, expected, tolerance) {
            return Err(format!("{name}: found {found:?}, expected {expected:?}"));
        }
    }
    Ok(())
}

/// Equal, floats up to a relative error.
fn agree(a: &Tensor, b: &Tensor, tolerance: f32) -> bool {
    let close = |x: f32, y: f32| {
        x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance * x.abs().max(y.abs())
    };
    a.shape == b.shape
        && match (&a.data, &b.data) {
            (Data::I64(x), Data::I64(y)) => x == y,
            (Data::Bool(x), Data::Bool(y)) => x == y,
            _ => match (a.f32_iter(), b.f32_iter()) {
                (Some(x), Some(y)) => x.zip(y).all(|(x, y)| close(x, y)),
                _ => false,
            },
        }
}
