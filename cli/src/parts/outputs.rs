//! The program's outputs, and how they become the network's.

use bytes::Bytes;
use ir::onnx::host::Part;
use ir::qgraph::QValue;
use ir::tensor::{Data, Tensor};
use isa::Program;

use super::read;
use crate::data::write::{Values, Written};
use crate::error::CliError;
use crate::host::ends;

/// The network's outputs.
pub(crate) struct NetworkOutputs {
    /// Names and extents, in order.
    pub(crate) outputs: Vec<(String, Vec<usize>)>,
    tail: Option<Tail>,
}

/// What the host does behind.
struct Tail {
    part: Part,
    /// Output of the program that each input of the part is.
    order: Vec<usize>,
}

impl NetworkOutputs {
    /// Of a program.
    pub(crate) fn of_program(program: &Program) -> Result<NetworkOutputs, CliError> {
        let machine = ends(program, &program.outputs);
        let part = read(program.host.tail.clone().map(Bytes::from), "tail")?;
        NetworkOutputs::new(
            machine.iter().map(|v| (v.name.clone(), v.view.onnx_shape.clone())),
            part,
        )
    }

    /// Of some values that the program's outputs stand for.
    pub(crate) fn new(
        machine: impl Iterator<Item = (String, Vec<usize>)>,
        tail: Option<Part>,
    ) -> Result<NetworkOutputs, CliError> {
        let machine: Vec<(String, Vec<usize>)> = machine.collect();
        let Some(part) = tail else { return Ok(NetworkOutputs { outputs: machine, tail: None }) };
        let find = |end: &ir::onnx::host::End| {
            let at = machine.iter().position(|(name, _)| *name == end.name);
            at.ok_or_else(|| {
                let name = &end.name;
                CliError::Refused(format!(
                    "host tail: it reads `{name}`, which the program does not compute"
                ))
            })
        };
        let order = part.inputs().iter().map(find).collect::<Result<_, _>>()?;
        let outputs = part.outputs().iter().map(|e| (e.name.clone(), e.shape.clone())).collect();
        Ok(NetworkOutputs { outputs, tail: Some(Tail { part, order }) })
    }

    /// Whether the network's outputs are others than the program's.
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// The network's outputs from the real values of the program's, all of them in order.
    pub(crate) fn network(&self, machine: Vec<Vec<f32>>) -> Result<Vec<Written>, CliError> {
        let Some(Tail { part, order }) = &self.tail else {
            let named = self.outputs.iter().zip(machine);
            return Ok(named
                .map(|((name, shape), values)| Written {
                    name: name.clone(),
                    shape: shape.clone(),
                    values: Values::F32(values),
                })
                .collect());
        };
        let inputs = part.inputs().iter().zip(order).map(|(end, &at)| Tensor {
            shape: end.shape.clone(),
            data: Data::F32(machine[at].clone()),
        });
        let inputs: Vec<Tensor> = inputs.collect();
        let outputs = part.run(inputs).map_err(|e| CliError::Refused(format!("host tail: {e}")))?;
        let written = self.outputs.iter().zip(outputs).map(|((name, shape), tensor)| Written {
            name: name.clone(),
            shape: shape.clone(),
            values: match tensor.data {
                Data::I64(values) => Values::I64(values),
                Data::Bool(values) => Values::I64(values.into_iter().map(i64::from).collect()),
                _ => Values::F32(tensor.f32_values().unwrap_or_default().into_owned()),
            },
        });
        Ok(written.collect())
    }

    /// The elements of the network's first output.
    pub(crate) fn first(&self, machine: Vec<Vec<f32>>) -> Result<Vec<f32>, CliError> {
        let first = self.network(machine)?.into_iter().next();
        Ok(first.map_or_else(Vec::new, |first| first.values.reals()))
    }

    /// Elements of the network's first output.
    pub(crate) fn first_count(&self) -> usize {
        self.outputs.first().map_or(0, |(_, shape)| shape.iter().product())
    }
}

/// The real values of a program's outputs.
pub(crate) fn dequantized(
    outputs: &[QValue],
    tensors: &[runtime::QTensor],
) -> Result<Vec<Vec<f32>>, CliError> {
    let real = |(value, tensor)| runtime::dequantize(tensor, value).map_err(CliError::refused);
    outputs.iter().zip(tensors).map(real).collect()
}
