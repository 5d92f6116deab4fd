//! Hellos (D8): what opens a connection.

use prost::Message as _;

use crate::id::{IdError, Nonce, OutboxId, RunId};
use crate::pieces::{Pieces, PiecesError};
use crate::set_aside::SetAside;
use crate::{limits, wire};

/// A hello, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Names the connection.
    pub nonce: Nonce,
    /// Number of this message on its connection, from 1.
    pub count: u64,
    /// Which outbox speaks.
    pub outbox: OutboxId,
    /// The run that speaks.
    pub run: RunId,
    /// What the outbox holds; at most [`limits::MAX_RUNS_PER_HELLO`] runs.
    pub runs: Vec<RunHeld>,
    /// Version of the agent, for people.
    pub agent_version: String,
    /// Serial number of the hardware, for people and for D14.
    pub hardware_serial: String,
    /// Generation of the configuration that runs.
    pub generation: u64,
    /// Outboxes beside the one that speaks that were set aside (D14); at most [`limits::MAX_SET_ASIDE_PER_HELLO`].
    pub set_aside: Vec<SetAside>,
}

/// What an outbox holds of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHeld {
    /// Which run.
    pub run: RunId,
    /// Sequences of its samples.
    pub samples: Pieces,
    /// Sequences of its events.
    pub events: Pieces,
}

/// Why a hello is refused.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// Not the message that it should be.
    #[error("the hello is not readable protobuf")]
    Unreadable(#[from] prost::DecodeError),
    /// Written in a later version of the language.
    #[error("the hello needs version {0} of the language, this is {ours}", ours = limits::VERSION)]
    Newer(u32),
    /// An id is not one.
    #[error("an id in the hello is wrong")]
    Id(#[from] IdError),
    /// Pieces that are none.
    #[error("the pieces of a run are wrong")]
    Pieces(#[from] PiecesError),
    /// More than a hello may name.
    #[error("the hello names more runs, pieces or outboxes, or longer texts, than it may")]
    TooLong,
}

impl Hello {
    /// Reads and checks a hello's payload.
    ///
    /// # Errors
    /// [`HelloError`].
    pub fn decode(payload: &[u8]) -> Result<Self, HelloError> {
        let message = wire::Hello::decode(payload)?;
        if message.version > limits::VERSION {
            return Err(HelloError::Newer(message.version));
        }
        if message.runs.len() > limits::MAX_RUNS_PER_HELLO
            || message.agent_version.len() > 64
            || message.hardware_serial.len() > limits::MAX_SERIAL_BYTES
            || message.set_aside.len() > limits::MAX_SET_ASIDE_PER_HELLO
            || message.set_aside.iter().any(|one| one.hardware_serial.len() > limits::MAX_SERIAL_BYTES)
        {
            return Err(HelloError::TooLong);
        }
        Ok(Self {
            nonce: Nonce::from_slice(&message.nonce)?,
            count: message.count,
            outbox: OutboxId::from_slice(&message.outbox)?,
            run: RunId::from_slice(&message.run)?,
            runs: message.runs.into_iter().map(run_held).collect::<Result<_, _>>()?,
            agent_version: message.agent_version,
            hardware_serial: message.hardware_serial,
            generation: message.generation,
            set_aside: message.set_aside.into_iter().map(SetAside::try_from).collect::<Result<_, _>>()?,
        })
    }

    /// The payload to publish. Of logs that are torn to very many pieces the farthest are left out, so that it fits.
    pub fn encode(&self) -> Vec<u8> {
        let fewer = [limits::MAX_PIECES_PER_LOG, 16, 4];
        let fits = |most: &usize| self.to_wire(*most).encoded_len() <= limits::MAX_PAYLOAD_BYTES;
        self.to_wire(fewer.into_iter().find(fits).unwrap_or(1)).encode_to_vec()
    }

    fn to_wire(&self, most: usize) -> wire::Hello {
        let log = |pieces: &Pieces| Some(wire::LogHeld { pieces: pieces.to_wire(most), complete_below: 0 });
        let runs = self.runs.iter().map(|held| wire::RunHeld {
            run: held.run.0.to_vec(),
            samples: log(&held.samples),
            events: log(&held.events),
        });
        wire::Hello {
            version: limits::VERSION,
            nonce: self.nonce.0.to_vec(),
            count: self.count,
            outbox: self.outbox.0.to_vec(),
            run: self.run.0.to_vec(),
            runs: runs.collect(),
            agent_version: self.agent_version.clone(),
            hardware_serial: self.hardware_serial.clone(),
            generation: self.generation,
            set_aside: self.set_aside.iter().map(SetAside::to_wire).collect(),
        }
    }
}

fn run_held(message: wire::RunHeld) -> Result<RunHeld, HelloError> {
    let pieces = |log: Option<wire::LogHeld>| {
        let pieces = log.unwrap_or_default().pieces;
        if pieces.len() > limits::MAX_PIECES_PER_LOG {
            return Err(HelloError::TooLong);
        }
        Ok(Pieces::try_from(&pieces[..])?)
    };
    Ok(RunHeld {
        run: RunId::from_slice(&message.run)?,
        samples: pieces(message.samples)?,
        events: pieces(message.events)?,
    })
}
