//! How much the choice of calibration samples matters.

use compiler::calibrate::Calibration;
use compiler::refine::Probes;
use serde::Serialize;

use super::{Subject, decibels, float_model, mean_ratio, measure, quantized, whole_noise};

/// Values listed.
const LISTED: usize = 5;

/// The network calibrated on disjoint subsets of the samples.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// What each subset gives.
    pub subsets: Vec<Subset>,
    /// Values whose ranges differ most between subsets: name, and widest over narrowest range.
    pub widest: Vec<(String, f64)>,
}

/// One subset.
#[derive(Clone, Debug, Serialize)]
pub struct Subset {
    /// Samples it calibrates on.
    pub samples: u64,
    /// Signal to noise of the outputs, all on the same samples.
    pub sqnr_db: Option<f64>,
}

/// Measures the network as `calibrated` on each subset, all on `samples`. What `subject` says of calibration is not used.
///
/// # Errors
/// When the network cannot be quantized or run.
pub fn spread(
    subject: Subject<'_>,
    calibrated: &[(Calibration, Probes)],
    samples: &[Vec<Vec<f32>>],
) -> Result<Spread, String> {
    let graph = &subject.network.graph;
    let float = float_model(graph)?;
    let mut signal = vec![0.0; graph.outputs.len()];
    for sample in samples {
        let outputs = measure::outputs(&float, graph, sample)?;
        let zeros = |output: &Vec<f32>| vec![0.0; output.len()];
        for (sum, output) in signal.iter_mut().zip(&outputs) {
            *sum += measure::difference(output, &zeros(output));
        }
    }
    let mut subsets = Vec::new();
    for (calibration, probes) in calibrated {
        let subject = Subject { calibration, probes, ..subject };
        let q = quantized(subject, subject.hardware)?;
        let noise = whole_noise(&q, &float, graph, samples)?;
        let sqnr_db = decibels(1.0, mean_ratio(&noise, &signal));
        subsets.push(Subset { samples: calibration.samples, sqnr_db });
    }
    Ok(Spread { subsets, widest: widest(calibrated) })
}

fn widest(calibrated: &[(Calibration, Probes)]) -> Vec<(String, f64)> {
    let Some((first, _)) = calibrated.first() else { return Vec::new() };
    let ratio = |name: &String| {
        let widths = calibrated.iter().filter_map(|(calibration, _)| {
            calibration.ranges.get(name).map(|range| range.hi - range.lo)
        });
        let (least, most) =
            widths.fold((f64::INFINITY, 0f64), |(least, most), w| (least.min(w), most.max(w)));
        (least > 0.0).then_some(most / least)
    };
    let mut ratios: Vec<(String, f64)> =
        first.ranges.keys().filter_map(|name| Some((name.clone(), ratio(name)?))).collect();
    ratios.sort_by(|a, b| b.1.total_cmp(&a.1));
    ratios.truncate(LISTED);
    ratios
}
