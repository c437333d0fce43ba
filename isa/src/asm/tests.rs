//! Whole texts: round trips with the disassembler, what may be left out, and errors as they are shown.

use proptest::prelude::*;

use crate::disasm::disassemble;
use crate::inst::{Engine, arbitrary};
use crate::program::sample::sample;
use crate::program::{Note, Program};

use super::{assemble, instruction};

fn rendered(text: &str) -> String {
    let errors = assemble(text).unwrap_err();
    errors.iter().map(|error| error.render("x.qasm")).collect::<Vec<String>>().join("\n")
}

#[test]
fn disassembly_of_the_sample() {
    let text = disassemble(&sample());
    let (hardware, rest) = text.split_once("\n.meta").unwrap();
    assert!(hardware.starts_with(".hardware\n  array_rows = 8\n"));
    insta::assert_snapshot!(format!(".meta{rest}"));
}

#[test]
fn binary_to_text_to_binary_is_the_identity() {
    let bytes = sample().to_bytes().unwrap();
    let text = disassemble(&Program::from_bytes(&bytes).unwrap());
    let program = assemble(&text).unwrap();
    assert_eq!(program, sample());
    assert_eq!(program.to_bytes().unwrap(), bytes);
    assert_eq!(assemble(&text.replace('\n', "\r\n")), Ok(program));
}

proptest! {
    #[test]
    fn every_instruction_comes_back_from_its_text(numbers in proptest::collection::vec(any::<u64>(), 64)) {
        let mut numbers = numbers.into_iter().cycle();
        let inst = arbitrary(|| numbers.next().unwrap());
        let text = inst.to_string();
        prop_assert_eq!(instruction(&text, inst.engine), Ok(inst), "{}", text);
    }

    #[test]
    fn all_data_come_back(
        constants in proptest::collection::vec(prop_oneof![Just(0u8), Just(0u8), any::<u8>()], 0..200),
        zeros in 0usize..40,
        blob: Option<Vec<u8>>,
        text in "\\PC*",
        name: String,
        scale in any::<f64>().prop_filter("scales are positive", |scale| scale.is_finite() && *scale > 0.0),
        mean: f32,
    ) {
        let mut program = sample();
        let at = constants.len() / 2;
        program.constants = [&constants[..at], &vec![0; zeros], &constants[at..]].concat();
        program.constants_base = 1024;
        program.dram_bytes = 4096;
        program.reference = Some(text.into_bytes());
        program.float_model = blob;
        program.tensors[1].name = name.clone();
        program.tensors[1].scale = scale;
        program.nodes[1].op = name.clone();
        program.meta.calibration = name;
        prop_assume!(mean.is_finite());
        program.meta.preprocess.as_mut().unwrap().mean[0] = mean;
        prop_assert_eq!(assemble(&disassemble(&program)), Ok(program));
    }

    #[test]
    fn no_text_panics(text in "([.@=\",x0-9a-f; \n:+-]|\\.code|\\.hex|\\.constants|load|page|\\.tensor|\\PC){0,60}") {
        if let Err(errors) = assemble(&text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                let place = format!("f:{}:{}", error.line, error.column);
                prop_assert!(error.render("f").contains(&place));
            }
        }
    }
}

const BY_HAND: &str = "\
; double every element of a tile, the shortest way to write it
.hardware tiny8
  dram_latency_cycles = 20
.tensor \"x\" shape=1x4x8
.tensor \"y\" shape=1x4x8 zero=-0x1
.input tensor=0 dram=0x400
.output tensor=1 dram=0x440
.constants base=0x100
  .zeros 8
params: // one entry for all
  .param bias=1 multiplier=1
.code load
  load.geom page=0 rows=4 elems=8 bits=8 spad_stride=0 dram_stride=0
  load page=0 dst=0 src=0x400 count=1 signal=store
  load.params slot=0 src=params+0x0 base=0 count=1
  halt
.code store base=0x800
  store.geom page=1 rows=4 bytes=8 spad_stride=0 dram_stride=0
  store page=1 src=0 dst=0x440 count=1 wait=load @class=outputs
  halt
";

#[test]
fn what_is_left_out_has_defaults() {
    let program = assemble(BY_HAND).unwrap();
    assert_eq!(program.hardware.array_rows, 8);
    assert_eq!(program.hardware.dram_latency_cycles, 20);
    assert_eq!(
        (program.tensors[0].bits, program.tensors[0].scale, program.tensors[1].zero_point),
        (8, 1.0, -1)
    );
    assert_eq!(
        program.section(Engine::Load).words[2].to_string(),
        "load.params slot=0 src=0x108 base=0 count=1"
    );
    assert_eq!(program.section(Engine::Load).notes[0], Note::default());
    // The three sections without a base follow the store code, which reaches furthest, at bursts of 64 bytes.
    assert_eq!(program.code.each_ref().map(|section| section.base), [0x840, 0x880, 0x8c0, 0x800]);
    assert_eq!(program.dram_bytes, 0x900);
    assert_eq!(program.section(Engine::Vpu).words.len(), 1);
    assert_eq!(assemble(&disassemble(&program)), Ok(program));
    assert_eq!(assemble("").unwrap().hardware, crate::Hardware::preset("edge16").unwrap());
}

#[test]
fn transfers_keep_code_away() {
    let text = ".hardware tiny8\n.code store\nstore.geom page=0 rows=1 bytes=8 spad_stride=0 dram_stride=0\n\
                store page=0 src=0 dst=0x1000 count=1\nhalt";
    assert_eq!(assemble(text).unwrap().section(Engine::Load).base, 0x1040);
}

#[test]
fn errors_come_all_at_once_with_their_place() {
    insta::assert_snapshot!(rendered(
        "
.hardware tiny9
  aray_rows = 8
  array_cols = 9
.tensro \"x\"
.tensor x shape=2x3 bits=1000 scale=ten zero=a
.input dram=0
.node \"a\" unit=arry op=Conv
.meta
  modle = \"x\"
  weight_bits = \"8\"
  act_bits = 8 8
  nothing
.constants
  .hex 00 0x
  oops
  lab:
  lab:
.code load
  lod page=0
  load page=0 dts=1 src=lba count=70000 page=1
  mxu.conv page=0
  sync wait=load,vpux signal=mxu extra @node=x @class=weight
\tü
.code laod
.code load
halt
.hardware
"
    ));
}

#[test]
fn faults_of_the_program_point_at_their_line() {
    insta::assert_snapshot!(rendered(
        "
.hardware tiny8
.tensor \"x\" shape=1x1x1 scale=0
.input tensor=3 dram=0
.code load
  load page=0 dst=0 src=0 count=1
.code mxu base=8
  sync @node=0
  halt
.dram 16
"
    ));
}

#[test]
fn long_lines_and_many_errors_stay_readable() {
    let long = format!(".constants\n.hex {}x", "00".repeat(500));
    insta::assert_snapshot!(rendered(&long));
    let errors = assemble(&"?\n".repeat(1000)).unwrap_err();
    assert_eq!(errors.len(), 101);
    assert_eq!(
        errors[100].to_string(),
        "line 100, column 1: too many errors, the rest of the text was not read"
    );
}

#[test]
fn single_instructions_have_errors_too() {
    assert!(instruction("", Engine::Load).is_err());
    let errors = instruction("halt wait=load", Engine::Load).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "line 1, column 11: engine load cannot wait for or signal itself: expected `mxu`, `vpu` or `store`"
    );
}
