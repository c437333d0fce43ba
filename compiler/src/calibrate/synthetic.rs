//! Seeded random inputs, for networks of which nothing is known.

use ir::graph::Graph;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::Sample;

/// What synthetic inputs look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    /// Independent elements of a normal distribution with mean 0 and deviation 1, as of standardised data.
    Normal,
    /// Independent elements, uniform in `lo..hi`.
    Uniform {
        /// Lower end.
        lo: f32,
        /// Upper end.
        hi: f32,
    },
}

/// `count` samples. PCG64 and libm make them the same on every machine.
pub(crate) fn samples(
    graph: &Graph,
    source: Source,
    seed: u64,
    count: usize,
) -> impl Iterator<Item = Sample> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let lengths: Vec<usize> =
        graph.inputs.iter().map(|id| graph.values[id.0 as usize].shape.iter().product()).collect();
    (0..count).map(move |_| {
        let mut tensor = |length: &usize| (0..*length).map(|_| element(&mut rng, source)).collect();
        lengths.iter().map(&mut tensor).collect()
    })
}

fn element(rng: &mut Pcg64, source: Source) -> f32 {
    match source {
        Source::Uniform { lo, hi } => {
            let position: f64 = rng.random();
            (f64::from(lo) + position * (f64::from(hi) - f64::from(lo))) as f32
        }
        Source::Normal => {
            // Box and Muller, 1958; `1 - u` lies in (0, 1].
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            let radius = (-2.0 * libm::log(1.0 - u)).sqrt();
            (radius * libm::cos(std::f64::consts::TAU * v)) as f32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    #[test]
    fn samples_follow_their_distribution_and_seed() {
        let mut b = Build::new(1);
        let x = b.input(&[1, 50, 100]);
        let graph = b.finish(&[x]);
        let all = |source, seed| {
            samples(&graph, source, seed, 2).flatten().flatten().collect::<Vec<f32>>()
        };
        let normal = all(Source::Normal, 3);
        let mean = normal.iter().sum::<f32>() / normal.len() as f32;
        let variance = normal.iter().map(|v| v * v).sum::<f32>() / normal.len() as f32;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let uniform = all(Source::Uniform { lo: -1.0, hi: 3.0 }, 3);
        assert!(
            uniform.iter().all(|v| (-1.0..=3.0).contains(v)) && uniform.iter().any(|v| *v > 2.9)
        );
        assert_eq!(normal, all(Source::Normal, 3));
        assert_ne!(normal, all(Source::Normal, 4));
    }
}
