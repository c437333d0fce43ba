//! Hand-written programs with known answers (`programs/asm`), and the identity of program file and text.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;

use isa::Program;
use qcc_tests::generate::network;
use qcc_tests::machines::tiny;
use rand::SeedableRng;
use simulator::exec::Kernels;
use simulator::machine::{Machine, Order, Prepared};

/// Name and text of every hand-written program.
fn sources() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/asm");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "qasm") {
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            out.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    out.sort();
    out
}

/// The integers behind `; <what> 0 = `.
fn stated(text: &str, what: &str) -> Vec<i32> {
    let prefix = format!("; {what} 0 =");
    let line = text.lines().find_map(|l| l.strip_prefix(&prefix)).unwrap();
    line.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

fn assemble(name: &str, text: &str) -> Program {
    isa::asm::assemble(text).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(|e| e.render(name)).collect::<Vec<_>>().join("\n"))
    })
}

#[test]
fn hand_written_programs_give_their_known_answers() {
    let sources = sources();
    assert!(sources.len() >= 4);
    for (name, text) in sources {
        let program = assemble(&name, &text);
        let findings = isa::verify::verify(&program);
        assert!(findings.is_empty(), "{name}: {}", findings[0]);
        for kernels in [Kernels::Fast, Kernels::Reference] {
            let prepared = Prepared::new(&program).unwrap();
            let mut machine = Machine::new(&prepared, kernels);
            machine.write_input(0, &stated(&text, "input")).unwrap();
            machine.run(&Order::round_robin(&program).unwrap(), None).unwrap();
            assert_eq!(
                machine.read_output(0).unwrap(),
                stated(&text, "output"),
                "{name}, {kernels:?}"
            );
        }
        let event = timing::run(&program, timing::Mode::Event).unwrap();
        assert_eq!(event, timing::run(&program, timing::Mode::Stepped).unwrap(), "{name}");
    }
}

fn text_rebuilds_the_file(name: &str, program: &Program) {
    let bytes = program.to_bytes().unwrap();
    let text = isa::disasm::disassemble(program);
    assert!(
        assemble(name, &text).to_bytes().unwrap() == bytes,
        "{name}: other bytes from its text"
    );
    assert!(isa::disasm::disassemble(&assemble(name, &text)) == text, "{name}: other text");
}

#[test]
fn file_to_text_to_file_is_the_identity() {
    for (name, text) in sources() {
        text_rebuilds_the_file(&name, &assemble(&name, &text));
    }
    let mut tried = 0;
    for seed in 5000..5100u64 {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let hw = tiny(&mut rng);
        let (graph, _) = network(&mut rng, &hw);
        if let Ok(program) = compiler::backend::generate(&graph, &hw, Default::default()) {
            text_rebuilds_the_file(&format!("seed {seed}"), &program);
            tried += 1;
        }
    }
    assert!(tried >= 90, "only {tried} of 100 random networks compiled");
}
