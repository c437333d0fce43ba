//! Labelled images in the forms that packages have them, made into the `.npz` that `--data` reads: `x` uint8 `[n, 1, 28, 28]`, `y` int64 `[n]`.

use std::io::{Cursor, Read, Write};

use flate2::read::GzDecoder;
use serde::Deserialize;
use zip::write::SimpleFileOptions;

use crate::data::write::npy_of;

/// Extent of an image.
const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;

/// From gzipped IDX files of images and labels, the first `samples`.
///
/// IDX: a magic number (8 for bytes, number of axes in the last byte) and the extents, big-endian, then the elements.
pub(super) fn from_idx(files: &[Vec<u8>], samples: usize) -> Result<Vec<u8>, String> {
    let [images, labels] = files else { return Err("IDX data is two files".to_owned()) };
    let pixels = idx_elements(images, &[0x0803, SIDE as u32, SIDE as u32], samples, PIXELS)?;
    let labels = idx_elements(labels, &[0x0801], samples, 1)?;
    npz(&pixels, &labels.into_iter().map(i64::from).collect::<Vec<i64>>())
}

/// The first `samples` elements of `bytes` bytes, behind a header: magic number, number of elements, extents of one element.
fn idx_elements(
    gzipped: &[u8],
    expected: &[u32],
    samples: usize,
    bytes: usize,
) -> Result<Vec<u8>, String> {
    let short = |_| "an IDX file is shorter than its header says".to_owned();
    let mut file = GzDecoder::new(gzipped);
    let mut word = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).map(|()| u32::from_be_bytes(bytes)).map_err(short)
    };
    let magic = word()?;
    let count = word()?;
    let mut header = vec![magic];
    for _ in 1..expected.len() {
        header.push(word()?);
    }
    if header != expected || (count as usize) < samples {
        return Err(format!(
            "an IDX file has header {header:x?} and {count} elements, expected {expected:x?} and at least {samples}"
        ));
    }
    let wanted = samples.checked_mul(bytes).ok_or_else(|| {
        format!("{samples} samples of {bytes} bytes are more than can be addressed")
    })?;
    let mut elements = Vec::new();
    file.take(wanted as u64).read_to_end(&mut elements).map_err(short)?;
    if elements.len() == wanted {
        Ok(elements)
    } else {
        Err("an IDX file is shorter than its header says".to_owned())
    }
}

/// From one JSON file per digit: `{"data": [..]}`, pixels divided by 255 and rounded, one image behind the other.
pub(super) fn from_digits(files: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    #[derive(Deserialize)]
    struct Digit {
        data: Vec<f64>,
    }
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (digit, file) in (0i64..).zip(files) {
        let Digit { data } =
            serde_json::from_slice(file).map_err(|e| format!("digit {digit}: {e}"))?;
        if !data.len().is_multiple_of(PIXELS) || data.iter().any(|v| !(0.0..=1.0).contains(v)) {
            return Err(format!("digit {digit}: not whole images of pixels 0 to 1"));
        }
        labels.extend(std::iter::repeat_n(digit, data.len() / PIXELS));
        pixels.extend(data.iter().map(|v| (v * 255.0).round() as u8));
    }
    npz(&pixels, &labels)
}

fn npz(pixels: &[u8], labels: &[i64]) -> Result<Vec<u8>, String> {
    let x = npy_of(&[labels.len(), 1, SIDE, SIDE], pixels)?;
    let y = npy_of(&[labels.len()], labels)?;
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("x.npy", x), ("y.npy", y)] {
        let options = SimpleFileOptions::default();
        archive.start_file(name, options).map_err(|e| e.to_string())?;
        archive.write_all(&bytes).map_err(|e| e.to_string())?;
    }
    Ok(archive.finish().map_err(|e| e.to_string())?.into_inner())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::data::arrays::{Elements, parse_npz};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut file = GzEncoder::new(Vec::new(), Compression::fast());
        file.write_all(bytes).unwrap();
        file.finish().unwrap()
    }

    fn idx(header: &[u32], elements: &[u8]) -> Vec<u8> {
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        gzip(&header.chain(elements.iter().copied()).collect::<Vec<u8>>())
    }

    fn elements(npz: &[u8]) -> (Vec<usize>, Elements, Elements) {
        let mut arrays = parse_npz(npz).unwrap();
        let (y, x) = (arrays.pop().unwrap(), arrays.pop().unwrap());
        assert_eq!((x.name.as_str(), y.name.as_str()), ("x", "y"));
        (x.shape, x.elements, y.elements)
    }

    #[test]
    fn idx_files_become_arrays() {
        let pixels: Vec<u8> = (0..3 * PIXELS).map(|i| (i % 251) as u8).collect();
        let images = idx(&[0x0803, 3, 28, 28], &pixels);
        let labels = idx(&[0x0801, 3], &[7, 0, 9]);
        let npz = from_idx(&[images.clone(), labels.clone()], 2).unwrap();
        let (shape, x, y) = elements(&npz);
        assert_eq!(shape, [2, 1, 28, 28]);
        assert_eq!(x, Elements::U8(pixels[..2 * PIXELS].to_vec()));
        assert_eq!(y, Elements::I64(vec![7, 0]));

        let told = |images: &[u8], samples| {
            from_idx(&[images.to_vec(), labels.clone()], samples).unwrap_err()
        };
        assert!(told(&images, 4).contains("at least 4"));
        assert!(told(&idx(&[0x0803, 3, 28, 27], &pixels), 3).contains("1b"));
        assert!(told(&idx(&[0x0803, 3, 28, 28], &pixels[1..]), 3).contains("shorter"));
        assert!(told(&images[..images.len() / 2], 3).contains("shorter"));
        assert!(told(b"no gzip", 1).contains("shorter"));
    }

    #[test]
    fn digits_become_arrays() {
        let digit = |value: &str, count: usize| {
            format!("{{\"data\": [{}]}}", vec![value; count].join(",")).into_bytes()
        };
        let npz = from_digits(&[digit("0.502", 2 * PIXELS), digit("1", PIXELS)]).unwrap();
        let (shape, x, y) = elements(&npz);
        assert_eq!(shape, [3, 1, 28, 28]);
        let expected = [vec![128; 2 * PIXELS], vec![255; PIXELS]].concat();
        assert_eq!((x, y), (Elements::U8(expected), Elements::I64(vec![0, 0, 1])));
        for bad in
            [digit("0.5", PIXELS + 1), digit("1.5", PIXELS), digit("-1", PIXELS), b"{".to_vec()]
        {
            assert!(from_digits(&[bad]).unwrap_err().contains("digit 0"));
        }
    }
}
