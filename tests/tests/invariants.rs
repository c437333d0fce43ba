//! The invariants of ARCHITECTURE.md that are visible in the tree: who depends on whom, where floats and printing live, how large files are.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Crates of the workspace that a crate's `[dependencies]` name.
fn dependencies(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    let crates = [
        "isa",
        "kernels",
        "ir",
        "runtime",
        "timing",
        "compiler",
        "simulator",
        "charts",
        "explorer",
        "qcc",
    ];
    let mut section = "";
    let mut out = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let key = line.split(['.', ' ', '=']).next().unwrap_or("");
        if section == "[dependencies]" && crates.contains(&key) {
            out.push(key.to_string());
        }
    }
    out
}

/// Every `.rs` file below a folder, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push((path, text));
        }
    }
    out.sort();
    out
}

/// Text before the unit tests at the end of a file.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Whether a file holds nothing but tests.
fn is_test(path: &Path) -> bool {
    path.components().any(|c| {
        ["tests", "testing", "tests.rs", "testing.rs"].iter().any(|name| c.as_os_str() == *name)
    })
}

#[test]
fn crates_look_one_way() {
    let allowed: [(&str, &[&str]); 10] = [
        ("isa", &[]),
        ("kernels", &[]),
        ("ir", &["isa"]),
        ("runtime", &["ir", "isa", "kernels"]),
        ("timing", &["isa"]),
        ("compiler", &["ir", "isa", "runtime", "timing"]),
        ("simulator", &["isa", "kernels", "timing"]),
        ("charts", &["isa", "simulator", "timing"]),
        ("explorer", &["charts", "compiler", "ir", "isa", "runtime", "simulator", "timing"]),
        (
            "cli",
            &[
                "charts",
                "compiler",
                "explorer",
                "ir",
                "isa",
                "kernels",
                "runtime",
                "simulator",
                "timing",
            ],
        ),
    ];
    for (name, may_see) in allowed {
        for dependency in dependencies(name) {
            assert!(
                may_see.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn float_arithmetic_is_denied_where_integers_are_promised() {
    let places = [
        "isa/src/numerics.rs",
        "kernels/src/lib.rs",
        "runtime/src/int8/mod.rs",
        "runtime/src/int8.rs",
        "simulator/src/exec.rs",
        "simulator/src/exec/mod.rs",
    ];
    let mut held = 0;
    for place in places {
        let path = root().join(place);
        if let Ok(text) = std::fs::read_to_string(&path) {
            assert!(
                text.contains("clippy::float_arithmetic"),
                "{place} does not deny float arithmetic"
            );
            held += 1;
        }
    }
    assert_eq!(held, 4, "one place each in isa::numerics, kernels, runtime and simulator");
}

#[test]
fn values_and_time_do_not_mix() {
    for (path, text) in sources(&root().join("simulator/src/exec")) {
        assert!(!code(&text).contains("timing::"), "{} sees time", path.display());
    }
    for (path, text) in sources(&root().join("timing/src/event")) {
        assert!(!code(&text).contains("stepped"), "{} sees the stepped core", path.display());
    }
    for (path, text) in sources(&root().join("timing/src/stepped")) {
        assert!(
            !code(&text).contains("crate::event"),
            "{} sees the event-driven core",
            path.display()
        );
    }
}

#[test]
fn only_the_binaries_print_exit_or_read_their_surroundings() {
    for name in
        ["isa", "kernels", "ir", "runtime", "timing", "compiler", "simulator", "charts", "explorer"]
    {
        for (path, text) in sources(&root().join(name).join("src"))
            .into_iter()
            .filter(|(p, _)| !is_test(p.strip_prefix(root()).unwrap()))
        {
            for banned in
                ["println!", "eprintln!", "process::exit", "SystemTime", "Instant::now", "env::var"]
            {
                assert!(!code(&text).contains(banned), "{} uses {banned}", path.display());
            }
        }
    }
}

#[test]
fn files_stay_readable() {
    for name in [
        "isa",
        "kernels",
        "ir",
        "runtime",
        "timing",
        "compiler",
        "simulator",
        "charts",
        "explorer",
        "cli",
        "tests",
        "fuzz",
    ] {
        for (path, text) in sources(&root().join(name)) {
            let lines = text.lines().count();
            assert!(lines <= 800, "{} has {lines} lines", path.display());
            assert!(
                is_test(&path) || text.starts_with("//!"),
                "{} does not say what it is",
                path.display()
            );
            for banned in ["todo!(", "unimplemented!(", concat!("FIX", "ME"), concat!("TO", "DO")] {
                assert!(
                    !text.contains(banned) || path.ends_with("invariants.rs"),
                    "{} holds {banned}",
                    path.display()
                );
            }
        }
    }
}
