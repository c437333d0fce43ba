//! How a network becomes a program.
