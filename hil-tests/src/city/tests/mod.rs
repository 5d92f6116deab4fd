//! Cities without a server: where they stand, what they refuse, and that they sample.

mod positions;
mod running;
mod told;
mod unknown_time;
