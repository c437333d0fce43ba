//! Slots of what the host computes.

use super::{Builder, Slot, SlotId};
use crate::onnx::error::NodeError;
use crate::onnx::host::record::Side;
use crate::tensor::{DType, Data, Tensor};

impl Builder {
    /// A slot for a value of a part, by its name there; `example` has its extents and type.
    pub(in crate::onnx) fn host_slot(&mut self, side: Side, name: &str, example: Tensor) -> SlotId {
        self.push_slot(Slot::Host { side, name: name.to_owned(), example })
    }

    /// The part that computes a slot.
    pub(in crate::onnx) fn side(&self, slot: SlotId) -> Option<Side> {
        match &self.slots[slot.0] {
            Slot::Host { side, .. } => Some(*side),
            Slot::Constant { .. } | Slot::Value(_) | Slot::Unknown => None,
        }
    }

    /// Name in its part of a slot that the host computes.
    pub(in crate::onnx) fn host_name(&self, slot: SlotId) -> Option<String> {
        match &self.slots[slot.0] {
            Slot::Host { name, .. } => Some(name.clone()),
            Slot::Constant { .. } | Slot::Value(_) | Slot::Unknown => None,
        }
    }

    /// Whether a slot holds a value that the machine computes or is given.
    pub(in crate::onnx) fn is_computed(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot.0], Slot::Value(_)) && self.constant(slot).is_none()
    }

    /// Lets `name` stand for `slot`, whatever it stood for.
    pub(in crate::onnx) fn rebind(&mut self, name: &str, slot: SlotId) {
        self.names.insert(name.to_owned(), slot);
    }

    /// A constant like what is in a slot: itself, or zeros.
    pub(in crate::onnx) fn example(&mut self, slot: SlotId) -> Result<SlotId, NodeError> {
        let example = match &self.slots[slot.0] {
            Slot::Constant { .. } | Slot::Unknown => return Ok(slot),
            Slot::Value(_) if self.constant(slot).is_some() => return Ok(slot),
            Slot::Value(id) => {
                let shape = self.graph.values[id.0 as usize].shape.clone();
                let count = shape.iter().product();
                Tensor { shape, data: Data::SplatF32 { value: 0.0, count } }
            }
            Slot::Host { example, .. } => self.copy_constant(example)?,
        };
        Ok(self.constant_slot("", example))
    }

    /// Real values that the head makes become an input of the graph now that the machine reads them.
    pub(in crate::onnx) fn materialise(&mut self, slot: SlotId) {
        let Slot::Host { side: Side::Head, name, example } = &self.slots[slot.0] else { return };
        if example.dtype() == DType::F32 {
            let (name, shape) = (name.clone(), example.shape.clone());
            let id = self.add_input(&name, shape);
            self.slots[slot.0] = Slot::Value(id);
        }
    }
}
