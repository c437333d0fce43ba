//! Integer tensors: one image's `[h, w, c]` of int8 or int16 elements.
//!
//! Elements lie in row-major order with channels innermost (NHWC without N), as in the integer graph. A tensor knows
//! nothing of scales and zero points: those belong to the graph's values.

use ir::qgraph::{Hwc, QType};

/// One integer tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QTensor {
    /// Extents.
    pub shape: Hwc,
    /// Elements, `shape.h * shape.w * shape.c` of them.
    pub data: QData,
}

/// Elements of a [`QTensor`], in the storage type of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QData {
    /// Int8 elements.
    I8(Vec<i8>),
    /// Int16 elements.
    I16(Vec<i16>),
}

impl QTensor {
    /// Tensor of `shape` whose element `i` (row-major) is `element(i)`, saturated to the storage type.
    ///
    /// Callers clamp to narrower bounds themselves; the saturation here only makes the conversion total.
    pub fn from_fn(shape: Hwc, dtype: QType, element: impl FnMut(usize) -> i32) -> Self {
        let indices = 0..shape.h * shape.w * shape.c;
        let data = match dtype {
            QType::I8 => QData::I8(indices.map(element).map(saturate_i8).collect()),
            QType::I16 => QData::I16(indices.map(element).map(saturate_i16).collect()),
        };
        Self { shape, data }
    }

    /// Element `i` in row-major order.
    ///
    /// # Panics
    /// If `i` is not below [`QTensor::len`].
    #[inline]
    pub fn get(&self, i: usize) -> i32 {
        match &self.data {
            QData::I8(data) => i32::from(data[i]),
            QData::I16(data) => i32::from(data[i]),
        }
    }

    /// Element at row `y`, column `x`, channel `c`.
    ///
    /// # Panics
    /// If the position lies outside the data.
    #[inline]
    pub fn at(&self, y: usize, x: usize, c: usize) -> i32 {
        self.get((y * self.shape.w + x) * self.shape.c + c)
    }

    /// Elements, if they are int8.
    pub fn as_i8(&self) -> Option<&[i8]> {
        match &self.data {
            QData::I8(data) => Some(data),
            QData::I16(_) => None,
        }
    }

    /// Elements, if they are int16.
    pub fn as_i16(&self) -> Option<&[i16]> {
        match &self.data {
            QData::I8(_) => None,
            QData::I16(data) => Some(data),
        }
    }

    /// Number of elements held.
    pub fn len(&self) -> usize {
        match &self.data {
            QData::I8(data) => data.len(),
            QData::I16(data) => data.len(),
        }
    }

    /// Whether there are no elements (never so for a tensor of a checked graph).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Storage type.
    pub fn dtype(&self) -> QType {
        match self.data {
            QData::I8(_) => QType::I8,
            QData::I16(_) => QType::I16,
        }
    }
}

fn saturate_i8(value: i32) -> i8 {
    value.clamp(i32::from(i8::MIN), i32::from(i8::MAX)) as i8
}

fn saturate_i16(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
