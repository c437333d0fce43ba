//! What the machine is: numerics, hardware parameters, instructions, program file.
