//! A folder of images: flat with `labels.csv`, one subfolder per class, or without labels. Always in sorted order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::labels::{Classes, parse_csv};
use crate::error::{CliError, describe, read_file};
use crate::images::{EXTENSIONS, check_header, is_image};

/// The images of a folder.
pub(super) struct Listing {
    /// Files, sorted.
    pub files: Vec<PathBuf>,
    /// Class of each, if there are labels and they were asked for.
    pub labels: Option<Vec<i64>>,
}

/// Finds the images of a folder and checks each one's header.
///
/// # Errors
/// All files and labels that cannot be used, together.
pub(super) fn list(folder: &Path, classes: Option<&Classes<'_>>) -> Result<Listing, CliError> {
    let root =
        folder.canonicalize().map_err(|e| CliError::in_file(folder, describe(folder, &e)))?;
    let csv = folder.join("labels.csv");
    let mut problems = Vec::new();
    let listing = if csv.is_file() {
        // Errors repeat its lines.
        within(&root, &csv).map_err(|e| CliError::in_file(&csv, e))?;
        from_csv(folder, &csv, classes, &mut problems)?
    } else {
        let entries = entries(folder)?;
        let loose: Vec<PathBuf> = entries.iter().filter(|p| is_image(p)).cloned().collect();
        let mut by_class = BTreeMap::new();
        for subfolder in entries.iter().filter(|p| p.is_dir()) {
            let files: Vec<PathBuf> =
                self::entries(subfolder)?.into_iter().filter(|p| is_image(p)).collect();
            if !files.is_empty() {
                by_class.insert(subfolder.clone(), files);
            }
        }
        match (loose.is_empty(), by_class.is_empty()) {
            (false, false) => {
                return Err(CliError::in_file(
                    folder,
                    "holds images beside subfolders of images\n  hint: one subfolder per class, or all images in one folder with labels.csv",
                ));
            }
            (true, false) => from_subfolders(folder, by_class, classes)?,
            (_, true) => Listing { files: loose, labels: None },
        }
    };
    if listing.files.is_empty() && problems.is_empty() {
        let endings: Vec<String> = EXTENSIONS.iter().map(|e| format!(".{e}")).collect();
        return Err(CliError::in_file(folder, format!("holds no images ({})", endings.join(", "))));
    }
    let problem = |file: &PathBuf| {
        let shown = file.strip_prefix(folder).unwrap_or(file).display();
        check_file(&root, file).err().map(|e| format!("{shown}: {e}"))
    };
    problems.par_extend(listing.files.par_iter().filter_map(problem));
    if problems.is_empty() { Ok(listing) } else { Err(CliError::all(folder, problems)) }
}

/// What a folder holds, sorted, hidden files left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let fail = |e: std::io::Error| CliError::in_file(folder, describe(folder, &e));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Lines that cannot be used become `problems`; the files they name are listed all the same, so that these are looked at too.
fn from_csv(
    folder: &Path,
    csv: &Path,
    classes: Option<&Classes<'_>>,
    problems: &mut Vec<String>,
) -> Result<Listing, CliError> {
    let text =
        String::from_utf8(read_file(csv)?).map_err(|_| CliError::in_file(csv, "is not text"))?;
    let mut files: BTreeMap<PathBuf, i64> = BTreeMap::new();
    for entry in parse_csv(&text, problems) {
        let label = match classes.map(|classes| classes.index(&entry.label)).transpose() {
            Ok(label) => label.unwrap_or(-1),
            Err(problem) => {
                problems.push(format!("labels.csv, line {}: {problem}", entry.line));
                -1
            }
        };
        if files.insert(folder.join(&entry.file), label).is_some() {
            problems.push(format!("labels.csv, line {}: `{}` again", entry.line, entry.file));
        }
    }
    let (files, labels) = files.into_iter().unzip();
    Ok(Listing { files, labels: classes.is_some().then_some(labels) })
}

fn from_subfolders(
    folder: &Path,
    by_class: BTreeMap<PathBuf, Vec<PathBuf>>,
    classes: Option<&Classes<'_>>,
) -> Result<Listing, CliError> {
    let mut labels = Vec::new();
    let mut problems = Vec::new();
    if let Some(classes) = classes {
        let names: Vec<String> = by_class
            .keys()
            .map(|p| p.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        let numbered = names.iter().all(|name| name.parse::<u32>().is_ok());
        // Without names and numbers the order is all there is to go by, and it says nothing about a part of the classes.
        let by_order = classes.names.is_empty() && !numbered;
        if by_order && names.len() != classes.count {
            return Err(CliError::in_file(
                folder,
                format!(
                    "holds {} subfolders for {} classes, so their order does not say which is which\n  hint: qcc --names labels.txt, or class indexes as subfolder names",
                    names.len(),
                    classes.count
                ),
            ));
        }
        for (i, (name, files)) in names.iter().zip(by_class.values()).enumerate() {
            match if by_order { Ok(i as i64) } else { classes.index(name) } {
                Ok(class) => labels.extend(files.iter().map(|_| class)),
                Err(problem) => problems.push(format!("subfolder {name}: {problem}")),
            }
        }
    }
    if !problems.is_empty() {
        return Err(CliError::all(folder, problems));
    }
    let files = by_class.into_values().flatten().collect();
    Ok(Listing { files, labels: classes.is_some().then_some(labels) })
}

/// A file within the folder, also through links, that begins like an image.
fn check_file(root: &Path, file: &Path) -> Result<(), String> {
    let real = within(root, file)?;
    // A pipe or a device would be read for ever.
    if !real.is_file() {
        return Err("is not a file".into());
    }
    check_header(&std::fs::read(&real).map_err(|e| describe(file, &e))?)
}

/// Where a file lies, all links followed, if that is within the folder.
fn within(root: &Path, file: &Path) -> Result<PathBuf, String> {
    let real = file.canonicalize().map_err(|e| describe(file, &e))?;
    if real.starts_with(root) {
        Ok(real)
    } else {
        Err("leads out of the folder; not followed".into())
    }
}
