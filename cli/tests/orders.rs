//! `qsim --adversarial`: races are found and named, programs without are not accused.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;
use std::process::{Command, Output};

const ADD: &str = include_str!("../../programs/asm/add.qasm");

/// Assembles a program and runs it in hostile orders.
fn run(name: &str, text: &str, orders: &str) -> Output {
    let file = |extension: &str| -> PathBuf {
        std::env::temp_dir().join(format!("qcc-orders-{name}-{}.{extension}", std::process::id()))
    };
    let (source, program) = (file("qasm"), file("bin"));
    std::fs::write(&source, text).unwrap();
    let qsim = || Command::new(env!("CARGO_BIN_EXE_qsim"));
    let made = qsim().arg("asm").arg(&source).arg("-o").arg(&program).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let ran =
        qsim().arg(&program).args(["--adversarial", orders, "--format=json"]).output().unwrap();
    std::fs::remove_file(source).unwrap();
    std::fs::remove_file(program).unwrap();
    ran
}

#[test]
fn a_sound_program_gives_the_same_bytes_in_every_order() {
    let ran = run("sound", ADD, "40");
    assert!(ran.status.success(), "{ran:?}");
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["orders"]["run"], 40);
    assert_eq!(report["orders"]["differing"], 0);
    assert!(report["orders"]["race"].is_null());
}

#[test]
fn a_missing_semaphore_is_named_by_the_two_words_that_race() {
    let racing = ADD.replace(" signal=vpu ", " ").replace("wait=load ", "");
    let ran = run("racing", &racing, "40");
    assert_eq!(ran.status.code(), Some(3), "{ran:?}");
    let message = String::from_utf8(ran.stderr).unwrap();
    for word in ["load word 1 `load page=0", "vpu word 5 `vpu.add page=0", " race: "] {
        assert!(message.contains(word), "{message}");
    }
}
