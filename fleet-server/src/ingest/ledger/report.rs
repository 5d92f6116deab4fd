//! What the ledger says: of one record, and of a lamppost as a whole.

use std::collections::BTreeMap;

use lamplighter_protocol::{DropReason, Log, OutboxId, Pieces, RunId, UtcMillis};

use super::account::{LogAccount, PlacedBetween, RunEnd};
use super::outbox::{newest_first, order};
use super::{AsideReport, CommandFates, Held, Ledger, OutboxStanding};

/// What became of one record (D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordVerdict {
    /// It is here: each of its observations is stored or rejected.
    Held,
    /// Its lamppost had to drop it, for this reason (D11).
    Dropped(DropReason),
    /// It is owed, and nobody has it (D9).
    Lost,
    /// An outbox that lives has it, or nothing is known of it.
    NotYetHere,
}

/// What became of all that a lamppost has ever written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LamppostLedger {
    /// Its outboxes, the one that was heard last first.
    pub outboxes: Vec<OutboxReport>,
    /// Its runs, the one that opened last first; those whose opening is not known come last.
    pub runs: Vec<RunReport>,
    /// Runs that continue the same run: an outbox or a card was copied.
    pub forks: Vec<ForkReport>,
    /// Records that reports of drops named and the server had no room to note: they count as lost.
    pub unplaced: u64,
    /// What it has reported of commands.
    pub commands: CommandFates,
}

/// An outbox, as the server knows it (D14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxReport {
    /// Its id.
    pub outbox: OutboxId,
    /// Whether what it named may still come.
    pub standing: OutboxStanding,
    /// Serial number of the hardware that it last spoke from, or belongs to if it never spoke; empty if that has none or is
    /// not known.
    pub hardware_serial: String,
    /// The run that last spoke; none if it was never heard here.
    pub run: Option<RunId>,
    /// When it was first heard, if ever.
    pub first_heard: Option<UtcMillis>,
    /// When it was last heard, if ever.
    pub last_heard: Option<UtcMillis>,
    /// How many lives it has; more than one: it was copied, and the copies go on.
    pub lives: usize,
    /// Runs that its last hello named.
    pub runs: usize,
    /// Records that its last hello named and that the server does not hold.
    pub waiting: u64,
    /// What another outbox tells of it, if it was set aside.
    pub set_aside: Option<AsideReport>,
    /// Whether it is the outbox of the lamppost that was heard last.
    pub speaks: bool,
}

/// A run, and how its records fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// Which run.
    pub run: RunId,
    /// The run before, by its opening.
    pub before: Option<RunId>,
    /// When it opened; none if its opening is not here.
    pub opened: Option<UtcMillis>,
    /// When it was last alive; none as long as nothing says that it ended: neither a later opening, nor that it was placed.
    pub ended: Option<RunEnd>,
    /// It never learnt the time, and lies between these; its own times, `opened` among them, are uncertain (D3).
    pub placed: Option<PlacedBetween>,
    /// How its samples fared.
    pub samples: LogCounts,
    /// How its events fared.
    pub events: LogCounts,
}

/// How many records of a log have which verdict. They add up to `owed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogCounts {
    /// How many there are, as far as anything says (D10).
    pub owed: u64,
    /// Stored or rejected.
    pub held: u64,
    /// Dropped and not here.
    pub dropped: DroppedCounts,
    /// In no outbox that lives.
    pub lost: u64,
    /// Of these: in an outbox that an operator has closed.
    pub lost_closed: u64,
    /// Still to come.
    pub not_yet_here: u64,
}

/// What was dropped, by reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DroppedCounts {
    /// Newer records needed the space.
    pub bytes: u64,
    /// They were older than the lamppost keeps anything.
    pub age: u64,
    /// They were damaged on disk.
    pub damaged: u64,
}

/// Runs that all say they follow the same one: the clone alarm (D1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkReport {
    /// The run that they follow.
    pub before: RunId,
    /// Those runs, in the order in which they opened; at least two.
    pub runs: Vec<ForkedRun>,
}

/// One of the runs that follow the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkedRun {
    /// Which run.
    pub run: RunId,
    /// When it opened.
    pub opened: UtcMillis,
    /// When the server received its opening.
    pub received: UtcMillis,
}

impl LogCounts {
    /// Counts records with this verdict.
    pub(super) fn add(&mut self, verdict: RecordVerdict, count: u64) {
        let place = match verdict {
            RecordVerdict::Held => &mut self.held,
            RecordVerdict::Dropped(DropReason::Bytes) => &mut self.dropped.bytes,
            RecordVerdict::Dropped(DropReason::Age) => &mut self.dropped.age,
            RecordVerdict::Dropped(DropReason::Damaged) => &mut self.dropped.damaged,
            RecordVerdict::Lost => &mut self.lost,
            RecordVerdict::NotYetHere => &mut self.not_yet_here,
        };
        *place = place.saturating_add(count);
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            owed: self.owed.saturating_add(other.owed),
            held: self.held.saturating_add(other.held),
            dropped: DroppedCounts {
                bytes: self.dropped.bytes.saturating_add(other.dropped.bytes),
                age: self.dropped.age.saturating_add(other.dropped.age),
                damaged: self.dropped.damaged.saturating_add(other.dropped.damaged),
            },
            lost: self.lost.saturating_add(other.lost),
            lost_closed: self.lost_closed.saturating_add(other.lost_closed),
            not_yet_here: self.not_yet_here.saturating_add(other.not_yet_here),
        }
    }
}

impl DroppedCounts {
    /// For whatever reason.
    pub fn total(self) -> u64 {
        self.bytes.saturating_add(self.age).saturating_add(self.damaged)
    }
}

impl LamppostLedger {
    /// Of all runs and both logs together.
    pub fn total(&self) -> LogCounts {
        let logs = self.runs.iter().flat_map(|run| [run.samples, run.events]);
        logs.fold(LogCounts::default(), LogCounts::plus)
    }
}

impl Ledger {
    /// What became of one record.
    pub(in crate::ingest) fn verdict(
        &self,
        run: RunId,
        log: Log,
        sequence: u64,
        held: Held<'_>,
    ) -> RecordVerdict {
        let held = held(run, log);
        if sequence >= self.owed(run, log, held) {
            return RecordVerdict::NotYetHere;
        }
        let nothing = Pieces::new();
        let mut found = RecordVerdict::Lost;
        let tell = &mut |_, _, verdict| found = verdict;
        let claimed = self.claimed(run, log);
        let none = LogAccount::default();
        let account = self.runs.get(&run).map_or(&none, |account| account.log(log));
        account.divide(held.unwrap_or(&nothing), &claimed, (sequence, sequence), tell);
        found
    }

    /// What became of all that is known.
    pub(in crate::ingest) fn report(&self, held: Held<'_>) -> LamppostLedger {
        let mut outboxes: Vec<_> = self.outboxes.iter().collect();
        outboxes.sort_by_key(|(id, outbox)| order(**id, outbox));
        let outboxes = outboxes.into_iter().filter_map(|(id, _)| self.outbox_report(*id, held));
        // What openings state of the ends of the runs before them, if they could.
        let mut stated: BTreeMap<RunId, Option<UtcMillis>> = BTreeMap::new();
        for opening in self.runs.values().filter_map(|account| account.opening.as_ref()) {
            if let Some(before) = opening.before {
                let known = stated.entry(before).or_default();
                *known = opening.ended.max(*known);
            }
        }
        let nothing = Pieces::new();
        let runs = self.runs.iter().map(|(&run, account)| {
            let counts = |log| {
                let (log_account, held) = (account.log(log), held(run, log).unwrap_or(&nothing));
                let counts = log_account.counts(held, &self.claimed(run, log));
                let otherwise = self.claimed_but_for_closing(run, log);
                let otherwise = otherwise.map(|claimed| log_account.counts(held, &claimed));
                let lost_closed = otherwise.map_or(0, |other| counts.lost.saturating_sub(other.lost));
                LogCounts { lost_closed, ..counts }
            };
            // A run is placed by a later one, whose opening may be still to come.
            let stated = stated.get(&run).copied().or_else(|| account.placed.map(|_| None));
            RunReport {
                run,
                before: account.opening.as_ref().and_then(|opening| opening.before),
                opened: account.opening.as_ref().map(|opening| opening.opened),
                ended: stated.and_then(|stated| self.end_before(run, stated)),
                placed: account.placed,
                samples: counts(Log::Samples),
                events: counts(Log::Events),
            }
        });
        let mut runs: Vec<RunReport> = runs.collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.opened, run.run)));
        LamppostLedger {
            outboxes: outboxes.collect(),
            runs,
            forks: self.forks(),
            unplaced: self.unplaced,
            commands: self.commands.clone(),
        }
    }

    fn outbox_report(&self, id: OutboxId, held: Held<'_>) -> Option<OutboxReport> {
        let outbox = self.outboxes.get(&id)?;
        let lives = newest_first(outbox);
        let (life, newest) = (lives.first(), self.last_heard());
        let nothing = Pieces::new();
        let logs = life.into_iter().flat_map(|life| &life.named).flat_map(|(&run, named)| {
            [(run, Log::Samples, &named.samples.pieces), (run, Log::Events, &named.events.pieces)]
        });
        let waiting = logs.flat_map(|(run, log, pieces)| {
            let held = held(run, log).unwrap_or(&nothing);
            pieces.ranges().flat_map(|(first, last)| held.missing_in(first, last))
        });
        let standing = lives.iter().map(|life| outbox.standing_of(life, newest)).max();
        let belongs_to = || Some(outbox.aside.as_ref()?.told.hardware_serial.clone());
        let serial = life.map(|life| life.hardware_serial.clone()).or_else(belongs_to);
        Some(OutboxReport {
            outbox: id,
            standing: standing.unwrap_or_else(|| outbox.standing(newest)),
            hardware_serial: serial.unwrap_or_default(),
            run: life.map(|life| life.run),
            first_heard: outbox.first_heard,
            last_heard: life.map(|life| life.last_heard),
            lives: lives.len(),
            runs: life.map_or(0, |life| life.named.len()),
            waiting: waiting
                .map(|(first, last)| (last - first).saturating_add(1))
                .fold(0, u64::saturating_add),
            set_aside: outbox.aside.clone(),
            speaks: life.is_some_and(|life| life.last_heard == newest),
        })
    }

    fn forks(&self) -> Vec<ForkReport> {
        let mut followers: BTreeMap<RunId, Vec<ForkedRun>> = BTreeMap::new();
        for (&run, account) in &self.runs {
            let Some(opening) = &account.opening else { continue };
            if let Some(before) = opening.before {
                let forked = ForkedRun { run, opened: opening.opened, received: opening.received };
                followers.entry(before).or_default().push(forked);
            }
        }
        let forks = followers.into_iter().filter(|(_, runs)| runs.len() > 1);
        forks
            .map(|(before, mut runs)| {
                runs.sort_by_key(|forked| (forked.opened, forked.run));
                ForkReport { before, runs }
            })
            .collect()
    }
}
