//! Operators' decisions about outboxes, and the commands by which lampposts are told (D14).
//!
//! A decision is on the registry's disk before it counts. It is then told to the ledger, and, where the outbox is set aside
//! on a lamppost's disk, to the lamppost: at once if that is connected, and again at each of its hellos until the journal
//! has its report that it is done or has failed. So nothing about a command itself has to be remembered: what was decided is
//! in the registry, what became of it in the journal. A start, whatever checkpoint or registry it finds, puts both together
//! again.

mod judge;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use lamplighter_protocol::{Command, CommandAction, CommandId, LamppostNumber, OutboxId, UtcMillis};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

pub use judge::Refusal;

use crate::audit::Actor;
use crate::clock;
use crate::gateway::{Receipt, Sent, Sessions};
use crate::ingest::{CommandFate, CommandStage, Ingest, LamppostLedger, OutboxDecision};
use crate::registry::{Commanded, Decision, DecisionRecord, Registry, RegistryError};

/// A command is not begun later than this after it was sent: hellos, at which it is sent again, are said hourly.
const EXPIRES_AFTER_MS: i64 = 3600 * 1000;

/// Most decisions about the outboxes of one lamppost that are looked at, the newest.
const MOST_DECISIONS: u32 = 64;

/// Handle to the decisions. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Commands {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    sessions: Sessions,
    ingest: Arc<RwLock<Ingest>>,
    /// One decision is made at a time: it depends on those before.
    deciding: Mutex<()>,
    /// Decisions that are being made: each goes on to its end.
    tasks: TaskTracker,
    /// Those that the ledger was told of.
    known: RwLock<BTreeMap<LamppostNumber, Vec<Known>>>,
}

#[derive(Debug)]
struct Known {
    record: DecisionRecord,
    /// Of the command that was sent last.
    receipt: Receipt,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// It makes no sense as things are.
    #[error("the outbox is not in a state for this")]
    Refused(#[from] Refusal),
    /// The registry does not answer.
    #[error("the decision cannot be kept")]
    Registry(#[from] RegistryError),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a new id")]
    Random(#[source] getrandom::Error),
    /// One of our own tasks panicked.
    #[error("the decision ended in a panic")]
    Panicked,
}

/// A decision, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionReport {
    /// What was decided.
    pub record: DecisionRecord,
    /// How far it has come.
    pub stage: DecisionStage,
    /// When the lamppost says that it was that far.
    pub reported: Option<UtcMillis>,
    /// Why it failed; empty unless it did.
    pub reason: String,
}

/// How far a decision has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionStage {
    /// It is not written to a connection of the lamppost, or that has ended: the lamppost is told when it says hello, and the
    /// server's clock can be right.
    Waiting,
    /// It is written to the connection that the lamppost has, which has said nothing of it yet.
    Sent,
    /// The lamppost says that it came too late to be begun, by its clock and the server's; it is told again when it says hello.
    Expired,
    /// It is on the lamppost's disk.
    Acknowledged,
    /// It is done, or there was nothing to do.
    Done,
    /// The lamppost could not do it.
    Failed,
}

impl Commands {
    /// Knows nothing yet.
    pub fn new(registry: Registry, sessions: Sessions, ingest: Arc<RwLock<Ingest>>) -> Self {
        let (deciding, known) = (Mutex::new(()), RwLock::default());
        let tasks = TaskTracker::new();
        Self { shared: Arc::new(Shared { registry, sessions, ingest, deciding, tasks, known }) }
    }

    /// Tells the ledger of all that was ever decided, once the journal is read.
    ///
    /// # Errors
    /// [`RegistryError`]: nothing may be served then, for what was given up would pass for what is to come.
    pub async fn load(&self) -> Result<(), RegistryError> {
        let all = self.shared.registry.all_decisions().await?;
        let shared = Arc::clone(&self.shared);
        // Where waiting for the lock is allowed. A panic in it is the ledger's, and is met there again.
        tokio::task::spawn_blocking(move || {
            for record in &all {
                shared.apply(record);
            }
        })
        .await
        .ok();
        Ok(())
    }

    /// Decides of an outbox of a lamppost, for good. Goes on to its end even if nobody waits for that any more.
    ///
    /// # Errors
    /// [`DecideError`]: of a registry that does not answer nobody knows whether it has kept the decision, and
    /// [`Self::reports`] tells it then; otherwise nothing is decided.
    pub async fn decide(
        &self,
        (number, outbox): (LamppostNumber, OutboxId),
        decision: Decision,
        by: Actor,
    ) -> Result<DecisionReport, DecideError> {
        let commands = self.clone();
        let decided =
            self.shared.tasks.spawn(async move { commands.conclude((&number, outbox), decision, &by).await });
        decided.await.map_err(|_| DecideError::Panicked)?
    }

    async fn conclude(
        &self,
        (number, outbox): (&LamppostNumber, OutboxId),
        decision: Decision,
        by: &Actor,
    ) -> Result<DecisionReport, DecideError> {
        let _one_at_a_time = self.shared.deciding.lock().await;
        let before = self.reports(number).await?;
        let is_pending = |report: &DecisionReport| report.record.outbox == outbox && report.is_pending();
        let pending = before.iter().any(is_pending);
        let ledger = {
            let (shared, number) = (Arc::clone(&self.shared), number.clone());
            blocking(move || read(&shared.ingest).ledger(&number)).await?
        };
        let ledger = ledger.unwrap_or_default();
        let commanded = judge::judge(&ledger, (number, outbox), decision, pending)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(DecideError::Random)?;
        // Later than the decision before, and than anything heard of the outbox, whatever the clock says.
        let found = ledger.outboxes.iter().find(|one| one.outbox == outbox);
        let heard = found.and_then(|one| one.last_heard.max(one.set_aside.as_ref().map(|aside| aside.since)));
        let before = before.first().map(|last| last.record.decided.plus_ms(1));
        let record = DecisionRecord {
            id: CommandId(id),
            lamppost: number.clone(),
            outbox,
            decision,
            decided: clock::wall().max(heard.max(before).unwrap_or_default()),
            operator: by.to_string(),
            commanded,
        };
        self.shared.registry.record_decision(&record, by).await?;
        tracing::warn!(lamppost = %number, %outbox, ?decision, operator = %by, "an operator has decided of an outbox");
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.apply(&record);
            shared.tell(&record.lamppost);
            shared.report(record)
        })
        .await
    }

    /// What was decided of the outboxes of a lamppost, the newest first. What whoever decided it did not live to tell is told
    /// now.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn reports(&self, number: &LamppostNumber) -> Result<Vec<DecisionReport>, DecideError> {
        let records = self.shared.registry.decisions_of(number, MOST_DECISIONS).await?;
        let (shared, number) = (Arc::clone(&self.shared), number.clone());
        blocking(move || {
            let fresh = records.iter().rev().filter(|record| shared.apply(record)).count();
            if fresh > 0 {
                shared.tell(&number);
            }
            let reports = records.into_iter().map(|record| shared.report(record));
            reports.collect()
        })
        .await
    }

    /// How many outboxes that are set aside on a lamppost's disk it was last told something of that it could not do:
    /// somebody has to look at them, whatever the ledger makes of the decision.
    pub fn failed(&self, number: &LamppostNumber, ledger: &LamppostLedger) -> usize {
        let known = read(&self.shared.known);
        let known = known.get(number).map_or(&[][..], Vec::as_slice);
        let has_failed = |outbox: OutboxId| {
            let of_it = known.iter().map(|one| &one.record).filter(|record| record.outbox == outbox);
            let fate =
                of_it.max_by_key(|record| record.decided).and_then(|last| ledger.commands.get(&last.id));
            fate.is_some_and(|fate| fate.stage == CommandStage::Failed)
        };
        ledger.outboxes.iter().filter(|one| one.set_aside.is_some() && has_failed(one.outbox)).count()
    }

    /// A lamppost has said hello: it is told what it has not reported yet. Waits for locks, and for nothing longer.
    pub fn greeted(&self, number: &LamppostNumber) {
        self.shared.tell(number);
    }
}

impl Shared {
    /// Tells the ledger of a decision, unless somebody has. Says whether it was news.
    fn apply(&self, record: &DecisionRecord) -> bool {
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            let known = known.entry(record.lamppost.clone()).or_default();
            if known.iter().any(|one| one.record.id == record.id) {
                return false;
            }
            known.push(Known { record: record.clone(), receipt: Receipt::default() });
            if known.len() > MOST_DECISIONS as usize {
                known.remove(0);
            }
        }
        let decision = match record.decision {
            Decision::Release => OutboxDecision::Release { at: record.decided },
            Decision::Close => OutboxDecision::Close { at: record.decided },
        };
        let mut ingest = self.ingest.write().unwrap_or_else(PoisonError::into_inner);
        // An outbox that is gone from the ledger has nothing more to be decided.
        let known = ingest.decide(&record.lamppost, record.outbox, decision);
        tracing::debug!(lamppost = %record.lamppost, outbox = %record.outbox, known, "a decision is told");
        true
    }

    /// Sends a lamppost what it has not reported as done or failed.
    fn tell(&self, number: &LamppostNumber) {
        let commanded: Vec<DecisionRecord> = {
            let known = read(&self.known);
            let Some(known) = known.get(number) else { return };
            let records = known.iter().map(|one| &one.record);
            records.filter(|record| record.commanded == Commanded::Yes).cloned().collect()
        };
        let Some(expires) = expires(clock::wall()) else { return };
        for record in commanded {
            if !self.report(record.clone()).is_pending() {
                continue;
            }
            let action = match record.decision {
                Decision::Release => CommandAction::ReleaseOutbox(record.outbox),
                Decision::Close => CommandAction::CloseOutbox(record.outbox),
            };
            let command = Command { id: record.id, expires, action: Some(action) };
            let (sent, receipt) = self.sessions.command(number, command.encode().into());
            tracing::debug!(lamppost = %number, command = %record.id, ?sent, "command");
            if sent != Sent::Queued {
                return;
            }
            self.keep(&record, receipt);
        }
    }

    /// Keeps the receipt of a command that was sent; one that it replaces may say more.
    fn keep(&self, record: &DecisionRecord, receipt: Receipt) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let known =
            known.get_mut(&record.lamppost).into_iter().flatten().find(|one| one.record.id == record.id);
        if let Some(known) = known.filter(|known| !known.receipt.is_written()) {
            known.receipt = receipt;
        }
    }

    /// Whether its command is written to the connection that the lamppost has now.
    fn is_written(&self, record: &DecisionRecord) -> bool {
        let known = read(&self.known);
        let known = known.get(&record.lamppost).into_iter().flatten().find(|one| one.record.id == record.id);
        known.is_some_and(|known| known.receipt.is_written())
    }

    fn report(&self, record: DecisionRecord) -> DecisionReport {
        let fate = read(&self.ingest).command(&record.lamppost, record.id).cloned();
        let stage = match (record.commanded, fate.as_ref().map(|fate| fate.stage)) {
            (Commanded::No, _) | (Commanded::Yes, Some(CommandStage::Done)) => DecisionStage::Done,
            (Commanded::Yes, Some(CommandStage::Failed)) => DecisionStage::Failed,
            (Commanded::Yes, Some(CommandStage::Acknowledged)) => DecisionStage::Acknowledged,
            // It is sent again, and whatever comes of that is farther than this.
            (Commanded::Yes, Some(CommandStage::Expired)) => DecisionStage::Expired,
            (Commanded::Yes, None) if self.is_written(&record) => DecisionStage::Sent,
            (Commanded::Yes, None) => DecisionStage::Waiting,
        };
        let reported = fate.as_ref().map(|fate| fate.time);
        let reason = fate.map(|CommandFate { detail, .. }| detail).unwrap_or_default();
        DecisionReport { record, stage, reported, reason }
    }
}

impl DecisionReport {
    /// Whether the lamppost has still to report what became of it.
    pub fn is_pending(&self) -> bool {
        match self.stage {
            DecisionStage::Waiting
            | DecisionStage::Sent
            | DecisionStage::Expired
            | DecisionStage::Acknowledged => true,
            DecisionStage::Done | DecisionStage::Failed => false,
        }
    }
}

/// When a command expires that is sent now. None by a clock that cannot be right, by which every lamppost that knows the time
/// would find it expired, or never: it waits for a hello after the clock is set.
fn expires(now: UtcMillis) -> Option<UtcMillis> {
    now.plausible().ok().map(|now| now.plus_ms(EXPIRES_AFTER_MS))
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    // What it guards is derived, and the next start derives it again.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Does what may wait for a lock where that is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DecideError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| DecideError::Panicked)
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::EARLIEST;

    use super::*;

    #[test]
    fn d14_no_command_is_sent_by_a_clock_that_cannot_be_right() {
        assert_eq!(expires(EARLIEST.plus_ms(-1)), None);
        assert_eq!(expires(UtcMillis(i64::MAX)), None);
        assert_eq!(expires(EARLIEST), Some(EARLIEST.plus_ms(EXPIRES_AFTER_MS)));
    }
}
