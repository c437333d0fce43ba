//! What the compared programs did, so that agreement means something.

use std::collections::BTreeMap;
use std::fmt;

use isa::instructions::MANUAL;
use isa::{Engine, Program};
use timing::{Bucket, Cause, Timing, TimingError};

/// Counts over many programs.
#[derive(Default)]
pub(crate) struct Coverage {
    programs: u64,
    cycles: u64,
    /// Programs by how they ended.
    ends: BTreeMap<&'static str, u64>,
    /// Instructions of programs that ran to their end, by mnemonic.
    instructions: BTreeMap<&'static str, u64>,
    /// Cycles of programs that ran to their end, by bucket and engine.
    buckets: BTreeMap<(&'static str, &'static str), u64>,
}

/// How a program can end, with the causes of deadlocks.
const ENDS: [&str; 4] = ["halted", "no signal", "full semaphore", "bank taken"];

impl Coverage {
    /// Takes note of a program and its timing.
    pub(crate) fn add(&mut self, program: &Program, result: &Result<Timing, TimingError>) {
        self.programs += 1;
        match result {
            Ok(timing) => self.add_timing(program, timing),
            Err(TimingError::Deadlock(stuck)) => {
                for stuck in stuck {
                    let cause = match stuck.cause {
                        Cause::Signal(_) => "no signal",
                        Cause::Full(_) => "full semaphore",
                        Cause::Bank(_) => "bank taken",
                    };
                    *self.ends.entry(cause).or_default() += 1;
                }
            }
            Err(error) => panic!("a generated program is not legal: {error}"),
        }
    }

    fn add_timing(&mut self, program: &Program, timing: &Timing) {
        self.cycles += timing.total_cycles;
        *self.ends.entry("halted").or_default() += 1;
        for engine in Engine::ALL {
            for inst in &program.section(engine).words {
                *self.instructions.entry(inst.op.mnemonic()).or_default() += 1;
            }
            for &bucket in Bucket::ALL {
                *self.buckets.entry((bucket.name(), engine.name())).or_default() +=
                    timing.engines[engine.index()][bucket];
            }
        }
    }

    /// Instructions, buckets and ends that never came up.
    pub(crate) fn missing(&self) -> Vec<String> {
        let instructions = MANUAL
            .iter()
            .map(|doc| doc.mnemonic)
            .filter(|name| !self.instructions.contains_key(name));
        let in_bucket = |name: &str| {
            self.buckets
                .iter()
                .filter(|((bucket, _), _)| *bucket == name)
                .any(|(_, &cycles)| cycles > 0)
        };
        let buckets =
            Bucket::ALL.iter().map(|bucket| bucket.name()).filter(|name| !in_bucket(name));
        let ends = ENDS.into_iter().filter(|end| !self.ends.contains_key(end));
        instructions.chain(buckets).chain(ends).map(String::from).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} programs, {} cycles", self.programs, self.cycles)?;
        writeln!(f, "programs that halted, and engines stuck in deadlocks: {:?}", self.ends)?;
        writeln!(f, "instructions: {:?}", self.instructions)?;
        writeln!(f, "cycles by bucket:")?;
        for ((bucket, engine), cycles) in self.buckets.iter().filter(|&(_, &cycles)| cycles > 0) {
            writeln!(f, "  {bucket:20} {engine:6} {cycles}")?;
        }
        Ok(())
    }
}
