//! Rewrites of the float graph before quantization, in the one order they run in.
//!
//! Each pass leaves the function of the graph as it was, up to float rounding, and brings it closer to what the
//! integer graph can say: batch norms and constant factors become weights, dense layers over maps become
//! convolutions, data movement becomes rare. Passes are plain data, so that the tools can list, name and document them.

mod affine;
mod center_variance;
mod dense_to_conv;
mod edit;
mod equalize;
mod error;
mod fold_affine;
mod fold_batch_norm;
mod fold_constants;
mod fuse_functions;
mod fuse_softmax;
mod hoist_clip;
mod hoist_quantize;
mod manager;
mod mean_to_pool;
mod merge_axes;
mod merge_pad;
mod merge_reshape;
mod phases;
mod pull_factors;
mod remove_dead;
mod remove_identity;
mod scaled_mean;
mod split_phases;
mod statistics;

use ir::graph::Graph;

pub(crate) use equalize::equalize;
pub use error::PassError;
pub use manager::{Applied, Check, Verify, run};
pub(crate) use phases::MOST_PLACES;
pub(crate) use split_phases::MOST_WEIGHTS;
pub use statistics::{Context, Statistics};

/// One rewrite.
#[derive(Clone, Copy, Debug)]
pub struct Pass<Ir: 'static> {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Applies it everywhere it fits.
    pub run: fn(&mut Ir, &mut Context) -> Result<Changes, PassError>,
}

/// How many places a pass changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changes(pub usize);

/// The passes over the float graph. Each runs once those above it have nothing left to do, until none has.
pub const GRAPH: &[Pass<Graph>] = &[
    fold_constants::PASS,  // first: later passes look for constant operands
    remove_identity::PASS, // fewer neighbours in the way of the patterns below
    merge_reshape::PASS,
    fuse_softmax::PASS, // these two before fuse_functions, which takes the squares and exponentials they look for
    center_variance::PASS,
    pull_factors::PASS,
    hoist_clip::PASS, // brings activations next to the operator that can fuse them
    hoist_quantize::PASS, // brings roundings next to the operator that ends in one
    fuse_functions::PASS, // before fold_affine, which would take the constants of activations for biases
    fold_batch_norm::PASS, // before fold_affine, so that a bias behind a batch norm finds the convolution
    fold_affine::PASS,
    merge_axes::PASS, // behind fold_affine, which takes those that vary along one axis
    split_phases::PASS, // after factors and biases have been folded into the transposed convolution
    dense_to_conv::PASS, // after biases have been folded into the dense layers
    mean_to_pool::PASS,
    merge_pad::PASS,
    remove_dead::PASS, // last: earlier passes leave unused nodes and constants
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_same_function, random_functions, random_graph};
    use ir::graph::Op;

    #[test]
    fn the_whole_list_keeps_the_function_and_comes_to_rest() {
        for before in (0..60).flat_map(|seed| [random_graph(seed), random_functions(seed)]) {
            let mut after = before.clone();
            let mut context = Context::default();
            run(GRAPH, &mut after, &mut context, Check::EachPass).unwrap();
            assert_same_function(&before, &after);
            let left = |node: &ir::graph::Node| {
                matches!(
                    node.op,
                    Op::BatchNorm { .. } | Op::ConvTranspose { .. } | Op::ReduceMean { .. }
                )
            };
            assert!(!after.nodes.iter().any(left));
            let again = run(GRAPH, &mut after, &mut context, Check::End).unwrap();
            assert!(again.iter().all(|applied| applied.changes == 0), "{}: {again:?}", before.name);
        }
    }

    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<_> = GRAPH.iter().map(|pass| pass.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), GRAPH.len());
        assert!(GRAPH.iter().all(|pass| pass.about.len() > 20));
    }
}
