//! Whole files: what is written comes back, and what is damaged or illegal is refused with its place.

use proptest::prelude::*;

use crate::hardware::Hardware;
use crate::inst::{Engine, Inst};
use crate::instructions::{Halt, Load, LoadGeom, Sync};

use super::sample::sample;
use super::{
    Fault, Host, IoBinding, MAX_DRAM_BYTES, Program, ProgramError, Section, SectionKind, Unit,
};

#[test]
fn a_file_comes_back() {
    let program = sample();
    let bytes = program.to_bytes().unwrap();
    let read = Program::from_bytes(&bytes).unwrap();
    assert_eq!(read, program);
    assert_eq!(read.to_bytes().unwrap(), bytes);
    assert_eq!(program.hash().unwrap(), super::hash_bytes(&bytes));
    assert_eq!(program.hash().unwrap().len(), 64);
}

#[test]
fn optional_sections_may_be_absent_or_empty() {
    for blob in [None, Some(vec![])] {
        let host = Host { head: blob.clone(), tail: blob.clone() };
        let program = Program { reference: blob.clone(), float_model: blob, host, ..sample() };
        assert_eq!(Program::from_bytes(&program.to_bytes().unwrap()), Ok(program));
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = sample().to_bytes().unwrap();
    for len in 0..bytes.len() {
        let error = Program::from_bytes(&bytes[..len]).unwrap_err();
        assert!(matches!(*error.fault, Fault::Truncated { .. }), "{len}: {error}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(
        *Program::from_bytes(&longer).unwrap_err().fault,
        Fault::Trailing { count: 1 }
    ));
}

#[test]
fn every_bit_flip_is_refused() {
    let mut bytes = sample().to_bytes().unwrap();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Program::from_bytes(&bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Changes a payload and repairs all checksums, as an attacker would.
fn forge(kind: SectionKind, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let program = sample();
    let mut sections: Vec<_> = SectionKind::ALL
        .iter()
        .map(|&kind| (kind, program.payload(kind).unwrap().unwrap()))
        .collect();
    let payload = sections.iter_mut().find(|(found, _)| *found == kind).unwrap();
    change(&mut payload.1);
    super::file::assemble(&sections)
}

fn refused(kind: SectionKind, change: impl FnOnce(&mut Vec<u8>)) -> String {
    refusal(&forge(kind, change))
}

/// Why a file is refused, independent of the hardware list: offsets count from the section's first byte, and longer numbers
/// are `#`.
fn refusal(bytes: &[u8]) -> String {
    let mut error = Program::from_bytes(bytes).unwrap_err();
    if error.section != SectionKind::Header {
        let entry = 28 + 24 * (error.section.number() as usize - 1);
        let start = u64::from_le_bytes(bytes[entry + 8..entry + 16].try_into().unwrap());
        error.offset = error.offset.map(|offset| offset - start);
    }
    let mut text = error.to_string();
    for word in error.to_string().split(|c: char| !c.is_ascii_alphanumeric()) {
        if word.len() > 2 && word.starts_with(|c: char| c.is_ascii_digit()) {
            text = text.replacen(word, "#", 1);
        }
    }
    text
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Program::from_bytes(&bytes).is_err());
    }

    #[test]
    fn forged_payloads_are_refused_or_canonical(
        kind in 0..SectionKind::ALL.len(),
        at: proptest::sample::Index,
        value: u8,
        cut: bool,
    ) {
        let bytes = forge(SectionKind::ALL[kind], |payload| {
            let at = at.index(payload.len());
            payload[at] = value;
            if cut {
                payload.truncate(at);
            }
        });
        if let Ok(program) = Program::from_bytes(&bytes) {
            prop_assert_eq!(program.to_bytes(), Ok(bytes));
        }
    }
}

#[test]
fn damage_is_named() {
    let good = sample().to_bytes().unwrap();
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        refusal(&bytes)
    };
    insta::assert_snapshot!(refused(&|b| b[0] = b'P'), @"header at byte 0: not a program file: the first 8 bytes are not its signature");
    insta::assert_snapshot!(refused(&|b| b[4] = b'\n'), @"header at byte 0: not a program file: the first 8 bytes are not its signature (line ends were changed on the way: copy the file as binary)");
    insta::assert_snapshot!(refused(&|b| b[8] = 9), @"header at byte 8: format version 9, expected 2: compile the network again");
    insta::assert_snapshot!(refused(&|b| b[30] = 9), @"header at byte 24: checksum #, expected #: the file is damaged");
    insta::assert_snapshot!(refused(&|b| *b.last_mut().unwrap() = 9), @"host_tail at byte 0: checksum #, expected #: the file is damaged");
    insta::assert_snapshot!(refused(&|b| b.truncate(500)), @"header at byte 16: ends after # bytes, expected at least #: the file is cut off or damaged");
}

#[test]
fn forged_tables_are_named() {
    let program = sample();
    let sections = || -> Vec<(SectionKind, Vec<u8>)> {
        SectionKind::ALL
            .iter()
            .map(|&kind| (kind, program.payload(kind).unwrap().unwrap()))
            .collect()
    };
    let mut swapped = sections();
    swapped.swap(3, 4);
    insta::assert_snapshot!(refusal(&super::file::assemble(&swapped)), @"header at byte #: section `inputs` follows `outputs`: expected each once, in order");
    let mut missing = sections();
    missing.remove(2);
    let error = Program::from_bytes(&super::file::assemble(&missing)).unwrap_err();
    insta::assert_snapshot!(error, @"tensors: the section is missing");
    let mut twice = sections();
    twice.insert(1, twice[1].clone());
    insta::assert_snapshot!(refusal(&super::file::assemble(&twice)), @"header at byte 76: section `meta` follows `meta`: expected each once, in order");

    // Table entry 2 is at 28 + 2 * 24: number, checksum, offset, length.
    let patched = |at: usize, value: u8| {
        let mut bytes = program.to_bytes().unwrap();
        bytes[at] = value;
        let checksum = crc32fast::hash(&[&bytes[8..24], &bytes[28..28 + 19 * 24]].concat());
        bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
        refusal(&bytes)
    };
    insta::assert_snapshot!(patched(28 + 48, 99), @"header at byte 76: unknown section number 99");
    insta::assert_snapshot!(patched(28 + 48 + 8, 0), @"tensors at byte 0: begins at byte #, expected #, where the previous section ends");
    insta::assert_snapshot!(patched(28 + 48 + 23, 255), @"tensors at byte 0: ends after # bytes, expected at least #: the file is cut off or damaged");
}

#[test]
fn forged_payloads_are_named() {
    let huge_count =
        |payload: &mut Vec<u8>| payload.splice(..1, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop);
    insta::assert_snapshot!(refused(SectionKind::Tensors, huge_count), @"tensors[2] at byte 53: ends after 0 bytes, expected at least 1: the file is cut off or damaged");
    insta::assert_snapshot!(refused(SectionKind::Notes(Engine::Load), huge_count), @"notes.load[6] at byte 29: ends after 0 bytes, expected at least 1: the file is cut off or damaged");
    insta::assert_snapshot!(refused(SectionKind::Notes(Engine::Vpu), |p| p[1] = 6), @"notes.vpu[0] at byte 1: note kind 6, expected 0..=5 or 8..=13");
    insta::assert_snapshot!(refused(SectionKind::Nodes, |p| p[2] = 0xff), @"nodes[0] at byte 2: text is not UTF-8");
    insta::assert_snapshot!(refused(SectionKind::Code(Engine::Mxu), |p| p[8 + 16] = 31), @"code.mxu[1] at byte 24: word is for engine number 0, expected 1 (mxu)");
    insta::assert_snapshot!(refused(SectionKind::Code(Engine::Mxu), |p| p[8 + 16] ^= 0b0110_0000), @"code.mxu[1] at byte 24: word is for engine number 2, expected 1 (mxu)");
    insta::assert_snapshot!(refused(SectionKind::Code(Engine::Store), |p| p.truncate(30)), @"code.store[1] at byte 24: ends after 6 bytes, expected at least 16: the file is cut off or damaged");
    insta::assert_snapshot!(refused(SectionKind::Code(Engine::Store), Vec::clear), @"code.store at byte 0: ends after 0 bytes, expected at least 8: the file is cut off or damaged");
    insta::assert_snapshot!(refused(SectionKind::Constants, |p| p[7] = 1), @"constants at byte 0: # bytes of DRAM, expected at most #, which the simulator allocates");
    insta::assert_snapshot!(refused(SectionKind::Hardware, |p| p[0] ^= 1), @"hardware at byte 0: hash of the parameters is #, expected #");
    insta::assert_snapshot!(refused(SectionKind::Hardware, |p| p.push(b' ')), @"hardware at byte 8: text is not in the canonical form");
    insta::assert_snapshot!(refused(SectionKind::Hardware, |p| p[21] = b'7'), @"hardware at byte 8: `array_rows` = 7: must be a power of two");
    insta::assert_snapshot!(refused(SectionKind::Meta, |p| p.push(b' ')), @"meta at byte 0: text is not in the canonical form");
    insta::assert_snapshot!(refused(SectionKind::Meta, |p| p[2] = b'M'), @"meta at byte 0: unknown field `Model`, expected one of `model`, `model_sha256`, `shapes`, `compiler`, `weight_bits`, `act_bits`, `calibration`, `sample_hashes`, `labels`, `preprocess`, `random_weights` at line 1 column 8");
}

/// All faults of a changed sample.
fn faults(change: impl FnOnce(&mut Program)) -> String {
    let mut program = sample();
    change(&mut program);
    let errors: Vec<String> = program.check().iter().map(ProgramError::to_string).collect();
    assert_eq!(
        program.to_bytes().map_err(|error| error.to_string()).err(),
        errors.first().cloned()
    );
    errors.join("\n")
}

#[test]
fn illegal_code_is_named() {
    insta::assert_snapshot!(faults(|p| p.code[0].words.truncate(2)), @r"
code.load[1]: the last word is not `halt`
notes.load: 6 notes for 2 words
");
    insta::assert_snapshot!(faults(|p| p.code[1] = Section::default()), @"code.mxu: the last word is not `halt`");
    insta::assert_snapshot!(faults(|p| p.code[2].words.swap(2, 3)), @r"
code.vpu[3]: the last word is not `halt`
code.vpu[2]: `halt` is not the last word
");
    insta::assert_snapshot!(faults(|p| p.code[0].words[0] = Inst::new(Engine::Load, Sync {})), @r"
code.load[1]: `load`: reads the registers of `load.geom` in page 0, which no earlier word has written
");
    insta::assert_snapshot!(faults(|p| p.code[3].words[0] = Inst::new(Engine::Vpu, Sync {})), @r"
code.store[0]: instruction of engine vpu in the code of store
code.store[1]: `store`: reads the registers of `store.geom` in page 0, which no earlier word has written
");
    insta::assert_snapshot!(faults(|p| p.code[3].words[0].wait.insert(Engine::Store)), @"code.store[0]: `store.geom`: engine store cannot wait for itself, expected other engines");
    insta::assert_snapshot!(faults(|p| p.code[2].base += 16), @r"
code.vpu: begins at DRAM byte 464, expected a multiple of 64 (`dram_burst_bytes`)
code.store: DRAM bytes 512..560 overlap those of code.vpu
");
    insta::assert_snapshot!(faults(|p| p.dram_bytes = 200), @r"
outputs[0]: bytes 192..216 are outside the 200 bytes of DRAM
code.store[1]: `store`: store destination: bytes 192..216 of DRAM do not exist, it has 200
code.load: bytes 256..352 are outside the 200 bytes of DRAM
code.mxu: bytes 384..448 are outside the 200 bytes of DRAM
code.vpu: bytes 448..512 are outside the 200 bytes of DRAM
code.store: bytes 512..560 are outside the 200 bytes of DRAM
");
}

#[test]
fn illegal_notes_are_named() {
    let tile = |change: &dyn Fn(&mut super::TileNote)| {
        faults(|p| change(p.code[0].notes[1].tile.as_mut().unwrap()))
    };
    insta::assert_snapshot!(faults(|p| p.code[0].notes[2].node = 2), @"notes.load[2]: node 2 does not exist, there are 2");
    insta::assert_snapshot!(tile(&|t| t.tensor = 2), @"notes.load[1]: tensor 2 does not exist, there are 2");
    insta::assert_snapshot!(tile(&|t| t.origin[1] = u32::MAX), @"notes.load[1]: tile leaves the tensor: 4294967298 beyond 3");
    insta::assert_snapshot!(tile(&|t| t.extent[1] = 0), @"notes.load[1]: tile 2x0x5 from lane 0, expected no empty extent, a lane of the row");
    insta::assert_snapshot!(tile(&|t| t.lane = 8), @"notes.load[1]: tile 2x3x5 from lane 8, expected no empty extent, a lane of the row");
    insta::assert_snapshot!(tile(&|t| (t.lane, t.block_stride) = (4, 4091)), @"notes.load[1]: tile leaves the scratchpad: 4097 beyond 4096");
    insta::assert_snapshot!(tile(&|t| t.row_stride = u32::MAX), @"notes.load[1]: tile leaves the scratchpad: 4294967298 beyond 4096");
}

#[test]
fn illegal_data_are_named() {
    insta::assert_snapshot!(faults(|p| p.tensors[0].bits = 9), @"tensors[0]: bits 9, expected 8 or 16");
    insta::assert_snapshot!(faults(|p| p.tensors[0].shape[2] = 0), @r"
tensors[0]: extent 0, expected at least 1
notes.load[1]: tile leaves the tensor: 5 beyond 0
");
    insta::assert_snapshot!(faults(|p| p.tensors[0].scale = f64::NAN), @"tensors[0]: scale NaN, expected a positive number");
    insta::assert_snapshot!(faults(|p| p.tensors[1].zero_point = 128), @"tensors[1]: zero point 128, expected one that the tensor's bits can hold");
    insta::assert_snapshot!(faults(|p| p.tensors[0].perm = vec![0, 1, 2, 2]), @"tensors[0]: perm [0, 1, 2, 2], expected each ONNX axis once");
    insta::assert_snapshot!(faults(|p| p.tensors[0].onnx_shape[0] = 2), @"tensors[0]: ONNX shape [2, 5, 2, 3], expected as many elements as the tensor");
    insta::assert_snapshot!(faults(|p| p.inputs.push(IoBinding { tensor: 7, dram: 0 })), @"inputs[1]: tensor 7 does not exist, there are 2");
    insta::assert_snapshot!(faults(|p| p.inputs.push(IoBinding { tensor: 0, dram: 29 })), @"inputs[1]: DRAM bytes 29..59 overlap those of inputs");
    insta::assert_snapshot!(faults(|p| p.outputs[0].dram = u64::MAX - 3), @"outputs[0]: bytes 18446744073709551612..18446744073709551615 are outside the 576 bytes of DRAM");
    insta::assert_snapshot!(faults(|p| p.constants_base = 16), @"constants: DRAM bytes 16..144 overlap those of inputs");
    insta::assert_snapshot!(faults(|p| p.dram_bytes = MAX_DRAM_BYTES + 1), @"constants: 17179869185 bytes of DRAM, expected at most 17179869184, which the simulator allocates");
    insta::assert_snapshot!(faults(|p| p.meta.preprocess.as_mut().unwrap().std[0] = f32::NAN), @"meta: std NaN, expected a finite number");
    insta::assert_snapshot!(faults(|p| p.hardware.array_rows = 3), @"hardware: `array_rows` = 3: must be a power of two");
}

#[test]
fn sections_have_numbers_and_names_of_their_own() {
    for (i, kind) in SectionKind::ALL.into_iter().enumerate() {
        assert_eq!(
            (kind.number(), SectionKind::from_number(kind.number())),
            (i as u32 + 1, Some(kind))
        );
    }
    assert_eq!(SectionKind::from_number(0), None);
    assert_eq!(SectionKind::Notes(Engine::Vpu).to_string(), "notes.vpu");
}

#[test]
fn other_machines_and_units_come_back() {
    let mut program = sample();
    program.hardware = Hardware { dram_latency_cycles: 7, ..program.hardware };
    program.nodes[0].unit = Unit::Vector;
    program.nodes[0].macs = u64::MAX;
    assert_eq!(Program::from_bytes(&program.to_bytes().unwrap()), Ok(program));
}

#[test]
fn work_beyond_what_the_words_justify_is_refused() {
    // Some hundred bytes that move terabytes: each word fills the largest scratchpad from one stretch of DRAM.
    let program = |words: usize, rows: u32, count: u32| {
        let geom =
            LoadGeom { page: 0, rows, elems: 64, bits: 8, spad_stride: rows, dram_stride: 0 };
        let load = Load { page: 0, dst: 0, src: 0, count };
        let mut program = sample();
        program.hardware = Hardware {
            array_rows: 64,
            scratchpad_kib: 65_472,
            scratchpad_banks: 1,
            ..Hardware::default()
        };
        program.code[0].words = vec![Inst::new(Engine::Load, geom)];
        program.code[0].words.extend(vec![Inst::new(Engine::Load, load); words]);
        program.code[0].words.push(Inst::new(Engine::Load, Halt {}));
        program.code[0].notes = vec![Default::default(); words + 2];
        program.dram_bytes = MAX_DRAM_BYTES;
        program
    };
    let work = |program: &Program| -> Vec<&'static str> {
        let errors = program.check().into_iter();
        errors
            .filter_map(|e| if let Fault::Work { what, .. } = *e.fault { Some(what) } else { None })
            .collect()
    };
    assert_eq!(work(&program(20, 1023, 1024)), [""; 0]);
    assert_eq!(work(&program(90, 1023, 1024)), ["bursts of DRAM", "on-chip addresses"]);
    let error = program(90, 1023, 1024).check().into_iter().map(|e| e.to_string());
    assert!(error.into_iter().any(|e| e.contains("the words up to here touch")), "in words");
}
