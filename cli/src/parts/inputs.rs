//! The network's inputs, and how they become the program's.

use bytes::Bytes;
use ir::graph::Graph;
use ir::onnx::host::{End, Kind, Part};
use ir::qgraph::{Hwc, QType, QValue, View};
use ir::tensor::{Data, Tensor};
use isa::Program;
use isa::program::{Color, PixelLayout, Preprocess};

use super::read;
use crate::error::CliError;
use crate::host::ends;

/// The network's inputs.
pub(crate) struct NetworkInputs {
    /// Names and extents; of a program without a head also how they are stored.
    pub(crate) inputs: Vec<QValue>,
    head: Option<Head>,
}

/// What the host does in front.
struct Head {
    part: Part,
    /// Output of the part that each input of the program is.
    order: Vec<usize>,
}

/// What a sample holds for one input.
pub(crate) enum Given {
    /// Real values.
    Real(Vec<f32>),
    /// Integers or truth values.
    Integers(Vec<i64>),
}

impl NetworkInputs {
    /// Of inputs that the program takes as they are.
    pub(crate) fn plain(inputs: Vec<QValue>) -> NetworkInputs {
        NetworkInputs { inputs, head: None }
    }

    /// Of a float graph.
    pub(crate) fn of_graph(graph: &Graph) -> Result<NetworkInputs, CliError> {
        let values = || graph.inputs.iter().map(|id| &graph.values[id.0 as usize]);
        match read(graph.head.clone(), "head")? {
            Some(part) => NetworkInputs::with(part, values().map(|value| value.name.as_str())),
            None => {
                Ok(NetworkInputs::plain(values().map(|v| described(&v.name, &v.shape)).collect()))
            }
        }
    }

    /// Of a program.
    pub(crate) fn of_program(program: &Program) -> Result<NetworkInputs, CliError> {
        let inputs = ends(program, &program.inputs);
        match read(program.host.head.clone().map(Bytes::from), "head")? {
            Some(part) => NetworkInputs::with(part, inputs.iter().map(|input| input.name.as_str())),
            None => Ok(NetworkInputs::plain(inputs)),
        }
    }

    fn with<'n>(
        part: Part,
        machine: impl Iterator<Item = &'n str>,
    ) -> Result<NetworkInputs, CliError> {
        let find = |name: &str| {
            let at = part.outputs().iter().position(|end| end.name == name);
            at.ok_or_else(|| {
                CliError::Refused(format!("host head: it does not make input `{name}`"))
            })
        };
        let order = machine.map(find).collect::<Result<_, _>>()?;
        let inputs = part.inputs().iter().map(|end| described(&end.name, &end.shape)).collect();
        Ok(NetworkInputs { inputs, head: Some(Head { part, order }) })
    }

    /// What the elements of an input are.
    pub(crate) fn kind(&self, input: usize) -> Kind {
        self.head.as_ref().map_or(Kind::Real, |head| head.part.inputs()[input].kind)
    }

    /// How images become the only input, if it takes integers: as they are.
    pub(crate) fn as_pixels(&self) -> Option<Preprocess> {
        let ([input], Kind::Integer { .. }) = (&self.inputs[..], self.kind(0)) else { return None };
        let shape = &input.view.onnx_shape;
        let gray = Preprocess { color: Color::Gray, ..Preprocess::default() };
        match shape.as_slice() {
            [_, 3, _, _] => Some(Preprocess::default()),
            [_, _, _, 3] => Some(Preprocess { layout: PixelLayout::Nhwc, ..Preprocess::default() }),
            [_, 1, _, _] | [_, _, _] => Some(gray),
            [_, _, _, 1] => Some(Preprocess { layout: PixelLayout::Nhwc, ..gray }),
            _ => None,
        }
    }

    /// Smallest and largest value of all inputs, if they are integers of 8 bits that the network takes as real values.
    pub(crate) fn range(&self) -> Option<(f32, f32)> {
        let head = self.head.as_ref()?;
        let ends = head.order.iter().map(|&at| match head.part.outputs()[at].kind {
            Kind::Integer { lo, hi } if hi - lo < 256 => Some((lo as f32, hi as f32)),
            Kind::Truth => Some((0.0, 1.0)),
            Kind::Integer { .. } | Kind::Real => None,
        });
        ends.reduce(|a, b| Some((a?.0.min(b?.0), a?.1.max(b?.1)))).flatten()
    }

    /// The real values of the program's inputs.
    pub(crate) fn machine(&self, given: Vec<Given>) -> Result<Vec<Vec<f32>>, CliError> {
        let Some(Head { part, order }) = &self.head else {
            let real = given.into_iter().map(|given| match given {
                Given::Real(values) => values,
                Given::Integers(values) => values.into_iter().map(|v| v as f32).collect(),
            });
            return Ok(real.collect());
        };
        let tensors = part.inputs().iter().zip(given).map(|(end, given)| tensor(end, given));
        let outputs = part.run(tensors.collect::<Result<_, _>>()?).map_err(CliError::refused)?;
        order.iter().map(|&at| real(&part.outputs()[at], &outputs[at])).collect()
    }
}

/// An input as far as reading samples needs it: name and ONNX shape.
fn described(name: &str, shape: &[usize]) -> QValue {
    QValue {
        name: name.to_owned(),
        shape: Hwc { h: 1, w: 1, c: shape.iter().product() },
        dtype: QType::I8,
        scale: 1.0,
        zero_point: 0,
        view: View { onnx_shape: shape.to_vec(), perm: (0..shape.len()).collect() },
    }
}

fn tensor(end: &End, given: Given) -> Result<Tensor, CliError> {
    let whole = |value: f32| {
        let fits = value.fract() == 0.0 && value.abs() < 9e15;
        let name = &end.name;
        let hint = "hint: arrays of integers; or --preprocess mean=0,std=1, which leaves pixels as they are";
        let wrong =
            || CliError::Refused(format!("input `{name}` takes integers, found {value}\n  {hint}"));
        fits.then_some(value as i64).ok_or_else(wrong)
    };
    let integers = |given| match given {
        Given::Integers(values) => Ok(values),
        Given::Real(values) => values.into_iter().map(whole).collect::<Result<Vec<i64>, _>>(),
    };
    let data = match end.kind {
        Kind::Integer { .. } => Data::I64(integers(given)?),
        Kind::Truth => Data::Bool(integers(given)?.into_iter().map(|v| v != 0).collect()),
        Kind::Real => Data::F32(match given {
            Given::Real(values) => values,
            Given::Integers(values) => values.into_iter().map(|v| v as f32).collect(),
        }),
    };
    Ok(Tensor { shape: end.shape.clone(), data })
}

/// Integers beyond 2^24 have no float32 of their own, and nothing the machine stores comes near.
fn real(end: &End, tensor: &Tensor) -> Result<Vec<f32>, CliError> {
    let values = match &tensor.data {
        Data::I64(values) => values.iter().map(|&v| v as f32).collect(),
        Data::Bool(values) => values.iter().map(|&v| f32::from(u8::from(v))).collect(),
        _ => tensor.f32_values().unwrap_or_default().into_owned(),
    };
    let expected: usize = end.shape.iter().product();
    let found = values.len();
    let wrong = || {
        CliError::Refused(format!(
            "host head: `{}` has {found} elements, expected {expected}",
            end.name
        ))
    };
    (found == expected).then_some(values).ok_or_else(wrong)
}
