//! Fault injection on random networks: against the host runtime with the same weight changed, and what must hold for every campaign.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use compiler::backend::reference_graph;
use ir::qgraph::QGraph;
use isa::{Engine, Program};
use qcc_tests::generate::{inputs, network};
use qcc_tests::machines::tiny;
use qcc_tests::oracle::{How, compare, host};
use rand::{Rng, RngExt, SeedableRng};
use runtime::Path;
use simulator::exec::Kernels;
use simulator::inject::{
    Bench, Campaign, Fault, FaultSpace, InjectError, Outcome, Place, RunResult, Sample, Spec,
};

fn case(seed: u64) -> Option<(QGraph, Program, impl Rng)> {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let hw = tiny(&mut rng);
    let (graph, _) = network(&mut rng, &hw);
    let program = compiler::backend::generate(&graph, &hw, Default::default()).ok()?;
    Some((graph, program, rng))
}

fn samples(rng: &mut impl Rng, graph: &QGraph, count: usize) -> Vec<Sample> {
    (0..count).map(|_| Sample { inputs: inputs(rng, graph), label: None }).collect()
}

/// The static verifier.
fn races(program: &Program) -> bool {
    !isa::verify::verify(program).is_empty()
}

/// What the host computes.
fn outputs(graph: &QGraph, sample: &Sample) -> Vec<Vec<i32>> {
    let values = host(graph, &sample.inputs, Path::Plain).unwrap();
    let output = |id: &ir::qgraph::ValueId| {
        let tensor = &values[id.0 as usize];
        (0..tensor.len()).map(|i| tensor.get(i)).collect()
    };
    graph.outputs.iter().map(output).collect()
}

#[test]
fn a_flipped_weight_is_the_network_with_that_weight_changed() {
    let (mut faults, mut changed, mut fill) = (0, 0, 0);
    for seed in 9000..9400 {
        let Some((_, program, mut rng)) = case(seed) else { continue };
        let before = reference_graph(&program).unwrap();
        let samples = samples(&mut rng, &before, 1);
        let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
        let spec = Spec::one(FaultSpace::Weights);
        let runs = match bench.campaign(&spec, 4, seed, || ()) {
            Ok(runs) => runs.results,
            Err(InjectError::Empty { .. }) => continue,
            Err(error) => panic!("network {seed}: {error}"),
        };
        for RunResult { faults: struck, outcome, .. } in &runs {
            let [fault] = &struck[..] else { panic!("one fault") };
            let Place::Constant { byte, bit } = fault.place else { panic!("a constant") };
            // The reference graph shares the program's constants: it has the changed weight too.
            let mut mutant = program.clone();
            mutant.constants[(byte - program.constants_base) as usize] ^= 1 << bit;
            // The host takes no -2^(b-1) for a weight of b bits.
            let Ok(after) = reference_graph(&mutant) else { continue };
            // Rows are filled with zeros that belong to no weight, where a fault matters to the machine alone.
            if before == after {
                fill += 1;
                continue;
            }
            let sample = &samples[0];
            let all = host(&after, &sample.inputs, Path::Plain).unwrap();
            let how = How { kernels: Kernels::Fast, adversarial: None };
            compare(&after, &mutant, &sample.inputs, &all, how).unwrap();
            let [old, new] = [&before, &after].map(|graph| outputs(graph, sample));
            let largest = |values: &[Vec<i32>]| {
                let first = &values[0];
                (0..first.len()).rev().max_by_key(|&i| first[i]).unwrap()
            };
            let expected = match old == new {
                true => Outcome::Masked,
                false if largest(&old) == largest(&new) => Outcome::Benign,
                false => Outcome::Critical,
            };
            assert_eq!(*outcome, expected, "network {seed}, {fault:?}");
            faults += 1;
            changed += u32::from(old != new);
        }
    }
    let found = format!("{faults} faults, {changed} change an output, {fill} in no weight");
    assert!(faults >= 300 && changed >= 100 && fill < faults, "{found}");
}

#[test]
fn campaigns_are_balanced_and_the_same_on_any_number_of_threads() {
    let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let [one, two] = [1, 2].map(threads);
    let specs =
        ["weights", "weights:rate=1e-2", "params", "tables", "scratchpad", "scratchpad:live"];
    let specs =
        specs.iter().chain(&["accumulators:rate=1e-2", "accumulators:live", "instructions"]);
    let specs: Vec<Spec> = specs.map(|text| text.parse().unwrap()).collect();
    let mut held = vec![0; specs.len()];
    for seed in 9500..9530 {
        let Some((graph, program, mut rng)) = case(seed) else { continue };
        let samples = samples(&mut rng, &graph, 2);
        let kernels = if rng.random() { Kernels::Fast } else { Kernels::Reference };
        let bench = Bench::new(&program, kernels, &samples, &races).unwrap();
        for (spec, held) in specs.iter().zip(&mut held) {
            let run =
                |pool: &rayon::ThreadPool| pool.install(|| bench.campaign(spec, 12, seed, || ()));
            let runs = match run(&one) {
                Ok(runs) => runs,
                Err(InjectError::Empty { .. }) => continue,
                Err(error) => panic!("network {seed}, {spec}: {error}"),
            };
            assert_eq!(runs, run(&two).unwrap(), "network {seed}, {spec}");
            let report = Campaign::new(&bench, spec, &runs);
            let sum = &report.outcomes;
            assert_eq!(sum.masked + sum.benign + sum.critical + sum.detected, 12);
            for run in &runs.results {
                assert!(run.outcome != Outcome::Masked || run.in_top5);
            }
            *held += 1;
        }
    }
    assert!(held.iter().all(|&held| held >= 3), "{held:?}");
}

#[test]
fn without_faults_nothing_changes() {
    for seed in 9600..9620 {
        let Some((graph, program, mut rng)) = case(seed) else { continue };
        let samples = samples(&mut rng, &graph, 3);
        let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
        for space in FaultSpace::ALL {
            let spec: Spec = format!("{space}:rate=0").parse().unwrap();
            let Ok(runs) = bench.campaign(&spec, 6, seed, || ()) else { continue };
            for run in runs.results {
                assert_eq!(
                    (run.outcome, run.faults.len(), run.changed.len()),
                    (Outcome::Masked, 0, 0)
                );
            }
        }
        for (number, sample) in samples.iter().enumerate() {
            assert_eq!(bench.outputs(number), outputs(&graph, sample), "network {seed}");
        }
    }
}

#[test]
fn no_register_bit_corrupts_silently_behind_the_proof() {
    let (mut accepted, mut silent) = (0, 0);
    for seed in 9700..9760 {
        let Some((graph, program, mut rng)) = case(seed) else { continue };
        let samples = samples(&mut rng, &graph, 1);
        let refuses = |mutant: &Program| {
            races(mutant) || !compiler::validate::validate(mutant, &graph).is_empty()
        };
        let bench = Bench::new(&program, Kernels::Fast, &samples, &refuses).unwrap();
        let engine = Engine::Vpu;
        for (index, inst) in program.section(engine).words.iter().enumerate() {
            if !inst.op.writes_page() {
                continue;
            }
            // One bit in eight: all of them take minutes.
            for bit in (14..128).filter(|bit| bit % 8 == seed as u32 % 8) {
                let place = Place::Word { engine, index, bit };
                let fault = Fault { place, bit, cycle: None, node: u32::MAX };
                let run = bench.run(vec![fault], 0).unwrap();
                let is_silent = matches!(run.outcome, Outcome::Benign | Outcome::Critical);
                accepted += u32::from(run.verifier.is_some());
                silent += u32::from(is_silent);
                assert!(
                    !is_silent || run.verifier == Some(true),
                    "network {seed}, word {index}, bit {bit}: `{inst}`"
                );
            }
        }
    }
    assert!(silent >= 30 && accepted > silent, "{silent} of {accepted}");
}
