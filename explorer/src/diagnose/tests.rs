use compiler::compile::Network;
use compiler::options::Granularity;
use ir::graph::Graph;

use super::*;

/// Numbers in -1..1 that look random.
fn numbers(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    })
}

/// Convolutions `a`, `b` and `c` of 8 channels with a ReLU between them; channel 0 of `b` has weights `outlier` times as large.
fn network(outlier: f32) -> Network {
    network_of(|name, i, w| if name == "b" && i < 8 { outlier * w } else { w })
}

/// The same with weight `i` of each layer changed.
fn network_of(change: impl Fn(&str, usize, f32) -> f32) -> Network {
    const WINDOW: &str = "kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1";
    let mut body = String::new();
    for (seed, name) in ["a", "b", "c"].into_iter().enumerate() {
        let weights: Vec<String> = (numbers(seed as u64 + 5).take(64).enumerate())
            .map(|(i, w)| change(name, i, w))
            .map(|w| format!("{:?}", w / 2.0))
            .collect();
        body += &format!("  %w{name}: f32[8, 8, 1, 1] = const data=[{}]\n", weights.join(", "));
    }
    let s = "f32[1, 8, 4, 4]";
    body += &format!(
        "  %va: {s} = conv \"a\"(%x, %wa) {WINDOW}\n  %ra: {s} = clip \"ra\"(%va) lo=0.0 hi=inf\n"
    );
    body += &format!(
        "  %vb: {s} = conv \"b\"(%ra, %wb) {WINDOW}\n  %rb: {s} = clip \"rb\"(%vb) lo=0.0 hi=inf\n"
    );
    body += &format!("  %y: {s} = conv \"c\"(%rb, %wc) {WINDOW}\n");
    let graph: Graph = format!("graph \"g\" (%x: {s}) -> (%y) {{\n{body}}}\n").parse().unwrap();
    Network::new(graph).unwrap()
}

fn samples(count: usize) -> Vec<Vec<Vec<f32>>> {
    (0..count).map(|i| vec![numbers(100 + i as u64).take(128).collect()]).collect()
}

fn plain() -> Options {
    Options { bias_correction: BiasCorrection::Off, ..Options::default() }
}

/// Diagnosed with ranges of 32 samples, changed by `change`.
fn diagnosed(network: &Network, options: &Options, change: fn(&mut Calibration)) -> Diagnosis {
    let samples = samples(32);
    let mut calibration = network.calibrate(samples.iter().cloned().map(Ok), options).unwrap();
    change(&mut calibration);
    let (hardware, probes) = (Hardware::default(), Probes::default());
    let subject = Subject {
        network,
        options,
        hardware: &hardware,
        calibration: &calibration,
        probes: &probes,
    };
    diagnose(subject, &samples[..8], || {}).unwrap()
}

fn sqnr(network: &Network, options: &Options) -> f64 {
    diagnosed(network, options, |_| {}).sqnr_db.unwrap()
}

#[test]
fn sources_add_up_to_what_the_integers_lose() {
    for outlier in [1.0, 6.0] {
        let found = diagnosed(&network(outlier), &plain(), |_| {});
        let (whole, sum) = (found.sqnr_db.unwrap(), found.predicted_sqnr_db.unwrap());
        assert!((whole - sum).abs() < 1.0, "{whole} dB whole, {sum} dB added up");
        // The input, three layers' weights, three stored values.
        assert_eq!(found.sources.len(), 7);
        let shares: f64 = found.sources.iter().map(|source| source.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
        let loss: f64 = found.loss.iter().map(|loss| loss.share).sum();
        assert!((loss - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_layer_of_few_bits_is_found_and_more_bits_gain_what_was_predicted() {
    let network = network(1.0);
    let mut options = plain();
    options.layer_bits.insert("b".into(), 3);
    let found = diagnosed(&network, &options, |_| {});
    let worst = &found.sources[0];
    assert_eq!((worst.name.as_str(), worst.part), ("b", "weights"), "{}", found.to_text(9));
    assert_eq!(worst.fix.as_deref(), Some("--layer-bits b=8"));
    assert!(found.loss[0].share > 0.9, "{:?}", found.loss);
    let gained = sqnr(&network, &plain()) - found.sqnr_db.unwrap();
    let predicted = worst.predicted_gain_db.unwrap();
    assert!((gained - predicted).abs() < 1.5, "{gained} dB gained, {predicted} dB predicted");
}

#[test]
fn one_scale_for_unlike_channels_is_found_and_one_each_gains_what_was_predicted() {
    let network = network(30.0);
    let options = Options { granularity: Granularity::PerTensor, ..plain() };
    let found = diagnosed(&network, &options, |_| {});
    let spread = found.sources.iter().find(|s| s.name == "b" && s.part == "weights").unwrap();
    assert_eq!(spread.fix.as_deref(), Some("leave out --per-tensor"));
    assert!(spread.cause.starts_with("one scale for channels whose largest weights differ"));
}

#[test]
fn weights_that_all_round_one_way_shift_means_and_correcting_biases_is_the_remedy() {
    // Of each row one weight spans the range, and the others lie alike between two steps.
    let network = network_of(|name, i, w| match (name, i % 8) {
        ("c", 0) => 1.0,
        ("c", _) => 0.35,
        _ => w,
    });
    let mut options = plain();
    options.layer_bits.insert("c".into(), 2);
    let found = diagnosed(&network, &options, |_| {});
    let worst = &found.sources[0];
    assert_eq!((worst.name.as_str(), worst.part), ("c", "weights"), "{}", found.to_text(9));
    assert!(worst.cause.starts_with("rounded weights shift the means"), "{}", worst.cause);
    assert_eq!(worst.fix.as_deref(), Some("--bias-correction auto"));
    options.bias_correction = BiasCorrection::Analytic;
    let corrected = diagnosed(&network, &options, |_| {});
    let alone = |found: &Diagnosis| {
        let source = found.sources.iter().find(|s| s.name == "c" && s.part == "weights").unwrap();
        source.output_sqnr_db.unwrap()
    };
    assert!(alone(&corrected) > alone(&found) + 3.0);
}

#[test]
fn clipping_is_told_from_rounding() {
    let found = diagnosed(&network(1.0), &plain(), |calibration| {
        let range = calibration.ranges.get_mut("rb").unwrap();
        range.hi *= 0.5;
    });
    let worst = &found.sources[0];
    assert_eq!((worst.name.as_str(), worst.part), ("b", "value"));
    assert!(worst.cause.contains("beyond the range"), "{}", worst.cause);
    assert!(found.loss.iter().any(|loss| loss.kind == "clipping" && loss.share > 0.5));
    let wide = diagnosed(&network(1.0), &plain(), |calibration| {
        let range = calibration.ranges.get_mut("rb").unwrap();
        range.hi *= 20.0;
    });
    let worst = &wide.sources[0];
    assert_eq!((worst.name.as_str(), worst.part), ("b", "value"));
    assert!(worst.cause.contains("coarser than its own range needs"), "{}", worst.cause);
}

#[test]
fn narrow_multipliers_show_in_the_loss() {
    let network = network(1.0);
    let options = plain();
    let samples = samples(8);
    let calibration = network.calibrate(samples.iter().cloned().map(Ok), &options).unwrap();
    let share = |multiplier_bits: u32| {
        let hardware = Hardware { multiplier_bits, ..Hardware::default() };
        let probes = Probes::default();
        let subject = Subject {
            network: &network,
            options: &options,
            hardware: &hardware,
            calibration: &calibration,
            probes: &probes,
        };
        let found = diagnose(subject, &samples, || {}).unwrap();
        found.loss.iter().find(|loss| loss.kind == "multiplier rounding").unwrap().share
    };
    assert!(share(24) < 1e-6 && share(6) > 0.05, "{} {}", share(24), share(6));
}

#[test]
fn threads_change_nothing() {
    let network = network(2.0);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| diagnosed(&network, &plain(), |_| {}).to_json())
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn a_subset_unlike_the_others_shows() {
    let network = network(1.0);
    let (options, hardware, probes) = (plain(), Hardware::default(), Probes::default());
    let samples = samples(64);
    let mut parts: Vec<Vec<Vec<Vec<f32>>>> = samples.chunks(16).map(<[_]>::to_vec).collect();
    parts[2].iter_mut().flatten().flatten().for_each(|x| *x *= 8.0);
    let calibrate = |part: Vec<Vec<Vec<f32>>>| {
        (network.calibrate(part.into_iter().map(Ok), &options).unwrap(), Probes::default())
    };
    let parts: Vec<(Calibration, Probes)> = parts.into_iter().map(calibrate).collect();
    let subject = Subject {
        network: &network,
        options: &options,
        hardware: &hardware,
        calibration: &parts[0].0,
        probes: &probes,
    };
    let found = spread(subject, &parts, &samples[..8]).unwrap();
    let sqnr: Vec<f64> = found.subsets.iter().map(|subset| subset.sqnr_db.unwrap()).collect();
    let [a, b, coarse, c] = sqnr[..] else { panic!("{sqnr:?}") };
    // Eight times coarser steps: 18 dB.
    assert!(a.min(b).min(c) - coarse > 10.0, "{sqnr:?}");
    assert!(
        found.widest.iter().all(|(_, ratio)| (6.0..12.0).contains(ratio)),
        "{:?}",
        found.widest
    );
}

#[test]
fn the_loss_of_integers_alone_is_split_as_that_of_their_making() {
    let network = network(40.0);
    let options = Options { granularity: Granularity::PerTensor, ..plain() };
    let samples = samples(32);
    let calibration = network.calibrate(samples.iter().cloned().map(Ok), &options).unwrap();
    let (hardware, probes) = (Hardware::default(), Probes::default());
    let subject = Subject {
        network: &network,
        options: &options,
        hardware: &hardware,
        calibration: &calibration,
        probes: &probes,
    };
    let whole = diagnose(subject, &samples[..8], || {}).unwrap();
    let q = quantized(subject, &hardware).unwrap();
    let found = split(&network.graph, &q, &samples[..8], || {}).unwrap();
    assert_eq!((found.samples, found.sqnr_db), (8, whole.sqnr_db));
    let names: Vec<&str> = found.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["x", "a", "b", "c"]);
    let all: f64 = found.layers.iter().flat_map(|layer| layer.shares).sum();
    assert!((all - 1.0).abs() < 1e-9, "{all}");
    // One channel's outliers make the weights of layer `b` worse than those of the others; the input has none.
    let weights = |i: usize| found.layers[i].shares[0];
    assert!(weights(2) > 5.0 * weights(1).max(weights(3)) && weights(0) == 0.0, "{found:?}");
}
