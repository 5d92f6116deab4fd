//! What comes next: a hello that is due, live data, the backlog, or to wait.

use std::time::Duration;

use lamplighter_protocol::{Log, Pieces, limits};

use super::link::{Link, place_of};
use super::{Next, Session};
use crate::clock::ClockTrust;
use crate::outbox::{Place, ReadLimit, RunState};
use crate::uplink::stretch::Stretch;

/// A hello is said again this long after something was sent that no position names (D8); it doubles up to
/// [`HELLO_AT_LEAST_EVERY`].
const HELLO_AFTER_UNNAMED: Duration = Duration::from_mins(1);

/// A hello is said at least this often (D8).
const HELLO_AT_LEAST_EVERY: Duration = Duration::from_hours(1);

/// A connection on which no PUBACK came for this long, while one was due, is given up (D6); it doubles each time.
const SILENCE: Duration = Duration::from_mins(10);

/// Bytes of a frame besides its records: envelope fields, and a few for each record's own header.
const ENVELOPE_BYTES: usize = 160;

impl Session {
    /// What to do next. Asked again after each event, and when the moment that it names has come.
    pub fn next(&mut self, now: Duration) -> Next {
        for stretch in self.resends.due(now) {
            self.forget(stretch);
        }
        let Some(link) = &self.link else { return Next::Idle { until: Duration::MAX } };
        if link.in_flight.len() >= limits::WINDOW_PUBLISHES {
            return self.idle(link, now);
        }
        if self.hello_due(link) <= now {
            return Next::Hello;
        }
        let bytes = limits::WINDOW_BYTES.saturating_sub(link.bytes);
        let records = limits::WINDOW_RECORDS.saturating_sub(link.records);
        // A read that could not fill a quarter of a payload waits for acknowledgements: small frames cost the most.
        if bytes < limits::MAX_PAYLOAD_BYTES || records == 0 {
            return self.idle(link, now);
        }
        let live = || self.live_owed(link).map(|stretch| (stretch, limits::MAX_PAYLOAD_BYTES));
        let backlog = || {
            let bytes = link.share.next_frame(link.backlog_bytes)?;
            self.backlog_owed().map(|stretch| (stretch, bytes))
        };
        match live().or_else(backlog) {
            Some((stretch, bytes)) => {
                let limit = ReadLimit {
                    bytes: bytes - ENVELOPE_BYTES,
                    records: records.min(limits::MAX_RECORDS_PER_FRAME),
                    last: stretch.last,
                };
                Next::Read(Place { run: stretch.run, log: stretch.log, sequence: stretch.first }, limit)
            }
            None => self.idle(link, now),
        }
    }

    /// Live data, which goes first: events before samples (D6).
    fn live_owed(&self, link: &Link) -> Option<Stretch> {
        let current = self.outbox.runs.last()?;
        let owed = |log| self.owed_in(current, log, link.live_from[place_of(log)], u64::MAX);
        owed(Log::Events).or_else(|| owed(Log::Samples))
    }

    /// The backlog, the oldest run first.
    fn backlog_owed(&self) -> Option<Stretch> {
        self.outbox.runs.iter().find_map(|run| {
            self.owed_in(run, Log::Events, 0, u64::MAX)
                .or_else(|| self.owed_in(run, Log::Samples, 0, u64::MAX))
        })
    }

    fn owed_in(&self, run: &RunState, log: Log, from: u64, to: u64) -> Option<Stretch> {
        static NONE: Pieces = Pieces::new();
        // Nothing is sent undated (D3).
        if !run.may_be_sent {
            return None;
        }
        let key = (run.run, log);
        let held = self.held.get(&key).map_or(&NONE, |held| held);
        let under_way = self.under_way.get(&key).unwrap_or(&NONE);
        let on_disk = run.log(log).on_disk.ranges().filter(|range| range.1 >= from && range.0 <= to);
        for (first, last) in on_disk {
            for (first, last) in held.missing_in(first.max(from), last.min(to)) {
                if let Some(&(first, last)) = under_way.missing_in(first, last).first() {
                    return Some(Stretch { run: run.run, log, first, last });
                }
            }
        }
        None
    }

    fn hello_due(&self, link: &Link) -> Duration {
        let Some(said) = link.hello_said else { return Duration::ZERO };
        let at_least = said + HELLO_AT_LEAST_EVERY;
        // One hello at a time: it is answered, or its connection is given up.
        if link.in_flight.iter().any(|one| one.is_hello) {
            return Duration::MAX;
        }
        if link.hello_wanted {
            return Duration::ZERO;
        }
        let first_in_flight = link.in_flight.iter().find_map(|one| one.frame).map(|(sent, _)| sent.at);
        let asks_for_time = (self.clock != ClockTrust::Sure).then_some(said);
        let waits = self.sent.oldest().into_iter().chain(first_in_flight).chain(asks_for_time);
        let Some(oldest) = waits.min() else {
            return at_least;
        };
        let patience = HELLO_AFTER_UNNAMED * 2u32.saturating_pow(link.hello_doublings);
        at_least.min(oldest.max(said) + patience)
    }

    fn idle(&self, link: &Link, now: Duration) -> Next {
        let give_up = link.last_puback + SILENCE * 2u32.saturating_pow(self.silences);
        if !link.in_flight.is_empty() && give_up <= now {
            return Next::GiveUp;
        }
        let mut until = self.resends.next_due();
        if link.in_flight.len() < limits::WINDOW_PUBLISHES {
            until = until.min(self.hello_due(link));
        }
        if !link.in_flight.is_empty() {
            until = until.min(give_up);
        }
        Next::Idle { until: until.max(now + Duration::from_millis(1)) }
    }
}
