//! The agent on one lamppost, as a library: the binary is a thin `main.rs`, and one process can run many agents.

pub mod clock;
