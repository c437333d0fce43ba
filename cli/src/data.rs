//! Samples from `.npz` and `.npy` files.
//!
//! `.npz`: `x` (or one array per network input, by name) with samples on the first axis, and optionally integer labels `y` (unless an input
//! is named so). `.npy`: one array for a network with one input. Sizes in the file are checked against the bytes behind them before anything
//! is allocated.

use std::io::{Cursor, Read};
use std::path::Path;

use crate::error::{CliError, read_file};

/// A deflated byte can hardly unpack to more than this many.
const MAX_INFLATION: u64 = 1100;

/// Elements of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    /// Raw pixels: they pass through the preprocessing.
    U8(Vec<u8>),
    /// Real values as the network expects them.
    F32(Vec<f32>),
    /// Labels or other integers.
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

/// Samples for the inputs of a network, with labels if there are any.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Samples {
    /// One array per network input, samples on the first axis.
    pub arrays: Vec<Array>,
    /// Class of each sample.
    pub labels: Option<Vec<i64>>,
    /// Number of samples.
    pub count: usize,
}

impl Samples {
    /// Reads samples for the named inputs; `shapes` are the inputs' ONNX extents, batch included.
    pub(crate) fn read(path: &Path, inputs: &[(&str, &[usize])]) -> Result<Samples, CliError> {
        let fail = |reason: String| CliError::in_file(path, reason);
        let mut arrays = read_arrays(path)?;
        let labels = match arrays.iter().position(|a| a.name == "y") {
            // An input may have that name; then there are no labels.
            Some(at) if arrays.len() > 1 && inputs.iter().all(|&(name, _)| name != "y") => {
                Some(labels(arrays.remove(at)).map_err(fail)?)
            }
            _ => None,
        };
        let mut ordered = Vec::with_capacity(inputs.len());
        for &(name, shape) in inputs {
            let at = arrays.iter().position(|a| a.name == name).or_else(|| {
                let lone = inputs.len() == 1;
                arrays.iter().position(|a| lone && (a.name == "x" || arrays.len() == 1))
            });
            let Some(at) = at else {
                let held: Vec<&str> = arrays.iter().map(|a| a.name.as_str()).collect();
                let hint = if inputs.len() == 1 {
                    "name the array `x`"
                } else {
                    "one array per network input, by name"
                };
                return Err(fail(format!(
                    "no array for input `{name}`; the file holds {}\n  hint: {hint}",
                    quoted(&held)
                )));
            };
            let array = arrays.remove(at);
            check_shape(&array, name, shape).map_err(fail)?;
            ordered.push(array);
        }
        let count = ordered.first().map_or(0, |a| a.shape[0]);
        if count == 0 {
            return Err(fail("holds no samples".into()));
        }
        if let Some(odd) = ordered.iter().find(|a| a.shape[0] != count) {
            return Err(fail(format!(
                "`{}` holds {} samples, the first input {count}",
                odd.name, odd.shape[0]
            )));
        }
        if let Some(labels) = &labels
            && labels.len() != count
        {
            return Err(fail(format!("`y` holds {} labels for {count} samples", labels.len())));
        }
        Ok(Samples { arrays: ordered, labels, count })
    }
}

impl Samples {
    /// One input's stored integers (`[h, w, c]` or any shape of as many elements), one sample.
    pub(crate) fn read_raw(path: &Path, inputs: &[(&str, &[usize])]) -> Result<Samples, CliError> {
        let [(name, shape)] = inputs else {
            return Err(CliError::in_file(path, "--raw serves networks with one input"));
        };
        let mut arrays = read_arrays(path)?;
        let array = arrays.remove(0);
        let wanted: usize = shape.iter().product();
        let integers = match array.elements {
            Elements::I64(v) => v,
            Elements::U8(v) => v.into_iter().map(i64::from).collect(),
            Elements::F32(v) if v.iter().all(|x| x.fract() == 0.0 && x.abs() < 1e6) => {
                v.into_iter().map(|x| x as i64).collect()
            }
            Elements::F32(_) => {
                return Err(CliError::in_file(
                    path,
                    "--raw takes stored integers, found fractions",
                ));
            }
        };
        if integers.len() != wanted {
            return Err(CliError::in_file(
                path,
                format!("holds {} values, input `{name}` takes {wanted}", integers.len()),
            ));
        }
        let shape = [&[1], *shape].concat();
        Ok(Samples {
            arrays: vec![Array { name: (*name).into(), shape, elements: Elements::I64(integers) }],
            labels: None,
            count: 1,
        })
    }

    /// Stored integers of a sample, if the samples hold stored integers.
    pub(crate) fn raw(&self, index: usize) -> Option<Vec<Vec<i32>>> {
        let one = |a: &Array| match &a.elements {
            Elements::I64(v) => {
                let n = v.len() / self.count;
                Some(v[index * n..(index + 1) * n].iter().map(|&x| x as i32).collect())
            }
            Elements::U8(_) | Elements::F32(_) => None,
        };
        self.arrays.iter().map(one).collect()
    }

    /// A hash of each sample's elements, to notice samples that serve two purposes.
    pub(crate) fn hashes(&self) -> Vec<u64> {
        use sha2::{Digest, Sha256};
        let one = |index: usize| {
            let mut hash = Sha256::new();
            for array in &self.arrays {
                let n = array.elements.len() / self.count;
                let range = index * n..(index + 1) * n;
                match &array.elements {
                    Elements::U8(v) => hash.update(&v[range]),
                    Elements::F32(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
                    Elements::I64(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
                }
            }
            let mut first = [0; 8];
            first.copy_from_slice(&hash.finalize()[..8]);
            u64::from_le_bytes(first)
        };
        (0..self.count).map(one).collect()
    }
}

/// Samples on the first axis, then the network input's extents with or without its batch of 1.
fn check_shape(array: &Array, input: &str, shape: &[usize]) -> Result<(), String> {
    let per_sample = array.shape.get(1..).unwrap_or(&[]);
    let without_batch = shape.strip_prefix(&[1]).unwrap_or(shape);
    if array.shape.is_empty() || (per_sample != without_batch && per_sample != shape) {
        let wanted: Vec<String> = without_batch.iter().map(ToString::to_string).collect();
        return Err(format!(
            "`{}` has shape {:?}, but input `{input}` takes [n, {}]",
            array.name,
            array.shape,
            wanted.join(", ")
        ));
    }
    if matches!(array.elements, Elements::I64(_)) {
        return Err(format!(
            "`{}` holds {} values, but input `{input}` takes float32, or uint8 pixels",
            array.name,
            array.elements.type_name()
        ));
    }
    Ok(())
}

fn labels(array: Array) -> Result<Vec<i64>, String> {
    if array.shape.len() != 1 {
        return Err(format!("`y` has shape {:?}, labels are one integer per sample", array.shape));
    }
    match array.elements {
        Elements::I64(v) => Ok(v),
        Elements::U8(v) => Ok(v.into_iter().map(i64::from).collect()),
        Elements::F32(_) => Err("`y` holds floats, labels are integers".into()),
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// Reads every array of an `.npz`, or the one of an `.npy`.
fn read_arrays(path: &Path) -> Result<Vec<Array>, CliError> {
    if path.is_dir() {
        return Err(CliError::in_file(
            path,
            "is a folder; samples are read from .npz and .npy files",
        ));
    }
    let bytes = read_file(path)?;
    let fail = |reason: String| CliError::in_file(path, reason);
    if bytes.starts_with(b"\x93NUMPY") {
        return Ok(vec![parse_npy("x", &bytes).map_err(fail)?]);
    }
    if !bytes.starts_with(b"PK") {
        return Err(fail("is neither .npz nor .npy".into()));
    }
    parse_npz(&bytes).map_err(fail)
}

pub(crate) fn parse_npz(bytes: &[u8]) -> Result<Vec<Array>, String> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("damaged .npz: {e}"))?;
    let mut out = Vec::new();
    let mut names = Vec::with_capacity(archive.len().min(bytes.len()));
    for name in archive.file_names() {
        names.push(name.map_err(|e| format!("damaged .npz: {e}"))?.into_owned());
    }
    names.sort();
    for file_name in names {
        let mut member =
            archive.by_name(&file_name).map_err(|e| format!("damaged .npz: `{file_name}`: {e}"))?;
        let Some(name) = file_name.strip_suffix(".npy") else { continue };
        let limit =
            member.compressed_size().min(bytes.len() as u64).saturating_mul(MAX_INFLATION) + 4096;
        let mut content = Vec::new();
        member
            .by_ref()
            .take(limit + 1)
            .read_to_end(&mut content)
            .map_err(|e| format!("damaged .npz: `{file_name}`: {e}"))?;
        if content.len() as u64 > limit {
            return Err(format!(
                "`{file_name}` unpacks to more than {MAX_INFLATION} times its size: refused"
            ));
        }
        out.push(parse_npy(name, &content)?);
    }
    if out.is_empty() {
        return Err("holds no arrays".into());
    }
    Ok(out)
}

fn parse_npy(name: &str, bytes: &[u8]) -> Result<Array, String> {
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
    let elements = match kind.as_str() {
        "u1" => npy.into_vec::<u8>().map(Elements::U8),
        "f4" => npy.into_vec::<f32>().map(Elements::F32),
        "f8" => {
            npy.into_vec::<f64>().map(|v| Elements::F32(v.into_iter().map(|x| x as f32).collect()))
        }
        "i8" => npy.into_vec::<i64>().map(Elements::I64),
        "i4" => {
            npy.into_vec::<i32>().map(|v| Elements::I64(v.into_iter().map(i64::from).collect()))
        }
        "i2" => {
            npy.into_vec::<i16>().map(|v| Elements::I64(v.into_iter().map(i64::from).collect()))
        }
        "i1" => npy.into_vec::<i8>().map(|v| Elements::I64(v.into_iter().map(i64::from).collect())),
        _ => {
            return Err(format!(
                "`{name}` has element type {dtype}; float32, float64, uint8 and signed integers are read"
            ));
        }
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

/// An `.npy` file.
pub(crate) fn npy<T: npyz::AutoSerialize + Copy>(
    shape: &[usize],
    values: &[T],
) -> Result<Vec<u8>, String> {
    use npyz::WriterBuilder;
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut bytes)
        .begin_nd()
        .map_err(|e| e.to_string())?;
    writer.extend(values.iter().copied()).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npy_round_trip() {
        let bytes = npy(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, -6.5]).unwrap();
        let array = parse_npy("x", &bytes).unwrap();
        assert_eq!(array.shape, [2, 3]);
        assert_eq!(array.elements, Elements::F32(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, -6.5]));
    }

    #[test]
    fn a_lying_header_is_refused_before_allocation() {
        let mut bytes = npy(&[2, 3], &[0.0f32; 6]).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let at = text.find("(2, 3").unwrap();
        // Same length, so that the header stays well formed.
        bytes[at..at + 5].copy_from_slice(b"(9e9,");
        assert!(parse_npy("x", &bytes).is_err());
        assert!(parse_npz(&bytes).is_err());
        for n in 0..bytes.len() {
            let _ = parse_npy("x", &bytes[..n]);
        }
    }

    #[test]
    fn an_input_named_y_holds_no_labels() {
        let path = std::env::temp_dir().join(format!("qcc-input-y-{}.npz", std::process::id()));
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for name in ["x.npy", "y.npy"] {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            let array = npy(&[1, 2], &[1.0f32, 2.0]).unwrap();
            std::io::Write::write_all(&mut archive, &array).unwrap();
        }
        archive.finish().unwrap();
        let both = Samples::read(&path, &[("x", &[1, 2]), ("y", &[1, 2])]).unwrap();
        assert_eq!((both.arrays.len(), both.labels), (2, None));
        let labels = Samples::read(&path, &[("x", &[1, 2])]).unwrap_err().to_string();
        assert!(labels.contains("labels"), "{labels}");
        std::fs::remove_file(path).unwrap();
    }
}
