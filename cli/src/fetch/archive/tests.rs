//! Crafted archives: good ones, and what a hostile or careless server may send.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use zip::write::SimpleFileOptions;

use super::*;
use crate::float_model::sha256_hex;

fn wanted(path: &str, bytes: &[u8]) -> Wanted {
    Wanted { path: path.to_owned(), bytes: bytes.len() as u64, sha256: sha256_hex(bytes) }
}

/// The archive in a file of its own, as a client leaves it.
fn extracted(tool: Tool, archive: &[u8], wanted: &[Wanted]) -> Result<Vec<Vec<u8>>, String> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("qcc-archive-{}-{number}", std::process::id()));
    std::fs::write(&path, archive).unwrap();
    let result = extract(tool, &path, wanted);
    std::fs::remove_file(&path).unwrap();
    result
}

fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut file = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

/// An `ar` archive.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        writeln!(out, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", bytes.len())
            .unwrap();
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn deb(data: &[u8]) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", data)])
}

const A: &[u8] = b"the first file";
const B: &[u8] = &[7; 5000];
const FILES: [(&str, &[u8]); 3] = [("p/a.onnx", A), ("p/other", b"-"), ("p/b.bin", B)];

#[test]
fn the_wanted_files_come_out_in_the_order_asked_for() {
    let want = [wanted("p/b.bin", B), wanted("p/a.onnx", A)];
    let dotted: Vec<(String, &[u8])> =
        FILES.iter().map(|(name, bytes)| (format!("./{name}"), *bytes)).collect();
    let dotted: Vec<(&str, &[u8])> = dotted.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    for (tool, archive) in [
        (Tool::Pip, wheel(&FILES)),
        (Tool::Npm, gzip(&tarball(&FILES))),
        (Tool::Apt, deb(&xz(&tarball(&FILES)))),
        (Tool::Apt, deb(&xz(&tarball(&dotted)))),
    ] {
        assert_eq!(extracted(tool, &archive, &want).unwrap(), [B.to_vec(), A.to_vec()], "{tool:?}");
    }
}

#[test]
fn a_file_that_is_missing_or_of_another_size_is_named() {
    let archives = |files: &[(&str, &[u8])]| {
        [
            (Tool::Pip, wheel(files)),
            (Tool::Npm, gzip(&tarball(files))),
            (Tool::Apt, deb(&xz(&tarball(files)))),
        ]
    };
    for (tool, archive) in archives(&FILES) {
        let told = |want: Wanted| extracted(tool, &archive, &[want]).unwrap_err();
        assert!(told(wanted("p/c", A)).contains("p/c"));
        assert!(told(wanted("p/a.onnx", &A[1..])).contains("larger than the 13 bytes"));
        assert!(told(wanted("p/a.onnx", B)).contains("has 14 bytes, expected 5000"));
        // Names are compared whole.
        assert!(extracted(tool, &archive, &[wanted("a.onnx", A)]).is_err());
    }
}

#[test]
fn an_archive_that_unpacks_to_much_more_is_read_no_further() {
    // 16 MiB of zeros where 10 bytes are expected.
    let zeros = vec![0; 16 << 20];
    let files: [(&str, &[u8]); 1] = [("bomb", &zeros)];
    for (tool, archive) in [
        (Tool::Pip, wheel(&files)),
        (Tool::Npm, gzip(&tarball(&files))),
        (Tool::Apt, deb(&xz(&tarball(&files)))),
    ] {
        let told = extracted(tool, &archive, &[wanted("bomb", &[0; 10])]).unwrap_err();
        assert!(told.contains("larger than the 10 bytes"), "{told}");
    }
}

#[test]
fn links_are_not_files() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "p/a.onnx", "/etc/passwd").unwrap();
    let archive = gzip(&archive.into_inner().unwrap());
    let told = extracted(Tool::Npm, &archive, &[wanted("p/a.onnx", A)]).unwrap_err();
    assert!(told.contains("not a plain file"), "{told}");
}

#[test]
fn damaged_archives_are_refused() {
    let want = [wanted("p/b.bin", B)];
    for (tool, archive) in [
        (Tool::Pip, wheel(&FILES)),
        (Tool::Npm, gzip(&tarball(&FILES))),
        (Tool::Apt, deb(&xz(&tarball(&FILES)))),
    ] {
        for len in (0..archive.len()).step_by(7) {
            // The end of a tar file is only padding: what comes out whole is right.
            if let Ok(files) = extracted(tool, &archive[..len], &want) {
                assert_eq!(files, [B]);
            }
        }
        for at in (0..archive.len()).step_by(11) {
            let mut bad = archive.clone();
            bad[at] ^= 0x55;
            // Never a panic; what comes out is checked against its hash.
            let _ = extracted(tool, &bad, &want);
        }
        assert!(extracted(tool, b"", &want).is_err());
        assert!(extracted(tool, b"hello, this is not an archive", &want).is_err());
    }
    let told = extracted(Tool::Apt, &ar(&[("data.tar.zst", b"..")]), &want).unwrap_err();
    assert!(told.contains("data.tar.zst"), "{told}");
    let told = extracted(Tool::Apt, &ar(&[("debian-binary", b"2.0\n")]), &want).unwrap_err();
    assert!(told.contains("no data.tar.xz"), "{told}");
    let mut endless = deb(b"");
    endless[8 + 48..8 + 58].copy_from_slice(b"9999999999");
    assert!(extracted(Tool::Apt, &endless, &want).is_err());
}
