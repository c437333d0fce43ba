//! Linear interpolation of values.

use super::{Resampling, resampling};
use crate::graph::{Interpolation, Op};
use crate::onnx::node::{Imported, NodeCtx, Refusal};

/// Places in an operand for the elements of the result that lie inside it, and how many do not.
struct Linear {
    axes: Vec<Interpolation>,
    before: Vec<usize>,
    after: Vec<usize>,
}

pub(super) fn linear_value(node: &mut NodeCtx<'_>) -> Imported {
    if node.attributes().flag("antialias", false)? {
        return Err(Refusal::Unsupported {
            reason: "it smooths before it reduces (`antialias` is 1)".to_owned(),
            suggestion: "export without antialiasing, or resize on the host".to_owned(),
        });
    }
    let resampling = resampling(node)?;
    let input = node.operand(0)?;
    let Linear { axes, before, after } = linear(node.value_shape(input), &resampling);
    let inside = Op::Interpolate { axes };
    match resampling.outside {
        Some(value) if before.iter().chain(&after).any(|&amount| amount > 0) => {
            let inside = node.intermediate("inside", inside, vec![input], None)?;
            node.emit(Op::Pad { before, after, value }, vec![inside])
        }
        Some(_) | None => node.emit(inside, vec![input]),
    }
}

fn linear(input: &[usize], resampling: &Resampling) -> Linear {
    let mut linear =
        Linear { axes: Vec::new(), before: vec![0; input.len()], after: vec![0; input.len()] };
    for (i, axis) in resampling.axes.iter().enumerate() {
        let Some(axis) = axis else { continue };
        let last = (input[i] - 1) as f32;
        let inside = |x: &f32| resampling.outside.is_none() || (0.0..=last).contains(x);
        // Coordinates are monotonic, so those inside are neighbours.
        let coordinates = &axis.coordinates;
        linear.before[i] = coordinates.iter().take_while(|x| !inside(x)).count();
        let taken = coordinates.iter().filter(|x| inside(x));
        let places: Vec<f32> = taken.map(|x| x.clamp(0.0, last)).collect();
        linear.after[i] = coordinates.len() - linear.before[i] - places.len();
        let stays = places.len() == input[i]
            && places.iter().enumerate().all(|(index, &place)| place == index as f32);
        if !stays {
            linear.axes.push(Interpolation { axis: i, places });
        }
    }
    linear
}
