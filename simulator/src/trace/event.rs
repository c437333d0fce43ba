//! One event of the trace-event format.

use serde::Serialize;
use serde_json::{Map, Value};

/// Arguments of an event: what the viewer lists when it is selected.
pub(super) type Args = Map<String, Value>;

/// One event; fields that its phase does not use are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Event<'a> {
    pub(super) name: &'a str,
    /// Phase: `X` slice, `s` and `f` ends of an arrow, `C` counter, `M` name of a track.
    pub(super) ph: &'static str,
    pub(super) pid: u32,
    pub(super) tid: u32,
    /// Cycle.
    pub(super) ts: u64,
    /// Cycles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dur: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    /// Binding point of the end of an arrow: `e`, the slice around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bp: Option<&'static str>,
    /// Colour, by a name that the viewer knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cname: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) args: Args,
}

/// The process of the engine tracks.
pub(super) const ENGINES: u32 = 1;
/// The process of the instruction lanes.
pub(super) const INSTRUCTIONS: u32 = 2;
/// The process of the counters.
pub(super) const MEMORY: u32 = 3;

impl<'a> Event<'a> {
    pub(super) fn slice(
        name: &'a str,
        pid: u32,
        tid: u32,
        cycles: std::ops::Range<u64>,
    ) -> Event<'a> {
        let dur = Some(cycles.end - cycles.start);
        Event { name, ph: "X", pid, tid, ts: cycles.start, dur, ..Event::default() }
    }

    /// Name of a process (`tid` 0 and `process_name`) or of a track (`thread_name`).
    pub(super) fn meta(
        kind: &'static str,
        pid: u32,
        tid: u32,
        value: impl Into<Value>,
    ) -> Event<'static> {
        let key = if kind.ends_with("sort_index") { "sort_index" } else { "name" };
        let args = Map::from_iter([(key.to_owned(), value.into())]);
        Event { name: kind, ph: "M", pid, tid, args, ..Event::default() }
    }

    /// One end of an arrow.
    pub(super) fn flow(ph: &'static str, tid: u32, cycle: u64, id: u64) -> Event<'static> {
        Event {
            name: "semaphore",
            ph,
            pid: INSTRUCTIONS,
            tid,
            ts: cycle,
            cat: Some("semaphore"),
            id: Some(id),
            bp: (ph == "f").then_some("e"),
            ..Event::default()
        }
    }

    pub(super) fn counter(name: &'static str, cycle: u64, args: Args) -> Event<'static> {
        Event { name, ph: "C", pid: MEMORY, ts: cycle, args, ..Event::default() }
    }
}
