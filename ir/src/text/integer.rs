//! Text form of the integer graph.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use isa::numerics::Requant;

use super::attributes::{Attributes, Names, value};
use super::error::ParseError;
use super::float::node_name;
use super::syntax::{File, Statement, TypedValue, parse};
use super::write::{List, Quoted, Runs, ValueName, write_hex, write_names, write_window};
use crate::graph::ValueId;
use crate::qgraph::{Bounds, Hwc, Point, QGraph, QNode, QOp, QType, QValue, QWeights, View};

impl Display for QGraph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = |id: &ValueId| self.value(*id).map_or("", |value| value.name.as_str());
        write!(f, "qgraph {} rounding={} (", Quoted(&self.name), self.rounding.name())?;
        for (index, input) in self.inputs.iter().filter_map(|&id| self.value(id)).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", Typed(input))?;
        }
        f.write_str(") -> ")?;
        write_names(f, self.outputs.iter().map(name))?;
        f.write_str(" {\n")?;
        for node in &self.nodes {
            let Some(result) = self.value(node.output) else {
                continue;
            };
            write!(f, "  {} = {} {}", Typed(result), node.op.name(), Quoted(&node.name))?;
            write_names(f, node.inputs.iter().map(name))?;
            write!(f, " onnx={}", Quoted(&node.onnx_op))?;
            write_parameters(f, &node.op)?;
            f.write_str("\n")?;
        }
        f.write_str("}\n")
    }
}

/// `%name: type[h, w, c] scale=.. zero_point=..`, and the view where there is one.
struct Typed<'a>(&'a QValue);

impl Display for Typed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let QValue { name, shape, dtype, scale, zero_point, view } = self.0;
        write!(
            f,
            "{}: {}{shape} scale={scale:?} zero_point={zero_point}",
            ValueName(name),
            dtype.name()
        )?;
        if *view != View::default() {
            write!(f, " onnx_shape={} perm={}", List(&view.onnx_shape), List(&view.perm))?;
        }
        Ok(())
    }
}

fn write_parameters(f: &mut Formatter<'_>, op: &QOp) -> fmt::Result {
    match op {
        QOp::Conv { weights, bias, requant, window, groups, bounds } => {
            write_window(f, window)?;
            let QWeights { oc, kernel: _, ic, bits, data } = weights;
            write!(f, " groups={groups} oc={oc} ic={ic} bits={bits} weights=")?;
            write_hex(f, data.iter().map(|w| w.cast_unsigned()))?;
            write!(f, " bias={}", List(bias))?;
            write_requants(f, requant)?;
            write_bounds(f, bounds)
        }
        QOp::Add { ma, mb, shift, bounds }
        | QOp::Max { ma, mb, shift, bounds }
        | QOp::Min { ma, mb, shift, bounds } => {
            write!(f, " ma={ma} mb={mb} shift={shift}")?;
            write_bounds(f, bounds)
        }
        QOp::MatMul { requant, bounds } | QOp::Mul { requant, bounds } => {
            write!(f, " multiplier={} shift={}", requant.multiplier, requant.shift)?;
            write_bounds(f, bounds)
        }
        QOp::Rescale { m, shift, bounds } => {
            write!(f, " m={m} shift={shift}")?;
            write_bounds(f, bounds)
        }
        QOp::Interpolate { axis, points, shift, bounds } => {
            let index: Vec<usize> = points.iter().map(|point| point.index).collect();
            let weight: Vec<u8> = points.iter().map(|point| point.weight).collect();
            write!(
                f,
                " axis={axis} index={} weight={} shift={shift}",
                List(&index),
                List(&weight)
            )?;
            write_bounds(f, bounds)
        }
        QOp::MaxPool { window } => write_window(f, window),
        QOp::AveragePool { window, requant, bounds } => {
            write_window(f, window)?;
            write_requants(f, requant)?;
            write_bounds(f, bounds)
        }
        QOp::Lut8 { table } => write!(f, " table={}", List(table)),
        QOp::Lut16 { nodes } => write!(f, " nodes={}", List(nodes)),
        QOp::PRelu { requant, negative, bounds } => {
            write_requants(f, requant)?;
            write!(f, " negative={}", List(negative))?;
            write_bounds(f, bounds)
        }
        QOp::Softmax { exp } => write!(f, " exp={}", List(exp)),
        QOp::Concat { axis } => write!(f, " axis={axis}"),
        QOp::Pad { before, after, value } => {
            write!(f, " before={} after={} value={value}", List(before), List(after))
        }
        QOp::Gather { indices: [h, w, c] } => {
            write!(f, " h={} w={} c={}", Runs(h), Runs(w), Runs(c))
        }
        QOp::Reorder { dims, perm } => write!(f, " dims={} perm={}", List(dims), List(perm)),
    }
}

fn write_requants(f: &mut Formatter<'_>, requants: &[Requant]) -> fmt::Result {
    let multipliers: Vec<u32> = requants.iter().map(|requant| requant.multiplier).collect();
    let shifts: Vec<u8> = requants.iter().map(|requant| requant.shift).collect();
    write!(f, " multipliers={} shifts={}", List(&multipliers), List(&shifts))
}

fn write_bounds(f: &mut Formatter<'_>, bounds: &Bounds) -> fmt::Result {
    write!(f, " lo={} hi={}", bounds.lo, bounds.hi)
}

impl FromStr for QGraph {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<QGraph, ParseError> {
        let file = parse(text, "qgraph")?;
        let names = Names::new(&file)?;
        let mut attributes = Attributes::new(file.source, file.name.at, &file.attributes)?;
        let rounding = attributes.value("rounding")?;
        attributes.finish()?;
        let mut graph = QGraph {
            name: file.name.text.clone(),
            outputs: names.ids(&file.outputs)?,
            rounding,
            ..QGraph::default()
        };
        for input in &file.inputs {
            graph.inputs.push(names.id(&input.name)?);
            graph.values.push(read_value(&file, input)?);
        }
        for statement in &file.statements {
            graph.values.push(read_value(&file, &statement.result)?);
            let (op, onnx_op) = read_op(&file, statement)?;
            graph.nodes.push(QNode {
                name: node_name(&file, statement)?,
                onnx_op,
                op,
                inputs: names.ids(&statement.operands)?,
                output: names.id(&statement.result.name)?,
            });
        }
        Ok(graph)
    }
}

fn read_value(file: &File<'_>, typed: &TypedValue<'_>) -> Result<QValue, ParseError> {
    let mut attributes = Attributes::new(file.source, typed.name.at, &typed.attributes)?;
    let dtype = QType::from_name(typed.dtype).ok_or_else(|| {
        attributes.error(
            typed.dtype,
            format!("`{}` is not an element type, expected i8 or i16", typed.dtype),
        )
    })?;
    let &[h, w, c] = typed.extents.as_slice() else {
        let message = format!("found {} extents, expected [h, w, c]", typed.extents.len());
        return Err(attributes.error(typed.dtype, message));
    };
    let extent = |atom| value(file.source, atom);
    let shape = Hwc { h: extent(h)?, w: extent(w)?, c: extent(c)? };
    let (scale, zero_point) = (attributes.value("scale")?, attributes.value("zero_point")?);
    let view = if attributes.has("onnx_shape") || attributes.has("perm") {
        View { onnx_shape: attributes.list("onnx_shape")?, perm: attributes.list("perm")? }
    } else {
        View::default()
    };
    attributes.finish()?;
    Ok(QValue { name: typed.name.text.clone(), shape, dtype, scale, zero_point, view })
}

/// The operator, and the name of the ONNX operator it came from.
fn read_op(file: &File<'_>, statement: &Statement<'_>) -> Result<(QOp, String), ParseError> {
    let mut a = Attributes::new(file.source, statement.op, &statement.attributes)?;
    let onnx_op = a.text("onnx")?;
    let op = match statement.op {
        "conv" => {
            let (window, requant) = (a.window()?, read_requants(&mut a, statement)?);
            let weights = QWeights {
                oc: a.value("oc")?,
                kernel: window.kernel,
                ic: a.value("ic")?,
                bits: a.value("bits")?,
                data: a.bytes("weights")?.into_iter().map(u8::cast_signed).collect(),
            };
            let (bias, groups) = (a.list("bias")?, a.value("groups")?);
            QOp::Conv { weights, bias, requant, window, groups, bounds: read_bounds(&mut a)? }
        }
        name @ ("add" | "max" | "min") => {
            let (ma, mb, shift) = (a.value("ma")?, a.value("mb")?, a.value("shift")?);
            let bounds = read_bounds(&mut a)?;
            match name {
                "add" => QOp::Add { ma, mb, shift, bounds },
                "max" => QOp::Max { ma, mb, shift, bounds },
                _ => QOp::Min { ma, mb, shift, bounds },
            }
        }
        name @ ("matmul" | "mul") => {
            let requant = Requant { multiplier: a.value("multiplier")?, shift: a.value("shift")? };
            let bounds = read_bounds(&mut a)?;
            match name {
                "matmul" => QOp::MatMul { requant, bounds },
                _ => QOp::Mul { requant, bounds },
            }
        }
        "rescale" => QOp::Rescale {
            m: a.value("m")?,
            shift: a.value("shift")?,
            bounds: read_bounds(&mut a)?,
        },
        "interpolate" => {
            let index: Vec<usize> = a.list("index")?;
            let weight: Vec<u8> = a.list("weight")?;
            if index.len() != weight.len() {
                let message = format!("found {} indices and {} weights", index.len(), weight.len());
                return Err(ParseError::new(file.source, statement.op, message));
            }
            let point = |(index, weight)| Point { index, weight };
            QOp::Interpolate {
                axis: a.value("axis")?,
                points: index.into_iter().zip(weight).map(point).collect(),
                shift: a.value("shift")?,
                bounds: read_bounds(&mut a)?,
            }
        }
        "max_pool" => QOp::MaxPool { window: a.window()? },
        "average_pool" => QOp::AveragePool {
            window: a.window()?,
            requant: read_requants(&mut a, statement)?,
            bounds: read_bounds(&mut a)?,
        },
        "lut8" => QOp::Lut8 { table: a.list("table")? },
        "lut16" => QOp::Lut16 { nodes: a.list("nodes")? },
        "prelu" => QOp::PRelu {
            requant: read_requants(&mut a, statement)?,
            negative: a.list("negative")?,
            bounds: read_bounds(&mut a)?,
        },
        "softmax" => QOp::Softmax { exp: a.list("exp")? },
        "concat" => QOp::Concat { axis: a.value("axis")? },
        "pad" => QOp::Pad {
            before: a.array("before")?,
            after: a.array("after")?,
            value: a.value("value")?,
        },
        "gather" => QOp::Gather { indices: [a.indices("h")?, a.indices("w")?, a.indices("c")?] },
        "reorder" => QOp::Reorder { dims: a.list("dims")?, perm: a.list("perm")? },
        other => {
            let message = format!("`{other}` is not an operator of the integer graph");
            return Err(ParseError::new(file.source, other, message));
        }
    };
    a.finish()?;
    Ok((op, onnx_op))
}

fn read_requants(
    a: &mut Attributes<'_, '_>,
    statement: &Statement<'_>,
) -> Result<Vec<Requant>, ParseError> {
    let (multipliers, shifts): (Vec<u32>, Vec<u8>) = (a.list("multipliers")?, a.list("shifts")?);
    if multipliers.len() != shifts.len() {
        let message =
            format!("found {} multipliers and {} shifts", multipliers.len(), shifts.len());
        return Err(a.error(statement.op, message));
    }
    Ok(multipliers
        .into_iter()
        .zip(shifts)
        .map(|(multiplier, shift)| Requant { multiplier, shift })
        .collect())
}

fn read_bounds(a: &mut Attributes<'_, '_>) -> Result<Bounds, ParseError> {
    Ok(Bounds { lo: a.value("lo")?, hi: a.value("hi")? })
}
