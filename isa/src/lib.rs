//! What the machine is: numerics, hardware parameters, instructions, program file.

pub mod hardware;
pub mod layout;
pub mod numerics;
