//! What changes of width do to a network's answers and what they cost: what every search plans with.

use compiler::compile::CompileError;
use compiler::options::Options;
use compiler::quantize::free_widths;

use super::Listener;
use crate::bench::{Bench, CostError};
use crate::sensitivity::{Bits, Change, Effect, SensitivityError, sensitivity};

/// Samples on which single changes are measured: their noise differs far more between layers than between samples.
pub const MEASURED: usize = 32;

/// Bits of an accumulator in which products of 16-bit activations have room.
const ROOMY_ACCUMULATOR: u32 = 48;

/// Measures changes.
#[derive(Clone, Copy)]
pub struct Measure<'a> {
    /// Quantizes and compiles.
    pub bench: &'a Bench<'a>,
    /// Samples that nothing was fitted to: elements of every input, in ONNX order.
    pub samples: &'a [Vec<Vec<f32>>],
    /// Hears of it.
    pub listener: &'a dyn Listener,
}

/// Why changes cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The network has no integer form.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There is no program.
    #[error(transparent)]
    Cost(Box<CostError>),
    /// The answers cannot be compared.
    #[error(transparent)]
    Sensitivity(#[from] SensitivityError),
}

impl From<CostError> for MeasureError {
    fn from(error: CostError) -> MeasureError {
        MeasureError::Cost(Box::new(error))
    }
}

impl Measure<'_> {
    /// Effects of single changes, on a machine whose accumulators hide none of them. Those that are `known` are not measured again; the
    /// others are added to them.
    pub(super) fn effects(
        &self,
        base: &Options,
        changes: &[Change],
        known: &mut Vec<Effect>,
    ) -> Result<Vec<Effect>, MeasureError> {
        let mut hardware = self.bench.hardware().clone();
        hardware.acc_bits = hardware.acc_bits.max(ROOMY_ACCUMULATOR);
        let find = |known: &[Effect], change: &Change| {
            known.iter().find(|effect| effect.change == *change).cloned()
        };
        let new = changes.iter().filter(|change| find(known, change).is_none());
        let new: Vec<Change> = new.cloned().collect();
        self.listener.begin("measuring layers", new.len());
        let tick = || self.listener.tick();
        known.extend(sensitivity(self.bench, &hardware, base, &new, self.samples, tick)?);
        Ok(changes.iter().filter_map(|change| find(known, change)).collect())
    }

    /// What the widths of the base cost in noise, value by value, in a network whose other values have 16 bits; nothing if there is
    /// no such network, which the listener hears.
    pub(super) fn activations(
        &self,
        base: &Options,
        nodes: &[String],
        known: &mut Vec<Effect>,
    ) -> Result<Vec<Effect>, MeasureError> {
        let wide = Options { act_bits: 16, ..base.clone() };
        let change =
            |node: &String| Change { node: node.clone(), bits: Bits::Activations(base.act_bits) };
        let changes: Vec<Change> = nodes.iter().map(change).collect();
        match self.effects(&wide, &changes, known) {
            Err(MeasureError::Sensitivity(SensitivityError::Compile(reason))) => {
                self.listener.refused("16-bit activations", &reason.to_string());
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Values whose width may be chosen and that the options leave open.
    pub(super) fn open_values(&self, base: &Options) -> Vec<String> {
        let free = free_widths(&self.bench.network().graph).into_iter();
        free.filter(|name| !base.layer_act_bits.contains_key(name)).collect()
    }
}
