//! Arrays to `.npy` and `.npz`.

use std::io::{Cursor, Write};

use npyz::{AutoSerialize, WriterBuilder};

use crate::error::CliError;

/// An array to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// Name in an archive.
    pub name: String,
    /// Extents.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub values: Values,
}

/// Elements of an array to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Real values.
    F32(Vec<f32>),
    /// Stored integers of 8 bits.
    I8(Vec<i8>),
    /// Stored integers of 16 bits.
    I16(Vec<i16>),
    /// Integers: positions, for example.
    I64(Vec<i64>),
}

impl Values {
    /// Adds elements of the same type behind these.
    pub(crate) fn append(&mut self, more: Values) {
        match (self, more) {
            (Values::F32(v), Values::F32(w)) => v.extend(w),
            (Values::I8(v), Values::I8(w)) => v.extend(w),
            (Values::I16(v), Values::I16(w)) => v.extend(w),
            (Values::I64(v), Values::I64(w)) => v.extend(w),
            _ => unreachable!("arrays of one output have one type"),
        }
    }

    /// The elements as real values.
    pub(crate) fn reals(self) -> Vec<f32> {
        match self {
            Values::F32(v) => v,
            Values::I8(v) => v.into_iter().map(f32::from).collect(),
            Values::I16(v) => v.into_iter().map(f32::from).collect(),
            Values::I64(v) => v.into_iter().map(|x| x as f32).collect(),
        }
    }
}

/// An `.npy` file.
pub(crate) fn npy(array: &Written) -> Result<Vec<u8>, CliError> {
    match &array.values {
        Values::F32(v) => npy_of(&array.shape, v),
        Values::I8(v) => npy_of(&array.shape, v),
        Values::I16(v) => npy_of(&array.shape, v),
        Values::I64(v) => npy_of(&array.shape, v),
    }
    .map_err(CliError::refused)
}

/// An `.npz` archive, the same bytes for the same arrays.
pub(crate) fn npz(arrays: &[Written]) -> Result<Vec<u8>, CliError> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // Stored with a fixed date.
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options).map_err(CliError::refused)?;
        archive.write_all(&npy(array)?).map_err(CliError::refused)?;
    }
    Ok(archive.finish().map_err(CliError::refused)?.into_inner())
}

/// An `.npy` file of elements of any type.
pub(crate) fn npy_of<T: AutoSerialize + Copy>(
    shape: &[usize],
    values: &[T],
) -> Result<Vec<u8>, String> {
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
