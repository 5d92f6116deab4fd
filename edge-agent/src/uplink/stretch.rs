//! Stretches of a log that were sent, and those that have to be sent again.

use std::time::Duration;

use lamplighter_protocol::{Log, Pieces, RunId};

/// Consecutive sequences of one log of one run, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub run: RunId,
    pub log: Log,
    pub first: u64,
    pub last: u64,
}

impl Stretch {
    pub(super) fn len(self) -> usize {
        usize::try_from(self.last - self.first + 1).unwrap_or(usize::MAX)
    }

    fn touches(self, other: Self) -> bool {
        (self.run, self.log) == (other.run, other.log) && self.first <= other.last && other.first <= self.last
    }
}

/// A stretch that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub stretch: Stretch,
    /// Number of its frame on this connection; none: an earlier connection.
    pub count: Option<u64>,
    /// When it was sent.
    pub at: Duration,
}

/// What went out and was acknowledged, and that no position has named yet. Bounded in memory however long positions
/// stay away: neighbours become one, and then count as sent when the later of them was.
#[derive(Debug, Default)]
pub(super) struct SentList {
    sent: Vec<Sent>,
    oldest: Option<Duration>,
}

/// Past so many, all but the newest are joined with their neighbours.
const MOST_SENT: usize = 2_048;
const NEWEST_SENT: usize = 512;

impl SentList {
    pub(super) fn push(&mut self, sent: Sent) {
        self.oldest = Some(self.oldest.map_or(sent.at, |oldest| oldest.min(sent.at)));
        self.sent.push(sent);
        if self.sent.len() > MOST_SENT {
            let newest = self.sent.split_off(self.sent.len() - NEWEST_SENT);
            self.join();
            self.sent.extend(newest);
        }
    }

    /// When the oldest of these was sent.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.oldest
    }

    /// The connection ended: all of it was sent before everything of the next one (D7).
    pub(super) fn of_an_earlier_connection(&mut self) {
        for sent in &mut self.sent {
            sent.count = None;
        }
        self.join();
    }

    pub(super) fn into_inner(self) -> Vec<Sent> {
        self.sent
    }

    fn join(&mut self) {
        self.sent.sort_by_key(|sent| (sent.stretch.run, sent.stretch.log, sent.stretch.first));
        self.sent.dedup_by(|next, before| {
            let (one, other) = (&before.stretch, &next.stretch);
            let joins = (one.run, one.log, one.last + 1) == (other.run, other.log, other.first);
            if joins {
                before.stretch.last = other.last;
                before.count = before.count.max(next.count);
                before.at = before.at.min(next.at);
            }
            joins
        });
    }
}

/// Longest time between two resends of a record (D7).
const LONGEST: Duration = Duration::from_hours(1);
const FIRST: Duration = Duration::from_secs(5);

/// Stretches that a position showed as missing. The first resend is immediate, each further one waits twice as long,
/// up to an hour (D7).
#[derive(Debug, Default)]
pub(super) struct Resends {
    resends: Vec<Resend>,
}

#[derive(Debug)]
struct Resend {
    stretch: Stretch,
    times: u32,
    /// Not to be sent before; none: it is sent, or may be.
    due: Option<Duration>,
}

impl Resends {
    /// This stretch is missing at the server. Returns whether it has to wait for its turn ([`Resends::due`]).
    pub(super) fn again(&mut self, stretch: Stretch, now: Duration) -> bool {
        let times = self
            .resends
            .iter()
            .filter(|one| one.stretch.touches(stretch))
            .map(|one| one.times + 1)
            .max()
            .unwrap_or(0);
        self.resends.retain(|one| !one.stretch.touches(stretch));
        let due = (times > 0).then(|| now + wait(times));
        self.resends.push(Resend { stretch, times, due });
        due.is_some()
    }

    /// This stretch could not be read: it waits at once.
    pub(super) fn unreadable(&mut self, stretch: Stretch, now: Duration) {
        if !self.again(stretch, now) {
            self.again(stretch, now);
        }
    }

    /// Takes out what may be sent now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Stretch> {
        let due = self.resends.iter_mut().filter(|one| one.due.is_some_and(|at| at <= now));
        due.map(|one| {
            one.due = None;
            one.stretch
        })
        .collect()
    }

    /// When the next one may be sent.
    pub(super) fn next_due(&self) -> Duration {
        self.resends.iter().filter_map(|one| one.due).min().unwrap_or(Duration::MAX)
    }

    /// The server holds these now: what lies wholly in them need not be remembered. Returns what of it was waiting.
    pub(super) fn held(&mut self, run: RunId, log: Log, held: &Pieces) -> Vec<Stretch> {
        let is_held = |one: &mut Resend| {
            let Stretch { run: of, log: in_log, first, last } = one.stretch;
            (of, in_log) == (run, log) && held.contains_all(first, last)
        };
        let done = self.resends.extract_if(.., is_held);
        done.filter(|one| one.due.is_some()).map(|one| one.stretch).collect()
    }
}

fn wait(times: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(times.saturating_sub(1))).min(LONGEST)
}
