//! The only place that prints or writes files: results to stdout, talk to stderr, files whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{CliError, describe};

/// How much to say on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Warnings and a line about what was made.
    Normal,
    /// Every step.
    Verbose,
}

/// Where talk goes, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    /// How much to say.
    pub verbosity: Verbosity,
}

impl Talk {
    /// A line about what happens.
    pub(crate) fn note(self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(&format!("{text}\n"));
        }
    }

    /// A line for `-v`.
    pub(crate) fn detail(self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Verbose {
            say(&format!("{text}\n"));
        }
    }

    /// Something the user should know but that stops nothing.
    pub(crate) fn warn(self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(&format!("warning: {text}\n"));
        }
    }
}

/// Writes to stderr; a closed stderr is nobody's problem.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a result to stdout.
///
/// # Errors
/// [`CliError::Closed`] when the reader has gone (a closed pipe), [`CliError::Refused`] when the disk is full.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(CliError::Closed),
        Err(e) => Err(CliError::refused(format!("cannot write to stdout: {e}"))),
    }
}

/// A file that appears under its name only when it is complete: written beside it, then renamed.
pub(crate) struct AtomicFile {
    target: PathBuf,
    partial: PathBuf,
    file: Option<std::io::BufWriter<std::fs::File>>,
}

impl AtomicFile {
    /// Opens the temporary file, so that a bad path is refused before any work.
    pub(crate) fn create(target: &Path) -> Result<AtomicFile, CliError> {
        if target.is_dir() {
            return Err(CliError::in_file(target, "is a folder; name a file to write"));
        }
        let name =
            target.file_name().ok_or_else(|| CliError::in_file(target, "is not a file name"))?;
        let mut partial_name = std::ffi::OsString::from(".");
        partial_name.push(name);
        partial_name.push(format!(".{}.partial", std::process::id()));
        let partial = target.with_file_name(partial_name);
        let file = std::fs::File::create(&partial).map_err(|e| {
            let folder =
                target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let reason = if folder.is_dir() {
                describe(&partial, &e)
            } else {
                format!("folder `{}` does not exist", folder.display())
            };
            CliError::in_file(target, format!("cannot be written: {reason}"))
        })?;
        Ok(AtomicFile {
            target: target.to_path_buf(),
            partial,
            file: Some(std::io::BufWriter::new(file)),
        })
    }

    /// Puts the complete file in place.
    pub(crate) fn commit(mut self) -> Result<(), CliError> {
        let failed = |e: std::io::Error, target: &Path| {
            CliError::in_file(target, format!("cannot be written: {e}"))
        };
        if let Some(mut file) = self.file.take() {
            file.flush().map_err(|e| failed(e, &self.target))?;
        }
        std::fs::rename(&self.partial, &self.target).map_err(|e| failed(e, &self.target))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(std::io::Error::other("file already committed")),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl std::io::Seek for AtomicFile {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        match &mut self.file {
            Some(file) => file.seek(to),
            None => Err(std::io::Error::other("file already committed")),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a rename there is nothing left under this name; after a failure nothing half-written stays.
        self.file = None;
        let _ = std::fs::remove_file(&self.partial);
    }
}

/// Writes a whole file atomically, or prints it if the path is `-`.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    if path == Path::new("-") {
        return print_bytes(bytes);
    }
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .map_err(|e| CliError::in_file(path, format!("cannot be written: {e}")))?;
    file.commit()
}
