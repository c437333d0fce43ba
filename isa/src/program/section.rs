//! Sections: the parts of a program file.

use std::fmt;

use crate::inst::Engine;

/// A part of a program, in the file and in error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// Magic, version and section table.
    Header,
    /// Hash and text of the hardware parameters.
    Hardware,
    /// Facts about the network.
    Meta,
    /// Tensors.
    Tensors,
    /// Network inputs.
    Inputs,
    /// Network outputs.
    Outputs,
    /// Network nodes.
    Nodes,
    /// Words of an engine.
    Code(Engine),
    /// Notes of an engine's words.
    Notes(Engine),
    /// Size of DRAM; constants and where they lie.
    Constants,
    /// Integer reference graph.
    Reference,
    /// Float model.
    FloatModel,
    /// What the host computes in front of the program.
    HostHead,
    /// What the host computes behind it.
    HostTail,
}

impl SectionKind {
    /// Every section a file can have, in file order; the last four may be absent.
    pub const ALL: [SectionKind; 19] = [
        SectionKind::Hardware,
        SectionKind::Meta,
        SectionKind::Tensors,
        SectionKind::Inputs,
        SectionKind::Outputs,
        SectionKind::Nodes,
        SectionKind::Code(Engine::Load),
        SectionKind::Code(Engine::Mxu),
        SectionKind::Code(Engine::Vpu),
        SectionKind::Code(Engine::Store),
        SectionKind::Notes(Engine::Load),
        SectionKind::Notes(Engine::Mxu),
        SectionKind::Notes(Engine::Vpu),
        SectionKind::Notes(Engine::Store),
        SectionKind::Constants,
        SectionKind::Reference,
        SectionKind::FloatModel,
        SectionKind::HostHead,
        SectionKind::HostTail,
    ];

    /// Its number in the section table: its position in [`ALL`](Self::ALL), from 1; 0 is the header.
    pub(super) fn number(self) -> u32 {
        SectionKind::ALL.iter().position(|&kind| kind == self).map_or(0, |at| at as u32 + 1)
    }

    /// The section with a number of the table.
    pub(super) fn from_number(number: u32) -> Option<SectionKind> {
        SectionKind::ALL.get((number as usize).checked_sub(1)?).copied()
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SectionKind::Header => f.write_str("header"),
            SectionKind::Hardware => f.write_str("hardware"),
            SectionKind::Meta => f.write_str("meta"),
            SectionKind::Tensors => f.write_str("tensors"),
            SectionKind::Inputs => f.write_str("inputs"),
            SectionKind::Outputs => f.write_str("outputs"),
            SectionKind::Nodes => f.write_str("nodes"),
            SectionKind::Code(engine) => write!(f, "code.{engine}"),
            SectionKind::Notes(engine) => write!(f, "notes.{engine}"),
            SectionKind::Constants => f.write_str("constants"),
            SectionKind::Reference => f.write_str("reference"),
            SectionKind::FloatModel => f.write_str("float_model"),
            SectionKind::HostHead => f.write_str("host_head"),
            SectionKind::HostTail => f.write_str("host_tail"),
        }
    }
}
