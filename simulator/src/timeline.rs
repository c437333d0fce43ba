//! What the engines and the DRAM bus did over time, in spans of equal length.

use std::ops::Range;

use isa::{Engine, Hardware, Program};
use timing::{Bucket, EngineCycles, Grant, Mode, Observer, TimingError, TrafficClass};

/// A run in spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Length of a span; the last one may reach beyond the end of the run.
    pub span_cycles: u64,
    /// What each engine did in each span, indexed by [`Engine`]; its buckets sum to the cycles of the span that are part of the run.
    pub engines: [Vec<EngineCycles>; 4],
    /// DRAM bytes granted in each span, whole bursts, by [`TrafficClass`].
    pub dram: Vec<[u64; TrafficClass::ALL.len()]>,
}

impl Timeline {
    /// Runs a program of `total_cycles` once more, on `hardware`, which may differ from its own in timing-only parameters, and
    /// deals what happens out to at most `spans` spans, at least one.
    ///
    /// # Errors
    /// A program that the machine cannot execute, or that never ends.
    pub fn of(
        program: &Program,
        hardware: &Hardware,
        total_cycles: u64,
        spans: u64,
    ) -> Result<Timeline, TimingError> {
        let span_cycles = total_cycles.div_ceil(spans.max(1)).max(1);
        let count = total_cycles.div_ceil(span_cycles).max(1) as usize;
        let mut dealer = Dealer {
            burst_bytes: hardware.dram_burst_bytes.into(),
            timeline: Timeline {
                span_cycles,
                engines: std::array::from_fn(|_| vec![EngineCycles::default(); count]),
                dram: vec![Default::default(); count],
            },
        };
        timing::run_on(program, hardware, Mode::Event, &mut dealer)?;
        Ok(dealer.timeline)
    }
}

struct Dealer {
    burst_bytes: u64,
    timeline: Timeline,
}

impl Observer for Dealer {
    fn burst_granted(&mut self, burst: Grant) {
        let span = (burst.cycle / self.timeline.span_cycles) as usize;
        if let Some(classes) = self.timeline.dram.get_mut(span) {
            classes[burst.class as usize] += self.burst_bytes;
        }
    }

    fn bucket(&mut self, engine: Engine, _: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        let length = self.timeline.span_cycles;
        let mut start = cycles.start;
        while start < cycles.end {
            let span = start / length;
            let end = cycles.end.min((span + 1) * length);
            if let Some(spent) = self.timeline.engines[engine.index()].get_mut(span as usize) {
                spent[bucket] += end - start;
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn spans_hold_every_cycle_and_byte_once() {
        let program = sample::program();
        for hardware in sample::machines() {
            let timing =
                timing::run_on(&program, &hardware, Mode::Stepped, &mut timing::NoObserver)
                    .unwrap();
            let total = timing.total_cycles;
            for spans in [1, 7, 100, u64::MAX] {
                let timeline = Timeline::of(&program, &hardware, total, spans).unwrap();
                let length = timeline.span_cycles;
                for engine in Engine::ALL {
                    let mut sum = EngineCycles::default();
                    for (i, spent) in timeline.engines[engine.index()].iter().enumerate() {
                        let start = i as u64 * length;
                        assert_eq!(spent.total(), length.min(total - start));
                        sum += *spent;
                    }
                    assert_eq!(sum, timing.engines[engine.index()]);
                }
                for class in TrafficClass::ALL {
                    let moved: u64 = timeline.dram.iter().map(|span| span[class as usize]).sum();
                    let known = timing.traffic.get(&class).copied().unwrap_or_default();
                    assert_eq!(moved, known.read_bytes + known.write_bytes, "{class:?}");
                }
            }
        }
    }
}
