//! Saving and loading again gives the same graph; files and their neighbours on disk.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::graph::{Graph, Op};
use crate::onnx::proto::StringStringEntryProto;
use crate::onnx::{load, save};
use crate::tensor::Data;
use crate::testing::graphs;

fn reload(graph: &Graph) -> Graph {
    load_bytes(save(graph).into(), &LoadOptions::default())
        .unwrap_or_else(|error| panic!("{error}\n{graph}"))
        .graph
}

proptest! {
    #[test]
    fn a_saved_graph_loads_as_itself(graph in graphs()) {
        // Loading numbers the values in the order of their use, so compare the second trip with the first.
        let first = reload(&graph);
        prop_assert_eq!(&reload(&first), &first);
        let ops = |graph: &Graph| graph.nodes.iter().map(|n| (n.name.clone(), n.op.clone())).collect::<Vec<_>>();
        prop_assert_eq!(ops(&first), ops(&graph));
        for node in &graph.nodes {
            let value = graph.value(node.output).unwrap();
            let same = first.values.iter().find(|v| v.name == value.name).unwrap();
            prop_assert_eq!(&same.shape, &value.shape);
        }
    }
}

#[test]
fn repeated_values_are_written_as_such() {
    let text = "graph \"g\" (%x: f32[1, 500, 500]) -> (%y) {
  %k: f32[500, 500] = const splat=0.25
  %y: f32[1, 500, 500] = add \"a\"(%x, %k)
}
";
    let graph: Graph = text.parse().unwrap();
    assert!(save(&graph).len() < 1000);
    assert_eq!(reload(&graph).to_string(), text);
}

#[test]
fn a_dense_layer_on_many_axes_keeps_its_values() {
    let text = "graph \"g\" (%x: f32[2, 4, 3]) -> (%y) {
  %w: f32[2, 3] = const data=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
  %b: f32[2] = const data=[1.0, 2.0]
  %y: f32[2, 4, 2] = dense \"d\"(%x, %w, %b)
}
";
    let again = reload(&text.parse().unwrap());
    assert_eq!(again.nodes.len(), 2);
    assert_eq!(again.nodes[0].op, Op::Dense);
    assert_has(&again.to_string(), "dense \"d/product\"(%x, %w)");
    assert_has(&again.to_string(), "%y: f32[2, 4, 2] = add \"d\"(%d/product, %b)");
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ir-onnx-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("model/sub")).unwrap();
        Folder(path)
    }

    fn load(&self, tiny: &Tiny) -> Result<Model, LoadError> {
        let path = self.0.join("model/m.onnx");
        fs::write(&path, tiny.bytes()).unwrap();
        load(&path, &LoadOptions::default())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn with_external(entries: &[(&str, &str)]) -> Tiny {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let external = TensorProto {
        raw_data: None,
        data_location: TensorProto::EXTERNAL,
        external_data: entries.iter().map(entry).collect(),
        ..floats_tensor("k", &[2], &[])
    };
    Tiny::new(13)
        .input("x", "1,2")
        .node("Add x k -> y", &[])
        .with(|model| graph(model).initializer.push(external))
}

#[test]
fn weights_may_lie_in_another_file_of_the_folder() {
    let folder = Folder::new("external");
    let bytes: Vec<u8> = [9.0f32, 1.0, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(folder.0.join("model/sub/w.bin"), &bytes).unwrap();
    fs::write(folder.0.join("outside.bin"), &bytes).unwrap();
    let load = |entries: &[(&str, &str)]| {
        folder.load(&with_external(entries)).map_err(|error| error.to_string())
    };
    let model = load(&[("location", "./sub/w.bin"), ("offset", "4"), ("length", "8")]).unwrap();
    assert_has(&model.graph.to_string(), "%k: f32[2] = const data=[1.0, 2.0]");
    assert!(
        load(&[("location", "sub/w.bin"), ("offset", "4")]).is_ok(),
        "the length may be left out"
    );

    let outside = folder.0.join("outside.bin");
    for location in ["../outside.bin", "sub/../../outside.bin", outside.to_str().unwrap()] {
        assert_has(
            &load(&[("location", location)]).unwrap_err(),
            "is not inside the model's folder",
        );
    }
    assert_has(&load(&[("location", "sub")]).unwrap_err(), "is not inside the model's folder");
    assert_has(&load(&[("location", "none.bin")]).unwrap_err(), "cannot be read");
    assert_has(&load(&[]).unwrap_err(), "has no valid `location`");
    let range =
        |offset, length| load(&[("location", "sub/w.bin"), ("offset", offset), ("length", length)]);
    assert_has(&range("8", "8").unwrap_err(), "bytes 8 to 16 of `sub/w.bin`, which has 12");
    assert_has(&range("18446744073709551615", "2").unwrap_err(), "which has 12");
    assert_has(&range("x", "8").unwrap_err(), "has no valid `offset`");
    assert_has(&range("0", "12").unwrap_err(), "found 12 bytes of elements, expected 8");
    assert_has(&with_external(&[("location", "w.bin")]).refusal(), "the model has no folder");
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_folder_are_not_followed() {
    let folder = Folder::new("links");
    fs::write(folder.0.join("outside.bin"), [0; 8]).unwrap();
    fs::write(folder.0.join("model/inside.bin"), [0; 8]).unwrap();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, folder.0.join("model").join(name)).unwrap()
    };
    link("../outside.bin", "out.bin");
    link("inside.bin", "in.bin");
    let load = |location| folder.load(&with_external(&[("location", location)]));
    assert_has(&load("out.bin").unwrap_err().to_string(), "is not inside the model's folder");
    assert!(load("in.bin").is_ok());
}

#[test]
fn weights_of_a_mapped_file_are_not_copied() {
    let folder = Folder::new("mapped");
    let tiny = Tiny::new(13).input("x", "1,2").floats("k", &[2]).node("Add x k -> y", &[]);
    let model = folder.load(&tiny).unwrap();
    let constant = model.graph.values.iter().find_map(|value| value.constant.as_ref()).unwrap();
    assert!(matches!(constant.data, Data::MappedF32(_)));
}

#[test]
fn files_that_are_not_onnx_are_named() {
    let folder = Folder::new("other");
    let refuse = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.0.join(name);
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        load(&path, &LoadOptions::default()).unwrap_err().to_string()
    };
    assert_has(&refuse("empty", Some(&[])), "not an ONNX file: ");
    assert_has(&refuse("empty", Some(&[])), "is empty");
    assert_has(&refuse("model", None), "is not a regular file");
    assert_has(&refuse("missing", None), "cannot read");
    assert_has(&refuse("text", Some(b"hello, world\n")), "does not decode");
    assert_has(&refuse("picture", Some(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")), "does not decode");
    // A valid message without a graph: IR version 8.
    assert_has(&refuse("no_graph", Some(&[8, 8])), "holds no graph");
    // A length of 2^63, and a varint that never ends.
    assert_has(
        &refuse("huge", Some(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
        "does not decode",
    );
    assert_has(&refuse("varint", Some(&[0xff; 64])), "does not decode");
    assert_has(
        &load(Path::new("/dev/null"), &LoadOptions::default()).unwrap_err().to_string(),
        "is not a regular file",
    );
}
