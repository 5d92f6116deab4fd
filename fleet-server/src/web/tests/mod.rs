//! The web, over real sockets.

mod access;
mod basemap;
mod city;
mod coding;
mod completeness;
mod console;
mod csv;
mod data;
mod decisions;
mod departments;
mod description;
mod enrolment;
mod feeds;
mod life;
mod outboxes;
mod problems;
mod rig;
mod schema;
mod speaker;
mod stops;
mod system;
mod unread;
