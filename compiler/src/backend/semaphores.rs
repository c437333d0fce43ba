//! Semaphores: which words wait for which, so that engines running side by side compute what the sequential order computes.
//!
//! For every word the accesses (`isa::access`) give the latest earlier word of each other engine that it conflicts with (read after write, write after
//! read, write after write). A tile that a word completes counts as read by that word, so that it is whole when it is noted, even if several words wrote it.
//! A wait is added unless an earlier wait, directly or through other engines, already implies it. Needs of one
//! pair of engines grow with the sequential order, so the k-th wait meets the k-th signal, and the sequential order itself is a legal
//! execution: no schedule can deadlock.

use std::collections::VecDeque;
use std::ops::Range;

use isa::access::{Access, Pages, Space, access};
use isa::hardware::Hardware;
use isa::inst::Engine;

use isa::program::TileNote;

use super::BackendError;
use super::stream::Task;

/// Largest count a semaphore holds.
const MAX_COUNT: usize = 255;

/// DRAM is tracked in pieces of this many bytes.
const DRAM_GRAIN: u64 = 16;

/// Index of the latest word of each engine, plus one; 0 for none.
type Latest = [u32; 4];

/// Latest writers and readers of every unit of every memory.
struct Hazards {
    spad: Vec<[Latest; 2]>,
    acc: Vec<[Latest; 2]>,
    params: Vec<[Latest; 2]>,
    tables: Vec<[Latest; 2]>,
    dram: Vec<[Latest; 2]>,
    acc_rows: usize,
    param_entries: usize,
    /// Constants and code beyond are never written.
    dram_end: u64,
}

const WRITE: usize = 0;
const READ: usize = 1;

impl Hazards {
    fn new(hw: &Hardware, dram_end: u64) -> Hazards {
        let none = [[0; 4]; 2];
        Hazards {
            spad: vec![none; hw.scratchpad_rows() as usize],
            acc: vec![none; 2 * hw.acc_rows as usize],
            params: vec![none; 2 * hw.param_entries as usize],
            tables: vec![none; 2],
            dram: vec![none; dram_end.div_ceil(DRAM_GRAIN) as usize],
            acc_rows: hw.acc_rows as usize,
            param_entries: hw.param_entries as usize,
            dram_end,
        }
    }

    /// Calls `f` with the units that an access touches.
    fn each(&mut self, a: &Access, mut f: impl FnMut(&mut [Latest; 2])) {
        for range in a.rows.intervals() {
            let (lo, hi) = (range.start as u64, range.end as u64);
            let units = match a.space {
                Space::Spad => &mut self.spad[lo as usize..hi as usize],
                Space::Acc(bank) => {
                    let base = bank as usize * self.acc_rows;
                    &mut self.acc[base + lo as usize..base + hi as usize]
                }
                Space::Params(slot) => {
                    let base = slot as usize * self.param_entries;
                    &mut self.params[base + lo as usize..base + hi as usize]
                }
                Space::Table(slot) => &mut self.tables[slot as usize..=slot as usize],
                Space::Dram => {
                    let hi = hi.min(self.dram_end);
                    if lo >= hi {
                        continue;
                    }
                    &mut self.dram[(lo / DRAM_GRAIN) as usize..hi.div_ceil(DRAM_GRAIN) as usize]
                }
            };
            units.iter_mut().for_each(&mut f);
        }
    }
}

/// Scratchpad rows of a noted tile of a tensor with `planes` byte planes.
fn noted_rows(tile: &TileNote, planes: usize, hw: &Hardware) -> Vec<Range<usize>> {
    let [h, w, c] = tile.extent.map(|n| n as usize);
    let blocks = (tile.lane as usize + c).div_ceil(hw.array_rows as usize);
    let at = |plane: usize, block: usize, y: usize| {
        let [row, row_stride, block_stride, plane_stride] =
            [tile.row, tile.row_stride, tile.block_stride, tile.plane_stride].map(|n| n as usize);
        row + plane * plane_stride + block * block_stride + y * row_stride
    };
    let all = (0..planes).flat_map(|plane| (0..blocks).map(move |block| (plane, block)));
    all.flat_map(|(plane, block)| (0..h).map(move |y| at(plane, block, y)))
        .map(|first| first..first + w)
        .collect()
}

/// Adds wait and signal sets to the tasks. `dram_end` is the first DRAM byte that no word writes from; `planes` tells the byte planes of a tensor.
///
/// # Errors
/// An internal error of the compiler: an illegal word.
pub(crate) fn synchronise(
    tasks: &mut [Task],
    hw: &Hardware,
    dram_end: u64,
    planes: impl Fn(u32) -> usize,
) -> Result<(), BackendError> {
    let mut hazards = Hazards::new(hw, dram_end);
    let mut pages = Pages::default();
    // What each engine knows to be complete, by word index plus one, and what was known when each word issued.
    let mut known: [Latest; 4] = [[0; 4]; 4];
    let mut known_at: Vec<Latest> = Vec::with_capacity(tasks.len());
    let mut waits: Vec<(usize, usize)> = Vec::new();
    for i in 0..tasks.len() {
        let inst = tasks[i].inst;
        let me = inst.engine.index();
        pages.apply(&inst);
        let touched = access(&inst, &pages, hw).map_err(|e| {
            BackendError::Internal(format!("word {i} `{}`: {e}", inst.op.mnemonic()))
        })?;
        let mut need: Latest = [0; 4];
        for a in &touched {
            hazards.each(a, |unit| {
                for e in 0..4 {
                    need[e] = need[e].max(unit[WRITE][e]);
                    if a.write {
                        need[e] = need[e].max(unit[READ][e]);
                    }
                }
            });
        }
        // Later producers first: what they imply may make the earlier ones superfluous.
        let mut others: Vec<usize> = (0..4).filter(|&e| e != me).collect();
        others.sort_by_key(|&e| std::cmp::Reverse(need[e]));
        for e in others {
            if need[e] > known[me][e] {
                let producer = need[e] as usize - 1;
                tasks[i].inst.wait.insert(Engine::ALL[e]);
                tasks[producer].inst.signal.insert(inst.engine);
                waits.push((producer, i));
                let implied = known_at[producer];
                for (mine, theirs) in known[me].iter_mut().zip(implied) {
                    *mine = (*mine).max(theirs);
                }
                known[me][e] = need[e];
            }
        }
        known_at.push(known[me]);
        for a in &touched {
            let kind = if a.write { WRITE } else { READ };
            hazards.each(a, |unit| unit[kind][me] = i as u32 + 1);
        }
        if let Some(tile) = &tasks[i].note.tile {
            for rows in noted_rows(tile, planes(tile.tensor), hw) {
                hazards.spad[rows].iter_mut().for_each(|unit| unit[READ][me] = i as u32 + 1);
            }
        }
    }
    thin(tasks, waits);
    Ok(())
}

/// Lets the sequential order never hold more than 255 of one semaphore, which keeps it a legal execution: where it would, waits
/// are merged two by two. The earlier consumer waits for the later producer, which in the sequential order is in front of both;
/// so all that was ordered still is.
fn thin(tasks: &mut [Task], mut waits: Vec<(usize, usize)>) {
    let mut outstanding: [VecDeque<(usize, usize)>; 16] = Default::default();
    waits.sort_unstable();
    for (producer, consumer) in waits {
        let [from, to] = [producer, consumer].map(|word| tasks[word].inst.engine);
        let pairs = &mut outstanding[from.index() * 4 + to.index()];
        while pairs.front().is_some_and(|&(_, consumer)| consumer < producer) {
            pairs.pop_front();
        }
        pairs.push_back((producer, consumer));
        if pairs.len() > MAX_COUNT {
            let merged = pairs.make_contiguous().chunks(2).map(|two| match *two {
                [(early, first), (late, second)] => {
                    tasks[early].inst.signal.remove(to);
                    tasks[second].inst.wait.remove(from);
                    (late, first)
                }
                _ => two[0],
            });
            *pairs = merged.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use isa::inst::{Inst, Op};
    use isa::instructions::Sync;
    use isa::program::Note;

    use super::*;

    /// Largest count of any semaphore in the sequential order, and the waits that remain.
    fn walk(tasks: &[Task]) -> (usize, Vec<(usize, usize)>) {
        let mut signals = VecDeque::new();
        let (mut most, mut waits) = (0, Vec::new());
        for (index, task) in tasks.iter().enumerate() {
            if !task.inst.wait.is_empty() {
                waits.push((signals.pop_front().expect("a signal for each wait"), index));
            }
            if !task.inst.signal.is_empty() {
                signals.push_back(index);
            }
            most = most.max(signals.len());
        }
        assert!(signals.is_empty(), "a wait for each signal");
        (most, waits)
    }

    #[test]
    fn a_far_ahead_producer_is_waited_for_less_often_but_no_later() {
        for count in [255, 256, 257, 1000] {
            let word =
                |engine| Task { inst: Inst::new(engine, Op::from(Sync {})), note: Note::default() };
            let mut tasks = vec![word(Engine::Vpu); count];
            tasks.extend(vec![word(Engine::Store); count]);
            let waits: Vec<(usize, usize)> = (0..count).map(|i| (i, count + i)).collect();
            for &(producer, consumer) in &waits {
                tasks[producer].inst.signal.insert(Engine::Store);
                tasks[consumer].inst.wait.insert(Engine::Vpu);
            }
            thin(&mut tasks, waits.clone());
            let (most, left) = walk(&tasks);
            assert!(most <= MAX_COUNT, "{most}");
            assert_eq!(left.len() == count, count <= MAX_COUNT);
            for (producer, consumer) in waits {
                assert!(left.iter().any(|&(p, c)| producer <= p && c <= consumer));
            }
        }
    }
}
