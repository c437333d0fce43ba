//! What an observer is told adds up to the result.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;

use common::{Layer, layers};
use isa::{Engine, Hardware};
use timing::{
    Bucket, EngineCycles, Grant, InstRef, Mode, Observer, Record, Requester, Timing, Traffic,
    TrafficClass, run_on,
};

/// Adds up everything, and checks what can be checked at once.
#[derive(Default)]
struct Sum {
    engines: [EngineCycles; 4],
    last_interval: [Option<(Option<u32>, Bucket, u64)>; 4],
    instructions: [Vec<Record>; 4],
    /// Signals given and not taken, by producing and consuming engine.
    signals: BTreeMap<(Engine, Engine), Vec<u32>>,
    traffic: BTreeMap<TrafficClass, Traffic>,
    now: u64,
}

impl Sum {
    fn at(&mut self, cycle: u64) {
        assert!(cycle >= self.now, "told of cycle {cycle} after {}", self.now);
        self.now = cycle;
    }
}

impl Observer for Sum {
    fn instruction_issued(&mut self, inst: InstRef, cycle: u64) {
        self.at(cycle);
        let records = &mut self.instructions[inst.engine.index()];
        assert_eq!(records.len(), inst.index as usize, "in program order");
        records.push(Record { issue: cycle, complete: 0 });
    }

    fn instruction_completed(&mut self, inst: InstRef, cycle: u64) {
        self.at(cycle);
        self.instructions[inst.engine.index()][inst.index as usize].complete = cycle;
    }

    fn semaphore_signalled(&mut self, producer: InstRef, consumer: Engine, cycle: u64) {
        self.at(cycle);
        self.signals.entry((producer.engine, consumer)).or_default().push(producer.index);
    }

    fn semaphore_waited(&mut self, consumer: InstRef, producer: InstRef, cycle: u64) {
        self.at(cycle);
        let given = self
            .signals
            .get_mut(&(producer.engine, consumer.engine))
            .expect("given before it is taken");
        assert_eq!(given.remove(0), producer.index, "taken in the order given");
    }

    fn burst_granted(&mut self, burst: Grant) {
        self.at(burst.cycle);
        let traffic = self.traffic.entry(burst.class).or_default();
        let moved = if burst.requester == Requester::Store {
            &mut traffic.write_bytes
        } else {
            &mut traffic.read_bytes
        };
        *moved += u64::from(Hardware::default().dram_burst_bytes);
        traffic.useful_bytes += u64::from(burst.useful_bytes);
    }

    fn bucket(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        assert!(!cycles.is_empty());
        let last = self.last_interval[engine.index()].replace((inst, bucket, cycles.end));
        match last {
            None => assert_eq!(cycles.start, 0),
            Some((last_inst, last_bucket, end)) => {
                assert_eq!(cycles.start, end, "no gap and no overlap");
                assert!(
                    (last_inst, last_bucket) != (inst, bucket),
                    "intervals are as long as they can be"
                );
            }
        }
        assert_eq!(inst.is_none(), bucket == Bucket::Done);
        self.engines[engine.index()][bucket] += cycles.end - cycles.start;
    }
}

#[test]
fn what_is_told_adds_up() {
    // Four pixels stream in 4 cycles, 16 columns of weights shift in 16: each convolution has 11 gaps of 12 cycles.
    let program = layers(Hardware::default(), &Layer { tiles: 7, kernel: 2, blocks: 3, side: 3 });
    for mode in [Mode::Event, Mode::Stepped] {
        let mut sum = Sum::default();
        let Timing { total_cycles, engines, instructions, traffic, .. } =
            run_on(&program, &program.hardware, mode, &mut sum)
                .expect("the program is legal and ends");
        assert_eq!(sum.engines, engines);
        assert_eq!(sum.instructions, instructions);
        assert_eq!(sum.traffic, traffic);
        assert!(
            sum.last_interval
                .iter()
                .all(|last| last.is_some_and(|(_, _, end)| end == total_cycles))
        );
        // Semaphore waits for weights are at `sync`, hence idle.
        assert_eq!(engines[Engine::Mxu.index()][Bucket::WaitWeights], 7 * 11 * 12);
    }
}
