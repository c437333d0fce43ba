//! `qsim demo`: the embedded network with real images, through the same entry points a user calls.

use std::path::Path;

use clap::Parser;

use crate::error::CliError;
use crate::output::{Talk, print, write_file};

const MODEL: &[u8] = include_bytes!("../../../programs/fashion_mnist/fashion_mnist.onnx");
const CALIBRATION: &[u8] = include_bytes!("../../../programs/fashion_mnist/calibration.npz");
const TEST: &[u8] = include_bytes!("../../../programs/fashion_mnist/test.npz");
const LABELS: &[u8] = include_bytes!("../../../programs/fashion_mnist/labels.txt");

/// Writes the embedded files to `folder`, compiles and runs them there, and says which commands do the same.
pub(super) fn demo(folder: &Path, talk: Talk) -> Result<(), CliError> {
    std::fs::create_dir_all(folder)
        .map_err(|e| CliError::in_file(folder, format!("cannot be made: {e}")))?;
    let file = |name: &str| folder.join(name).display().to_string();
    for (name, bytes) in [
        ("fashion_mnist.onnx", MODEL),
        ("calibration.npz", CALIBRATION),
        ("test.npz", TEST),
        ("labels.txt", LABELS),
    ] {
        write_file(&folder.join(name), bytes)?;
    }
    let compile = [
        "qcc".into(),
        file("fashion_mnist.onnx"),
        "--data".into(),
        file("calibration.npz"),
        "--preprocess".into(),
        "mean=0,std=255".into(),
        "--names".into(),
        file("labels.txt"),
        "-o".into(),
        file("fashion_mnist.bin"),
    ];
    let run = [
        "qsim".into(),
        file("fashion_mnist.bin"),
        "--data".into(),
        file("test.npz"),
        "--float".into(),
        file("fashion_mnist.onnx"),
        "--check".into(),
        "--trace".into(),
    ];
    talk.note(format_args!("$ {}", compile.join(" ")));
    crate::qcc::compile::compile_command(
        &crate::qcc::args::Cli::parse_from(&compile).compile,
        talk,
    )?;
    talk.note(format_args!("$ {}", run.join(" ")));
    super::run::run(&super::args::Cli::parse_from(&run).run, talk)?;
    print(&format!("\nthe same by hand:\n  {}\n  {}\n", compile.join(" "), run.join(" ")))
}
