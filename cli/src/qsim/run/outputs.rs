//! `--output`: the network's outputs as arrays.

use std::path::Path;

use ir::qgraph::{QType, QValue};
use runtime::{QData, QTensor};

use crate::data::write::{Values, Written, npy, npz};
use crate::error::CliError;
use crate::output::Output;
use crate::parts::{NetworkOutputs, dequantized};

/// The file that outputs go to, opened before they are computed.
pub(super) struct OutputFile {
    file: Output,
    archive: bool,
}

impl OutputFile {
    /// Opens `.npz` for any number of outputs, `.npy` for a single one.
    pub(super) fn create(path: &Path, names: &[String]) -> Result<OutputFile, CliError> {
        let archive = match path.extension().and_then(|e| e.to_str()) {
            Some("npz") => true,
            Some("npy") => false,
            _ => {
                return Err(CliError::Usage(format!(
                    "--output {}: the ending says the form: .npy, or .npz with one array per output",
                    path.display()
                )));
            }
        };
        if !archive && names.len() != 1 {
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            return Err(CliError::Usage(format!(
                "--output {}: an .npy holds one array, the network has {} outputs: {}\n  hint: --output {}",
                path.display(),
                names.len(),
                quoted.join(", "),
                path.with_extension("npz").display()
            )));
        }
        Ok(OutputFile { file: Output::open(path)?, archive })
    }

    /// Writes what every sample gave, one list of tensors per sample.
    pub(super) fn write(
        mut self,
        outputs: &[QValue],
        samples: &[Vec<QTensor>],
        network: Option<&NetworkOutputs>,
    ) -> Result<Output, CliError> {
        let arrays = match network {
            None => outputs
                .iter()
                .enumerate()
                .map(|(i, output)| {
                    let tensors: Vec<&QTensor> = samples.iter().map(|s| &s[i]).collect();
                    stored(output, &tensors)
                })
                .collect(),
            Some(back) => real(outputs, samples, back)?,
        };
        let bytes = match (&arrays[..], self.archive) {
            ([single], false) => npy(single)?,
            (all, _) => npz(all)?,
        };
        self.file.put(&bytes)?;
        Ok(self.file)
    }
}

/// Stored integers, `[h, w, c]` or `[samples, h, w, c]`.
fn stored(output: &QValue, tensors: &[&QTensor]) -> Written {
    let values = match output.dtype {
        QType::I8 => Values::I8(joined(tensors, |t| match &t.data {
            QData::I8(v) => v.clone(),
            QData::I16(v) => v.iter().map(|&x| x as i8).collect(),
        })),
        QType::I16 => Values::I16(joined(tensors, |t| match &t.data {
            QData::I8(v) => v.iter().map(|&x| i16::from(x)).collect(),
            QData::I16(v) => v.clone(),
        })),
    };
    let shape = output.shape.extents().to_vec();
    Written { name: output.name.clone(), shape: stacked(shape, tensors.len()), values }
}

/// The network's outputs in their ONNX extents, which for several samples have one more axis in front (or in place of a batch of 1).
fn real(
    outputs: &[QValue],
    samples: &[Vec<QTensor>],
    back: &NetworkOutputs,
) -> Result<Vec<Written>, CliError> {
    let mut arrays: Vec<Written> = Vec::new();
    for tensors in samples {
        let one = back.network(dequantized(outputs, tensors)?)?;
        if arrays.is_empty() {
            arrays = one;
            continue;
        }
        for (array, more) in arrays.iter_mut().zip(one) {
            array.values.append(more.values);
        }
    }
    for array in &mut arrays {
        let shape = std::mem::take(&mut array.shape);
        array.shape = match shape.split_first() {
            Some((1, rest)) if samples.len() > 1 => stacked(rest.to_vec(), samples.len()),
            _ => stacked(shape, samples.len()),
        };
    }
    Ok(arrays)
}

fn joined<T>(tensors: &[&QTensor], values: impl Fn(&QTensor) -> Vec<T>) -> Vec<T> {
    tensors.iter().flat_map(|t| values(t)).collect()
}

fn stacked(mut shape: Vec<usize>, samples: usize) -> Vec<usize> {
    if samples > 1 {
        shape.insert(0, samples);
    }
    shape
}
