//! Layers whose weights are integers and whose operand is quantized at run time, by its own smallest and largest value: ONNX's dynamic
//! quantization, `DynamicQuantizeLinear` in front of `ConvInteger` or `MatMulInteger`, with the sums scaled back to real values.

use super::{Writer, integers};
use crate::graph::{Node, Op, Window};
use crate::onnx::proto::{AttributeProto, DataType, NodeProto, TensorProto};
use crate::onnx::write::{int, signed, window_attributes};
use crate::tensor::Tensor;

/// A layer's weights as integers: `real = scale * q`, one scale per output channel.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerWeights {
    /// In the order of the float weights, output channels first.
    pub data: Vec<i8>,
    /// Real value of one step, per output channel.
    pub scale: Vec<f32>,
}

impl Writer<'_> {
    /// A `Conv` or `Dense` node with integer weights; `false` if there are none for it, and nothing is written.
    pub(super) fn dynamic(&mut self, node: &Node, inputs: &[String]) -> bool {
        let (Some(weights), [x, w, bias @ ..]) =
            (self.integers.and_then(|of| of.get(&node.name)), inputs)
        else {
            return false;
        };
        let shape = node.inputs.get(1).map_or(&[][..], |&id| self.shape(id)).to_vec();
        let channels = weights.scale.len();
        let (op, attributes, dims, data, along): (_, _, _, _, Vec<usize>) = match &node.op {
            Op::Conv { window, groups } => {
                let mut attributes = window_attributes(&Window { pad: [0; 4], ..*window });
                attributes.push(int("group", *groups));
                ("ConvInteger", attributes, shape, weights.data.clone(), vec![1, channels, 1, 1])
            }
            Op::Dense => {
                // MatMul takes `[k, m]`.
                let k = weights.data.len() / channels.max(1);
                let transposed =
                    (0..k).flat_map(|i| weights.data.iter().skip(i).step_by(k.max(1)).copied());
                let data = transposed.collect();
                ("MatMulInteger", Vec::new(), vec![k, channels], data, vec![channels])
            }
            _ => return false,
        };
        let named = |writer: &mut Self, what: &str| writer.fresh(format!("{}/{what}", node.name));
        let [stored, scale, zero, sums, real, step, product] =
            ["stored", "scale", "zero", "sums", "real", "step", "product"]
                .map(|what| named(self, what));
        let x = &self.padded(node, x);
        self.several(node, "quantize", "DynamicQuantizeLinear", x, &[&stored, &scale, &zero]);
        let stored_weights = self.fresh(format!("{w}/integers"));
        self.proto.initializer.push(TensorProto {
            name: stored_weights.clone(),
            dims: dims.iter().copied().map(signed).collect(),
            data_type: DataType::Int8 as i32,
            raw_data: Some(data.iter().map(|&q: &i8| q as u8).collect::<Vec<u8>>().into()),
            ..TensorProto::default()
        });
        self.helper(node, "sum", op, vec![stored, stored_weights, zero], &sums, attributes);
        let to: Vec<AttributeProto> = vec![int("to", DataType::Float as usize)];
        self.helper(node, "real", "Cast", vec![sums], &real, to);
        let shaped = |values: Vec<f32>| Tensor::from_f32(&along, values).ok();
        let scales = shaped(weights.scale.clone()).map(|t| self.parameter(node, "scales", &t));
        let scales = scales.unwrap_or_default();
        self.helper(node, "step", "Mul", vec![scale, scales], &step, Vec::new());
        let bias = bias.first().and_then(|_| {
            let values = self.graph.value(*node.inputs.get(2)?)?.constant.as_ref()?.f32_values()?;
            shaped(values.into_owned())
        });
        match bias {
            None => self.push(node, "Mul", vec![real, step], Vec::new()),
            Some(bias) => {
                self.helper(node, "product", "Mul", vec![real, step], &product, Vec::new());
                let bias = self.parameter(node, "bias", &bias);
                self.push(node, "Add", vec![product, bias], Vec::new());
            }
        }
        true
    }

    /// The operand with a convolution's padding around it. Padding must be the operand's zero point, which not every runtime gives it; real
    /// zeros in front of the quantization become just that, and are in every range anyway.
    fn padded(&mut self, node: &Node, x: &str) -> String {
        let Op::Conv { window: Window { pad: [top, left, bottom, right], .. }, .. } = &node.op
        else {
            return x.to_owned();
        };
        if [top, left, bottom, right] == [&0; 4] {
            return x.to_owned();
        }
        let pads = integers(&[0, 0, *top, *left, 0, 0, *bottom, *right]);
        let pads = self.parameter(node, "pads", &pads);
        let padded = self.fresh(format!("{}/padded", node.name));
        self.helper(node, "pad", "Pad", vec![x.to_owned(), pads], &padded, Vec::new());
        padded
    }

    /// A node of several results that the graph does not have.
    fn several(&mut self, node: &Node, what: &str, op: &str, input: &str, output: &[&String]) {
        self.proto.node.push(NodeProto {
            input: vec![input.to_owned()],
            output: output.iter().map(|name| (*name).clone()).collect(),
            name: format!("{}/{what}", node.name),
            op_type: op.to_owned(),
            attribute: Vec::new(),
            domain: String::new(),
        });
    }
}
