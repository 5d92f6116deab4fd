//! Measurements of whole processes, printed as a table and written to `target/bench/NAME.json`.

mod figures;
mod path;
mod process;
mod replay;

pub use figures::{Figure, Figures};
pub use path::{PathOptions, path};
pub use replay::replay;
