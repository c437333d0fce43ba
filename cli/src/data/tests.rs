use std::fs;

use ir::qgraph::{Hwc, View};

use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("qcc-samples-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// A 1x1 grey image.
    fn image(&self, name: &str, value: u8) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(1, 1, image::Luma([value])).save(path).unwrap();
    }

    fn text(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An input of one grey pixel.
fn pixel() -> NetworkInputs {
    NetworkInputs::plain(vec![QValue {
        name: "x".into(),
        shape: Hwc { h: 1, w: 1, c: 1 },
        dtype: QType::I8,
        scale: 1.0,
        zero_point: 0,
        view: View { onnx_shape: vec![1, 1, 1, 1], perm: vec![0, 2, 3, 1] },
    }])
}

/// Pixel values and labels of a folder, or what is wrong with it.
fn read(
    folder: &Folder,
    names: &[&str],
    count: usize,
) -> Result<(Vec<f32>, Option<Vec<i64>>), String> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let how: Preprocess = "color=gray".parse().unwrap();
    let classes = Classes { names: &names, count };
    let inputs = pixel();
    let samples =
        Samples::read(&folder.0, &inputs, Some(&how), Some(&classes)).map_err(|e| e.to_string())?;
    let values = samples.each().map(|sample| {
        let sample = sample.map_err(|e| e.to_string())?;
        Ok(samples.real(&sample).map_err(|e| e.to_string())?.unwrap()[0][0])
    });
    Ok((values.collect::<Result<_, String>>()?, samples.labels.clone()))
}

#[test]
fn images_alone_have_no_labels_and_come_sorted() {
    let folder = Folder::new("alone");
    for (name, value) in [("b.png", 2), ("a.PNG", 1), ("c.png", 3), (".hidden.png", 9)] {
        folder.image(name, value);
    }
    folder.text("README.txt", "about");
    assert_eq!(read(&folder, &[], 10), Ok((vec![1.0, 2.0, 3.0], None)));
}

#[test]
fn a_table_gives_labels_by_index_and_name() {
    let folder = Folder::new("table");
    for (name, value) in [("b.png", 2), ("a.png", 1), ("sub/c.png", 3), ("left_out.png", 4)] {
        folder.image(name, value);
    }
    folder.text("labels.csv", "file,label\nsub/c.png,dog\nb.png,0\na.png,\"cat\"\n");
    let read_as = |names: &[&str]| read(&folder, names, 2);
    assert_eq!(read_as(&["cat", "dog"]), Ok((vec![1.0, 2.0, 3.0], Some(vec![0, 0, 1]))));
    let error = read_as(&[]).unwrap_err();
    assert!(error.contains("2 problems") && error.contains("line 2: label `dog`"), "{error}");
    folder.text("labels.csv", "b.png,0\nb.png,1\nnone.png,1\n");
    assert!(read_as(&[]).unwrap_err().contains("line 2: `b.png` again"));
    folder.text("labels.csv", "b.png,0\n../outside.png,1\nnone.png,1\n");
    let error = read_as(&[]).unwrap_err();
    assert!(error.contains("none.png: no such file"), "{error}");
    assert!(error.contains("outside.png: "), "{error}");
}

#[test]
fn subfolders_are_classes() {
    let folder = Folder::new("classes");
    for (name, value) in [("dog/1.png", 1), ("cat/2.png", 2), ("cat/1.png", 3)] {
        folder.image(name, value);
    }
    let all = vec![3.0, 2.0, 1.0];
    assert_eq!(read(&folder, &[], 2), Ok((all.clone(), Some(vec![0, 0, 1]))));
    assert_eq!(read(&folder, &["dog", "bird", "cat"], 3), Ok((all, Some(vec![2, 2, 0]))));
    assert!(read(&folder, &[], 3).unwrap_err().contains("2 subfolders for 3 classes"));
    assert!(read(&folder, &["dog", "cap"], 2).unwrap_err().contains("did you mean `cap`?"));
    folder.image("loose.png", 4);
    assert!(read(&folder, &[], 2).unwrap_err().contains("beside subfolders"));
    let numbered = Folder::new("numbered");
    numbered.image("07/a.png", 1);
    numbered.image("2/a.png", 2);
    assert_eq!(read(&numbered, &[], 9), Ok((vec![1.0, 2.0], Some(vec![7, 2]))));
}

#[test]
fn all_damaged_images_are_named() {
    let folder = Folder::new("damaged");
    folder.image("good.png", 1);
    folder.text("text.jpg", "not an image");
    folder.text("empty.png", "");
    fs::create_dir_all(folder.0.join("folder.png")).unwrap();
    folder.text("folder.png/x.txt", "");
    let error = read(&folder, &[], 2).unwrap_err();
    for part in
        ["3 problems", "text.jpg: is neither", "empty.png: is neither", "folder.png: is not a file"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let none = Folder::new("none");
    assert!(read(&none, &[], 2).unwrap_err().contains("holds no images (.jpg, .jpeg, .png)"));
}

#[test]
fn an_image_damaged_behind_its_header_is_named_with_all_others() {
    let folder = Folder::new("late");
    folder.image("good.png", 1);
    for name in ["a.png", "b.png"] {
        let mut bytes = fs::read(folder.0.join("good.png")).unwrap();
        bytes.truncate(bytes.len() - 20);
        fs::write(folder.0.join(name), bytes).unwrap();
    }
    let how: Preprocess = "color=gray".parse().unwrap();
    let inputs = pixel();
    let samples = Samples::read(&folder.0, &inputs, Some(&how), None).unwrap();
    let first = samples.each().find_map(Result::err).unwrap();
    let error = samples.explain(&folder.0, first).to_string();
    assert!(error.contains("2 problems") && error.contains("a.png: damaged"), "{error}");
    assert!(error.contains("b.png: damaged"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_and_pipes_are_not_followed() {
    let outside = Folder::new("outside");
    outside.image("secret.png", 1);
    let folder = Folder::new("links");
    folder.image("real.png", 2);
    let link = |from: &Path, to: &str| std::os::unix::fs::symlink(from, folder.0.join(to)).unwrap();
    link(&folder.0.join("real.png"), "within.png");
    assert_eq!(read(&folder, &[], 2), Ok((vec![2.0, 2.0], None)));
    link(&outside.0.join("secret.png"), "out.png");
    link(Path::new("/dev/zero"), "device.png");
    let error = read(&folder, &[], 2).unwrap_err();
    assert!(error.contains("out.png: leads out of the folder"), "{error}");
    assert!(error.contains("device.png: leads out of the folder"), "{error}");
    outside.text("labels.csv", "a secret\n");
    link(&outside.0.join("labels.csv"), "labels.csv");
    let error = read(&folder, &[], 2).unwrap_err();
    assert!(
        error.contains("labels.csv: leads out of the folder") && !error.contains("line"),
        "{error}"
    );
}

#[test]
fn the_same_pixels_have_the_same_hash_however_they_are_stored() {
    let folder = Folder::new("hash");
    folder.image("a.png", 5);
    let how: Preprocess = "color=gray".parse().unwrap();
    let inputs = pixel();
    let samples = Samples::read(&folder.0, &inputs, Some(&how), None).unwrap();
    let array = |value| Sample { elements: vec![Elements::U8(vec![value])], index: 0 };
    assert_eq!(samples.sample(0).unwrap().hash(), array(5).hash());
    assert_ne!(array(5).hash(), array(6).hash());
}

#[test]
fn an_input_named_y_holds_no_labels() {
    use write::{Values, Written, npz};
    let folder = Folder::new("named-y");
    let array = |name: &str| Written {
        name: name.into(),
        shape: vec![1, 1],
        values: Values::F32(vec![1.0]),
    };
    let path = folder.0.join("xy.npz");
    fs::write(&path, npz(&[array("x"), array("y")]).unwrap()).unwrap();
    let pixel = pixel().inputs.remove(0);
    let view = View { onnx_shape: vec![1, 1], perm: vec![0, 1] };
    let named = |name: &str| QValue { name: name.into(), view: view.clone(), ..pixel.clone() };
    let inputs = NetworkInputs::plain(vec![named("x"), named("y")]);
    let lone = NetworkInputs::plain(vec![named("x")]);
    let both = Samples::read(&path, &inputs, None, None).unwrap();
    assert_eq!((both.sample(0).unwrap().elements.len(), both.labels), (2, None));
    let labels = Samples::read(&path, &lone, None, None).err().unwrap().to_string();
    assert!(labels.contains("labels"), "{labels}");
}
