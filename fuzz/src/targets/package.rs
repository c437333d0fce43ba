//! Downloaded packages: wheel, npm package, Debian package. The first byte chooses which, and what is wanted of it.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;

use crate::{Target, as_bytes, scratch};

pub(super) const TARGET: Target =
    Target { name: "package", run, seeds, mutate: as_bytes, dictionary };

/// What is wanted of the package; the sizes bound what may be unpacked.
pub(super) const MANIFESTS: [&str; 5] = [
    "[[entry]]\nname = 'a'\nabout = ''\ntool = 'pip'\npackage = 'p'\nversion = '1'\nlicence = 'MIT'\nproduct = 'a.onnx'\nrecipe = 'copy'\nfiles = [{ path = 'm/a.onnx', bytes = 5, sha256 = '' }]\n",
    "[[entry]]\nname = 'a'\nabout = ''\ntool = 'npm'\npackage = 'p'\nversion = '1'\nlicence = 'MIT'\nproduct = 'a.onnx'\nrecipe = 'digits'\nfiles = [{ path = 'm/a.onnx', bytes = 14, sha256 = '' }]\n",
    "[[entry]]\nname = 'a'\nabout = ''\ntool = 'apt'\npackage = 'p'\nversion = '1'\nlicence = 'MIT'\nproduct = 'a.onnx'\nrecipe = 'copy'\nfiles = [{ path = 'm/a.onnx', bytes = 5, sha256 = '' }]\n",
    "[[entry]]\nname = 'a'\nabout = ''\ntool = 'npm'\npackage = 'p'\nversion = '1'\nlicence = 'MIT'\nproduct = 'a.npz'\nrecipe = { idx = { samples = 1 } }\nfiles = [{ path = 'm/x', bytes = 60, sha256 = '' }, { path = 'm/y', bytes = 29, sha256 = '' }]\n",
    "[[entry]]\nname = 'a'\nabout = ''\ntool = 'pip'\npackage = 'p'\nversion = '1'\nlicence = 'MIT'\nproduct = 'a.onnx'\nrecipe = 'efficientnet_lite0'\nfiles = [{ path = 'm/a.onnx', bytes = 5, sha256 = '' }]\n",
];

fn run(bytes: &[u8]) {
    let Some((&form, file)) = bytes.split_first() else { return };
    let path = scratch::file("package", file);
    let _ = qcc::untrusted::package(&path, MANIFESTS[usize::from(form) % MANIFESTS.len()]);
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in members {
        let written =
            out.start_file(*name, SimpleFileOptions::default()).map(|()| out.write_all(contents));
        assert!(matches!(written, Ok(Ok(()))), "memory takes every archive");
    }
    out.finish().expect("memory takes every archive").into_inner()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, contents) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, *contents).expect("memory takes every archive");
    }
    out.into_inner().expect("memory takes every archive")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory takes every file");
    out.finish().expect("memory takes every file")
}

fn deb(member: &str, contents: &[u8]) -> Vec<u8> {
    let head = |name: &str, len: usize| {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{len:<10}`\n", 0, 0, 0, 100644).into_bytes()
    };
    [
        b"!<arch>\n".to_vec(),
        head("debian-binary", 4),
        b"2.0\n".to_vec(),
        head(member, contents.len()),
        contents.to_vec(),
    ]
    .concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let idx = |words: &[u32], elements: usize| {
        gzip(
            &[words.iter().flat_map(|word| word.to_be_bytes()).collect(), vec![7; elements]]
                .concat(),
        )
    };
    let (images, labels) = (idx(&[0x0803, 1, 28, 28], 784), idx(&[0x0801, 1], 1));
    vec![
        [vec![0], zip(&[("m/b", b"no"), ("m/a.onnx", b"hello")])].concat(),
        [vec![4], zip(&[("m/a.onnx", b"hello")])].concat(),
        [vec![1], gzip(&tar(&[("m/b", b"no"), ("m/a.onnx", b"{\"data\": [0]} ")]))].concat(),
        [vec![3], gzip(&tar(&[("m/x", &images), ("m/y", &labels)]))].concat(),
        [vec![2], deb("data.tar.xz", XZ)].concat(),
        [vec![2], deb("data.tar.gz", &gzip(&tar(&[])))].concat(),
    ]
}

/// A tar file with `m/a.onnx`, through `xz`.
const XZ: &[u8] = include_bytes!("package/tar.xz");

fn dictionary() -> Vec<String> {
    [
        "m/a.onnx",
        "m/x",
        "data.tar.xz",
        "!<arch>\n",
        "ustar",
        "././@LongLink",
        "PK\u{1}\u{2}",
        "PK\u{5}\u{6}",
        "PK\u{6}\u{6}",
    ]
    .map(str::to_owned)
    .to_vec()
}
