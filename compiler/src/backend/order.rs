//! The order in which steps run: the file's, or one that keeps fewer values alive at once where branches allow it.

use ir::qgraph::{QGraph, ValueId};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use super::steps::{Step, lifetimes};

/// The steps in the order they will run. `rows` is the scratchpad a value takes.
///
/// Greedy: of the steps whose operands are ready, the one that leaves the least memory in use goes next, the earlier in the file on equal terms. Its order
/// is taken only where its peak is smaller than that of the file's order, which is often as good and easier to recognise.
pub(crate) fn order(graph: &QGraph, steps: Vec<Step>, rows: &[usize]) -> Vec<Step> {
    let picked = least_memory(graph, &steps, rows);
    let other: Vec<Step> = picked.into_iter().map(|i| steps[i].clone()).collect();
    if peak(graph, &other, rows) < peak(graph, &steps, rows) { other } else { steps }
}

/// Most rows alive in any step.
fn peak(graph: &QGraph, steps: &[Step], rows: &[usize]) -> usize {
    let mut change = vec![0isize; steps.len() + 1];
    for (life, &rows) in lifetimes(graph, steps).iter().zip(rows) {
        if let Some(life) = life {
            change[life.first] += rows as isize;
            change[life.last + 1] -= rows as isize;
        }
    }
    let alive = change.iter().scan(0, |alive, c| {
        *alive += c;
        Some(*alive)
    });
    alive.max().unwrap_or(0) as usize
}

/// Edges from each step to the steps that read its result.
fn dependences(graph: &QGraph, steps: &[Step]) -> DiGraph<usize, ()> {
    let mut network = DiGraph::with_capacity(steps.len(), steps.len());
    let mut producer: Vec<Option<NodeIndex>> = vec![None; graph.values.len()];
    for (i, step) in steps.iter().enumerate() {
        producer[step.output.0 as usize] = Some(network.add_node(i));
    }
    for (i, step) in steps.iter().enumerate() {
        for from in step.inputs(graph).iter().filter_map(|v| producer[v.0 as usize]) {
            network.update_edge(from, NodeIndex::new(i), ());
        }
    }
    network
}

/// Indices of the steps in greedy order.
fn least_memory(graph: &QGraph, steps: &[Step], rows: &[usize]) -> Vec<usize> {
    let network = dependences(graph, steps);
    let mut waiting_for: Vec<usize> = network
        .node_indices()
        .map(|n| network.neighbors_directed(n, Direction::Incoming).count())
        .collect();
    let mut readers = vec![0usize; graph.values.len()];
    for step in steps {
        for value in operands(graph, step) {
            readers[value.0 as usize] += 1;
        }
    }
    let mut ready: Vec<usize> = (0..steps.len()).filter(|&i| waiting_for[i] == 0).collect();
    let mut out = Vec::with_capacity(steps.len());
    while let Some((at, _)) = ready
        .iter()
        .enumerate()
        .min_by_key(|&(_, &i)| (growth(graph, &steps[i], &readers, rows), i))
    {
        let next = ready.swap_remove(at);
        for value in operands(graph, &steps[next]) {
            readers[value.0 as usize] -= 1;
        }
        for reader in network.neighbors(NodeIndex::new(next)) {
            waiting_for[reader.index()] -= 1;
            if waiting_for[reader.index()] == 0 {
                ready.push(reader.index());
            }
        }
        out.push(next);
    }
    out
}

/// Operands of a step, each once.
fn operands(graph: &QGraph, step: &Step) -> Vec<ValueId> {
    let mut out = step.inputs(graph);
    out.sort_unstable();
    out.dedup();
    out
}

/// Rows in use after a step, less those before it: its result comes, operands that nobody else will read go.
fn growth(graph: &QGraph, step: &Step, readers: &[usize], rows: &[usize]) -> isize {
    let freed: usize = operands(graph, step)
        .iter()
        .filter(|v| readers[v.0 as usize] == 1)
        .map(|v| rows[v.0 as usize])
        .sum();
    rows[step.output.0 as usize] as isize - freed as isize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::steps::steps;

    /// Two wide branches that end narrow: breadth first keeps both wide values, depth first one.
    const BRANCHES: &str = r#"qgraph "g" rounding=half-even (%x: i8[1, 1, 1] scale=1.0 zero_point=0) -> (%y) {
  %a: i8[8, 8, 1] scale=1.0 zero_point=0 = pad "a"(%x) onnx="Pad" before=[7, 7, 0] after=[0, 0, 0] value=0
  %b: i8[8, 8, 1] scale=1.0 zero_point=0 = pad "b"(%x) onnx="Pad" before=[7, 7, 0] after=[0, 0, 0] value=0
  %c: i8[1, 1, 1] scale=1.0 zero_point=0 = max_pool "c"(%a) onnx="MaxPool" kernel=[8, 8] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0]
  %d: i8[1, 1, 1] scale=1.0 zero_point=0 = max_pool "d"(%b) onnx="MaxPool" kernel=[8, 8] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0]
  %y: i8[1, 1, 1] scale=1.0 zero_point=0 = add "y"(%c, %d) onnx="Add" ma=1 mb=1 shift=0 lo=-128 hi=127
}
"#;

    #[test]
    fn branches_run_one_after_the_other() {
        let graph: QGraph = BRANCHES.parse().unwrap();
        let rows: Vec<usize> = graph.values.iter().map(|v| v.shape.h * v.shape.w).collect();
        let file = steps(&graph);
        assert_eq!(peak(&graph, &file, &rows), 1 + 64 + 64);
        let nodes = |steps: &[Step]| steps.iter().map(|s| s.node).collect::<Vec<_>>();
        let ours = order(&graph, file, &rows);
        assert_eq!(nodes(&ours), [0, 2, 1, 3, 4]);
        assert_eq!(peak(&graph, &ours, &rows), 1 + 64 + 1);
        // With equal sizes nothing is gained, and the file's order stays.
        let even = vec![1; rows.len()];
        assert_eq!(nodes(&order(&graph, steps(&graph), &even)), [0, 1, 2, 3, 4]);
    }
}
