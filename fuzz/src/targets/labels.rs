//! `labels.csv` of a folder of images, and a file of class names.

use crate::{Target, mutate, scratch};

use super::images::PNG;

pub(super) const TARGET: Target =
    Target { name: "labels", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    let names = scratch::file("names.txt", bytes);
    let _ = qcc::untrusted::names(&names, 3);
    scratch::file("photos/a.png", PNG);
    scratch::file("photos/b \"c\", d.PNG", PNG);
    scratch::file("secret.png", PNG);
    let csv = scratch::file("photos/labels.csv", bytes);
    let folder = csv.parent().expect("a file has a folder");
    let classes: Vec<String> = ["cat", "dog", "7"].map(str::to_owned).to_vec();
    if qcc::untrusted::samples(folder, &[1, 3, 2, 2], Some("mean=0,std=255"), &classes).is_ok() {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("secret"), "an image outside the folder was read");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "file,label\na.png,cat\n\"b \"\"c\"\", d.PNG\",1\n",
        "a.png,0\n",
        "a.png,7\n./a.png,2\n../secret.png,1\n",
        "\u{feff}a.png,dog\r\n",
        "cat\ndog\nowl\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn dictionary() -> Vec<String> {
    ["file,label", "a.png", "../", "../secret.png", "/", "\"\"", ",cat", ",0", "\u{feff}", "\r\n"]
        .map(str::to_owned)
        .to_vec()
}
