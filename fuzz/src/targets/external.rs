//! Constants in other files: whatever a model names, nothing outside its folder is read.
//!
//! The input is three lines: location, offset, length. The folder holds `weights`, `sub/weights`, and links that lead out of it.

use std::path::Path;

use ir::onnx::proto::{StringStringEntryProto, TensorProto};
use ir::onnx::{LoadOptions, load};
use prost::Message;

use super::onnx::{model, node};
use crate::{Target, mutate, scratch};

pub(super) const TARGET: Target =
    Target { name: "external", run, seeds, mutate: mutate::text, dictionary };

/// First element of every file inside and outside the folder.
const INSIDE: f32 = 2.0;
const OUTSIDE: f32 = 666.0;

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let folder = prepare();
    let mut model = model(vec![node("Add", &["x", "w"], &["z"])]);
    let entries = ["location", "offset", "length"]
        .into_iter()
        .zip(text.split('\n'))
        .filter(|(_, value)| !value.is_empty());
    let external_data = entries
        .map(|(key, value)| StringStringEntryProto { key: key.into(), value: value.into() })
        .collect();
    let tensor = TensorProto {
        name: "w".into(),
        dims: vec![2],
        data_type: 1,
        data_location: TensorProto::EXTERNAL,
        external_data,
        ..TensorProto::default()
    };
    if let Some(graph) = &mut model.graph {
        graph.initializer = vec![tensor];
    }
    let path = scratch::file("model/model.onnx", &model.encode_to_vec());
    debug_assert!(path.starts_with(folder));
    match load(&path, &LoadOptions::default()) {
        Err(error) => drop(error.to_string()),
        Ok(model) => {
            assert!(!model.graph.to_string().contains("666"), "a file outside the folder was read")
        }
    }
}

fn prepare() -> &'static Path {
    use std::sync::OnceLock;
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let floats = |value: f32| value.to_le_bytes().repeat(16);
        scratch::file("outside", &floats(OUTSIDE));
        scratch::file("model/sub/weights", &floats(INSIDE));
        let folder = scratch::file("model/weights", &floats(INSIDE))
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        #[cfg(unix)]
        for (link, target) in [
            ("link", "../outside"),
            ("up", ".."),
            ("round", "round"),
            ("null", "/dev/zero"),
            ("in", "weights"),
        ] {
            let _ = std::os::unix::fs::symlink(target, folder.join(link));
        }
        folder
    })
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "weights\n0\n8",
        "sub/weights\n4\n",
        "in\n\n8",
        "link\n0\n8",
        "up/outside\n\n8",
        "../outside\n0\n8",
        "sub/../../outside\n0\n8",
        "null\n0\n8",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn dictionary() -> Vec<String> {
    [
        "weights",
        "sub",
        "..",
        "../",
        "outside",
        "link",
        "up",
        "in",
        "null",
        "round",
        "/",
        "./",
        "model",
        "/dev/zero",
    ]
    .map(str::to_owned)
    .to_vec()
}
