//! Operators that treat every element alike.

use ir::qgraph::Hwc;

use super::stored::Stored;
use crate::{QData, QTensor};

/// `out[i] = f(a[i], b[i])` with `b` repeated along every axis where its extent is 1.
pub(crate) fn broadcast<T: Stored>(
    a: &QTensor,
    b: &QTensor,
    f: impl Fn(i32, i32) -> i32,
) -> Vec<T> {
    match (&a.data, &b.data) {
        (QData::I8(x), QData::I8(y)) => zip((x, a.shape), (y, b.shape), f),
        (QData::I8(x), QData::I16(y)) => zip((x, a.shape), (y, b.shape), f),
        (QData::I16(x), QData::I8(y)) => zip((x, a.shape), (y, b.shape), f),
        (QData::I16(x), QData::I16(y)) => zip((x, a.shape), (y, b.shape), f),
    }
}

fn zip<A: Stored, B: Stored, T: Stored>(
    (a, shape): (&[A], Hwc),
    (b, b_shape): (&[B], Hwc),
    f: impl Fn(i32, i32) -> i32,
) -> Vec<T> {
    let mut out = Vec::with_capacity(a.len());
    for (pixel, a) in a.chunks_exact(shape.c).enumerate() {
        let y = if b_shape.h == 1 { 0 } else { pixel / shape.w };
        let x = if b_shape.w == 1 { 0 } else { pixel % shape.w };
        let b = &b[(y * b_shape.w + x) * b_shape.c..][..b_shape.c];
        if let [b] = b {
            out.extend(a.iter().map(|a| T::narrow(f(a.widen(), b.widen()))));
        } else {
            out.extend(a.iter().zip(b).map(|(a, b)| T::narrow(f(a.widen(), b.widen()))));
        }
    }
    out
}

/// `out[i] = f(x[i])`. For int8 operands `f` is evaluated once for each of the 256 values.
pub(crate) fn map<T: Stored>(x: &QTensor, f: impl Fn(i32) -> i32) -> Vec<T> {
    match &x.data {
        QData::I8(x) => {
            let mut table = [T::default(); 256];
            for value in i8::MIN..=i8::MAX {
                table[usize::from(value.cast_unsigned())] = T::narrow(f(i32::from(value)));
            }
            look_up(x, &table)
        }
        QData::I16(x) => x.iter().map(|&x| T::narrow(f(i32::from(x)))).collect(),
    }
}

/// `out[i] = table[x[i] as u8]`.
pub(crate) fn look_up<T: Stored>(x: &[i8], table: &[T; 256]) -> Vec<T> {
    x.iter().map(|x| table[usize::from(x.cast_unsigned())]).collect()
}
