//! Runs with faults, and what comes of each.

use std::collections::BTreeMap;

use isa::inst::{decode, encode};
use isa::{Engine, Program};
use rayon::prelude::*;
use timing::{Mode, TimingError};

use super::InjectError;
use super::draw::{distinct, independent};
use super::fault_free::{FaultFree, Pieces, in_top5, top1};
use super::population::{Fault, Place, Population};
use super::schedule::Schedule;
use super::spec::{Amount, Spec};
use crate::exec::{Kernels, Trap};
use crate::machine::{Machine, Order, Prepared, SimError, Upset};
use crate::random::SplitMix;

/// Most bits that a run may flip on average.
const MOST_FLIPS: f64 = 4e6;

/// One sample: stored integers of every input in `[h, w, c]` order, and its class.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Values of each network input.
    pub inputs: Vec<Vec<i32>>,
    /// Class, if known.
    pub label: Option<i64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every output is as without the fault.
    Masked,
    /// Outputs differ; the largest value of the first is where it was.
    Benign,
    /// The largest value of the first output is elsewhere.
    Critical,
    /// The machine noticed.
    Detected(Detection),
}

/// How the machine noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// A word that is no instruction.
    Decode,
    /// An instruction that is illegal where it stands: addresses outside a memory, extents of 0, registers never written, a write to constants or code.
    Check,
    /// Engines wait for each other for ever, or a word takes longer than any sensible program.
    Hang,
    /// An instruction that could not be executed: a parameter entry that makes no sense, or, in a reference run, an accumulator that wrapped.
    Trap,
}

/// What one run showed.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    /// Sample it ran on.
    pub sample: usize,
    /// What flipped.
    pub faults: Vec<Fault>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the largest value of the first output is one of the five largest of the fault-free run.
    pub in_top5: bool,
    /// Whether it classified its sample as labelled; `None` without label or answer.
    pub correct: Option<bool>,
    /// Nodes whose result, or a part of it, differs from the fault-free one, in program order; empty where the run was cut short.
    pub changed: Vec<u32>,
    /// Whether the static verifier finds something in the program with the fault; only for words that the machine accepted.
    pub verifier: Option<bool>,
}

/// Whether a static check refuses a program; [`Program::check`] has found it sound word by word.
pub type Verifier<'a> = &'a (dyn Fn(&Program) -> bool + Sync);

/// A program with samples, run once without faults.
pub struct Bench<'p> {
    machine: Prepared<'p>,
    pub(super) schedule: Schedule,
    kernels: Kernels,
    samples: &'p [Sample],
    verifier: Verifier<'p>,
    pieces: Pieces,
    fault_free: Vec<FaultFree>,
}

impl<'p> Bench<'p> {
    /// Times the program and runs every sample without faults. `verifier` is asked about programs with changed words.
    ///
    /// # Errors
    /// A program that is unsound, or a sample that does not fit its inputs.
    pub fn new(
        program: &'p Program,
        kernels: Kernels,
        samples: &'p [Sample],
        verifier: Verifier<'p>,
    ) -> Result<Bench<'p>, InjectError> {
        let machine = Prepared::new(program)?;
        let schedule = Schedule::new(program, &timing::run(program, Mode::Event)?)?;
        let pieces = Pieces::new(program);
        let fault_free = Vec::new();
        let mut bench = Bench { machine, schedule, kernels, samples, verifier, pieces, fault_free };
        let run = |sample| bench.execute(&bench.machine, &bench.schedule.order, &[], sample);
        bench.fault_free = samples.par_iter().map(run).collect::<Result<_, _>>()?;
        Ok(bench)
    }

    /// The program.
    pub fn program(&self) -> &'p Program {
        self.machine.program()
    }

    /// Cycles of a fault-free run.
    pub fn cycles(&self) -> u64 {
        self.schedule.cycles
    }

    /// Outputs of a sample without faults.
    pub fn outputs(&self, sample: usize) -> &[Vec<i32>] {
        &self.fault_free[sample].outputs
    }

    /// Runs with faults, `runs` of them, spread over the samples in turn. The result depends on the seed, not on the number of threads. `tick`
    /// is called after each run.
    ///
    /// # Errors
    /// A spec that names what the program does not have.
    pub fn campaign(
        &self,
        spec: &Spec,
        runs: u64,
        seed: u64,
        tick: impl Fn() + Sync,
    ) -> Result<Runs, InjectError> {
        let choice = Choice::new(self, spec)?;
        let run = |number: u64| -> Result<RunResult, InjectError> {
            let mut random = SplitMix::stream(seed, number);
            let faults = choice.draw(&mut random);
            let result = self.run(faults, (number % self.samples.len() as u64) as usize);
            tick();
            result
        };
        let mut results: Vec<RunResult> =
            (0..runs).into_par_iter().map(run).collect::<Result<_, _>>()?;
        let population = choice.population;
        // Who reads what a single fault strikes is asked once per run; of many faults nobody asks.
        for result in &mut results {
            if let [fault] = &mut result.faults[..] {
                fault.node = population.reader(fault);
            }
        }
        Ok(Runs {
            bits: population.bits,
            share: population.share,
            live: population.live(),
            results,
        })
    }

    /// One run on one sample.
    ///
    /// # Errors
    /// Only for what is no consequence of a fault.
    pub fn run(&self, faults: Vec<Fault>, sample: usize) -> Result<RunResult, InjectError> {
        let (ended, verifier) = self.attempt(&faults, sample)?;
        Ok(match ended {
            Ended::Ran(found) => RunResult { faults, verifier, ..self.compare(sample, &found) },
            Ended::Detected(how) => RunResult {
                sample,
                faults,
                outcome: Outcome::Detected(how),
                in_top5: false,
                correct: None,
                changed: Vec::new(),
                verifier,
            },
        })
    }

    /// How a run ends, and what the verifier says of changed words that the machine accepts.
    pub(super) fn attempt(
        &self,
        faults: &[Fault],
        sample: usize,
    ) -> Result<(Ended, Option<bool>), InjectError> {
        let mut constants = Vec::new();
        let mut upsets = Vec::new();
        let mut words = Vec::new();
        for fault in faults {
            match fault.place {
                Place::Constant { byte, bit } => constants.push((byte, bit)),
                Place::Word { engine, index, bit } => words.push((engine, index, bit)),
                Place::OnChip { cell, bit } => {
                    let step = self.schedule.step(fault.cycle.unwrap_or(0));
                    upsets.push(Upset { step, cell, bit });
                }
            }
        }
        upsets.sort_unstable();
        let values = &self.samples[sample];
        let (order, mut verifier) = (&self.schedule.order, None);
        let ended = if !words.is_empty() {
            match mutant(self.machine.program(), &words) {
                None => Ended::Detected(Detection::Decode),
                Some(program) => self.run_mutant(&program, values, &mut verifier)?,
            }
        } else if !constants.is_empty() {
            ended(self.execute(&self.machine.with_flipped(&constants), order, &upsets, values))?
        } else {
            ended(self.execute(&self.machine, order, &upsets, values))?
        };
        Ok((ended, verifier))
    }

    /// A program with other words, in the order in which the machine would execute it: it may race.
    fn run_mutant(
        &self,
        program: &Program,
        sample: &Sample,
        verifier: &mut Option<bool>,
    ) -> Result<Ended, InjectError> {
        let machine = match Prepared::new(program) {
            Ok(machine) => machine,
            Err(error) => return ended(Err(error)),
        };
        *verifier = Some((self.verifier)(program));
        let timing = match timing::run(program, Mode::Event) {
            Ok(timing) => timing,
            Err(TimingError::Deadlock(_) | TimingError::TooLong { .. }) => {
                return Ok(Ended::Detected(Detection::Hang));
            }
            Err(error) => return Err(error.into()),
        };
        let schedule = Schedule::new(program, &timing)?;
        ended(self.execute(&machine, &schedule.order, &[], sample))
    }

    fn execute(
        &self,
        machine: &Prepared<'_>,
        order: &Order,
        upsets: &[Upset],
        sample: &Sample,
    ) -> Result<FaultFree, SimError> {
        let mut machine = Machine::new(machine, self.kernels);
        for (index, values) in sample.inputs.iter().enumerate() {
            machine.write_input(index, values)?;
        }
        let mut watch = self.pieces.watch();
        machine.run_upset(order, upsets, Some(&mut watch))?;
        let outputs = 0..self.machine.program().outputs.len();
        let outputs = outputs.map(|index| machine.read_output(index)).collect::<Result<_, _>>()?;
        Ok(FaultFree { outputs, hashes: watch.hashes })
    }

    fn compare(&self, sample: usize, found: &FaultFree) -> RunResult {
        let expected = &self.fault_free[sample];
        let first = |run: &FaultFree| run.outputs.first().map_or(0, |values| top1(values));
        let outcome = if found.outputs == expected.outputs {
            Outcome::Masked
        } else if first(found) == first(expected) {
            Outcome::Benign
        } else {
            Outcome::Critical
        };
        let pieces = found.hashes.iter().zip(&expected.hashes).zip(&self.pieces.nodes);
        let differ = pieces.filter(|((found, expected), _)| found != expected);
        let mut changed: Vec<u32> = differ.map(|(_, &node)| node).collect();
        changed.sort_unstable();
        changed.dedup();
        RunResult {
            sample,
            faults: Vec::new(),
            outcome,
            in_top5: expected.outputs.first().is_none_or(|values| in_top5(values, first(found))),
            correct: self.correct(sample, found),
            changed,
            verifier: None,
        }
    }

    fn correct(&self, sample: usize, found: &FaultFree) -> Option<bool> {
        let label = self.samples[sample].label?;
        Some(found.outputs.first().is_some_and(|values| i64::try_from(top1(values)) == Ok(label)))
    }

    /// Whether a sample is classified as labelled without faults.
    pub(super) fn correct_fault_free(&self, sample: usize) -> Option<bool> {
        self.correct(sample, &self.fault_free[sample])
    }
}

/// What a campaign found.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    /// Bits of the whole memory.
    pub bits: u64,
    /// Share of its bits, or of its bits and cycles, that the spec allows to flip.
    pub share: f64,
    /// Share of the bits and cycles of an on-chip memory that hold a value still to be read.
    pub live: Option<f64>,
    /// Every run, in order.
    pub results: Vec<RunResult>,
}

pub(super) enum Ended {
    Ran(FaultFree),
    Detected(Detection),
}

/// Tells what a machine can notice from what is no consequence of a fault.
fn ended(result: Result<FaultFree, SimError>) -> Result<Ended, InjectError> {
    let error = match result {
        Ok(found) => return Ok(Ended::Ran(found)),
        Err(error) => error,
    };
    let how = match &error {
        SimError::Program(_) | SimError::ReadOnly { .. } | SimError::Tile { .. } => {
            Detection::Check
        }
        SimError::Deadlock { .. } => Detection::Hang,
        SimError::Trap { trap, .. } => match **trap {
            Trap::Access(_) => Detection::Check,
            Trap::AccumulatorWrap { .. } | Trap::Param { .. } => Detection::Trap,
            Trap::Undeclared { .. } => return Err(error.into()),
        },
        SimError::TensorTooLarge { .. } | SimError::NoBinding { .. } | SimError::Layout { .. } => {
            return Err(error.into());
        }
    };
    Ok(Ended::Detected(how))
}

/// The program with bits of its words flipped; nothing if one of them is no instruction any more.
fn mutant(program: &Program, bits: &[(Engine, usize, u32)]) -> Option<Program> {
    let mut words: BTreeMap<(Engine, usize), u128> = BTreeMap::new();
    for &(engine, index, bit) in bits {
        *words.entry((engine, index)).or_default() ^= 1 << bit;
    }
    let mut mutant = program.clone();
    for ((engine, index), flipped) in words {
        let word = &mut mutant.code[engine.index()].words[index];
        *word = decode(encode(word).ok()? ^ flipped, engine).ok()?;
    }
    Some(mutant)
}

/// What each run of a campaign draws from.
struct Choice {
    population: Population,
    how: How,
}

enum How {
    Count(u64),
    /// Of each fault.
    Probability(f64),
    /// One of each.
    Places(Vec<Population>),
}

impl Choice {
    fn new(bench: &Bench<'_>, spec: &Spec) -> Result<Choice, InjectError> {
        let program = bench.machine.program();
        let population = Population::new(program, &bench.schedule, spec)?;
        let (space, limit) = (spec.space, MOST_FLIPS);
        let how = match &spec.amount {
            Amount::Count(count) if *count > population.len() => {
                return Err(InjectError::Count { count: *count, space, most: population.len() });
            }
            Amount::Count(count) if *count as f64 > limit => {
                return Err(InjectError::TooMany { flips: *count as f64, limit });
            }
            Amount::Count(count) => How::Count(*count),
            Amount::Rate(rate) => {
                let probability = rate / population.moments as f64;
                let flips = probability * population.len() as f64;
                if flips > limit {
                    return Err(InjectError::TooMany { flips, limit });
                }
                How::Probability(probability)
            }
            Amount::Places(places) => How::Places(
                places
                    .iter()
                    .map(|&(unit, bit)| population.at(program, space, unit, bit))
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(Choice { population, how })
    }

    fn draw(&self, random: &mut SplitMix) -> Vec<Fault> {
        let all = &self.population;
        let numbers = match &self.how {
            How::Count(count) => distinct(random, *count, all.len()),
            How::Probability(probability) => independent(random, *probability, all.len()),
            How::Places(places) => {
                return places.iter().map(|at| at.fault(random.below(at.len()))).collect();
            }
        };
        numbers.into_iter().map(|number| all.fault(number)).collect()
    }
}
