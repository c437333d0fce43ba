//! Plain evaluation of the float operators whose cost is proportional to their elements, for folding constants.
//!
//! Not a runtime: convolutions, dense layers, pools and normalizations, which never have constant operands only, are left out.

use ir::graph::{Interpolation, Op};

/// A float tensor seen through its shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand<'a> {
    /// Extents, outermost first.
    pub(crate) shape: &'a [usize],
    /// Elements, row-major.
    pub(crate) data: &'a [f32],
}

/// Elements of the result of shape `shape`; `None` for operators that are not evaluated here. Operands must suit the
/// operator, as in a verified graph.
pub(crate) fn evaluate(op: &Op, x: &[Operand<'_>], shape: &[usize]) -> Option<Vec<f32>> {
    Some(match op {
        Op::Add => elementwise(x[0], x[1], shape, |a, b| a + b),
        Op::Sub => elementwise(x[0], x[1], shape, |a, b| a - b),
        Op::Mul => elementwise(x[0], x[1], shape, |a, b| a * b),
        Op::Max => elementwise(x[0], x[1], shape, f32::max),
        Op::Min => elementwise(x[0], x[1], shape, f32::min),
        Op::Unary { function } => {
            x[0].data.iter().map(|&v| function.evaluate(v.into()) as f32).collect()
        }
        Op::PRelu => elementwise(x[0], x[1], shape, |v, slope| if v < 0.0 { v * slope } else { v }),
        Op::Clip { lo, hi } => x[0].data.iter().map(|v| v.max(*lo).min(*hi)).collect(),
        Op::FakeQuantize { to } => x[0].data.iter().map(|v| to.round(*v)).collect(),
        Op::BatchNorm { epsilon } => batch_norm(x, *epsilon),
        Op::Interpolate { axes } => interpolate(axes, x[0]),
        Op::ReduceMean { .. } => mean(x[0], shape),
        Op::Concat { axis } => concat(*axis, x),
        Op::Reshape => x[0].data.to_vec(),
        Op::Transpose { perm } => {
            let from = strides(x[0].shape);
            let along: Vec<usize> = perm.iter().map(|&axis| from[axis]).collect();
            indices(shape).map(|index| x[0].data[dot(&index, &along)]).collect()
        }
        Op::Gather { indices: lists } => {
            let from = strides(x[0].shape);
            let offsets = lists.iter().zip(from);
            let offsets: Vec<Vec<usize>> =
                offsets.map(|(list, stride)| list.iter().map(|i| i * stride).collect()).collect();
            let place = |index: &[usize]| -> usize {
                index.iter().zip(&offsets).map(|(&i, along)| along[i]).sum()
            };
            indices(shape).map(|index| x[0].data[place(&index)]).collect()
        }
        Op::Pad { before, value, .. } => pad(x[0], before, *value, shape),
        Op::Softmax { axis } => softmax(x[0], *axis),
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::Lrn { .. }
        | Op::MaxPool { .. }
        | Op::AveragePool { .. } => return None,
    })
}

/// Elements from one index to the next, per axis.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// All multi-indices of `shape`, row-major.
pub(crate) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let strides = strides(shape);
    let total: usize = shape.iter().product();
    (0..total)
        .map(move |flat| (0..shape.len()).map(|axis| flat / strides[axis] % shape[axis]).collect())
}

fn dot(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

/// Strides over `operand` for indices of `shape`: 0 along axes it repeats.
fn broadcast_strides(operand: &[usize], shape: &[usize]) -> Vec<usize> {
    let own = strides(operand);
    let missing = shape.len() - operand.len();
    let along = |axis: usize| match axis.checked_sub(missing) {
        Some(i) if operand[i] != 1 => own[i],
        Some(_) | None => 0,
    };
    (0..shape.len()).map(along).collect()
}

fn elementwise(
    a: Operand<'_>,
    b: Operand<'_>,
    shape: &[usize],
    f: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let (along_a, along_b) = (broadcast_strides(a.shape, shape), broadcast_strides(b.shape, shape));
    indices(shape).map(|i| f(a.data[dot(&i, &along_a)], b.data[dot(&i, &along_b)])).collect()
}

fn batch_norm(x: &[Operand<'_>], epsilon: f32) -> Vec<f32> {
    let inner: usize = x[0].shape[2..].iter().product();
    let one = |(i, v): (usize, &f32)| {
        let c = i / inner % x[0].shape[1];
        let [scale, bias, mean, var] = [1, 2, 3, 4].map(|operand| f64::from(x[operand].data[c]));
        ((f64::from(*v) - mean) * scale / (var + f64::from(epsilon)).sqrt() + bias) as f32
    };
    x[0].data.iter().enumerate().map(one).collect()
}

fn interpolate(axes: &[Interpolation], x: Operand<'_>) -> Vec<f32> {
    let (mut shape, mut data) = (x.shape.to_vec(), x.data.to_vec());
    for Interpolation { axis, places } in axes {
        let (inner, extent) = (strides(&shape)[*axis], shape[*axis]);
        let outer = data.len() / inner / extent;
        let element = |o: usize, place: f32, i: usize| {
            let (index, rest) = (place as usize, place - place.floor());
            let at = |index: usize| data[(o * extent + index) * inner + i];
            if rest == 0.0 { at(index) } else { (1.0 - rest) * at(index) + rest * at(index + 1) }
        };
        let row =
            |o: usize| places.iter().flat_map(move |&place| (0..inner).map(move |i| (o, place, i)));
        data = (0..outer).flat_map(row).map(|(o, place, i)| element(o, place, i)).collect();
        shape[*axis] = places.len();
    }
    data
}

fn mean(x: Operand<'_>, shape: &[usize]) -> Vec<f32> {
    let along = broadcast_strides(shape, x.shape);
    let mut sums = vec![0f64; shape.iter().product()];
    for (index, v) in indices(x.shape).zip(x.data) {
        sums[dot(&index, &along)] += f64::from(*v);
    }
    let each = (x.data.len() / sums.len()) as f64;
    sums.into_iter().map(|sum| (sum / each) as f32).collect()
}

fn concat(axis: usize, x: &[Operand<'_>]) -> Vec<f32> {
    let outer: usize = x[0].shape[..axis].iter().product();
    let runs = |o: usize| {
        x.iter().flat_map(move |operand| {
            let run = operand.data.len() / outer;
            operand.data[o * run..(o + 1) * run].iter().copied()
        })
    };
    (0..outer).flat_map(runs).collect()
}

fn pad(x: Operand<'_>, before: &[usize], value: f32, shape: &[usize]) -> Vec<f32> {
    let along = strides(x.shape);
    let element = |index: Vec<usize>| {
        let inside = (index.iter().zip(before).zip(x.shape))
            .map(|((i, b), extent)| i.checked_sub(*b).filter(|i| i < extent))
            .collect::<Option<Vec<usize>>>();
        inside.map_or(value, |index| x.data[dot(&index, &along)])
    };
    indices(shape).map(element).collect()
}

fn softmax(x: Operand<'_>, axis: usize) -> Vec<f32> {
    let (extent, stride) = (x.shape[axis], strides(x.shape)[axis]);
    let mut result = vec![0f32; x.data.len()];
    for first in (0..x.data.len()).filter(|i| i / stride % extent == 0) {
        let row = |k: usize| first + k * stride;
        let largest = (0..extent).map(|k| x.data[row(k)]).fold(f32::NEG_INFINITY, f32::max);
        let exp = |k: usize| libm::exp(f64::from(x.data[row(k)]) - f64::from(largest));
        let sum: f64 = (0..extent).map(exp).sum();
        for k in 0..extent {
            result[row(k)] = (exp(k) / sum) as f32;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(op: &Op, operands: &[(&[usize], &[f32])], shape: &[usize]) -> Vec<f32> {
        let operands: Vec<_> =
            operands.iter().map(|&(shape, data)| Operand { shape, data }).collect();
        evaluate(op, &operands, shape).unwrap()
    }

    #[test]
    fn broadcasting_repeats_either_operand() {
        let sums = run(&Op::Add, &[(&[2, 1], &[1.0, 2.0]), (&[3], &[10.0, 20.0, 30.0])], &[2, 3]);
        assert_eq!(sums, [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
        assert_eq!(run(&Op::Sub, &[(&[], &[1.0]), (&[2], &[3.0, 5.0])], &[2]), [-2.0, -4.0]);
    }

    #[test]
    fn data_movement_follows_the_index() {
        let x: (&[usize], &[f32]) = (&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(
            run(&Op::Transpose { perm: vec![1, 0] }, &[x], &[3, 2]),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        assert_eq!(
            run(&Op::Concat { axis: 1 }, &[x, (&[2, 1], &[8.0, 9.0])], &[2, 4]),
            [0.0, 1.0, 2.0, 8.0, 3.0, 4.0, 5.0, 9.0]
        );
        let pad = Op::Pad { before: vec![0, 1], after: vec![1, 0], value: 7.0 };
        let padded = run(&pad, &[x], &[3, 4]);
        assert_eq!(padded, [7.0, 0.0, 1.0, 2.0, 7.0, 3.0, 4.0, 5.0, 7.0, 7.0, 7.0, 7.0]);
    }

    #[test]
    fn reductions_follow_their_axis() {
        let x: (&[usize], &[f32]) = (&[1, 2, 2], &[1.0, 3.0, 5.0, 9.0]);
        assert_eq!(run(&Op::ReduceMean { axes: vec![1] }, &[x], &[1, 1, 2]), [3.0, 6.0]);
        let soft = run(&Op::Softmax { axis: 1 }, &[x], &[1, 2, 2]);
        assert!(
            (soft[0] + soft[2] - 1.0).abs() < 1e-6 && (soft[2] / soft[0] - 4f32.exp()).abs() < 1e-3
        );
    }
}
