//! Frames and the records in them.

use prost::Message as _;
use prost::bytes::Bytes;

use crate::dropped::Dropped;
use crate::id::{CommandId, Digest, IdError, Nonce, RunId};
use crate::quality::{Quality, Reason};
use crate::time::UtcMillis;
use crate::{limits, wire};

/// Records of one log of one run with consecutive sequences, all written in one description. The records are still
/// bytes: each is read on its own, so that one that cannot be read costs nothing but itself (D12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Connection that it was sent on.
    pub nonce: Nonce,
    /// Number of this message on its connection, from 1.
    pub count: u64,
    /// The run that its records belong to.
    pub run: RunId,
    /// Sequence of the first record.
    pub first: u64,
    /// What the records are written in.
    pub description: Digest,
    /// The records, at least one, serialised.
    pub records: Vec<Bytes>,
}

/// Why a frame's envelope is refused.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not the message that it should be.
    #[error("the frame is not readable protobuf")]
    Unreadable(#[from] prost::DecodeError),
    /// Written in a later version of the language.
    #[error("the frame needs version {0} of the language, this is {ours}", ours = limits::VERSION)]
    Newer(u32),
    /// An id is not one.
    #[error("an id in the frame's envelope is wrong")]
    Id(#[from] IdError),
    /// First and last sequence do not fit the number of records, or there are none or too many.
    #[error("the frame says sequences {first} to {last} and holds {records} records")]
    Sequences {
        /// First sequence as stated.
        first: u64,
        /// Last sequence as stated.
        last: u64,
        /// How many records there are.
        records: usize,
    },
}

impl Frame {
    /// Reads and checks a frame's envelope.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn decode(payload: Bytes) -> Result<Self, FrameError> {
        let message = wire::Frame::decode(payload)?;
        if message.version > limits::VERSION {
            return Err(FrameError::Newer(message.version));
        }
        let (first, last, records) = (message.first, message.last, message.records.len());
        let fits = last.checked_sub(first).is_some_and(|more| more == (records as u64).wrapping_sub(1));
        if records == 0 || records > limits::MAX_RECORDS_PER_FRAME || !fits || last >= 1 << 62 {
            return Err(FrameError::Sequences { first, last, records });
        }
        Ok(Self {
            nonce: Nonce::from_slice(&message.nonce)?,
            count: message.count,
            run: RunId::from_slice(&message.run)?,
            first,
            description: Digest::from_slice(&message.description)?,
            records: message.records,
        })
    }

    /// The payload to publish.
    pub fn encode(&self) -> Vec<u8> {
        let message = wire::Frame {
            version: limits::VERSION,
            nonce: self.nonce.0.to_vec(),
            count: self.count,
            run: self.run.0.to_vec(),
            first: self.first,
            last: self.last(),
            description: self.description.0.to_vec(),
            records: self.records.clone(),
        };
        message.encode_to_vec()
    }

    /// Sequence of the last record.
    pub fn last(&self) -> u64 {
        self.first.saturating_add((self.records.len() as u64).saturating_sub(1))
    }
}

/// What one sequence of a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// One device's tick.
    Tick(Tick),
    /// The first record of a run (D1).
    Opening(Opening),
    /// How a command fared.
    Command(CommandReport),
    /// What had to go before the server was known to hold it (D11).
    Dropped(Dropped),
    /// Between which times a run lies that never learnt the time (D3).
    Dating(Dating),
}

/// What one device was read to say at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Place of the device in the description.
    pub device: usize,
    /// Phenomenon time.
    pub time: UtcMillis,
    /// What was observed; a series that is not here was not read.
    pub observations: Vec<Observation>,
}

/// One observation of a tick. There is a value unless the reason is a bad one: [`Record::decode`] sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Place of the series in the device.
    pub series: usize,
    /// Whole number of the series' resolution.
    pub value: Option<i64>,
    /// Why it is less than good, or [`Reason::GOOD`].
    pub reason: Reason,
}

/// The first record of every run: where the run before it ended on disk (D1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The run before; none for the first run of an outbox.
    pub run_before: Option<RunId>,
    /// How many records the samples of the run before hold on disk.
    pub samples_end: u64,
    /// How many records the events of the run before hold on disk.
    pub events_end: u64,
    /// When the run before is last known to have been alive.
    pub ended: Option<UtcMillis>,
    /// When this run opened.
    pub opened: UtcMillis,
}

/// A run never learnt the time, and was placed between its neighbours (D3). It may be said more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dating {
    /// Which run.
    pub run: RunId,
    /// It was not before this; none: nothing is known of that.
    pub earliest: Option<UtcMillis>,
    /// It was not after this.
    pub latest: UtcMillis,
    /// When it was placed.
    pub time: UtcMillis,
}

/// How a command fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandReport {
    /// Which command.
    pub id: CommandId,
    /// What became of it.
    pub state: wire::CommandState,
    /// When.
    pub time: UtcMillis,
    /// For people: why it failed.
    pub detail: String,
}

/// Why one record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not the message that it should be.
    #[error("the record is not readable protobuf")]
    Unreadable(#[from] prost::DecodeError),
    /// It holds nothing that this version knows.
    #[error("the record holds nothing that this version knows")]
    Unknown,
    /// An id is not one.
    #[error("an id in the record is wrong")]
    Id(#[from] IdError),
    /// A reason code above 255.
    #[error("the reason code {0} is not one")]
    Reason(u32),
    /// Value and reason contradict each other.
    #[error("an observation has a value exactly when its reason is not a bad one")]
    ValueAndReason,
    /// A report of what was dropped makes no sense.
    #[error("the report of what was dropped breaks a rule: {0}")]
    Dropped(&'static str),
    /// The bounds of a run that never learnt the time contradict each other.
    #[error("a run is placed after its end")]
    Bounds,
}

impl Record {
    /// Reads and checks one record.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match wire::Record::decode(bytes)?.body.ok_or(RecordError::Unknown)? {
            wire::record::Body::Tick(tick) => Ok(Self::Tick(Tick {
                device: tick.device as usize,
                time: UtcMillis(tick.time_ms),
                observations: tick.observations.iter().map(observation).collect::<Result<_, _>>()?,
            })),
            wire::record::Body::Opening(opening) => Ok(Self::Opening(Opening {
                run_before: Some(opening.run_before)
                    .filter(|run| !run.is_empty())
                    .map(|run| RunId::from_slice(&run))
                    .transpose()?,
                samples_end: opening.samples_end,
                events_end: opening.events_end,
                ended: opening.ended_ms.map(UtcMillis),
                opened: UtcMillis(opening.opened_ms),
            })),
            wire::record::Body::Command(report) => Ok(Self::Command(CommandReport {
                id: CommandId::from_slice(&report.id)?,
                state: report.state(),
                time: UtcMillis(report.time_ms),
                detail: report.detail,
            })),
            wire::record::Body::Dropped(dropped) => Ok(Self::Dropped(dropped.try_into()?)),
            wire::record::Body::Dating(dating) => {
                let (earliest, latest) = (dating.earliest_ms.map(UtcMillis), UtcMillis(dating.latest_ms));
                if earliest.is_some_and(|earliest| earliest > latest) {
                    return Err(RecordError::Bounds);
                }
                let (run, time) = (RunId::from_slice(&dating.run)?, UtcMillis(dating.time_ms));
                Ok(Self::Dating(Dating { run, earliest, latest, time }))
            }
        }
    }

    /// The record serialised.
    pub fn encode(&self) -> Vec<u8> {
        let body = match self {
            Self::Tick(tick) => wire::record::Body::Tick(wire::Tick {
                device: u32::try_from(tick.device).unwrap_or(u32::MAX),
                time_ms: tick.time.0,
                observations: tick.observations.iter().map(|one| one.to_wire()).collect(),
            }),
            Self::Opening(opening) => wire::record::Body::Opening(wire::Opening {
                run_before: opening.run_before.map(|run| run.0.to_vec()).unwrap_or_default(),
                samples_end: opening.samples_end,
                events_end: opening.events_end,
                ended_ms: opening.ended.map(|time| time.0),
                opened_ms: opening.opened.0,
            }),
            Self::Command(report) => wire::record::Body::Command(wire::CommandReport {
                id: report.id.0.to_vec(),
                state: report.state.into(),
                time_ms: report.time.0,
                detail: report.detail.clone(),
            }),
            Self::Dropped(dropped) => wire::record::Body::Dropped(dropped.to_wire()),
            Self::Dating(dating) => wire::record::Body::Dating(wire::Dating {
                run: dating.run.0.to_vec(),
                earliest_ms: dating.earliest.map(|time| time.0),
                latest_ms: dating.latest.0,
                time_ms: dating.time.0,
            }),
        };
        wire::Record { body: Some(body) }.encode_to_vec()
    }
}

impl Observation {
    fn to_wire(self) -> wire::Observation {
        wire::Observation {
            series: u32::try_from(self.series).unwrap_or(u32::MAX),
            value: self.value,
            reason: u32::from(self.reason.0),
        }
    }
}

fn observation(message: &wire::Observation) -> Result<Observation, RecordError> {
    let reason = Reason(u8::try_from(message.reason).map_err(|_| RecordError::Reason(message.reason))?);
    if message.value.is_some() == (reason.quality() == Quality::Bad) {
        return Err(RecordError::ValueAndReason);
    }
    Ok(Observation { series: message.series as usize, value: message.value, reason })
}
