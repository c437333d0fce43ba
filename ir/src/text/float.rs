//! Text form of the float graph.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::attributes::{Attributes, Names, value};
use super::error::ParseError;
use super::syntax::{File, Statement, TypedValue, parse};
use super::write::{List, Quoted, Runs, ValueName, write_hex, write_names, write_window};
use crate::function::{Function, FunctionError};
use crate::graph::{Graph, Interpolation, Node, Op, Value, ValueId};
use crate::qgraph::QType;
use crate::quantized::{Encoding, Quantized};
use crate::tensor::{DType, Data, Tensor, element_count};

/// Constants with more elements are written as bytes.
const MAX_INLINE: usize = 16;

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = |id: &ValueId| self.value(*id).map_or("", |value| value.name.as_str());
        write!(f, "graph {} (", Quoted(&self.name))?;
        for (index, input) in self.inputs.iter().filter_map(|&id| self.value(id)).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", Typed(input))?;
        }
        f.write_str(") -> ")?;
        write_names(f, self.outputs.iter().map(name))?;
        f.write_str(" {\n")?;
        for value in &self.values {
            if let Some(tensor) = &value.constant {
                write!(f, "  {} = const ", Typed(value))?;
                write_data(f, &tensor.data)?;
                f.write_str("\n")?;
            }
        }
        for node in &self.nodes {
            let Some(result) = self.value(node.output) else {
                continue;
            };
            write!(f, "  {} = {} {}", Typed(result), node.op.name(), Quoted(&node.name))?;
            write_names(f, node.inputs.iter().map(name))?;
            write_parameters(f, &node.op)?;
            f.write_str("\n")?;
        }
        f.write_str("}\n")
    }
}

/// `%name: type[extents]`.
struct Typed<'a>(&'a Value);

impl Display for Typed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", ValueName(&self.0.name), self.0.dtype.name(), List(&self.0.shape))
    }
}

fn write_data(f: &mut Formatter<'_>, data: &Data) -> fmt::Result {
    if let Data::SplatF32 { value, .. } = data {
        f.write_str("splat=")?;
        return match value.is_nan() {
            true => write_hex(f, value.to_le_bytes().into_iter()),
            false => write!(f, "{value:?}"),
        };
    }
    if let Data::Quantized(values) = data {
        write!(f, "integers={} ", List(values.integers()))?;
        return write!(f, "scale={} inner={}", List(values.scales()), values.inner());
    }
    f.write_str("data=")?;
    // Digits would lose which NaN it is.
    let inline = data.len() <= MAX_INLINE;
    match data {
        Data::SplatF32 { .. } | Data::Quantized(_) => Ok(()),
        Data::Bool(values) if inline => write!(f, "{}", List(values)),
        Data::Bool(values) => write_hex(f, values.iter().map(|&v| u8::from(v))),
        Data::I64(values) if inline => write!(f, "{}", List(values)),
        Data::I64(values) => write_hex(f, values.iter().flat_map(|v| v.to_le_bytes())),
        Data::F32(values) if inline && !values.iter().any(|v| v.is_nan()) => {
            write!(f, "{}", List(values))
        }
        Data::F32(values) => write_hex(f, values.iter().flat_map(|v| v.to_le_bytes())),
        Data::MappedF32(bytes) => {
            let values: Vec<f32> = (bytes.as_chunks::<4>().0.iter())
                .take(MAX_INLINE)
                .map(|chunk| f32::from_le_bytes(*chunk))
                .collect();
            if inline && !values.iter().any(|v| v.is_nan()) {
                write!(f, "{}", List(&values))
            } else {
                write_hex(f, bytes.iter().copied())
            }
        }
    }
}

fn write_parameters(f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
    match op {
        Op::Dense | Op::Add | Op::Sub | Op::Mul | Op::Max | Op::Min | Op::PRelu | Op::Reshape => {
            Ok(())
        }
        Op::MatMul { scale } => write!(f, " scale={scale:?}"),
        Op::Unary { function } => write!(f, " function={}", List(function.terms())),
        Op::Conv { window, groups } => {
            write_window(f, window)?;
            write!(f, " groups={groups}")
        }
        Op::ConvTranspose { window, output_padding, groups } => {
            write_window(f, window)?;
            write!(f, " output_padding={} groups={groups}", List(output_padding))
        }
        Op::BatchNorm { epsilon } => write!(f, " epsilon={epsilon:?}"),
        Op::Lrn { size, alpha, beta, bias } => {
            write!(f, " size={size} alpha={alpha:?} beta={beta:?} bias={bias:?}")
        }
        Op::Clip { lo, hi } => write!(f, " lo={lo:?} hi={hi:?}"),
        Op::FakeQuantize { to: Encoding { dtype, scale, zero_point } } => {
            write!(f, " dtype={} scale={scale:?} zero_point={zero_point}", dtype.name())
        }
        Op::Interpolate { axes } => {
            let numbers: Vec<usize> = axes.iter().map(|a| a.axis).collect();
            write!(f, " axes={}", List(&numbers))?;
            let counts: Vec<usize> = axes.iter().map(|a| a.places.len()).collect();
            let places: Vec<f32> = axes.iter().flat_map(|a| a.places.iter().copied()).collect();
            write!(f, " counts={} places={}", List(&counts), List(&places))
        }
        Op::MaxPool { window } => write_window(f, window),
        Op::AveragePool { window, count_include_pad } => {
            write_window(f, window)?;
            write!(f, " count_include_pad={count_include_pad}")
        }
        Op::ReduceMean { axes } => write!(f, " axes={}", List(axes)),
        Op::Concat { axis } | Op::Softmax { axis } => write!(f, " axis={axis}"),
        Op::Transpose { perm } => write!(f, " perm={}", List(perm)),
        Op::Gather { indices } => {
            let mut axes = indices.iter().enumerate();
            axes.try_for_each(|(axis, list)| write!(f, " axis{axis}={}", Runs(list)))
        }
        Op::Pad { before, after, value } => {
            write!(f, " before={} after={} value={value:?}", List(before), List(after))
        }
    }
}

impl FromStr for Graph {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Graph, ParseError> {
        let file = parse(text, "graph")?;
        let names = Names::new(&file)?;
        Attributes::new(file.source, file.name.at, &file.attributes)?.finish()?;
        let mut graph = Graph {
            name: file.name.text.clone(),
            outputs: names.ids(&file.outputs)?,
            ..Graph::default()
        };
        for input in &file.inputs {
            graph.inputs.push(names.id(&input.name)?);
            graph.values.push(read_value(&file, input)?);
        }
        for statement in &file.statements {
            let mut value = read_value(&file, &statement.result)?;
            if statement.op == "const" {
                value.constant = Some(read_constant(&file, statement, &value)?);
            } else {
                graph.nodes.push(Node {
                    name: node_name(&file, statement)?,
                    op: read_op(&file, statement)?,
                    inputs: names.ids(&statement.operands)?,
                    output: names.id(&statement.result.name)?,
                });
            }
            graph.values.push(value);
        }
        Ok(graph)
    }
}

/// Name of the node a statement stands for.
pub(super) fn node_name(file: &File<'_>, statement: &Statement<'_>) -> Result<String, ParseError> {
    let missing = || {
        ParseError::new(
            file.source,
            statement.op,
            "the node's name in quotes is missing".to_owned(),
        )
    };
    statement.node_name.as_ref().map(|name| name.text.clone()).ok_or_else(missing)
}

fn read_value(file: &File<'_>, typed: &TypedValue<'_>) -> Result<Value, ParseError> {
    Attributes::new(file.source, typed.name.at, &typed.attributes)?.finish()?;
    let unknown = || {
        let message =
            format!("`{}` is not an element type, expected f32, i64 or bool", typed.dtype);
        ParseError::new(file.source, typed.dtype, message)
    };
    Ok(Value {
        name: typed.name.text.clone(),
        dtype: DType::from_name(typed.dtype).ok_or_else(unknown)?,
        shape: typed
            .extents
            .iter()
            .map(|extent| value(file.source, extent))
            .collect::<Result<_, _>>()?,
        constant: None,
    })
}

fn read_constant(
    file: &File<'_>,
    statement: &Statement<'_>,
    declared: &Value,
) -> Result<Tensor, ParseError> {
    if let Some(operand) = statement.operands.first().or(statement.node_name.as_ref()) {
        let message = "a constant has no name of its own and no operands".to_owned();
        return Err(ParseError::new(file.source, operand.at, message));
    }
    let mut attributes = Attributes::new(file.source, statement.op, &statement.attributes)?;
    let data = if attributes.has("splat") {
        read_splat(file, statement, &mut attributes, declared)?
    } else if attributes.has("integers") {
        read_quantized(file, statement, &mut attributes, declared)?
    } else if attributes.is_list("data") {
        match declared.dtype {
            DType::F32 => Data::F32(attributes.list("data")?),
            DType::I64 => Data::I64(attributes.list("data")?),
            DType::Bool => Data::Bool(attributes.list("data")?),
        }
    } else {
        let bytes = attributes.bytes("data")?;
        let (element_bytes, data) = match declared.dtype {
            DType::F32 => (
                4,
                Data::F32(
                    bytes.as_chunks::<4>().0.iter().map(|c| f32::from_le_bytes(*c)).collect(),
                ),
            ),
            DType::I64 => (
                8,
                Data::I64(
                    bytes.as_chunks::<8>().0.iter().map(|c| i64::from_le_bytes(*c)).collect(),
                ),
            ),
            DType::Bool => (1, Data::Bool(bytes.iter().map(|&byte| byte != 0).collect())),
        };
        if bytes.len() % element_bytes != 0 {
            let message =
                format!("found {} bytes, expected a multiple of {element_bytes}", bytes.len());
            return Err(ParseError::new(file.source, statement.op, message));
        }
        data
    };
    attributes.finish()?;
    let misfit = |error: crate::tensor::TensorError| {
        ParseError::new(file.source, statement.op, error.to_string())
    };
    Tensor::new(declared.shape.clone(), data).map_err(misfit)
}

/// Integers and scales.
fn read_quantized(
    file: &File<'_>,
    statement: &Statement<'_>,
    attributes: &mut Attributes<'_, '_>,
    declared: &Value,
) -> Result<Data, ParseError> {
    let misfit = |message: &str| ParseError::new(file.source, statement.op, message.to_owned());
    if declared.dtype != DType::F32 {
        return Err(misfit("only floats can be given as integers and scales"));
    }
    let (integers, scale) = (attributes.list("integers")?, attributes.list("scale")?);
    let quantized = Quantized::new(integers, scale, attributes.value("inner")?);
    quantized.map(Data::Quantized).ok_or_else(|| misfit("the scales do not fit the integers"))
}

/// One float, in digits or as bytes, that every element of the declared shape is.
fn read_splat(
    file: &File<'_>,
    statement: &Statement<'_>,
    attributes: &mut Attributes<'_, '_>,
    declared: &Value,
) -> Result<Data, ParseError> {
    let misfit = |message: &str| ParseError::new(file.source, statement.op, message.to_owned());
    if declared.dtype != DType::F32 {
        return Err(misfit("only floats can be given as `splat`"));
    }
    let count = element_count(&declared.shape).ok_or_else(|| misfit("the shape is too large"))?;
    let value = match attributes.bytes_if_any("splat")? {
        Some(bytes) => f32::from_le_bytes(
            bytes.try_into().map_err(|_| misfit("`splat` must be a number or four bytes"))?,
        ),
        None => attributes.value("splat")?,
    };
    Ok(Data::SplatF32 { value, count })
}

fn read_op(file: &File<'_>, statement: &Statement<'_>) -> Result<Op, ParseError> {
    let mut a = Attributes::new(file.source, statement.op, &statement.attributes)?;
    let op = match statement.op {
        "conv" => Op::Conv { window: a.window()?, groups: a.value("groups")? },
        "conv_transpose" => Op::ConvTranspose {
            window: a.window()?,
            output_padding: a.array("output_padding")?,
            groups: a.value("groups")?,
        },
        "dense" => Op::Dense,
        "matmul" => Op::MatMul { scale: a.value("scale")? },
        "batch_norm" => Op::BatchNorm { epsilon: a.value("epsilon")? },
        "add" => Op::Add,
        "sub" => Op::Sub,
        "mul" => Op::Mul,
        "max" => Op::Max,
        "min" => Op::Min,
        "unary" => {
            let terms = a.list("function")?;
            let wrong = |error: FunctionError| {
                ParseError::new(file.source, statement.op, error.to_string())
            };
            Op::Unary { function: Function::new(terms).map_err(wrong)? }
        }
        "prelu" => Op::PRelu,
        "lrn" => Op::Lrn {
            size: a.value("size")?,
            alpha: a.value("alpha")?,
            beta: a.value("beta")?,
            bias: a.value("bias")?,
        },
        "clip" => Op::Clip { lo: a.value("lo")?, hi: a.value("hi")? },
        "fake_quantize" => {
            let dtype = a.atom("dtype")?;
            let unknown = || a.error(dtype, format!("`{dtype}` is not a storage type"));
            let dtype = QType::from_name(dtype).ok_or_else(unknown)?;
            let (scale, zero_point) = (a.value("scale")?, a.value("zero_point")?);
            Op::FakeQuantize { to: Encoding { dtype, scale, zero_point } }
        }
        "interpolate" => Op::Interpolate { axes: read_interpolations(file, statement, &mut a)? },
        "max_pool" => Op::MaxPool { window: a.window()? },
        "average_pool" => Op::AveragePool {
            window: a.window()?,
            count_include_pad: a.value("count_include_pad")?,
        },
        "reduce_mean" => Op::ReduceMean { axes: a.list("axes")? },
        "concat" => Op::Concat { axis: a.value("axis")? },
        "reshape" => Op::Reshape,
        "transpose" => Op::Transpose { perm: a.list("perm")? },
        "gather" => {
            let mut indices = Vec::new();
            while a.has(&format!("axis{}", indices.len())) {
                indices.push(a.indices(&format!("axis{}", indices.len()))?);
            }
            Op::Gather { indices }
        }
        "pad" => {
            Op::Pad { before: a.list("before")?, after: a.list("after")?, value: a.value("value")? }
        }
        "softmax" => Op::Softmax { axis: a.value("axis")? },
        other => {
            let message = format!("`{other}` is not an operator of the float graph");
            return Err(ParseError::new(file.source, other, message));
        }
    };
    a.finish()?;
    Ok(op)
}

fn read_interpolations(
    file: &File<'_>,
    statement: &Statement<'_>,
    a: &mut Attributes<'_, '_>,
) -> Result<Vec<Interpolation>, ParseError> {
    let axes: Vec<usize> = a.list("axes")?;
    let counts: Vec<usize> = a.list("counts")?;
    let mut places: Vec<f32> = a.list("places")?;
    let total = counts.iter().try_fold(0usize, |sum, &count| sum.checked_add(count));
    if axes.len() != counts.len() || total != Some(places.len()) {
        let message = format!(
            "found {} axes, {} counts and {} places that do not fit together",
            axes.len(),
            counts.len(),
            places.len()
        );
        return Err(ParseError::new(file.source, statement.op, message));
    }
    let each = axes.into_iter().zip(counts);
    Ok(each.map(|(axis, n)| Interpolation { axis, places: places.drain(..n).collect() }).collect())
}
