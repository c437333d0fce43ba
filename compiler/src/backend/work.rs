//! What a convolution on the array amounts to: its channel groups, array tiles, folds, and the size of each piece.

use std::ops::Range;

use ir::qgraph::{Hwc, QGraph, QNode, QOp, QType, QWeights, Window};
use isa::hardware::Hardware;

use super::geometry::{Rect, blocks, planes, window_input};

/// A convolution as the array sees it.
///
/// Output channels are cut into *groups* of `max(R, C)`, so that a group fills whole scratchpad rows; a group into *array tiles* of at
/// most `C` channels; the reduction of a tile into *chunks* of input channel blocks, and a chunk into folds.
#[derive(Clone, Debug)]
pub(crate) struct ConvWork<'a> {
    /// Weights.
    pub weights: &'a QWeights,
    /// Channel groups of the convolution itself.
    pub groups: usize,
    /// Window.
    pub window: Window,
    /// Extents of the input.
    pub input: Hwc,
    /// Extents of the output.
    pub output: Hwc,
    /// Storage type of the input.
    pub in_type: QType,
    /// Lanes of a scratchpad row (`R`).
    pub lanes: usize,
    /// Array columns (`C`).
    pub cols: usize,
    /// Two 4-bit weights to a byte.
    pub nibbles: bool,
}

impl<'a> ConvWork<'a> {
    /// The convolution of `node`, if it is one.
    pub(crate) fn new(graph: &QGraph, node: &'a QNode, hw: &Hardware) -> Option<ConvWork<'a>> {
        let QOp::Conv { weights, window, groups, .. } = &node.op else { return None };
        let input = &graph.values[node.inputs[0].0 as usize];
        let output = &graph.values[node.output.0 as usize];
        Some(ConvWork {
            weights,
            groups: *groups,
            window: *window,
            input: input.shape,
            output: output.shape,
            in_type: input.dtype,
            lanes: hw.array_rows as usize,
            cols: hw.array_cols as usize,
            nibbles: weights.bits <= 4,
        })
    }

    /// Output channels of a group.
    pub(crate) fn group_channels(&self) -> usize {
        self.lanes.max(self.cols)
    }

    /// Number of output channel groups.
    pub(crate) fn n_groups(&self) -> usize {
        self.output.c.div_ceil(self.group_channels())
    }

    /// Output channels of one group.
    pub(crate) fn channels(&self, group: usize) -> Range<usize> {
        let first = group * self.group_channels();
        first..(first + self.group_channels()).min(self.output.c)
    }

    /// Output channels of each array tile of a group.
    pub(crate) fn array_tiles(&self, group: usize) -> Vec<Range<usize>> {
        let all = self.channels(group);
        all.clone()
            .step_by(self.cols)
            .map(|first| first..(first + self.cols).min(all.end))
            .collect()
    }

    /// Input channel blocks that the outputs of a group depend on.
    pub(crate) fn block_range(&self, group: usize) -> Range<usize> {
        let out = self.channels(group);
        let per_group = self.weights.oc / self.groups;
        let first = out.start / per_group * self.weights.ic;
        let last = ((out.end - 1) / per_group + 1) * self.weights.ic;
        first / self.lanes..blocks(last, self.lanes)
    }

    /// The block range of a group in chunks of at most `chunk` blocks.
    pub(crate) fn chunks(&self, group: usize, chunk: usize) -> Vec<Range<usize>> {
        let all = self.block_range(group);
        all.clone().step_by(chunk).map(|b| b..(b + chunk).min(all.end)).collect()
    }

    /// Largest number of blocks in any group's range.
    pub(crate) fn max_blocks(&self) -> usize {
        (0..self.n_groups()).map(|g| self.block_range(g).len()).max().unwrap_or(1)
    }

    /// Folds of one array tile over `n_blocks` blocks.
    pub(crate) fn folds(&self, n_blocks: usize) -> usize {
        let per_tap = if self.nibbles { n_blocks.div_ceil(2) } else { n_blocks };
        self.weights.kernel[0] * self.weights.kernel[1] * per_tap
    }

    /// Elements of a weight row that are stored in DRAM.
    pub(crate) fn weight_elems(&self) -> usize {
        self.input.c.min(if self.nibbles { 2 * self.lanes } else { self.lanes })
    }

    /// Bytes of a weight row in DRAM.
    pub(crate) fn weight_row_bytes(&self) -> usize {
        (self.weight_elems() * self.weights.bits as usize).div_ceil(8)
    }

    /// Scratchpad rows of the weights of a group over `n_blocks` blocks.
    pub(crate) fn weight_rows(&self, group: usize, n_blocks: usize) -> usize {
        self.folds(n_blocks) * self.channels(group).len()
    }

    /// Input pixels of an output tile.
    pub(crate) fn input_rect(&self, out: Rect) -> Rect {
        window_input(out, &self.window, self.input).rect
    }

    /// Cycles the array streams per fold and pixel.
    pub(crate) fn passes(&self) -> usize {
        planes(self.in_type)
    }
}
