//! Random networks on random tiny machines: the host runtime (plain and fast), the simulator (fast, plain loops, adversarial order) and the
//! static verifier must agree. `QCC_SEED=n` runs one case alone, `QCC_CASES=n` more or fewer.

use std::collections::BTreeMap;

use qcc_tests::generate::{inputs, network};
use qcc_tests::machines::tiny;
use qcc_tests::oracle::{How, compare, host};
use rand::SeedableRng;
use runtime::Path;
use simulator::exec::Kernels;

/// Cases that must compile, of all.
const CASES: u64 = 600;

/// What must occur, and how often at least.
const FEATURES: &[&str] = &[
    "Conv",
    "Add",
    "Mul",
    "Rescale",
    "MaxPool",
    "AveragePool",
    "Lut8",
    "Lut16",
    "Max",
    "Min",
    "PRelu",
    "local response normalization",
    "Softmax",
    "Concat",
    "Pad",
    "Interpolate",
    "interpolate axis 0",
    "interpolate axis 1",
    "doubled",
    "Reorder",
    "Gather",
    "slice",
    "reversed",
    "resized",
    "edge",
    "reflected",
    "concat of many",
    "shuffled channels",
    "depth to space",
    "space to depth",
    "transposed pixels",
    "transposed",
    "flattened",
    "crossing axes",
    "depthwise",
    "channel multiplier",
    "grouped",
    "residual",
    "broadcast",
    "stride 1",
    "stride 2",
    "stride 3",
    "dilation 1",
    "dilation 2",
    "padding",
    "asymmetric padding",
    "several folds",
    "16-bit input",
    "2-bit weights",
    "3-bit weights",
    "4-bit weights",
    "5-bit weights",
    "6-bit weights",
    "7-bit weights",
    "8-bit weights",
];

/// Runs one case; what it exercised if it compiled.
fn case(seed: u64) -> Result<Option<BTreeMap<String, usize>>, String> {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let hw = tiny(&mut rng);
    let (graph, features) = network(&mut rng, &hw);
    graph
        .verify()
        .map_err(|problems| format!("the generator made an illegal network: {problems:?}"))?;
    let program = match compiler::backend::generate(&graph, &hw, Default::default()) {
        Ok(program) => program,
        Err(compiler::backend::BackendError::DoesNotFit { .. }) => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    if let Some(finding) = isa::verify::verify(&program).first() {
        return Err(format!("verifier: {finding}"));
    }
    if let Some(finding) = compiler::validate::validate(&program, &graph).first() {
        return Err(format!("validator: {finding}"));
    }
    let x = inputs(&mut rng, &graph);
    let expected = host(&graph, &x, Path::Plain)?;
    if host(&graph, &x, Path::Fast)? != expected {
        return Err("the host's fast path differs from its plain one".into());
    }
    compare(&graph, &program, &x, &expected, How { kernels: Kernels::Fast, adversarial: None })?;
    compare(
        &graph,
        &program,
        &x,
        &expected,
        How { kernels: Kernels::Reference, adversarial: Some(seed) },
    )?;
    let event = timing::run(&program, timing::Mode::Event)
        .map_err(|e| format!("event-driven timing: {e}"))?;
    let stepped = timing::run(&program, timing::Mode::Stepped)
        .map_err(|e| format!("cycle-stepped timing: {e}"))?;
    if event != stepped {
        return Err(format!(
            "timing differs: event-driven {} cycles, cycle-stepped {}",
            event.total_cycles, stepped.total_cycles
        ));
    }
    let bytes = program.to_bytes().map_err(|e| e.to_string())?;
    if isa::Program::from_bytes(&bytes).map_err(|e| e.to_string())? != program {
        return Err("the program file does not read back as it was written".into());
    }
    if compiler::backend::reference_graph(&program).map_err(|e| e.to_string())? != graph {
        return Err("the reference graph in the program is not the one compiled".into());
    }
    Ok(Some(features))
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

#[test]
fn machine_equals_host_on_random_networks() {
    if let Some(seed) = env("QCC_SEED") {
        case(seed).unwrap_or_else(|e| panic!("QCC_SEED={seed}: {e}"));
        return;
    }
    let cases = env("QCC_CASES").unwrap_or(CASES);
    let (mut compiled, mut counts) = (0, BTreeMap::new());
    let mut failures = Vec::new();
    for seed in 0..cases {
        match case(seed) {
            Ok(None) => {}
            Ok(Some(features)) => {
                compiled += 1;
                for (name, n) in features {
                    *counts.entry(name).or_insert(0) += n;
                }
            }
            Err(e) => failures.push(format!("QCC_SEED={seed}: {e}")),
        }
    }
    println!("{compiled} of {cases} random networks compiled; they held {counts:?}");
    assert!(
        failures.is_empty(),
        "{} of {cases} cases failed, first:\n{}",
        failures.len(),
        failures.iter().take(10).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(compiled * 10 >= cases * 9, "only {compiled} of {cases} networks compiled");
    if cases >= CASES {
        for &feature in FEATURES {
            assert!(
                counts.get(feature).copied().unwrap_or(0) >= 20,
                "`{feature}` occurs only {:?} times",
                counts.get(feature)
            );
        }
    }
}
