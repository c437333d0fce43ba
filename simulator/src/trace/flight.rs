//! Instructions that have issued and not completed, and the lanes they are drawn on.

use std::collections::VecDeque;

use serde_json::Value;

use super::event::Args;

/// An instruction under way.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    /// Position in its engine's code.
    pub(super) index: u32,
    /// Lane of its engine, 0 upwards.
    pub(super) lane: u32,
    pub(super) issue: u64,
    pub(super) args: Args,
    /// Arrows that end here.
    pub(super) arrows_in: Vec<u64>,
    /// Arrows that begin here, signalled before the completion was told.
    pub(super) arrows_out: Vec<u64>,
}

/// Instructions of one engine under way, oldest first: they complete in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    queue: VecDeque<InFlight>,
    /// Which lanes are taken.
    lanes: Vec<bool>,
    /// Last completed instruction: index, lane, issue.
    last: Option<(u32, u32, u64)>,
}

impl Flights {
    /// Puts the instruction `index` on the first free lane at `cycle`, unless it is on one already. Returns the lane if it is a new
    /// one.
    pub(super) fn enter(&mut self, index: u32, cycle: u64) -> Option<u32> {
        if self.find(index).is_some() {
            return None;
        }
        let free = self.lanes.iter().position(|taken| !taken);
        let at = free.unwrap_or(self.lanes.len());
        if free.is_none() {
            self.lanes.push(false);
        }
        self.lanes[at] = true;
        let lane = at as u32;
        let (arrows_in, arrows_out) = (Vec::new(), Vec::new());
        self.queue.push_back(InFlight {
            index,
            lane,
            issue: cycle,
            args: Args::new(),
            arrows_in,
            arrows_out,
        });
        free.is_none().then_some(lane)
    }

    /// The instruction `index`, if it is under way.
    pub(super) fn find(&mut self, index: u32) -> Option<&mut InFlight> {
        self.queue.iter_mut().find(|flight| flight.index == index)
    }

    /// Takes a completed instruction out.
    pub(super) fn leave(&mut self, index: u32) -> Option<InFlight> {
        let at = self.queue.iter().position(|flight| flight.index == index)?;
        let flight = self.queue.remove(at)?;
        self.lanes[flight.lane as usize] = false;
        self.last = Some((flight.index, flight.lane, flight.issue));
        Some(flight)
    }

    /// Notes an arrow that begins at `index`. If that instruction has been drawn already, returns its lane and issue.
    pub(super) fn signal(&mut self, index: u32, id: u64) -> Option<(u32, u64)> {
        match self.find(index) {
            Some(flight) => {
                flight.arrows_out.push(id);
                None
            }
            None => self.last.filter(|last| last.0 == index).map(|(_, lane, issue)| (lane, issue)),
        }
    }
}

/// Adds a number, unless it is 0.
pub(super) fn note(args: &mut Args, name: &str, count: u64) {
    if count > 0 {
        args.insert(name.to_owned(), Value::from(count));
    }
}
