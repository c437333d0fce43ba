//! What every engine has: the next instruction, the instructions under way, and what these hold (T4 to T9).

use std::collections::VecDeque;

use isa::{Engine, EngineSet};

use crate::decode::{Step, Work};

/// Largest value of a semaphore (T8).
const FULL: u8 = 255;

/// One counter per producer and consumer (T8), indexed `[producer][consumer]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Semaphores([[u8; 4]; 4]);

impl Semaphores {
    /// The first engine of `wait`, in engine order, that `consumer` has no signal of (T4d).
    pub(super) fn unmet(&self, consumer: Engine, wait: EngineSet) -> Option<Engine> {
        wait.iter().find(|producer| self.0[producer.index()][consumer.index()] == 0)
    }

    /// The first engine of `signal`, in engine order, that `producer` cannot signal (T6).
    pub(super) fn full(&self, producer: Engine, signal: EngineSet) -> Option<Engine> {
        signal.iter().find(|consumer| self.0[producer.index()][consumer.index()] == FULL)
    }

    /// Takes one signal of each engine of `wait` (T4).
    pub(super) fn take(&mut self, consumer: Engine, wait: EngineSet) {
        for producer in wait.iter() {
            self.0[producer.index()][consumer.index()] -= 1;
        }
    }

    /// Signals each engine of `signal` (T6).
    pub(super) fn signal(&mut self, producer: Engine, signal: EngineSet) {
        for consumer in signal.iter() {
            self.0[producer.index()][consumer.index()] += 1;
        }
    }
}

/// Bank ports, bit `b` for bank `b` (T9).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ports {
    /// Read ports.
    pub(super) reads: u64,
    /// Write ports.
    pub(super) writes: u64,
}

impl Ports {
    /// The ports that an instruction needs.
    pub(super) fn of(step: &Step) -> Ports {
        Ports { reads: step.reads, writes: step.writes }
    }

    /// Whether both name a common port.
    pub(super) fn meet(self, other: Ports) -> bool {
        self.reads & other.reads != 0 || self.writes & other.writes != 0
    }
}

/// Why the next instruction of an engine does not issue: the first condition of T4 that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Its word is not in the prefetch buffer (a).
    NoWord,
    /// The engine cannot take it yet (b), or its register page is in use (c).
    EngineNotReady,
    /// It is a `halt` and the semaphore towards this engine is full (b).
    FullSemaphore(Engine),
    /// This engine has not signalled it (d).
    NoSignal(Engine),
    /// This engine holds a bank port that it needs (e).
    BankTaken(Engine),
}

/// An instruction that has issued and not completed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// Its place in the code.
    pub(super) index: usize,
    /// Its own end (T6); of a transfer it is known only when the last burst has been granted.
    pub(super) end: Option<u64>,
}

/// One engine.
#[derive(Clone, Debug)]
pub(super) struct EngineState<'a> {
    /// Its code.
    pub(super) steps: &'a [Step],
    /// Place of the next instruction; behind the code once `halt` has issued.
    pub(super) next: usize,
    /// Instructions issued and not completed, oldest first.
    pub(super) running: VecDeque<Running>,
    /// How many of them are tile instructions, not register words or `sync`.
    running_tiles: usize,
    /// How many of them name register page 0 and 1 (T4c).
    running_on_page: [usize; 2],
    /// Ports they hold (T9).
    pub(super) held: Ports,
    /// Why nothing issued in the current cycle.
    pub(super) obstacle: Option<Obstacle>,
}

impl<'a> EngineState<'a> {
    /// An engine before its first instruction.
    pub(super) fn new(steps: &'a [Step]) -> EngineState<'a> {
        EngineState {
            steps,
            next: 0,
            running: VecDeque::new(),
            running_tiles: 0,
            running_on_page: [0; 2],
            held: Ports::default(),
            obstacle: None,
        }
    }

    /// The next instruction; `None` once `halt` has issued.
    pub(super) fn next_step(&self) -> Option<&'a Step> {
        self.steps.get(self.next)
    }

    /// Whether only register words and syncs are incomplete (T44, T45).
    pub(super) fn runs_words_only(&self) -> bool {
        self.running_tiles == 0
    }

    /// Whether `step` has to wait because it writes a register page in use (T4c).
    pub(super) fn page_is_in_use(&self, step: &Step) -> bool {
        step.writes_page
            && step.page.is_some_and(|page| self.running_on_page[usize::from(page)] > 0)
    }

    /// Phase 2: the next instruction issues, with its own end if that is known. It takes its ports.
    pub(super) fn begin(&mut self, end: Option<u64>) {
        let step = &self.steps[self.next];
        self.running.push_back(Running { index: self.next, end });
        self.running_tiles += usize::from(is_tile(step));
        if let Some(page) = step.page {
            self.running_on_page[usize::from(page)] += 1;
        }
        self.held.reads |= step.reads;
        self.held.writes |= step.writes;
        self.next += 1;
    }

    /// The last burst of a transfer is granted: its own end is known (T27, T30). It is the newest instruction, because nothing issues
    /// behind a transfer with bursts left (T5).
    pub(super) fn know_end(&mut self, end: u64) {
        let transfer = self.running.back_mut();
        transfer.expect("bursts belong to an incomplete transfer").end = Some(end);
    }

    /// Phase 1: the oldest instruction completes. It frees its ports, unless younger ones share them.
    pub(super) fn complete(&mut self) {
        let Some(done) = self.running.pop_front() else { return };
        let step = &self.steps[done.index];
        self.running_tiles -= usize::from(is_tile(step));
        if let Some(page) = step.page {
            self.running_on_page[usize::from(page)] -= 1;
        }
        self.held = Ports::default();
        for running in &self.running {
            self.held.reads |= self.steps[running.index].reads;
            self.held.writes |= self.steps[running.index].writes;
        }
    }
}

/// Whether an instruction is anything but a register word or `sync`.
fn is_tile(step: &Step) -> bool {
    !matches!(step.work, Work::Word | Work::Halt)
}
