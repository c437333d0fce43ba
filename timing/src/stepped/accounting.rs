//! Phase 4: what each engine did in this cycle, and on account of which instruction (T40 to T46, T49).

use isa::Engine;

use crate::bucket::Bucket;
use crate::observer::Observer;

use super::Machine;
use super::engine::Obstacle;

impl<O: Observer> Machine<'_, O> {
    /// Puts every engine in one bucket.
    pub(super) fn account(&mut self) {
        for engine in Engine::ALL {
            let (index, bucket) = self.bucket(engine);
            let inst = index.map(|index| index as u32);
            self.recorder.account(engine, inst, bucket, self.cycle..self.cycle + 1);
        }
    }

    /// The bucket of an engine (T40), and the place of the instruction it is on account of (T49).
    fn bucket(&self, engine: Engine) -> (Option<usize>, Bucket) {
        let state = &self.engines[engine.index()];
        match (state.next_step(), state.running.front()) {
            (None, _) => (None, Bucket::Done),
            (_, Some(oldest)) => (Some(oldest.index), self.running_bucket(engine)),
            (_, None) => (Some(state.next), self.waiting_bucket(engine)),
        }
    }

    /// T42 to T45.
    fn running_bucket(&self, engine: Engine) -> Bucket {
        match engine {
            Engine::Load => self.load_bucket(),
            Engine::Mxu => self.array.bucket(self.cycle),
            Engine::Vpu => Bucket::Busy, // T43
            Engine::Store => self.store_bucket(),
        }
    }

    /// T44.
    fn load_bucket(&self) -> Bucket {
        let words_only = self.engines[Engine::Load.index()].runs_words_only();
        if self.load.granted_at(self.cycle) || words_only {
            Bucket::Busy
        } else if !self.load.all_granted() && self.load.has_room() {
            Bucket::WaitDramBandwidth
        } else {
            Bucket::WaitDramLatency
        }
    }

    /// T45.
    fn store_bucket(&self) -> Bucket {
        let words_only = self.engines[Engine::Store.index()].runs_words_only();
        if self.store.granted_at(self.cycle) || words_only {
            Bucket::Busy
        } else if self.store.all_granted() {
            Bucket::WaitDramLatency
        } else if !self.store.is_ready(self.cycle) {
            Bucket::WaitFill
        } else if self.store.has_room() {
            Bucket::WaitDramBandwidth
        } else {
            Bucket::WaitDramLatency
        }
    }

    /// T41: what kept the next instruction from issuing in this cycle.
    fn waiting_bucket(&self, engine: Engine) -> Bucket {
        let state = &self.engines[engine.index()];
        let waits = state.next_step().map(|step| &step.waits);
        match (state.obstacle, waits) {
            (Some(Obstacle::NoWord), _) => Bucket::WaitQueue,
            (Some(Obstacle::NoSignal(producer)), Some(waits)) => waits[producer.index()].bucket, // T46
            (Some(Obstacle::BankTaken(_)), _) => Bucket::WaitBank,
            _ => Bucket::WaitConfig,
        }
    }
}
