//! Local response normalization in terms of operators that every runtime has.

use super::{Writer, scalar};
use crate::graph::{Node, Window, lrn_window};
use crate::onnx::write::window_attributes;
use crate::tensor::Tensor;

impl Writer<'_> {
    /// `x * (bias + alpha / size * sum of squares) ^ -beta`; the sum over neighbouring channels is a 1x1 convolution.
    pub(super) fn spelled_out_lrn(
        &mut self,
        node: &Node,
        inputs: Vec<String>,
        size: usize,
        [alpha, beta, bias]: [f32; 3],
    ) {
        let channels =
            node.inputs.first().and_then(|&id| self.shape(id).get(1)).copied().unwrap_or(0);
        let mut band = vec![0.0; channels * channels];
        for (channel, row) in band.chunks_exact_mut(channels.max(1)).enumerate() {
            row[lrn_window(channel, size, channels)].fill(alpha / size as f32);
        }
        let (Ok(weights), Ok(bias)) = (
            Tensor::from_f32(&[channels, channels, 1, 1], band),
            Tensor::from_f32(&[channels], vec![bias; channels]),
        ) else {
            return;
        };
        let [x] = inputs.as_slice() else {
            return;
        };
        let names = ["square", "sum", "factor"].map(|what| {
            let name = self.fresh(format!("{}/{what}", node.name));
            (what, name)
        });
        let [(square, squares), (sum, sums), (factor, factors)] = &names;
        self.helper(node, square, "Mul", vec![x.clone(), x.clone()], squares, Vec::new());
        let weights = self.parameter(node, "window", &weights);
        let bias = self.parameter(node, "bias", &bias);
        let point = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
        let operands = vec![squares.clone(), weights, bias];
        self.helper(node, sum, "Conv", operands, sums, window_attributes(&point));
        let exponent = self.parameter(node, "exponent", &scalar(-beta));
        self.helper(node, factor, "Pow", vec![sums.clone(), exponent], factors, Vec::new());
        self.push(node, "Mul", vec![x.clone(), factors.clone()], Vec::new());
    }
}
