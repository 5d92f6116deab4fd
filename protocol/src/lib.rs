//! The language that a lamppost and the fleet server speak.
//!
//! Messages are protobuf (`proto/lamplighter/v1/delivery.proto` is the published form, [`wire`] the generated one);
//! this crate adds what a `.proto` cannot say: identifiers and quantities as types that cannot be wrong, topics,
//! the catalogue of observed properties, sets of sequences, the limits of a payload, and the checks that turn bytes
//! from outside into those types.
//!
//! It is pure: no socket, no file, no clock. `DELIVERY` rules (D1 to D16) that the code names are those of the
//! delivery contract, which `ARCHITECTURE.md` sums up.

mod catalogue;
mod command;
mod decimal;
mod description;
mod dropped;
mod frame;
mod hello;
mod id;
pub mod limits;
mod pieces;
mod plausible;
mod position;
mod quality;
mod set_aside;
mod statistic;
mod time;
mod topic;
pub mod wire;

pub use catalogue::{Catalogue, CatalogueError, Privacy, Property, Theme};
pub use command::{Command, CommandAction, CommandError};
pub use decimal::{Decimal, DecimalError};
pub use description::{Description, DescriptionError, Device, Grid, Series, ValueType};
pub use dropped::{DropReason, Dropped, DroppedSeries};
pub use frame::{CommandReport, Dating, Frame, FrameError, Observation, Opening, Record, RecordError, Tick};
pub use hello::{Hello, HelloError, RunHeld};
pub use id::{
    ChannelName, CommandId, DeviceName, Digest, IdError, LamppostNumber, Nonce, OutboxId, PropertyName,
    RunId, SeriesName,
};
pub use pieces::{Pieces, PiecesError};
pub use plausible::{EARLIEST, ImplausibleTime, TOO_LATE};
pub use position::{LogHeld, Position, PositionError, RunPosition, ServerClock};
pub use quality::{Quality, Reason};
pub use set_aside::{SetAside, SetAsideReason};
pub use statistic::Statistic;
pub use time::{UtcMillis, whole_ms};
pub use topic::{Leaf, Log, Topic, TopicError};
