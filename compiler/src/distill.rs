//! Calibration images distilled from batch norms: ZeroQ (Cai et al., 2020, arXiv 2001.00281, section 3.1).
//!
//! Without data, a batch of random images is changed by gradient descent until the means and deviations that it causes at
//! every batch norm are those that the batch norm was trained to see. Such images excite all layers together as data would,
//! which statistics of single layers cannot. The graph is the one the passes left: statistics are those of the batch norms'
//! results, which folding moved to the results of convolutions.
//!
//! One image's values and gradients are computed by one thread, and sums over a batch are formed in the order of its images, so the result does not
//! depend on the number of threads.

mod linear;
mod loss;
mod map;
mod pool;
mod tape;

use ir::graph::Graph;
use rayon::prelude::*;

use crate::calibrate::Sample;
use crate::calibrate::synthetic::{Source, samples as synthetic};
use crate::passes::Context;
use loss::Targets;
use tape::{State, Tape};

/// Images that are changed together, at most.
const BATCH: usize = 32;

/// Floats that values and gradients of a batch may take: 512 MiB.
const MOST_FLOATS: usize = 1 << 27;

/// Step of the first iteration, in deviations of the input.
const RATE: f64 = 0.1;

/// How images are distilled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Images.
    pub images: usize,
    /// Steps of gradient descent.
    pub iterations: usize,
    /// Seed of the images that it starts from.
    pub seed: u64,
    /// Smallest and largest real value of inputs. Without, they are taken to be standardised.
    pub input_range: Option<(f32, f32)>,
}

/// Images and how well they fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Distilled {
    /// One tensor per network input each, elements in ONNX order.
    pub samples: Vec<Sample>,
    /// Batch norms matched.
    pub layers: usize,
    /// Squared distance from the statistics, relative to the deviations, mean over the batch norms: of the random images.
    pub before: f64,
    /// The same of the result.
    pub after: f64,
}

/// Distills images for `graph`, whose passes filled `context`. `None` if no batch norm can be followed back to the inputs.
///
/// `tick` is called once an iteration of each batch; [`steps`] tells how often in all.
#[must_use]
pub fn distill(
    graph: &Graph,
    context: &Context,
    settings: &Settings,
    tick: &dyn Fn(),
) -> Option<Distilled> {
    let tape = Tape::new(graph);
    let targets = Targets::new(graph, context, &tape);
    if targets.layers() == 0 {
        return None;
    }
    let tape = tape.up_to(|value| targets.wants(value));
    let source = settings.input_range.map_or(Source::Normal, |(lo, hi)| Source::Uniform { lo, hi });
    let mut samples: Vec<Sample> =
        synthetic(graph, source, settings.seed, settings.images).collect();
    let (mut before, mut after) = (0.0, 0.0);
    for batch in samples.chunks_mut(batch_size(&tape, settings.images)) {
        let mut descent = Descent::new(&tape, &targets, settings, batch);
        let share = batch.len() as f64 / settings.images as f64;
        for iteration in 0..settings.iterations {
            let loss = descent.step(batch, iteration);
            if iteration == 0 {
                before += share * loss;
            }
            tick();
        }
        after += share * descent.loss(batch);
    }
    Some(Distilled { samples, layers: targets.layers(), before, after })
}

/// How often [`distill`] calls its `tick`.
#[must_use]
pub fn steps(graph: &Graph, settings: &Settings) -> usize {
    settings.images.div_ceil(batch_size(&Tape::new(graph), settings.images)) * settings.iterations
}

fn batch_size(tape: &Tape<'_>, images: usize) -> usize {
    (MOST_FLOATS / (2 * tape.floats()).max(1)).clamp(1, BATCH).min(images.max(1))
}

/// Adam (Kingma and Ba, 2015, algorithm 1) over the pixels of a batch.
struct Descent<'a> {
    tape: &'a Tape<'a>,
    targets: &'a Targets,
    settings: &'a Settings,
    /// Deviation of an input.
    unit: f64,
    states: Vec<State>,
    /// First and second moment of the gradient, per image and input.
    moments: Vec<Vec<[Vec<f32>; 2]>>,
}

impl<'a> Descent<'a> {
    fn new(
        tape: &'a Tape<'a>,
        targets: &'a Targets,
        settings: &'a Settings,
        batch: &[Sample],
    ) -> Descent<'a> {
        let unit = settings.input_range.map_or(1.0, |(lo, hi)| {
            // Of a uniform distribution.
            (f64::from(hi) - f64::from(lo)) / 12f64.sqrt()
        });
        let zeros = |sample: &Sample| {
            sample.iter().map(|t| [vec![0.0; t.len()], vec![0.0; t.len()]]).collect()
        };
        Descent {
            tape,
            targets,
            settings,
            unit,
            states: batch.iter().map(|_| tape.state()).collect(),
            moments: batch.iter().map(zeros).collect(),
        }
    }

    fn loss(&mut self, batch: &[Sample]) -> f64 {
        let tape = self.tape;
        self.states.par_iter_mut().zip(batch).for_each(|(state, image)| tape.forward(state, image));
        self.targets.observe(&self.states).loss
    }

    /// One step; the loss before it.
    fn step(&mut self, batch: &mut [Sample], iteration: usize) -> f64 {
        let (tape, targets) = (self.tape, self.targets);
        self.states
            .par_iter_mut()
            .zip(&*batch)
            .for_each(|(state, image)| tape.forward(state, image));
        let observed = targets.observe(&self.states);
        // From the full rate to nothing along half a cosine.
        let progress = iteration as f64 / self.settings.iterations as f64;
        let rate = RATE * self.unit * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress));
        let adam = Adam::new(rate, iteration);
        let limits = self.settings.input_range;
        (self.states.par_iter_mut().zip(batch).zip(&mut self.moments)).for_each(
            |((state, image), moments)| {
                state.clear_gradients();
                observed.gradients(state);
                tape.backward(state);
                for ((pixels, moments), gradient) in
                    image.iter_mut().zip(moments).zip(tape.input_gradients(state))
                {
                    adam.update(pixels, moments, gradient);
                    if let Some((lo, hi)) = limits {
                        pixels.iter_mut().for_each(|v| *v = v.clamp(lo, hi));
                    }
                }
            },
        );
        observed.loss
    }
}

/// Rates of one step.
struct Adam {
    rate: f64,
    /// `1 - beta^t` of both moments.
    corrections: [f64; 2],
}

impl Adam {
    const BETA: [f32; 2] = [0.9, 0.999];

    fn new(rate: f64, iteration: usize) -> Adam {
        let corrections =
            Adam::BETA.map(|beta| 1.0 - libm::pow(f64::from(beta), iteration as f64 + 1.0));
        Adam { rate, corrections }
    }

    fn update(&self, pixels: &mut [f32], moments: &mut [Vec<f32>; 2], gradient: &[f32]) {
        let [first, second] = moments;
        for (((pixel, m), v), &g) in pixels.iter_mut().zip(first).zip(second).zip(gradient) {
            *m = Adam::BETA[0] * *m + (1.0 - Adam::BETA[0]) * g;
            *v = Adam::BETA[1] * *v + (1.0 - Adam::BETA[1]) * g * g;
            let (m, v) = (f64::from(*m) / self.corrections[0], f64::from(*v) / self.corrections[1]);
            // Gradients are as small as a batch is large; the usual 1e-8 would drown them.
            *pixel -= (self.rate * m / (v.sqrt() + 1e-20)) as f32;
        }
    }
}

#[cfg(test)]
mod tests;
