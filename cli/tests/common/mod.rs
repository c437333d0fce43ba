//! What the tests of the binaries share: a folder of their own, the embedded network, and both binaries in it.
#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A file of the embedded network.
pub(crate) fn network(file: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/fashion_mnist");
    folder.join(file).to_str().unwrap().to_owned()
}

/// A folder of its own for each test, removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("qcc-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// With the embedded network as `net.onnx` and a program of it as `p.bin`.
    pub(crate) fn with_program(name: &str) -> Folder {
        let folder = Folder::new(name);
        folder.write("net.onnx", &std::fs::read(network("fashion_mnist.onnx")).unwrap());
        let how = ["--no-data", "--preprocess", "mean=0,std=255,color=gray", "--names"];
        let labels = network("labels.txt");
        let args = [&["net.onnx"], &how[..], &[&labels, "--quiet", "-o", "p.bin"]].concat();
        let output = folder.qcc(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    /// What the folder holds, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A command in the folder, away from any terminal.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let path = match program {
            "qcc" => env!("CARGO_BIN_EXE_qcc"),
            "qsim" => env!("CARGO_BIN_EXE_qsim"),
            "qdse" => env!("CARGO_BIN_EXE_qdse"),
            other => other,
        };
        let mut command = Command::new(path);
        command.current_dir(&self.0).args(args).stdin(Stdio::null()).env_remove("COLUMNS");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn qcc(&self, args: &[&str]) -> Output {
        self.command("qcc", args).output().unwrap()
    }

    pub(crate) fn qsim(&self, args: &[&str]) -> Output {
        self.command("qsim", args).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output and what it said.
    pub(crate) fn good(&self, program: &str, args: &[&str]) -> (String, String) {
        let output = self.command(program, args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{program} {args:?}: {said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    }

    /// Runs a command line that must fail: what it said and its exit code. Nothing may be printed, made or lost.
    pub(crate) fn refused(&self, line: &str) -> String {
        let before = self.names();
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = self.command(words[0], &words[1..]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
        assert!(said.lines().count() <= 24, "longer than a screen:\n{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(self.names(), before, "{line}: files were left behind");
        format!("$ {line}\n{}exit code {}\n", said, output.status.code().unwrap())
    }

    /// Several such commands, one after the other.
    pub(crate) fn transcript(&self, lines: &[&str]) -> String {
        lines.iter().map(|line| self.refused(line)).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
