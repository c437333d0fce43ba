//! Small value types shared by both graphs: element types and constant tensors.
//!
//! A float constant may borrow the mapped model file, where it lies at any byte offset, or be one value repeated; the
//! accessors hide that.

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

use crate::quantized::Quantized;

/// Element type of a float-graph value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// 64-bit integer: shapes, axes and other index arithmetic.
    I64,
    /// Truth value.
    Bool,
}

/// Elements of a constant. Floats keep pointing into the mapped file until somebody changes them.
#[derive(Clone, Debug)]
pub enum Data {
    /// Little-endian float32 bytes borrowed from the model file.
    MappedF32(Bytes),
    /// Floats owned by the graph.
    F32(Vec<f32>),
    /// The same float everywhere, which takes no memory however large the tensor is.
    SplatF32 {
        /// Every element.
        value: f32,
        /// Number of elements.
        count: usize,
    },
    /// Floats that the file stores as integers and scales.
    Quantized(Quantized),
    /// Integers owned by the graph.
    I64(Vec<i64>),
    /// Truth values owned by the graph.
    Bool(Vec<bool>),
}

/// A constant tensor, row-major in the shape's order.
///
/// Two tensors are equal when shape, type and every bit agree; it does not matter where the floats are stored.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements; their count is the product of `shape`.
    pub data: Data,
}

/// Why a shape and its elements do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TensorError {
    /// The product of the extents does not fit the address space.
    #[error("a tensor of shape {shape:?} is larger than the address space")]
    TooLarge {
        /// The extents.
        shape: Vec<usize>,
    },
    /// Element count and shape disagree.
    #[error("found {found} elements, expected {expected} for shape {shape:?}")]
    Count {
        /// The extents.
        shape: Vec<usize>,
        /// Their product.
        expected: usize,
        /// Elements given.
        found: usize,
    },
}

/// Product of the extents; `None` when it, or its size at eight bytes an element, leaves the address space.
///
/// Extents of 0 do not hide absurd others, so products over any part of a shape that passes do not overflow either.
#[must_use]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    let multiply = |product: usize, &extent: &usize| product.checked_mul(extent.max(1));
    let size = shape.iter().try_fold(1usize, multiply)?;
    let count = if shape.contains(&0) { 0 } else { size };
    (size <= isize::MAX as usize / 8).then_some(count)
}

impl DType {
    /// Name in the text form: `f32`, `i64`, `bool`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::I64 => "i64",
            DType::Bool => "bool",
        }
    }

    /// The type with that text name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<DType> {
        [DType::F32, DType::I64, DType::Bool].into_iter().find(|dtype| dtype.name() == name)
    }
}

impl Data {
    /// Element type.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        match self {
            Data::MappedF32(_) | Data::F32(_) | Data::SplatF32 { .. } | Data::Quantized(_) => {
                DType::F32
            }
            Data::I64(_) => DType::I64,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Data::MappedF32(bytes) => bytes.len() / 4,
            Data::F32(values) => values.len(),
            Data::SplatF32 { count, .. } => *count,
            Data::Quantized(values) => values.len(),
            Data::I64(values) => values.len(),
            Data::Bool(values) => values.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Errors
    /// When the element count differs from the product of `shape`, or that product is not addressable.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Tensor, TensorError> {
        let Some(expected) = element_count(&shape) else {
            return Err(TensorError::TooLarge { shape });
        };
        // A mapped constant must be whole floats, which `len` would round away.
        let ragged = matches!(&data, Data::MappedF32(bytes) if bytes.len() % 4 != 0);
        if data.len() != expected || ragged {
            return Err(TensorError::Count { shape, expected, found: data.len() });
        }
        Ok(Tensor { shape, data })
    }

    /// A float tensor.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn from_f32(shape: &[usize], values: Vec<f32>) -> Result<Tensor, TensorError> {
        Tensor::new(shape.to_vec(), Data::F32(values))
    }

    /// A vector of integers.
    #[must_use]
    pub fn from_i64_vec(values: Vec<i64>) -> Tensor {
        Tensor { shape: vec![values.len()], data: Data::I64(values) }
    }

    /// Element type.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// All floats as one slice: borrowed where they are owned or lie aligned in the map, else copied, which for a
    /// repeated value takes the memory that its form saves.
    /// `None` for other element types.
    #[must_use]
    pub fn f32_values(&self) -> Option<Cow<'_, [f32]>> {
        match &self.data {
            Data::F32(values) => Some(Cow::Borrowed(values)),
            Data::MappedF32(bytes) => Some(mapped_f32(bytes)),
            Data::SplatF32 { value, count } => Some(Cow::Owned(vec![*value; *count])),
            Data::Quantized(values) => Some(Cow::Owned(values.floats().collect())),
            Data::I64(_) | Data::Bool(_) => None,
        }
    }

    /// The floats one by one, never copied as a whole. `None` for other element types.
    #[must_use]
    pub fn f32_iter(&self) -> Option<Box<dyn ExactSizeIterator<Item = f32> + '_>> {
        match &self.data {
            Data::F32(values) => Some(Box::new(values.iter().copied())),
            Data::MappedF32(bytes) => Some(Box::new(le_floats(bytes))),
            Data::SplatF32 { value, count } => Some(Box::new(std::iter::repeat_n(*value, *count))),
            Data::Quantized(values) => Some(Box::new(values.floats())),
            Data::I64(_) | Data::Bool(_) => None,
        }
    }

    /// The floats, for changing; a constant that does not own them is copied first. `None` for other element types.
    pub fn f32_mut(&mut self) -> Option<&mut Vec<f32>> {
        match &self.data {
            Data::MappedF32(bytes) => self.data = Data::F32(le_floats(bytes).collect()),
            Data::SplatF32 { value, count } => self.data = Data::F32(vec![*value; *count]),
            Data::Quantized(values) => self.data = Data::F32(values.floats().collect()),
            Data::F32(_) | Data::I64(_) | Data::Bool(_) => {}
        }
        match &mut self.data {
            Data::F32(values) => Some(values),
            Data::MappedF32(_)
            | Data::SplatF32 { .. }
            | Data::Quantized(_)
            | Data::I64(_)
            | Data::Bool(_) => None,
        }
    }

    /// The float that every element is known to be without looking at more than one. `None` where there is no element.
    #[must_use]
    pub fn f32_splat(&self) -> Option<f32> {
        match &self.data {
            Data::SplatF32 { value, count } => (*count > 0).then_some(*value),
            _ => self.f32_scalar(),
        }
    }

    /// Integers and scales, if the file stores the floats so.
    #[must_use]
    pub fn quantized(&self) -> Option<&Quantized> {
        match &self.data {
            Data::Quantized(values) => Some(values),
            _ => None,
        }
    }

    /// The integers. `None` for other element types.
    #[must_use]
    pub fn i64_values(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(values) => Some(values),
            Data::MappedF32(_)
            | Data::F32(_)
            | Data::SplatF32 { .. }
            | Data::Quantized(_)
            | Data::Bool(_) => None,
        }
    }

    /// The truth values. `None` for other element types.
    #[must_use]
    pub fn bool_values(&self) -> Option<&[bool]> {
        match &self.data {
            Data::Bool(values) => Some(values),
            Data::MappedF32(_)
            | Data::F32(_)
            | Data::SplatF32 { .. }
            | Data::Quantized(_)
            | Data::I64(_) => None,
        }
    }

    /// The only element of a one-element float tensor of any rank.
    #[must_use]
    pub fn f32_scalar(&self) -> Option<f32> {
        let mut values = self.f32_iter()?;
        if values.len() == 1 { values.next() } else { None }
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.shape == other.shape
            && match (&self.data, &other.data) {
                (Data::I64(a), Data::I64(b)) => a == b,
                (Data::Bool(a), Data::Bool(b)) => a == b,
                _ => match (self.f32_iter(), other.f32_iter()) {
                    // Bits, so that NaN equals itself and -0.0 differs from 0.0.
                    (Some(a), Some(b)) => a.map(f32::to_bits).eq(b.map(f32::to_bits)),
                    _ => false,
                },
            }
    }
}

/// Floats of little-endian bytes, in order.
fn le_floats(bytes: &[u8]) -> impl ExactSizeIterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk))
}

/// The bytes as floats without a copy where alignment and byte order of this computer allow it.
fn mapped_f32(bytes: &[u8]) -> Cow<'_, [f32]> {
    if cfg!(target_endian = "little")
        && let Ok(values) = bytemuck::try_cast_slice(bytes)
    {
        return Cow::Borrowed(values);
    }
    Cow::Owned(le_floats(bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(offset: usize, values: &[f32]) -> Tensor {
        let mut raw = vec![0u8; offset];
        raw.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        Tensor::new(vec![values.len()], Data::MappedF32(Bytes::from(raw).slice(offset..))).unwrap()
    }

    #[test]
    fn a_mapped_constant_reads_the_same_at_every_alignment() {
        let values = [1.5, -0.0, f32::INFINITY, 1e-40];
        for offset in 0..4 {
            let tensor = mapped(offset, &values);
            assert_eq!(tensor.f32_values().unwrap().as_ref(), values);
            assert_eq!(tensor, Tensor::from_f32(&[4], values.to_vec()).unwrap());
        }
        let aligned =
            (0..4).filter(|&o| matches!(mapped(o, &values).f32_values(), Some(Cow::Borrowed(_))));
        assert_eq!(aligned.count(), 1, "exactly one offset is aligned and borrows");
    }

    #[test]
    fn changing_a_mapped_constant_copies_it_first() {
        let mut tensor = mapped(1, &[1.0, 2.0]);
        let original = tensor.clone();
        tensor.f32_mut().unwrap()[0] = 7.0;
        assert_eq!(tensor.f32_values().unwrap().as_ref(), [7.0, 2.0]);
        assert_eq!(original.f32_values().unwrap().as_ref(), [1.0, 2.0]);
    }

    #[test]
    fn a_repeated_value_reads_like_its_elements() {
        let splat = Tensor::new(vec![2, 3], Data::SplatF32 { value: -0.5, count: 6 }).unwrap();
        let plain = Tensor::from_f32(&[2, 3], vec![-0.5; 6]).unwrap();
        assert_eq!(splat, plain);
        assert_eq!((splat.f32_splat(), plain.f32_splat()), (Some(-0.5), None));
        assert_eq!(splat.f32_values(), plain.f32_values());
        let mut changed = splat.clone();
        changed.f32_mut().unwrap()[5] = 1.0;
        assert_ne!(changed, splat);
        assert!(Tensor::new(vec![2], Data::SplatF32 { value: 0.0, count: 3 }).is_err());
        // No element is made to describe more than fits any memory.
        let count = 1 << 50;
        let huge = Tensor::new(vec![count], Data::SplatF32 { value: 1.0, count }).unwrap();
        assert_eq!((huge.f32_iter().unwrap().len(), huge.f32_splat()), (count, Some(1.0)));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert_eq!(element_count(&[usize::MAX, 2]), None);
        assert_eq!(element_count(&[usize::MAX, 2, 0]), None);
        assert_eq!(element_count(&[7, 2, 0]), Some(0));
        assert_eq!(element_count(&[]), Some(1));
        assert!(matches!(
            Tensor::from_f32(&[3], vec![0.0; 2]),
            Err(TensorError::Count { expected: 3, found: 2, .. })
        ));
        let ragged = Data::MappedF32(Bytes::from_static(&[0; 6]));
        assert!(Tensor::new(vec![1], ragged).is_err());
    }

    #[test]
    fn equality_is_by_bits() {
        let nan = Tensor::from_f32(&[1], vec![f32::NAN]).unwrap();
        assert_eq!(nan, nan.clone());
        let zero = Tensor::from_f32(&[1], vec![0.0]).unwrap();
        assert_ne!(zero, Tensor::from_f32(&[1], vec![-0.0]).unwrap());
        assert_ne!(zero, Tensor::from_i64_vec(vec![0]));
    }
}
