//! Calibration without data.
//!
//! Where a batch norm tells what it was trained to produce, that is the range; what depends on such values only follows
//! from them. Whatever is left is observed on seeded synthetic inputs. The report says which was used and what was
//! assumed, because accuracy rests on it.

use std::collections::BTreeMap;

use ir::graph::Graph;

use super::moments::propagate;
use super::observe::{observe, split};
use super::synthetic::{Source, samples};
use super::{CalibrateError, Calibration, FloatRunner, Range};
use crate::options::Options;
use crate::passes::Context;
use crate::quantize::wanted;

/// Synthetic samples.
const SAMPLES: usize = 16;

/// Where standardised inputs are assumed to lie: three deviations.
const ASSUMED_INPUT: f32 = 3.0;

/// Ranges of the wanted values of `graph`, whose passes filled `context`. `runner` must run `graph`; it is used only if
/// batch norms leave values open.
///
/// # Errors
/// When the input range in `options` is not one, or the float model fails or leaves the finite numbers.
pub fn without_data(
    graph: &Graph,
    context: &Context,
    runner: &dyn FloatRunner,
    options: &Options,
) -> Result<Calibration, CalibrateError> {
    let (input, source, assumption) = match options.input_range {
        Some((lo, hi)) if lo.is_finite() && hi.is_finite() && lo < hi => {
            let range = Range { lo: f64::from(lo), hi: f64::from(hi) };
            (range, Source::Uniform { lo, hi }, format!("inputs lie in {lo}..{hi}, as given"))
        }
        Some((lo, hi)) => return Err(CalibrateError::InputRange { lo, hi }),
        None => {
            let end = f64::from(ASSUMED_INPUT);
            let text =
                format!("inputs are assumed standardised, in -{ASSUMED_INPUT}..{ASSUMED_INPUT}");
            (Range { lo: -end, hi: end }, Source::Normal, text)
        }
    };
    let wanted = wanted(graph);
    let (inputs, computed) = split(graph, &wanted);
    let mut ranges: BTreeMap<String, Range> =
        inputs.iter().map(|w| (w.name.clone(), input)).collect();
    let moments = propagate(graph, context);
    let mut open = inputs.to_vec();
    for value in computed {
        match &moments[value.value.0 as usize] {
            Some(known) => drop(ranges.insert(value.name.clone(), known.range)),
            None => open.push(value.clone()),
        }
    }
    let known = wanted.len() - open.len();
    let synthetic = open.len() - inputs.len();
    if synthetic > 0 {
        let samples = samples(graph, source, options.seed, SAMPLES).map(Ok);
        let (seen, _) = observe(graph, runner, samples, &open)?;
        for (value, seen) in open.iter().zip(&seen).skip(inputs.len()) {
            // Noise says little about tails, so nothing is clipped on its account.
            let (lo, hi) = seen.histogram.extremes().unwrap_or((0.0, 0.0));
            ranges.insert(value.name.clone(), Range { lo, hi });
        }
    }
    let method =
        format!("no data: {}; {assumption}", sources(known, synthetic, source, options.seed));
    Ok(Calibration { method, samples: 0, ranges, ..Calibration::default() })
}

fn sources(known: usize, synthetic: usize, source: Source, seed: u64) -> String {
    let noise = match source {
        Source::Normal => "normal",
        Source::Uniform { .. } => "uniform",
    };
    let from_noise =
        format!("{synthetic} ranges from {SAMPLES} {noise} random inputs (seed {seed})");
    match (known, synthetic) {
        (0, _) => format!(
            "{from_noise}: the file holds no batch-norm statistics (exports often fold them away), so these are guesses, which real data may exceed or not fill; --data is better"
        ),
        (_, 0) => format!("{known} ranges from batch-norm statistics"),
        (_, _) => format!("{known} ranges from batch-norm statistics, {from_noise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::{Check, GRAPH, run};
    use crate::testing::{Build, PlainRunner};

    /// A runner that must not be needed.
    struct Absent;

    impl FloatRunner for Absent {
        fn run(&self, _: &super::super::Sample, _: &[&str]) -> Result<Vec<Vec<f32>>, String> {
            Err("the float model should not run".into())
        }
    }

    fn network(norms: bool) -> (Graph, Context) {
        let mut b = Build::new(4);
        let x = b.input(&[1, 2, 8, 8]);
        let y = b.conv(x, 4, [3, 3], 1);
        let y = if norms { b.batch_norm(y) } else { y };
        let y = b.relu(y);
        let y = b.conv(y, 3, [3, 3], 1);
        let mut graph = b.finish(&[y]);
        let mut context = Context::default();
        run(GRAPH, &mut graph, &mut context, Check::End).unwrap();
        (graph, context)
    }

    #[test]
    fn batch_norms_suffice() {
        let (graph, context) = network(true);
        let table = without_data(&graph, &context, &Absent, &Options::default()).unwrap();
        assert_eq!(table.ranges.len(), 3);
        assert_eq!(table.ranges["v0"], Range { lo: -3.0, hi: 3.0 });
        assert!(table.method.contains("2 ranges from batch-norm statistics;"), "{}", table.method);
        assert!(table.method.contains("assumed"));
    }

    #[test]
    fn without_batch_norms_noise_is_observed() {
        let (graph, context) = network(false);
        let options = Options { input_range: Some((0.0, 1.0)), seed: 9, ..Options::default() };
        assert!(matches!(
            without_data(&graph, &context, &Absent, &options),
            Err(CalibrateError::Run { .. })
        ));
        let table = without_data(&graph, &context, &PlainRunner(&graph), &options).unwrap();
        assert_eq!(table.ranges["v0"], Range { lo: 0.0, hi: 1.0 });
        assert!(
            table.method.contains("2 ranges from 16 uniform random inputs (seed 9)"),
            "{}",
            table.method
        );
        let other = Options { seed: 10, ..options };
        assert_ne!(
            without_data(&graph, &context, &PlainRunner(&graph), &other).unwrap().ranges,
            table.ranges
        );
        let bad = Options { input_range: Some((1.0, 1.0)), ..Options::default() };
        let error = without_data(&graph, &context, &Absent, &bad).unwrap_err();
        assert!(matches!(error, CalibrateError::InputRange { .. }));
    }
}
