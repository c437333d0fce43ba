//! What can be wrong with a program, and where.

use std::fmt;

use crate::access::AccessError;
use crate::error::{DecodeError, EncodeError};
use crate::hardware::HardwareError;
use crate::inst::Engine;

use super::SectionKind;

/// A program that was refused: the place and the fault.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramError {
    /// Section it was found in.
    pub section: SectionKind,
    /// Which entry of the section (tensor, node, word, ..), if it is about one.
    pub record: Option<usize>,
    /// Byte of the file, if the program came from one.
    pub offset: Option<u64>,
    /// What is wrong.
    pub fault: Box<Fault>,
}

impl ProgramError {
    pub(super) fn new(section: SectionKind, offset: Option<u64>, fault: impl Into<Fault>) -> Self {
        ProgramError { section, record: None, offset, fault: Box::new(fault.into()) }
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.section)?;
        if let Some(record) = self.record {
            write!(f, "[{record}]")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl std::error::Error for ProgramError {}

/// What is wrong with a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The file does not begin like a program.
    #[error("not a program file: the first 8 bytes are not its signature{}", if *.text_damage { " (line ends were changed on the way: copy the file as binary)" } else { "" })]
    Signature {
        /// Whether it looks like a program whose line ends were converted.
        text_damage: bool,
    },
    /// Written by another version of the format.
    #[error("format version {found}, expected {expected}: compile the network again")]
    Version {
        /// Version of the file.
        found: u32,
        /// The only version this build reads.
        expected: u32,
    },
    /// The bytes end too early.
    #[error("ends after {found} bytes, expected at least {needed}: the file is cut off or damaged")]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes there.
        found: u64,
    },
    /// Bytes behind the end.
    #[error("{count} bytes follow the end")]
    Trailing {
        /// Bytes too many.
        count: u64,
    },
    /// Bytes that were changed after they were written.
    #[error("checksum {found:#010x}, expected {stored:#010x}: the file is damaged")]
    Checksum {
        /// Checksum of the bytes there.
        found: u32,
        /// Checksum in the file.
        stored: u32,
    },
    /// A section this build does not know.
    #[error("unknown section number {number}")]
    UnknownSection {
        /// Its number.
        number: u32,
    },
    /// Sections twice or in another order.
    #[error("section `{found}` follows `{previous}`: expected each once, in order")]
    SectionOrder {
        /// The section.
        found: SectionKind,
        /// The one before it.
        previous: SectionKind,
    },
    /// Sections that overlap or leave gaps.
    #[error("begins at byte {found}, expected {expected}, where the previous section ends")]
    SectionPlace {
        /// Offset in the table.
        found: u64,
        /// End of the previous section.
        expected: u64,
    },
    /// A section that every program has.
    #[error("the section is missing")]
    SectionMissing,
    /// A number that is out of range or not in its shortest form.
    #[error("{what} {found}, expected {expected}")]
    Value {
        /// What it is.
        what: &'static str,
        /// What was found.
        found: String,
        /// What would be legal.
        expected: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// Text that says the right thing in another form than this build writes, so that equal programs would differ in bytes.
    #[error("text is not in the canonical form")]
    NotCanonical,
    /// Hardware that no machine can have.
    #[error(transparent)]
    Hardware(#[from] HardwareError),
    /// Hardware parameters that are not those the hash was taken of.
    #[error("hash of the parameters is {found:016x}, expected {stored:016x}")]
    HardwareHash {
        /// Hash of the parameters there.
        found: u64,
        /// Hash in the file.
        stored: u64,
    },
    /// Facts that cannot be read.
    #[error("{message}")]
    Meta {
        /// The JSON reader's message.
        message: String,
    },
    /// A word that is no instruction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An instruction that has no word.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An instruction that the machine cannot execute.
    #[error("`{mnemonic}`: {error}")]
    Access {
        /// Instruction.
        mnemonic: &'static str,
        /// Why not.
        error: AccessError,
    },
    /// An instruction of one engine among those of another.
    #[error("instruction of engine {found} in the code of {expected}")]
    WrongEngine {
        /// Engine of the instruction.
        found: Engine,
        /// Engine whose code it is.
        expected: Engine,
    },
    /// Code that does not stop.
    #[error("the last word is not `halt`")]
    NoHalt,
    /// Code behind the end.
    #[error("`halt` is not the last word")]
    EarlyHalt,
    /// As many notes as words are needed.
    #[error("{found} notes for {expected} words")]
    NoteCount {
        /// Notes.
        found: usize,
        /// Words.
        expected: usize,
    },
    /// An index that leads nowhere.
    #[error("{what} {index} does not exist, there are {count}")]
    Index {
        /// What it should be.
        what: &'static str,
        /// The index.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// A noted box that leaves its tensor or the scratchpad.
    #[error("tile leaves the {what}: {found} beyond {limit}")]
    Tile {
        /// `tensor` or `scratchpad`.
        what: &'static str,
        /// Extent or row needed.
        found: u64,
        /// Extent or rows there are.
        limit: u64,
    },
    /// Bytes outside the program's DRAM.
    #[error("bytes {first}..{end} are outside the {dram_bytes} bytes of DRAM")]
    Outside {
        /// First byte.
        first: u64,
        /// One past the last byte.
        end: u64,
        /// DRAM of the program.
        dram_bytes: u64,
    },
    /// More DRAM than a simulator should allocate.
    #[error("{found} bytes of DRAM, expected at most {limit}, which the simulator allocates")]
    TooMuchDram {
        /// DRAM of the program.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// More work than a program of so many words justifies.
    #[error(
        "the words up to here touch {found} {what}, expected at most {limit} in a program of so many words"
    )]
    Work {
        /// Scratchpad rows or bursts of DRAM.
        what: &'static str,
        /// Counted up to this word.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// Code that does not begin with a burst.
    #[error("begins at DRAM byte {base}, expected a multiple of {burst} (`dram_burst_bytes`)")]
    Unaligned {
        /// First byte of the code.
        base: u64,
        /// Burst size.
        burst: u32,
    },
    /// Two regions of DRAM that must be apart.
    #[error("DRAM bytes {first}..{end} overlap those of {other}")]
    Overlap {
        /// First byte.
        first: u64,
        /// One past the last byte.
        end: u64,
        /// Section of the other region.
        other: SectionKind,
    },
}
