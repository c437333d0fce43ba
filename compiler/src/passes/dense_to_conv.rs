//! Rewrites a dense layer over a flattened map as a convolution whose kernel is the whole map.
//!
//! Flattening `[1, c, h, w]` puts channels outermost, while maps are stored channels innermost; as a convolution the
//! layer reads the map as it lies, and no data moves.

use ir::graph::{Graph, Node, Op, ValueId, Window};
use ir::quantized::Quantized;
use ir::tensor::{Data, Tensor};

use super::affine::POINT;
use super::edit::{Insertion, add_tensor, add_value, finish, producer, shape};
use super::{Changes, Context, Pass, PassError};
use crate::evaluate::{Operand, evaluate};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "dense-to-conv",
    about: "rewrite dense layers over flattened maps as convolutions",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some(map) = flattened_map(graph, index) {
            rewrite(graph, index, &map);
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

/// The map that a dense layer reads, before it was flattened.
struct Map {
    /// `[1, c, h, w]`.
    value: ValueId,
    /// Order of its axes in the flattened form; the batch first.
    perm: Vec<usize>,
}

fn flattened_map(graph: &Graph, index: usize) -> Option<Map> {
    let node = &graph.nodes[index];
    if node.op != Op::Dense {
        return None;
    }
    let reshape = &graph.nodes[producer(graph, node.inputs[0])?];
    let flat = shape(graph, node.inputs[0]);
    if reshape.op != Op::Reshape || flat.len() != 2 {
        return None;
    }
    let source = reshape.inputs[0];
    let before = producer(graph, source).map(|i| &graph.nodes[i]);
    let (value, perm) = match before.map(|node| (&node.op, node.inputs.as_slice())) {
        Some((Op::Transpose { perm }, &[x])) if perm.len() == 4 && perm[0] == 0 => {
            (x, perm.clone())
        }
        Some(_) | None => (source, vec![0, 1, 2, 3]),
    };
    match *shape(graph, value) {
        // A batch is stored as rows of the map, which a kernel must not mix.
        [1, _, h, w] if flat[0] == 1 && h * w > 1 => Some(Map { value, perm }),
        _ => None,
    }
}

fn rewrite(graph: &mut Graph, index: usize, map: &Map) {
    let node = graph.nodes.remove(index);
    let map_shape = shape(graph, map.value).to_vec();
    let m = shape(graph, node.inputs[1])[0];
    // Weight rows are indexed like the flattened map; kernels like the map itself.
    let transposed: Vec<usize> =
        [m].into_iter().chain(map.perm[1..].iter().map(|&i| map_shape[i])).collect();
    let kernel_shape: Vec<usize> = [m].into_iter().chain(map_shape[1..].iter().copied()).collect();
    let kernels = if map.perm.is_sorted() {
        let shared = graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs);
        let is_shared = shared.into_iter().any(|id| *id == node.inputs[1]);
        let constant = &mut graph.values[node.inputs[1].0 as usize].constant;
        // These are the largest weights of classic networks, so they move rather than being copied.
        let tensor = if is_shared { constant.clone() } else { constant.take() };
        tensor.expect("weights are constant").data
    } else {
        let mut back = vec![0; 4];
        for (position, &axis) in map.perm.iter().enumerate() {
            back[axis] = position;
        }
        let turn = |data: &[f32]| {
            let operand = Operand { shape: &transposed, data };
            let perm = back.clone();
            let kernels = evaluate(&Op::Transpose { perm }, &[operand], &kernel_shape);
            kernels.expect("transposes are evaluated")
        };
        let weights = graph.values[node.inputs[1].0 as usize].constant.as_ref();
        let weights = weights.expect("weights are constant");
        let quantized = weights.quantized().and_then(|stored| turned(stored, m, &turn));
        let floats = || Data::F32(turn(&weights.f32_values().expect("weights are floats")));
        quantized.map(Data::Quantized).unwrap_or_else(floats)
    };
    let kernels = Tensor::new(kernel_shape, kernels).expect("the map has the elements of a row");
    let w = add_tensor(graph, format!("{}/kernel", node.name), kernels);
    let image = add_value(graph, format!("{}/image", node.name), vec![1, m, 1, 1]);
    let inputs = [map.value, w].into_iter().chain(node.inputs.get(2).copied()).collect();
    let window = Window { kernel: [map_shape[2], map_shape[3]], ..POINT };
    let op = Op::Conv { window, groups: 1 };
    let result_shape = shape(graph, node.output).to_vec();
    let mut row = Insertion { graph, at: index, base: &node.name };
    row.node(Node { name: node.name.clone(), op, inputs, output: image });
    row.unary("flatten", Op::Reshape, image, &result_shape);
    row.end_with(node.output);
}

/// Rows of integers with their elements in another order, as far as floats hold them.
fn turned(stored: &Quantized, rows: usize, turn: &dyn Fn(&[f32]) -> Vec<f32>) -> Option<Quantized> {
    let scales = stored.row_scales(rows)?;
    if stored.integers().iter().any(|q| q.unsigned_abs() >= 1 << f32::MANTISSA_DIGITS) {
        return None;
    }
    let integers: Vec<f32> = stored.integers().iter().map(|&q| q as f32).collect();
    let turned = turn(&integers).into_iter().map(|q| q as i32).collect();
    Quantized::new(turned, scales, integers.len() / rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    #[test]
    fn reads_the_map_in_place() {
        for perm in [vec![0, 1, 2, 3], vec![0, 2, 3, 1], vec![0, 3, 1, 2]] {
            let mut b = Build::new(40);
            let s = [1, 3, 4, 5];
            let x = b.input(&s);
            let turned: Vec<usize> = perm.iter().map(|&i| s[i]).collect();
            let y = b.op(Op::Transpose { perm }, &[x], &turned);
            let y = b.op(Op::Reshape, &[y], &[1, 60]);
            let y = b.dense(y, 7);
            let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
            assert_eq!(changes, Changes(1));
            assert!(after.nodes.iter().all(|n| n.op != Op::Dense));
            assert_eq!(check_pass(&PASS, &after).1, Changes(0));
        }
    }

    #[test]
    fn integers_stay() {
        for perm in [vec![0, 1, 2, 3], vec![0, 2, 3, 1]] {
            let mut b = Build::new(42);
            let s = [1, 3, 4, 5];
            let x = b.input(&s);
            let turned: Vec<usize> = perm.iter().map(|&i| s[i]).collect();
            let y = b.op(Op::Transpose { perm }, &[x], &turned);
            let y = b.op(Op::Reshape, &[y], &[1, 60]);
            let y = b.dense(y, 7);
            let mut graph = b.finish(&[y]);
            let weights = graph.nodes[2].inputs[1].0 as usize;
            let integers = (0..420).map(|i| i % 255 - 127).collect();
            let scales = (1..8).map(|i| i as f32 * 0.01).collect();
            let stored = Quantized::new(integers, scales, 60).unwrap();
            let tensor = Tensor::new(vec![7, 60], Data::Quantized(stored)).unwrap();
            graph.values[weights].constant = Some(tensor);
            let (after, _) = check_pass(&PASS, &graph);
            let conv = after.nodes.iter().find(|n| matches!(n.op, Op::Conv { .. })).unwrap();
            let kernel = after.values[conv.inputs[1].0 as usize].constant.as_ref().unwrap();
            assert!(kernel.quantized().unwrap().row_scales(7).is_some());
        }
    }

    #[test]
    fn leaves_vectors_and_folded_batches_alone() {
        let mut b = Build::new(41);
        let x = b.input(&[1, 6, 1, 1]);
        let y = b.op(Op::Reshape, &[x], &[1, 6]);
        let y = b.dense(y, 2);
        let p = b.input(&[2, 3, 2, 2]);
        let q = b.op(Op::Reshape, &[p], &[4, 6]);
        let q = b.dense(q, 2);
        let r = b.dense(x, 3);
        let batch = b.op(Op::Reshape, &[p], &[2, 12]);
        let s = b.dense(batch, 2);
        let graph = b.finish(&[y, q, r, s]);
        assert_eq!(check_pass(&PASS, &graph).1, Changes(0));
    }
}
