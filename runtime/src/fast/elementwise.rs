//! Operators that treat every element alike.

use ir::qgraph::Hwc;

use super::stored::Stored;
use crate::{QData, QTensor};

/// `out[i] = f(a[i], b[i])` with `b` repeated along every axis where its extent is 1.
pub(crate) fn broadcast<T: Stored>(
    a: &QTensor,
    b: &QTensor,
    f: impl Fn(i32, i32) -> i32,
    out: &mut [T],
) {
    match (&a.data, &b.data) {
        (QData::I8(x), QData::I8(y)) => zip((x, a.shape), (y, b.shape), f, out),
        (QData::I8(x), QData::I16(y)) => zip((x, a.shape), (y, b.shape), f, out),
        (QData::I16(x), QData::I8(y)) => zip((x, a.shape), (y, b.shape), f, out),
        (QData::I16(x), QData::I16(y)) => zip((x, a.shape), (y, b.shape), f, out),
    }
}

fn zip<A: Stored, B: Stored, T: Stored>(
    (a, shape): (&[A], Hwc),
    (b, b_shape): (&[B], Hwc),
    f: impl Fn(i32, i32) -> i32,
    out: &mut [T],
) {
    let pixels = a.chunks_exact(shape.c).zip(out.chunks_exact_mut(shape.c));
    for (pixel, (a, out)) in pixels.enumerate() {
        let y = if b_shape.h == 1 { 0 } else { pixel / shape.w };
        let x = if b_shape.w == 1 { 0 } else { pixel % shape.w };
        let b = &b[(y * b_shape.w + x) * b_shape.c..][..b_shape.c];
        let pairs = out.iter_mut().zip(a);
        if let [b] = b {
            pairs.for_each(|(out, a)| *out = T::narrow(f(a.widen(), b.widen())));
        } else {
            pairs.zip(b).for_each(|((out, a), b)| *out = T::narrow(f(a.widen(), b.widen())));
        }
    }
}

/// `out[i] = f(x[i])`. For int8 operands `f` is evaluated once for each of the 256 values.
pub(crate) fn map<T: Stored>(x: &QTensor, f: impl Fn(i32) -> i32, out: &mut [T]) {
    match &x.data {
        QData::I8(x) => {
            let mut table = [T::default(); 256];
            for value in i8::MIN..=i8::MAX {
                table[usize::from(value.cast_unsigned())] = T::narrow(f(i32::from(value)));
            }
            let entry = |x: &i8| table[usize::from(x.cast_unsigned())];
            out.iter_mut().zip(x).for_each(|(out, x)| *out = entry(x));
        }
        QData::I16(x) => {
            out.iter_mut().zip(x).for_each(|(out, &x)| *out = T::narrow(f(i32::from(x))));
        }
    }
}

/// `out[i] = f(x[i], channel of i)`.
pub(crate) fn map_channels<T: Stored>(x: &QTensor, f: impl Fn(i32, usize) -> i32, out: &mut [T]) {
    fn pixels<X: Stored, T: Stored>(
        x: &[X],
        c: usize,
        f: impl Fn(i32, usize) -> i32,
        out: &mut [T],
    ) {
        for (out, x) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for (channel, (out, x)) in out.iter_mut().zip(x).enumerate() {
                *out = T::narrow(f(x.widen(), channel));
            }
        }
    }
    match &x.data {
        QData::I8(data) => pixels(data, x.shape.c, f, out),
        QData::I16(data) => pixels(data, x.shape.c, f, out),
    }
}
