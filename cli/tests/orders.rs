//! `qsim --adversarial`: races are found and named, programs without are not accused.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::process::Output;

use common::Folder;

const ADD: &str = include_str!("../../programs/asm/add.qasm");

/// Assembles a program and runs it in hostile orders.
fn run(name: &str, text: &str, orders: &str) -> Output {
    let folder = Folder::new(&format!("orders-{name}"));
    folder.write("add.qasm", text.as_bytes());
    folder.good("qsim", &["asm", "add.qasm", "-o", "add.bin"]);
    folder.qsim(&["add.bin", "--adversarial", orders, "--format=json"])
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
