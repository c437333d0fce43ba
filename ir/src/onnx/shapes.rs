//! Extents of graph inputs: fixed numbers from the file, and symbols that the user fixes.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ImportError, OpenExtent};
use super::proto::{Dimension, DimensionProto, TensorShapeProto, ValueInfoProto};

/// An extent as the file states it.
enum Extent {
    /// A number.
    Fixed(usize),
    /// A symbol; one without a name is called `INPUT:AXIS`.
    Symbol(String),
}

/// Shapes of the inputs, and what their symbols stand for.
pub(super) struct Symbols<'a> {
    inputs: Vec<(&'a str, Vec<Extent>)>,
    fixed: BTreeMap<String, usize>,
}

impl<'a> Symbols<'a> {
    /// Reads the declared shapes and fixes symbols as `given`, under the names that
    /// [`LoadOptions::shapes`](super::LoadOptions::shapes) lists. A leading extent that nobody fixes is taken for the
    /// batch and becomes 1, with a warning.
    pub(super) fn new(
        inputs: impl Iterator<Item = &'a ValueInfoProto>,
        given: &BTreeMap<String, Vec<usize>>,
        warnings: &mut Vec<String>,
    ) -> Result<Symbols<'a>, ImportError> {
        let inputs = inputs.map(|input| Ok((input.name.as_str(), declared_extents(input)?)));
        let inputs = inputs.collect::<Result<_, ImportError>>()?;
        let mut symbols = Symbols { inputs, fixed: BTreeMap::new() };
        for (name, extents) in given {
            symbols.give(name, extents)?;
        }
        symbols.settle(warnings)?;
        Ok(symbols)
    }

    /// Every symbol with its extent.
    pub(super) fn extents(self) -> BTreeMap<String, usize> {
        self.fixed
    }

    /// Shape of the input of that index.
    pub(super) fn shape(&self, index: usize) -> Result<Vec<usize>, ImportError> {
        let (input, extents) = &self.inputs[index];
        let extent = |(axis, extent): (usize, &Extent)| {
            let extent = match extent {
                Extent::Fixed(extent) => *extent,
                Extent::Symbol(symbol) => self.fixed.get(symbol).copied().unwrap_or(0),
            };
            let zero = ImportError::ZeroExtent { input: (*input).to_owned(), axis };
            if extent == 0 { Err(zero) } else { Ok(extent) }
        };
        extents.iter().enumerate().map(extent).collect()
    }

    fn give(&mut self, name: &str, extents: &[usize]) -> Result<(), ImportError> {
        if let (true, &[extent]) = (self.names().contains(name), extents) {
            return self.fix(name.to_owned(), extent);
        }
        let find = |name: &str| self.inputs.iter().position(|(input, _)| *input == name);
        if let Some(index) = find(name) {
            let (input, declared) = &self.inputs[index];
            if declared.len() != extents.len() {
                let input = (*input).to_owned();
                return Err(ImportError::GivenRank {
                    input,
                    found: extents.len(),
                    expected: declared.len(),
                });
            }
            let each = (0..extents.len()).zip(extents);
            return each.into_iter().try_for_each(|(axis, &extent)| self.set(index, axis, extent));
        }
        let axis = name.rsplit_once(':').and_then(|(input, axis)| {
            let (index, axis) = (find(input)?, axis.parse::<usize>().ok()?);
            (axis < self.inputs[index].1.len()).then_some((index, axis))
        });
        match (axis, extents) {
            (Some((index, axis)), &[extent]) => self.set(index, axis, extent),
            _ => Err(ImportError::UnknownSymbol {
                symbol: name.to_owned(),
                known: self.names().into_iter().map(str::to_owned).collect(),
                inputs: self.inputs.iter().map(|(input, _)| (*input).to_owned()).collect(),
            }),
        }
    }

    /// Names of all symbols.
    fn names(&self) -> BTreeSet<&str> {
        let symbol = |extent| match extent {
            &Extent::Fixed(_) => None,
            Extent::Symbol(symbol) => Some(symbol.as_str()),
        };
        self.inputs.iter().flat_map(|(_, extents)| extents).filter_map(symbol).collect()
    }

    fn set(&mut self, index: usize, axis: usize, extent: usize) -> Result<(), ImportError> {
        let (input, extents) = &self.inputs[index];
        match &extents[axis] {
            Extent::Symbol(symbol) => self.fix(symbol.clone(), extent),
            Extent::Fixed(declared) if *declared == extent => Ok(()),
            Extent::Fixed(declared) => Err(ImportError::FixedExtent {
                input: (*input).to_owned(),
                axis,
                declared: *declared,
                given: extent,
            }),
        }
    }

    fn fix(&mut self, symbol: String, extent: usize) -> Result<(), ImportError> {
        match self.fixed.insert(symbol.clone(), extent) {
            Some(first) if first != extent => {
                Err(ImportError::TwoExtents { symbol, first, second: extent })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Gives leading extents their default, and reports all other symbols that have no extent.
    fn settle(&mut self, warnings: &mut Vec<String>) -> Result<(), ImportError> {
        let mut open: Vec<OpenExtent> = Vec::new();
        for (input, extents) in &self.inputs {
            for (axis, extent) in extents.iter().enumerate() {
                let Extent::Symbol(symbol) = extent else { continue };
                if self.fixed.contains_key(symbol) || open.iter().any(|o| o.symbol == *symbol) {
                    continue;
                }
                if axis > 0 {
                    let (input, symbol) = ((*input).to_owned(), symbol.clone());
                    open.push(OpenExtent { input, axis, symbol });
                    continue;
                }
                warnings.push(format!(
                    "input `{input}`: leading extent `{symbol}` is not fixed, taken as batch 1"
                ));
                self.fixed.insert(symbol.clone(), 1);
            }
        }
        if open.is_empty() { Ok(()) } else { Err(ImportError::SymbolicExtents(open)) }
    }
}

fn declared_extents(input: &ValueInfoProto) -> Result<Vec<Extent>, ImportError> {
    let shape =
        declared_shape(input).ok_or_else(|| ImportError::NoShape { input: input.name.clone() })?;
    let extent = |(axis, dim): (usize, &DimensionProto)| match &dim.value {
        Some(Dimension::Value(value)) if *value >= 0 => usize::try_from(*value)
            .map(Extent::Fixed)
            .map_err(|_| ImportError::ZeroExtent { input: input.name.clone(), axis }),
        Some(Dimension::Param(symbol)) if !symbol.is_empty() => Ok(Extent::Symbol(symbol.clone())),
        // Some writers put -1, or an empty symbol, for an extent they do not know.
        Some(Dimension::Value(_) | Dimension::Param(_)) | None => {
            Ok(Extent::Symbol(format!("{}:{axis}", input.name)))
        }
    };
    shape.dim.iter().enumerate().map(extent).collect()
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
