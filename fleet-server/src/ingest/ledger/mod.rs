//! The ledger of a lamppost: what became of every sequence of every run (D9 to D12, D14).
//!
//! What the server *holds* is told by the pieces that it keeps of each run. The ledger knows the rest: how much of each
//! log is *owed* (D10), what lampposts say they had to *drop* (D11), and which outboxes still live and what their last
//! hellos named (D14). What is owed, neither held nor dropped, and not in the last hello of any outbox that lives is
//! *lost*, until a hello names it again (D9). The order of arrival does not show: stored or rejected goes before dropped,
//! dropped before lost (D12). Only of two hellos of one run the later one counts, because that is what a hello is.
//!
//! All of it is plain data and derived from the journal's entries and their times of receipt, except what an operator has
//! decided of an outbox ([`OutboxDecision`]). All of it is bounded.

mod account;
mod command;
mod course;
mod described;
mod divide;
mod outbox;
mod report;
mod set_aside;
mod span;
mod state;
mod tally;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lamplighter_protocol::{
    CommandReport, Dating, Digest, Dropped, Hello, Log, OutboxId, Pieces, RunId, SeriesName, UtcMillis,
};

use super::known::Known;

pub use account::PlacedBetween;
pub use account::RunEnd;
pub(in crate::ingest) use account::{Ends, RunAccount, RunOpening};
pub use command::{CommandFate, CommandFates, CommandStage};
pub use course::{Course, CoursePart, DroppedSpan, Missing, SeriesCourse};
pub(in crate::ingest) use described::{DescribedSpan, Times};
pub(in crate::ingest) use outbox::Outbox;
pub use outbox::{OutboxDecision, OutboxStanding};
pub use report::{
    DroppedCounts, ForkReport, ForkedRun, LamppostLedger, LogCounts, OutboxReport, RecordVerdict, RunReport,
};

pub use set_aside::AsideReport;
pub use span::{Span, Spans};
pub(in crate::ingest) use state::LedgerRestore;
pub use tally::Rejection;
pub(in crate::ingest) use tally::{Tallied, Tallies};

use outbox::{Heard, Life};

/// Most runs of one lamppost that have an account: those that the server holds anything of, and as many again that
/// others name. Past it, the one that was not heard of for longest is forgotten, of those that nothing is held of first.
const MOST_ACCOUNTS: usize = 4_096;

/// Most lives of outboxes of one lamppost that are remembered; past it, the one that was silent for longest goes.
const MOST_LIVES: usize = 16;

/// Most pieces of reports of what was dropped, and most series in them, that one lamppost has a place for. Records of a
/// report that finds none are counted.
const MOST_DROPPED_PIECES: usize = 16_384;
const MOST_DROPPED_SERIES: usize = 8_192;

/// What became of the records of one lamppost, besides those that are held.
#[derive(Debug, Default)]
pub(in crate::ingest) struct Ledger {
    pub(in crate::ingest) runs: BTreeMap<RunId, RunAccount>,
    pub(in crate::ingest) outboxes: BTreeMap<OutboxId, Outbox>,
    /// The greatest time of receipt: a server's clock that is set back makes nobody silent.
    pub(in crate::ingest) latest_received: UtcMillis,
    /// Pieces and series of all reports of what was dropped.
    pub(in crate::ingest) dropped_pieces: usize,
    pub(in crate::ingest) dropped_series: usize,
    /// Records that reports named and for which there was no room: their verdict is that they are lost.
    pub(in crate::ingest) unplaced: u64,
    pub(in crate::ingest) tallies: Tallies,
    /// The greatest time of a run that was forgotten: before it not all is known.
    pub(in crate::ingest) forgotten_to: Option<UtcMillis>,
    pub(in crate::ingest) commands: CommandFates,
}

/// What the server holds of a run's log; none: nothing.
pub(in crate::ingest) type Held<'a> = &'a dyn Fn(RunId, Log) -> Option<&'a Pieces>;

impl Ledger {
    /// Takes a hello, which the journal's entry of this sequence brought.
    pub(in crate::ingest) fn hello(&mut self, hello: &Hello, received: UtcMillis, entry: u64) {
        self.latest_received = self.latest_received.max(received);
        let now = self.latest_received;
        self.account(hello.run, entry);
        for named in &hello.runs {
            let account = self.account(named.run, entry);
            account.samples.state(named.samples.end());
            account.events.state(named.events.end());
        }
        let outbox = self.outboxes.entry(hello.outbox).or_default();
        outbox.first_heard.get_or_insert(now);
        match outbox.lives.iter_mut().find(|life| life.run == hello.run) {
            Some(life) => {
                if life.hear(hello, now) == Heard::Stale {
                    return;
                }
            }
            None => outbox.lives.push(Life::new(hello, now)),
        }
        set_aside::take(&mut self.outboxes, hello, now);
        self.retire();
        self.forget_lives();
    }

    /// Takes what is reported of a command.
    pub(in crate::ingest) fn command(&mut self, report: &CommandReport, entry: u64) {
        command::take(&mut self.commands, report, entry);
    }

    /// Takes the opening of a run, and what it states of the run before (D1, D10).
    pub(in crate::ingest) fn opened(&mut self, run: RunId, opening: RunOpening, entry: u64) {
        self.latest_received = self.latest_received.max(opening.received);
        let (before, ends) = (opening.before, opening.ends);
        self.account(run, entry).opening.get_or_insert(opening);
        if let Some(before) = before {
            let account = self.account(before, entry);
            account.samples.state(ends.samples);
            account.events.state(ends.events);
        }
        self.retire();
    }

    /// Something of a run is held now.
    pub(in crate::ingest) fn held(&mut self, run: RunId, entry: u64) {
        self.account(run, entry).is_held = true;
    }

    /// Samples of a run are held that were not before.
    pub(in crate::ingest) fn described(&mut self, run: RunId, span: DescribedSpan, entry: u64) {
        self.account(run, entry).described.add(span);
    }

    /// Takes a report of what was dropped (D11).
    pub(in crate::ingest) fn dropped(&mut self, dropped: &Dropped, entry: u64) {
        let (pieces, series) = (dropped.pieces.ranges().len(), dropped.series.len());
        let has_room = self.dropped_pieces + pieces <= MOST_DROPPED_PIECES
            && self.dropped_series + series <= MOST_DROPPED_SERIES;
        let account = self.account(dropped.run, entry);
        let log = account.log_mut(dropped.log);
        log.state(dropped.pieces.end());
        if !has_room {
            self.unplaced = self.unplaced.saturating_add(dropped.pieces.count());
            return;
        }
        let part = log.dropped.entry(dropped.reason).or_default();
        let before = part.size();
        part.take(dropped);
        let after = part.size();
        self.dropped_pieces = self.dropped_pieces + after.pieces - before.pieces;
        self.dropped_series = self.dropped_series + after.series - before.series;
    }

    /// All of a log that lampposts reported as dropped, for whatever reason.
    pub(in crate::ingest) fn all_dropped(&self, run: RunId, log: Log) -> Pieces {
        let mut all = Pieces::new();
        for part in self.runs.get(&run).into_iter().flat_map(|account| account.log(log).dropped.values()) {
            all.union(&part.pieces);
        }
        all
    }

    /// Takes what a lamppost says of when a run was that never learnt the time (D3).
    pub(in crate::ingest) fn placed(&mut self, dating: &Dating, entry: u64) {
        let between = PlacedBetween { earliest: dating.earliest, latest: dating.latest };
        let placed = &mut self.account(dating.run, entry).placed;
        *placed = Some(placed.map_or(between, |known| known.or_else(between)));
    }

    /// Nothing is known of a run any more: the server has forgotten what it holds of it.
    pub(in crate::ingest) fn forget(&mut self, run: RunId) {
        let Some(account) = self.runs.remove(&run) else { return };
        let opened = account.opening.as_ref().map(|opening| opening.opened);
        self.forgotten_to = self.forgotten_to.max(opened).max(account.described.last_time());
        for part in account.logs().into_iter().flat_map(|log| log.dropped.values()) {
            self.dropped_pieces -= part.size().pieces;
            self.dropped_series -= part.size().series;
        }
    }

    /// What an operator has decided of an outbox; of several decisions the latest counts, whichever is told last. False: the
    /// lamppost has none of this id.
    pub(in crate::ingest) fn decide(&mut self, outbox: OutboxId, decision: OutboxDecision) -> bool {
        let Some(outbox) = self.outboxes.get_mut(&outbox) else { return false };
        if outbox.decision.is_none_or(|known| known.at() <= decision.at()) {
            outbox.decision = Some(decision);
        }
        true
    }

    fn account(&mut self, run: RunId, entry: u64) -> &mut RunAccount {
        if self.runs.len() >= MOST_ACCOUNTS && !self.runs.contains_key(&run) {
            let oldest = self.runs.iter().min_by_key(|(_, account)| (account.is_held, account.touched));
            if let Some((&oldest, _)) = oldest {
                self.forget(oldest);
            }
        }
        let account = self.runs.entry(run).or_default();
        account.touched = account.touched.max(entry);
        account
    }

    /// When the run before another one ended, of which that one's opening states so much. None: nothing is known of it.
    pub(in crate::ingest) fn end_before(&self, before: RunId, stated: Option<UtcMillis>) -> Option<RunEnd> {
        let newest = || self.runs.get(&before)?.newest();
        stated.map(RunEnd::Stated).or_else(|| newest().map(RunEnd::NotBefore))
    }

    /// How much of a run's log is owed (D10).
    fn owed(&self, run: RunId, log: Log, held: Option<&Pieces>) -> u64 {
        let stated = self.runs.get(&run).map_or(0, |account| account.log(log).stated);
        stated.max(held.map_or(0, Pieces::end))
    }

    /// Lives that another one of the same outbox continues are over.
    fn retire(&mut self) {
        let runs = &self.runs;
        for outbox in self.outboxes.values_mut() {
            outbox.retire(|run| runs.get(&run)?.opening.as_ref()?.before);
        }
        // An outbox that was released is continued by the one that has adopted its runs.
        let lives =
            || self.outboxes.iter().flat_map(|(id, outbox)| outbox.lives.iter().map(move |life| (id, life)));
        let speak: BTreeMap<RunId, OutboxId> = lives().map(|(id, life)| (life.run, *id)).collect();
        let mut adopters: BTreeMap<OutboxId, Vec<(RunId, UtcMillis, UtcMillis)>> = BTreeMap::new();
        for (id, life) in lives() {
            for (run, of) in life.named.keys().filter_map(|run| Some((*run, *speak.get(run)?))) {
                if of != *id {
                    adopters.entry(of).or_default().push((run, life.first_heard, life.last_heard));
                }
            }
        }
        for (id, adopters) in adopters {
            if let Some(outbox) = self.outboxes.get_mut(&id) {
                outbox.give_up(&adopters);
            }
        }
        self.outboxes.retain(|_, outbox| !outbox.is_forgotten());
    }

    fn forget_lives(&mut self) {
        while self.outboxes.values().map(|outbox| outbox.lives.len()).sum::<usize>() > MOST_LIVES {
            let lives = self.outboxes.iter().flat_map(|(&id, outbox)| {
                outbox.lives.iter().map(move |life| (life.last_heard, id, life.run))
            });
            let Some((_, id, run)) = lives.min() else { return };
            if let Some(outbox) = self.outboxes.get_mut(&id) {
                outbox.lives.retain(|life| life.run != run);
                if outbox.is_forgotten() {
                    self.outboxes.remove(&id);
                }
            }
        }
    }

    /// The lives whose last hellos count (D9).
    fn living(&self) -> impl Iterator<Item = &Life> {
        let newest = self.last_heard();
        self.outboxes.values().flat_map(move |outbox| {
            outbox.lives.iter().filter(move |life| match outbox.standing_of(life, newest) {
                OutboxStanding::Living | OutboxStanding::SetAside => true,
                OutboxStanding::Silent | OutboxStanding::Closed => false,
            })
        })
    }

    /// The lives of outboxes that operators have closed.
    fn closed(&self) -> impl Iterator<Item = &Life> {
        let newest = self.last_heard();
        self.outboxes.values().flat_map(move |outbox| {
            outbox.lives.iter().filter(move |life| outbox.standing_of(life, newest) == OutboxStanding::Closed)
        })
    }

    /// The runs of which more records may come than hellos named; none: nobody was ever heard, and so of any. Of a run that
    /// does not speak a hello names all that there is, if it has room for it; but a run whose opening is still to come
    /// may be the one that followed it.
    fn going_on(&self) -> Option<BTreeSet<RunId>> {
        if self.outboxes.is_empty() {
            return None;
        }
        let is_opened = |run| self.runs.get(run).is_some_and(|account| account.opening.is_some());
        let mut going_on = BTreeSet::new();
        for life in self.living() {
            let are_opened = is_opened(&life.run) && life.named.keys().all(is_opened);
            let named = life.named.iter().filter(|(_, named)| !are_opened || named.samples.is_open());
            going_on.extend(named.map(|(run, _)| *run).chain([life.run]));
        }
        Some(going_on)
    }

    /// When a hello last named a run.
    fn last_named(&self, run: RunId) -> Option<UtcMillis> {
        let lives = self.outboxes.values().flat_map(|outbox| &outbox.lives);
        lives.filter(|life| life.named.contains_key(&run)).map(|life| life.last_heard).max()
    }

    /// What lampposts reported as dropped, by series.
    fn dropped_spans(&self, held: Held<'_>) -> BTreeMap<SeriesName, Vec<DroppedSpan>> {
        let mut spans: BTreeMap<SeriesName, Vec<DroppedSpan>> = BTreeMap::new();
        for (&run, account) in &self.runs {
            for log in Log::ALL {
                let nothing = Pieces::new();
                let held = held(run, log).unwrap_or(&nothing);
                for (&reason, part) in &account.log(log).dropped {
                    let (records, gone) = (part.pieces.count(), part.gone(held));
                    for (series, span) in part.series() {
                        let dropped = DroppedSpan { reason, span, records, gone };
                        spans.entry(series.clone()).or_default().push(dropped);
                    }
                }
            }
        }
        spans
    }

    /// The course of all series from `from` to before `to`, which is not in the future. `known` tells of descriptions.
    pub(in crate::ingest) fn course<'a>(
        &'a self,
        held: Held<'a>,
        known: impl Fn(Digest) -> Option<Arc<Known>>,
        (from, to): (UtcMillis, UtcMillis),
    ) -> Course {
        let stretches = self.timeline(held, from, to);
        let digests: BTreeSet<Digest> = stretches.iter().map(|stretch| stretch.description).collect();
        let descriptions = digests.into_iter().filter_map(|digest| Some((digest, known(digest)?)));
        Course {
            descriptions: descriptions.collect(),
            stretches,
            tallies: self.tallies.clone(),
            dropped: self.dropped_spans(held),
            known_from: self.forgotten_to.map(|to| to.plus_ms(1)),
        }
    }

    /// When any outbox was last heard.
    fn last_heard(&self) -> UtcMillis {
        let lives = self.outboxes.values().flat_map(|outbox| &outbox.lives);
        lives.map(|life| life.last_heard).max().unwrap_or_default()
    }

    /// What may still come of a run's log: all that a living outbox named, and all of which its hello says nothing.
    fn claimed(&self, run: RunId, log: Log) -> Pieces {
        let mut claimed = Pieces::new();
        for life in self.living() {
            life.claim(run, log, &mut claimed);
        }
        claimed
    }

    /// What would still come of a run's log had no operator closed an outbox; none if that makes no difference.
    fn claimed_but_for_closing(&self, run: RunId, log: Log) -> Option<Pieces> {
        self.closed().next()?;
        let mut claimed = self.claimed(run, log);
        for life in self.closed() {
            life.claim(run, log, &mut claimed);
        }
        Some(claimed)
    }
}
