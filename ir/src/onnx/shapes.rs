//! Extents of graph inputs: fixed numbers from the file, and symbols that the user fixes.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ImportError;
use super::proto::{Dimension, DimensionProto, TensorShapeProto, ValueInfoProto};

/// What the symbols stand for, filled while the inputs are read.
pub(super) struct Symbols<'a> {
    given: &'a BTreeMap<String, usize>,
    /// Symbols met, with their extents.
    met: BTreeMap<String, usize>,
}

impl<'a> Symbols<'a> {
    /// Symbols fixed by the user.
    pub(super) fn new(given: &'a BTreeMap<String, usize>) -> Symbols<'a> {
        Symbols { given, met: BTreeMap::new() }
    }

    /// Shape of an input. A leading extent that nobody fixed is taken for the batch and becomes 1, with a warning.
    pub(super) fn input_shape(
        &mut self,
        input: &ValueInfoProto,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<usize>, ImportError> {
        let shape = declared_shape(input)
            .ok_or_else(|| ImportError::NoShape { input: input.name.clone() })?;
        (shape.dim.iter().enumerate())
            .map(|(axis, dim)| {
                let extent = self.extent(&input.name, axis, dim, warnings)?;
                let zero = ImportError::ZeroExtent { input: input.name.clone(), axis };
                if extent == 0 { Err(zero) } else { Ok(extent) }
            })
            .collect()
    }

    fn extent(
        &mut self,
        input: &str,
        axis: usize,
        dim: &DimensionProto,
        warnings: &mut Vec<String>,
    ) -> Result<usize, ImportError> {
        let symbol = match &dim.value {
            Some(Dimension::Value(value)) if *value >= 0 => {
                return usize::try_from(*value)
                    .map_err(|_| ImportError::ZeroExtent { input: input.to_owned(), axis });
            }
            Some(Dimension::Param(symbol)) if !symbol.is_empty() => symbol.clone(),
            // Some writers put -1, or an empty symbol, for an extent they do not know.
            Some(Dimension::Value(_) | Dimension::Param(_)) | None => format!("{input}_{axis}"),
        };
        if let Some(&extent) = self.met.get(&symbol) {
            return Ok(extent);
        }
        let extent = match self.given.get(&symbol) {
            Some(&extent) => extent,
            None if axis == 0 => {
                warnings.push(format!(
                    "input `{input}`: leading extent `{symbol}` is not fixed, taken as batch 1"
                ));
                1
            }
            None => return Err(ImportError::SymbolicDim { input: input.to_owned(), axis, symbol }),
        };
        self.met.insert(symbol, extent);
        Ok(extent)
    }

    /// Refuses symbols that the user fixed but no input has.
    pub(super) fn finish(self) -> Result<(), ImportError> {
        match self.given.keys().find(|symbol| !self.met.contains_key(*symbol)) {
            None => Ok(()),
            Some(symbol) => Err(ImportError::UnknownSymbol {
                symbol: symbol.clone(),
                known: self.met.into_keys().collect(),
            }),
        }
    }
}

/// The file's statement about a value's shape: `None` per symbolic extent.
pub(super) struct Declared(BTreeMap<String, Vec<Option<usize>>>);

impl Declared {
    /// Everything the file says about values in between and outputs.
    pub(super) fn new<'a>(infos: impl Iterator<Item = &'a ValueInfoProto>) -> Declared {
        let known = |dim: &DimensionProto| match dim.value {
            Some(Dimension::Value(value)) => usize::try_from(value).ok(),
            Some(Dimension::Param(_)) | None => None,
        };
        Declared(
            infos
                .filter_map(|info| Some((info.name.clone(), declared_shape(info)?)))
                .map(|(name, shape)| (name, shape.dim.iter().map(known).collect()))
                .collect(),
        )
    }

    /// Compares with what the operators give.
    pub(super) fn check(&self, value: &str, inferred: &[usize]) -> Result<(), ImportError> {
        let Some(declared) = self.0.get(value) else {
            return Ok(());
        };
        let agrees = declared.len() == inferred.len()
            && declared.iter().zip(inferred).all(|(d, i)| d.is_none_or(|d| d == *i));
        if agrees {
            return Ok(());
        }
        let text: Vec<String> =
            declared.iter().map(|d| d.map_or_else(|| "?".to_owned(), |d| d.to_string())).collect();
        Err(ImportError::DeclaredShape {
            value: value.to_owned(),
            declared: format!("[{}]", text.join(", ")),
            inferred: inferred.to_vec(),
        })
    }
}

fn declared_shape(info: &ValueInfoProto) -> Option<&TensorShapeProto> {
    info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()
}

/// Names that appear in the file, so that made-up ones can avoid them.
pub(super) fn all_names<'a>(names: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    names.filter(|name| !name.is_empty()).cloned().collect()
}
