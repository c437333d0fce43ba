//! Which signal serves which wait, and what a wait is called until then (T46).
//!
//! Signals of a pair of engines are given, and taken, in program order: the k-th signal serves the k-th wait. So the producer
//! of every wait is known before time starts.

use isa::program::Class;
use isa::{Engine, Op, Program};

use super::{Code, Wait};
use crate::bucket::Bucket;

/// Fills in `Step::waits` of all steps.
pub(super) fn pair(program: &Program, code: &mut [Code; 4]) {
    for producer in Engine::ALL {
        for consumer in producer.others() {
            let signals = &program.section(producer).words;
            let mut signals =
                signals.iter().enumerate().filter(|(_, inst)| inst.signal.contains(consumer));
            let section = program.section(consumer);
            for (step, inst) in code[consumer.index()].steps.iter_mut().zip(&section.words) {
                if !inst.wait.contains(producer) {
                    continue;
                }
                let signal = signals.next();
                let bucket = match (&inst.op, signal) {
                    (Op::Sync(_) | Op::Halt(_), _) => Bucket::Idle,
                    (_, None) => Bucket::WaitToken,
                    (_, Some((index, by))) => {
                        class(consumer, &by.op, program.section(producer).notes[index].class)
                    }
                };
                let producer_index = signal.map(|(index, _)| index as u32);
                step.waits[producer.index()] = Wait { producer: producer_index, bucket };
            }
        }
    }
}

/// The table of T46.
fn class(consumer: Engine, producer: &Op, traffic: Class) -> Bucket {
    match consumer {
        Engine::Mxu | Engine::Vpu => match (producer, traffic) {
            (Op::LoadParams(_) | Op::LoadTable(_), _) | (Op::Load(_), Class::Params) => {
                Bucket::WaitParams
            }
            (Op::Load(_), Class::Weights) => Bucket::WaitWeights,
            (Op::Load(_), Class::Inputs | Class::Spills) => Bucket::WaitActivations,
            (Op::VpuDrain(_), _) => Bucket::WaitAccumulator,
            (Op::MxuConv(_), _) => Bucket::WaitAccumulator,
            _ if is_vector_tile(producer) => Bucket::WaitActivations,
            _ => Bucket::WaitToken,
        },
        Engine::Store if is_vector_tile(producer) => Bucket::WaitActivations,
        Engine::Store | Engine::Load => Bucket::WaitToken,
    }
}

/// Tile words of the vector engine, which make activations.
fn is_vector_tile(op: &Op) -> bool {
    op.engine() == Some(Engine::Vpu) && !op.writes_page()
}
