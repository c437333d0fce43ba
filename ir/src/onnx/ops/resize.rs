//! Resize and Upsample: where each element of the result lies in the operand.
//!
//! All interpolations start from the same place: the real coordinate, in the operand, of every index of the result.
//! [`resampling`] computes it from scales or sizes and from the coordinate transformation; a mode then decides what it
//! takes from the operand's elements around that coordinate. Coordinates are computed in single precision, in the order
//! of ONNX Runtime: where they meet an integer or a half, rounding decides which element is the nearest.

mod linear;

use super::{Constraint, OpSpec, constant_operand};
use crate::graph::Op;
use crate::indices::Indices;
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold;
use crate::onnx::node::{Imported, NodeCtx, Refusal, resolve_axis};
use crate::tensor::element_count;

/// Resize.
pub(super) const RESIZE: OpSpec = OpSpec {
    name: "Resize",
    versions: &[10, 11, 13, 18, 19],
    attributes: &[
        "antialias",
        "axes",
        "coordinate_transformation_mode",
        "cubic_coeff_a",
        "exclude_outside",
        "extrapolation_value",
        "keep_aspect_ratio_policy",
        "mode",
        "nearest_mode",
    ],
    constraints: &[
        MODE,
        constant_operand::<1>(
            "the scales (up to operator set 10) or the region (from 11 on) are constant",
        ),
        constant_operand::<2>("the scales are constant"),
        constant_operand::<3>("the sizes are constant"),
    ],
    fold: Some(resized_constant),
    import: Some(resized_value),
};

/// Upsample.
pub(super) const UPSAMPLE: OpSpec = OpSpec {
    name: "Upsample",
    versions: &[7, 9],
    attributes: &["mode", "scales"],
    constraints: &[MODE, constant_operand::<1>("the scales are constant")],
    fold: Some(resized_constant),
    import: Some(resized_value),
};

const MODE: Constraint = Constraint {
    text: "the mode is `nearest` or `linear`",
    suggestion: "export with linear interpolation",
    violation: |node| {
        let mode = node.attributes().string("mode")?;
        Ok(mode
            .filter(|mode| !matches!(mode.as_str(), "nearest" | "linear"))
            .map(|mode| format!("`{mode}`")))
    },
};

/// Places in the operand along one axis.
pub(super) struct Axis {
    /// How many times longer the result is.
    pub(super) scale: f32,
    /// Real index in the operand of each index of the result; may lie outside.
    pub(super) coordinates: Vec<f32>,
}

/// What a Resize or Upsample asks for.
pub(super) struct Resampling {
    /// Per axis of the operand; `None` where the axis stays as it is.
    pub(super) axes: Vec<Option<Axis>>,
    /// Value of elements whose coordinate lies outside the operand; `None` where the operand's border goes on.
    pub(super) outside: Option<f32>,
}

/// Reads scales or sizes and works out the coordinates. Formulas: ONNX, Resize, `coordinate_transformation_mode`, with
/// `length_resized` the rounded extent of the result.
pub(super) fn resampling(node: &NodeCtx<'_>) -> Result<Resampling, Refusal> {
    let input = node.shape(0)?;
    let transform = Transform::of(node)?;
    let named = named_axes(node, input.len())?;
    let extents: Vec<usize> = named.iter().map(|&axis| input[axis]).collect();
    let region = region(node, named.len())?;
    let mut axes: Vec<Option<Axis>> = input.iter().map(|_| None).collect();
    for (i, (scale, count)) in factors(node, &extents)?.into_iter().enumerate() {
        let [start, end] = [region[i], region[i + named.len()]];
        // Every transformation but the crop leaves an axis alone that keeps its extent.
        if count == extents[i] && scale == 1.0 && transform != Transform::TfCropAndResize {
            continue;
        }
        node.reserve(count, 8)?;
        let place = Place { scale, original: extents[i], resized: count, start, end };
        let coordinates = (0..count).map(|index| transform.coordinate(index, &place)).collect();
        axes[named[i]] = Some(Axis { scale, coordinates });
    }
    let outside = match transform {
        Transform::TfCropAndResize => {
            Some(node.attributes().float("extrapolation_value")?.unwrap_or(0.0))
        }
        _ => None,
    };
    Ok(Resampling { axes, outside })
}

/// `coordinate_transformation_mode`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transform {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    TfHalfPixelForNn,
    AlignCorners,
    Asymmetric,
    TfCropAndResize,
}

/// What a transformation knows of an axis.
struct Place {
    scale: f32,
    original: usize,
    resized: usize,
    start: f32,
    end: f32,
}

impl Transform {
    fn of(node: &NodeCtx<'_>) -> Result<Transform, NodeError> {
        const NAME: &str = "coordinate_transformation_mode";
        // Older definitions know no other.
        if node.opset < 11 {
            return Ok(Transform::Asymmetric);
        }
        Ok(match node.attributes().string(NAME)?.as_deref() {
            None | Some("half_pixel") => Transform::HalfPixel,
            Some("half_pixel_symmetric") => Transform::HalfPixelSymmetric,
            Some("pytorch_half_pixel") => Transform::PytorchHalfPixel,
            Some("tf_half_pixel_for_nn") => Transform::TfHalfPixelForNn,
            Some("align_corners") => Transform::AlignCorners,
            Some("asymmetric") => Transform::Asymmetric,
            Some("tf_crop_and_resize") => Transform::TfCropAndResize,
            Some(other) => {
                let expected = "one of ONNX's coordinate transformations";
                return Err(NodeError::AttributeValue {
                    attribute: NAME,
                    found: format!("`{other}`"),
                    expected,
                });
            }
        })
    }

    /// Real index in the operand of index `index` of the result.
    fn coordinate(self, index: usize, place: &Place) -> f32 {
        let &Place { scale, original, resized, start, end } = place;
        let (x, last) = (index as f32, original as f32 - 1.0);
        let half_pixel = (x + 0.5) / scale - 0.5;
        match self {
            Transform::HalfPixel => half_pixel,
            Transform::HalfPixelSymmetric => {
                let adjustment = resized as f32 / (scale * original as f32);
                let offset = original as f32 / 2.0 * (1.0 - adjustment);
                offset + (x + 0.5) / scale - 0.5
            }
            Transform::PytorchHalfPixel => {
                if resized > 1 {
                    half_pixel
                } else {
                    0.0
                }
            }
            Transform::TfHalfPixelForNn => (x + 0.5) / scale,
            Transform::AlignCorners => {
                if resized > 1 {
                    x * last / (resized as f32 - 1.0)
                } else {
                    0.0
                }
            }
            Transform::Asymmetric => x / scale,
            Transform::TfCropAndResize => {
                if resized > 1 {
                    start * last + x * (end - start) * last / (resized as f32 - 1.0)
                } else {
                    0.5 * (start + end) * last
                }
            }
        }
    }
}

/// Axes that scales and sizes speak of.
fn named_axes(node: &NodeCtx<'_>, rank: usize) -> Result<Vec<usize>, Refusal> {
    let Some(written) = node.attributes().ints("axes")? else {
        return Ok((0..rank).collect());
    };
    let axes: Vec<usize> =
        written.iter().map(|&axis| resolve_axis(axis, rank)).collect::<Result<_, _>>()?;
    let repeated = (0..axes.len()).any(|i| axes[..i].contains(&axes[i]));
    if repeated {
        return Err(ShapeError::Axes { axes, rank }.into());
    }
    Ok(axes)
}

/// The region of `tf_crop_and_resize`: starts, then ends, as fractions of the operand; all of it where none is given.
fn region(node: &NodeCtx<'_>, axes: usize) -> Result<Vec<f32>, NodeError> {
    let given = node.opset >= 11 && node.constant(1).is_some_and(|tensor| !tensor.data.is_empty());
    if !given {
        return Ok([vec![0.0; axes], vec![1.0; axes]].concat());
    }
    let region = node.floats(1)?;
    if region.len() != 2 * axes || region.iter().any(|bound| !bound.is_finite()) {
        let found = format!("{region:?}");
        let expected = "a finite start and end per axis";
        return Err(NodeError::OperandValue { operand: 1, found, expected });
    }
    Ok(region)
}

/// Scale and extent of the result for operand axes of `extents`.
fn factors(node: &NodeCtx<'_>, extents: &[usize]) -> Result<Vec<(f32, usize)>, NodeError> {
    // An empty tensor stands for an absent one.
    let given = |index| node.constant(index).is_some_and(|tensor| !tensor.data.is_empty());
    if node.opset >= 11 && given(3) {
        if given(2) {
            let found = "given together with sizes".to_owned();
            let expected = "either scales or sizes";
            return Err(NodeError::OperandValue { operand: 2, found, expected });
        }
        return from_sizes(node, extents);
    }
    let (operand, scales) = match node.attributes().floats("scales")? {
        Some(scales) => (0, scales.to_vec()),
        None => {
            let operand = if node.opset < 11 { 1 } else { 2 };
            (operand, node.floats(operand)?)
        }
    };
    if scales.len() != extents.len() || scales.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        let (found, expected) = (format!("{scales:?}"), "a finite scale above 0 per axis");
        return Err(if operand == 0 {
            NodeError::AttributeValue { attribute: "scales", found, expected }
        } else {
            NodeError::OperandValue { operand, found, expected }
        });
    }
    let factor = |(&scale, &extent): (&f32, &usize)| {
        // In single precision, as ONNX's own shape inference multiplies.
        let count = (extent as f32 * scale).floor();
        // Beyond this, neither extents nor coordinates are exact.
        let limit = (1u32 << 24) as f32;
        if count < limit { Ok((scale, count as usize)) } else { Err(ShapeError::TooLarge.into()) }
    };
    scales.iter().zip(extents).map(factor).collect()
}

fn from_sizes(node: &NodeCtx<'_>, extents: &[usize]) -> Result<Vec<(f32, usize)>, NodeError> {
    let sizes = node.integers(3)?.unwrap_or_default();
    let wanted: Option<Vec<usize>> =
        sizes.iter().map(|&size| usize::try_from(size).ok().filter(|&n| n > 0)).collect();
    let Some(wanted) = wanted.filter(|wanted| wanted.len() == extents.len()) else {
        let (found, expected) = (format!("{sizes:?}"), "a size of at least 1 per axis");
        return Err(NodeError::OperandValue { operand: 3, found, expected });
    };
    let scales = wanted.iter().zip(extents).map(|(&size, &extent)| size as f32 / extent as f32);
    const POLICY: &str = "keep_aspect_ratio_policy";
    let common = match node.attributes().string(POLICY)?.as_deref() {
        None | Some("stretch") => return Ok(scales.zip(wanted.iter().copied()).collect()),
        Some("not_larger") => scales.fold(f32::INFINITY, f32::min),
        Some("not_smaller") => scales.fold(0.0, f32::max),
        Some(other) => {
            let (found, expected) = (format!("`{other}`"), "stretch, not_larger or not_smaller");
            return Err(NodeError::AttributeValue { attribute: POLICY, found, expected });
        }
    };
    // Halves go up.
    Ok(extents.iter().map(|&n| (common, (common * n as f32 + 0.5).floor() as usize)).collect())
}

/// How a coordinate becomes an index.
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

impl Rounding {
    fn of(node: &NodeCtx<'_>, axis: &Axis) -> Result<Rounding, NodeError> {
        // Before the attribute existed, runtimes rounded down where the result is larger and up where it is smaller.
        if node.opset < 11 {
            return Ok(if axis.scale < 1.0 { Rounding::Ceil } else { Rounding::Floor });
        }
        Ok(match node.attributes().string("nearest_mode")?.as_deref() {
            None | Some("round_prefer_floor") => Rounding::PreferFloor,
            Some("round_prefer_ceil") => Rounding::PreferCeil,
            Some("floor") => Rounding::Floor,
            Some("ceil") => Rounding::Ceil,
            Some(other) => {
                return Err(NodeError::AttributeValue {
                    attribute: "nearest_mode",
                    found: format!("`{other}`"),
                    expected: "round_prefer_floor, round_prefer_ceil, floor or ceil",
                });
            }
        })
    }

    /// The index of an axis of `extent` elements.
    fn index(&self, coordinate: f32, extent: usize) -> usize {
        // Wider, so that half a unit more or less is exact.
        let coordinate = f64::from(coordinate);
        let rounded = match self {
            Rounding::PreferFloor => (coordinate - 0.5).ceil(),
            Rounding::PreferCeil => (coordinate + 0.5).floor(),
            Rounding::Floor => coordinate.floor(),
            Rounding::Ceil => coordinate.ceil(),
        };
        // A negative one becomes 0.
        (rounded as usize).min(extent - 1)
    }
}

/// What nearest interpolation takes.
struct Nearest {
    /// Indices of the operand, per axis, for the elements inside.
    indices: Vec<Indices>,
    /// Elements in front that lie outside the operand, per axis.
    before: Vec<usize>,
    /// Elements behind that lie outside the operand, per axis.
    after: Vec<usize>,
}

fn nearest(node: &NodeCtx<'_>, resampling: &Resampling) -> Result<Nearest, Refusal> {
    let input = node.shape(0)?;
    let mut nearest = Nearest {
        indices: input.iter().map(|&extent| Indices::all(extent)).collect(),
        before: vec![0; input.len()],
        after: vec![0; input.len()],
    };
    for (i, axis) in resampling.axes.iter().enumerate() {
        let Some(axis) = axis else { continue };
        let rounding = Rounding::of(node, axis)?;
        let last = input[i] as f32 - 1.0;
        let inside = |x: &f32| resampling.outside.is_none() || (0.0..=last).contains(x);
        // Coordinates are monotonic, so those inside are neighbours.
        let places = &axis.coordinates;
        nearest.before[i] = places.iter().take_while(|x| !inside(x)).count();
        let taken = places.iter().filter(|x| inside(x));
        nearest.indices[i] = taken.map(|&x| rounding.index(x, input[i])).collect();
        nearest.after[i] = places.len() - nearest.before[i] - nearest.indices[i].len();
    }
    Ok(nearest)
}

fn is_linear(node: &NodeCtx<'_>) -> Result<bool, Refusal> {
    Ok(node.attributes().string("mode")?.is_some_and(|mode| mode == "linear"))
}

fn resized_value(node: &mut NodeCtx<'_>) -> Imported {
    if is_linear(node)? { linear::linear_value(node) } else { nearest_value(node) }
}

/// Constants that are interpolated become values of the graph.
fn resized_constant(node: &mut NodeCtx<'_>) -> Imported {
    if is_linear(node)? { linear::linear_value(node) } else { nearest_constant(node) }
}

fn nearest_constant(node: &mut NodeCtx<'_>) -> Imported {
    let Nearest { indices, before, after } = nearest(node, &resampling(node)?)?;
    if before.iter().chain(&after).any(|&amount| amount > 0) {
        return Err(Refusal::Unsupported {
            reason: "it extrapolates a constant".to_owned(),
            suggestion: "simplify the model before export, for example with onnxsim".to_owned(),
        });
    }
    let shape: Vec<usize> = indices.iter().map(Indices::len).collect();
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let resized = fold::gather(node.required_constant(0)?, &indices);
    node.set_constant(resized)
}

fn nearest_value(node: &mut NodeCtx<'_>) -> Imported {
    let resampling = resampling(node)?;
    let Nearest { indices, before, after } = nearest(node, &resampling)?;
    let input = node.operand(0)?;
    let inside = Op::Gather { indices };
    match resampling.outside {
        Some(value) if before.iter().chain(&after).any(|&amount| amount > 0) => {
            let inside = node.intermediate("inside", inside, vec![input], None)?;
            node.emit(Op::Pad { before, after, value }, vec![inside])
        }
        Some(_) | None => node.emit(inside, vec![input]),
    }
}
