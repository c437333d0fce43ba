use super::*;
use crate::passes::{Check, GRAPH, run};
use crate::testing::{Build, all_values, random_graph, random_inputs};

fn prepared(mut graph: Graph) -> (Graph, Context) {
    let mut context = Context::default();
    run(GRAPH, &mut graph, &mut context, Check::End).unwrap();
    (graph, context)
}

/// Convolutions of every kind, a residual connection, pools and batch norms.
fn network() -> (Graph, Context) {
    let mut b = Build::new(7);
    let x = b.input(&[1, 3, 12, 12]);
    let y = b.conv(x, 8, [3, 3], 1);
    let y = b.batch_norm(y);
    let stem = b.relu(y);
    let y = b.conv(stem, 8, [1, 1], 1);
    let y = b.batch_norm(y);
    let y = b.relu(y);
    let y = b.conv(y, 8, [1, 1], 8);
    let y = b.batch_norm(y);
    let y = b.op(ir::graph::Op::Add, &[y, stem], &[1, 8, 10, 10]);
    let y = b.relu(y);
    prepared(b.finish(&[y]))
}

fn settings() -> Settings {
    Settings { images: 8, iterations: 60, seed: 3, input_range: None }
}

#[test]
fn values_are_those_of_the_graph() {
    let mut computed = 0;
    for seed in 0..40 {
        let (graph, _) = prepared(random_graph(seed));
        let tape = Tape::new(&graph);
        let inputs = random_inputs(&graph, seed);
        let expected = all_values(&graph, &inputs);
        let mut state = tape.state();
        tape.forward(&mut state, &inputs);
        for node in &graph.nodes {
            let value = node.output.0 as usize;
            if tape.computes(value) {
                computed += 1;
                let size = expected[value].iter().fold(1f32, |m, v| m.max(v.abs()));
                for (p, q) in expected[value].iter().zip(state.value(value)) {
                    assert!((p - q).abs() <= 1e-5 * size, "{} of seed {seed}: {p} {q}", node.name);
                }
            }
        }
    }
    assert!(computed > 100, "{computed} values compared");
}

/// A directional derivative by differences against the one carried back.
#[test]
fn gradients_are_those_of_differences() {
    let mut compared = 0;
    for seed in 0..40 {
        let (graph, _) = prepared(random_graph(seed));
        let tape = Tape::new(&graph);
        let last = graph.nodes.last().map(|n| n.output.0 as usize).filter(|&v| tape.computes(v));
        let Some(last) = last else { continue };
        let inputs = random_inputs(&graph, seed);
        let direction = random_inputs(&graph, seed + 100);
        let mut state = tape.state();
        tape.forward(&mut state, &inputs);
        // The function is the sum of the last value's elements with alternating signs.
        let sign = |i: usize| if i.is_multiple_of(3) { -1f32 } else { 1.0 };
        let (_, gradient) = state.value_and_gradient(last);
        gradient.iter_mut().enumerate().for_each(|(i, g)| *g = sign(i));
        tape.backward(&mut state);
        let along: f64 = (tape.input_gradients(&state).zip(&direction))
            .flat_map(|(g, d)| g.iter().zip(d))
            .map(|(g, d)| f64::from(*g) * f64::from(*d))
            .sum();
        let mut at = |h: f32| -> f64 {
            let moved: Sample = (inputs.iter().zip(&direction))
                .map(|(x, d)| x.iter().zip(d).map(|(x, d)| x + h * d).collect())
                .collect();
            tape.forward(&mut state, &moved);
            state.value(last).iter().enumerate().map(|(i, v)| f64::from(sign(i) * v)).sum()
        };
        let h = 1e-3;
        let (ahead, here, behind) = (at(h), at(0.0), at(-h));
        let (forward, backward) = ((ahead - here) / f64::from(h), (here - behind) / f64::from(h));
        let (least, most) = (forward.min(backward), forward.max(backward));
        // Where an activation bends in between, the derivative lies between the quotients of both sides.
        let slack = 0.02 * (1.0 + most.abs().max(least.abs()));
        assert!(
            (least - slack..=most + slack).contains(&along),
            "seed {seed}: {along} is not within {least}..{most}"
        );
        compared += 1;
    }
    assert!(compared > 20, "{compared} networks compared");
}

#[test]
fn images_reach_the_statistics() {
    let (graph, context) = network();
    let ticks = std::sync::atomic::AtomicUsize::new(0);
    let tick = || {
        ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let found = distill(&graph, &context, &settings(), &tick).unwrap();
    assert_eq!((found.layers, found.samples.len()), (3, 8));
    // Random weights cannot reach random statistics all the way.
    assert!(found.after < 0.5 * found.before, "{} -> {}", found.before, found.after);
    assert_eq!(ticks.into_inner(), steps(&graph, &settings()));
}

#[test]
fn the_same_images_on_any_number_of_threads() {
    let (graph, context) = network();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| distill(&graph, &context, &settings(), &|| ()).unwrap())
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn images_stay_within_the_range_of_inputs() {
    let (graph, context) = network();
    let settings = Settings { input_range: Some((-0.5, 0.75)), ..settings() };
    let found = distill(&graph, &context, &settings, &|| ()).unwrap();
    let all = found.samples.iter().flatten().flatten();
    let (lo, hi) = all.fold((0f32, 0f32), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    assert_eq!((lo, hi), (-0.5, 0.75), "both ends are met, none is passed");
}

#[test]
fn without_batch_norms_there_is_nothing_to_reach() {
    let mut b = Build::new(1);
    let x = b.input(&[1, 2, 4, 4]);
    let y = b.conv(x, 3, [3, 3], 1);
    let (graph, context) = prepared(b.finish(&[y]));
    assert_eq!(distill(&graph, &context, &settings(), &|| ()), None);
}
