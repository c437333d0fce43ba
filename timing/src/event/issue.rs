//! Phases 1 and 2: completion and issue (T4 to T9).

use isa::Engine;

use crate::decode::Work;
use crate::error::Cause;
use crate::observer::Observer;
use crate::result::{InstRef, Requester};

use super::{Machine, NEVER};
use crate::bucket::Bucket;

/// Largest value of a semaphore.
const FULL: u8 = u8::MAX;

/// The first condition of T4 that keeps an instruction from issuing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// (a) Its word is not in the prefetch buffer.
    Word,
    /// (b) The engine cannot take it.
    Engine,
    /// (c) The page it writes is in use.
    Page,
    /// (d) This engine has not signalled.
    Signal(Engine),
    /// (e) This engine holds a bank port.
    Bank(Engine),
}

impl<O: Observer> Machine<'_, O> {
    /// Completes what can complete in phase 1 of `cycle` (T6).
    pub(super) fn complete(&mut self, engine: Engine, cycle: u64) {
        let e = engine.index();
        while self.engines[e].ends.front().is_some_and(|&end| end <= cycle) {
            let inst = InstRef { engine, index: self.engines[e].done };
            if self.full_semaphore(inst).is_some() {
                return;
            }
            self.settle(engine, cycle);
            let step = self.decoded.step(inst);
            let state = &mut self.engines[e];
            state.ends.pop_front();
            state.done += 1;
            state.tiles -= u32::from(is_tile(&step.work));
            if let Some(page) = step.page {
                state.pages[usize::from(page)] -= 1;
            }
            state.reads.free(step.reads);
            state.writes.free(step.writes);
            self.signal(inst);
            self.recorder.complete(inst, cycle);
        }
    }

    /// Issues the engine's next instruction in phase 2 of `cycle` if nothing is in its way (T4); tells whether it did.
    pub(super) fn issue(&mut self, engine: Engine, cycle: u64) -> bool {
        let e = engine.index();
        if self.engines[e].halted {
            return false;
        }
        if let Some(obstacle) = self.obstacle(engine, cycle) {
            self.wait(engine, obstacle, cycle);
            return false;
        }
        self.settle(engine, cycle);
        let inst = InstRef { engine, index: self.engines[e].next };
        let step = self.decoded.step(inst);
        for producer in step.wait.iter() {
            self.semaphores[producer.index()][e] -= 1;
        }
        let end = match &step.work {
            Work::Halt | Work::Word => cycle + 1,
            Work::Conv(cost) => self.array.issue(cycle, cost),
            Work::Vector { cycles } => cycle + cycles,
            Work::Transfer(transfer) if engine == Engine::Store => {
                self.stores.issue(cycle, transfer);
                self.eligible[Requester::Store.index()] = self.stores.eligible();
                NEVER
            }
            Work::Transfer(transfer) => {
                self.loads.issue(transfer);
                self.eligible[Requester::Load.index()] = self.loads.eligible();
                NEVER
            }
        };
        let state = &mut self.engines[e];
        state.next += 1;
        self.recorder.issue(inst, cycle);
        if matches!(step.work, Work::Halt) {
            state.done += 1;
            state.halted = true;
            self.signal(inst);
            self.recorder.complete(inst, cycle);
        } else {
            // T6: never complete in the cycle of issue, even if a vector instruction has no work.
            state.ends.push_back(end.max(cycle + 1));
            state.tiles += u32::from(is_tile(&step.work));
            if let Some(page) = step.page {
                state.pages[usize::from(page)] += 1;
            }
            state.reads.take(step.reads);
            state.writes.take(step.writes);
        }
        self.refresh_fetch(engine);
        true
    }

    /// What keeps the engine's next instruction from issuing in phase 2 of `cycle`, if anything does (T4).
    pub(super) fn obstacle(&mut self, engine: Engine, cycle: u64) -> Option<Obstacle> {
        let e = engine.index();
        let index = self.engines[e].next;
        if !self.fetch[e].has_word(index, cycle) {
            return Some(Obstacle::Word);
        }
        let inst = InstRef { engine, index };
        let (state, step) = (&self.engines[e], self.decoded.step(inst));
        let takes = match engine {
            Engine::Load => !self.loads.has_ungranted(),
            Engine::Mxu => self.array.free_from() <= cycle,
            Engine::Vpu => !state.is_running(),
            Engine::Store => !self.stores.has_ungranted(),
        };
        let halts = matches!(step.work, Work::Halt);
        if !takes || halts && (state.is_running() || self.full_semaphore(inst).is_some()) {
            return Some(Obstacle::Engine);
        }
        if step.writes_page && step.page.is_some_and(|page| state.pages[usize::from(page)] > 0) {
            return Some(Obstacle::Page);
        }
        if let Some(producer) =
            step.wait.iter().find(|producer| self.semaphores[producer.index()][e] == 0)
        {
            return Some(Obstacle::Signal(producer));
        }
        let holds = |other: &Engine| {
            let held = &self.engines[other.index()];
            held.reads.held() & step.reads | held.writes.held() & step.writes != 0
        };
        engine.others().into_iter().find(holds).map(Obstacle::Bank)
    }

    /// Notes why the next instruction does not issue.
    fn wait(&mut self, engine: Engine, obstacle: Obstacle, cycle: u64) {
        let inst = InstRef { engine, index: self.engines[engine.index()].next };
        let bucket = match obstacle {
            Obstacle::Word => Bucket::WaitQueue,
            Obstacle::Engine | Obstacle::Page => Bucket::WaitConfig,
            Obstacle::Signal(producer) => self.decoded.step(inst).waits[producer.index()].bucket,
            Obstacle::Bank(_) => Bucket::WaitBank,
        };
        let state = &self.engines[engine.index()];
        if state.waiting != bucket {
            if !state.is_running() {
                self.settle(engine, cycle);
            }
            self.engines[engine.index()].waiting = bucket;
        }
    }

    /// The first engine towards which a semaphore that `inst` signals is full.
    pub(super) fn full_semaphore(&self, inst: InstRef) -> Option<Cause> {
        let own = &self.semaphores[inst.engine.index()];
        let full =
            self.decoded.step(inst).signal.iter().find(|consumer| own[consumer.index()] == FULL);
        full.map(Cause::Full)
    }

    /// The obstacle as the cause of a deadlock. The word and the page always come in the end.
    pub(super) fn cause(&self, engine: Engine, obstacle: Obstacle) -> Option<Cause> {
        match obstacle {
            Obstacle::Word | Obstacle::Page => None,
            Obstacle::Engine => {
                self.full_semaphore(InstRef { engine, index: self.engines[engine.index()].next })
            }
            Obstacle::Signal(producer) => Some(Cause::Signal(producer)),
            Obstacle::Bank(holder) => Some(Cause::Bank(holder)),
        }
    }

    fn signal(&mut self, inst: InstRef) {
        for consumer in self.decoded.step(inst).signal.iter() {
            self.semaphores[inst.engine.index()][consumer.index()] += 1;
        }
    }
}

/// Whether the engine has real work with it: not a register word or `sync`.
fn is_tile(work: &Work) -> bool {
    matches!(work, Work::Conv(_) | Work::Vector { .. } | Work::Transfer(_))
}
