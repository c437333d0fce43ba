//! Moving elements of constants around: what Transpose, Slice, Gather and broadcasting have in common.

pub(super) mod elementwise;
pub(super) mod reduce;
pub(super) mod stored;

use super::error::NodeError;
use crate::indices::Indices;
use crate::tensor::{Data, Tensor};

/// Row-major walk over `extents` that steps by `strides` through some other tensor, yielding positions there.
pub(super) struct Strided {
    extents: Vec<usize>,
    strides: Vec<isize>,
    counters: Vec<usize>,
    position: isize,
    left: usize,
}

impl Strided {
    /// A walk that begins at position `start`. All positions reached must lie inside the other tensor.
    pub(super) fn new(extents: Vec<usize>, strides: Vec<isize>, start: usize) -> Strided {
        let left = extents.iter().product();
        let counters = vec![0; extents.len()];
        Strided { extents, strides, counters, position: start.cast_signed(), left }
    }
}

impl Iterator for Strided {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let here = self.position.cast_unsigned();
        for axis in (0..self.extents.len()).rev() {
            self.counters[axis] += 1;
            if self.counters[axis] < self.extents[axis] {
                self.position += self.strides[axis];
                break;
            }
            // This axis starts over, and the next outer one advances.
            self.position -= self.strides[axis] * (self.counters[axis] - 1).cast_signed();
            self.counters[axis] = 0;
        }
        Some(here)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Elements between neighbours along each axis of a row-major tensor.
pub(super) fn row_major_strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].cast_signed();
    }
    strides
}

/// Strides with which a tensor of `shape` is repeated over `result`, a shape it broadcasts to.
pub(super) fn broadcast_strides(shape: &[usize], result: &[usize]) -> Vec<isize> {
    let missing = result.len() - shape.len();
    let own = row_major_strides(shape);
    let repeated =
        own.iter().zip(shape).map(|(&stride, &extent)| if extent == 1 { 0 } else { stride });
    std::iter::repeat_n(0, missing).chain(repeated).collect()
}

/// The elements of `data` at `positions`, in that order.
pub(super) fn select(data: &Data, positions: impl Iterator<Item = usize>) -> Data {
    match data {
        Data::I64(values) => Data::I64(positions.map(|p| values[p]).collect()),
        Data::Bool(values) => Data::Bool(positions.map(|p| values[p]).collect()),
        Data::F32(values) => Data::F32(positions.map(|p| values[p]).collect()),
        Data::SplatF32 { value, .. } => Data::SplatF32 { value: *value, count: positions.count() },
        Data::Quantized(values) => {
            let floats: Vec<f32> = values.floats().collect();
            Data::F32(positions.map(|p| floats[p]).collect())
        }
        Data::MappedF32(bytes) => {
            let chunks = bytes.as_chunks::<4>().0;
            Data::F32(positions.map(|p| f32::from_le_bytes(chunks[p])).collect())
        }
    }
}

/// The elements of `tensor` at every combination of `indices`, one list per axis.
pub(super) fn gather(tensor: &Tensor, indices: &[Indices]) -> Tensor {
    let strides = row_major_strides(&tensor.shape);
    // Grows one axis at a time: every position so far, followed by each index along the next axis.
    let positions = indices.iter().zip(strides).fold(vec![0], |positions, (indices, stride)| {
        let offsets: Vec<usize> =
            indices.iter().map(|index| index * stride.cast_unsigned()).collect();
        positions
            .iter()
            .flat_map(|position: &usize| offsets.iter().map(move |offset| position + offset))
            .collect()
    });
    let shape = indices.iter().map(Indices::len).collect();
    Tensor { shape, data: select(&tensor.data, positions.into_iter()) }
}

/// The elements of `a` followed by those of `b`, which must be of the same type.
pub(super) fn chain(a: &Tensor, b: &Tensor) -> Result<Data, NodeError> {
    let joined = match (&a.data, &b.data) {
        (Data::I64(x), Data::I64(y)) => Some(Data::I64([x.as_slice(), y].concat())),
        (Data::Bool(x), Data::Bool(y)) => Some(Data::Bool([x.as_slice(), y].concat())),
        _ => (a.f32_iter().zip(b.f32_iter())).map(|(x, y)| Data::F32(x.chain(y).collect())),
    };
    joined.ok_or_else(|| other_type(1, b, a))
}

/// Operand `operand` has another type than the one before it.
pub(super) fn other_type(operand: usize, tensor: &Tensor, expected: &Tensor) -> NodeError {
    NodeError::OperandType { operand, found: tensor.dtype(), expected: expected.dtype() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_transpose_reverse_and_repeat() {
        let walk = |extents: &[usize], strides: &[isize], start| {
            Strided::new(extents.to_vec(), strides.to_vec(), start).collect::<Vec<_>>()
        };
        // A 2x3 matrix transposed, its rows reversed, and its first row repeated.
        assert_eq!(walk(&[3, 2], &[1, 3], 0), [0, 3, 1, 4, 2, 5]);
        assert_eq!(walk(&[2, 3], &[3, -1], 2), [2, 1, 0, 5, 4, 3]);
        assert_eq!(walk(&[2, 3], &[0, 1], 0), [0, 1, 2, 0, 1, 2]);
        assert_eq!(walk(&[], &[], 0), [0]);
        assert_eq!(walk(&[2, 0], &[0, 1], 0), [0; 0]);
        assert_eq!(broadcast_strides(&[3, 1], &[2, 3, 4]), [0, 1, 0]);
        assert_eq!(row_major_strides(&[2, 3, 4]), [12, 4, 1]);
    }
}
