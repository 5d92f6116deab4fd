//! The session with the server as a pure state machine: what is owed, what is under way, what comes next (D6 to D9).
//!
//! Every sequence of a log that is on disk is in exactly one place:
//!
//! | place | meaning |
//! | --- | --- |
//! | *held* | the last position lists it |
//! | *in flight* | sent on this connection, no PUBACK yet |
//! | *sent* | PUBACK came, no position names it yet; forgotten at a restart |
//! | *waiting* | a position showed it as missing; it is sent again when its back-off is over |
//! | *owed* | none of these: it is sent next |
//!
//! The session owns no socket, file or clock. Its shell tells it what happened and asks [`Session::next`] what to do.

mod counts;
mod link;
mod naming;
mod next;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{Digest, Frame, Hello, Log, Nonce, Pieces, Position, RunId, limits};

use self::link::{InFlight, Link, place_of};
use super::share::Share;
use super::stretch::{Resends, Sent, SentList, Stretch};
use crate::clock::ClockTrust;
use crate::outbox::{Chunk, OutboxState, Place, ReadLimit};

/// Who speaks, for the hello.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Version of the agent.
    pub agent_version: String,
    /// Serial number of its hardware; empty if it has none.
    pub hardware_serial: String,
    /// Generation of the configuration that runs.
    pub generation: u64,
}

/// What the shell is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Publish what [`Session::hello`] returns.
    Hello,
    /// Read this from the outbox, describe it if need be, and publish what [`Session::frame`] makes of it.
    Read(Place, ReadLimit),
    /// Nothing before this moment, unless something happens.
    Idle {
        /// Of the same clock as the `now` of all methods.
        until: Duration,
    },
    /// The connection is dead: make a new one.
    GiveUp,
}

/// What became of a position.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It replaces the one before.
    Believed {
        /// When the hello was said that it answers: the server's time is later than that.
        asked: Duration,
    },
    /// Of another connection, or not newer than the last (D8).
    Ignored,
}

/// One agent's side of the conversation, over all of its connections. `now` is monotonic, from any fixed moment on.
#[derive(Debug)]
pub struct Session {
    speaker: Speaker,
    outbox: OutboxState,
    held: BTreeMap<(RunId, Log), Arc<Pieces>>,
    /// In flight, sent or waiting.
    under_way: BTreeMap<(RunId, Log), Pieces>,
    sent: SentList,
    resends: Resends,
    link: Option<Link>,
    silences: u32,
    clock: ClockTrust,
}

impl Session {
    /// Begins with what the outbox holds, and what the last position that it kept lists; not connected.
    pub fn new(speaker: Speaker, outbox: OutboxState) -> Self {
        let mut held = BTreeMap::new();
        for run in &outbox.runs {
            for log in Log::ALL {
                held.insert((run.run, log), Arc::clone(&run.log(log).held));
            }
        }
        Self {
            speaker,
            outbox,
            held,
            under_way: BTreeMap::new(),
            sent: SentList::default(),
            resends: Resends::default(),
            link: None,
            silences: 0,
            clock: ClockTrust::Sure,
        }
    }

    /// How far the lamppost's clock is to be believed. As long as it is not sure of the time, the server is asked for it
    /// again and again (D3).
    pub fn clock_is(&mut self, trust: ClockTrust) {
        self.clock = trust;
    }

    /// The outbox holds this now. Where other outboxes are concerned, the server hears of it at once: what was adopted is
    /// named before it is sent, and what is set aside is told of as it is.
    pub fn outbox_changed(&mut self, state: OutboxState) {
        if let Some(link) = self.link.as_mut().filter(|_| state.set_aside != self.outbox.set_aside) {
            link.hello_wanted = true;
        }
        self.outbox = state;
    }

    /// A connection was made, whose nonce is drawn by the shell (D8).
    pub fn connected(&mut self, nonce: Nonce, now: Duration) {
        self.disconnected();
        let live_from = self.outbox.runs.last().map_or([0, 0], |run| [run.samples.end, run.events.end]);
        self.link = Some(Link {
            nonce,
            count: 0,
            in_flight: VecDeque::new(),
            bytes: 0,
            records: 0,
            share: Share::new(),
            backlog_bytes: 0,
            described: BTreeSet::new(),
            live_from,
            hello_said: None,
            first_hello: now,
            hello_count: 0,
            hello_doublings: 0,
            hello_wanted: false,
            last_position: None,
            last_puback: now,
        });
    }

    /// What was in flight is owed again; what was acknowledged counts as before everything of the next connection.
    pub fn disconnected(&mut self) {
        let Some(link) = self.link.take() else { return };
        for (sent, _) in link.in_flight.into_iter().filter_map(|one| one.frame) {
            self.forget(sent.stretch);
        }
        self.sent.of_an_earlier_connection();
    }

    /// A hello to publish: it opens the connection, or is said again (D8).
    pub fn hello(&mut self, now: Duration) -> Option<Vec<u8>> {
        let runs = self.runs_to_name();
        let set_aside = self.outbox.set_aside.iter().take(limits::MAX_SET_ASIDE_PER_HELLO);
        let set_aside = set_aside.map(|aside| aside.told.clone()).collect();
        let link = self.link.as_mut()?;
        link.count += 1;
        if link.hello_said.is_some() && !std::mem::take(&mut link.hello_wanted) {
            link.hello_doublings = (link.hello_doublings + 1).min(16);
        }
        if link.hello_said.is_none() {
            link.first_hello = now;
        }
        link.hello_said = Some(now);
        link.hello_count = link.count;
        let hello = Hello {
            nonce: link.nonce,
            count: link.count,
            outbox: self.outbox.outbox,
            run: self.outbox.run,
            runs,
            agent_version: self.speaker.agent_version.clone(),
            hardware_serial: self.speaker.hardware_serial.clone(),
            generation: self.speaker.generation,
            set_aside,
        };
        let payload = hello.encode();
        link.put(InFlight { bytes: payload.len(), is_hello: true, is_backlog: false, frame: None }, now);
        Some(payload)
    }

    /// Whether this description was sent on this connection: it goes before the first frame that needs it (D4).
    pub fn is_described(&self, digest: Digest) -> bool {
        self.link.as_ref().is_some_and(|link| link.described.contains(&digest))
    }

    /// Records that were read, as a frame to publish; none without a connection.
    pub fn frame(&mut self, chunk: Chunk, now: Duration) -> Option<Vec<u8>> {
        let link = self.link.as_mut()?;
        link.count += 1;
        let frame = Frame {
            nonce: link.nonce,
            count: link.count,
            run: chunk.place.run,
            first: chunk.place.sequence,
            description: chunk.description,
            records: chunk.records,
        };
        let stretch =
            Stretch { run: frame.run, log: chunk.place.log, first: frame.first, last: frame.last() };
        let payload = frame.encode();
        let sent = Sent { stretch, count: Some(frame.count), at: now };
        let live_from = link.live_from[place_of(stretch.log)];
        let is_backlog = stretch.run != self.outbox.run || stretch.first < live_from;
        link.put(
            InFlight {
                bytes: payload.len(),
                is_hello: false,
                is_backlog,
                frame: Some((sent, link.share.sent(now))),
            },
            now,
        );
        self.under_way.entry((stretch.run, stretch.log)).or_default().insert(stretch.first, stretch.last);
        Some(payload)
    }

    /// A description's payload is about to be published.
    pub fn describe(&mut self, digest: Digest, bytes: usize, now: Duration) {
        if let Some(link) = &mut self.link {
            link.described.insert(digest);
            link.put(InFlight { bytes, is_hello: false, is_backlog: false, frame: None }, now);
        }
    }

    /// The outbox could not give these records: they are asked for again when their back-off is over.
    pub fn unreadable(&mut self, place: Place, last: u64, now: Duration) {
        let stretch = Stretch { run: place.run, log: place.log, first: place.sequence, last };
        self.under_way.entry((stretch.run, stretch.log)).or_default().insert(stretch.first, stretch.last);
        self.resends.unreadable(stretch, now);
    }

    /// The oldest publish in flight was acknowledged: it opens the window and says "sent" (D5). Says how many records it
    /// had.
    pub fn acknowledged(&mut self, now: Duration) -> u64 {
        let Some(link) = &mut self.link else { return 0 };
        link.last_puback = now;
        self.silences = 0;
        let Some(done) = link.in_flight.pop_front() else { return 0 };
        link.bytes -= done.bytes;
        let Some((sent, departure)) = done.frame else { return 0 };
        link.share.acknowledged(done.bytes, departure, now);
        if done.is_backlog {
            link.backlog_bytes -= done.bytes;
        }
        let records = sent.stretch.len();
        link.records -= records;
        self.sent.push(sent);
        records as u64
    }

    /// A position arrived (D7 to D9).
    pub fn position(&mut self, position: &Position, now: Duration) -> Heard {
        let Some(link) = &mut self.link else { return Heard::Ignored };
        let newer = link.last_position.is_none_or(|last| position.server_time > last);
        if position.nonce != link.nonce || !newer {
            return Heard::Ignored;
        }
        link.last_position = Some(position.server_time);
        let read_last = position.count >= link.hello_count;
        let asked = link.hello_said.filter(|_| read_last).unwrap_or(link.first_hello);
        link.hello_doublings = 0;
        for digest in &position.lacking {
            link.described.remove(digest);
        }
        // What the server says of runs that are not here says nothing to us.
        let ours = |run: &RunId| self.outbox.runs.iter().any(|one| one.run == *run);
        self.held.retain(|(run, _), _| ours(run));
        for run in position.runs.iter().filter(|run| ours(&run.run)) {
            for log in Log::ALL {
                self.held.insert((run.run, log), Arc::new(run.log(log).pieces.clone()));
            }
        }
        for run in &position.runs {
            for log in Log::ALL {
                // Held now, and no longer waiting: should it ever be missing again, it is owed at once.
                for stretch in self.resends.held(run.run, log, &run.log(log).pieces) {
                    self.forget(stretch);
                }
            }
        }
        for sent in std::mem::take(&mut self.sent).into_inner() {
            self.settle(sent, position, now);
        }
        Heard::Believed { asked }
    }

    /// The agent itself stood still just now, from one moment to the other: how long acknowledgements took says nothing of
    /// the server then. What was sent meanwhile waited for no more than the rest of it.
    pub fn stalled(&mut self, stall: Range<Duration>) {
        let Some(link) = &mut self.link else { return };
        for (_, departure) in link.in_flight.iter_mut().filter_map(|one| one.frame.as_mut()) {
            departure.left_in(&stall);
        }
        link.share.stalled(stall.end.saturating_sub(stall.start));
    }

    /// Whether anything is in flight.
    pub fn awaits_acknowledgement(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !link.in_flight.is_empty())
    }

    /// Nothing is awaited any more from a silent server: the next connection waits longer (D6).
    pub fn fell_silent(&mut self) {
        self.silences = (self.silences + 1).min(6);
    }

    /// Records sent on this connection and not yet acknowledged.
    pub fn records_in_flight(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.records as u64)
    }

    /// Sorts one acknowledged stretch by what a position says of it: held, missing, or not spoken of.
    fn settle(&mut self, sent: Sent, position: &Position, now: Duration) {
        let Stretch { run, log, first, last } = sent.stretch;
        let Some(named) = position.of(run) else {
            self.sent.push(sent);
            return;
        };
        let named = named.log(log);
        // Of an earlier connection: before everything. Of this one: only what the server had read by then (D7).
        let was_read = sent.count.is_none_or(|count| count <= position.count);
        self.forget(sent.stretch);
        for (from, to) in named.pieces.missing_in(first, last) {
            let spoken_of = if was_read { named.complete_below } else { 0 };
            let missing_to = to.min(spoken_of.saturating_sub(1));
            if spoken_of > from {
                let missing = Stretch { run, log, first: from, last: missing_to };
                if self.resends.again(missing, now) {
                    self.under_way.entry((run, log)).or_default().insert(from, missing_to);
                }
            }
            let rest = from.max(spoken_of);
            if rest <= to {
                self.under_way.entry((run, log)).or_default().insert(rest, to);
                self.sent.push(Sent { stretch: Stretch { run, log, first: rest, last: to }, ..sent });
            }
        }
    }

    fn forget(&mut self, stretch: Stretch) {
        if let Some(under_way) = self.under_way.get_mut(&(stretch.run, stretch.log)) {
            under_way.remove(stretch.first, stretch.last);
        }
    }
}
