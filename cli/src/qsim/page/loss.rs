//! What separates the integers from the floats, as a chart.

use charts::{Bar, Bars, Chart, Section, Series};
use compiler::backend::reference_graph;
use compiler::compile::Network;
use compiler::random_weights::randomize;
use explorer::diagnose::{Split, split};
use ir::graph::Graph;
use isa::Program;

use crate::output::Talk;
use crate::progress::Progress;

/// Decibels between the whole and the sum of its parts from which on the parts do not explain it.
const UNEXPLAINED_DB: f64 = 3.0;

/// Colors of [`Split::KINDS`].
const COLORS: [&str; Split::KINDS.len()] = ["#d97706", "#2f7d4f", "#c0392b", "#7c5cbf"];

/// The loss by layer and kind; nothing, and a warning, where it cannot be measured.
pub(super) fn section(
    program: &Program,
    float: Graph,
    samples: &[Vec<Vec<f32>>],
    talk: Talk,
) -> Option<(Chart, Section)> {
    let progress = Progress::over(talk, "splitting the loss", samples.len());
    let found = measured(program, float, samples, &progress);
    drop(progress);
    match found {
        Ok(split) => Some(drawn(&split)),
        Err(reason) => {
            talk.warn(format_args!("the page lacks the split of the loss: {reason}"));
            None
        }
    }
}

fn measured(
    program: &Program,
    mut float: Graph,
    samples: &[Vec<Vec<f32>>],
    progress: &Progress,
) -> Result<Split, String> {
    if let Some(how) = program.meta.random_weights {
        randomize(&mut float, how.seed, how.input_range);
    }
    let network = Network::new(float).map_err(|e| e.to_string())?;
    let graph = reference_graph(program).map_err(|e| e.to_string())?;
    split(&network.graph, &graph, samples, || progress.tick())
}

fn drawn(split: &Split) -> (Chart, Section) {
    let series = Split::KINDS.iter().zip(COLORS);
    let bars = Bars {
        name: "loss",
        title: "What separates the integers from the floats",
        unit: "share of the noise",
        written: |share| format!("{:.1}%", 100.0 * share),
        series: series.map(|(name, color)| Series { name: (*name).to_owned(), color }).collect(),
        marks: None,
        bars: (split.layers.iter())
            .map(|layer| Bar {
                name: layer.name.clone(),
                layer: None,
                parts: layer.shares.to_vec(),
                mark: None,
            })
            .collect(),
    };
    let chart = bars.chart();
    let section = Section::chart(&chart, &caption(split));
    (chart, section)
}

fn caption(split: &Split) -> String {
    let db = |v: Option<f64>| v.map_or_else(|| "no noise".to_owned(), |v| format!("{v:.1} dB"));
    let sum = |kind: usize| -> f64 { split.layers.iter().map(|layer| layer.shares[kind]).sum() };
    let kinds: Vec<String> = (Split::KINDS.iter().enumerate())
        .map(|(kind, name)| format!("{name} {:.1}%", 100.0 * sum(kind)))
        .collect();
    let apart = split.sqnr_db.zip(split.predicted_sqnr_db).map_or(0.0, |(a, b)| (a - b).abs());
    let doubt = if apart > UNEXPLAINED_DB {
        " The two are far apart, so the parts do not explain the whole: options such as --equalize change the float network, which is not known here; qcc diagnose takes the same options as qcc."
    } else {
        ""
    };
    format!(
        "The noise that each layer's weights and its stored result add at the outputs, each put alone into the float network, over {} samples: {}. The outputs of the integers have {} of signal to noise; the sum of the parts predicts {}.{doubt} qcc diagnose says what would help.",
        split.samples,
        kinds.join(", "),
        db(split.sqnr_db),
        db(split.predicted_sqnr_db)
    )
}
