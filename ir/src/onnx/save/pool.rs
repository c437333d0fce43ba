//! Dilated pools in terms of slices: one slice of the padded input a tap.

use super::{Writer, integers, scalar};
use crate::graph::{Node, Op, Window};
use crate::tensor::{Data, Tensor};

impl Writer<'_> {
    /// A pool as the maximum, or the scaled sum, of its taps' slices.
    pub(super) fn spelled_out_pool(&mut self, node: &Node, window: &Window, inputs: Vec<String>) {
        let input = node.inputs.first().map_or(&[][..], |&id| self.shape(id)).to_vec();
        let (&[_, _, h, w], &[_, _, rows, columns]) = (&input[..], self.shape(node.output)) else {
            return;
        };
        let (extents, results) = ([h, w], [rows, columns]);
        let count_include_pad = match node.op {
            Op::AveragePool { count_include_pad, .. } => Some(count_include_pad),
            _ => None,
        };
        let border = if count_include_pad.is_some() { 0.0 } else { f32::NEG_INFINITY };
        let padded = self.bordered(node, window, inputs, border, extents, results);
        let mut taps = Vec::new();
        for ky in 0..window.kernel[0] {
            for kx in 0..window.kernel[1] {
                let first = [ky * window.dilation[0], kx * window.dilation[1]];
                let end = |axis: usize| first[axis] + (results[axis] - 1) * window.stride[axis] + 1;
                let name = format!("tap_{ky}_{kx}");
                let parameters = [
                    ("starts", integers(&first)),
                    ("ends", integers(&[end(0), end(1)])),
                    ("axes", integers(&[2, 3])),
                    ("steps", integers(&window.stride)),
                ];
                let mut operands = vec![padded.clone()];
                for (what, tensor) in &parameters {
                    operands.push(self.parameter(node, &format!("{name}_{what}"), tensor));
                }
                let slice = self.fresh(format!("{}/{name}", node.name));
                self.helper(node, &name, "Slice", operands, &slice, Vec::new());
                taps.push(slice);
            }
        }
        match count_include_pad {
            None => self.push(node, "Max", taps, Vec::new()),
            Some(include) => {
                let sum = self.fresh(format!("{}/sum", node.name));
                self.helper(node, "sum", "Sum", taps, &sum, Vec::new());
                let shares = shares(window, extents, results, include);
                let shares = self.parameter(node, "shares", &shares);
                self.push(node, "Mul", vec![sum, shares], Vec::new());
            }
        }
    }

    /// The input with the declared padding, and as much more behind as the last window needs.
    fn bordered(
        &mut self,
        node: &Node,
        window: &Window,
        mut inputs: Vec<String>,
        border: f32,
        extents: [usize; 2],
        results: [usize; 2],
    ) -> String {
        let behind = |axis: usize| {
            let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
            let end = (results[axis] - 1) * window.stride[axis] + reach;
            end.saturating_sub(extents[axis] + window.pad[axis])
        };
        let amounts = [0, 0, window.pad[0], window.pad[1], 0, 0, behind(0), behind(1)];
        inputs.push(self.parameter(node, "pads", &integers(&amounts)));
        inputs.push(self.parameter(node, "border", &scalar(border)));
        let padded = self.fresh(format!("{}/padded", node.name));
        self.helper(node, "padded", "Pad", inputs, &padded, Vec::new());
        padded
    }
}

/// One over the number of taps that count, `[1, 1, rows, columns]`: those inside the input, or inside its declared padding.
fn shares(window: &Window, extents: [usize; 2], results: [usize; 2], include_pad: bool) -> Tensor {
    let counted = |axis: usize, at: usize| {
        let from = if include_pad { 0 } else { window.pad[axis] };
        let to =
            window.pad[axis] + extents[axis] + if include_pad { window.pad[axis + 2] } else { 0 };
        let first = at * window.stride[axis];
        let places = (0..window.kernel[axis]).map(|k| first + k * window.dilation[axis]);
        places.filter(|place| (from..to).contains(place)).count()
    };
    let row = |y: usize| (0..results[1]).map(move |x| 1.0 / (counted(0, y) * counted(1, x)) as f32);
    Tensor {
        shape: vec![1, 1, results[0], results[1]],
        data: Data::F32((0..results[0]).flat_map(row).collect()),
    }
}
