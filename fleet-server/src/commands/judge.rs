//! Whether a decision about an outbox makes sense as it stands. Pure.

use lamplighter_protocol::{LamppostNumber, OutboxId};

use crate::ingest::{LamppostLedger, OutboxReport, OutboxStanding};
use crate::registry::{Commanded, Decision};

/// Why nothing is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The lamppost has no outbox of this id.
    #[error("the lamppost has no such outbox")]
    Unknown,
    /// It is the one that the lamppost writes to.
    #[error("it is the outbox that the lamppost speaks from: there is nothing to decide")]
    Speaks,
    /// It speaks, or did so lately, from elsewhere: nothing keeps what it has from coming.
    #[error("it is not set aside, and what it has may still come: there is nothing to release")]
    Lives,
    /// It does not belong to this lamppost's number.
    #[error("it is not known to belong to this lamppost's number: it can be closed, and not released")]
    NotOfThisNumber,
    /// It is closed.
    #[error("it is closed already")]
    Closed,
    /// The lamppost was told something and has not reported yet.
    #[error("something is decided of it already, and waits for the lamppost")]
    Decided,
}

/// What follows from a decision: whether the lamppost is to be told. `pending` says whether it was told something of this
/// outbox and has not reported.
pub(super) fn judge(
    ledger: &LamppostLedger,
    (number, outbox): (&LamppostNumber, OutboxId),
    decision: Decision,
    pending: bool,
) -> Result<Commanded, Refusal> {
    let found = ledger.outboxes.iter().find(|one| one.outbox == outbox).ok_or(Refusal::Unknown)?;
    if pending {
        return Err(Refusal::Decided);
    }
    match (&found.set_aside, decision) {
        (Some(aside), Decision::Release) if aside.told.lamppost.as_ref() != Some(number) => {
            Err(Refusal::NotOfThisNumber)
        }
        (Some(_), _) => Ok(Commanded::Yes),
        (None, Decision::Release) => release(found),
        (None, Decision::Close) => close(found),
    }
}

fn release(found: &OutboxReport) -> Result<Commanded, Refusal> {
    match found.standing {
        OutboxStanding::Silent | OutboxStanding::Closed => Ok(Commanded::No),
        OutboxStanding::Living | OutboxStanding::SetAside => Err(Refusal::Lives),
    }
}

fn close(found: &OutboxReport) -> Result<Commanded, Refusal> {
    match found.standing {
        OutboxStanding::Closed => Err(Refusal::Closed),
        OutboxStanding::Living | OutboxStanding::SetAside | OutboxStanding::Silent if found.speaks => {
            Err(Refusal::Speaks)
        }
        OutboxStanding::Living | OutboxStanding::SetAside | OutboxStanding::Silent => Ok(Commanded::No),
    }
}
