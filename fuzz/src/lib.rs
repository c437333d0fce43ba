//! Hostile files: for each kind of file that is read from outside one fuzz target, which goes as deep as the file lets it.
//!
//! A target is a function of bytes that must return, whatever the bytes are: no panic, no memory beyond what the bytes justify
//! ([`memory`]), no hang. Two drivers call it: libFuzzer (`src/bin/fuzz.rs`, through `fuzz/run.sh`) and, with Rust alone and in every
//! `cargo test`, `tests/smoke.rs`.

pub mod memory;
pub mod mutate;
pub mod scratch;
pub mod targets;

use std::path::Path;

/// Random numbers of mutators and of data for programs.
pub type Rng = rand_pcg::Pcg64Mcg;

/// Any change of bytes, by whoever drives: libFuzzer's, which remembers what the target compared, or [`mutate::bytes`].
pub type Change<'a> = dyn FnMut(&mut Vec<u8>) + 'a;

/// One kind of file.
pub struct Target {
    /// Name on the command line.
    pub name: &'static str,
    /// Reads the bytes and does all that a command would do with them.
    pub run: fn(&[u8]),
    /// Bytes to begin with, made from the repository's own networks and programs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Changes a file so that what lies behind its checksums and lengths is met, too; often with the change that it is given.
    pub mutate: fn(&mut Vec<u8>, &mut Rng, &mut Change<'_>),
    /// Words of the format.
    pub dictionary: fn() -> Vec<String>,
}

impl Target {
    /// The target of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Target> {
        targets::ALL.iter().find(|target| target.name == name)
    }

    /// Fills a folder with what the target begins with, one file a seed, and a file beside it, `.dict`, with the words of the format, as libFuzzer's `-dict`
    /// takes them.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_seeds(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (i, seed) in (self.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{i:03}")), seed)?;
        }
        let escaped = |byte| format!("\\x{byte:02x}");
        let line =
            |word: String| format!("\"{}\"\n", word.bytes().map(escaped).collect::<String>());
        let words: String = (self.dictionary)().into_iter().map(line).collect();
        std::fs::write(folder.with_extension("dict"), words)
    }
}

/// Changes the bytes as they are.
pub(crate) fn as_bytes(bytes: &mut Vec<u8>, _: &mut Rng, change: &mut Change<'_>) {
    change(bytes);
}
