//! Linear interpolation as two gathers and their weighted sum, an axis at a time: exactly the places of the graph, whatever a
//! runtime's own resizing makes of them.

use super::{Writer, int, integers};
use crate::graph::{Interpolation, Node};
use crate::tensor::{Data, Tensor};

impl Writer<'_> {
    pub(super) fn interpolate(
        &mut self,
        node: &Node,
        mut inputs: Vec<String>,
        axes: &[Interpolation],
    ) {
        let rank = node.inputs.first().map_or(0, |&id| self.shape(id).len());
        for (position, Interpolation { axis, places }) in axes.iter().enumerate() {
            let along = |values: Vec<f32>| {
                let mut shape = vec![1; rank.saturating_sub(*axis).max(1)];
                shape[0] = values.len();
                Tensor { shape, data: Data::F32(values) }
            };
            let low: Vec<usize> = places.iter().map(|place| *place as usize).collect();
            let rest = |place: &f32| place - place.floor();
            // The neighbour of a place on an element has no weight; it may be the element itself.
            let high: Vec<usize> =
                places.iter().zip(&low).map(|(p, i)| i + usize::from(rest(p) > 0.0)).collect();
            let weights = [
                along(places.iter().map(|place| 1.0 - rest(place)).collect()),
                along(places.iter().map(rest).collect()),
            ];
            let mut parts = Vec::new();
            for ((side, indices), weights) in
                [("low", low), ("high", high)].into_iter().zip(weights)
            {
                let what = format!("{side}{axis}");
                let indices = self.parameter(node, &format!("{what}_indices"), &integers(&indices));
                let weights = self.parameter(node, &format!("{what}_weights"), &weights);
                let taken = self.fresh(format!("{}/{what}_taken", node.name));
                let operands = vec![inputs[0].clone(), indices];
                let attributes = vec![int("axis", *axis)];
                self.helper(node, &format!("{what}_taken"), "Gather", operands, &taken, attributes);
                let part = self.fresh(format!("{}/{what}", node.name));
                self.helper(node, &what, "Mul", vec![taken, weights], &part, Vec::new());
                parts.push(part);
            }
            if position + 1 == axes.len() {
                return self.push(node, "Add", parts, Vec::new());
            }
            let sum = self.fresh(format!("{}/sum{axis}", node.name));
            self.helper(node, &format!("sum{axis}"), "Add", parts, &sum, Vec::new());
            inputs = vec![sum];
        }
    }
}
