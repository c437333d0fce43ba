//! The semaphores alone: who waits for whom.

use crate::inst::{Engine, Inst};
use crate::program::Program;

/// Largest count a semaphore holds.
pub(super) const MAX_COUNT: u32 = 255;

/// Where a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Words executed of each engine; all of them unless the program is stuck.
    pub next: [usize; 4],
    /// What the semaphores hold, by producer and consumer.
    pub count: [[u32; 4]; 4],
}

/// Visits the words of a program in one order that its semaphores allow, until none can go on.
pub fn walk(program: &Program, mut visit: impl FnMut(Engine, usize, &Inst)) -> End {
    let mut next = [0usize; 4];
    let mut count = [[0u32; 4]; 4];
    loop {
        let mut progress = false;
        for engine in Engine::ALL {
            let e = engine.index();
            while let Some(inst) = program.section(engine).words.get(next[e]) {
                let ready = inst.wait.iter().all(|p| count[p.index()][e] > 0)
                    && inst.signal.iter().all(|c| count[e][c.index()] < MAX_COUNT);
                if !ready {
                    break;
                }
                for producer in inst.wait.iter() {
                    count[producer.index()][e] -= 1;
                }
                visit(engine, next[e], inst);
                for consumer in inst.signal.iter() {
                    count[e][consumer.index()] += 1;
                }
                next[e] += 1;
                progress = true;
            }
        }
        if !progress {
            return End { next, count };
        }
    }
}
