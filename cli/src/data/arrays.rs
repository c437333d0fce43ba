//! Arrays in `.npz` and `.npy` files. Sizes in the file are checked against the bytes behind them before anything is allocated.

use std::io::{Cursor, Read};
use std::path::Path;

use crate::error::{CliError, read_file};

/// Memory that any file may take, and that each of its bytes may take more: archives of sparse data unpack to a multiple of their size.
const FREE_BYTES: u64 = 40 << 20;
const BYTES_PER_BYTE: u64 = 40;

/// Longest header of an array: the one of NumPy itself.
const MAX_HEADER_BYTES: u32 = 10_000;

/// Deepest brackets of a header: a record of records has four.
const MAX_HEADER_DEPTH: u32 = 6;

/// Elements of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    /// Raw pixels: they pass through the preprocessing.
    U8(Vec<u8>),
    /// Real values as the network expects them.
    F32(Vec<f32>),
    /// Labels or stored integers.
    I64(Vec<i64>),
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Elements::U8(v) => v.len(),
            Elements::F32(v) => v.len(),
            Elements::I64(v) => v.len(),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Elements::U8(_) => "uint8",
            Elements::F32(_) => "float",
            Elements::I64(_) => "integer",
        }
    }
}

/// A named array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    /// Name in the archive (`x` for a lone `.npy`).
    pub name: String,
    /// Extents, samples first.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub elements: Elements,
}

impl Array {
    /// Elements of one sample.
    pub(super) fn sample(&self, index: usize) -> Elements {
        let n: usize = self.shape[1..].iter().product();
        let range = index * n..(index + 1) * n;
        match &self.elements {
            Elements::U8(v) => Elements::U8(v[range].to_vec()),
            Elements::F32(v) => Elements::F32(v[range].to_vec()),
            Elements::I64(v) => Elements::I64(v[range].to_vec()),
        }
    }
}

/// Samples on the first axis, then the network input's extents with or without its batch of 1; or one sample of just these extents.
/// `integers` says whether the input takes such.
pub(super) fn check_shape(
    array: &mut Array,
    input: &str,
    shape: &[usize],
    integers: bool,
) -> Result<(), String> {
    let without_batch = shape.strip_prefix(&[1]).unwrap_or(shape);
    let per_sample = array.shape.get(1..).filter(|s| *s == without_batch || *s == shape);
    if per_sample.is_none() && array.shape == shape {
        array.shape.insert(0, 1);
    } else if per_sample.is_none() {
        let wanted: Vec<String> = without_batch.iter().map(ToString::to_string).collect();
        return Err(format!(
            "`{}` has shape {:?}, but input `{input}` takes [n, {}]",
            array.name,
            array.shape,
            wanted.join(", ")
        ));
    }
    if !integers && matches!(array.elements, Elements::I64(_)) {
        return Err(format!(
            "`{}` holds {} values, but input `{input}` takes float32, or uint8 pixels",
            array.name,
            array.elements.type_name()
        ));
    }
    Ok(())
}

/// Labels: one integer per sample.
pub(super) fn labels(array: Array) -> Result<Vec<i64>, String> {
    if array.shape.len() != 1 {
        return Err(format!("`y` has shape {:?}, labels are one integer per sample", array.shape));
    }
    match array.elements {
        Elements::I64(v) => Ok(v),
        Elements::U8(v) => Ok(v.into_iter().map(i64::from).collect()),
        Elements::F32(_) => Err("`y` holds floats, labels are integers".into()),
    }
}

/// Reads every array of an `.npz`, or the one of an `.npy`.
pub(super) fn read_arrays(path: &Path) -> Result<Vec<Array>, CliError> {
    let bytes = read_file(path)?;
    let fail = |reason: String| CliError::in_file(path, reason);
    if bytes.starts_with(b"\x93NUMPY") {
        return Ok(vec![parse_npy("x", &bytes, &mut Room::of(&bytes)).map_err(fail)?]);
    }
    if !bytes.starts_with(b"PK") {
        return Err(fail("is neither .npz nor .npy, nor named like an image (.jpg, .png)".into()));
    }
    parse_npz(&bytes).map_err(fail)
}

/// Reads every array of an `.npz`, by name.
pub(crate) fn parse_npz(bytes: &[u8]) -> Result<Vec<Array>, String> {
    let damaged = |e: zip::result::ZipError| format!("damaged .npz: {e}");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut out = Vec::new();
    let mut names = Vec::with_capacity(archive.len().min(bytes.len()));
    for name in archive.file_names() {
        names.push(name.map_err(damaged)?.into_owned());
    }
    names.sort();
    let mut room = Room::of(bytes);
    for file_name in names {
        let member =
            archive.by_name(&file_name).map_err(|e| format!("damaged .npz: `{file_name}`: {e}"))?;
        let Some(name) = file_name.strip_suffix(".npy") else { continue };
        let size = member.size();
        room.take(&file_name, size)?;
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        // One byte more, so that the end is met and the checksum compared.
        member
            .take(size.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| format!("damaged .npz: `{file_name}`: {e}"))?;
        if content.len() as u64 > size {
            return Err(format!("damaged .npz: `{file_name}` is longer than the archive says"));
        }
        out.push(parse_npy(name, &content, &mut room)?);
    }
    if out.is_empty() {
        return Err("holds no arrays".into());
    }
    Ok(out)
}

/// Memory that the arrays of a file may still take, so that a small file cannot unpack to any size.
struct Room(u64);

impl Room {
    /// What a file of these bytes justifies.
    fn of(bytes: &[u8]) -> Room {
        Room(FREE_BYTES + BYTES_PER_BYTE * bytes.len() as u64)
    }

    fn take(&mut self, name: &str, bytes: u64) -> Result<(), String> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            format!("`{name}` unpacks to more than the size of the file justifies: refused\n  hint: numpy.savez, which does not compress")
        })?;
        Ok(())
    }
}

fn parse_npy(name: &str, bytes: &[u8], room: &mut Room) -> Result<Array, String> {
    check_header(bytes).map_err(|problem| format!("`{name}`: {problem}"))?;
    let npy =
        npyz::NpyFile::new(bytes).map_err(|e| format!("`{name}`: damaged .npy header: {e}"))?;
    let shape: Vec<usize> =
        npy.shape().iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
    if npy.order() != npyz::Order::C && shape.len() > 1 {
        return Err(format!(
            "`{name}` is stored in Fortran order\n  hint: numpy.ascontiguousarray before saving"
        ));
    }
    let dtype = npy.dtype().descr();
    let count =
        shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= bytes.len());
    let Some(count) = count else {
        return Err(format!(
            "`{name}` claims shape {shape:?}, more than its {} bytes hold",
            bytes.len()
        ));
    };
    let kind = dtype.trim_matches('\'').trim_start_matches(['<', '|', '>', '=']).to_string();
    let big_endian = dtype.trim_matches('\'').starts_with('>');
    if big_endian {
        return Err(format!("`{name}` is big-endian ({dtype})"));
    }
    // Elements as they are read, and as they are kept.
    let bytes_each = match kind.as_str() {
        "u1" => 1,
        "f4" => 4,
        "f8" | "i4" => 12,
        "i8" => 8,
        "i2" => 10,
        "i1" => 9,
        _ => {
            return Err(format!(
                "`{name}` has element type {dtype}; float32, float64, uint8 and signed integers are read"
            ));
        }
    };
    room.take(name, count as u64 * bytes_each)?;
    let elements = match kind.as_str() {
        "u1" => npy.into_vec::<u8>().map(Elements::U8),
        "f4" => npy.into_vec::<f32>().map(Elements::F32),
        "f8" => {
            npy.into_vec::<f64>().map(|v| Elements::F32(v.into_iter().map(|x| x as f32).collect()))
        }
        "i8" => npy.into_vec::<i64>().map(Elements::I64),
        "i4" => npy.into_vec::<i32>().map(widened),
        "i2" => npy.into_vec::<i16>().map(widened),
        _ => npy.into_vec::<i8>().map(widened),
    };
    let elements = elements.map_err(|e| format!("`{name}`: damaged .npy: {e}"))?;
    if elements.len() != count {
        return Err(format!(
            "`{name}` holds {} elements, its shape {shape:?} says {count}",
            elements.len()
        ));
    }
    Ok(Array { name: name.into(), shape, elements })
}

fn widened<T: Into<i64>>(values: Vec<T>) -> Elements {
    Elements::I64(values.into_iter().map(Into::into).collect())
}

/// Checks what the reader of `.npy` headers does not: their length (2 bytes from byte 8 on in version 1 of the format, 4 in later ones), which
/// it allocates before it reads, and how deep brackets nest, of which it tries every meaning.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    let (length, header) = match (bytes.get(6), bytes.get(8..)) {
        (Some(1), Some(&[low, high, ref header @ ..])) => {
            (u32::from(u16::from_le_bytes([low, high])), header)
        }
        (Some(2..), Some(&[a, b, c, d, ref header @ ..])) => {
            (u32::from_le_bytes([a, b, c, d]), header)
        }
        _ => return Err("damaged .npy: the file is cut off".into()),
    };
    if length > MAX_HEADER_BYTES {
        return Err(format!(
            "damaged .npy: a header of {length} bytes, expected at most {MAX_HEADER_BYTES}"
        ));
    }
    let mut depth = 0u32;
    for byte in header.iter().take(length as usize) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_HEADER_DEPTH {
            return Err(format!(
                "damaged .npy: brackets of the header nest deeper than {MAX_HEADER_DEPTH}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::write::{Values, Written, npy, npz};
    use super::*;

    fn written(name: &str, shape: &[usize], values: Values) -> Written {
        Written { name: name.into(), shape: shape.to_vec(), values }
    }

    #[test]
    fn what_is_written_reads_back() {
        let reals = vec![1.0, 2.0, 3.0, 4.0, 5.0, -6.5];
        let x = written("a/x:0", &[2, 3], Values::F32(reals.clone()));
        let q = written("q", &[3], Values::I8(vec![-128, 0, 127]));
        let wide = written("wide", &[1, 2], Values::I16(vec![-32768, 32767]));
        let file = npy(&x).unwrap();
        let array = parse_npy("x", &file, &mut Room::of(&file)).unwrap();
        assert_eq!((array.shape, array.elements), (vec![2, 3], Elements::F32(reals.clone())));
        let archive = npz(&[x, q, wide]).unwrap();
        let arrays = parse_npz(&archive).unwrap();
        let names: Vec<&str> = arrays.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["a/x:0", "q", "wide"]);
        assert_eq!(arrays[1].elements, Elements::I64(vec![-128, 0, 127]));
        assert_eq!(arrays[2].elements, Elements::I64(vec![-32768, 32767]));
    }

    #[test]
    fn a_lone_sample_needs_no_axis_of_samples() {
        let array = |shape: &[usize]| Array {
            name: "x".into(),
            shape: shape.to_vec(),
            elements: Elements::F32(vec![0.0; shape.iter().product()]),
        };
        for (given, takes, read) in [
            (vec![5, 2, 3], vec![1, 2, 3], Some(vec![5, 2, 3])),
            (vec![1, 2, 3], vec![1, 2, 3], Some(vec![1, 2, 3])),
            (vec![5, 1, 2, 3], vec![1, 2, 3], Some(vec![5, 1, 2, 3])),
            (vec![2, 3], vec![2, 3], Some(vec![1, 2, 3])),
            (vec![2, 3], vec![1, 2, 3], None),
            (vec![], vec![3], None),
        ] {
            let mut array = array(&given);
            let checked = check_shape(&mut array, "x", &takes, false);
            assert_eq!(checked.ok().map(|()| array.shape), read, "{given:?} for {takes:?}");
        }
    }

    #[test]
    fn a_lying_header_is_refused_before_allocation() {
        let mut bytes = npy(&written("x", &[2, 3], Values::F32(vec![0.0; 6]))).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let at = text.find("(2, 3").unwrap();
        // Same length, so that the header stays well formed.
        bytes[at..at + 5].copy_from_slice(b"(9e9,");
        let read = |bytes: &[u8]| parse_npy("x", bytes, &mut Room::of(bytes));
        assert!(read(&bytes).is_err());
        assert!(parse_npz(&bytes).is_err());
        for n in 0..bytes.len() {
            let _ = read(&bytes[..n]);
        }
    }

    #[test]
    fn a_long_header_is_refused_before_allocation() {
        // Version 2 has 4 bytes for the length; the header would take 4 GB.
        for version in [2, 3, 255] {
            let bytes =
                [b"\x93NUMPY".as_slice(), &[version, 0], &u32::MAX.to_le_bytes(), b"{}"].concat();
            let error = parse_npy("x", &bytes, &mut Room::of(&bytes)).unwrap_err();
            assert!(error.contains("a header of 4294967295 bytes"), "{error}");
        }
    }

    #[test]
    fn nested_brackets_of_a_header_end() {
        for (open, close) in [("{", "}"), ("(", ")"), ("[", "]")] {
            for depth in [4, 20, 4000] {
                for text in [open.repeat(depth), open.repeat(depth) + &close.repeat(depth)] {
                    let header =
                        format!("{{'descr': {text}, 'fortran_order': False, 'shape': (2,), }}\n");
                    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
                    let bytes =
                        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &[0; 8]]
                            .concat();
                    let error = parse_npy("x", &bytes, &mut Room::of(&bytes)).unwrap_err();
                    assert_eq!(error.contains("nest deeper"), depth > 5, "{error}");
                }
            }
        }
    }

    #[test]
    fn an_archive_that_unpacks_to_much_more_is_refused() {
        let array = |n: usize| npy(&written("x", &[n], Values::I8(vec![0; n]))).unwrap();
        let packed = |members: &[Vec<u8>]| {
            let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for (i, member) in members.iter().enumerate() {
                let options = zip::write::SimpleFileOptions::default();
                archive.start_file(format!("{i}.npy"), options).unwrap();
                std::io::Write::write_all(&mut archive, member).unwrap();
            }
            archive.finish().unwrap().into_inner()
        };
        // Integers of 8 bits are kept as 64; one array of a million is taken, five together are not.
        let small = packed(&[array(1 << 20)]);
        assert!(small.len() < 20_000 && parse_npz(&small).is_ok());
        let error = parse_npz(&packed(&vec![array(1 << 20); 5])).unwrap_err();
        assert!(
            error.contains("4.npy` unpacks to more") || error.contains("`4` unpacks to more"),
            "{error}"
        );
        let error = parse_npz(&packed(&[array(60 << 20)])).unwrap_err();
        assert!(error.contains("hint: numpy.savez"), "{error}");
    }
}
