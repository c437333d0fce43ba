//! Softmax over channels at each pixel.

use isa::numerics::softmax_row;

use crate::{QData, QTensor};

/// Each pixel's int8 channels as probabilities of scale 1/256 and zero point -128.
///
/// `exp[d]` is the weight of a logit `d` below the largest of its pixel, 256 entries.
pub(crate) fn softmax(x: &QTensor, exp: &[u32]) -> QTensor {
    let exp = exp.first_chunk().expect("the check before the run proved 256 entries");
    let QData::I8(logits) = &x.data else {
        unreachable!("the check before the run proved an int8 operand")
    };
    let channels = x.shape.c;
    let mut probabilities = vec![0_i8; logits.len()];
    for (row, out) in logits.chunks_exact(channels).zip(probabilities.chunks_exact_mut(channels)) {
        softmax_row(row, exp, out);
    }
    QTensor { shape: x.shape, data: QData::I8(probabilities) }
}
