//! The web, over real sockets.

mod access;
mod basemap;
mod coding;
mod console;
mod data;
mod description;
mod feeds;
mod problems;
mod rig;
mod schema;
mod stops;
