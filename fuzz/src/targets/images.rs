//! JPEG and PNG: decoded, resized, cropped, normalised. The first byte chooses the name's ending and the preprocessing.

use image::{DynamicImage, ImageFormat};
use rand::RngExt;

use crate::{Change, Rng, Target, scratch};

pub(super) const TARGET: Target = Target { name: "images", run, seeds, mutate, dictionary };

/// A PNG of 2x2 pixels.
pub(super) const PNG: &[u8] = include_bytes!("images/2x2.png");

/// Input extents and what makes them of an image.
const HOW: [(&[usize], &str); 6] = [
    (&[1, 3, 8, 8], "mean=0,std=255,resize=8x8"),
    (&[1, 3, 8, 8], "mean=1:2:3,std=4,resize=10:bicubic,crop=8"),
    (&[1, 8, 8, 1], "mean=0,std=1,layout=nhwc,color=gray,crop=8"),
    (&[2, 2], "mean=0,std=1,color=gray"),
    (&[1, 3, 256, 256], "mean=0,std=1,color=bgr,resize=256,crop=256"),
    (&[1, 3, 8, 8], "mean=0,std=1,resize=8,crop=8"),
];

fn run(bytes: &[u8]) {
    let Some((&form, file)) = bytes.split_first() else { return };
    let name = if form & 1 == 0 { "photo.png" } else { "photo.jpg" };
    let path = scratch::file(name, file);
    let (shape, how) = HOW[usize::from(form >> 1) % HOW.len()];
    let _ = qcc::untrusted::samples(&path, shape, Some(how), &[]);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![[&[0], PNG].concat()];
    for (form, (width, height)) in [(2, 2), (8, 8), (23, 17), (300, 9)].into_iter().enumerate() {
        let image = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x * 9, y * 5, x * y].map(|v| v as u8))
        });
        let image = DynamicImage::from(image);
        for (bit, format) in [(0, ImageFormat::Png), (1, ImageFormat::Jpeg)] {
            let mut file = std::io::Cursor::new(vec![(form as u8) << 1 | bit]);
            file.set_position(1);
            let forms = [
                image.clone(),
                image.to_luma8().into(),
                image.to_rgba16().into(),
                image.to_luma_alpha8().into(),
            ];
            let written = forms[if bit == 1 { form % 2 } else { form }].write_to(&mut file, format);
            assert!(written.is_ok(), "memory takes every image");
            seeds.push(file.into_inner());
        }
    }
    seeds
}

/// Changes bytes, then mends the checksums of a PNG's chunks, so that the decoder looks at what is in them.
fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng, change: &mut Change<'_>) {
    change(bytes);
    if rng.random_bool(0.1) {
        return;
    }
    let mut at = 9;
    while let Some(head) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        let len = u32::from_be_bytes(*head) as usize;
        let Some(body) = bytes.get(at + 4..at + 8 + len) else { break };
        let sum = crc32fast::hash(body).to_be_bytes();
        let Some(place) = bytes.get_mut(at + 8 + len..at + 12 + len) else { break };
        place.copy_from_slice(&sum);
        at += 12 + len;
    }
}

fn dictionary() -> Vec<String> {
    [
        "IHDR", "IDAT", "IEND", "PLTE", "tRNS", "iCCP", "eXIf", "acTL", "fcTL", "fdAT", "zTXt",
        "iTXt", "JFIF", "Exif",
    ]
    .map(str::to_owned)
    .to_vec()
}
