//! Rewrites transposed convolutions as ordinary ones, phase by phase (sub-pixel convolution, Shi et al., 2016).
//!
//! A transposed convolution of stride `s` is `s * s` convolutions of stride 1, one for each phase of its result
//! (`phases`), whose results interleave: no multiplication with inserted zeros is left. Where phases line up they are one
//! convolution to `s * s * m` channels; where they do not, or with groups, whose output channels must stay together, each phase is
//! a convolution with a kernel of its own. Interleaving is depth-to-space: a reshape, a transpose and a reshape, which move whole pixels.
//!
//! Runs behind the passes that fold factors and biases, which are told per output channel.

use ir::graph::{Graph, Node, Op, ValueId, Window};
use ir::indices::Indices;
use ir::quantized::Quantized;
use ir::tensor::{Data, Tensor};

use super::edit::{Insertion, add_tensor, add_value, finish, name, shape};
use super::phases::{Axis, Phases};
use super::{Changes, Context, Pass, PassError, Statistics};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "split-phases",
    about: "rewrite transposed convolutions as convolutions of their phases",
    run,
};

/// Most weights of all phases together: zeros at unused places must not outgrow what a file justifies.
pub(crate) const MOST_WEIGHTS: usize = 1 << 28;

fn run(graph: &mut Graph, context: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if let Some(split) = Split::of(graph, index) {
            split.rewrite(graph, context, index);
            changes += 1;
        }
        index += 1;
    }
    Ok(finish(graph, changes))
}

/// The convolutions that stand for one transposed convolution.
struct Split {
    /// Input channels of one group.
    ic: usize,
    /// Output channels.
    oc: usize,
    groups: usize,
    stride: [usize; 2],
    /// Kernel of the transposed convolution.
    kernel: [usize; 2],
    parts: Vec<[Phases; 2]>,
}

impl Split {
    fn of(graph: &Graph, index: usize) -> Option<Split> {
        let node = &graph.nodes[index];
        let Op::ConvTranspose { window, groups, .. } = &node.op else {
            return None;
        };
        let (x, y) = (shape(graph, node.inputs[0]), shape(graph, node.output));
        let along = |axis| Axis { window, axis, input: x[axis + 2], output: y[axis + 2] };
        let whole = [along(0).together()?, along(1).together()?];
        let apart = [along(0).apart()?, along(1).apart()?];
        // As wide as the widest phase alone: nothing is multiplied in vain.
        let widest = |axis: usize| apart[axis].iter().map(|phase| phase.kernel).max();
        let lined_up = (0..2).all(|axis| Some(whole[axis].kernel) == widest(axis));
        let parts = if *groups == 1 && lined_up {
            vec![whole]
        } else {
            let [rows, columns] = &apart;
            let pairs =
                rows.iter().flat_map(|y| columns.iter().map(move |x| [y.clone(), x.clone()]));
            pairs.collect()
        };
        let &[oc, ic, kh, kw] = shape(graph, node.inputs[1]) else {
            return None;
        };
        let split =
            Split { ic, oc, groups: *groups, stride: window.stride, kernel: [kh, kw], parts };
        let mut places = split.parts.iter().map(|[rows, columns]| places(rows, columns));
        let weights = places.try_fold(0usize, |sum, places| {
            sum.checked_add(places.checked_mul(oc)?.checked_mul(ic)?)
        });
        weights.filter(|&count| count <= MOST_WEIGHTS).map(|_| split)
    }

    fn rewrite(&self, graph: &mut Graph, context: &mut Context, index: usize) {
        let node = graph.nodes.remove(index);
        let constant = |id: ValueId| {
            graph.values[id.0 as usize].constant.clone().expect("weights and biases are constant")
        };
        let weights = constant(node.inputs[1]);
        let bias = node.inputs.get(2).map(|&id| constant(id));
        let (y, y_name) = (shape(graph, node.output).to_vec(), name(graph, node.output).to_owned());
        let known = context.statistics.get(&y_name).cloned();
        let [rows, columns] = [0, 1].map(|axis| self.parts[0][axis].count);
        let mut row = Insertion { graph, at: index, base: &node.name };
        let mut results = Vec::new();
        for (position, part) in self.parts.iter().enumerate() {
            let phases = part[0].taps.len() * part[1].taps.len();
            let channels = phases * self.oc;
            let suffix = if self.parts.len() == 1 {
                "phases".to_owned()
            } else {
                format!("phase{position}")
            };
            let result = add_value(
                row.graph,
                format!("{y_name}/{suffix}"),
                vec![y[0], channels, rows, columns],
            );
            if let Some(Statistics { mean, std }) = &known {
                let each = Statistics { mean: mean.repeat(phases), std: std.repeat(phases) };
                context.statistics.insert(name(row.graph, result).to_owned(), each);
            }
            let [p, q] = part;
            let kernel_shape = vec![channels, self.ic, p.kernel, q.kernel];
            let base = format!("{}/{suffix}", node.name);
            let kernels = Tensor { shape: kernel_shape, data: self.kernels_of(part, &weights) };
            let w = add_tensor(row.graph, format!("{base}_weight"), kernels);
            let mut inputs = vec![node.inputs[0], w];
            if let Some(bias) = &bias {
                let repeated = Tensor { shape: vec![channels], data: self.repeated(bias, phases) };
                inputs.push(add_tensor(row.graph, format!("{base}_bias"), repeated));
            }
            let window = Window {
                kernel: [p.kernel, q.kernel],
                stride: [1, 1],
                dilation: [p.dilation, q.dilation],
                pad: [p.pad[0], q.pad[0], p.pad[1], q.pad[1]],
            };
            let op = Op::Conv { window, groups: self.groups };
            // The convolution that does all the work keeps the node's name.
            let name = if self.parts.len() == 1 { node.name.clone() } else { base };
            row.node(Node { name, op, inputs, output: result });
            results.push(result);
        }
        self.interleave(&mut row, &results, &y, [rows, columns]);
        row.end_with(node.output);
    }

    /// Depth-to-space of the parts: channels `[phase y, phase x, oc]` become pixels. Phases have equally many, so that there may be
    /// more than the result `y` wants: the last ones are cut off.
    fn interleave(
        &self,
        row: &mut Insertion<'_>,
        parts: &[ValueId],
        y: &[usize],
        [rows, columns]: [usize; 2],
    ) {
        let (n, [sy, sx]) = (y[0], self.stride);
        let joined = match parts {
            &[one] => one,
            several => {
                let shape = [n, sy * sx * self.oc, rows, columns];
                row.many("joined", Op::Concat { axis: 1 }, several.to_vec(), &shape)
            }
        };
        let split = [n, sy, sx, self.oc, rows, columns];
        let woven = [n, self.oc, rows, sy, columns, sx];
        let v = row.unary("split", Op::Reshape, joined, &split);
        let v = row.unary("weave", Op::Transpose { perm: vec![0, 3, 4, 1, 5, 2] }, v, &woven);
        let pixels = [n, self.oc, rows * sy, columns * sx];
        let v = row.unary("pixels", Op::Reshape, v, &pixels);
        if pixels != *y {
            let indices = y.iter().map(|&extent| Indices::all(extent)).collect();
            row.unary("cut", Op::Gather { indices }, v, y);
        }
    }

    /// Kernels of one part; those that the file stores as integers keep them.
    fn kernels_of(&self, part: &[Phases; 2], weights: &Tensor) -> Data {
        let [rows, columns] = part;
        let phases = rows.taps.len() * columns.taps.len();
        let stored = weights.quantized().and_then(|stored| {
            let scales = stored.row_scales(self.oc)?.repeat(phases);
            let inner = self.ic * rows.kernel * columns.kernel;
            Quantized::new(self.kernels(part, stored.integers()), scales, inner)
        });
        let floats = || self.kernels(part, &weights.f32_values().expect("weights are floats"));
        stored.map_or_else(|| Data::F32(floats()), Data::Quantized)
    }

    /// A bias once for each phase.
    fn repeated(&self, bias: &Tensor, phases: usize) -> Data {
        let stored = bias.quantized().and_then(|stored| {
            let scales = stored.row_scales(self.oc)?.repeat(phases);
            Quantized::new(stored.integers().repeat(phases), scales, 1)
        });
        let floats = || bias.f32_values().expect("biases are floats").repeat(phases);
        stored.map_or_else(|| Data::F32(floats()), Data::Quantized)
    }

    /// Kernels `[phase y, phase x, oc, ic, places]` of one part.
    fn kernels<T: Copy + Default>(&self, [rows, columns]: &[Phases; 2], weights: &[T]) -> Vec<T> {
        let [kh, kw] = self.kernel;
        let mut kernels = Vec::with_capacity(places(rows, columns) * self.oc * self.ic);
        for y in &rows.taps {
            for x in &columns.taps {
                for channel in 0..self.oc * self.ic {
                    let taps = y.iter().flat_map(|ky| x.iter().map(move |kx| ky.zip(*kx)));
                    kernels.extend(taps.map(|tap| match tap {
                        Some((ky, kx)) => weights[(channel * kh + ky) * kw + kx],
                        None => T::default(),
                    }));
                }
            }
        }
        kernels
    }
}

/// Kernel places of one convolution, over all its phases.
fn places(rows: &Phases, columns: &Phases) -> usize {
    rows.kernel * columns.kernel * rows.taps.len() * columns.taps.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    fn transposed(
        b: &mut Build,
        x: ValueId,
        m: usize,
        window: Window,
        more: [usize; 2],
        groups: usize,
    ) -> ValueId {
        let s = b.shape(x);
        let [kh, kw] = window.kernel;
        let (w, bias) = (b.constant(&[m, s[1] / groups, kh, kw]), b.constant(&[m]));
        let [h, w_out] = ir::infer::transposed_extents(&window, [s[2], s[3]], more).unwrap();
        let op = Op::ConvTranspose { window, output_padding: more, groups };
        b.op(op, &[x, w, bias], &[s[0], m, h, w_out])
    }

    #[test]
    fn every_kernel_stride_padding_and_grouping() {
        let mut seed = 70;
        for (kernel, stride, dilation) in [
            ([1, 1], [2, 1], [1, 1]),
            ([2, 2], [2, 2], [1, 1]),
            ([3, 4], [2, 2], [1, 1]),
            ([3, 2], [1, 3], [2, 1]),
            ([5, 3], [3, 2], [1, 3]),
            ([2, 3], [4, 2], [2, 2]),
        ] {
            for pad in [[0; 4], [1, 0, 0, 1], [0, 1, 1, 1], [1, 1, 0, 0]] {
                for (more, groups) in [([0, 0], 1), ([1, 0], 2), ([0, 1], 4)] {
                    seed += 1;
                    let window = Window { kernel, stride, dilation, pad };
                    let mut b = Build::new(seed);
                    let x = b.input(&[1, 4, 3, 5]);
                    let outputs = ir::infer::transposed_extents(&window, [3, 5], more);
                    if outputs.is_err() {
                        continue;
                    }
                    let y = transposed(&mut b, x, 8, window, more, groups);
                    let (_, changes) = check_pass(&PASS, &b.finish(&[y]));
                    assert_eq!(changes, Changes(1), "{window:?}");
                }
            }
        }
    }

    #[test]
    fn a_kernel_of_the_stride_is_one_pointwise_convolution() {
        let mut b = Build::new(69);
        let x = b.input(&[1, 3, 4, 5]);
        let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pad: [0; 4] };
        let y = transposed(&mut b, x, 6, window, [0; 2], 1);
        let (after, _) = check_pass(&PASS, &b.finish(&[y]));
        assert_eq!(after.nodes.len(), 4);
        let Op::Conv { window, groups: 1 } = after.nodes[0].op else { panic!("{after}") };
        assert_eq!((window.kernel, window.pad), ([1, 1], [0; 4]));
        assert_eq!(shape(&after, after.nodes[0].output), [1, 24, 4, 5]);
    }
}
