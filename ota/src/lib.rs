//! Releases and over-the-air updates: the core that both ends share.
//!
//! Nothing is built here yet. What will live in this crate, and nowhere else:
//!
//! - **releases**: building and signing them, with deltas between two of them;
//! - **verification** by The Update Framework (TUF): metadata and targets are checked from end to end before a
//!   byte of them is executed;
//! - **slots**: two of them, the one that works is never written to, and a release that does not prove itself
//!   is rolled back;
//! - **campaigns**: a pure planner that says which lamppost is offered which release next;
//! - the **transparency log** of everything that was ever released.
//!
//! The core opens no socket and reads no clock: the agent and the server hand it bytes and time.
