//! Operands and results that the file holds as integers.

use super::{Imported, NodeCtx};
use crate::onnx::builder::SlotId;
use crate::onnx::integers::{IntType, Integers};

impl NodeCtx<'_> {
    /// What the integers of a computed operand mean; `None` for floats and constants.
    pub(in crate::onnx) fn integers_of(&self, index: usize) -> Option<Integers> {
        self.builder.integers(self.slot(index)?)
    }

    /// Type of a constant operand of integers, where it is known.
    pub(in crate::onnx) fn int_type(&self, index: usize) -> Option<IntType> {
        self.builder.int_type(self.slot(index)?)
    }

    /// The node's result, which is made already, is integers with that meaning.
    pub(in crate::onnx) fn note_integers(&mut self, integers: Integers) {
        if let Some(slot) = self.result_slot() {
            self.builder.note_integers(slot, integers);
        }
    }

    /// All results that are computed are integers with that meaning.
    pub(in crate::onnx) fn note_all_integers(&mut self, integers: Integers) {
        for name in &self.proto.output {
            if let Some(slot) = self.builder.slot(name)
                && self.builder.constant(slot).is_none()
            {
                self.builder.note_integers(slot, integers);
            }
        }
    }

    /// The node's result, a constant that is made already, has that type.
    pub(in crate::onnx) fn note_result_type(&mut self, int: IntType) {
        if let Some(slot) = self.result_slot() {
            self.builder.note_int_type(slot, int);
        }
    }

    /// As [`NodeCtx::note_result_type`], for result `index`; nothing happens where the file does not want it.
    pub(in crate::onnx) fn note_nth_result_type(&mut self, index: usize, int: IntType) {
        let name = self.proto.output.get(index);
        if let Some(slot) = name.and_then(|name| self.builder.slot(name)) {
            self.builder.note_int_type(slot, int);
        }
    }

    fn result_slot(&self) -> Option<SlotId> {
        self.builder.slot(self.proto.output.first()?)
    }

    /// The node's result is the real values that operand `index`, integers in the file, stands for.
    pub(in crate::onnx) fn forward_real(&mut self, index: usize) -> Imported {
        if self.is_graph_output {
            return self.forward(index);
        }
        let (result, operand) = (self.result_name()?, self.operand(index)?);
        let slot = self.builder.value_slot(operand);
        self.builder.bind(&result, slot);
        Ok(())
    }
}
