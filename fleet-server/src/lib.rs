//! The fleet server, as a library: the binary is a thin `main.rs`.

pub mod clock;
