//! Faults whose effect can be found by hand, the numbering of faults, and the report.

use std::collections::BTreeSet;

use isa::{Engine, Program};

use super::campaign::Ended;
use super::population::Population;
use super::*;
use crate::exec::Kernels;
use crate::machine::Cell;
use crate::report::tests::paths;
use crate::report::{ProgramFacts, ProgramFile};
use crate::sample;

/// y = x * w: `8 0 10 0`, see the comments of the program.
fn matmul() -> Program {
    isa::asm::assemble(include_str!("../../../programs/asm/matmul.qasm")).unwrap()
}

fn races(program: &Program) -> bool {
    !isa::verify::verify(program).is_empty()
}

fn inputs() -> [Sample; 1] {
    [Sample { inputs: vec![vec![1, 2, 3, -1, 0, 5]], label: Some(2) }]
}

/// Outputs of the product with the faults of a spec, and what the campaign says.
fn with_fault(spec: &str) -> (Option<Vec<i32>>, RunResult) {
    let (program, samples) = (matmul(), inputs());
    let mut both = [Kernels::Fast, Kernels::Reference].map(|kernels| {
        let bench = Bench::new(&program, kernels, &samples, &races).unwrap();
        let runs = bench.campaign(&spec.parse().unwrap(), 1, 7, || ()).unwrap();
        let result = runs.results[0].clone();
        let outputs = match bench.attempt(&result.faults, 0).unwrap().0 {
            Ended::Ran(found) => Some(found.outputs[0].clone()),
            Ended::Detected(_) => None,
        };
        (outputs, result)
    });
    assert_eq!(both[0], both[1]);
    std::mem::take(&mut both[0].0);
    both[1].clone()
}

fn check(spec: &str, outputs: [i32; 4], outcome: Outcome) {
    let (found, result) = with_fault(spec);
    assert_eq!(found.as_deref(), Some(&outputs[..]), "{spec}");
    assert_eq!(result.outcome, outcome, "{spec}");
    let largest = (0..4).rev().max_by_key(|&i| outputs[i]).unwrap();
    assert_eq!(result.correct, Some(largest == 2), "{spec}");
}

#[test]
fn a_weight_changes_the_outputs_of_its_channel() {
    // w[0][2] = 2 becomes 18: (1 + 3*18 + 10) / 2 = 32.5, (-1 + 5*18 + 10) / 2 = 49.5.
    check("weights:at=2.4", [32, 0, 50, 0], Outcome::Benign);
    // And -126: both sums saturate.
    check("weights:at=2.7", [-128, 0, -128, 0], Outcome::Critical);
    // w[0][1] = 0 becomes 1: only the first pixel has a second channel.
    check("weights:at=1.0", [10, 0, 10, 0], Outcome::Critical);
    check("weights:at=2.7+2.7", [8, 0, 10, 0], Outcome::Masked);
    check("weights:rate=0", [8, 0, 10, 0], Outcome::Masked);
}

#[test]
fn a_parameter_changes_its_channel_or_traps() {
    let program = matmul();
    let at = |byte: u64, bits: &[u32]| {
        let isa::Op::LoadParams(load) = program.code[0].words[3].op else {
            panic!("the parameters")
        };
        let byte = load.src - program.constants_base + byte;
        let places: Vec<String> = bits.iter().map(|bit| format!("{byte}.{bit}")).collect();
        format!("params:at={}", places.join("+"))
    };
    // Bias 10 becomes 11: 18 / 2 and 20 / 2.
    check(&at(0, &[0]), [9, 0, 10, 0], Outcome::Benign);
    // Shift 1 becomes 63, one more than there is.
    let (outputs, result) = with_fault(&at(7, &[3, 4, 5, 6, 7]));
    assert_eq!((outputs, result.outcome), (None, Outcome::Detected(Detection::Trap)));
}

/// A cycle after a word of an engine has taken effect.
fn after(engine: Engine, index: usize) -> u64 {
    let timing = timing::run(&matmul(), timing::Mode::Event).unwrap();
    let record = timing.instructions[engine.index()][index];
    record.issue.midpoint(record.complete)
}

#[test]
fn an_upset_matters_between_write_and_read() {
    let (loaded, multiplied, drained) =
        (after(Engine::Load, 2), after(Engine::Mxu, 2), after(Engine::Vpu, 2));
    assert!(loaded < multiplied && multiplied < drained);
    // x[0][0] = 1 becomes 9: (9 + 6 + 10) / 2 = 12.5, (-9 + 2) / 2 = -3.5.
    check(&format!("scratchpad:at=0.3,cycle={loaded}"), [12, -4, 10, 0], Outcome::Critical);
    check(
        &format!("scratchpad:at=0.3,cycle={}", multiplied - 1),
        [12, -4, 10, 0],
        Outcome::Critical,
    );
    for (spec, why) in [
        ("at=0.3,cycle=0".to_owned(), "before it is loaded"),
        (format!("at=0.3,cycle={multiplied}"), "after it was read"),
        (format!("at=800.3,cycle={loaded}"), "a row that nobody uses"),
        (format!("at=3.3,cycle={loaded}"), "a lane that meets zero weights"),
    ] {
        let (outputs, result) = with_fault(&format!("scratchpad:{spec}"));
        assert_eq!(outputs.unwrap(), [8, 0, 10, 0], "{why}");
        assert_eq!(result.outcome, Outcome::Masked, "{why}");
    }
    // The sum 7 becomes 23: (23 + 10) / 2 = 16.5.
    check(&format!("accumulators:at=0.4,cycle={multiplied}"), [16, 0, 10, 0], Outcome::Critical);
    // Bit 31 makes it negative: the result saturates.
    check(&format!("accumulators:at=0.31,cycle={multiplied}"), [-128, 0, 10, 0], Outcome::Benign);
    for dead in
        [format!("0.4,cycle={drained}"), format!("40.4,cycle={multiplied}"), "0.4,cycle=0".into()]
    {
        check(&format!("accumulators:at={dead}"), [8, 0, 10, 0], Outcome::Masked);
    }
    let bank = 64 * 8;
    check(&format!("accumulators:at={bank}.4,cycle={multiplied}"), [8, 0, 10, 0], Outcome::Masked);
}

#[test]
fn a_word_is_decoded_checked_and_executed() {
    let (program, samples) = (matmul(), inputs());
    let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
    let run = |spec: &str| {
        let runs = bench.campaign(&spec.parse().unwrap(), 1, 0, || ()).unwrap();
        (runs.results[0].outcome, runs.results[0].verifier)
    };
    // `mxu.conv`: the engine number, an activation address outside the scratchpad, the signal to the vector engine.
    let conv = |bit: u32| run(&format!("instructions:at=2.{bit},engine=mxu"));
    assert_eq!(conv(7), (Outcome::Detected(Detection::Decode), None));
    assert_eq!(conv(35), (Outcome::Detected(Detection::Check), None));
    assert_eq!(conv(12), (Outcome::Detected(Detection::Hang), Some(true)));
    // Without its wait it races with the loads, which the verifier sees before anything runs.
    assert_eq!(conv(8).1, Some(true));
    // It reads the second pixel first: an honest program that computes something else.
    assert_eq!(conv(16), (Outcome::Critical, Some(true)));
    // An opcode that does not exist.
    assert_eq!(run("instructions:at=2.4,engine=load").0, Outcome::Detected(Detection::Decode));
    assert_eq!(run("instructions:at=2.7+2.7,engine=mxu"), (Outcome::Masked, Some(false)));
}

#[test]
fn every_bit_is_numbered_once() {
    let (program, samples) = (sample::program(), [sample_input()]);
    let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
    let population =
        |spec: &str| Population::new(&program, &bench.schedule, &spec.parse().unwrap());
    let words: usize = program.code.iter().map(|section| section.words.len()).sum();
    for (spec, faults) in [
        ("weights", 108 * 3 * 8),
        ("weights:bit=7", 108 * 3),
        ("params", 12 * 64),
        ("tables", 256 * 8),
        ("instructions", words * 128),
        ("instructions:engine=store", 3 * 128),
        ("instructions:layer=/conv1/Conv,engine=vpu", 4 * 128),
    ] {
        let population = population(spec).unwrap();
        assert_eq!(population.len(), faults as u64, "{spec}");
        let places: Vec<Place> =
            (0..faults as u64).map(|number| population.fault(number).place).collect();
        let different: BTreeSet<String> = places.iter().map(|place| format!("{place:?}")).collect();
        assert_eq!(different.len(), faults, "{spec}");
    }
    let [weights, tables] = ["weights", "tables"].map(|spec| population(spec).unwrap());
    assert_eq!(
        weights.fault(8 * 5 + 3).place,
        Place::Constant { byte: sample::WEIGHTS + 5, bit: 3 }
    );
    assert_eq!((weights.fault(0).node, tables.fault(0).node, tables.fault(15).bit), (0, 1, 7));
    let hw = &program.hardware;
    let bits = u64::from(hw.scratchpad_rows() * hw.array_rows * 8);
    let all = population("scratchpad").unwrap();
    assert_eq!((all.bits, all.len()), (bits, bits * bench.cycles()));
}

fn sample_input() -> Sample {
    Sample { inputs: vec![(0..90).map(|i| i % 7 - 3).collect()], label: None }
}

#[test]
fn values_live_from_write_to_read() {
    let (program, samples) = (sample::program(), [sample_input()]);
    let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
    let timing = timing::run(&program, timing::Mode::Event).unwrap();
    let moment = |engine: usize, index: usize| {
        let record = timing.instructions[engine][index];
        record.issue.midpoint(record.complete)
    };
    let (input, weights, conv) = (moment(0, 1), moment(0, 3), moment(1, 2));
    let (drain, lut, store) = (moment(2, 3), moment(2, 4), moment(3, 1));
    let row_cycles = 30 * (conv - input) + 108 * (conv - weights) + 30 * (store - drain);
    let bits = u64::from(program.hardware.array_rows) * 8;
    let population =
        |spec: &str| Population::new(&program, &bench.schedule, &spec.parse().unwrap()).unwrap();
    let live = population("scratchpad:live");
    assert_eq!(live.len(), row_cycles * bits);
    assert_eq!(live.live(), Some(live.share));
    assert_eq!(
        population("scratchpad:layer=/conv1/Conv").len(),
        (row_cycles - 30 * (store - lut) - 30 * (lut - drain)) * bits
    );
    let sums = population("accumulators:live").len();
    assert_eq!(sums, 30 * (drain - conv) * u64::from(program.hardware.array_cols) * 32);
    // Who reads what is struck.
    let reader = |byte: usize, cycle| {
        let place = Place::OnChip { cell: Cell::Scratchpad { byte }, bit: 0 };
        live.reader(&Fault { place, bit: 0, cycle: Some(cycle), node: u32::MAX })
    };
    let lanes = program.hardware.array_rows as usize;
    assert_eq!(reader(29 * lanes, input), 0);
    assert_eq!(reader(300 * lanes, drain), 1);
    assert_eq!(
        [reader(29 * lanes, input - 1), reader(29 * lanes, conv), reader(30 * lanes, input)],
        [u32::MAX; 3]
    );
}

#[test]
fn what_does_not_exist_is_refused() {
    let (program, samples) = (sample::program(), [sample_input()]);
    let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
    for (spec, parts) in [
        ("weights:layer=/conv1/Con", ["no layer `/conv1/Con`", "did you mean `/conv1/Conv`?"]),
        ("weights:layer=x", ["no layer `x`", "--format csv"]),
        ("tables:layer=/conv1/Conv", ["tables: layer `/conv1/Conv`", "uses none"]),
        ("weights:bit=8", ["no bit 8", "0..8"]),
        ("weights:at=400.0", ["no place 400.0", "0..704 that hold weights"]),
        ("scratchpad:at=99999999.0", ["no place 99999999.0", "0..8 of 0.."]),
        ("instructions:at=3.0,engine=store", ["no place 3.0", "0..128 of 0..3"]),
        ("scratchpad:cycle=99999999", ["no cycle 99999999", "the run takes"]),
        ("params:count=769", ["count=769", "only 768"]),
        ("scratchpad:count=5000000", ["5000000 bits would flip", "smaller"]),
    ] {
        let error = bench.campaign(&spec.parse().unwrap(), 1, 0, || ()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{spec}: {error}");
    }
    let no_tables = Bench::new(&matmul(), Kernels::Fast, &inputs(), &races)
        .unwrap()
        .campaign(&Spec::one(FaultSpace::Tables), 1, 0, || ())
        .unwrap_err();
    assert_eq!(no_tables, InjectError::Empty { space: FaultSpace::Tables, layer: None });
}

/// Every space of the product, with and without tables by layer and bit.
fn report() -> FaultReport {
    let (program, samples) = (matmul(), inputs());
    let mut program = program;
    program.nodes = vec![sample::node("/product, \"1\"", "MatMul", 12, isa::program::Unit::Array)];
    for note in program.code.iter_mut().flat_map(|section| &mut section.notes) {
        note.node = 0;
    }
    let bench = Bench::new(&program, Kernels::Fast, &samples, &races).unwrap();
    let specs = ["weights", "scratchpad:rate=1e-4", "accumulators:live", "instructions"];
    let campaigns = specs.map(|text| {
        let spec = text.parse().unwrap();
        Campaign::new(&bench, &spec, &bench.campaign(&spec, 300, 1, || ()).unwrap())
    });
    FaultReport {
        schema_version: SCHEMA_VERSION,
        program: ProgramFacts::new(
            &program,
            &ProgramFile { hash: "ab".repeat(32), bytes: 1, schema: 1 },
        ),
        seed: 1,
        runs: 300,
        samples: 1,
        cycles: bench.cycles(),
        campaigns: campaigns.into(),
    }
}

#[test]
fn sums_are_right_whatever_the_space() {
    let report = report();
    for campaign in &report.campaigns {
        let sum = |o: &Outcomes| o.masked + o.benign + o.critical + o.detected;
        let Campaign { outcomes, detected_by: by, .. } = campaign;
        assert_eq!((outcomes.runs, sum(outcomes)), (300, 300));
        assert_eq!(by.decode + by.check + by.hang + by.trap, outcomes.detected);
        assert_eq!(campaign.accuracy.answered + outcomes.detected, 300);
        let bits: u64 = campaign.bit_positions.iter().map(|bit| bit.struck.runs).sum();
        let layers: u64 = campaign.layers.iter().filter_map(|l| l.struck.as_ref()).map(sum).sum();
        let single = campaign.spec != "scratchpad:rate=1e-4";
        assert_eq!((bits, layers), if single { (300, 300) } else { (0, 0) }, "{}", campaign.spec);
        assert_eq!(campaign.flips == 300, single);
    }
    let [weights, scratchpad, accumulators, instructions] = &report.campaigns[..] else { panic!() };
    assert_eq!((weights.bits, weights.share, weights.live), (48, 1.0, None));
    assert!(scratchpad.share == 1.0 && scratchpad.live.is_some_and(|live| live < 0.01));
    assert_eq!(Some(accumulators.share), accumulators.live);
    let verifier = instructions.verifier.as_ref().unwrap();
    assert!(verifier.found > 0 && verifier.sdc_found <= verifier.sdc);
    assert_eq!(report, self::report());
}

#[test]
fn intervals_are_those_of_wilson() {
    // The examples of Newcombe 1998 (method 3), to the four digits given there.
    for (part, whole, low, high) in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ] {
        let found = Estimate::of(part, whole);
        assert!((found.low - low).abs() < 6e-5 && (found.high - high).abs() < 6e-5, "{found:?}");
    }
    assert_eq!(Estimate::of(10, 10).high, 1.0);
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let mut found = BTreeSet::new();
    paths(&serde_json::to_value(report()).unwrap(), "", &mut found);
    let documented: BTreeSet<String> = keys().iter().flat_map(crate::report::Key::paths).collect();
    assert_eq!(found.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(documented.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_committed_manual_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/generated/faults.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, schema_markdown()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema_markdown(),
        "stale: run this test with UPDATE_DOCS=1 and commit {path}"
    );
}

#[test]
fn text_fits_the_page_and_csv_is_rectangular() {
    let report = report();
    let text = report.to_text();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for part in ["instructions", "qsim verify", "  120..128", "another arg-max", "used by layer"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let csv = report.to_csv();
    let mut lines = csv.lines();
    let columns = lines.next().unwrap().split(',').count();
    for line in lines {
        // The one name with a comma is quoted.
        let line = line.replace("\"/product, \"\"1\"\"\"", "product");
        assert_eq!(line.split(',').count(), columns, "{line}");
    }
    assert_eq!(csv.lines().filter(|line| line.contains(",total,")).count(), 4);
}
