//! What can go wrong in a command, and the exit code that says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A failure that ends a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Input was read and refused, or could not be read.
    #[error("{0}")]
    Refused(String),
    /// The command line asks for something impossible.
    #[error("{0}")]
    Usage(String),
    /// The command ran, but a check or a constraint failed.
    #[error("{0}")]
    Failed(String),
    /// The reader of our output went away: not an error.
    #[error("output closed")]
    Closed,
}

impl CliError {
    /// Input refused, for any displayable reason.
    pub(crate) fn refused(reason: impl std::fmt::Display) -> CliError {
        CliError::Refused(reason.to_string())
    }

    /// Input refused, naming the file.
    pub(crate) fn in_file(path: &Path, reason: impl std::fmt::Display) -> CliError {
        CliError::Refused(format!("{}: {reason}", path.display()))
    }

    /// Input refused for several reasons, naming the file or folder; at most a screen of them.
    pub(crate) fn all(path: &Path, mut problems: Vec<String>) -> CliError {
        const SHOWN: usize = 10;
        if problems.len() == 1 {
            return CliError::in_file(path, problems.remove(0));
        }
        let count = problems.len();
        if count > SHOWN {
            problems.truncate(SHOWN);
            problems.push(format!("and {} more", count - SHOWN));
        }
        let list: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        CliError::in_file(path, format!("{count} problems{list}"))
    }

    /// 1 input refused, 2 usage, 3 a check failed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Refused(_) => ExitCode::from(1),
            CliError::Usage(_) => ExitCode::from(2),
            CliError::Failed(_) => ExitCode::from(3),
            CliError::Closed => ExitCode::SUCCESS,
        }
    }
}

/// Reads a whole file, with an error that names it and, for a missing one, the closest name beside it.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    if path.is_dir() {
        return Err(CliError::in_file(path, "is a folder, not a file"));
    }
    std::fs::read(path).map_err(|e| CliError::in_file(path, describe(path, &e)))
}

/// An I/O error in words, with a hint where a name was mistyped.
pub(crate) fn describe(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => match similar_file(path) {
            Some(near) => format!("no such file\n  hint: did you mean `{}`?", near.display()),
            None => "no such file".into(),
        },
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

fn similar_file(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = path.file_name()?.to_str()?;
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let near = names.into_iter().map(|n| (distance(wanted, &n), n)).min()?;
    (near.0 <= 2 && near.0 < wanted.len()).then(|| path.with_file_name(near.1))
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("model.onnx", "model.onnx"), 0);
        assert_eq!(distance("modle.onnx", "model.onnx"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
