//! Samples for the inputs of a network, with labels if there are any: from `.npz`, `.npy`, an image, or a folder of images.
//!
//! `.npz`: `x` (or one array per network input, by name) with samples on the first axis, and optionally integer labels `y` (unless an
//! input is named so). `.npy`: one array for a network with one input. Images are decoded when their turn comes, so that memory does not grow with their number.

pub(crate) mod arrays;
mod folder;
pub(crate) mod labels;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use ir::onnx::host::Kind;
use ir::qgraph::{QType, QValue};
use isa::program::Preprocess;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{CliError, read_file};
use crate::images::{self, ImageInput};
use crate::parts::{Given, NetworkInputs};
use crate::preprocess;
use arrays::{Array, Elements, check_shape, read_arrays};
use labels::Classes;

/// Images decoded at a time where they are taken in order.
const BATCH: usize = 16;

/// Samples that can be read one by one.
pub(crate) struct Samples<'a> {
    source: Source,
    /// The network's inputs; of stored integers the program's.
    end: End<'a>,
    how: Option<&'a Preprocess>,
    /// Class of each sample.
    pub labels: Option<Vec<i64>>,
    /// Number of samples.
    pub count: usize,
}

enum Source {
    /// One array per network input, samples on the first axis.
    Arrays(Vec<Array>),
    /// One image per sample.
    Images { files: Vec<PathBuf>, input: ImageInput },
}

/// What samples are for.
#[derive(Clone, Copy)]
enum End<'a> {
    /// The network.
    Network(&'a NetworkInputs),
    /// Inputs of the program, as stored integers.
    Program,
}

/// One sample: the elements of each network input, in ONNX order.
pub(crate) struct Sample {
    elements: Vec<Elements>,
    /// Its number among the samples.
    index: usize,
}

impl<'a> Samples<'a> {
    /// Reads samples for the inputs of `front`; pixels become real values as `how` says. Labels are read if `classes` says what they mean.
    pub(crate) fn read(
        path: &Path,
        front: &'a NetworkInputs,
        how: Option<&'a Preprocess>,
        classes: Option<&Classes<'_>>,
    ) -> Result<Samples<'a>, CliError> {
        let end = End::Network(front);
        if path.is_dir() {
            let listing = folder::list(path, classes)?;
            let input = image_input(path, front, how)?;
            let count = listing.files.len();
            let source = Source::Images { files: listing.files, input };
            return Ok(Samples { source, end, how, labels: listing.labels, count });
        }
        if images::is_image(path) {
            images::check_header(&read_file(path)?).map_err(|e| CliError::in_file(path, e))?;
            let input = image_input(path, front, how)?;
            let source = Source::Images { files: vec![path.to_path_buf()], input };
            return Ok(Samples { source, end, how, labels: None, count: 1 });
        }
        Samples::from_arrays(path, front, how)
    }

    fn from_arrays(
        path: &Path,
        front: &'a NetworkInputs,
        how: Option<&'a Preprocess>,
    ) -> Result<Samples<'a>, CliError> {
        let inputs = &front.inputs;
        let fail = |reason: String| CliError::in_file(path, reason);
        let mut arrays = read_arrays(path)?;
        let labels = match arrays.iter().position(|a| a.name == "y") {
            Some(at) if arrays.len() > 1 && !inputs.iter().any(|input| input.name == "y") => {
                Some(arrays::labels(arrays.remove(at)).map_err(fail)?)
            }
            _ => None,
        };
        let mut ordered = take_inputs(arrays, inputs).map_err(fail)?;
        let mut problems = Vec::new();
        for (i, (array, input)) in ordered.iter_mut().zip(inputs).enumerate() {
            let pixels = matches!(array.elements, Elements::U8(_));
            let integers = front.kind(i) != Kind::Real;
            if let Err(problem) = check_shape(array, &input.name, &input.view.onnx_shape, integers)
            {
                problems.push(problem);
            } else if pixels && how.is_none() && !integers {
                problems.push(no_preprocessing(&format!("`{}` holds uint8", array.name)));
            }
        }
        if !problems.is_empty() {
            return Err(CliError::all(path, problems));
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
        let end = End::Network(front);
        Ok(Samples { source: Source::Arrays(ordered), end, how, labels, count })
    }

    /// One sample of stored integers, each input of `[h, w, c]` or any shape of as many elements.
    pub(crate) fn read_raw(path: &Path, inputs: &[QValue]) -> Result<Samples<'a>, CliError> {
        let arrays =
            take_inputs(read_arrays(path)?, inputs).map_err(|e| CliError::in_file(path, e))?;
        let mut problems = Vec::new();
        let mut stored = Vec::with_capacity(inputs.len());
        for (array, input) in arrays.into_iter().zip(inputs) {
            match stored_integers(array, input) {
                Ok(values) => stored.push(values),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(Samples::stored(inputs, stored))
        } else {
            Err(CliError::all(path, problems))
        }
    }

    /// One sample of stored integers in `[h, w, c]` order.
    pub(crate) fn stored(inputs: &[QValue], values: Vec<Vec<i64>>) -> Samples<'a> {
        let array = |(input, values): (&QValue, Vec<i64>)| Array {
            name: input.name.clone(),
            shape: vec![1, values.len()],
            elements: Elements::I64(values),
        };
        let source = Source::Arrays(inputs.iter().zip(values).map(array).collect());
        Samples { source, end: End::Program, how: None, labels: None, count: 1 }
    }

    /// Reads one sample.
    pub(crate) fn sample(&self, index: usize) -> Result<Sample, CliError> {
        match &self.source {
            Source::Arrays(arrays) => {
                Ok(Sample { elements: arrays.iter().map(|a| a.sample(index)).collect(), index })
            }
            Source::Images { files, input } => {
                let file = &files[index];
                let pixels =
                    input.pixels(&read_file(file)?).map_err(|e| CliError::in_file(file, e))?;
                Ok(Sample { elements: vec![Elements::U8(pixels)], index })
            }
        }
    }

    /// Every sample in order, as [`Samples::those`].
    pub(crate) fn each(&self) -> impl Iterator<Item = Result<Sample, CliError>> {
        self.those((0..self.count).collect())
    }

    /// The chosen samples in order; images are decoded some at a time, in parallel.
    pub(crate) fn those(
        &self,
        chosen: Vec<usize>,
    ) -> impl Iterator<Item = Result<Sample, CliError>> {
        (0..chosen.len()).step_by(BATCH).flat_map(move |first| -> Vec<_> {
            let last = (first + BATCH).min(chosen.len());
            chosen[first..last].par_iter().map(|&i| self.sample(i)).collect()
        })
    }

    /// After a sample could not be read: the errors of all of them, so that they can be mended at once.
    pub(crate) fn explain(&self, path: &Path, first: CliError) -> CliError {
        let broken = |i: usize| self.sample(i).err().map(|e| e.to_string());
        let mut problems: Vec<String> =
            (0..self.count).into_par_iter().filter_map(broken).collect();
        match problems.len() {
            0 => first,
            1 => CliError::Refused(problems.remove(0)),
            _ => CliError::all(path, problems),
        }
    }

    /// Real values of every input of the program for a sample: floats as they are, pixels through the preprocessing, integers through
    /// what the host does with them. `None` for stored integers.
    pub(crate) fn real(&self, sample: &Sample) -> Result<Option<Vec<Vec<f32>>>, CliError> {
        let End::Network(front) = self.end else { return Ok(None) };
        let mut given = Vec::with_capacity(front.inputs.len());
        for (i, (elements, input)) in sample.elements.iter().zip(&front.inputs).enumerate() {
            let integers = front.kind(i) != Kind::Real;
            given.push(match (elements, self.how) {
                (Elements::F32(values), _) => Given::Real(values.clone()),
                (Elements::U8(pixels), Some(how)) => {
                    Given::Real(preprocess::apply(how, pixels, &input.view.onnx_shape)?)
                }
                (Elements::U8(pixels), None) if integers => {
                    Given::Integers(pixels.iter().map(|&v| v.into()).collect())
                }
                (Elements::U8(_), None) => {
                    return Err(CliError::Refused(no_preprocessing("the data are uint8")));
                }
                (Elements::I64(values), _) if integers => Given::Integers(values.clone()),
                (Elements::I64(_), _) => return Ok(None),
            });
        }
        let at = |error: CliError| match (error, self.count) {
            (CliError::Refused(text), 2..) => {
                CliError::Refused(format!("sample {}: {text}", sample.index))
            }
            (other, _) => other,
        };
        front.machine(given).map(Some).map_err(at)
    }
}

impl Sample {
    /// Stored integers of every input, if the sample holds stored integers.
    pub(crate) fn stored(&self) -> Option<Vec<Vec<i32>>> {
        let one = |elements: &Elements| match elements {
            Elements::I64(values) => Some(values.iter().map(|&v| v as i32).collect()),
            Elements::U8(_) | Elements::F32(_) => None,
        };
        self.elements.iter().map(one).collect()
    }

    /// A hash of the elements (of an image: of the pixels the network gets), to notice samples that serve two purposes.
    pub(crate) fn hash(&self) -> u64 {
        let mut hash = Sha256::new();
        for elements in &self.elements {
            match elements {
                Elements::U8(v) => hash.update(v),
                Elements::F32(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
                Elements::I64(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
            }
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        u64::from_le_bytes(first)
    }
}

/// One array per input, by name; a lone input also takes `x` or the only array.
fn take_inputs(mut arrays: Vec<Array>, inputs: &[QValue]) -> Result<Vec<Array>, String> {
    let quoted = |names: Vec<&str>| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>();
    let held = quoted(arrays.iter().map(|a| a.name.as_str()).collect()).join(", ");
    let lone = inputs.len() == 1;
    let only = lone && arrays.len() == 1;
    let mut ordered = Vec::with_capacity(inputs.len());
    let mut missing = Vec::new();
    for input in inputs {
        let named = |name: &str| arrays.iter().position(|a| a.name == name);
        let at = named(&input.name).or_else(|| named("x").filter(|_| lone)).or(only.then_some(0));
        match at {
            Some(at) => ordered.push(arrays.remove(at)),
            None => missing.push(input.name.as_str()),
        }
    }
    if missing.is_empty() {
        return Ok(ordered);
    }
    let hint = if lone { "name the array `x`" } else { "one array per network input, by name" };
    Err(format!(
        "no array for input {}; the file holds {held}\n  hint: {hint}",
        quoted(missing).join(", ")
    ))
}

/// An array as stored integers of an input.
fn stored_integers(array: Array, input: &QValue) -> Result<Vec<i64>, String> {
    let integers: Vec<i64> = match array.elements {
        Elements::I64(v) => v,
        Elements::U8(v) => v.into_iter().map(i64::from).collect(),
        Elements::F32(v) if v.iter().all(|x| x.fract() == 0.0 && x.abs() < 1e6) => {
            v.into_iter().map(|x| x as i64).collect()
        }
        Elements::F32(_) => return Err("--raw takes stored integers, found fractions".into()),
    };
    let wanted = input.shape.h * input.shape.w * input.shape.c;
    if integers.len() != wanted {
        return Err(format!(
            "holds {} values, input `{}` takes {wanted}",
            integers.len(),
            input.name
        ));
    }
    let (lo, hi) = match input.dtype {
        QType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        QType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
    };
    match integers.iter().find(|v| !(lo..=hi).contains(v)) {
        Some(v) => Err(format!("holds {v}, but input `{}` stores {lo}..={hi}", input.name)),
        None => Ok(integers),
    }
}

fn image_input(
    path: &Path,
    front: &NetworkInputs,
    how: Option<&Preprocess>,
) -> Result<ImageInput, CliError> {
    let [input] = &front.inputs[..] else {
        return Err(CliError::in_file(
            path,
            "images serve networks with one input; this one takes an .npz with one array per input",
        ));
    };
    let as_pixels = front.as_pixels();
    let how = how.or(as_pixels.as_ref());
    let how = how.ok_or_else(|| CliError::in_file(path, no_preprocessing("images are")))?;
    ImageInput::new(how, &input.name, &input.view.onnx_shape)
        .map_err(|e| CliError::in_file(path, e))
}

fn no_preprocessing(what: &str) -> String {
    format!(
        "{what} pixels, but no preprocessing says what real values they stand for\n  hint: --preprocess mean=0,std=255 when compiling"
    )
}
