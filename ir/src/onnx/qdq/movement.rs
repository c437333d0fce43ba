//! Moving stored integers: chains of reshapes and transposes, without the links that move nothing.

use super::join::PLANE_AXES;
use super::writer::{Writer, planes};
use crate::onnx::write::{int, ints};
use crate::qgraph::{Hwc, Indices, QNode};

/// Steps that bring a tensor from one shape to another.
pub(super) struct Movement {
    /// Each step with the shape in front of it.
    steps: Vec<(Vec<usize>, Step)>,
    /// Shape behind the last step.
    shape: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// To the shape behind it.
    Reshape,
    Transpose(Vec<usize>),
}

impl Movement {
    /// Of a tensor of some shape.
    pub(super) fn of(shape: Vec<usize>) -> Movement {
        Movement { steps: Vec::new(), shape }
    }

    /// Of a stored value `[1, c, h, w]`, brought into the order `[h, w, c]`.
    pub(super) fn of_planes(shape: Hwc) -> Movement {
        let mut movement = Movement::of(planes(shape));
        movement.transpose(&[0, 2, 3, 1]);
        movement
    }

    /// From the order `[h, w, c]` to a stored value `[1, c, h, w]`.
    pub(super) fn planes(&mut self, shape: Hwc) {
        self.reshape(vec![1, shape.h, shape.w, shape.c]);
        self.transpose(&[0, 3, 1, 2]);
    }

    pub(super) fn reshape(&mut self, to: Vec<usize>) {
        if let Some((_, Step::Reshape)) = self.steps.last() {
            self.undo();
        }
        if to != self.shape {
            self.push(Step::Reshape, to);
        }
    }

    pub(super) fn transpose(&mut self, perm: &[usize]) {
        let to: Vec<usize> = perm.iter().map(|&axis| self.shape[axis]).collect();
        let long = || perm.iter().filter(|&&axis| self.shape[axis] != 1);
        if long().is_sorted() {
            self.reshape(to);
        } else if let Some((_, Step::Transpose(first))) = self.steps.last() {
            let both: Vec<usize> = perm.iter().map(|&axis| first[axis]).collect();
            self.undo();
            self.transpose(&both);
        } else {
            self.push(Step::Transpose(perm.to_vec()), to);
        }
    }

    fn push(&mut self, step: Step, to: Vec<usize>) {
        let from = std::mem::replace(&mut self.shape, to);
        self.steps.push((from, step));
    }

    fn undo(&mut self) {
        if let Some((from, _)) = self.steps.pop() {
            self.shape = from;
        }
    }
}

impl Writer<'_> {
    /// Writes the steps; gives the name of the moved tensor, which is `tensor` where nothing moves.
    pub(super) fn moved(&mut self, base: &str, mut tensor: String, movement: Movement) -> String {
        let behind: Vec<Vec<usize>> = movement
            .steps
            .iter()
            .skip(1)
            .map(|(from, _)| from.clone())
            .chain([movement.shape])
            .collect();
        for ((_, step), shape) in movement.steps.into_iter().zip(behind) {
            tensor = match step {
                Step::Reshape => {
                    let shape = self.extents(base, "shape", &shape);
                    self.helper(base, "reshape", "Reshape", vec![tensor, shape], Vec::new())
                }
                Step::Transpose(perm) => {
                    let perm = vec![ints("perm", &perm)];
                    self.helper(base, "transpose", "Transpose", vec![tensor], perm)
                }
            };
        }
        tensor
    }
}

/// Picks by one list for each axis that does not take all.
pub(super) fn gather(writer: &mut Writer<'_>, node: &QNode, indices: &[Indices; 3]) {
    let extents = writer.operand(node, 0).shape.extents();
    let mut tensor = writer.stored(node, 0);
    for (axis, list) in indices.iter().enumerate() {
        if list.is_all(extents[axis]) {
            continue;
        }
        let taken = list.iter().collect::<Vec<_>>();
        let input = vec![tensor, writer.extents(&node.name, "indices", &taken)];
        let along = vec![int("axis", PLANE_AXES[axis])];
        tensor = writer.helper(&node.name, "gather", "Gather", input, along);
    }
    writer.set_stored(node, tensor);
}

/// The operand's `[h, w, c]` order seen as `dims`, transposed, seen as the result's `[h, w, c]`.
pub(super) fn reorder(writer: &mut Writer<'_>, node: &QNode, dims: &[usize], perm: &[usize]) {
    let mut movement = Movement::of_planes(writer.operand(node, 0).shape);
    movement.reshape(dims.to_vec());
    movement.transpose(perm);
    movement.planes(writer.result(node).shape);
    let moved = writer.moved(&node.name, writer.stored(node, 0), movement);
    writer.set_stored(node, moved);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(movement: &Movement) -> Vec<Step> {
        movement.steps.iter().map(|(_, step)| step.clone()).collect()
    }

    #[test]
    fn steps_that_cancel_are_left_out() {
        let shape = Hwc { h: 4, w: 5, c: 3 };
        let mut image = Movement::of(vec![1, 3, 4, 5]);
        image.transpose(&[0, 2, 3, 1]);
        image.planes(shape);
        assert_eq!((steps(&image), image.shape), (vec![], vec![1, 3, 4, 5]));

        let mut row = Movement::of(vec![1, 7]);
        row.transpose(&[0, 1]);
        row.planes(Hwc { h: 1, w: 1, c: 7 });
        assert_eq!((steps(&row), row.shape), (vec![Step::Reshape], vec![1, 7, 1, 1]));

        let mut flat = Movement::of_planes(shape);
        flat.reshape(vec![60]);
        assert_eq!(steps(&flat), [Step::Transpose(vec![0, 2, 3, 1]), Step::Reshape]);
    }
}
