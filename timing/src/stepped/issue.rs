//! Phases 1 and 2: instructions complete and issue, on all engines alike (T4 to T9).

use isa::Engine;

use crate::MAX_CYCLES;
use crate::decode::{Step, Work};
use crate::error::TimingError;
use crate::observer::Observer;
use crate::result::InstRef;

use super::Machine;
use super::engine::{Obstacle, Ports};

impl<O: Observer> Machine<'_, O> {
    /// Phase 1: words and bursts arrive, instructions complete and signal (T6).
    pub(super) fn complete_instructions(&mut self) {
        let t = self.cycle;
        self.load.retire(t);
        self.store.acknowledge(t);
        for engine in Engine::ALL {
            let i = engine.index();
            self.fetch[i].arrive(t);
            while let Some(&oldest) = self.engines[i].running.front() {
                let step = &self.engines[i].steps[oldest.index];
                let has_ended = oldest.end.is_some_and(|end| end <= t);
                if !has_ended || self.semaphores.full(engine, step.signal).is_some() {
                    break;
                }
                self.semaphores.signal(engine, step.signal);
                self.engines[i].complete();
                if let Work::Conv(_) = step.work {
                    self.array.complete();
                }
                self.recorder.complete(InstRef { engine, index: oldest.index as u32 }, t);
                self.progress(t);
            }
        }
    }

    /// Phase 2: every engine issues its next instruction if nothing is in the way (T4).
    pub(super) fn issue_instructions(&mut self) -> Result<(), TimingError> {
        for engine in Engine::ALL {
            let Some(step) = self.engines[engine.index()].next_step() else { continue };
            let obstacle = self.obstacle(engine, step);
            self.engines[engine.index()].obstacle = obstacle;
            if obstacle.is_none() {
                self.issue_next(engine, step)?;
            }
        }
        Ok(())
    }

    /// The first condition of T4 that `step`, the next instruction of `engine`, does not meet.
    fn obstacle(&self, engine: Engine, step: &Step) -> Option<Obstacle> {
        let state = &self.engines[engine.index()];
        if !self.fetch[engine.index()].has_word() {
            return Some(Obstacle::NoWord);
        }
        if !self.takes_instruction(engine) || state.page_is_in_use(step) {
            return Some(Obstacle::EngineNotReady);
        }
        if let Work::Halt = step.work {
            if !state.running.is_empty() {
                return Some(Obstacle::EngineNotReady);
            }
            if let Some(consumer) = self.semaphores.full(engine, step.signal) {
                return Some(Obstacle::FullSemaphore(consumer));
            }
        }
        if let Some(producer) = self.semaphores.unmet(engine, step.wait) {
            return Some(Obstacle::NoSignal(producer));
        }
        let needed = Ports::of(step);
        let mut others = engine.others().into_iter();
        others.find(|other| self.engines[other.index()].held.meet(needed)).map(Obstacle::BankTaken)
    }

    /// Whether an engine can take an instruction of any kind (T5).
    fn takes_instruction(&self, engine: Engine) -> bool {
        match engine {
            Engine::Load => self.load.all_granted(),
            Engine::Mxu => self.array.takes_instruction(self.cycle),
            Engine::Vpu => self.engines[engine.index()].running.is_empty(),
            Engine::Store => self.store.all_granted(),
        }
    }

    /// `step`, the next instruction of `engine`, issues; the units learn of it and say when it ends.
    fn issue_next(&mut self, engine: Engine, step: &Step) -> Result<(), TimingError> {
        let (t, i) = (self.cycle, engine.index());
        let inst = InstRef { engine, index: self.engines[i].next as u32 };
        self.semaphores.take(engine, step.wait);
        self.fetch[i].take_word();
        self.recorder.issue(inst, t);
        let end = match &step.work {
            Work::Halt => {
                // T6: it completes at once.
                self.engines[i].next += 1;
                self.semaphores.signal(engine, step.signal);
                self.recorder.complete(inst, t);
                self.progress(t);
                return Ok(());
            }
            Work::Word => Some(t + 1), // T7
            Work::Conv(cost) => Some(self.array.issue(t, *cost)),
            Work::Vector { cycles } => Some(t + cycles), // section 4
            Work::Transfer(transfer) => {
                match engine {
                    Engine::Store => self.store.issue(t, transfer),
                    _ => self.load.issue(transfer),
                }
                None
            }
        };
        if end.is_some_and(|end| end > MAX_CYCLES) {
            return Err(TimingError::TooLong { inst, limit: MAX_CYCLES });
        }
        self.engines[i].begin(end);
        self.progress(end.or(self.store.ready()).unwrap_or(t));
        Ok(())
    }
}
