//! What the machine is: numerics, hardware parameters, instructions, program file.

pub mod access;
pub mod asm;
mod declare;
pub mod disasm;
pub mod error;
pub mod hardware;
pub mod inst;
pub mod instructions;
pub mod layout;
pub mod manual;
pub mod numerics;
pub mod operand;
pub mod program;
pub mod spelling;
pub mod verify;

pub use hardware::Hardware;
pub use inst::{Engine, EngineSet, Inst, Op};
pub use program::Program;
