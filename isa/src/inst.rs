//! Instructions: engines, their semaphores, and the 128-bit word.
//!
//! A word is one instruction whole: which engine, what it waits for, what it signals, what it does. Encoding is canonical:
//! a word decodes only if every reserved bit is zero, so `encode(decode(w)) == w` and two equal programs are equal bytes.

use std::fmt;

use crate::error::{DecodeError, EncodeError};
use crate::instructions::MANUAL;
use crate::operand::{Kind, MAX_FIELDS};

pub use crate::instructions::Op;

/// Bytes of an instruction word; words lie in DRAM least significant byte first.
pub const WORD_BYTES: usize = 16;

const OPCODE_BITS: u32 = 5;
const ENGINE_AT: u32 = 5;
const WAIT_AT: u32 = 8;
const SIGNAL_AT: u32 = 11;
const SET_BITS: u32 = 3;
const HEADER_MASK: u128 = (1 << (SIGNAL_AT + SET_BITS)) - 1;

/// One of the four engines; the discriminant is its number in words and arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Engine {
    /// DRAM to scratchpad, parameter and table slots.
    Load,
    /// Systolic array.
    Mxu,
    /// Vector engine.
    Vpu,
    /// Scratchpad to DRAM.
    Store,
}

impl Engine {
    /// All engines in order of their numbers.
    pub const ALL: [Engine; 4] = [Engine::Load, Engine::Mxu, Engine::Vpu, Engine::Store];

    /// Its number, 0..4.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in assembly and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Load => "load",
            Engine::Mxu => "mxu",
            Engine::Vpu => "vpu",
            Engine::Store => "store",
        }
    }

    /// The other three engines, in order: the bits of a wait or signal set.
    pub fn others(self) -> [Engine; 3] {
        std::array::from_fn(|i| Engine::ALL[if i < self.index() { i } else { i + 1 }])
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of engines.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineSet(u8);

impl EngineSet {
    /// No engine.
    pub const EMPTY: EngineSet = EngineSet(0);

    /// Whether `engine` is in the set.
    pub const fn contains(self, engine: Engine) -> bool {
        self.0 & (1 << engine as usize) != 0
    }

    /// Adds `engine`.
    pub const fn insert(&mut self, engine: Engine) {
        self.0 |= 1 << engine as usize;
    }

    /// Takes `engine` out.
    pub const fn remove(&mut self, engine: Engine) {
        self.0 &= !(1 << engine as usize);
    }

    /// Whether no engine is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Engines in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Its engines in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Engine> {
        Engine::ALL.into_iter().filter(move |&engine| self.contains(engine))
    }
}

impl From<Engine> for EngineSet {
    fn from(engine: Engine) -> Self {
        EngineSet(1 << engine.index())
    }
}

impl<const N: usize> From<[Engine; N]> for EngineSet {
    fn from(engines: [Engine; N]) -> Self {
        engines.into_iter().collect()
    }
}

impl FromIterator<Engine> for EngineSet {
    fn from_iter<I: IntoIterator<Item = Engine>>(engines: I) -> Self {
        let mut set = EngineSet::EMPTY;
        for engine in engines {
            set.insert(engine);
        }
        set
    }
}

impl fmt::Display for EngineSet {
    /// Names joined by commas, as in assembly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, engine) in self.iter().enumerate() {
            write!(f, "{}{engine}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for EngineSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inst {
    /// Engine that executes it.
    pub engine: Engine,
    /// Engines it waits for: one count of each one's semaphore towards this engine is taken at issue.
    pub wait: EngineSet,
    /// Engines it signals at completion.
    pub signal: EngineSet,
    /// What it does.
    pub op: Op,
}

impl Inst {
    /// `op` on `engine`, with no semaphores.
    pub fn new(engine: Engine, op: impl Into<Op>) -> Inst {
        Inst { engine, wait: EngineSet::EMPTY, signal: EngineSet::EMPTY, op: op.into() }
    }
}

impl Op {
    /// Engine that executes it; `None` if every engine can (`halt`, `sync`).
    pub const fn engine(&self) -> Option<Engine> {
        self.doc().engine
    }

    /// Name in assembly.
    pub const fn mnemonic(&self) -> &'static str {
        self.doc().mnemonic
    }

    /// Register page it names, 0 or 1.
    pub fn page(&self) -> Option<u32> {
        let at = self.doc().fields.iter().position(|field| field.kind == Kind::Page)?;
        self.values()[at].try_into().ok()
    }

    /// Whether it writes the registers of its page (and so waits until nothing in flight reads them) or reads them.
    pub const fn writes_page(&self) -> bool {
        match self {
            Op::LoadGeom(_) | Op::StoreGeom(_) | Op::MxuKernel(_) | Op::MxuInput(_) => true,
            Op::VpuIn(_) | Op::VpuSide(_) | Op::VpuOut(_) | Op::VpuKernel(_) => true,
            Op::VpuQuant(_) | Op::VpuScale(_) | Op::VpuStride(_) => true,
            Op::Halt(_) | Op::Sync(_) => false,
            Op::Load(_) | Op::LoadParams(_) | Op::LoadTable(_) | Op::Store(_) | Op::MxuConv(_) => {
                false
            }
            Op::VpuDrain(_)
            | Op::VpuDepthwise(_)
            | Op::VpuPool(_)
            | Op::VpuAdd(_)
            | Op::VpuMul(_) => false,
            Op::VpuMax(_) | Op::VpuPrelu(_) => false,
            Op::VpuLut(_) | Op::VpuSoftmax(_) | Op::VpuMove(_) | Op::VpuFill(_) => false,
        }
    }
}

/// The word of an instruction.
pub fn encode(inst: &Inst) -> Result<u128, EncodeError> {
    let doc = inst.op.doc();
    if let Some(expected) = doc.engine.filter(|&own| own != inst.engine) {
        return Err(EncodeError::Engine { mnemonic: doc.mnemonic, found: inst.engine, expected });
    }
    for (set, verb) in [(inst.wait, "wait for"), (inst.signal, "signal")] {
        if set.contains(inst.engine) {
            return Err(EncodeError::OwnSemaphore {
                mnemonic: doc.mnemonic,
                engine: inst.engine,
                set: verb,
            });
        }
    }
    let mut word = u128::from(doc.opcode) | (inst.engine.index() as u128) << ENGINE_AT;
    for (i, other) in inst.engine.others().into_iter().enumerate() {
        word |= u128::from(inst.wait.contains(other)) << (WAIT_AT as usize + i);
        word |= u128::from(inst.signal.contains(other)) << (SIGNAL_AT as usize + i);
    }
    for (field, value) in doc.fields.iter().zip(inst.op.values()) {
        let (min, max) = (field.min(), field.max());
        if !(min..=max).contains(&value) {
            let (mnemonic, width) = (doc.mnemonic, field.width());
            return Err(EncodeError::Field { mnemonic, field: field.name, value, width, min, max });
        }
        word |= field.place(value);
    }
    Ok(word)
}

/// The instruction that `word` is in the code of `engine`.
pub fn decode(word: u128, engine: Engine) -> Result<Inst, DecodeError> {
    let found = (word >> ENGINE_AT) as u32 & 7;
    if found as usize != engine.index() {
        return Err(DecodeError::Engine { found, expected: engine });
    }
    let opcode = word as u32 & ((1 << OPCODE_BITS) - 1);
    let doc = MANUAL.iter().find(|doc| doc.opcode == opcode && doc.runs_on(engine));
    let doc = doc.ok_or(DecodeError::Opcode { opcode, engine })?;
    let bits = word & !HEADER_MASK & !doc.field_mask();
    if bits != 0 {
        return Err(DecodeError::Reserved { mnemonic: doc.mnemonic, bits });
    }
    let mut values = [0; MAX_FIELDS];
    for (value, field) in values.iter_mut().zip(doc.fields) {
        *value = field.extract(word);
    }
    let op = (doc.build)(&values[..doc.fields.len()])
        .expect("each field's width is checked against its type at build time");
    let set = |at: u32| {
        let named = engine
            .others()
            .into_iter()
            .enumerate()
            .filter(|&(i, _)| word >> (at as usize + i) & 1 == 1);
        named.map(|(_, other)| other).collect()
    };
    Ok(Inst { engine, wait: set(WAIT_AT), signal: set(SIGNAL_AT), op })
}

/// A legal instruction made of random numbers, for tests: each call of `rng` gives 64 uniform bits. Extreme values are
/// as likely as all others together.
pub fn arbitrary(mut rng: impl FnMut() -> u64) -> Inst {
    let doc = &MANUAL[rng() as usize % MANUAL.len()];
    let engine = doc.engine.unwrap_or(Engine::ALL[rng() as usize % 4]);
    let mut values = [0; MAX_FIELDS];
    for (value, field) in values.iter_mut().zip(doc.fields) {
        *value = match rng() % 4 {
            0 => field.min(),
            1 => field.max(),
            _ => field.min() + i128::from(rng()) % (field.max() - field.min() + 1),
        };
    }
    let op = (doc.build)(&values[..doc.fields.len()]).expect("each value is within its field");
    let mut set = || engine.others().into_iter().filter(|_| rng() & 1 == 1).collect();
    Inst { engine, wait: set(), signal: set(), op }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::{Halt, LoadTable, MxuConv, VpuFill};
    use proptest::prelude::*;

    /// Legal instructions.
    fn any_inst() -> impl Strategy<Value = Inst> {
        proptest::collection::vec(any::<u64>(), 64).prop_map(|numbers| {
            let mut numbers = numbers.into_iter().cycle();
            arbitrary(|| numbers.next().unwrap())
        })
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(inst in any_inst()) {
            let word = encode(&inst).unwrap();
            prop_assert_eq!(decode(word, inst.engine), Ok(inst));
        }

        #[test]
        fn decoding_is_canonical(word in any::<u128>(), keep in 14u32..128) {
            let word = word & ((1 << keep) - 1);
            for engine in Engine::ALL {
                if let Ok(inst) = decode(word, engine) {
                    prop_assert_eq!(encode(&inst), Ok(word));
                }
            }
        }

        #[test]
        fn every_reserved_bit_is_refused(inst in any_inst(), bit in 14u32..128) {
            let word = encode(&inst).unwrap();
            prop_assume!(inst.op.doc().field_mask() >> bit & 1 == 0);
            let mnemonic = inst.op.mnemonic();
            prop_assert_eq!(decode(word | 1 << bit, inst.engine), Err(DecodeError::Reserved { mnemonic, bits: 1 << bit }));
        }
    }

    #[test]
    fn arbitrary_reaches_every_instruction() {
        let mut state = 1u64;
        let mut rng = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 16
        };
        let seen: std::collections::BTreeSet<&str> =
            (0..2000).map(|_| arbitrary(&mut rng).op.mnemonic()).collect();
        assert_eq!(seen.len(), MANUAL.len());
    }

    #[test]
    fn mnemonics_are_unique_and_fields_are_no_keywords() {
        let names: std::collections::BTreeSet<&str> =
            MANUAL.iter().map(|doc| doc.mnemonic).collect();
        assert_eq!(names.len(), MANUAL.len());
        for field in MANUAL.iter().flat_map(|doc| doc.fields) {
            assert!(!["wait", "signal"].contains(&field.name));
        }
    }

    #[test]
    fn page_use_is_what_the_list_says() {
        for doc in MANUAL {
            let op = (doc.build)(&vec![0; doc.fields.len()]).unwrap();
            let page = doc.fields.iter().find(|field| field.kind == Kind::Page);
            assert_eq!(op.page(), page.map(|_| 0));
            assert_eq!(
                op.writes_page(),
                page.is_some_and(|field| field.doc.contains("written")),
                "{}",
                doc.mnemonic
            );
        }
    }

    #[test]
    fn words_are_laid_out_as_documented() {
        let conv = MxuConv {
            page: 1,
            act: 2,
            wgt: 3,
            acc: 4,
            bank: 1,
            th: 5,
            tw: 6,
            iy0: -1,
            ix0: -2,
            blocks: 7,
            add: true,
        };
        let mut inst = Inst::new(Engine::Mxu, conv);
        inst.wait.insert(Engine::Load);
        inst.signal.insert(Engine::Store);
        let word = encode(&inst).unwrap();
        let fields = [
            (0, 5, 4),
            (5, 8, 1),
            (8, 11, 0b001),
            (11, 14, 0b100),
            (14, 15, 1),
            (16, 36, 2),
            (36, 56, 3),
        ];
        for (lo, hi, value) in fields {
            assert_eq!(word >> lo & ((1 << (hi - lo)) - 1), value, "bits {lo}..{hi}");
        }
        assert_eq!(word >> 90 & 0xfff, 0xfff);
        assert_eq!(word >> 102 & 0xfff, 0xffe);
        assert_eq!(word >> 126, 1);
    }

    #[test]
    fn illegal_instructions_are_named() {
        let too_many = Inst::new(Engine::Load, LoadTable { slot: 0, src: 0, bytes: 4096 });
        let text = encode(&too_many).unwrap_err().to_string();
        assert_eq!(
            text,
            "`load.table`: `bytes` = 4096 does not fit its 12 bits, expected 0..=4095"
        );
        let fill =
            VpuFill { page: 0, dst: 0, dst_lane: 0, outer: 1, inner: 1, len: 1, value: -129 };
        let text = encode(&Inst::new(Engine::Vpu, fill)).unwrap_err().to_string();
        assert_eq!(text, "`vpu.fill`: `value` = -129 does not fit its 8 bits, expected -128..=127");
        let text = encode(&Inst::new(Engine::Mxu, fill)).unwrap_err().to_string();
        assert_eq!(text, "`vpu.fill` is an instruction of engine vpu, found on engine mxu");
        let own = Inst { wait: Engine::Mxu.into(), ..Inst::new(Engine::Mxu, Halt {}) };
        assert_eq!(
            encode(&own).unwrap_err().to_string(),
            "`halt`: engine mxu cannot wait for itself, expected other engines"
        );
    }

    #[test]
    fn illegal_words_are_named() {
        assert_eq!(
            decode(31, Engine::Load).unwrap_err().to_string(),
            "engine load has no operation 31"
        );
        assert_eq!(
            decode(7 << 5, Engine::Vpu).unwrap_err().to_string(),
            "word is for engine number 7, expected 2 (vpu)"
        );
        let text = decode(3 << 100 | 1 << 20, Engine::Load).unwrap_err().to_string();
        assert_eq!(text, "`halt`: reserved bits 20, 100..102 are set, expected 0");
    }
}
