//! Commands: what the server has a lamppost do, besides what it does by itself.

use prost::Message as _;

use crate::id::{CommandId, DeviceName, IdError, OutboxId};
use crate::time::UtcMillis;
use crate::wire;

/// A command, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Names it: whoever gets it twice does it once.
    pub id: CommandId,
    /// Not to be begun after this.
    pub expires: UtcMillis,
    /// What is to be done; none: nothing that this version knows.
    pub action: Option<CommandAction>,
}

/// What a command has a lamppost do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandAction {
    /// Read one device now, besides its grid.
    ReadNow(DeviceName),
    /// An outbox that was set aside belongs here after all: its records are to be sent (D14).
    ReleaseOutbox(OutboxId),
    /// An outbox that was set aside is given up: it is to be deleted (D14).
    CloseOutbox(OutboxId),
}

/// Why a command is refused.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Not the message that it should be.
    #[error("the command is not readable protobuf")]
    Unreadable(#[from] prost::DecodeError),
    /// An id or a name is none.
    #[error("an id or name in the command is wrong")]
    Id(#[from] IdError),
}

impl Command {
    /// Reads and checks a command's payload.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn decode(payload: &[u8]) -> Result<Self, CommandError> {
        let message = wire::Command::decode(payload)?;
        let action = message.action.map(|action| match action {
            wire::command::Action::ReadNow(read) => DeviceName::new(&read.device).map(CommandAction::ReadNow),
            wire::command::Action::ReleaseOutbox(release) => {
                OutboxId::from_slice(&release.outbox).map(CommandAction::ReleaseOutbox)
            }
            wire::command::Action::CloseOutbox(close) => {
                OutboxId::from_slice(&close.outbox).map(CommandAction::CloseOutbox)
            }
        });
        Ok(Self {
            id: CommandId::from_slice(&message.id)?,
            expires: UtcMillis(message.expires_ms),
            action: action.transpose()?,
        })
    }

    /// The payload to publish.
    pub fn encode(&self) -> Vec<u8> {
        let action = self.action.as_ref().map(|action| match action {
            CommandAction::ReadNow(device) => {
                wire::command::Action::ReadNow(wire::ReadNow { device: device.to_string() })
            }
            CommandAction::ReleaseOutbox(outbox) => {
                wire::command::Action::ReleaseOutbox(wire::ReleaseOutbox { outbox: outbox.0.to_vec() })
            }
            CommandAction::CloseOutbox(outbox) => {
                wire::command::Action::CloseOutbox(wire::CloseOutbox { outbox: outbox.0.to_vec() })
            }
        });
        let message = wire::Command { id: self.id.0.to_vec(), expires_ms: self.expires.0, action };
        message.encode_to_vec()
    }
}
