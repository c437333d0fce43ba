//! Whether a machine's accumulators hold the sums of a graph.

use isa::numerics::{accumulator_bits, accumulator_bound};

use super::Problem;
use super::qops::{magnitude, product_bound};
use crate::qgraph::{QGraph, QOp};

/// Sums of `graph`, which must be [verified](QGraph::verify), that might leave an accumulator of `acc_bits` bits: no partial sum
/// of a convolution, of a product or of an average may, in any order (equation (N6) of `docs/numerics.md`).
#[must_use]
pub fn wrapping_sums(graph: &QGraph, acc_bits: u32) -> Vec<Problem> {
    let ranges = super::stored_ranges(graph);
    let mut problems = Vec::new();
    for node in &graph.nodes {
        let Some((value, &range)) = node
            .inputs
            .first()
            .and_then(|&id| Some((graph.value(id)?, ranges.get(id.0 as usize)?)))
        else {
            continue;
        };
        let mut check = |channel: usize, bound: u64| {
            if accumulator_bits(bound) > acc_bits {
                let bits = u8::try_from(acc_bits).unwrap_or(u8::MAX);
                problems.push(Problem::Accumulator {
                    node: node.name.clone(),
                    channel,
                    bound,
                    bits,
                });
            }
        };
        match &node.op {
            QOp::Conv { weights, bias, .. } => {
                // Padding injects the zero point.
                let (lo, hi) = (range.0.min(value.zero_point), range.1.max(value.zero_point));
                let taps = (weights.data.len() / weights.oc.max(1)).max(1);
                let channels = weights.data.chunks_exact(taps).zip(bias).enumerate();
                channels.for_each(|(channel, (row, &bias))| {
                    check(channel, accumulator_bound(row, lo, hi, bias));
                });
            }
            QOp::MatMul { .. } => {
                let operand = |i: usize| {
                    let id = *node.inputs.get(i)?;
                    Some((graph.value(id)?, *ranges.get(id.0 as usize)?))
                };
                if let Some(((a, ra), (b, rb))) = operand(0).zip(operand(1)) {
                    check(0, product_bound([a, b], [ra, rb]));
                }
            }
            QOp::AveragePool { window, .. } => {
                let taps = window.kernel[0].saturating_mul(window.kernel[1]) as u64;
                check(0, magnitude(range, value.zero_point).saturating_mul(taps));
            }
            _ => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str, acc_bits: u32) -> Vec<u64> {
        let graph: QGraph = text.parse().unwrap();
        graph.verify().unwrap();
        let problems = wrapping_sums(&graph, acc_bits).into_iter();
        problems
            .map(|problem| match problem {
                Problem::Accumulator { bound, .. } => bound,
                other => panic!("{other}"),
            })
            .collect()
    }

    #[test]
    fn a_sum_fits_exactly_the_bits_of_its_bound() {
        let conv = "qgraph \"g\" rounding=half-even (%v0: i16[1, 1, 2] scale=1.0 zero_point=0 onnx_shape=[1, 2, 1, 1] perm=[0, 2, 3, 1]) -> (%v1) {
  %v1: i16[1, 1, 1] scale=1.0 zero_point=0 onnx_shape=[1, 1, 1, 1] perm=[0, 2, 3, 1] = conv \"c\"(%v0) onnx=\"Conv\" kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1 oc=1 ic=2 bits=8 weights=0x7f81 bias=[2147483647] multipliers=[8388608] shifts=[40] lo=-32768 hi=32767
}
";
        let bound = 2 * 127 * 32768 + 2_147_483_647;
        assert_eq!(bounds(conv, 32), [bound]);
        assert_eq!(bounds(conv, 33), Vec::<u64>::new());
    }

    #[test]
    fn a_product_of_two_tensors_has_as_many_terms_as_channels() {
        let graph = |dtype: &str, lo: i32, hi: i32| {
            format!("qgraph \"g\" rounding=half-even (%v0: i8[1, 4, 3] scale=1.0 zero_point=0 onnx_shape=[1, 4, 3] perm=[0, 1, 2], %v1: i8[1, 2, 3] scale=1.0 zero_point=0 onnx_shape=[1, 2, 3] perm=[0, 1, 2]) -> (%v3) {{
  %v2: {dtype}[1, 4, 3] scale=1.0 zero_point=0 = rescale \"r\"(%v0) onnx=\"QuantizeLinear\" m=1 shift=0 lo={lo} hi={hi}
  %v3: i8[1, 4, 2] scale=1.0 zero_point=0 onnx_shape=[1, 4, 2] perm=[0, 1, 2] = matmul \"m\"(%v2, %v1) onnx=\"MatMul\" multiplier=8388608 shift=40 lo=-128 hi=127
}}
")
        };
        assert_eq!(bounds(&graph("i8", -7, 5), 12), [3 * 7 * 128]);
        assert_eq!(bounds(&graph("i8", -7, 5), 13), Vec::<u64>::new());
        // Bytes on their own: -1 is 256 * -1 + 255.
        assert_eq!(bounds(&graph("i16", -1, 5), 12), [3 * 256 * 128]);
        assert_eq!(bounds(&graph("i16", -257, 300), 12), [3 * 512 * 128]);
    }

    #[test]
    fn an_average_adds_up_as_many_values_as_its_window_has() {
        let pool = "qgraph \"g\" rounding=half-even (%v0: i8[16, 16, 1] scale=1.0 zero_point=-128 onnx_shape=[1, 1, 16, 16] perm=[0, 2, 3, 1]) -> (%v1) {
  %v1: i8[1, 1, 1] scale=1.0 zero_point=-128 onnx_shape=[1, 1, 1, 1] perm=[0, 2, 3, 1] = average_pool \"p\"(%v0) onnx=\"AveragePool\" kernel=[16, 16] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] multipliers=[8388608] shifts=[31] lo=-128 hi=127
}
";
        assert_eq!((bounds(pool, 16), bounds(pool, 17)), (vec![255 * 256], vec![]));
    }
}
