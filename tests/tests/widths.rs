//! Searches for widths, on the embedded network and smooth random images.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::sync::Mutex;

use compiler::calibrate::Observed;
use compiler::compile::Network;
use compiler::options::{BiasCorrection, Options};
use compiler::refine::Probes;
use explorer::bench::Bench;
use explorer::judge::{Judge, sqnr};
use explorer::sensitivity::{Bits, Change, Effect, sensitivity};
use explorer::study::Labelled;
use explorer::widths::budget::{Budget, Limit, Resource, fit};
use explorer::widths::ladder::{Climbed, RUNGS, climb};
use explorer::widths::{Listener, Searcher, Tried};
use ir::onnx::{LoadOptions, load_bytes};
use isa::Hardware;
use rand::{RngExt, SeedableRng};
use runtime::{Prepared, dequantize, quantize};

/// Pixels on a side of an image.
const SIDE: usize = 28;

/// A random image of a few bright and dark places.
fn image(seed: u64) -> Vec<f32> {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let coarse: Vec<f32> = (0..16).map(|_| rng.random_range(-0.5f32..1.0).max(0.0)).collect();
    let at = |i: usize| coarse[(i / SIDE / 7) * 4 + i % SIDE / 7] * rng.random_range(0.7f32..1.0);
    (0..SIDE * SIDE).map(at).collect()
}

struct World {
    network: Network,
    observed: Observed,
    probes: Probes,
    hardware: Hardware,
}

impl World {
    fn new() -> World {
        let onnx = include_bytes!("../../programs/fashion_mnist/fashion_mnist.onnx");
        let model = load_bytes(onnx.as_slice().into(), &LoadOptions::default()).unwrap();
        let network = Network::new(model.graph).unwrap();
        let mut probes = network.room();
        let samples: Vec<_> = (0..24).map(|i| vec![image(i)]).collect();
        samples.iter().for_each(|sample| probes.offer(sample));
        let observed = network.observe(samples.into_iter().map(Ok)).unwrap();
        World { network, observed, probes, hardware: Hardware::default() }
    }

    fn bench(&self) -> Bench<'_> {
        let way = BiasCorrection::Auto;
        Bench::new(&self.network, &self.observed, &self.probes, way, &self.hardware).unwrap()
    }

    /// Runs a search with a judge over some other images; what was tried by name.
    fn search<T>(&self, run: impl FnOnce(&Searcher<'_, Infallible>) -> T) -> (T, Vec<Tried>) {
        let (bench, heard) = (self.bench(), Heard::default());
        let source = |i: usize| Ok(Labelled { inputs: vec![image(1000 + i as u64)], label: None });
        let output = &self.network.graph.values[self.network.graph.outputs[0].0 as usize].name;
        let judge = Judge::new(&self.network.graph, output, 40, &source, || ()).unwrap();
        let found = run(&Searcher { bench: &bench, judge: &judge, listener: &heard });
        (found, heard.0.into_inner().unwrap())
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Tried>>);

impl Listener for Heard {
    fn begin(&self, _: &'static str, _: usize) {}

    fn tick(&self) {}

    fn tried(&self, tried: &Tried) {
        self.0.lock().unwrap().push(tried.clone());
    }

    fn refused(&self, name: &str, reason: &str) {
        panic!("{name}: {reason}");
    }
}

fn change(node: &str, bits: Bits) -> Change {
    Change { node: node.into(), bits }
}

/// Noise of a change by running both whole networks.
fn plainly(bench: &Bench<'_>, base: &Options, change: &Change, samples: &[Vec<Vec<f32>>]) -> f64 {
    let run = |options: &Options| -> Vec<f32> {
        let graph = bench.sketch(options, bench.hardware()).unwrap();
        let prepared = Prepared::new(&graph).unwrap();
        let value = |id: ir::qgraph::ValueId| &graph.values[id.0 as usize];
        let one = |sample: &Vec<Vec<f32>>| {
            let stored = quantize(&sample[0], value(graph.inputs[0])).unwrap();
            dequantize(&prepared.run(&[stored]).unwrap()[0], value(graph.outputs[0])).unwrap()
        };
        samples.iter().flat_map(one).collect()
    };
    let (before, after) = (run(base), run(&change.applied(base)));
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let moved = squares(&mut before.iter().zip(&after).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    moved / squares(&mut before.iter().map(|v| f64::from(*v)))
}

#[test]
fn effects_are_those_of_the_whole_network_on_any_number_of_threads() {
    let world = World::new();
    let bench = world.bench();
    let base = Options { weight_bits_everywhere: true, ..Options::default() };
    let input = world.network.graph.values[world.network.graph.inputs[0].0 as usize].name.clone();
    let changes = [
        change("stem/conv", Bits::Weights(4)),
        change("block5/pw/conv", Bits::Weights(2)),
        change("head/fc", Bits::Weights(3)),
        change(&input, Bits::Activations(4)),
        change("block3/dw/conv", Bits::Activations(16)),
        change("block6/add", Bits::Activations(5)),
        change("head/gap", Bits::Activations(4)),
        change("stem/conv", Bits::Activations(3)),
        change("block1/dw/conv", Bits::Weights(5)),
        change("nowhere", Bits::Weights(5)),
    ];
    let samples: Vec<_> = (500..507).map(|i| vec![image(i)]).collect();
    let on = |threads: usize| -> Vec<Effect> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = || sensitivity(&bench, &world.hardware, &base, &changes, &samples, || ());
        pool.install(run).unwrap()
    };
    let effects = on(1);
    assert_eq!(effects, on(2));
    let (last, measured) = effects.split_last().unwrap();
    assert_eq!((last.noise, last.agreement), (f64::INFINITY, None));
    for effect in measured {
        let expected = plainly(&bench, &base, &effect.change, &samples);
        let close = (effect.noise - expected).abs() <= 1e-12 * expected;
        assert!(close && expected > 0.0, "{effect:?}, expected {expected}");
        assert!(effect.agreement.unwrap() <= 1.0);
    }
}

#[test]
fn bits_by_layer_fit_and_beat_uniform_ones() {
    let world = World::new();
    for (resource, share) in
        [(Resource::Size, 0.6), (Resource::Size, 0.45), (Resource::Cycles, 0.85)]
    {
        let budget = Budget { resource, limit: Limit::Share(share) };
        let (fitted, tried) =
            world.search(|searcher| fit(searcher, &Options::default(), budget).unwrap());
        let limit = (share * resource.of(&tried[0].cost) as f64) as u64;
        assert_eq!((fitted.limit, fitted.met), (limit, true));
        assert_eq!(fitted.tried.name, "bits by layer");
        let cost = world.bench().cost(&fitted.candidate.quantized.graph).unwrap();
        assert!(cost == fitted.tried.cost && resource.of(&cost) <= limit, "{cost:?}");
        // The plan uses what there is: no more than a twentieth is left.
        assert!(resource == Resource::Cycles || resource.of(&cost) * 20 >= limit * 19, "{cost:?}");
        let uniform: Vec<&Tried> =
            tried.iter().filter(|t| t.name.contains("all weights")).collect();
        assert_eq!(uniform.len(), 2);
        for other in uniform.iter().filter(|other| resource.of(&other.cost) <= limit) {
            assert!(sqnr(&fitted.tried.accuracy) > sqnr(&other.accuracy), "{tried:#?}");
        }
    }
}

#[test]
fn what_is_asked_of_single_layers_stays() {
    let world = World::new();
    let layer_bits = [("head/fc".to_owned(), 8), ("block6/pw/conv".to_owned(), 5)].into();
    let base = Options { layer_bits, ..Options::default() };
    let budget = Budget { resource: Resource::Size, limit: Limit::Share(0.6) };
    let (fitted, _) = world.search(|searcher| fit(searcher, &base, budget).unwrap());
    let chosen = fitted.candidate.options.layer_bits;
    assert_eq!([chosen["head/fc"], chosen["block6/pw/conv"]], [8, 5]);
    assert!(fitted.met && chosen.len() > 4, "{chosen:?}");
}

#[test]
fn too_small_a_budget_gets_the_least_there_is() {
    let world = World::new();
    let budget = Budget { resource: Resource::Size, limit: Limit::Absolute(1000) };
    let (fitted, _) = world.search(|s| fit(s, &Options::default(), budget).unwrap());
    let least = Options { weight_bits: 2, weight_bits_everywhere: true, ..Options::default() };
    let bench = world.bench();
    let least = bench.cost(&bench.candidate(&least).unwrap().quantized.graph).unwrap();
    assert_eq!((fitted.met, fitted.tried.cost.bytes), (false, least.bytes));
}

#[test]
fn a_climb_stops_at_the_first_step_that_will_do() {
    let world = World::new();
    let (climbed, tried) = world.search(|s| climb(s, &Options::default(), 100.0).unwrap());
    assert_eq!((tried.len(), climbed.passed), (1, true));
    assert_eq!(climbed.tried.name, RUNGS[0].name);
}

#[test]
fn a_climb_that_needs_wide_layers_takes_as_few_as_will_do() {
    let world = World::new();
    let narrow = Options { weight_bits: 2, weight_bits_everywhere: true, ..Options::default() };
    let (climbed, tried) = world.search(|s| climb(s, &narrow, 10.0).unwrap());
    let Climbed { tried: found, passed, .. } = climbed;
    let count = |t: &Tried| t.name.split(' ').nth(6)?.parse::<usize>().ok();
    let needed = count(&found).unwrap_or_else(|| panic!("{}", found.name));
    assert!(passed && found.drop() <= 10.0 && needed > 1, "{}", found.name);
    let fewer = tried.iter().find(|t| count(t) == Some(needed - 1)).unwrap();
    assert!(fewer.drop() > 10.0, "{tried:#?}");
}

#[test]
fn a_climb_in_vain_keeps_the_best() {
    let world = World::new();
    let (climbed, tried) = world.search(|s| climb(s, &Options::default(), -101.0).unwrap());
    assert!(!climbed.passed && tried.len() > RUNGS.len() + 3);
    assert!(tried.last().unwrap().name.contains("everywhere"));
    assert!(tried.iter().all(|other| !other.is_nearer_than(&climbed.tried)), "{tried:#?}");
}
