//! What the binaries say to mistakes, word for word, with the exit code: 1 input refused, 2 usage. Nothing is written then.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::Folder;

#[test]
fn commands() {
    let folder = Folder::with_program("commands");
    insta::assert_snapshot!(folder.transcript(&[
        "qsim",
        "qcc",
        "qsim verifi",
        "qsim verifi p.bin",
        "qcc --quiet explian p.bin",
        "qsim p.bin verify",
        "qsim p.bin other.bin",
        "qsim verify",
    ]));
}

#[test]
fn flags() {
    let folder = Folder::with_program("flags");
    insta::assert_snapshot!(folder.transcript(&[
        "qcc net.onnx --check",
        "qsim p.bin --weight-bits 4",
        "qcc net.onnx --json",
        "qcc explain p.bin --seed 1",
        "qsim p.bin --sed 1",
        "qcc net.onnx --no-data --data x.npz",
        "qsim p.bin --timing-only --check",
        "qsim p.bin --data a.npz --input b.npy",
        "qsim p.bin --float net.onnx",
        "qsim p.bin --float net.onnx --input x.npy",
        "qsim p.bin -q -v",
        "qcc net.onnx --weight-bits 9",
        "qcc net.onnx --layer-bits conv1",
        "qcc net.onnx --layer-bits conv1=8 --layer-act-bits relu=12",
        "qcc net.onnx --layer-bits nowhere=4 --layer-act-bits block1/pw/con=16",
        "qcc net.onnx --observer mse --calib-in net.onnx",
        "qcc net.onnx --max-drop 0.5",
        "qcc net.onnx --max-drop 0.5 --no-data",
        "qcc net.onnx --budget size=60% --distill",
        "qcc net.onnx --max-drop half --data x.npz",
        "qcc net.onnx --max-drop 1 --budget size=1M --data x.npz",
        "qcc net.onnx --max-drop 1 --data x.npz --observer mse",
        "qcc net.onnx --budget size=1X --data x.npz",
        "qcc net.onnx --budget time=1 --data x.npz",
        "qcc net.onnx --budget size=1M --data x.npz --weight-bits 4",
        "qcc net.onnx --observer guess",
        "qcc net.onnx --emit qdg",
        "qsim p.bin --format yaml",
        "qsim p.bin --trace=x.foo",
        "qsim p.bin --output y.txt",
        "qcc net.onnx --shape batch",
        "qcc net.onnx --input-range 1,0",
        "qcc net.onnx --set array_rows",
    ]));
}

#[test]
fn machines() {
    let folder = Folder::with_program("machines");
    folder.write("machine.toml", b"preset = \"edge16\"\narray_rowz = 8\n");
    insta::assert_snapshot!(folder.transcript(&[
        "qcc net.onnx --hw edge61",
        "qcc net.onnx --hw supercomputer",
        "qcc net.onnx --hw none.toml",
        "qcc net.onnx --hw machine.toml",
        "qcc net.onnx --set array_rowz=8",
        "qcc net.onnx --set array_rows=12",
        "qsim p.bin --set array_rows=8",
    ]));
}

#[test]
fn files() {
    let folder = Folder::with_program("files");
    folder.write("text.qasm", b".hardware tiny8\n");
    std::fs::create_dir(folder.0.join("folder")).unwrap();
    insta::assert_snapshot!(folder.transcript(&[
        "qcc nett.onnx",
        "qcc folder",
        "qcc p.bin",
        "qsim q.bin",
        "qsim folder",
        "qsim net.onnx",
        "qsim text.qasm",
        "qsim verify none.bin",
        "qsim p.bin --data none.npz",
        "qsim p.bin --input folder",
        "qcc net.onnx -o nowhere/p.bin",
        "qcc net.onnx -o folder",
        "qcc net.onnx --calib-out nowhere/c.json",
        "qcc net.onnx --emit asm=nowhere/p.qasm",
        "qsim p.bin --trace=nowhere/t.json",
        "qsim p.bin --report nowhere/r.json",
        "qsim p.bin --output nowhere/y.npy",
        "qsim asm text.qasm -o nowhere/t.bin",
        "qsim disasm p.bin -o nowhere/t.qasm",
        "qcc explain p.bin -o nowhere/t.txt",
        "qcc fetch qonnx_mnist_conv -o nowhere",
    ]));
}

#[test]
fn no_output_takes_the_place_of_an_input_or_of_another_output() {
    let folder = Folder::with_program("places");
    folder.write("text.bin", b".hardware tiny8\n");
    insta::assert_snapshot!(folder.transcript(&[
        "qcc net.onnx -o net.onnx",
        "qcc net.onnx -o q.bin --calib-out ./q.bin",
        "qcc net.onnx --emit asm=p.bin -o p.bin",
        "qsim p.bin --report p.bin",
        "qsim p.bin --trace=t.json --report t.json",
        "qsim disasm p.bin -o p.bin",
        "qsim asm text.bin",
        "qcc explain p.bin -o p.bin",
    ]));
}

#[test]
fn accumulators() {
    let folder = Folder::with_program("accumulators");
    folder.write("text.qasm", b".hardware tiny8\n");
    folder.good("qsim", &["asm", "text.qasm", "-o", "t.bin"]);
    insta::assert_snapshot!(folder.transcript(&[
        "qsim verify p.bin --accumulators=p.bin",
        "qsim verify p.bin --accumulators=nowhere/a.csv",
        "qsim verify t.bin --accumulators",
    ]));
    let (table, _) = folder.good("qsim", &["verify", "p.bin", "--accumulators"]);
    assert!(table.contains("of the accumulators' 32 bits"), "{table}");
    let layers = table.lines().skip(3).count();
    assert_eq!(layers, 14, "{table}");
    let (proof, said) = folder.good("qsim", &["verify", "p.bin", "--accumulators=a.csv"]);
    assert!(table.starts_with(&proof) && said.is_empty());
    let list = String::from_utf8(folder.read("a.csv")).unwrap();
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 8), "{list}");
    assert!(rows.iter().any(|row| row[6] == "1" && row[7].contains("..")), "{list}");
}

#[test]
fn studies() {
    let folder = Folder::with_program("studies");
    std::fs::copy(common::network("test.npz"), folder.file("x.npz")).unwrap();
    folder.write("one.npy", &npy("<f4", "(1, 1, 28, 28)", 4 * 784));
    insta::assert_snapshot!(folder.transcript(&[
        "qdse stdy net.onnx",
        "qdse study net.onnx",
        "qdse study none.onnx --data x.npz",
        "qdse study p.bin --data x.npz",
        "qdse study net.onnx --data none.npz",
        "qdse study net.onnx --data x.npz",
        "qdse study net.onnx --data one.npy",
        "qdse study net.onnx --data x.npz --weight-bits 4",
        "qdse study net.onnx --data x.npz --calib x.npz --no-data",
        "qdse study net.onnx --data x.npz -o x.npz",
        "qdse study net.onnx --data x.npz --no-data --bias-correction empirical",
        "qdse study net.onnx --data x.npz --format yaml",
    ]));
}

#[test]
fn sweeps() {
    let folder = Folder::with_program("sweeps");
    std::fs::copy(common::network("test.npz"), folder.file("x.npz")).unwrap();
    folder.write("one.npy", &npy("<f4", "(4, 1, 28, 28)", 4 * 4 * 784));
    let space = "[axes]\nweight_bits = [4, 8]\n[objectives]\naccuracy.top1 = \"max\"\n";
    folder.write("s.toml", space.as_bytes());
    folder.write("layers.toml", space.replace("weight_bits", "layer_bits.no").as_bytes());
    folder.write(
        "observers.toml",
        space.replace("weight_bits = [4, 8]", "logits = [\"mse\"]").as_bytes(),
    );
    folder.write(
        "bad.toml",
        b"[axes]\narray_rowz = [4]\nact_bits = [32]\n[objectives]\ncycles = \"min\"\n",
    );
    folder.write("wide.toml", space.replace("[4, 8]", "[4]\nacc_rows = { from = 8, to = 2000 }\ndram_latency_cycles = { from = 0, to = 4000 }\ndram_turnaround_cycles = { from = 0, to = 1000 }").as_bytes());
    insta::assert_snapshot!(folder.transcript(&[
        "qdse net.onnx",
        "qdse net.onnx --data x.npz -o out",
        "qdse net.onnx --space none.toml --data x.npz -o out",
        "qdse net.onnx --space bad.toml --data x.npz -o out",
        "qdse net.onnx --space layers.toml --data x.npz --preprocess mean=0,std=255 -o out",
        "qdse net.onnx --space observers.toml --data x.npz --no-data -o out",
        "qdse net.onnx --space wide.toml --data x.npz -o out",
        "qdse net.onnx --space s.toml --data one.npy -o out",
        "qdse net.onnx --space s.toml --data x.npz -o out",
        "qdse net.onnx --space s.toml --data x.npz --shard 3/2 -o out",
        "qdse net.onnx --space s.toml --data x.npz --budget 3 -o out",
        "qdse net.onnx --space s.toml --data x.npz --strategy nsga2 --shard 1/2 -o out",
        "qdse merge nowhere -o out",
    ]));
}

/// As wide as in a pipe; a terminal wraps it otherwise.
#[test]
fn help() {
    let folder = Folder::new("help");
    for (program, commands) in [
        ("qcc", ["ops", "passes", "explain", "fetch"].as_slice()),
        ("qsim", &["verify", "asm", "disasm", "diff", "demo"]),
        ("qdse", &["study", "merge", "what-if"]),
    ] {
        let mut text = String::new();
        for command in std::iter::once(None).chain(commands.iter().map(Some)) {
            let args: Vec<&str> = command.into_iter().copied().chain(["--help"]).collect();
            let output = folder.command(program, &args).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty());
            text += &format!("$ {program} {}\n", args.join(" "));
            text += &String::from_utf8(output.stdout).unwrap();
            text.push('\n');
        }
        insta::assert_snapshot!(format!("help_{program}"), text);
    }
}

/// An `.npy` of `shape` with zeros.
fn npy(descr: &str, shape: &str, bytes: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16 + 1).to_le_bytes());
    out.extend(header.bytes().chain([b'\n']));
    out.resize(out.len() + bytes, 0);
    out
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn arrays() {
    let folder = Folder::with_program("arrays");
    let good = npy("<f4", "(2, 1, 28, 28)", 2 * 28 * 28 * 4);
    let labels = |n: usize| npy("<i8", &format!("({n},)"), n * 8);
    let two = |a: &str, b: &str| npz(&[(a, good.clone()), (b, good.clone())]);
    folder.write("names.npz", &two("images", "extra"));
    folder.write("shape.npz", &npz(&[("x", npy("<f4", "(2, 1, 28, 27)", 2 * 28 * 27 * 4))]));
    folder.write("labels.npz", &npz(&[("x", good.clone()), ("y", labels(3))]));
    folder.write("floats.npz", &npz(&[("x", good.clone()), ("y", npy("<f4", "(2,)", 8))]));
    folder.write("none.npz", &npz(&[("x", npy("<f4", "(0, 1, 28, 28)", 0))]));
    folder.write("empty.npz", &npz(&[]));
    let whole = npz(&[("x", good.clone())]);
    folder.write("cut.npz", &whole[..whole.len() / 2]);
    folder.write("cut.npy", &good[..good.len() / 2]);
    folder.write("zero.npy", b"");
    let lines = [
        "names.npz",
        "shape.npz",
        "labels.npz",
        "floats.npz",
        "none.npz",
        "empty.npz",
        "cut.npz",
        "cut.npy",
        "zero.npy",
    ]
    .map(|data| format!("qsim p.bin --data {data} --report r.json --trace --output y.npy"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    insta::assert_snapshot!(folder.transcript(&lines));
    // Where they calibrate, they are refused in the same words.
    for data in ["names.npz", "shape.npz", "cut.npz"] {
        let of = |said: String| said.lines().filter(|l| l.starts_with("error")).collect::<String>();
        assert_eq!(
            of(folder
                .refused(&format!("qcc net.onnx -q --data {data} -o q.bin --calib-out c.json"))),
            of(folder.refused(&format!("qsim p.bin -q --data {data}")))
        );
    }
}

#[test]
fn folders_of_images() {
    let folder = Folder::with_program("pictures");
    let image = |name: &str| {
        let path = folder.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * y) as u8])).save(path).unwrap();
    };
    ["damaged/a.png", "damaged/b.png", "damaged/c.png", "table/a.png", "table/b.png"]
        .iter()
        .for_each(|name| image(name));
    ["both/a.png", "both/cat/b.png", "classes/dog/a.png", "classes/11/a.png"]
        .iter()
        .for_each(|name| image(name));
    let whole = folder.read("damaged/a.png");
    folder.write("damaged/b.png", &whole[..whole.len() - 40]);
    folder.write("damaged/c.png", b"GIF89a and more");
    for name in ["cut/b.png", "cut/c.png"] {
        folder.write(name, &whole[..whole.len() - 40]);
    }
    folder.write("cut/a.png", &whole);
    let table = "file,label\na.png,Bag\nmissing.png,1\nb.png\nb.png,ninety\na.png,10\n";
    folder.write("table/labels.csv", table.as_bytes());
    std::fs::create_dir(folder.0.join("empty")).unwrap();
    folder.write("blank/labels.csv", b"file,label\n");
    let lines = ["damaged", "cut", "table", "both", "classes", "empty", "blank"]
        .map(|data| format!("qsim p.bin --data {data} --report r.json --trace --output y.npy"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    insta::assert_snapshot!(folder.transcript(&lines));
    let line = "qcc net.onnx -q --preprocess std=255,color=gray --data damaged -o q.bin --calib-out c.json";
    let said = folder.refused(line);
    assert!(said.contains("c.png") && said.contains("exit code 1"), "{said}");
}
