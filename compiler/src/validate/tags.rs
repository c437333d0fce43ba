//! Tags: what a byte of memory stands for, without its value.

use ir::qgraph::{Hwc, QGraph, QNode, QOp, QType, ValueId};

/// What a byte is: nothing known (0), a constant byte, or one byte of one element of one tensor.
pub(super) type Tag = u32;

/// Nothing is known about the byte.
pub(super) const UNKNOWN: Tag = 0;

/// First tag of a tensor's element; below lie the 256 constants.
const FIRST: Tag = 257;

/// The tag of a constant byte.
pub(super) fn constant(byte: i8) -> Tag {
    1 + Tag::from(byte.cast_unsigned())
}

/// Tags of all tensors of a graph.
///
/// Elements that operators only move keep the tag of where they come from, so a copy need not be told from its source, and an operator that only moves
/// can be left out of a program.
pub(super) struct Tensors<'a> {
    graph: &'a QGraph,
    places: Vec<Place>,
}

enum Place {
    /// Computed: consecutive tags from this one, in `[plane][h][w][c]` order.
    Own(Tag),
    /// Moved: the tags of the sources, in the same order.
    Moved(Vec<Tag>),
}

impl<'a> Tensors<'a> {
    /// Numbers the elements of a sound graph; `None` if there are more than tags.
    pub(super) fn new(graph: &'a QGraph) -> Option<Tensors<'a>> {
        let mut moved_by: Vec<Option<&QNode>> = vec![None; graph.values.len()];
        let mut next = FIRST;
        let mut places = Vec::with_capacity(graph.values.len());
        for node in &graph.nodes {
            if moves(&node.op) {
                moved_by[node.output.0 as usize] = Some(node);
            }
        }
        for value in &graph.values {
            places.push(Place::Own(next));
            let bytes = planes(value.dtype) * count(value.shape);
            next = next.checked_add(Tag::try_from(bytes).ok()?)?;
        }
        let mut tensors = Tensors { graph, places };
        for node in moved_by.into_iter().flatten() {
            let tags = tensors.moved(node);
            tensors.places[node.output.0 as usize] = Place::Moved(tags);
        }
        Some(tensors)
    }

    /// Extents of a tensor.
    pub(super) fn shape(&self, value: ValueId) -> Hwc {
        self.graph.values[value.0 as usize].shape
    }

    /// Byte planes of a tensor.
    pub(super) fn planes(&self, value: ValueId) -> usize {
        planes(self.graph.values[value.0 as usize].dtype)
    }

    /// The tag of one byte of an element.
    pub(super) fn tag(&self, value: ValueId, plane: usize, at: [usize; 3]) -> Tag {
        let index = self.index(value, plane, at);
        match &self.places[value.0 as usize] {
            Place::Own(first) => first + index as Tag,
            Place::Moved(tags) => tags[index],
        }
    }

    /// Whether `found` are the tags of consecutive channels from `at` on.
    pub(super) fn matches(
        &self,
        value: ValueId,
        plane: usize,
        at: [usize; 3],
        found: &[Tag],
    ) -> bool {
        let index = self.index(value, plane, at);
        match &self.places[value.0 as usize] {
            Place::Own(first) => {
                let first = first + index as Tag;
                // Written without an early exit, which the vector units like better.
                found.iter().zip(first..).fold(true, |same, (&f, wanted)| same & (f == wanted))
            }
            Place::Moved(tags) => tags.get(index..index + found.len()) == Some(found),
        }
    }

    /// A tag in words.
    pub(super) fn describe(&self, tag: Tag) -> String {
        if tag == UNKNOWN {
            return "nothing known".into();
        }
        if tag < FIRST {
            return format!("the constant {}", (tag - 1) as u8 as i8);
        }
        for (value, place) in self.graph.values.iter().zip(&self.places) {
            let n = count(value.shape);
            if let Place::Own(first) = place
                && let Some(at) = tag.checked_sub(*first).map(|at| at as usize)
                && at < n * planes(value.dtype)
            {
                let Hwc { w, c, .. } = value.shape;
                let (pixel, channel) = (at % n / c, at % c);
                return format!("`{}` [{}, {}, {channel}]", value.name, pixel / w, pixel % w);
            }
        }
        "nothing known".into()
    }

    fn index(&self, value: ValueId, plane: usize, [y, x, c]: [usize; 3]) -> usize {
        let shape = self.shape(value);
        plane * count(shape) + (y * shape.w + x) * shape.c + c
    }

    /// Tags of the result of an operator that only moves.
    fn moved(&self, node: &QNode) -> Vec<Tag> {
        let shape = self.shape(node.output);
        let n_planes = self.planes(node.output);
        let mut out = Vec::with_capacity(n_planes * count(shape));
        if let QOp::Gather { indices } = &node.op {
            let [rows, columns, channels]: [Vec<usize>; 3] =
                [0, 1, 2].map(|axis| indices[axis].iter().collect());
            for plane in 0..n_planes {
                for (&y, &x) in rows.iter().flat_map(|y| columns.iter().map(move |x| (y, x))) {
                    let tag = |&c: &usize| self.tag(node.inputs[0], plane, [y, x, c]);
                    out.extend(channels.iter().map(tag));
                }
            }
            return out;
        }
        for plane in 0..n_planes {
            for y in 0..shape.h {
                for x in 0..shape.w {
                    for c in 0..shape.c {
                        out.push(self.source(node, plane, [y, x, c]));
                    }
                }
            }
        }
        out
    }

    /// Where a moved element comes from.
    fn source(&self, node: &QNode, plane: usize, at: [usize; 3]) -> Tag {
        match &node.op {
            QOp::Concat { axis } => {
                let mut at = at;
                for &operand in &node.inputs {
                    let Hwc { h, w, c } = self.shape(operand);
                    let extent = [h, w, c][*axis];
                    if at[*axis] < extent {
                        return self.tag(operand, plane, at);
                    }
                    at[*axis] -= extent;
                }
                UNKNOWN
            }
            QOp::Pad { before, value, .. } => {
                let Hwc { h, w, c } = self.shape(node.inputs[0]);
                let inside = [0, 1, 2].map(|a| at[a].checked_sub(before[a]));
                match inside {
                    [Some(y), Some(x), Some(ch)] if y < h && x < w && ch < c => {
                        self.tag(node.inputs[0], plane, [y, x, ch])
                    }
                    _ => constant(byte_of(*value, self.planes(node.output), plane)),
                }
            }
            QOp::Reorder { dims, perm } => {
                let shape = self.shape(node.output);
                let mut rest = (at[0] * shape.w + at[1]) * shape.c + at[2];
                // Digits of the result's index, innermost first; each belongs to one axis of the operand.
                let mut digits = vec![0; dims.len()];
                for &axis in perm.iter().rev() {
                    digits[axis] = rest % dims[axis];
                    rest /= dims[axis];
                }
                let index = dims.iter().zip(digits).fold(0, |index, (d, digit)| index * d + digit);
                let from = self.shape(node.inputs[0]);
                let pixel = index / from.c;
                let at = [pixel / from.w, pixel % from.w, index % from.c];
                self.tag(node.inputs[0], plane, at)
            }
            // `moved` walks the lists itself.
            QOp::Gather { .. }
            | QOp::Conv { .. }
            | QOp::MatMul { .. }
            | QOp::Add { .. }
            | QOp::Max { .. }
            | QOp::Min { .. }
            | QOp::Mul { .. }
            | QOp::Rescale { .. }
            | QOp::Interpolate { .. }
            | QOp::MaxPool { .. }
            | QOp::AveragePool { .. }
            | QOp::Lut8 { .. }
            | QOp::Lut16 { .. }
            | QOp::PRelu { .. }
            | QOp::Softmax { .. } => UNKNOWN,
        }
    }
}

/// Whether an operator only moves elements.
pub(super) fn moves(op: &QOp) -> bool {
    match op {
        QOp::Concat { .. } | QOp::Pad { .. } | QOp::Gather { .. } | QOp::Reorder { .. } => true,
        QOp::Conv { .. }
        | QOp::MatMul { .. }
        | QOp::Add { .. }
        | QOp::Max { .. }
        | QOp::Min { .. }
        | QOp::Mul { .. }
        | QOp::Rescale { .. }
        | QOp::Interpolate { .. }
        | QOp::MaxPool { .. }
        | QOp::AveragePool { .. }
        | QOp::Lut8 { .. }
        | QOp::Lut16 { .. }
        | QOp::PRelu { .. }
        | QOp::Softmax { .. } => false,
    }
}

/// Byte planes of a storage type: high and low bytes of a wide one lie apart.
fn planes(dtype: QType) -> usize {
    match dtype {
        QType::I8 => 1,
        QType::I16 => 2,
    }
}

/// One byte of a constant of a tensor with `planes` planes: plane 0 holds the high bytes of a wide one.
fn byte_of(value: i32, planes: usize, plane: usize) -> i8 {
    if planes == 2 && plane == 0 { (value >> 8) as i8 } else { value as i8 }
}

fn count(shape: Hwc) -> usize {
    shape.h * shape.w * shape.c
}
