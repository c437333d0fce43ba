//! Bookkeeping that both cores share: they decide when, this writes it down.

use std::collections::BTreeMap;
use std::ops::Range;

use isa::Engine;

use crate::bucket::{Bucket, EngineCycles};
use crate::decode::Decoded;
use crate::observer::{Grant, Observer};
use crate::result::{InstRef, LayerTime, Record, Span, Timing, Traffic, TrafficClass};

/// A timing result in the making, and the observer who watches.
pub(crate) struct Recorder<'a, O> {
    decoded: &'a Decoded<'a>,
    observer: &'a mut O,
    wants_buckets: bool,
    instructions: [Vec<Record>; 4],
    engines: [EngineCycles; 4],
    nodes: Vec<[EngineCycles; 4]>,
    traffic: [Traffic; TrafficClass::ALL.len()],
    /// The interval of each engine that may still grow.
    open: [Option<Interval>; 4],
}

/// Cycles of one engine in one bucket on account of one instruction.
struct Interval {
    inst: Option<u32>,
    bucket: Bucket,
    cycles: Range<u64>,
}

impl<'a, O: Observer> Recorder<'a, O> {
    /// Nothing has happened yet.
    pub(crate) fn new(decoded: &'a Decoded<'a>, observer: &'a mut O) -> Recorder<'a, O> {
        Recorder {
            decoded,
            wants_buckets: observer.wants_buckets(),
            observer,
            instructions: std::array::from_fn(|engine| {
                vec![Record::default(); decoded.code[engine].steps.len()]
            }),
            engines: Default::default(),
            nodes: vec![Default::default(); decoded.nodes],
            traffic: Default::default(),
            open: Default::default(),
        }
    }

    /// Whether single intervals matter, or only how many cycles each bucket has.
    pub(crate) fn wants_buckets(&self) -> bool {
        self.wants_buckets
    }

    /// An instruction issues, and takes the signals it waits for.
    pub(crate) fn issue(&mut self, inst: InstRef, cycle: u64) {
        self.instructions[inst.engine.index()][inst.index as usize].issue = cycle;
        self.observer.instruction_issued(inst, cycle);
        let step = self.decoded.step(inst);
        for engine in step.wait.iter() {
            if let Some(index) = step.waits[engine.index()].producer {
                self.observer.semaphore_waited(inst, InstRef { engine, index }, cycle);
            }
        }
    }

    /// An instruction completes, and signals.
    pub(crate) fn complete(&mut self, inst: InstRef, cycle: u64) {
        self.instructions[inst.engine.index()][inst.index as usize].complete = cycle;
        self.observer.instruction_completed(inst, cycle);
        for consumer in self.decoded.step(inst).signal.iter() {
            self.observer.semaphore_signalled(inst, consumer, cycle);
        }
    }

    /// A burst is granted.
    pub(crate) fn grant(&mut self, grant: Grant) {
        let traffic = &mut self.traffic[grant.class as usize];
        let burst_bytes = u64::from(self.decoded.hardware.dram_burst_bytes);
        if grant.requester.writes() {
            traffic.write_bytes += burst_bytes;
        } else {
            traffic.read_bytes += burst_bytes;
        }
        traffic.useful_bytes += u64::from(grant.useful_bytes);
        self.observer.burst_granted(grant);
    }

    /// An engine is in `bucket` during `cycles`, on account of `inst` (T49). Every cycle of an engine must be accounted once,
    /// in order of time.
    pub(crate) fn account(
        &mut self,
        engine: Engine,
        inst: Option<u32>,
        bucket: Bucket,
        cycles: Range<u64>,
    ) {
        if cycles.is_empty() {
            return;
        }
        self.count(engine, inst, bucket, cycles.end - cycles.start);
        if !self.wants_buckets {
            return;
        }
        match &mut self.open[engine.index()] {
            Some(open) if open.inst == inst && open.bucket == bucket => {
                open.cycles.end = cycles.end
            }
            open => {
                if let Some(Interval { inst, bucket, cycles }) =
                    open.replace(Interval { inst, bucket, cycles })
                {
                    self.observer.bucket(engine, inst, bucket, cycles);
                }
            }
        }
    }

    /// As [`account`](Self::account) when single intervals do not matter: so many cycles.
    pub(crate) fn count(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: u64) {
        self.engines[engine.index()][bucket] += cycles;
        let node = inst.and_then(|index| self.decoded.step(InstRef { engine, index }).node);
        if let Some(node) = node {
            self.nodes[node as usize][engine.index()][bucket] += cycles;
        }
    }

    /// The program has ended and took `total_cycles`.
    pub(crate) fn finish(mut self, total_cycles: u64) -> Timing {
        for engine in Engine::ALL {
            if let Some(Interval { inst, bucket, cycles }) = self.open[engine.index()].take() {
                self.observer.bucket(engine, inst, bucket, cycles);
            }
            debug_assert_eq!(
                self.engines[engine.index()].total(),
                total_cycles,
                "buckets of {engine}"
            );
        }
        let layers = self.layers(total_cycles);
        let traffic = TrafficClass::ALL.into_iter().zip(self.traffic);
        let traffic: BTreeMap<_, _> =
            traffic.filter(|(_, traffic)| *traffic != Traffic::default()).collect();
        Timing {
            total_cycles,
            engines: self.engines,
            instructions: self.instructions,
            traffic,
            layers,
        }
    }

    /// Spans, and the attribution of each cycle to one node (T47).
    fn layers(&self, total_cycles: u64) -> Vec<LayerTime> {
        let mut layers: Vec<LayerTime> = Vec::with_capacity(self.nodes.len());
        layers.extend(
            self.nodes
                .iter()
                .map(|engines| LayerTime { engines: *engines, ..LayerTime::default() }),
        );
        for (code, records) in self.decoded.code.iter().zip(&self.instructions) {
            for (step, record) in code.steps.iter().zip(records) {
                let Some(node) = step.node else { continue };
                let own = Span { first_issue: record.issue, finish: record.complete };
                let span = layers[node as usize].span.get_or_insert(own);
                span.first_issue = span.first_issue.min(own.first_issue);
                span.finish = span.finish.max(own.finish);
            }
        }
        let mut attributed = 0;
        for layer in &mut layers {
            let finish = layer.span.map_or(0, |span| span.finish);
            layer.cycles = finish.saturating_sub(attributed);
            attributed = attributed.max(finish);
        }
        if let Some(last) = layers.last_mut() {
            last.cycles += total_cycles - attributed;
        }
        layers
    }
}
