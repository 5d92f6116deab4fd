//! The file in which commands are kept that concern outboxes that were set aside (D14).

use std::path::Path;

use lamplighter_protocol::{CommandId, OutboxId};

use super::disk::Disk;
use super::error::{OutboxError, chain};
use super::sealed::{self, Sealed};

/// A command as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: CommandId,
    pub(super) outbox: OutboxId,
    /// Of the directory that it is about.
    pub(super) number: u64,
    pub(super) decision: Decision,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Release,
    Close,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    Done,
    Failed(String),
}

/// The commands that are kept in this outbox, and how many places on disk could not be read for that.
///
/// Without them the agent goes on all the same. What was done is not known any more to be done: if it comes again there is
/// nothing left to do it with, and that is reported. What was begun is not gone on with by itself: what is left of the outbox
/// that it is about stays set aside, is told of in each hello, and the command comes again as long as it stands, or another
/// one is given.
///
/// # Errors
/// They were kept by a later version.
pub(super) fn load(disk: &dyn Disk, living: &Path) -> Result<(Vec<Kept>, u64), OutboxError> {
    let path = path_of(living);
    let commands = match sealed::read(disk, &path) {
        Ok(Sealed::Absent) => return Ok((Vec::new(), 0)),
        Ok(Sealed::Whole(body)) => decode(&body),
        Ok(Sealed::Damaged) => None,
        Err(error) if error.is_damage() => {
            tracing::error!(error = %chain(&error), "what was kept of commands cannot be read");
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(commands) = commands {
        return Ok((commands, 0));
    }
    let path = path.display();
    tracing::error!(%path, "what was kept of commands is lost: one that was begun goes on only if it comes again");
    Ok((Vec::new(), 1))
}

/// Keeps these commands in place of what was kept.
pub(super) fn write(disk: &dyn Disk, living: &Path, commands: &[Kept]) -> Result<(), OutboxError> {
    sealed::write(disk, &path_of(living), &encode(commands))
}

fn path_of(living: &Path) -> std::path::PathBuf {
    living.join("commands")
}

fn encode(commands: &[Kept]) -> Vec<u8> {
    let mut body = Vec::new();
    for Kept { id, outbox, number, decision, stage } in commands {
        body.extend_from_slice(&id.0);
        body.extend_from_slice(&outbox.0);
        body.extend_from_slice(&number.to_le_bytes());
        body.push(match decision {
            Decision::Release => 0,
            Decision::Close => 1,
        });
        let (stage, detail) = match stage {
            Stage::Begun => (0, ""),
            Stage::Done => (1, ""),
            Stage::Failed(detail) => (2, detail.as_str()),
        };
        body.push(stage);
        // At most so long: see `failed`.
        body.extend_from_slice(&u16::try_from(detail.len()).unwrap_or(0).to_le_bytes());
        body.extend_from_slice(detail.as_bytes());
    }
    body
}

fn decode(mut body: &[u8]) -> Option<Vec<Kept>> {
    let mut commands = Vec::new();
    while !body.is_empty() {
        let (id, rest) = body.split_first_chunk::<16>()?;
        let (outbox, rest) = rest.split_first_chunk::<16>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let ([decision, stage], rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (detail, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        commands.push(Kept {
            id: CommandId(*id),
            outbox: OutboxId(*outbox),
            number: u64::from_le_bytes(*number),
            decision: match decision {
                0 => Decision::Release,
                1 => Decision::Close,
                _ => return None,
            },
            stage: match stage {
                0 => Stage::Begun,
                1 => Stage::Done,
                2 => Stage::Failed(std::str::from_utf8(detail).ok()?.to_owned()),
                _ => return None,
            },
        });
        body = rest;
    }
    Some(commands)
}
