//! In which order the words of the four engines are executed, one at a time.
//!
//! A program whose engines do not race gives the same bytes in every order that the semaphores allow, so any of them will do for
//! computing values, and it does not depend on them: it is found once and used for every image. The orders other than the
//! usual one exist to test just that claim. No order knows anything of cycles.

use isa::Program;
use isa::inst::{Engine, EngineSet, Inst, Op};

use super::{Location, SimError};
use crate::random::SplitMix;

/// Largest count of a semaphore.
const MAX_COUNT: u8 = 255;

/// Orders of preference among four engines.
const STRICT_ORDERS: usize = 24;

/// Words between two changes of preference of an adversarial order, at most.
const LONGEST_STREAK: u64 = 64;

/// An order in which the semaphores let the words of a program execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    steps: Vec<(Engine, u32)>,
}

impl Order {
    /// The usual order: the engines take turns, one word each if it is ready.
    ///
    /// # Errors
    /// [`SimError::Deadlock`] if no engine can go on before all have halted.
    pub fn round_robin(program: &Program) -> Result<Order, SimError> {
        let mut progress = Progress::new(program);
        loop {
            let mut any = false;
            for engine in Engine::ALL {
                any |= progress.step(engine);
            }
            if !any {
                return progress.finish();
            }
        }
    }

    /// The order `index` of a series of hostile ones: first those in which the engines keep one order of preference from the
    /// beginning to the end (each engine once as far ahead of all others, or behind them, as the semaphores let it), then
    /// [`Order::adversarial`] ones.
    ///
    /// # Errors
    /// As [`Order::round_robin`].
    pub fn hostile(program: &Program, index: usize) -> Result<Order, SimError> {
        if index >= STRICT_ORDERS {
            return Order::adversarial(program, index as u64);
        }
        let mut left = Engine::ALL.to_vec();
        let mut digits = index;
        let preference = Engine::ALL.map(|_| {
            let digit = digits % left.len();
            digits /= left.len();
            left.remove(digit)
        });
        Order::strict(program, preference)
    }

    /// The order in which an engine moves only when none before it in `preference` can.
    fn strict(program: &Program, preference: [Engine; 4]) -> Result<Order, SimError> {
        let mut progress = Progress::new(program);
        while preference.iter().any(|&engine| progress.step(engine)) {}
        progress.finish()
    }

    /// A hostile order: in streaks of random length one engine runs ahead as far as the semaphores let it, then another. The same
    /// seed gives the same order.
    ///
    /// # Errors
    /// As [`Order::round_robin`].
    pub fn adversarial(program: &Program, seed: u64) -> Result<Order, SimError> {
        let mut random = SplitMix::new(seed);
        let mut progress = Progress::new(program);
        let mut engines = Engine::ALL;
        loop {
            for at in (1..engines.len()).rev() {
                engines.swap(at, random.below(at as u64 + 1) as usize);
            }
            let streak = 1 + random.below(LONGEST_STREAK);
            for done in 0..streak {
                // Strict preference: a later engine moves only when no earlier one can.
                if !engines.iter().any(|&engine| progress.step(engine)) {
                    if done == 0 {
                        return progress.finish();
                    }
                    break;
                }
            }
        }
    }

    /// The first `count` words of this order, then those left in the order of `other`, which must be of the same program.
    /// Semaphores order words in pairs, so what two orders may do this one may do.
    pub(super) fn then(&self, count: usize, other: &Order) -> Order {
        let mut steps = self.steps[..count].to_vec();
        let mut done = [0; 4];
        for (engine, index) in &steps {
            done[engine.index()] = index + 1;
        }
        steps.extend(other.steps.iter().filter(|(engine, index)| *index >= done[engine.index()]));
        Order { steps }
    }

    /// With the word at `from` moved in front of that at `to`, which comes earlier.
    pub(super) fn moved(&self, from: usize, to: usize) -> Order {
        let mut steps = self.steps.clone();
        steps[to..=from].rotate_right(1);
        Order { steps }
    }

    /// Position of a word.
    pub(super) fn position(&self, word: (Engine, usize)) -> Option<usize> {
        self.steps().position(|step| step == word)
    }

    /// The same words sorted by `key`, equal ones as they were. The key must not fall along the semaphores: what waits for a word has no
    /// smaller key than it.
    pub(crate) fn sorted_by_key(mut self, key: impl Fn(Engine, usize) -> u64) -> Order {
        self.steps.sort_by_key(|&(engine, index)| key(engine, index as usize));
        self
    }

    /// The words: engine and index.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (Engine, usize)> {
        self.steps.iter().map(|&(engine, index)| (engine, index as usize))
    }
}

/// The semaphores and how far each engine is.
struct Progress<'p> {
    program: &'p Program,
    next: [usize; 4],
    /// Counts by producer and consumer.
    counts: [[u8; 4]; 4],
    steps: Vec<(Engine, u32)>,
}

impl<'p> Progress<'p> {
    fn new(program: &'p Program) -> Self {
        Progress { program, next: [0; 4], counts: [[0; 4]; 4], steps: Vec::new() }
    }

    /// The next word of an engine; `None` after its `halt`.
    fn word(&self, engine: Engine) -> Option<&'p Inst> {
        let (words, next) = (&self.program.section(engine).words, self.next[engine.index()]);
        let halted = next > 0 && matches!(words.get(next - 1), Some(Inst { op: Op::Halt(_), .. }));
        words.get(next).filter(|_| !halted)
    }

    /// Producers that a word still waits for, and consumers that could not take its signal.
    fn obstacles(&self, engine: Engine, inst: &Inst) -> [EngineSet; 2] {
        let count =
            |producer: Engine, consumer: Engine| self.counts[producer.index()][consumer.index()];
        [
            inst.wait.iter().filter(|&producer| count(producer, engine) == 0).collect(),
            inst.signal.iter().filter(|&consumer| count(engine, consumer) == MAX_COUNT).collect(),
        ]
    }

    /// Executes the next word of an engine, if it is ready.
    fn step(&mut self, engine: Engine) -> bool {
        let Some(inst) = self.word(engine) else { return false };
        if self.obstacles(engine, inst).iter().any(|set| !set.is_empty()) {
            return false;
        }
        for producer in inst.wait.iter() {
            self.counts[producer.index()][engine.index()] -= 1;
        }
        for consumer in inst.signal.iter() {
            self.counts[engine.index()][consumer.index()] += 1;
        }
        let next = &mut self.next[engine.index()];
        self.steps.push((
            engine,
            u32::try_from(*next).expect("code has 36-bit addresses of 16-byte words"),
        ));
        *next += 1;
        true
    }

    fn finish(self) -> Result<Order, SimError> {
        let stuck = Engine::ALL.into_iter().find_map(|engine| Some((engine, self.word(engine)?)));
        let Some((engine, inst)) = stuck else { return Ok(Order { steps: self.steps }) };
        let [unmet, full] = self.obstacles(engine, inst);
        let at = Box::new(Location::new(self.program, engine, self.next[engine.index()]));
        Err(SimError::Deadlock { at, unmet, full })
    }
}
