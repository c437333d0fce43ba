use image::{ExtendedColorType, ImageEncoder};
use proptest::prelude::*;

use super::*;

fn how(text: &str) -> Preprocess {
    text.parse().unwrap()
}

fn encoded(samples: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut file = Vec::new();
    image::codecs::png::PngEncoder::new(&mut file)
        .write_image(samples, width, height, color)
        .unwrap();
    file
}

/// A 2x1 image of two pixels.
fn two() -> Vec<u8> {
    encoded(&[10, 20, 30, 200, 100, 50], 2, 1, ExtendedColorType::Rgb8)
}

fn pixels(text: &str, shape: &[usize], file: &[u8]) -> Result<Vec<u8>, String> {
    ImageInput::new(&how(text), "x", shape)?.pixels(file)
}

#[test]
fn layouts_and_colors() {
    let file = two();
    let of = |text: &str, shape: &[usize]| pixels(text, shape, &file).unwrap();
    assert_eq!(of("layout=nchw", &[1, 3, 1, 2]), [10, 200, 20, 100, 30, 50]);
    assert_eq!(of("layout=nhwc", &[1, 1, 2, 3]), [10, 20, 30, 200, 100, 50]);
    assert_eq!(of("layout=nhwc,color=bgr", &[1, 1, 2, 3]), [30, 20, 10, 50, 100, 200]);
    // Pillow: Image.convert("L").
    assert_eq!(of("color=gray", &[1, 1, 1, 2]), [18, 124]);
    assert_eq!(of("color=gray,layout=nhwc", &[1, 1, 2, 1]), [18, 124]);
    assert_eq!(of("color=gray", &[1, 2]), [18, 124]);
}

#[test]
fn grey_transparent_and_deep_images_are_read() {
    let rgb = |samples: &[u8], color| {
        pixels("layout=nhwc", &[1, 1, 1, 3], &encoded(samples, 1, 1, color)).unwrap()
    };
    assert_eq!(rgb(&[77], ExtendedColorType::L8), [77, 77, 77]);
    assert_eq!(rgb(&[77, 3], ExtendedColorType::La8), [77, 77, 77]);
    assert_eq!(rgb(&[1, 2, 3, 0], ExtendedColorType::Rgba8), [1, 2, 3]);
    let deep = [0xff, 0xff, 0x80, 0x80, 0, 0].map(|b: u8| b);
    assert_eq!(rgb(&deep, ExtendedColorType::Rgb16), [255, 128, 0]);
}

#[test]
fn the_crop_is_central() {
    let row: Vec<u8> = (0..7).collect();
    let file = encoded(&row, 7, 1, ExtendedColorType::L8);
    let crop = |n: usize| pixels(&format!("color=gray,crop=1x{n}"), &[1, 1, 1, n], &file).unwrap();
    assert_eq!(crop(7), row);
    assert_eq!(crop(5), [1, 2, 3, 4, 5]);
    // One and a half columns on either side: two, for half is rounded to even.
    assert_eq!(crop(4), [2, 3, 4, 5]);
    // Two and a half: two.
    assert_eq!(crop(2), [2, 3]);
}

#[test]
fn the_shorter_side_is_resized() {
    let target = |to, height, width| target(to, height, width, justified(&[]));
    assert_eq!(target(ResizeTo::ShortSide(256), 480, 641), Ok((256, 341)));
    assert_eq!(target(ResizeTo::ShortSide(256), 641, 480), Ok((341, 256)));
    assert_eq!(target(ResizeTo::Exact([3, 4]), 641, 480), Ok((3, 4)));
    assert_eq!(target(ResizeTo::ShortSide(256), 3000, 4000), Ok((256, 341)));
    for (side, height, width) in [(8192, 1, 30_000), (256, 1, 60_000), (2, 1, 8_000_000)] {
        let error = target(ResizeTo::ShortSide(side), height, width).unwrap_err();
        assert!(error.contains("more than the size of the file"), "{error}");
    }
}

#[test]
fn what_cannot_become_the_input_is_told_before_any_image() {
    for (text, shape, part) in [
        ("color=rgb", &[1, 1, 28, 28][..], "has 1 channels, but color=rgb has 3"),
        ("layout=nchw", &[1, 28, 28, 3], "layout=nchw has 28 channels"),
        ("crop=20", &[1, 3, 28, 28], "makes 20x20 pixels"),
        ("resize=20x28", &[1, 3, 28, 28], "makes 20x28 pixels"),
        ("color=gray", &[1, 10], ""),
        ("color=gray", &[10], "no image"),
        ("color=rgb", &[2, 3, 28, 28], "no image"),
    ] {
        match ImageInput::new(&how(text), "x", shape) {
            Ok(_) => assert_eq!(part, "", "{text} {shape:?}"),
            Err(e) => assert!(!part.is_empty() && e.contains(part), "{text} {shape:?}: {e}"),
        }
    }
    let small = pixels("resize=20,crop=20", &[1, 3, 20, 20], &two());
    assert!(small.is_ok(), "enlarged: {small:?}");
    let wrong = pixels("mean=0", &[1, 3, 28, 28], &two()).unwrap_err();
    assert!(wrong.contains("1x2 pixels after preprocessing") && wrong.contains("resize=28x28"));
    let few = pixels("crop=28", &[1, 3, 28, 28], &two()).unwrap_err();
    assert!(few.contains("too few for crop=28x28"), "{few}");
}

/// A PNG that claims any size, with the checksum of its header right.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut file = two();
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc(&file[12..29]);
    file[29..33].copy_from_slice(&crc.to_be_bytes());
    file
}

/// CRC-32 as in PNG.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 * (c & 1)))
    })
}

#[test]
fn hostile_sizes_are_refused_before_decoding() {
    assert!(check_header(&claiming(2, 1)).is_ok());
    assert!(check_header(&claiming(4000, 3000)).is_ok());
    for (width, height) in [
        (100_000, 100_000),
        (9000, 9000),
        (5000, 5000),
        (u32::MAX >> 1, 1),
        // A row of an interlaced image is held twice.
        (10_000_000, 1),
    ] {
        let error = check_header(&claiming(width, height)).unwrap_err();
        assert!(error.contains("claims") || error.contains("damaged"), "{width}: {error}");
    }
    assert!(check_header(&claiming(0, 1)).is_err());
}

#[test]
fn progressive_images_must_justify_their_coefficients() {
    // A frame header of one component, then a scan that is never looked at.
    let jpeg = |marker: u8, side: u16| {
        let [high, low] = side.to_be_bytes();
        let frame = [0xff, marker, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0];
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3, 0xff, 0xd9];
        [&[0xff, 0xd8][..], &frame, &scan].concat()
    };
    assert_eq!([0xc0, 0xc2].map(|marker| jpeg_is_progressive(&jpeg(marker, 8))), [false, true]);
    let refused = |marker, side| {
        check_header(&jpeg(marker, side)).err().is_some_and(|error| error.contains("claims"))
    };
    assert!(refused(0xc2, 3000) && refused(0xc0, 5000), "a few bytes justify no such image");
    assert!(!refused(0xc0, 3000));
}

#[test]
fn a_cut_file_is_refused() {
    let mut jpeg = Vec::new();
    let samples: Vec<u8> = (0..64 * 64 * 3).map(|i| (i * 7 % 256) as u8).collect();
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg)
        .write_image(&samples, 64, 64, ExtendedColorType::Rgb8)
        .unwrap();
    assert!(decode(&jpeg).is_ok());
    let png = encoded(&samples, 64, 64, ExtendedColorType::Rgb8);
    for (name, file) in [("jpeg", jpeg), ("png", png)] {
        for kept in [0, 1, 10, file.len() / 2, file.len() * 3 / 4] {
            let error = decode(&file[..kept]).err();
            assert!(error.is_some(), "{name} of {kept} bytes was read");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3) {
        let start: &[u8] = match kind {
            0 => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            1 => b"\xff\xd8\xff\xe0",
            _ => b"",
        };
        bytes.splice(0..0, start.iter().copied());
        let _ = check_header(&bytes);
        let _ = decode(&bytes);
    }

    #[test]
    fn no_flipped_bit_panics(at in 0usize..60, bit in 0u8..8) {
        let mut file = two();
        let at = at % file.len();
        file[at] ^= 1 << bit;
        let _ = decode(&file);
    }
}
