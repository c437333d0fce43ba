//! Whether a program is one that the machine and its host can use without further checks.
//!
//! Covers everything that follows from the program alone, word by word: indexes, ranges, addresses, code that stops. Whether the engines
//! race with each other needs the semaphores and is the verifier's business.

use std::ops::Range;

use crate::access::{self, Access, AccessError, Pages, Space};
use crate::inst::{Engine, Op};
use crate::layout;

use super::{
    Fault, IoBinding, Preprocess, Program, ProgramError, SectionKind, TensorInfo, TileNote,
};

/// Most DRAM a program may use: the simulator allocates it.
pub const MAX_DRAM_BYTES: u64 = 16 << 30;

/// On-chip addresses that all words together may touch, and how many more for each word. The verifier and the simulator walk over them; a
/// single word can name a million rows of an otherwise small file. The words of real networks touch some thousand each.
const ADDRESSES: u64 = 1 << 26;
const ADDRESSES_PER_WORD: u64 = 1 << 15;

/// Bursts that transfers may take altogether, and how many more for each word. The timing cores go from burst to burst. The flat part alone
/// is 2 GiB in bursts of 64 bytes.
const BURSTS: u64 = 1 << 25;
const BURSTS_PER_WORD: u64 = 1 << 13;

impl Program {
    /// Everything that is wrong with the program, section by section; nothing if it can be written and run.
    pub fn check(&self) -> Vec<ProgramError> {
        let mut checker = Checker { program: self, errors: Vec::new() };
        // Without a sound machine no other question has an answer.
        if let Err(error) = self.hardware.validate() {
            checker.fail(SectionKind::Hardware, None, error.into());
            return checker.errors;
        }
        checker.meta();
        checker.tensors();
        checker.bindings(SectionKind::Inputs, &self.inputs);
        checker.bindings(SectionKind::Outputs, &self.outputs);
        let words: usize = self.code.iter().map(|section| section.words.len()).sum();
        let mut work = Work::of(words as u64);
        for engine in Engine::ALL {
            checker.code(engine, &mut work);
            checker.notes(engine);
        }
        checker.memory();
        checker.errors
    }
}

/// What all words touch, against what their number justifies.
struct Work {
    addresses: Counter,
    bursts: Counter,
}

struct Counter {
    what: &'static str,
    found: u64,
    limit: u64,
}

impl Counter {
    /// Fails when the limit is first exceeded, and then no more.
    fn add(&mut self, more: u64) -> Result<(), Fault> {
        let before = self.found;
        self.found = before.saturating_add(more);
        let Counter { what, found, limit } = *self;
        if before <= limit && found > limit {
            return Err(Fault::Work { what, found, limit });
        }
        Ok(())
    }
}

impl Work {
    fn of(words: u64) -> Work {
        let counter = |what, free: u64, each: u64| {
            let limit = words.saturating_mul(each).saturating_add(free);
            Counter { what, found: 0, limit }
        };
        Work {
            addresses: counter("on-chip addresses", ADDRESSES, ADDRESSES_PER_WORD),
            bursts: counter("bursts of DRAM", BURSTS, BURSTS_PER_WORD),
        }
    }

    /// Adds a word's accesses.
    fn add(&mut self, accesses: &[Access], burst_bytes: u32) -> Result<(), Fault> {
        accesses.iter().try_for_each(|access| match access.space {
            // An interval may begin and end within a burst.
            Space::Dram => {
                let bytes = access.rows.total().unsigned_abs();
                let ends = access.rows.runs().saturating_mul(2);
                self.bursts.add((bytes / u64::from(burst_bytes)).saturating_add(ends))
            }
            Space::Spad | Space::Acc(_) | Space::Params(_) | Space::Table(_) => {
                self.addresses.add(access.rows.walk())
            }
        })
    }
}

struct Checker<'a> {
    program: &'a Program,
    errors: Vec<ProgramError>,
}

impl Checker<'_> {
    fn fail(&mut self, section: SectionKind, record: Option<usize>, fault: Fault) {
        self.errors.push(ProgramError { record, ..ProgramError::new(section, None, fault) });
    }

    fn meta(&mut self) {
        for fault in self.program.meta.preprocess.iter().flat_map(Preprocess::faults) {
            self.fail(SectionKind::Meta, None, fault);
        }
    }

    fn tensors(&mut self) {
        for (record, tensor) in self.program.tensors.iter().enumerate() {
            if let Err(fault) = check_tensor(tensor) {
                self.fail(SectionKind::Tensors, Some(record), fault);
            }
        }
    }

    fn bindings(&mut self, section: SectionKind, bindings: &[IoBinding]) {
        for (record, binding) in bindings.iter().enumerate() {
            if let Err(fault) = self.check_binding(binding) {
                self.fail(section, Some(record), fault);
            }
        }
    }

    fn check_binding(&self, binding: &IoBinding) -> Result<(), Fault> {
        self.tensor(binding.tensor)?;
        self.inside(&self.program.binding_bytes(binding))
    }

    fn tensor(&self, index: u32) -> Result<&TensorInfo, Fault> {
        let tensors = &self.program.tensors;
        tensors.get(index as usize).ok_or(Fault::Index {
            what: "tensor",
            index,
            count: tensors.len(),
        })
    }

    fn inside(&self, bytes: &Range<u64>) -> Result<(), Fault> {
        let dram_bytes = self.program.dram_bytes;
        if bytes.end > dram_bytes {
            return Err(Fault::Outside { first: bytes.start, end: bytes.end, dram_bytes });
        }
        Ok(())
    }

    fn code(&mut self, engine: Engine, work: &mut Work) {
        let (kind, program) = (SectionKind::Code(engine), self.program);
        let section = program.section(engine);
        let burst = program.hardware.dram_burst_bytes;
        if !section.base.is_multiple_of(burst.into()) {
            self.fail(kind, None, Fault::Unaligned { base: section.base, burst });
        }
        if !matches!(section.words.last(), Some(inst) if matches!(inst.op, Op::Halt(_))) {
            self.fail(kind, section.words.len().checked_sub(1), Fault::NoHalt);
        }
        let mut pages = Pages::default();
        for (record, inst) in section.words.iter().enumerate() {
            if inst.engine != engine {
                self.fail(
                    kind,
                    Some(record),
                    Fault::WrongEngine { found: inst.engine, expected: engine },
                );
            }
            if matches!(inst.op, Op::Halt(_)) && record + 1 < section.words.len() {
                self.fail(kind, Some(record), Fault::EarlyHalt);
            }
            let legal = access::access(inst, &pages, &program.hardware).and_then(|accesses| {
                access::check_dram(&accesses, program.dram_bytes).map(|()| accesses)
            });
            match legal {
                Ok(accesses) => {
                    if let Err(fault) = work.add(&accesses, burst) {
                        self.fail(kind, Some(record), fault);
                    }
                }
                Err(AccessError::Encode(error)) => self.fail(kind, Some(record), error.into()),
                Err(error) => self.fail(
                    kind,
                    Some(record),
                    Fault::Access { mnemonic: inst.op.mnemonic(), error },
                ),
            }
            pages.apply(inst);
        }
    }

    fn notes(&mut self, engine: Engine) {
        let (kind, program) = (SectionKind::Notes(engine), self.program);
        let section = program.section(engine);
        let (found, expected) = (section.notes.len(), section.words.len());
        if found != expected {
            self.fail(kind, None, Fault::NoteCount { found, expected });
        }
        for (record, note) in section.notes.iter().enumerate() {
            let count = program.nodes.len();
            if note.node != u32::MAX && note.node as usize >= count {
                self.fail(
                    kind,
                    Some(record),
                    Fault::Index { what: "node", index: note.node, count },
                );
            }
            if let Some(Err(fault)) = note.tile.map(|tile| self.check_tile(&tile)) {
                self.fail(kind, Some(record), fault);
            }
        }
    }

    /// The box lies in its tensor, and in the scratchpad where the note says.
    fn check_tile(&self, tile: &TileNote) -> Result<(), Fault> {
        let hardware = &self.program.hardware;
        let tensor = self.tensor(tile.tensor)?;
        for ((&origin, &extent), &limit) in tile.origin.iter().zip(&tile.extent).zip(&tensor.shape)
        {
            let found = u64::from(origin) + u64::from(extent);
            if found > limit.into() {
                return Err(Fault::Tile { what: "tensor", found, limit: limit.into() });
            }
        }
        let [h, w, c] = tile.extent.map(u64::from);
        let (rows, lane) = (u64::from(hardware.array_rows), u64::from(tile.lane));
        if h * w == 0 || c == 0 || lane >= rows {
            return Err(illegal(
                "tile",
                format!("{h}x{w}x{c} from lane {lane}"),
                "no empty extent, a lane of the row",
            ));
        }
        let last_block = (lane + c - 1) / rows;
        let last = u64::from(tile.row)
            .saturating_add((h - 1) * u64::from(tile.row_stride))
            .saturating_add(last_block * u64::from(tile.block_stride))
            .saturating_add(w - 1)
            .saturating_add(if tensor.bits > 8 { tile.plane_stride.into() } else { 0 });
        let limit = u64::from(hardware.scratchpad_rows());
        if last >= limit {
            return Err(Fault::Tile { what: "scratchpad", found: last.saturating_add(1), limit });
        }
        Ok(())
    }

    /// Regions of DRAM lie in it; code, constants and inputs, which the host writes, are apart from each other.
    fn memory(&mut self) {
        let program = self.program;
        let (found, limit) = (program.dram_bytes, MAX_DRAM_BYTES);
        if found > limit {
            self.fail(SectionKind::Constants, None, Fault::TooMuchDram { found, limit });
        }
        let mut regions = vec![(SectionKind::Constants, None, program.constants_bytes())];
        regions.extend(
            Engine::ALL
                .map(|engine| (SectionKind::Code(engine), None, program.section(engine).bytes())),
        );
        for (section, _, bytes) in &regions {
            if let Err(fault) = self.inside(bytes) {
                self.fail(*section, None, fault);
            }
        }
        let inputs = program.inputs.iter().enumerate();
        regions.extend(
            inputs.map(|(i, input)| (SectionKind::Inputs, Some(i), program.binding_bytes(input))),
        );
        regions.retain(|(_, _, bytes)| !bytes.is_empty());
        regions.sort_by_key(|(section, record, bytes)| (bytes.start, bytes.end, *section, *record));
        // Sorted by their start, a region that overlaps any before it overlaps the one that reaches furthest.
        let mut furthest = (SectionKind::Header, 0);
        for (section, record, bytes) in regions {
            let (first, end) = (bytes.start, bytes.end);
            if first < furthest.1 {
                self.fail(section, record, Fault::Overlap { first, end, other: furthest.0 });
            }
            if end > furthest.1 {
                furthest = (section, end);
            }
        }
    }
}

fn check_tensor(tensor: &TensorInfo) -> Result<(), Fault> {
    let TensorInfo { shape, bits, scale, zero_point, onnx_shape, perm, .. } = tensor;
    if shape.contains(&0) {
        return Err(illegal("extent", 0, "at least 1"));
    }
    let zeros = match bits {
        8 => i32::from(i8::MIN)..=i32::from(i8::MAX),
        16 => i32::from(i16::MIN)..=i32::from(i16::MAX),
        _ => return Err(illegal("bits", bits, "8 or 16")),
    };
    if !(scale.is_finite() && *scale > 0.0) {
        return Err(illegal("scale", scale, "a positive number"));
    }
    if !zeros.contains(zero_point) {
        return Err(illegal("zero point", zero_point, "one that the tensor's bits can hold"));
    }
    let mut axes = perm.clone();
    axes.sort_unstable();
    if !axes.iter().copied().eq(0..onnx_shape.len() as u32) {
        return Err(illegal("perm", format!("{perm:?}"), "each ONNX axis once"));
    }
    let elements =
        onnx_shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent.into()));
    if !onnx_shape.is_empty() && elements != Some(layout::value_count(*shape)) {
        return Err(illegal(
            "ONNX shape",
            format!("{onnx_shape:?}"),
            "as many elements as the tensor",
        ));
    }
    Ok(())
}

fn illegal(what: &'static str, found: impl ToString, expected: &'static str) -> Fault {
    Fault::Value { what, found: found.to_string(), expected }
}
