//! Whole sampling threads over models of the sensors: what the outbox would get.

mod rig;
mod sampling;
mod serial;
mod stepped;
