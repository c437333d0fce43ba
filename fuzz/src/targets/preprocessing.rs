//! `--preprocess`, which is also stored in programs: what is printed reads back as the same.

use isa::program::Preprocess;

use crate::{Target, mutate};

pub(super) const TARGET: Target =
    Target { name: "preprocessing", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Preprocess>() {
        Err(error) => drop(error.to_string()),
        Ok(how) => {
            assert!(how.faults().is_empty(), "what is read is sound");
            assert_eq!(how.to_string().parse().as_ref(), Ok(&how), "what is printed reads back");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "mean=0,std=255",
        "mean=124:116:104,std=58:57:57,resize=256:bicubic,crop=224,layout=nhwc,color=bgr",
        "mean=-0.5,std=1e-3,resize=224x320,crop=200x300,layout=nchw,color=gray",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn dictionary() -> Vec<String> {
    [
        "mean=", "std=", "resize=", "crop=", "layout=", "color=", "nchw", "nhwc", "rgb", "bgr",
        "gray", "bilinear", "bicubic",
    ]
    .map(str::to_owned)
    .to_vec()
}
