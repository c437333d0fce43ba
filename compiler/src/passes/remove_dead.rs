//! Drops nodes and values that no graph output depends on.
//!
//! Graph inputs stay even if unused, because they are the network's interface.

use ir::graph::Graph;

use super::edit::retain_values;
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> =
    Pass { name: "remove-dead", about: "drop nodes and constants that no output depends on", run };

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut live = vec![false; graph.values.len()];
    for id in graph.outputs.iter().chain(&graph.inputs) {
        live[id.0 as usize] = true;
    }
    // Users stand behind producers, so one backward walk sees every user of a value before its producer.
    for node in graph.nodes.iter().rev() {
        if live[node.output.0 as usize] {
            for id in &node.inputs {
                live[id.0 as usize] = true;
            }
        }
    }
    let before = graph.nodes.len() + graph.values.len();
    graph.nodes.retain(|node| live[node.output.0 as usize]);
    retain_values(graph, &live);
    Ok(Changes(before - graph.nodes.len() - graph.values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    #[test]
    fn drops_what_no_output_needs() {
        let mut b = Build::new(3);
        let x = b.input(&[1, 3, 5, 4]);
        let unused_input = b.input(&[1, 2]);
        let _ = b.clip(unused_input, 0.0, 1.0);
        let y = b.conv(x, 4, [3, 2], 1);
        let _ = b.conv(y, 2, [1, 1], 1);
        let graph = b.finish(&[y]);
        let (after, Changes(changes)) = check_pass(&PASS, &graph);
        assert_eq!((after.nodes.len(), after.inputs.len()), (1, 2));
        // Two nodes, their two results, weights and bias of one convolution.
        assert_eq!(changes, 6);
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }
}
