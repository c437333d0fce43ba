//! The list of packages that `qcc fetch` knows. It is part of the program; read as if it were not.

use crate::{Target, mutate};

pub(super) const TARGET: Target =
    Target { name: "manifest", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = qcc::untrusted::manifest(text);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../../programs/fetch.toml").to_vec(),
        super::package::MANIFESTS[0].into(),
    ]
}

fn dictionary() -> Vec<String> {
    [
        "[[entry]]",
        "name",
        "about",
        "tool",
        "pip",
        "npm",
        "apt",
        "package",
        "version",
        "licence",
        "product",
        "recipe",
        "copy",
        "idx",
        "samples",
        "digits",
        "files",
        "path",
        "bytes",
        "sha256",
        "../",
    ]
    .map(str::to_owned)
    .to_vec()
}
