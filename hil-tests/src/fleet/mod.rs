//! A whole fleet on this machine, as real processes over real sockets: a server with its data in a directory of its
//! own, and simulated lampposts that the real agent runs on. The demo, the benchmarks and the end-to-end tests use it.

mod api;
mod binaries;
pub mod observed;
mod process;
mod server;
mod street;
mod wait;

pub use api::Api;
pub use binaries::Binaries;
pub use process::Ending;
pub(crate) use process::signal;
pub use server::{Certificates, ServerPlace, ServerProcess};
pub use street::{Street, StreetProcess};
pub use wait::{monotonic, wait_for};
