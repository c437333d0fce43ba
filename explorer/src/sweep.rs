//! Evaluates points of a space: accuracy on the integers, cycles, traffic, energy and area.
//!
//! Work is shared by what it depends on. Ranges are found once for each way of choosing them; each integer graph is made
//! once, from the options and those few parameters of the machine that quantization sees; each graph that differs is run on
//! the samples once; each pair of graph and machine is compiled and timed once. Constraints spare work: a machine whose area is
//! refused is not compiled for, a graph whose accuracy is refused is not compiled, and where only time is constrained, a
//! graph that is too slow on every machine is not run.

mod row;
mod stages;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use compiler::calibrate::Calibration;
use compiler::compile::Network;
use compiler::options::Options;
use compiler::refine::Probes;
use ir::graph::Graph;
use isa::Hardware;
use isa::program::Meta;
use rayon::prelude::*;

use crate::judge::Judge;
use crate::space::{Part, Settings, Space};
pub use row::{Outcome, QCC, Row, RowError};
use stages::{Made, Numbers, area, quantizer_machine, timed};

/// Graphs that are in memory at the same time.
const GRAPHS_AT_A_TIME: usize = 8;

/// What every point has in common.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// What is explored.
    pub space: &'a Space,
    /// The float network as it was imported: the reference.
    pub original: &'a Graph,
    /// The same after the passes.
    pub network: &'a Network,
    /// How to quantize where no axis says.
    pub options: &'a Options,
    /// The machine where no axis says.
    pub hardware: &'a Hardware,
}

/// What is known of the network's activations, for some way of finding ranges.
#[derive(Debug)]
pub struct Calibrated<'a> {
    /// Ranges and means.
    pub table: Calibration,
    /// Samples to refine on.
    pub probes: &'a Probes,
    /// Facts about the calibration, for the program file.
    pub meta: Meta,
}

/// Finds ranges for options.
pub type Calibrate<'a, 'c> = dyn FnMut(&Options) -> Result<Calibrated<'a>, String> + 'c;

/// Where evaluation leaves what it finds.
pub trait Sink: Sync {
    /// A point is evaluated. Called from several threads, in no order.
    ///
    /// # Errors
    /// When it cannot be kept; the sweep ends then.
    fn row(&self, row: Row) -> Result<(), String>;
}

/// Evaluates points, and remembers what further ones can use.
pub struct Sweep<'a> {
    setup: Setup<'a>,
    judge: &'a Judge<'a, String>,
    calibrations: BTreeMap<String, Calibrated<'a>>,
    accuracies: BTreeMap<String, Result<Numbers, String>>,
}

/// Points in an order in which those that share a graph stand together.
#[must_use]
pub fn by_graph(setup: Setup<'_>, points: &[u64]) -> Vec<u64> {
    let Setup { space, options, hardware, .. } = setup;
    let key = |&point: &u64| {
        let settings = space.settings(point, options, hardware);
        (settings.map(|settings| stages::graph_key(&settings)).unwrap_or_default(), point)
    };
    let mut keyed: Vec<(String, u64)> = points.iter().map(key).collect();
    keyed.sort();
    keyed.into_iter().map(|(_, point)| point).collect()
}

/// Jobs that share a graph, together.
fn by_key(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut graphs: BTreeMap<String, Vec<Job>> = BTreeMap::new();
    for job in jobs {
        graphs.entry(stages::graph_key(&job.settings)).or_default().push(job);
    }
    graphs.into_values().collect()
}

/// Every job with its graph.
fn with_graphs<'m>(
    batch: &'m [Vec<Job>],
    made: &'m [Result<Made, String>],
) -> Vec<(&'m Job, &'m Result<Made, String>)> {
    let pairs = batch.iter().zip(made);
    pairs.flat_map(|(jobs, made)| jobs.iter().map(move |job| (job, made))).collect()
}

/// A point on its way.
struct Job {
    point: u64,
    settings: Settings,
}

impl<'a> Sweep<'a> {
    /// Nothing known yet; `judge` has the samples to measure on.
    #[must_use]
    pub fn new(setup: Setup<'a>, judge: &'a Judge<'a, String>) -> Sweep<'a> {
        Sweep { setup, judge, calibrations: BTreeMap::new(), accuracies: BTreeMap::new() }
    }

    /// Evaluates points. `calibrate` finds ranges for options; it is called once for all options that share them.
    ///
    /// # Errors
    /// The first of `calibrate` and `sink`. What fails at a point becomes its row.
    pub fn evaluate(
        &mut self,
        points: &[u64],
        calibrate: &mut Calibrate<'a, '_>,
        sink: &dyn Sink,
    ) -> Result<(), String> {
        let mut jobs = Vec::new();
        for &point in points {
            let Setup { space, options, hardware, .. } = self.setup;
            match space.settings(point, options, hardware) {
                Err(reason) => sink.row(self.row(point, Outcome::failed(reason)))?,
                Ok(settings) => {
                    let known = area(&settings.hardware);
                    if self.refused(&known, Part::Area) {
                        sink.row(self.row(point, Outcome::of(known)))?;
                    } else {
                        jobs.push(Job { point, settings });
                    }
                }
            }
        }
        for batch in by_key(jobs).chunks(GRAPHS_AT_A_TIME) {
            self.calibrate(batch, calibrate)?;
            self.batch(batch, sink)?;
        }
        Ok(())
    }

    /// Proves the programs of points as `qcc` does: that each is sound and computes its graph. Evaluation leaves this out, since it takes as long
    /// as all the rest of a point. Of the points of which `drawn` holds, what [`charts::Run::fragment`] shows of their runs.
    ///
    /// # Errors
    /// The first of `calibrate`; a program that is not sound, which is a bug of the compiler.
    pub fn prove(
        &mut self,
        points: &[u64],
        drawn: impl Fn(u64) -> bool + Sync,
        calibrate: &mut Calibrate<'a, '_>,
    ) -> Result<BTreeMap<u64, String>, String> {
        let Setup { space, options, hardware, .. } = self.setup;
        let job = |&point: &u64| {
            let settings = space.settings(point, options, hardware)?;
            Ok(Job { point, settings })
        };
        let jobs: Result<Vec<Job>, String> = points.iter().map(job).collect();
        let mut runs = BTreeMap::new();
        for batch in by_key(jobs?).chunks(GRAPHS_AT_A_TIME) {
            self.calibrate(batch, calibrate)?;
            let made: Vec<Result<Made, String>> = self.make(batch);
            let prove = |(job, made): &(&Job, &Result<Made, String>)| {
                let proved = made.as_ref().map_err(Clone::clone);
                let proved = proved.and_then(|made| stages::proved(made, &job.settings));
                let run = proved.and_then(|program| {
                    drawn(job.point).then(|| stages::drawn(&program)).transpose()
                });
                run.map(|run| (job.point, run)).map_err(|e| format!("point {}: {e}", job.point))
            };
            let proved: Result<Vec<(u64, Option<String>)>, String> =
                with_graphs(batch, &made).par_iter().map(prove).collect();
            runs.extend(proved?.into_iter().filter_map(|(point, run)| Some((point, run?))));
        }
        Ok(runs)
    }

    /// Finds the ranges of some graphs, where they are not known yet.
    fn calibrate(
        &mut self,
        batch: &[Vec<Job>],
        calibrate: &mut Calibrate<'a, '_>,
    ) -> Result<(), String> {
        for jobs in batch {
            let options = stages::calibration_options(&jobs[0].settings.options);
            if let Entry::Vacant(entry) = self.calibrations.entry(stages::text(&options)) {
                entry.insert(calibrate(&options)?);
            }
        }
        Ok(())
    }

    /// Evaluates the points of some graphs.
    fn batch(&mut self, batch: &[Vec<Job>], sink: &dyn Sink) -> Result<(), String> {
        let made = self.make(batch);
        let time_first = !self.constrains(Part::Accuracy) && self.constrains(Part::Timing);
        let all: Vec<bool> = batch.iter().map(|_| true).collect();
        if !time_first {
            self.run(&made, &all);
        }
        let jobs = with_graphs(batch, &made);
        if !time_first {
            return jobs.par_iter().try_for_each(|(job, made)| {
                sink.row(self.row(job.point, self.after_accuracy(job, made)))
            });
        }
        let timed: Vec<Outcome> =
            jobs.par_iter().map(|(job, made)| self.timing(job, made)).collect();
        let wanted: Vec<bool> = made
            .iter()
            .map(|made| {
                let of_graph = jobs.iter().zip(&timed).filter(|((_, m), _)| std::ptr::eq(*m, made));
                of_graph.into_iter().any(|(_, outcome)| self.survives(outcome))
            })
            .collect();
        self.run(&made, &wanted);
        jobs.iter().zip(timed).try_for_each(|((job, made), mut outcome)| {
            if self.survives(&outcome)
                && let Ok(made) = made
            {
                outcome.add(self.accuracy(&made.hash));
            }
            sink.row(self.row(job.point, outcome))
        })
    }

    /// The integer graph of each of some sets of jobs.
    fn make(&self, batch: &[Vec<Job>]) -> Vec<Result<Made, String>> {
        let make = |jobs: &Vec<Job>| {
            let Settings { options, hardware } = &jobs[0].settings;
            let key = stages::text(&stages::calibration_options(options));
            let known = self.calibrations.get(&key).ok_or("no ranges")?;
            let machine = quantizer_machine(hardware);
            Made::new(self.setup.network, known, options, &machine)
        };
        batch.par_iter().map(make).collect()
    }

    /// Runs those graphs that are `wanted` and not yet known on the samples.
    fn run(&mut self, made: &[Result<Made, String>], wanted: &[bool]) {
        let new: BTreeMap<&str, &Made> = made
            .iter()
            .zip(wanted)
            .filter_map(|(made, wanted)| made.as_ref().ok().filter(|_| *wanted))
            .filter(|made| !self.accuracies.contains_key(&made.hash))
            .map(|made| (made.hash.as_str(), made))
            .collect();
        let graphs: Vec<_> = new.values().map(|made| &made.graph).collect();
        let found = self.judge.judge_all(&graphs, || ()).into_iter().map(|found| {
            found.map(|accuracy| stages::of_accuracy(&accuracy)).map_err(|e| e.to_string())
        });
        let hashes = new.keys().map(|hash| (*hash).to_owned());
        self.accuracies.extend(hashes.zip(found).collect::<Vec<_>>());
    }

    fn after_accuracy(&self, job: &Job, made: &Result<Made, String>) -> Outcome {
        let hash = match made {
            Ok(made) => &made.hash,
            Err(reason) => return Outcome::failed(reason.clone()),
        };
        match self.accuracies.get(hash) {
            Some(Ok(known)) if self.refused(known, Part::Accuracy) => {
                let mut outcome = Outcome::of(area(&job.settings.hardware));
                outcome.add(Ok(known.clone()));
                outcome
            }
            Some(_) | None => {
                let mut outcome = self.timing(job, made);
                outcome.add(self.accuracy(hash));
                outcome
            }
        }
    }

    fn timing(&self, job: &Job, made: &Result<Made, String>) -> Outcome {
        let found = made
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|made| timed(made, &job.settings, &self.setup.space.keys()));
        let mut outcome = Outcome::of(area(&job.settings.hardware));
        outcome.add(found);
        outcome
    }

    /// What running a graph gave; nothing if it was not run.
    fn accuracy(&self, hash: &str) -> Result<Numbers, String> {
        self.accuracies.get(hash).cloned().unwrap_or_else(|| Ok(Numbers::new()))
    }

    fn constrains(&self, part: Part) -> bool {
        let constraints = &self.setup.space.constraints;
        constraints.iter().any(|c| crate::space::part(&c.key) == part)
    }

    /// Whether numbers break a constraint on one part of them.
    fn refused(&self, numbers: &Numbers, of: Part) -> bool {
        let constraints = &self.setup.space.constraints;
        constraints.iter().filter(|c| crate::space::part(&c.key) == of).any(|c| {
            let value = numbers.get(&c.key).and_then(serde_json::Value::as_f64);
            value.is_some_and(|value| !c.holds(value))
        })
    }

    fn survives(&self, outcome: &Outcome) -> bool {
        outcome.error.is_none() && !self.refused(&outcome.numbers, Part::Timing)
    }

    fn row(&self, point: u64, outcome: Outcome) -> Row {
        Row::new(self.setup.space, self.setup.options, point, outcome)
    }
}
