//! The web, over real sockets.

mod access;
mod basemap;
mod city;
mod coding;
mod console;
mod csv;
mod data;
mod description;
mod feeds;
mod problems;
mod rig;
mod schema;
mod stops;
mod system;
mod unread;
