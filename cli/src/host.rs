//! The two ends of a run: samples become stored integers, stored integers become real values.

use ir::qgraph::{Hwc, QType, QValue, View};
use isa::Program;
use isa::program::TensorInfo;
use runtime::{QData, QTensor};

/// A program's tensor as the integer runtime describes it.
pub(crate) fn qvalue(info: &TensorInfo) -> QValue {
    let [h, w, c] = info.shape.map(|n| n as usize);
    let list = |v: &[u32]| v.iter().map(|&n| n as usize).collect();
    // A hand-written program may name no ONNX extents; then the host sees `[h, w, c]`.
    let view = if info.onnx_shape.is_empty() && h * w * c != 1 {
        View { onnx_shape: vec![h, w, c], perm: vec![0, 1, 2] }
    } else {
        View { onnx_shape: list(&info.onnx_shape), perm: list(&info.perm) }
    };
    QValue {
        name: info.name.clone(),
        shape: Hwc { h, w, c },
        dtype: if info.bits == 16 { QType::I16 } else { QType::I8 },
        scale: info.scale,
        zero_point: info.zero_point,
        view,
    }
}

/// Descriptions of a program's inputs (or outputs).
pub(crate) fn ends(program: &Program, bindings: &[isa::program::IoBinding]) -> Vec<QValue> {
    bindings.iter().map(|b| qvalue(&program.tensors[b.tensor as usize])).collect()
}

/// Stored integers of a tensor in `[h, w, c]` order.
pub(crate) fn integers(tensor: &QTensor) -> Vec<i32> {
    match &tensor.data {
        QData::I8(v) => v.iter().map(|&x| i32::from(x)).collect(),
        QData::I16(v) => v.iter().map(|&x| i32::from(x)).collect(),
    }
}

/// A tensor from stored integers.
pub(crate) fn tensor(value: &QValue, integers: &[i32]) -> QTensor {
    QTensor::from_fn(value.shape, value.dtype, |i| integers[i])
}

/// Indexes of the `n` largest values, largest first; of equals the first.
pub(crate) fn largest(values: &[f32], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(n);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_first_is_the_largest() {
        assert_eq!(largest(&[1.0, 3.0, -2.0, 3.0], 3), [1, 3, 0]);
        assert_eq!(largest(&[1.0], 3), [0]);
    }
}
