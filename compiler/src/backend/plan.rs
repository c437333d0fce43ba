//! The global plan: which tensors stay in the scratchpad, and how each step is cut.
//!
//! Starts with everything resident and gives tensors up, the cheapest to spill first, until every step has room to work.

use ir::qgraph::{QGraph, ValueId};
use isa::hardware::Hardware;

use super::BackendError;
use super::geometry::{blocks, rows};
use super::lower;
use super::memory::{Side, Span, place};
use super::order::order;
use super::steps::{Lifetime, Step, lifetimes, steps};
use super::tiling::Tiling;

/// Everything emission needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Steps in order.
    pub steps: Vec<Step>,
    /// First scratchpad row of each resident value.
    pub resident: Vec<Option<usize>>,
    /// Cut of each step, buffers placed.
    pub tilings: Vec<Tiling>,
}

/// What planning looks at.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The network.
    pub graph: &'a QGraph,
    /// The machine.
    pub hw: &'a Hardware,
    /// Steps of the network.
    pub steps: &'a [Step],
    /// Which values are resident.
    pub resident: &'a [bool],
}

impl Target<'_> {
    /// Whether a value stays in the scratchpad.
    pub(crate) fn is_resident(&self, value: ValueId) -> bool {
        self.resident[value.0 as usize]
    }

    /// Whether a value has (also) a place in DRAM.
    pub(crate) fn in_dram(&self, value: ValueId) -> bool {
        !self.is_resident(value)
            || self.graph.inputs.contains(&value)
            || self.graph.outputs.contains(&value)
    }
}

/// Plans the whole network.
///
/// # Errors
/// [`BackendError::DoesNotFit`] names the first step that has no room even when nothing else stays in the scratchpad.
pub(crate) fn plan(graph: &QGraph, hw: &Hardware) -> Result<Plan, BackendError> {
    let capacity = hw.scratchpad_rows() as usize;
    let size: Vec<usize> = graph
        .values
        .iter()
        .map(|v| rows(v.dtype, v.shape.h * v.shape.w, blocks(v.shape.c, hw.array_rows as usize)))
        .collect();
    let steps = order(graph, steps(graph), &size);
    let lives = lifetimes(graph, &steps);
    let mut resident: Vec<bool> =
        (0..size.len()).map(|i| lives[i].is_some() && size[i] <= capacity).collect();
    loop {
        let target = Target { graph, hw, steps: &steps, resident: &resident };
        match attempt(&target, &lives, &size, capacity) {
            Ok((rows, tilings)) => return Ok(Plan { steps, resident: rows, tilings }),
            Err(stuck) => {
                let live = (0..size.len()).filter(|&i| {
                    resident[i] && lives[i].is_some_and(|l| l.first <= stuck && stuck <= l.last)
                });
                // Give up the value that frees the most rows for the longest time per transfer it costs.
                let worst = live.max_by_key(|&i| (size[i] * span_len(lives[i]), i));
                match worst {
                    Some(i) => resident[i] = false,
                    None => {
                        let node = &graph.nodes[steps[stuck].last_node()];
                        return Err(BackendError::DoesNotFit {
                            node: node.name.clone(),
                            op: node.onnx_op.clone(),
                            scratchpad_kib: hw.scratchpad_kib,
                        });
                    }
                }
            }
        }
    }
}

fn span_len(life: Option<Lifetime>) -> usize {
    life.map_or(0, |l| l.last - l.first + 1)
}

/// Places residents and cuts every step; the index of the step that found no room otherwise.
fn attempt(
    target: &Target<'_>,
    lives: &[Option<Lifetime>],
    size: &[usize],
    capacity: usize,
) -> Result<(Vec<Option<usize>>, Vec<Tiling>), usize> {
    let rows = place_residents(target, lives, size, capacity)?;
    let bank_rows = target.hw.rows_per_bank() as usize;
    let mut tilings = Vec::with_capacity(target.steps.len());
    for i in 0..target.steps.len() {
        let taken: Vec<Span> = (0..size.len())
            .filter(|&v| lives[v].is_some_and(|l| l.first <= i && i <= l.last))
            .filter_map(|v| rows[v].map(|lo| Span { lo, hi: lo + size[v] }))
            .collect();
        let side = if i % 2 == 0 { Side::Low } else { Side::High };
        let mut candidates = lower::candidates(target, i);
        candidates.sort_by_key(|c| c.cost.rank(target.hw));
        let fitting = candidates.into_iter().find_map(|c| {
            let sizes: Vec<usize> = c
                .tiling
                .buffers
                .iter()
                .flat_map(|b| std::iter::repeat_n(b.rows, b.slots))
                .collect();
            place(capacity, bank_rows, &taken, &sizes, side).map(|at| (c.tiling, at))
        });
        let (mut tiling, at) = fitting.ok_or(i)?;
        let mut at = at.into_iter();
        for buffer in &mut tiling.buffers {
            buffer.at = at.by_ref().take(buffer.slots).collect();
        }
        tilings.push(tiling);
    }
    Ok((rows, tilings))
}

/// First-fit placement of the resident values, largest first, each over its whole lifetime.
fn place_residents(
    target: &Target<'_>,
    lives: &[Option<Lifetime>],
    size: &[usize],
    capacity: usize,
) -> Result<Vec<Option<usize>>, usize> {
    let mut order: Vec<(usize, Lifetime)> = lives
        .iter()
        .enumerate()
        .filter_map(|(v, l)| l.filter(|_| target.resident[v]).map(|l| (v, l)))
        .collect();
    order.sort_by_key(|&(v, _)| (std::cmp::Reverse(size[v]), v));
    let bank_rows = target.hw.rows_per_bank() as usize;
    let mut rows: Vec<Option<usize>> = vec![None; size.len()];
    let mut placed: Vec<(Lifetime, Span)> = Vec::new();
    for (v, life) in order {
        let taken: Vec<Span> = placed
            .iter()
            .filter(|(l, _)| l.first <= life.last && life.first <= l.last)
            .map(|&(_, s)| s)
            .collect();
        // Producer and consumer sit at opposite ends, so that working buffers find one large gap.
        let side = if life.first % 2 == 0 { Side::High } else { Side::Low };
        let at = place(capacity, bank_rows, &taken, &[size[v]], side).ok_or(life.first)?;
        rows[v] = Some(at[0]);
        placed.push((life, Span { lo: at[0], hi: at[0] + size[v] }));
    }
    Ok(rows)
}
