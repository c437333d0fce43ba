//! Files appear whole or not at all: each is written beside its place and renamed.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::print_bytes;
use crate::error::{CliError, describe};
use crate::interrupt::Scrap;

/// Where a result goes: a file, or standard output for `-`.
pub(crate) struct Output {
    path: PathBuf,
    to: To,
}

enum To {
    /// Beside its place until it is complete.
    File { file: BufWriter<File>, scrap: Scrap },
    /// A device or a pipe, which renaming would replace.
    Device(BufWriter<File>),
    /// Kept until all files are in place.
    Stdout(Vec<u8>),
}

impl Output {
    /// Opens it, so that a bad path is refused before any work.
    pub(crate) fn open(path: &Path) -> Result<Output, CliError> {
        let to = if path == Path::new("-") { To::Stdout(Vec::new()) } else { open(path)? };
        Ok(Output { path: path.to_path_buf(), to })
    }

    /// Writes `bytes`.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let written = self.write_all(bytes);
        written.map_err(|e| cannot_write(&self.path, &e))
    }

    /// Puts all in place; then prints what goes to standard output.
    pub(crate) fn finish(outputs: Vec<Output>) -> Result<(), CliError> {
        let (mut complete, mut printed) = (Vec::new(), Vec::new());
        for Output { path, to } in outputs {
            match to {
                To::Stdout(bytes) => printed.push(bytes),
                To::Device(mut file) => file.flush().map_err(|e| cannot_write(&path, &e))?,
                To::File { mut file, scrap } => {
                    file.flush().map_err(|e| cannot_write(&path, &e))?;
                    complete.push((scrap, place(&path)));
                }
            }
        }
        Scrap::put_in_place(complete).map_err(|(path, e)| cannot_write(&path, &e))?;
        printed.iter().try_for_each(|bytes| print_bytes(bytes))
    }
}

/// The file that a path stands for: what a link leads to.
fn place(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn open(path: &Path) -> Result<To, CliError> {
    if path.is_dir() {
        return Err(CliError::in_file(path, "is a folder; name a file to write"));
    }
    if path.exists() && !path.is_file() {
        let file = File::options().write(true).open(path);
        return Ok(To::Device(BufWriter::new(file.map_err(|e| cannot_write(path, &e))?)));
    }
    let target = place(path);
    let name = target.file_name().ok_or_else(|| CliError::in_file(path, "is not a file name"))?;
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    partial.push(format!(".{}.partial", std::process::id()));
    match Scrap::make(target.with_file_name(partial), |beside| File::create(beside)) {
        Ok((scrap, file)) => Ok(To::File { file: BufWriter::new(file), scrap }),
        Err(e) => Err(cannot_write(path, &e)),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = match (error.kind(), folder.is_dir()) {
        (_, false) => format!("folder `{}` does not exist", folder.display()),
        (std::io::ErrorKind::NotFound, true) => {
            format!("folder `{}` takes no files", folder.display())
        }
        (_, true) => describe(path, error),
    };
    CliError::in_file(path, format!("cannot be written: {reason}"))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.to {
            To::File { file, .. } | To::Device(file) => file.write(bytes),
            To::Stdout(kept) => kept.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.to {
            To::File { file, .. } | To::Device(file) => file.flush(),
            To::Stdout(_) => Ok(()),
        }
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match &mut self.to {
            To::File { file, .. } | To::Device(file) => file.seek(to),
            To::Stdout(_) => Err(std::io::Error::other("standard output goes forward only")),
        }
    }
}

/// Writes a whole file, or prints it if the path is `-`.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut output = Output::open(path)?;
    output.put(bytes)?;
    Output::finish(vec![output])
}

/// Refuses outputs that would overwrite an input or each other; each comes with its flag.
pub(crate) fn check_distinct(
    inputs: &[Option<&Path>],
    outputs: &[(&str, Option<&Path>)],
) -> Result<(), CliError> {
    let regular = |path: &&Path| *path != Path::new("-") && (path.is_file() || !path.exists());
    let real = |path: &Path| {
        // A file that is not there yet is known by its folder.
        path.canonicalize().ok().or_else(|| {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        })
    };
    let mut taken: Vec<(String, PathBuf)> = Vec::new();
    for input in inputs.iter().flatten().filter(|path| path.is_file()) {
        taken.extend(real(input).map(|path| ("reads".to_owned(), path)));
    }
    for (flag, output) in outputs {
        let Some((output, place)) =
            output.filter(regular).and_then(|output| Some((output, real(output)?)))
        else {
            continue;
        };
        if let Some((use_of, _)) = taken.iter().find(|(_, path)| *path == place) {
            return Err(CliError::Usage(format!(
                "{flag} {}: would overwrite what the command {use_of}\n  hint: name another file",
                output.display()
            )));
        }
        taken.push((format!("writes for {flag}"), place));
    }
    Ok(())
}
