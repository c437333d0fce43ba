//! What a timing run finds out.

use std::collections::BTreeMap;

use isa::Engine;
use isa::program::Class;

use crate::bucket::EngineCycles;

/// When a program does what, and what each engine waits for. Both cores give equal values for equal programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Cycles from the start until the last engine has halted (T3).
    pub total_cycles: u64,
    /// Cycles by bucket, indexed by [`Engine`]; each sums to `total_cycles`.
    pub engines: [EngineCycles; 4],
    /// Issue and completion of every instruction, indexed by [`Engine`] and position in its code.
    pub instructions: [Vec<Record>; 4],
    /// DRAM traffic of every class that moved anything.
    pub traffic: BTreeMap<TrafficClass, Traffic>,
    /// Time of each node, indexed as `Program::nodes`; the `cycles` sum to `total_cycles` unless there is no node at all.
    pub layers: Vec<LayerTime>,
}

/// One instruction's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Cycle in which it issued.
    pub issue: u64,
    /// Cycle in which it completed.
    pub complete: u64,
}

/// Time of one network node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerTime {
    /// Cycles attributed to this node alone (T47).
    pub cycles: u64,
    /// From first issue to last completion; overlaps with other nodes. `None` if the node has no instruction.
    pub span: Option<Span>,
    /// Cycles of each engine spent on, or waiting for, instructions of this node (T49), indexed by [`Engine`].
    pub engines: [EngineCycles; 4],
}

/// First and last moment of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Cycle of the first issue.
    pub first_issue: u64,
    /// Cycle of the last completion.
    pub finish: u64,
}

/// What DRAM traffic is for (T48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrafficClass {
    /// Weights.
    Weights,
    /// Network inputs.
    Inputs,
    /// Network outputs.
    Outputs,
    /// Intermediate tensors.
    Spills,
    /// Requantization parameters and tables.
    Params,
    /// Code.
    Instructions,
    /// Transfers whose note gives no class.
    Other,
}

impl TrafficClass {
    /// All classes, in the order of reports.
    pub const ALL: [TrafficClass; 7] = [
        TrafficClass::Weights,
        TrafficClass::Inputs,
        TrafficClass::Outputs,
        TrafficClass::Spills,
        TrafficClass::Params,
        TrafficClass::Instructions,
        TrafficClass::Other,
    ];

    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            TrafficClass::Weights => "weights",
            TrafficClass::Inputs => "inputs",
            TrafficClass::Outputs => "outputs",
            TrafficClass::Spills => "spills",
            TrafficClass::Params => "params",
            TrafficClass::Instructions => "instructions",
            TrafficClass::Other => "other",
        }
    }
}

impl From<Class> for TrafficClass {
    fn from(class: Class) -> Self {
        match class {
            Class::None => TrafficClass::Other,
            Class::Weights => TrafficClass::Weights,
            Class::Inputs => TrafficClass::Inputs,
            Class::Outputs => TrafficClass::Outputs,
            Class::Spills => TrafficClass::Spills,
            Class::Params => TrafficClass::Params,
        }
    }
}

/// DRAM bytes of one class. Read and written bytes count whole bursts (T20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Bytes of the two that were asked for.
    pub useful_bytes: u64,
}

/// An instruction by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstRef {
    /// Engine that executes it.
    pub engine: Engine,
    /// Position in the engine's code.
    pub index: u32,
}

/// A requester of DRAM bursts, in round-robin order (T21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requester {
    /// Transfers of the load engine.
    Load,
    /// Transfers of the store engine: the only one that writes.
    Store,
    /// Instruction words of an engine.
    Fetch(Engine),
}

impl Requester {
    /// All requesters in round-robin order.
    pub const ALL: [Requester; 6] = [
        Requester::Load,
        Requester::Store,
        Requester::Fetch(Engine::Load),
        Requester::Fetch(Engine::Mxu),
        Requester::Fetch(Engine::Vpu),
        Requester::Fetch(Engine::Store),
    ];

    /// Its position in the round-robin order.
    pub const fn index(self) -> usize {
        match self {
            Requester::Load => 0,
            Requester::Store => 1,
            Requester::Fetch(engine) => 2 + engine.index(),
        }
    }

    /// Whether its bursts are writes.
    pub const fn writes(self) -> bool {
        matches!(self, Requester::Store)
    }
}
