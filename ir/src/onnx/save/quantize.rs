//! What storing a value leaves of it.

use bytes::Bytes;

use super::{Extent, Writer, scalar};
use crate::graph::Node;
use crate::onnx::proto::{DataType, TensorProto};
use crate::qgraph::QType;
use crate::quantized::Encoding;

impl Writer<'_> {
    /// QuantizeLinear and DequantizeLinear; in arithmetic where the operator set, or some float runtime, lacks them for the type.
    pub(super) fn fake_quantize(&mut self, node: &Node, inputs: Vec<String>, to: Encoding) {
        let [x] = inputs.as_slice() else {
            return;
        };
        let scale = self.parameter(node, "scale", &scalar(to.scale));
        if self.extent == Extent::All && to.dtype == QType::I8 {
            let stored = self.fresh(format!("{}/stored", node.name));
            let zero_point = self.fresh(format!("{}/zero_point", node.name));
            self.proto.initializer.push(TensorProto {
                name: zero_point.clone(),
                data_type: DataType::Int8 as i32,
                raw_data: Some(Bytes::copy_from_slice(&[to.zero_point as u8])),
                ..TensorProto::default()
            });
            let parameters = [scale, zero_point];
            let operands = [&[x.clone()][..], &parameters].concat();
            self.helper(node, "stored", "QuantizeLinear", operands, &stored, Vec::new());
            let operands = [&[stored][..], &parameters].concat();
            return self.push(node, "DequantizeLinear", operands, Vec::new());
        }
        let (lo, hi) = to.dtype.range();
        let [lo, hi] = [lo, hi].map(|end| (end - to.zero_point) as f32);
        let ends = [("lo", lo), ("hi", hi)];
        let [lo, hi] = ends.map(|(what, end)| self.parameter(node, what, &scalar(end)));
        let [steps, rounded, saturated] = ["steps", "rounded", "saturated"]
            .map(|what| self.fresh(format!("{}/{what}", node.name)));
        self.helper(node, "steps", "Div", vec![x.clone(), scale.clone()], &steps, Vec::new());
        self.helper(node, "rounded", "Round", vec![steps], &rounded, Vec::new());
        self.helper(node, "saturated", "Clip", vec![rounded, lo, hi], &saturated, Vec::new());
        self.push(node, "Mul", vec![saturated, scale], Vec::new());
    }
}
