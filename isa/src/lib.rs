//! What the machine is: numerics, hardware parameters, instructions, program file.

pub mod access;
mod declare;
pub mod error;
pub mod hardware;
pub mod inst;
pub mod instructions;
pub mod layout;
pub mod numerics;
pub mod operand;
pub mod program;
pub mod verify;

pub use hardware::Hardware;
pub use inst::{Engine, EngineSet, Inst, Op};
pub use program::Program;
