//! The two storage types as one, and the two types of their sums, for loops that serve both.

use super::scratch::Scratch;
use crate::{QData, QTensor};

/// An element whose vectors are used again.
pub(crate) trait Pooled: Copy + Default + Send + Sync {
    /// Free vectors of this type.
    fn free(scratch: &mut Scratch) -> &mut Vec<Vec<Self>>;
}

impl Pooled for i8 {
    fn free(scratch: &mut Scratch) -> &mut Vec<Vec<Self>> {
        &mut scratch.bytes
    }
}

impl Pooled for u8 {
    fn free(scratch: &mut Scratch) -> &mut Vec<Vec<Self>> {
        &mut scratch.excess
    }
}

impl Pooled for i16 {
    fn free(scratch: &mut Scratch) -> &mut Vec<Vec<Self>> {
        &mut scratch.words
    }
}

/// An int8 or int16 element.
pub(crate) trait Stored: Pooled + Ord {
    /// The element as a number.
    fn widen(self) -> i32;

    /// `value` as an element; it lies in the range of the type (bounds were checked before the run).
    fn narrow(value: i32) -> Self;

    /// A tensor's data.
    fn data(elements: Vec<Self>) -> QData;

    /// A tensor's elements, if they are of this type.
    fn elements(tensor: &QTensor) -> Option<&[Self]>;
}

impl Stored for i8 {
    #[inline]
    fn widen(self) -> i32 {
        i32::from(self)
    }

    #[inline]
    fn narrow(value: i32) -> Self {
        value as i8
    }

    fn data(elements: Vec<Self>) -> QData {
        QData::I8(elements)
    }

    fn elements(tensor: &QTensor) -> Option<&[Self]> {
        tensor.as_i8()
    }
}

impl Stored for i16 {
    #[inline]
    fn widen(self) -> i32 {
        i32::from(self)
    }

    #[inline]
    fn narrow(value: i32) -> Self {
        value as i16
    }

    fn data(elements: Vec<Self>) -> QData {
        QData::I16(elements)
    }

    fn elements(tensor: &QTensor) -> Option<&[Self]> {
        tensor.as_i16()
    }
}

/// A sum of products.
pub(crate) trait Sum: Copy + Default + Into<i64> {
    /// Memory for one block of sums.
    fn buffer(scratch: &mut Scratch) -> &mut Vec<Self>;
}

impl Sum for i32 {
    fn buffer(scratch: &mut Scratch) -> &mut Vec<Self> {
        &mut scratch.sums
    }
}

impl Sum for i64 {
    fn buffer(scratch: &mut Scratch) -> &mut Vec<Self> {
        &mut scratch.wide_sums
    }
}
