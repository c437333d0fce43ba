//! Samples kept for the sweep over the integers: a bounded number, spread evenly over all that were seen.

use ir::graph::Graph;

use crate::calibrate::Sample;

/// Most samples. Means of more move by less than the rounding of a bias does; second moments take as many as there are.
const MOST: usize = 256;

/// Fewest samples that are kept, however large they are.
const FEWEST: usize = 4;

/// Of so many samples one is held out.
const HELD_OUT_EVERY: usize = 4;

/// Fewest samples of which some are held out.
const FEWEST_TO_SPLIT: usize = 8;

/// Memory that the samples may take as floats and, later, as integers in front of the sweep.
const BUDGET_BYTES: usize = 1 << 30;

/// Samples kept of a stream. How many depends on the network alone, so memory does not grow with the stream.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    samples: Vec<Sample>,
    /// Samples that may be held.
    capacity: usize,
    /// Every so many samples are kept.
    stride: usize,
    seen: usize,
}

impl Probes {
    /// Nothing yet, with room for samples of `graph`.
    #[must_use]
    pub fn of(graph: &Graph) -> Probes {
        let elements = |id: &ir::graph::ValueId| -> usize {
            graph.values[id.0 as usize].shape.iter().product()
        };
        let inputs = graph.inputs.iter().map(elements).sum::<usize>() * size_of::<f32>();
        // Integers of at most two bytes.
        let bytes = inputs.max(2 * most_live(graph));
        let capacity = (BUDGET_BYTES / bytes.max(1)).clamp(FEWEST, MOST);
        Probes { samples: Vec::new(), capacity, stride: 1, seen: 0 }
    }

    /// Shows the next sample of the stream. When the room is full, every other one goes, and from then on half as many
    /// come.
    pub fn offer(&mut self, sample: &Sample) {
        if self.capacity == 0 {
            return;
        }
        if self.seen.is_multiple_of(self.stride) {
            if self.samples.len() == self.capacity {
                let mut index = 0;
                self.samples.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            if self.seen.is_multiple_of(self.stride) {
                self.samples.push(sample.clone());
            }
        }
        self.seen += 1;
    }

    /// At most `count` of the samples kept, spread evenly.
    #[must_use]
    pub fn spread(&self, count: usize) -> Probes {
        let kept = count.min(self.len());
        let samples = (0..kept).map(|i| self.samples[i * self.len() / kept].clone()).collect();
        Probes { samples, ..*self }
    }

    /// Samples kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether no sample was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Those that constants are fitted to.
    pub(super) fn fitted(&self) -> Vec<&Sample> {
        self.those(false)
    }

    /// Those that nothing is fitted to, for judging; none if there are too few.
    #[must_use]
    pub fn held_out(&self) -> Vec<&Sample> {
        self.those(true)
    }

    fn those(&self, held_out: bool) -> Vec<&Sample> {
        let split = self.samples.len() >= FEWEST_TO_SPLIT;
        let is_held_out = |index: usize| split && index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
        let numbered = self.samples.iter().enumerate();
        numbered.filter(|(i, _)| is_held_out(*i) == held_out).map(|(_, sample)| sample).collect()
    }
}

/// Most elements that are needed at one time, walking the graph in order.
fn most_live(graph: &Graph) -> usize {
    let mut last = vec![None; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|id| last[id.0 as usize] = Some(index));
    }
    let elements = |id: ir::graph::ValueId| {
        let value = &graph.values[id.0 as usize];
        if value.constant.is_none() { value.shape.iter().product() } else { 0 }
    };
    let mut live: usize = graph.inputs.iter().map(|&id| elements(id)).sum();
    let mut most = live;
    for (index, node) in graph.nodes.iter().enumerate() {
        live += elements(node.output);
        most = most.max(live);
        let mut operands = node.inputs.clone();
        operands.sort_unstable();
        operands.dedup();
        let done = operands.into_iter().filter(|id| last[id.0 as usize] == Some(index));
        live -= done.map(elements).sum::<usize>();
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    fn probes(elements: usize, offered: usize) -> Probes {
        let mut b = Build::new(1);
        let x = b.input(&[1, elements]);
        let y = b.dense(x, 2);
        let mut probes = Probes::of(&b.finish(&[y]));
        (0..offered).for_each(|i| probes.offer(&vec![vec![i as f32]]));
        probes
    }

    #[test]
    fn kept_samples_are_spread_evenly_and_bounded() {
        let firsts = |probes: &Probes| probes.samples.iter().map(|s| s[0][0]).collect::<Vec<_>>();
        assert_eq!(firsts(&probes(3, 5)), [0.0, 1.0, 2.0, 3.0, 4.0]);
        let many = probes(3, 2000);
        assert_eq!((many.len(), firsts(&many)[..3].to_vec()), (250, vec![0.0, 8.0, 16.0]));
        assert!((128..=256).contains(&probes(3, 100_000).len()));
        assert_eq!(probes(3, 256).len(), 256);
        assert_eq!(probes(3, 257).len(), 129);
    }

    #[test]
    fn every_fourth_sample_is_held_out_of_enough() {
        let held = |probes: &Probes| probes.held_out().iter().map(|s| s[0][0]).collect::<Vec<_>>();
        assert_eq!(held(&probes(3, 9)), [3.0, 7.0]);
        assert_eq!(probes(3, 9).fitted().len(), 7);
        let few = probes(3, 7);
        assert_eq!((few.fitted().len(), few.held_out().len()), (7, 0));
    }

    #[test]
    fn fewer_are_spread_evenly_too() {
        let firsts = |n: usize| -> Vec<f32> {
            probes(3, 10).spread(n).samples.iter().map(|s| s[0][0]).collect()
        };
        assert_eq!((firsts(3), firsts(99).len(), firsts(0).len()), (vec![0.0, 3.0, 6.0], 10, 0));
    }

    #[test]
    fn large_networks_keep_fewer() {
        assert_eq!(probes(1 << 26, 1000).capacity, FEWEST);
        assert_eq!(probes(1 << 22, 0).capacity, 64);
    }
}
