//! Phase 4: every cycle of every engine goes to one bucket (T40 to T45), a whole interval at a time.

use std::ops::Range;

use isa::Engine;

use crate::bucket::Bucket;
use crate::observer::Observer;

use super::Machine;

impl<O: Observer> Machine<'_, O> {
    /// Accounts all cycles of an engine before `until`. To be called before anything changes that its bucket depends on.
    pub(super) fn settle(&mut self, engine: Engine, until: u64) {
        let state = &mut self.engines[engine.index()];
        if state.since >= until {
            return;
        }
        let cycles = state.since..until;
        state.since = until;
        let state = &self.engines[engine.index()];
        if state.halted {
            self.recorder.account(engine, None, Bucket::Done, cycles);
        } else if !state.is_running() {
            self.recorder.account(engine, Some(state.next), state.waiting, cycles);
        } else if state.tiles == 0 {
            self.recorder.account(engine, Some(state.done), Bucket::Busy, cycles);
        } else {
            match engine {
                Engine::Load => self.settle_load(cycles),
                Engine::Mxu => self.settle_array(cycles),
                Engine::Vpu => {
                    self.recorder.account(engine, Some(state.done), Bucket::Busy, cycles)
                }
                Engine::Store => self.settle_store(cycles),
            }
        }
    }

    /// Accounts all cycles of a transfer engine before `cycle`, and `cycle` itself, in which a burst of it is granted.
    pub(super) fn settle_busy(&mut self, engine: Engine, cycle: u64) {
        self.settle(engine, cycle);
        let state = &mut self.engines[engine.index()];
        if state.since == cycle {
            state.since = cycle + 1;
            self.recorder.account(engine, Some(state.done), Bucket::Busy, cycle..cycle + 1);
        }
    }

    /// T44 for cycles without a grant.
    fn settle_load(&mut self, cycles: Range<u64>) {
        let pieces = match self.loads.has_ungranted() {
            true => [
                (Bucket::WaitDramLatency, self.loads.slot_free()),
                (Bucket::WaitDramBandwidth, cycles.end),
            ],
            false => [(Bucket::WaitDramLatency, cycles.end); 2],
        };
        self.account_pieces(Engine::Load, cycles, pieces);
    }

    /// T45 for cycles without a grant.
    fn settle_store(&mut self, cycles: Range<u64>) {
        let end = cycles.end;
        let pieces = match self.stores.ready() {
            Some(ready) => [
                (Bucket::WaitFill, ready),
                (Bucket::WaitDramLatency, self.stores.slot_free()),
                (Bucket::WaitDramBandwidth, end),
            ],
            None => [(Bucket::WaitDramLatency, end); 3],
        };
        self.account_pieces(Engine::Store, cycles, pieces);
    }

    /// Cuts `cycles` into consecutive pieces: each bucket lasts until its time, if that is still to come.
    fn account_pieces<const N: usize>(
        &mut self,
        engine: Engine,
        cycles: Range<u64>,
        pieces: [(Bucket, u64); N],
    ) {
        let inst = Some(self.engines[engine.index()].done);
        let mut from = cycles.start;
        for (bucket, until) in pieces {
            let until = until.clamp(from, cycles.end);
            self.recorder.account(engine, inst, bucket, from..until);
            from = until;
        }
    }

    /// T42 while an `mxu.conv` is not complete.
    fn settle_array(&mut self, cycles: Range<u64>) {
        let state = &self.engines[Engine::Mxu.index()];
        let inst = Some(state.done);
        let before_first_fold =
            if state.tiles > 1 { Bucket::WaitWeights } else { Bucket::WaitFill };
        let folds = self.array.folds();
        let pieces = [
            (Bucket::Busy, self.array.previous_end()),
            (before_first_fold, folds.start),
            (Bucket::Busy, folds.end),
            (Bucket::WaitDrain, cycles.end),
        ];
        let mut from = cycles.start;
        for (i, (bucket, until)) in pieces.into_iter().enumerate() {
            let until = until.clamp(from, cycles.end);
            if i == 2 {
                self.settle_folds(inst, from..until);
            } else {
                self.recorder.account(Engine::Mxu, inst, bucket, from..until);
            }
            from = until;
        }
    }

    /// Cycles between the start of the first and the end of the last fold: streaming, or waiting for weights to shift in.
    fn settle_folds(&mut self, inst: Option<u32>, cycles: Range<u64>) {
        if cycles.is_empty() {
            return;
        }
        if self.recorder.wants_buckets() {
            for (streams, piece) in self.array.fold_pieces(cycles) {
                let bucket = if streams { Bucket::Busy } else { Bucket::WaitWeights };
                self.recorder.account(Engine::Mxu, inst, bucket, piece);
            }
        } else {
            let busy = self.array.streaming_cycles(&cycles);
            self.recorder.count(Engine::Mxu, inst, Bucket::Busy, busy);
            self.recorder.count(
                Engine::Mxu,
                inst,
                Bucket::WaitWeights,
                cycles.end - cycles.start - busy,
            );
        }
    }
}
