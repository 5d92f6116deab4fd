//! Measurements of whole processes, printed as a table and written to `target/bench/NAME.json`.

mod backlog;
mod console;
mod feed;
mod figures;
mod gateway;
mod import;
mod large_city;
mod outbox;
mod outbox_writes;
mod path;
mod process;
mod replay;

pub use backlog::{BacklogOptions, backlog};
pub use console::{console, soak};
pub use figures::{Figure, Figures};
pub use gateway::{GatewayOptions, GatewayPart, gateway};
pub use import::import;
pub use outbox::outbox;
pub use path::{PathOptions, path};
pub use replay::replay;
