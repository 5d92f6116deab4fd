//! Positions (D8): what the server holds.

use prost::Message as _;

use crate::id::{Digest, IdError, Nonce, RunId};
use crate::pieces::{Pieces, PiecesError};
use crate::time::UtcMillis;
use crate::topic::Log;
use crate::{limits, wire};

/// A position: the answer to one hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Of the hello that this answers.
    pub nonce: Nonce,
    /// The greatest count read under that nonce.
    pub count: u64,
    /// Greater than that of every position before it (D8). It says nothing of the time: a server whose clock was set back
    /// only counts on.
    pub server_time: UtcMillis,
    /// What is held of each run that the hello names.
    pub runs: Vec<RunPosition>,
    /// Descriptions that frames named and the server lacks.
    pub lacking: Vec<Digest>,
    /// The newest version of the language that the server reads.
    pub newest_version: u32,
    /// What the server's clock showed.
    pub clock: ServerClock,
}

/// What a server says of its clock in a position (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerClock {
    /// It shows this.
    Shows(UtcMillis),
    /// It cannot be right: nobody is to go by it.
    Wrong,
    /// Nothing: the server is older than the field.
    Unsaid,
}

/// Stands for the time of a clock that cannot be right: no clock that is shows 1970.
const WRONG: i64 = 0;

/// What the server holds of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPosition {
    /// Which run.
    pub run: RunId,
    /// Of its samples.
    pub samples: LogHeld,
    /// Of its events.
    pub events: LogHeld,
}

impl RunPosition {
    /// What is held of one log.
    pub fn log(&self, log: Log) -> &LogHeld {
        match log {
            Log::Samples => &self.samples,
            Log::Events => &self.events,
        }
    }
}

/// What the server holds of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHeld {
    /// The sequences that are stored or have another verdict.
    pub pieces: Pieces,
    /// Below this, what is not in `pieces` is missing; beyond it nothing is said.
    pub complete_below: u64,
}

impl LogHeld {
    /// All that is held. Past `most` pieces the farthest are left out, and nothing is said of what lies beyond. Of one log a
    /// position has no more than [`limits::MAX_PIECES_PER_LOG`].
    pub fn cut(pieces: &Pieces, most: usize) -> Self {
        let named = pieces.first(most);
        let complete_below = if pieces.ranges().len() > most { named.end() } else { u64::MAX };
        Self { pieces: named, complete_below }
    }
}

/// Why a position is refused.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// Not the message that it should be.
    #[error("the position is not readable protobuf")]
    Unreadable(#[from] prost::DecodeError),
    /// Written in a later version of the language.
    #[error("the position needs version {0} of the language, this is {ours}", ours = limits::VERSION)]
    Newer(u32),
    /// An id is not one.
    #[error("an id in the position is wrong")]
    Id(#[from] IdError),
    /// Pieces that are none.
    #[error("the pieces of a run are wrong")]
    Pieces(#[from] PiecesError),
}

impl Position {
    /// Reads and checks a position's payload.
    ///
    /// # Errors
    /// [`PositionError`].
    pub fn decode(payload: &[u8]) -> Result<Self, PositionError> {
        let message = wire::Position::decode(payload)?;
        if message.version > limits::VERSION {
            return Err(PositionError::Newer(message.version));
        }
        let lacking = message.lacking_descriptions.iter().map(|bytes| Digest::from_slice(bytes));
        Ok(Self {
            nonce: Nonce::from_slice(&message.nonce)?,
            count: message.count,
            server_time: UtcMillis(message.server_time_ms),
            runs: message.runs.into_iter().map(run_position).collect::<Result<_, _>>()?,
            lacking: lacking.collect::<Result<_, _>>()?,
            newest_version: message.newest_version,
            clock: match message.clock_ms {
                None => ServerClock::Unsaid,
                Some(WRONG) => ServerClock::Wrong,
                Some(ms) => ServerClock::Shows(UtcMillis(ms)),
            },
        })
    }

    /// Bytes of the payload.
    pub fn encoded_len(&self) -> usize {
        self.to_wire().encoded_len()
    }

    /// The payload to publish.
    pub fn encode(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    fn to_wire(&self) -> wire::Position {
        let log = |held: &LogHeld| {
            Some(wire::LogHeld {
                pieces: held.pieces.to_wire(usize::MAX),
                complete_below: held.complete_below,
            })
        };
        let runs = self.runs.iter().map(|held| wire::RunHeld {
            run: held.run.0.to_vec(),
            samples: log(&held.samples),
            events: log(&held.events),
        });
        wire::Position {
            version: limits::VERSION,
            nonce: self.nonce.0.to_vec(),
            count: self.count,
            server_time_ms: self.server_time.0,
            runs: runs.collect(),
            lacking_descriptions: self.lacking.iter().map(|digest| digest.0.to_vec()).collect(),
            newest_version: self.newest_version,
            clock_ms: match self.clock {
                ServerClock::Unsaid => None,
                ServerClock::Wrong => Some(WRONG),
                ServerClock::Shows(time) => Some(time.0),
            },
        }
    }

    /// What time it was, by the server's clock; none if that cannot be right. Of a server that says nothing of its clock,
    /// the [order](Self::server_time) is taken, which is its time unless it was set back.
    pub fn time(&self) -> Option<UtcMillis> {
        match self.clock {
            ServerClock::Shows(time) => Some(time),
            ServerClock::Wrong => None,
            ServerClock::Unsaid => Some(self.server_time),
        }
    }

    /// What is held of a run, if this position speaks of it.
    pub fn of(&self, run: RunId) -> Option<&RunPosition> {
        self.runs.iter().find(|held| held.run == run)
    }
}

fn run_position(message: wire::RunHeld) -> Result<RunPosition, PositionError> {
    let log = |log: Option<wire::LogHeld>| {
        let log = log.unwrap_or_default();
        Ok::<_, PiecesError>(LogHeld {
            pieces: Pieces::try_from(&log.pieces[..])?,
            complete_below: log.complete_below,
        })
    };
    Ok(RunPosition {
        run: RunId::from_slice(&message.run)?,
        samples: log(message.samples)?,
        events: log(message.events)?,
    })
}
