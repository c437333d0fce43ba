//! Outputs are whole or not there: full disks, folders that take no files, readers that leave, interrupts.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::{Folder, network};

/// Every output of every command: the command line, `@` the file, and its ending.
const OUTPUTS: [(&str, &str); 14] = [
    ("qcc net.onnx -q --no-data -o @", "bin"),
    ("qcc net.onnx -q --no-data -o other.bin --calib-out @", "json"),
    ("qcc net.onnx -q --no-data -o other.bin --emit asm=@", "qasm"),
    ("qcc net.onnx -q --no-data -o other.bin --emit qdq=@", "onnx"),
    ("qcc explain p.bin --json -o @", "json"),
    ("qsim p.bin --report @", "txt"),
    ("qsim p.bin --format csv --report @", "csv"),
    ("qsim p.bin -q --data pixels.npy --report other.json --output @", "npy"),
    ("qsim p.bin -q --data pixels.npy --report other.json --output @", "npz"),
    ("qsim p.bin -q --report other.json --trace=@", "json"),
    ("qsim p.bin -q --report other.json --trace=@", "vcd"),
    ("qsim p.bin -q --report other.json --trace=@", "fst"),
    ("qsim p.bin -q --report other.json --html @", "html"),
    ("qsim disasm p.bin -o @", "qasm"),
];

/// The program `p.bin` and 40 images of noise in `pixels.npy`.
fn folder(name: &str) -> Folder {
    let folder = Folder::with_program(name);
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (40, 1, 28, 28), }";
    file.extend(format!("{header:<117}\n").bytes());
    file.extend((0..40 * 28 * 28).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    folder.write("pixels.npy", &file);
    folder
}

#[test]
fn a_full_disk_is_said_and_nothing_is_left() {
    let folder = folder("full");
    for (line, ending) in OUTPUTS {
        // A link, because the endings say the forms. What else the command writes is not put in place either.
        let name = format!("full.{ending}");
        symlink("/dev/full", folder.0.join(&name)).unwrap();
        let said = folder.refused(&line.replace('@', &name));
        assert!(said.contains("No space left on device") && said.contains(&name), "{said}");
        assert!(said.ends_with("exit code 1\n"), "{said}");
        std::fs::remove_file(folder.0.join(&name)).unwrap();
    }
    assert!(std::fs::metadata("/dev/full").unwrap().file_type().is_char_device());
}

#[test]
fn a_file_that_outgrows_its_limit_is_not_left_behind() {
    let folder = folder("limit");
    for (line, ending) in OUTPUTS {
        let name = format!("large.{ending}");
        folder.write(&name, b"what was there before");
        let mut words = line.split_whitespace();
        let program = folder.command(words.next().unwrap(), &[]);
        let rest = words.collect::<Vec<_>>().join(" ").replace('@', &name);
        // Blocks of 512 bytes; the smallest of these files has more.
        let script = format!("ulimit -f 1; exec {} {rest}", program.get_program().display());
        let before = folder.names();
        let output = folder.command("sh", &["-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("File too large"), "{line}: {said}");
        assert_eq!(folder.names(), before, "{line}");
        assert_eq!(folder.read(&name), b"what was there before", "{line}");
        std::fs::remove_file(folder.0.join(&name)).unwrap();
    }
}

#[test]
fn a_folder_that_takes_no_files() {
    let folder = folder("locked");
    let locked = folder.0.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut places = vec![("locked", "permission denied")];
    if std::fs::write(locked.join("probe"), b"").is_ok() {
        println!("skipped the folder without permission: this user may write everywhere");
        places.clear();
    }
    // Nobody makes files there.
    if cfg!(target_os = "linux") {
        places.push(("/proc", "takes no files"));
    }
    for (place, reason) in places {
        for (line, ending) in OUTPUTS {
            let said = folder.refused(&line.replace('@', &format!("{place}/out.{ending}")));
            assert!(said.contains(reason) && said.ends_with("exit code 1\n"), "{said}");
        }
    }
}

#[test]
fn a_link_is_followed_and_a_device_stays_one() {
    let folder = folder("links");
    folder.write("real.qasm", b"old");
    symlink("real.qasm", folder.0.join("link.qasm")).unwrap();
    symlink("/dev/null", folder.0.join("null.qasm")).unwrap();
    for name in ["link.qasm", "null.qasm"] {
        assert!(folder.qsim(&["disasm", "p.bin", "-o", name]).status.success());
        let kind = std::fs::symlink_metadata(folder.0.join(name)).unwrap().file_type();
        assert!(kind.is_symlink(), "{name}");
    }
    assert_eq!(folder.read("real.qasm"), folder.qsim(&["disasm", "p.bin"]).stdout);
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let folder = folder("pipe");
    for line in [
        "qcc ops",
        "qcc passes",
        "qcc fetch",
        "qcc explain p.bin",
        "qcc net.onnx -q --no-data -o q.bin --emit qgraph",
        "qsim p.bin",
        "qsim p.bin --format json",
        "qsim p.bin --format csv",
        "qsim disasm p.bin",
        "qsim verify p.bin",
        "qsim --help",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut child = folder.command(words[0], &words[1..]).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        assert_eq!(output.status.code(), Some(0), "{line}");
    }
    // The program was complete before the reader was missed.
    assert!(folder.qsim(&["verify", "q.bin"]).status.success());
    let binary = folder.command("qsim", &[]).get_program().to_owned();
    let mut full = folder.command("sh", &["-c", "exec \"$0\" p.bin > /dev/full"]);
    let output = full.arg(binary).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to stdout: No space left"), "{said}");
}

/// Waits until a temporary file is there, so that the command is at work.
fn wait_for_partial(folder: &Folder, child: &mut Child) {
    let start = Instant::now();
    while !folder.names().iter().any(|name| name.ends_with(".partial")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        assert!(start.elapsed() < Duration::from_secs(60), "no temporary file");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_interrupt_leaves_what_was_there() {
    let folder = folder("interrupt");
    let (calibration, test) = (network("calibration.npz"), network("test.npz"));
    let compile =
        ["net.onnx", "-q", "--data", &calibration, "-o", "q.bin", "--calib-out", "c.json"];
    let compile = [&compile[..], &["--preprocess", "mean=0,std=255"]].concat();
    let run = ["p.bin", "-q", "--data", &test, "--reference", "--check", "--report", "r.json"];
    let run = [&run[..], &["--trace=t.fst", "--output", "y.npz"]].concat();
    for (program, args, outputs) in
        [("qcc", &compile, &["q.bin", "c.json"][..]), ("qsim", &run, &["r.json", "t.fst", "y.npz"])]
    {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            for name in outputs {
                folder.write(name, b"what was there before");
            }
            let before = folder.names();
            let mut child = folder.command(program, args).spawn().unwrap();
            wait_for_partial(&folder, &mut child);
            let kill = format!("kill -{signal} {}", child.id());
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{program}: {said}");
            assert!(output.stdout.is_empty() && said.is_empty(), "{said}");
            assert_eq!(folder.names(), before);
            for name in outputs {
                assert_eq!(folder.read(name), b"what was there before", "{name}");
            }
        }
    }
}
