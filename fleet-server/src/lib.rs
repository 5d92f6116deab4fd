//! The fleet server, as a library: the binary is a thin `main.rs`.

pub mod audit;
pub mod backup;
pub mod ca;
pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod est;
pub mod feeds;
pub mod gateway;
pub mod ingest;
pub mod journal;
pub mod live;
pub mod registry;
pub mod roll;
pub mod server;
pub mod store;
pub mod web;
