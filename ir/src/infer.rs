//! Output shape of every float operator: the one place that knows them.
//!
//! The importer asks for the shape of what it builds, and [`crate::verify`] asks whether a finished graph keeps the
//! rules. All arithmetic is checked, because extents come from files.

use thiserror::Error;

use crate::graph::{Interpolation, Op, Window};
use crate::indices::Indices;
use crate::tensor::element_count;

/// Shapes an operator may have as its result, given its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// This one.
    Exact(Vec<usize>),
    /// A pool's size rounded down, or rounded up (ceil mode).
    FloorOrCeil {
        /// Only whole windows.
        floor: Vec<usize>,
        /// The last window may overrun the padding, but must start before its end.
        ceil: Vec<usize>,
    },
    /// Any shape of this many elements.
    Elements(usize),
}

impl Rule {
    /// Whether `shape` keeps the rule.
    #[must_use]
    pub fn admits(&self, shape: &[usize]) -> bool {
        match self {
            Rule::Exact(exact) => exact == shape,
            Rule::FloorOrCeil { floor, ceil } => floor == shape || ceil == shape,
            Rule::Elements(count) => element_count(shape) == Some(*count),
        }
    }
}

/// Why operands do not suit an operator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// Too few or too many operands.
    #[error("found {found} operands, expected {least} to {most}")]
    Operands {
        /// Operands given.
        found: usize,
        /// Fewest allowed.
        least: usize,
        /// Most allowed.
        most: usize,
    },
    /// An operand has the wrong number of axes.
    #[error("operand {operand} has shape {shape:?}, expected {expected} axes")]
    Rank {
        /// Position of the operand.
        operand: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// Axes expected.
        expected: usize,
    },
    /// An operand has too few axes.
    #[error("operand {operand} has shape {shape:?}, expected at least {least} axes")]
    RankTooSmall {
        /// Position of the operand.
        operand: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// Fewest axes.
        least: usize,
    },
    /// An operand has another shape than the others demand.
    #[error("operand {operand} has shape {shape:?}, expected {expected:?}")]
    Operand {
        /// Position of the operand.
        operand: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// Shape demanded.
        expected: Vec<usize>,
    },
    /// Two shapes that NumPy broadcasting cannot join.
    #[error("shapes {a:?} and {b:?} do not broadcast")]
    Broadcast {
        /// First shape.
        a: Vec<usize>,
        /// Second shape.
        b: Vec<usize>,
    },
    /// Groups do not divide the channels.
    #[error("{groups} groups do not divide {inputs} input and {outputs} output channels")]
    Groups {
        /// Channel groups.
        groups: usize,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// A window does not fit.
    #[error(
        "a kernel of {kernel} with dilation {dilation} and stride {stride} does not fit {extent} elements padded by {before} and {after}"
    )]
    Window {
        /// Taps.
        kernel: usize,
        /// Distance between taps.
        dilation: usize,
        /// Distance between windows.
        stride: usize,
        /// Input elements.
        extent: usize,
        /// Padding in front.
        before: usize,
        /// Padding behind.
        after: usize,
    },
    /// A pool would have windows that lie wholly in padding.
    #[error(
        "a pool with kernel {kernel}, dilation {dilation} and padding {before} and {after} over {extent} elements has windows without any input"
    )]
    EmptyWindow {
        /// Taps.
        kernel: usize,
        /// Distance between taps.
        dilation: usize,
        /// Input elements.
        extent: usize,
        /// Padding in front.
        before: usize,
        /// Padding behind.
        after: usize,
    },
    /// An axis that the operand does not have, or a repeated one.
    #[error("axes {axes:?} are not distinct, ascending axes of a tensor with {rank} axes")]
    Axes {
        /// Axes named.
        axes: Vec<usize>,
        /// Axes there are.
        rank: usize,
    },
    /// Not a permutation of the operand's axes.
    #[error("{perm:?} is not a permutation of {rank} axes")]
    Permutation {
        /// What was given.
        perm: Vec<usize>,
        /// Axes there are.
        rank: usize,
    },
    /// Padding amounts for another number of axes.
    #[error("found padding for {found} axes, expected {expected}")]
    PadAxes {
        /// Amounts given.
        found: usize,
        /// Axes of the operand.
        expected: usize,
    },
    /// Index lists for another number of axes.
    #[error("found index lists for {found} axes, expected {expected}")]
    IndexAxes {
        /// Lists given.
        found: usize,
        /// Axes of the operand.
        expected: usize,
    },
    /// Indices that the operand does not have, or none at all.
    #[error("the elements taken along axis {axis} are none, or outside its {extent} elements")]
    Indices {
        /// The axis.
        axis: usize,
        /// Its extent.
        extent: usize,
    },
    /// Places between elements that the operand does not have, or none at all.
    #[error("the places along axis {axis} are none, or outside its {extent} elements")]
    Places {
        /// The axis.
        axis: usize,
        /// Its extent.
        extent: usize,
    },
    /// The result is not addressable.
    #[error("the result is larger than the address space")]
    TooLarge,
}

/// What the shape of `op`'s result may be, for operands of the given shapes.
///
/// # Errors
/// When the operands do not suit the operator.
pub fn infer(op: &Op, inputs: &[&[usize]]) -> Result<Rule, ShapeError> {
    let (least, most) = op.operands();
    if inputs.len() < least || most < inputs.len() {
        return Err(ShapeError::Operands { found: inputs.len(), least, most });
    }
    let rule = match op {
        Op::Conv { window, groups } => Rule::Exact(conv(window, *groups, inputs)?),
        Op::ConvTranspose { window, output_padding, groups } => {
            Rule::Exact(conv_transpose(window, *output_padding, *groups, inputs)?)
        }
        Op::Dense => Rule::Exact(dense(inputs)?),
        Op::MatMul { .. } => Rule::Exact(matmul(inputs[0], inputs[1])?),
        Op::BatchNorm { .. } => Rule::Exact(batch_norm(inputs)?),
        Op::Add | Op::Sub | Op::Mul | Op::Max | Op::Min => {
            Rule::Exact(broadcast(inputs[0], inputs[1])?)
        }
        Op::PRelu => {
            if broadcast(inputs[0], inputs[1])? != inputs[0] {
                let (shape, expected) = (inputs[1].to_vec(), inputs[0].to_vec());
                return Err(ShapeError::Operand { operand: 1, shape, expected });
            }
            Rule::Exact(inputs[0].to_vec())
        }
        Op::Unary { .. } | Op::Clip { .. } | Op::FakeQuantize { .. } => {
            Rule::Exact(inputs[0].to_vec())
        }
        Op::Lrn { .. } => {
            rank_is(inputs, 0, 4)?;
            Rule::Exact(inputs[0].to_vec())
        }
        Op::Interpolate { axes } => Rule::Exact(interpolate(axes, inputs[0])?),
        Op::MaxPool { window } | Op::AveragePool { window, .. } => pool(window, inputs[0])?,
        Op::ReduceMean { axes } => Rule::Exact(reduce(axes, inputs[0])?),
        Op::Concat { axis } => Rule::Exact(concat(*axis, inputs)?),
        Op::Reshape => Rule::Elements(element_count(inputs[0]).ok_or(ShapeError::TooLarge)?),
        Op::Transpose { perm } => Rule::Exact(transpose(perm, inputs[0])?),
        Op::Pad { before, after, .. } => Rule::Exact(pad(before, after, inputs[0])?),
        Op::Gather { indices } => Rule::Exact(gather(indices, inputs[0])?),
        Op::Softmax { axis } => {
            check_axes(&[*axis], inputs[0].len())?;
            Rule::Exact(inputs[0].to_vec())
        }
    };
    let addressable = match &rule {
        Rule::Exact(shape) => element_count(shape).is_some(),
        Rule::FloorOrCeil { ceil, .. } => element_count(ceil).is_some(),
        Rule::Elements(_) => true,
    };
    if addressable { Ok(rule) } else { Err(ShapeError::TooLarge) }
}

/// Shape of an elementwise result under ONNX (NumPy) broadcasting: shapes are aligned at their last axis, and an
/// extent of 1 repeats.
///
/// # Errors
/// When two aligned extents differ and neither is 1.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let rank = a.len().max(b.len());
    // Extent at `axis` of the result, counting missing leading axes as 1.
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |i| shape[i])
    };
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(ShapeError::Broadcast { a: a.to_vec(), b: b.to_vec() }),
        })
        .collect()
}

/// Whether `perm` names each of `rank` axes once.
#[must_use]
pub fn is_permutation(perm: &[usize], rank: usize) -> bool {
    let mut seen = vec![false; rank];
    perm.len() == rank
        && perm
            .iter()
            .all(|&axis| seen.get_mut(axis).is_some_and(|slot| !std::mem::replace(slot, true)))
}

/// Output extents `[h, w]` of a window over `[h, w]` inputs; `ceil` lets the last window overrun the padding.
///
/// # Errors
/// When the window does not fit.
pub fn window_extents(
    window: &Window,
    extents: [usize; 2],
    ceil: bool,
) -> Result<[usize; 2], ShapeError> {
    let along = |axis: usize| {
        window.outputs(axis, extents[axis], ceil).ok_or(ShapeError::Window {
            kernel: window.kernel[axis],
            dilation: window.dilation[axis],
            stride: window.stride[axis],
            extent: extents[axis],
            before: window.pad[axis],
            after: window.pad[axis + 2],
        })
    };
    Ok([along(0)?, along(1)?])
}

/// Output extents `[h, w]` of a window transposed over `[h, w]` inputs, with `more` rows and columns behind.
///
/// # Errors
/// When the padding leaves nothing.
pub fn transposed_extents(
    window: &Window,
    extents: [usize; 2],
    more: [usize; 2],
) -> Result<[usize; 2], ShapeError> {
    let along = |axis: usize| {
        window.transposed_outputs(axis, extents[axis], more[axis]).ok_or(ShapeError::Window {
            kernel: window.kernel[axis],
            dilation: window.dilation[axis],
            stride: window.stride[axis],
            extent: extents[axis],
            before: window.pad[axis],
            after: window.pad[axis + 2],
        })
    };
    Ok([along(0)?, along(1)?])
}

/// Refuses pools with a window that sees only padding, whose maximum or mean would mean nothing.
///
/// # Errors
/// When the padding reaches a whole dilated kernel, or the taps can step over the input.
pub fn check_pool_window(window: &Window, extents: [usize; 2]) -> Result<(), ShapeError> {
    for axis in [0, 1] {
        let (kernel, dilation) = (window.kernel[axis], window.dilation[axis]);
        let (before, after) = (window.pad[axis], window.pad[axis + 2]);
        let extent = extents[axis];
        let reach = window.reach(axis).ok_or(ShapeError::TooLarge)?;
        let steps_over = kernel > 1 && dilation > extent;
        if before >= reach || after >= reach || steps_over {
            return Err(ShapeError::EmptyWindow { kernel, dilation, extent, before, after });
        }
    }
    Ok(())
}

fn rank_is(inputs: &[&[usize]], operand: usize, expected: usize) -> Result<(), ShapeError> {
    let shape = inputs[operand];
    if shape.len() == expected {
        return Ok(());
    }
    Err(ShapeError::Rank { operand, shape: shape.to_vec(), expected })
}

fn shape_is(inputs: &[&[usize]], operand: usize, expected: &[usize]) -> Result<(), ShapeError> {
    let shape = inputs[operand];
    if shape == expected {
        return Ok(());
    }
    Err(ShapeError::Operand { operand, shape: shape.to_vec(), expected: expected.to_vec() })
}

fn check_axes(axes: &[usize], rank: usize) -> Result<(), ShapeError> {
    let ascending = axes.windows(2).all(|pair| pair[0] < pair[1]);
    if ascending && axes.iter().all(|&axis| axis < rank) {
        return Ok(());
    }
    Err(ShapeError::Axes { axes: axes.to_vec(), rank })
}

fn conv(window: &Window, groups: usize, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let outputs = kernel_outputs(window, groups, inputs)?;
    let [h, w] = window_extents(window, [inputs[0][2], inputs[0][3]], false)?;
    Ok(vec![inputs[0][0], outputs, h, w])
}

fn conv_transpose(
    window: &Window,
    output_padding: [usize; 2],
    groups: usize,
    inputs: &[&[usize]],
) -> Result<Vec<usize>, ShapeError> {
    let outputs = kernel_outputs(window, groups, inputs)?;
    let [h, w] = transposed_extents(window, [inputs[0][2], inputs[0][3]], output_padding)?;
    Ok(vec![inputs[0][0], outputs, h, w])
}

/// Output channels of a convolution whose operands suit its window and groups.
fn kernel_outputs(
    window: &Window,
    groups: usize,
    inputs: &[&[usize]],
) -> Result<usize, ShapeError> {
    rank_is(inputs, 0, 4)?;
    rank_is(inputs, 1, 4)?;
    let (channels, outputs) = (inputs[0][1], inputs[1][0]);
    if groups == 0 || channels % groups != 0 || outputs % groups != 0 {
        return Err(ShapeError::Groups { groups, inputs: channels, outputs });
    }
    let [kh, kw] = window.kernel;
    shape_is(inputs, 1, &[outputs, channels / groups, kh, kw])?;
    if inputs.len() == 3 {
        shape_is(inputs, 2, &[outputs])?;
    }
    Ok(outputs)
}

fn dense(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    rank_is(inputs, 1, 2)?;
    let (m, k) = (inputs[1][0], inputs[1][1]);
    let Some((&last, leading)) = inputs[0].split_last() else {
        return Err(ShapeError::RankTooSmall { operand: 0, shape: Vec::new(), least: 1 });
    };
    if last != k {
        return Err(ShapeError::Operand { operand: 1, shape: vec![m, k], expected: vec![m, last] });
    }
    if inputs.len() == 3 {
        shape_is(inputs, 2, &[m])?;
    }
    Ok(leading.iter().copied().chain([m]).collect())
}

fn matmul(a: &[usize], b: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let [batch @ .., rows, inner] = a else {
        return Err(ShapeError::RankTooSmall { operand: 0, shape: a.to_vec(), least: 2 });
    };
    rank_is(&[a, b], 1, a.len())?;
    let columns = b[b.len() - 1];
    shape_is(&[a, b], 1, &[batch, &[*inner, columns]].concat())?;
    Ok([batch, &[*rows, columns]].concat())
}

fn batch_norm(inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let Some(&channels) = inputs[0].get(1) else {
        return Err(ShapeError::RankTooSmall { operand: 0, shape: inputs[0].to_vec(), least: 2 });
    };
    for operand in 1..5 {
        shape_is(inputs, operand, &[channels])?;
    }
    Ok(inputs[0].to_vec())
}

fn interpolate(axes: &[Interpolation], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    check_axes(&axes.iter().map(|a| a.axis).collect::<Vec<_>>(), input.len())?;
    let mut shape = input.to_vec();
    for Interpolation { axis, places } in axes {
        let extent = input[*axis];
        let inside = extent.checked_sub(1).map(|last| 0.0..=last as f32);
        let is_inside = |place: &f32| inside.as_ref().is_some_and(|inside| inside.contains(place));
        if places.is_empty() || !places.iter().all(is_inside) {
            return Err(ShapeError::Places { axis: *axis, extent });
        }
        shape[*axis] = places.len();
    }
    Ok(shape)
}

fn pool(window: &Window, input: &[usize]) -> Result<Rule, ShapeError> {
    rank_is(&[input], 0, 4)?;
    let extents = [input[2], input[3]];
    check_pool_window(window, extents)?;
    let shape =
        |ceil| window_extents(window, extents, ceil).map(|[h, w]| vec![input[0], input[1], h, w]);
    Ok(Rule::FloorOrCeil { floor: shape(false)?, ceil: shape(true)? })
}

fn reduce(axes: &[usize], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    check_axes(axes, input.len())?;
    Ok((0..input.len()).map(|axis| if axes.contains(&axis) { 1 } else { input[axis] }).collect())
}

fn concat(axis: usize, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    check_axes(&[axis], inputs[0].len())?;
    let mut shape = inputs[0].to_vec();
    for (operand, input) in inputs.iter().enumerate().skip(1) {
        let agrees = input.len() == shape.len()
            && (0..shape.len()).all(|i| i == axis || input[i] == shape[i]);
        if !agrees {
            let expected = inputs[0].to_vec();
            return Err(ShapeError::Operand { operand, shape: input.to_vec(), expected });
        }
        shape[axis] = shape[axis].checked_add(input[axis]).ok_or(ShapeError::TooLarge)?;
    }
    Ok(shape)
}

fn transpose(perm: &[usize], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    if !is_permutation(perm, input.len()) {
        return Err(ShapeError::Permutation { perm: perm.to_vec(), rank: input.len() });
    }
    Ok(perm.iter().map(|&axis| input[axis]).collect())
}

fn pad(before: &[usize], after: &[usize], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    for amounts in [before, after] {
        if amounts.len() != input.len() {
            return Err(ShapeError::PadAxes { found: amounts.len(), expected: input.len() });
        }
    }
    (input.iter().zip(before).zip(after))
        .map(|((extent, b), a)| extent.checked_add(*b)?.checked_add(*a))
        .collect::<Option<_>>()
        .ok_or(ShapeError::TooLarge)
}

fn gather(indices: &[Indices], input: &[usize]) -> Result<Vec<usize>, ShapeError> {
    if indices.len() != input.len() {
        return Err(ShapeError::IndexAxes { found: indices.len(), expected: input.len() });
    }
    for (axis, (list, &extent)) in indices.iter().zip(input).enumerate() {
        if list.max().is_none_or(|max| max >= extent) {
            return Err(ShapeError::Indices { axis, extent });
        }
    }
    Ok(indices.iter().map(Indices::len).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: [usize; 2], stride: [usize; 2], pad: [usize; 4]) -> Window {
        Window { kernel, stride, dilation: [1, 1], pad }
    }

    #[test]
    fn conv_follows_stride_dilation_and_uneven_padding() {
        let w = Window { dilation: [2, 1], ..window([3, 2], [2, 3], [1, 0, 2, 1]) };
        let op = Op::Conv { window: w, groups: 2 };
        let rule = infer(&op, &[&[1, 4, 9, 7], &[6, 2, 3, 2], &[6]]).unwrap();
        // h: (9+1+2-5)/2+1 = 4, w: (7+0+1-2)/3+1 = 3.
        assert_eq!(rule, Rule::Exact(vec![1, 6, 4, 3]));
        assert!(matches!(
            infer(&op, &[&[1, 5, 9, 7], &[6, 2, 3, 2]]),
            Err(ShapeError::Groups { .. })
        ));
        assert!(matches!(
            infer(&op, &[&[1, 4, 1, 7], &[6, 2, 3, 2]]),
            Err(ShapeError::Window { .. })
        ));
        assert!(matches!(infer(&op, &[&[1, 4, 9, 7]]), Err(ShapeError::Operands { found: 1, .. })));
    }

    #[test]
    fn transposed_windows_lay_kernels_out() {
        let w = Window { dilation: [2, 1], ..window([3, 2], [2, 3], [1, 0, 2, 1]) };
        let op = Op::ConvTranspose { window: w, output_padding: [1, 0], groups: 2 };
        let rule = infer(&op, &[&[1, 4, 5, 4], &[6, 2, 3, 2], &[6]]).unwrap();
        // h: 4*2 + 5 + 1 - 3 = 11, w: 3*3 + 2 - 1 = 10.
        assert_eq!(rule, Rule::Exact(vec![1, 6, 11, 10]));
        let cut = Window { pad: [3, 0, 4, 0], ..window([3, 2], [2, 3], [0; 4]) };
        let op = Op::ConvTranspose { window: cut, output_padding: [0; 2], groups: 1 };
        assert!(matches!(
            infer(&op, &[&[1, 2, 3, 3], &[6, 2, 3, 2]]),
            Err(ShapeError::Window { before: 3, after: 4, .. })
        ));
    }

    #[test]
    fn ceil_mode_drops_a_window_that_starts_in_the_padding() {
        let op = |w| Op::MaxPool { window: w };
        let rule = infer(&op(window([3, 3], [2, 2], [0; 4])), &[&[1, 1, 6, 7]]).unwrap();
        assert!(
            rule.admits(&[1, 1, 2, 3]) && rule.admits(&[1, 1, 3, 3]) && !rule.admits(&[1, 1, 3, 4])
        );
        // One element, kernel 2, stride 2, padding 1: a second window would start behind the input.
        let rule = infer(&op(window([2, 2], [2, 2], [1; 4])), &[&[1, 1, 1, 1]]).unwrap();
        assert!(rule.admits(&[1, 1, 1, 1]) && !rule.admits(&[1, 1, 2, 2]));
    }

    #[test]
    fn pools_may_not_see_only_padding() {
        let op = Op::AveragePool {
            window: window([2, 2], [1, 1], [2, 0, 0, 0]),
            count_include_pad: true,
        };
        assert!(matches!(infer(&op, &[&[1, 1, 5, 5]]), Err(ShapeError::EmptyWindow { .. })));
    }

    #[test]
    fn broadcasting_aligns_the_last_axes() {
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]).unwrap(), [2, 3, 4]);
        assert_eq!(broadcast(&[], &[5]).unwrap(), [5]);
        assert!(broadcast(&[2, 3], &[2]).is_err());
    }

    #[test]
    fn hostile_extents_do_not_overflow() {
        let huge = usize::MAX;
        let conv = Op::Conv { window: window([1, 1], [1, 1], [huge, 0, huge, 0]), groups: 1 };
        assert!(infer(&conv, &[&[1, 1, huge, 1], &[1, 1, 1, 1]]).is_err());
        let pad = Op::Pad { before: vec![huge], after: vec![huge], value: 0.0 };
        assert_eq!(infer(&pad, &[&[1]]), Err(ShapeError::TooLarge));
        assert_eq!(infer(&Op::Add, &[&[huge, 1], &[1, huge]]), Err(ShapeError::TooLarge));
        assert_eq!(infer(&Op::Concat { axis: 0 }, &[&[huge], &[huge]]), Err(ShapeError::TooLarge));
        let zero = Op::MaxPool { window: window([0, 1], [0, 1], [0; 4]) };
        assert!(infer(&zero, &[&[1, 1, 4, 4]]).is_err());
    }

    #[test]
    fn the_remaining_operators() {
        let exact = |op: &Op, inputs: &[&[usize]]| match infer(op, inputs).unwrap() {
            Rule::Exact(shape) => shape,
            other => panic!("{other:?}"),
        };
        assert_eq!(exact(&Op::Dense, &[&[2, 3, 5], &[7, 5], &[7]]), [2, 3, 7]);
        let matmul = Op::MatMul { scale: 0.5 };
        assert_eq!(exact(&matmul, &[&[2, 3, 4, 5], &[2, 3, 5, 6]]), [2, 3, 4, 6]);
        for (a, b) in [
            (&[4, 5][..], &[4, 6][..]),
            (&[2, 4, 5], &[1, 5, 6]),
            (&[4, 5], &[1, 5, 6]),
            (&[5], &[5]),
        ] {
            assert!(infer(&matmul, &[a, b]).is_err(), "{a:?} {b:?}");
        }
        assert_eq!(exact(&Op::ReduceMean { axes: vec![1, 3] }, &[&[2, 3, 4, 5]]), [2, 1, 4, 1]);
        assert_eq!(exact(&Op::Concat { axis: 1 }, &[&[2, 3], &[2, 1], &[2, 2]]), [2, 6]);
        assert_eq!(exact(&Op::Transpose { perm: vec![2, 0, 1] }, &[&[2, 3, 4]]), [4, 2, 3]);
        let pad = Op::Pad { before: vec![0, 1], after: vec![2, 3], value: 0.0 };
        assert_eq!(exact(&pad, &[&[2, 3]]), [4, 7]);
        let lines = |places: &[f32]| Op::Interpolate {
            axes: vec![Interpolation { axis: 1, places: places.to_vec() }],
        };
        assert_eq!(exact(&lines(&[0.0, 0.5, 2.0, 1.25]), &[&[2, 3]]), [2, 4]);
        assert!(
            infer(&lines(&[2.5]), &[&[2, 3]]).is_err() && infer(&lines(&[]), &[&[2, 3]]).is_err()
        );
        assert!(infer(&Op::Reshape, &[&[2, 6]]).unwrap().admits(&[3, 4]));
        assert!(infer(&Op::Transpose { perm: vec![0, 0] }, &[&[2, 3]]).is_err());
        assert!(infer(&Op::ReduceMean { axes: vec![1, 0] }, &[&[2, 3]]).is_err());
        assert!(infer(&Op::Softmax { axis: 2 }, &[&[2, 3]]).is_err());
        let gather = |lists: &[&[usize]]| {
            let indices = lists.iter().map(|list| list.iter().copied().collect()).collect();
            infer(&Op::Gather { indices }, &[&[2, 3]])
        };
        assert_eq!(gather(&[&[1], &[2, 2, 0, 1]]), Ok(Rule::Exact(vec![1, 4])));
        assert_eq!(gather(&[&[0]]), Err(ShapeError::IndexAxes { found: 1, expected: 2 }));
        let outside = Err(ShapeError::Indices { axis: 1, extent: 3 });
        assert_eq!(gather(&[&[0], &[3]]), outside);
        assert_eq!(gather(&[&[0], &[]]), outside);
        let norm = Op::BatchNorm { epsilon: 1e-5 };
        assert!(infer(&norm, &[&[1, 3, 2], &[3], &[3], &[3], &[2]]).is_err());
        assert!(infer(&Op::Dense, &[&[], &[7, 5]]).is_err());
    }
}
