//! Files for readers that take a path.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A folder of this process under the system's temporary one (`TMPDIR`).
#[must_use]
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("qcc-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        folder
    })
}

/// Writes a file of the folder and returns its path.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("the temporary folder can be written");
    }
    std::fs::write(&path, bytes).expect("the temporary folder can be written");
    path
}
