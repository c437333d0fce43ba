//! `.npy` and `.npz` as samples.
//!
//! The first byte says what the rest is: a file as it is, or the members of an archive, which is then well formed but for their contents:
//! two bytes of length before each, stored or deflated.

use std::io::{Cursor, Write};

use rand::RngExt;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{Change, Rng, Target, scratch};

pub(super) const TARGET: Target = Target { name: "arrays", run, seeds, mutate, dictionary };

fn run(bytes: &[u8]) {
    let Some((&form, rest)) = bytes.split_first() else { return };
    let archived;
    let file = match form % 3 {
        0 => rest,
        method => {
            archived = archive(
                rest,
                if method == 1 { CompressionMethod::Stored } else { CompressionMethod::Deflated },
            );
            &archived
        }
    };
    let path = scratch::file("samples.npz", file);
    let classes: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
    for (shape, how) in [
        (&[1usize, 2, 2][..], None),
        (&[1, 1, 2, 2], Some("mean=1,std=2")),
        (&[4], None),
        (&[], None),
    ] {
        let _ = qcc::untrusted::samples(&path, shape, how, &classes);
        let _ = qcc::untrusted::raw_sample(&path, shape);
    }
}

/// Members `x`, `y` and `input`, as long as there are bytes.
fn archive(mut bytes: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["x.npy", "y.npy", "input.npy"] {
        let Some((&[low, high], rest)) = bytes.split_first_chunk() else { break };
        let (member, rest) =
            rest.split_at(usize::from(u16::from_le_bytes([low, high])).min(rest.len()));
        bytes = rest;
        let written = out
            .start_file(name, SimpleFileOptions::default().compression_method(method))
            .map(|()| out.write_all(member));
        assert!(matches!(written, Ok(Ok(()))), "memory takes every archive");
    }
    out.finish().expect("memory takes every archive").into_inner()
}

/// `version.0` of the format, a header and the elements.
fn npy(header: &str, elements: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header:<117}\n");
    out.extend_from_slice(&(padded.len() as u16).to_le_bytes());
    out.extend_from_slice(padded.as_bytes());
    out.extend_from_slice(elements);
    out
}

fn seeds() -> Vec<Vec<u8>> {
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
    };
    let arrays = [
        npy(&header("<f4", "(2, 2, 2)"), &[0; 32]),
        npy(&header("|u1", "(3, 2, 2)"), &[9; 12]),
        npy(&header("<f8", "(1, 2, 2)"), &[0; 32]),
        npy(&header("<i8", "(4,)"), &[0; 32]),
        npy(&header("|i1", "(4,)"), &[1; 4]),
        npy(&header("<i2", "(2, 2)"), &[1; 8]),
    ];
    let labels = npy(&header("<i8", "(2,)"), &[0; 16]);
    let mut seeds = Vec::new();
    for array in &arrays {
        seeds.push([vec![0], array.clone()].concat());
        for form in [1, 2] {
            let length = |array: &[u8]| (array.len() as u16).to_le_bytes().to_vec();
            seeds.push(
                [vec![form], length(array), array.clone(), length(&labels), labels.clone()]
                    .concat(),
            );
        }
        let members = [(array.len() as u16).to_le_bytes().to_vec(), array.clone()].concat();
        seeds.push([vec![0], archive(&members, CompressionMethod::Deflated)].concat());
    }
    // Much from little: a member of zeros.
    let zeros = npy(&header("|u1", "(16000, 2, 2)"), &[0; 64000]);
    seeds.push(
        [
            vec![0],
            archive(
                &[(zeros.len() as u16).to_le_bytes().to_vec(), zeros].concat(),
                CompressionMethod::Deflated,
            ),
        ]
        .concat(),
    );
    seeds
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng, change: &mut Change<'_>) {
    change(bytes);
    // The header of an array is text.
    if rng.random_bool(0.3)
        && let Some(at) = bytes.windows(6).position(|window| window == b"shape'")
    {
        let number = crate::mutate::number(rng).to_string();
        let digit = bytes[at..].iter().position(u8::is_ascii_digit).map_or(at, |digit| at + digit);
        let end = bytes[digit..]
            .iter()
            .position(|b| !b.is_ascii_digit())
            .map_or(bytes.len(), |n| digit + n);
        bytes.splice(digit..end, number.into_bytes());
    }
}

fn dictionary() -> Vec<String> {
    [
        "'descr'",
        "'fortran_order'",
        "'shape'",
        "True",
        "False",
        "<f4",
        "<f8",
        "|u1",
        "<i8",
        "<i4",
        "<i2",
        "|i1",
        ">f4",
        "<c8",
        "|b1",
        "<U4",
        "[('a', '<f4')]",
        "(",
        ",)",
        "NUMPY",
        "PK\u{1}\u{2}",
        "PK\u{3}\u{4}",
        "PK\u{5}\u{6}",
    ]
    .map(str::to_owned)
    .to_vec()
}
