//! Images, class names, several inputs and outputs: what a user does with files, through the binaries.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::path::Path;

use common::{Folder, network};
use serde_json::Value;

const HOW: &str = "mean=0,std=255,color=gray";

fn report(folder: &Folder, args: &[&str]) -> (Value, String) {
    let (text, said) = folder.good("qsim", &[args, &["--format", "json"]].concat());
    (serde_json::from_str(&text).unwrap(), said)
}

/// Drawn garments: stripes and boxes that the network sees as something.
fn drawing(index: usize) -> Vec<u8> {
    let pixel = |y: usize, x: usize| match index % 3 {
        0 if (4..24).contains(&x) && y > 2 => 200 - 3 * index,
        1 if (10..18).contains(&x) || (18..24).contains(&y) => 255 - 7 * y,
        2 if x > y => 90 + index * 11,
        _ => 0,
    };
    (0..28 * 28).map(|i| pixel(i / 28, i % 28) as u8).collect()
}

/// Six drawings as images in `folder/`, and the same in `pixels.npy`.
fn drawings(folder: &Folder) {
    std::fs::create_dir(folder.0.join("folder")).unwrap();
    let mut all = Vec::new();
    for i in 0..6 {
        let pixels = drawing(i);
        all.extend(&pixels);
        let image = image::GrayImage::from_raw(28, 28, pixels).unwrap();
        image.save(folder.0.join(format!("folder/{i}.png"))).unwrap();
    }
    folder.write("pixels.npy", &npy("|u1", "(6, 1, 28, 28)", &all));
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16 + 1).to_le_bytes());
    out.extend(header.bytes().chain([b'\n']));
    out.extend(data);
    out
}

/// Shape and values of an `.npy` of float32.
fn floats(bytes: &[u8]) -> (Vec<u64>, Vec<f32>) {
    let npy = npyz::NpyFile::new(bytes).unwrap();
    (npy.shape().to_vec(), npy.into_vec().unwrap())
}

fn compile(folder: &Folder, data: &str, to: &str) {
    let (model, names) = (network("fashion_mnist.onnx"), network("labels.txt"));
    folder.good("qcc", &[&model, "--data", data, "--preprocess", HOW, "--names", &names, "-o", to]);
}

#[test]
fn a_folder_of_images_is_the_array_of_its_pixels() {
    let folder = Folder::new("same");
    drawings(&folder);
    compile(&folder, "folder", "a.bin");
    compile(&folder, "pixels.npy", "b.bin");
    let read = |name: &str| std::fs::read(folder.0.join(name)).unwrap();
    assert!(read("a.bin") == read("b.bin"), "the programs differ");
    let (of_folder, said) = report(&folder, &["a.bin", "--data", "folder"]);
    assert!(said.contains("6 of 6 samples were used for calibration"), "{said}");
    assert!(said.contains("no labels"), "{said}");
    let (of_array, _) = report(&folder, &["a.bin", "--data", "pixels.npy", "--preprocess", HOW]);
    assert_eq!(of_folder, of_array);
    assert_eq!(of_folder["accuracy"]["samples"], 6);
}

#[test]
fn one_image_gives_its_five_classes_and_labels_give_accuracy() {
    let folder = Folder::new("classes");
    drawings(&folder);
    compile(&folder, "pixels.npy", "p.bin");
    let names: Vec<String> =
        std::fs::read_to_string(network("labels.txt")).unwrap().lines().map(String::from).collect();
    let mut labels = String::from("file,label\n");
    for i in 0..6 {
        let file = format!("folder/{i}.png");
        let (report, _) = report(&folder, &["p.bin", "--input", &file, "--output", "y.npy"]);
        let top = report["top5"].as_array().unwrap();
        assert_eq!(top.len(), 5);
        let (shape, scores) = floats(&std::fs::read(folder.0.join("y.npy")).unwrap());
        assert_eq!(shape, [1, 10]);
        for pair in top.windows(2) {
            assert!(pair[0]["score"].as_f64() >= pair[1]["score"].as_f64());
        }
        let class = top[0]["class"].as_u64().unwrap() as usize;
        assert_eq!(top[0]["name"], names[class]);
        assert_eq!(top[0]["score"].as_f64().unwrap(), f64::from(scores[class]));
        // Two wrong labels, one of them the second best class.
        let label = match i {
            1 => names[top[1]["class"].as_u64().unwrap() as usize].clone(),
            2 => {
                let above: Vec<u64> = top.iter().map(|t| t["class"].as_u64().unwrap()).collect();
                (0..10).find(|c| !above.contains(c)).unwrap().to_string()
            }
            _ => names[class].clone(),
        };
        labels.push_str(&format!("{i}.png,{label}\n"));
    }
    folder.write("folder/labels.csv", labels.as_bytes());
    let (report, _) = report(&folder, &["p.bin", "--data", "folder", "--output", "all.npy"]);
    assert_eq!(report["accuracy"]["top1"], 4.0 / 6.0);
    assert_eq!(report["accuracy"]["top5"], 5.0 / 6.0);
    assert_eq!(report["top5"], Value::Array(Vec::new()));
    let all = floats(&std::fs::read(folder.0.join("all.npy")).unwrap());
    assert_eq!((all.0, all.1.len()), (vec![6, 10], 60));
    let (text, _) = folder.good("qsim", &["p.bin", "--input", "folder/0.png"]);
    assert!(text.contains("largest") && text.contains("class "), "{text}");
}

#[test]
fn a_photo_is_resized_and_cropped_as_the_program_says() {
    let folder = Folder::new("photo");
    let pixels = (0..60 * 45 * 3).map(|i| (i % 251) as u8).collect();
    image::RgbImage::from_raw(60, 45, pixels).unwrap().save(folder.0.join("photo.jpg")).unwrap();
    let model = network("fashion_mnist.onnx");
    let how = "mean=0,std=255,resize=32:bicubic,crop=28,color=gray";
    folder.good("qcc", &[&model, "--data", "photo.jpg", "--preprocess", how, "-o", "p.bin"]);
    let (report, _) = report(&folder, &["p.bin", "--input", "photo.jpg", "--check"]);
    assert_eq!(report["check"]["bit_exact"], true);
    let args = ["p.bin", "--input", "photo.jpg", "--preprocess", HOW];
    let refused = folder.qsim(&args);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    for part in [
        "given:  mean=0,std=255,layout=nchw,color=gray",
        "stored: mean=0,std=255,resize=32:bicubic,crop=28x28",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

/// A network of two inputs and two outputs: the sum, and the positive part of the first.
fn two_by_two(folder: &Folder) {
    let graph: ir::graph::Graph =
        r#"graph "two" (%a: f32[1, 1, 2, 2], %b: f32[1, 1, 2, 2]) -> (%s, %r) {
  %s: f32[1, 1, 2, 2] = add "add"(%a, %b)
  %r: f32[1, 1, 2, 2] = clip "relu"(%a) lo=0.0 hi=inf
}
"#
        .parse()
        .unwrap();
    folder.write("two.onnx", &ir::onnx::save(&graph));
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Members of an `.npz` of float32.
fn archive(path: &Path) -> Vec<(String, Vec<u64>, Vec<f32>)> {
    use std::io::Read;
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..archive.len())
        .map(|i| {
            let mut member = archive.by_index(i).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            let (shape, values) = floats(&bytes);
            (member.name().unwrap().to_string(), shape, values)
        })
        .collect()
}

#[test]
fn several_inputs_and_outputs_go_by_name() {
    let folder = Folder::new("several");
    two_by_two(&folder);
    folder.good("qcc", &["two.onnx", "--no-data", "--input-range", "-4,4", "-o", "p.bin"]);
    let floats = |values: [f32; 4]| -> Vec<u8> {
        npy("<f4", "(1, 1, 2, 2)", &values.map(f32::to_le_bytes).concat())
    };
    let (a, b) = (floats([1.0, -2.0, 3.0, -4.0]), floats([0.5, 0.5, -1.0, 2.0]));
    folder.write("in.npz", &npz(&[("b.npy", b), ("a.npy", a.clone())]));
    folder.good("qsim", &["p.bin", "--input", "in.npz", "--output", "out.npz", "--check"]);
    let found = archive(&folder.0.join("out.npz"));
    let expected = [("s.npy", [1.5, -1.5, 2.0, -2.0]), ("r.npy", [1.0, 0.0, 3.0, 0.0])];
    assert_eq!(found.len(), 2);
    for ((name, shape, values), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!((name.as_str(), shape.as_slice()), (expected_name, &[1, 1, 2, 2][..]));
        for (found, expected) in values.iter().zip(expected) {
            assert!((found - expected).abs() < 0.1, "{name}: {values:?}");
        }
    }
    let refuse = |args: &[&str], code: i32, parts: &[&str]| {
        let output = folder.qsim(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "`{part}`: {said}"));
    };
    refuse(
        &["p.bin", "--input", "in.npz", "--output", "y.npy"],
        2,
        &["2 outputs: `s`, `r`", "--output y.npz"],
    );
    folder.write("one.npz", &npz(&[("a.npy", a)]));
    refuse(&["p.bin", "--input", "one.npz"], 1, &["no array for input `b`", "by name"]);
    refuse(&["p.bin", "--input", "photo.png"], 1, &["photo.png", "no such file"]);
}

#[test]
fn stored_integers_go_in_and_out() {
    let folder = Folder::new("raw");
    two_by_two(&folder);
    folder.good("qcc", &["two.onnx", "--no-data", "--input-range", "-4,4", "-o", "p.bin"]);
    let ints = |values: [i8; 4]| npy("|i1", "(2, 2, 1)", &values.map(|v| v as u8));
    folder.write(
        "in.npz",
        &npz(&[("a.npy", ints([1, -2, 3, -128])), ("b.npy", ints([0, 0, 5, 127]))]),
    );
    folder.good("qsim", &["p.bin", "--raw", "--input", "in.npz", "--output", "out.npz"]);
    let out = std::fs::read(folder.0.join("out.npz")).unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(out)).unwrap();
    let mut member = archive.by_index(1).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
    let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!((npy.shape(), npy.dtype().descr().as_str()), (&[2, 2, 1][..], "'|i1'"));
    folder.write(
        "wide.npz",
        &npz(&[("a.npy", npy_i16([1, 2, 3, 300])), ("b.npy", ints([0, 0, 5, 127]))]),
    );
    let refused = folder.qsim(&["p.bin", "--raw", "--input", "wide.npz"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("holds 300, but input `a` stores -128..=127"), "{said}");
}

fn npy_i16(values: [i16; 4]) -> Vec<u8> {
    npy("<i2", "(2, 2, 1)", &values.map(i16::to_le_bytes).concat())
}
