//! `qcc --max-drop` and `--budget` on the embedded network: what is promised is in the program, and the exit code says whether.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{Folder, network};
use isa::Program;

fn args<'a>(model: &'a str, data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[model, "--data", data, "--preprocess", "mean=0,std=255"], more].concat()
}

#[test]
fn the_first_step_that_loses_no_more_is_written() {
    let folder = Folder::new("max-drop");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let (_, said) = folder.good("qcc", &args(&model, &data, &["--max-drop", "1.5", "-o", "p.bin"]));
    assert!(said.contains("128 samples calibrate, 128 are held out"), "{said}");
    assert!(said.contains("chosen: ranges from smallest to largest"), "{said}");
    let program = Program::from_bytes(&folder.read("p.bin")).unwrap();
    assert!(program.meta.calibration.contains("observer minmax"), "{}", program.meta.calibration);
    // The samples that it was chosen on are no test data either.
    let (_, said) = folder.good("qsim", &["p.bin", "--data", &data, "--check"]);
    assert!(said.contains("256 of 256"), "{said}");
}

#[test]
fn a_budget_is_kept_to_with_the_same_bytes_on_any_number_of_threads() {
    let folder = Folder::new("budget");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    for threads in ["1", "2"] {
        let args = args(&model, &data, &["--budget", "size=40k", "-o", threads]);
        let output =
            folder.command("qcc", &args).env("RAYON_NUM_THREADS", threads).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains("chosen: bits by layer"), "{said}");
    }
    assert_eq!(folder.read("1"), folder.read("2"));
    let program = Program::from_bytes(&folder.read("1")).unwrap();
    let bytes = program.constants.len();
    assert!((38_000..=40_000).contains(&bytes), "{bytes}");
    assert_eq!((program.meta.weight_bits, program.meta.act_bits), (4, 8));
    folder.good("qsim", &["1", "--data", &data, "--check"]);
}

#[test]
fn what_cannot_be_had_is_said_and_the_best_is_written() {
    let folder = Folder::new("in-vain");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    for (goal, said) in [
        (["--budget", "size=1k"], "1000 bytes of constants are not enough"),
        (["--budget", "cycles=1%"], "cycles are not enough"),
    ] {
        let output = folder.qcc(&args(&model, &data, &[&goal[..], &["-o", "p.bin"]].concat()));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(3) && text.contains(said), "{text}");
        Program::from_bytes(&folder.read("p.bin")).unwrap();
        std::fs::remove_file(folder.file("p.bin")).unwrap();
    }
}
