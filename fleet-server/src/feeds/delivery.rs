//! What one subscriber is sent next: its place among the messages, and what it is owed besides. Pure: no socket, no clock.
//!
//! A subscriber is a place and some filters, and nothing that grows: what waits for it waits on the shelf that all read
//! from. Two things are owed beside what is new. To who subscribes, the latest message of each series that the filter
//! matches, as retained. To who fell behind, the latest of each series in what it missed, and how many that were.
//!
//! What guarantees order: a retained message is sent only if it lies before the place at which was subscribed, and one
//! that is owed only if it lies before the place now; what lies behind comes as new, later. So of a series nothing older
//! follows something newer, nothing is left out unsaid, and nothing comes twice to one subscription.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use lamplighter_protocol::UtcMillis;
use serde::Serialize;

use super::Filter;
use super::message::{self, Kind, Message};
use super::shelf::{Behind, Latest, Shelf};
use crate::web::Timestamp;

/// Where a subscriber is told what it missed. Whoever falls behind is told, subscribed or not.
pub(super) const MISSED: &str = "highway/missed";

/// A buffer is filled up to this much; the rest waits on the shelf.
const FILL: usize = 64 * 1024;
/// Series that are looked at in one go.
const LOOK: usize = 1_024;

/// At what quality of service (4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

/// One subscriber's delivery.
#[derive(Debug)]
pub(super) struct Delivery {
    shelf: Shelf,
    lag: u64,
    /// The sequence of the last message that was sent, or is none of this subscriber's.
    place: u64,
    /// Messages that never came to the shelf, up to this place.
    left_out: u64,
    /// When everything was sent that there was.
    current: UtcMillis,
    retained: VecDeque<Retained>,
    owed: Owed,
    missed: Option<Missed>,
    window: Window,
}

/// The retained messages of a subscription, as far as they are not sent.
#[derive(Debug)]
struct Retained {
    filter: Filter,
    qos: Qos,
    upto: u64,
    next: usize,
    end: usize,
}

/// Series of which the latest is owed: a bit each.
#[derive(Debug, Default)]
struct Owed {
    bits: Vec<u64>,
    /// No series below this one is owed.
    from: usize,
    count: usize,
}

/// What a subscriber has missed since it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Missed {
    /// How many messages.
    #[serde(rename = "missed")]
    count: u64,
    /// Whether it was exactly as many, and not that many at most.
    exact: bool,
    since: Timestamp,
    until: Timestamp,
    reason: &'static str,
}

/// Packet ids of messages that are not acknowledged.
#[derive(Debug)]
struct Window {
    free: Vec<u16>,
    /// By packet id, from 1 on.
    in_flight: Vec<bool>,
}

/// What came of filling a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// Messages that were written.
    pub(super) messages: u64,
    /// Messages that this subscriber missed.
    pub(super) missed: u64,
    pub(super) state: Filling,
}

/// Why no more was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Filling {
    /// There is more, once this is sent.
    #[default]
    More,
    /// There is no more now.
    Idle,
    /// There is more, once something is acknowledged.
    Window,
}

/// No message of this packet id is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotInFlight;

impl Delivery {
    /// For a subscriber that hears what comes from now on.
    pub(super) fn new(shelf: Shelf, lag: usize, in_flight: u16, now: UtcMillis) -> Self {
        let (place, left_out) = shelf.head();
        Self {
            shelf,
            lag: lag as u64,
            place,
            left_out,
            current: now,
            retained: VecDeque::new(),
            owed: Owed::default(),
            missed: None,
            window: Window::new(in_flight),
        }
    }

    /// Owes what is retained for a new subscription. One for the same filter begins anew (3.8.4).
    pub(super) fn subscribed(&mut self, filter: Filter, qos: Qos) {
        self.retained.retain(|one| one.filter != filter);
        let end = self.shelf.series();
        self.retained.push_back(Retained { filter, qos, upto: self.place, next: 0, end });
    }

    /// Owes nothing more for a subscription that is gone.
    pub(super) fn unsubscribed(&mut self, filter: &Filter) {
        self.retained.retain(|one| one.filter != *filter);
    }

    pub(super) fn acknowledged(&mut self, packet_id: u16) -> Result<(), NotInFlight> {
        self.window.give_back(packet_id)
    }

    /// Writes what comes next, as far as the buffer and the window have room. What is wanted, and how, is asked for each
    /// message: grants may end at any time.
    pub(super) fn fill(
        &mut self,
        wants: &dyn Fn(&Message) -> Option<Qos>,
        granted: &dyn Fn(&Message) -> bool,
        now: UtcMillis,
        out: &mut BytesMut,
    ) -> Filled {
        let mut filled = Filled::default();
        self.catch_up(wants, now, &mut filled);
        if let Some(missed) = self.missed.take() {
            let json = serde_json::to_vec(&missed).expect("what is sent has only text keys");
            message::write_text(MISSED, &json, out);
        }
        // What is new and what is owed share the room, so that neither keeps the other waiting.
        let mut overtaken = 0;
        let live = self.fill_live(wants, FILL / 2, out, &mut filled, &mut overtaken);
        let owed = match live {
            Filling::Window => Filling::Window,
            Filling::More | Filling::Idle => self.fill_owed(wants, granted, out, &mut filled, &mut overtaken),
        };
        if overtaken > 0 {
            self.miss(overtaken, true, "too_slow", now, &mut filled);
        }
        filled.state = match (live, owed) {
            (Filling::Window, _) | (_, Filling::Window) => Filling::Window,
            (Filling::Idle, Filling::Idle) if self.missed.is_none() => Filling::Idle,
            (Filling::More | Filling::Idle, _) => Filling::More,
        };
        if filled.state == Filling::Idle {
            self.current = now;
        }
        filled
    }

    /// Who is too far behind goes to the newest message, and is owed the latest of each series that it wants in between.
    fn catch_up(&mut self, wants: &dyn Fn(&Message) -> Option<Qos>, now: UtcMillis, filled: &mut Filled) {
        let (head, left_out) = self.shelf.head();
        let never_came = left_out - std::mem::replace(&mut self.left_out, left_out);
        if never_came > 0 {
            self.miss(never_came, false, "server_behind", now, filled);
        }
        let is_gone = matches!(self.shelf.behind(self.place), Behind::Gone);
        if head - self.place <= self.lag && !is_gone {
            return;
        }
        let mut missed = 0;
        let mut exact = true;
        while self.place < head {
            match self.shelf.behind(self.place) {
                Behind::Nothing => break,
                Behind::Batch(batch) => {
                    for (sequence, message) in batch.after(self.place) {
                        self.place = sequence;
                        if wants(message).is_some() && !self.owed.add(message.series) {
                            missed += 1;
                        }
                    }
                }
                Behind::Gone => {
                    let between = head - self.place;
                    let owed = self.owe_all_behind(self.place, wants);
                    missed += between.saturating_sub(owed);
                    exact = false;
                    self.place = head;
                }
            }
        }
        if missed > 0 {
            self.miss(missed, exact, "too_slow", now, filled);
        }
    }

    /// Owes each series whose latest lies behind a place. How many more are owed than before.
    fn owe_all_behind(&mut self, place: u64, wants: &dyn Fn(&Message) -> Option<Qos>) -> u64 {
        let (mut more, mut from) = (0, 0);
        loop {
            let latest = self.shelf.latest(from, LOOK);
            if latest.is_empty() {
                return more;
            }
            from += latest.len();
            for Latest { sequence, message } in latest.into_iter().flatten() {
                if sequence > place && wants(&message).is_some() && self.owed.add(message.series) {
                    more += 1;
                }
            }
        }
    }

    fn miss(&mut self, missed: u64, exact: bool, reason: &'static str, now: UtcMillis, filled: &mut Filled) {
        filled.missed += missed;
        let (since, until) = (Timestamp(self.current), Timestamp(now));
        self.missed = Some(Missed { count: missed, exact, since, until, reason }.after(self.missed));
        self.current = now;
    }

    /// Overtaken is what was owed of a series and is not sent, because something newer of it is.
    fn fill_live(
        &mut self,
        wants: &dyn Fn(&Message) -> Option<Qos>,
        room: usize,
        out: &mut BytesMut,
        filled: &mut Filled,
        overtaken: &mut u64,
    ) -> Filling {
        loop {
            let batch = match self.shelf.behind(self.place) {
                Behind::Nothing => return Filling::Idle,
                // It ran over us since we looked: the next filling begins with that.
                Behind::Gone => return Filling::More,
                Behind::Batch(batch) => batch,
            };
            for (sequence, message) in batch.after(self.place) {
                if let Some(qos) = wants(message) {
                    if out.len() >= room {
                        return Filling::More;
                    }
                    if !self.send(message, qos, Kind::Live, out, filled) {
                        return Filling::Window;
                    }
                    *overtaken += u64::from(self.owed.remove(message.series));
                }
                self.place = sequence;
            }
        }
    }

    fn fill_owed(
        &mut self,
        wants: &dyn Fn(&Message) -> Option<Qos>,
        granted: &dyn Fn(&Message) -> bool,
        out: &mut BytesMut,
        filled: &mut Filled,
        overtaken: &mut u64,
    ) -> Filling {
        while let Some(series) = self.owed.first() {
            if out.len() >= FILL {
                return Filling::More;
            }
            let latest = self.shelf.latest(series, 1).pop().flatten();
            if let Some(Latest { sequence, message }) = latest
                && let Some(qos) = wants(&message)
            {
                // What lies behind the place comes as new.
                if sequence > self.place {
                    *overtaken += 1;
                } else if !self.send(&message, qos, Kind::Live, out, filled) {
                    return Filling::Window;
                }
            }
            self.owed.remove(series);
        }
        let Some(mut one) = self.retained.pop_front() else { return Filling::Idle };
        let filling = self.fill_retained(&mut one, granted, out, filled);
        if one.next < one.end {
            self.retained.push_front(one);
        }
        match filling {
            Filling::Idle if !self.retained.is_empty() => Filling::More,
            filling @ (Filling::More | Filling::Idle | Filling::Window) => filling,
        }
    }

    /// One look at a time: whoever has many series and wants few of them gives others a turn.
    fn fill_retained(
        &mut self,
        one: &mut Retained,
        granted: &dyn Fn(&Message) -> bool,
        out: &mut BytesMut,
        filled: &mut Filled,
    ) -> Filling {
        let look = self.shelf.latest(one.next, LOOK.min(one.end - one.next));
        for latest in look {
            if let Some(Latest { sequence, message }) = latest
                && sequence <= one.upto
                && one.filter.matches(&message.topic)
                && granted(&message)
            {
                if out.len() >= FILL {
                    return Filling::More;
                }
                if !self.send(&message, one.qos, Kind::Retained, out, filled) {
                    return Filling::Window;
                }
            }
            one.next += 1;
        }
        Filling::Idle
    }

    /// False: the window is full.
    fn send(
        &mut self,
        message: &Arc<Message>,
        qos: Qos,
        kind: Kind,
        out: &mut BytesMut,
        filled: &mut Filled,
    ) -> bool {
        let packet_id = match qos {
            Qos::AtMostOnce => None,
            Qos::AtLeastOnce => match self.window.take() {
                None => return false,
                packet_id => packet_id,
            },
        };
        message.write(packet_id, kind, out);
        filled.messages += 1;
        true
    }
}

impl super::shelf::Batch {
    /// Its messages that follow a sequence, with their own.
    fn after(&self, place: u64) -> impl Iterator<Item = (u64, &Arc<Message>)> {
        let skipped = usize::try_from((place + 1).saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(&*self.messages).skip(skipped)
    }
}

impl Missed {
    fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let (count, exact) = (before.count + self.count, before.exact && self.exact);
        Self { count, exact, since: before.since, ..self }
    }
}

impl Owed {
    /// False: it is owed already.
    fn add(&mut self, series: usize) -> bool {
        let (word, bit) = (series / 64, 1 << (series % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let Some(word) = self.bits.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        self.count += usize::from(is_new);
        self.from = self.from.min(series);
        is_new
    }

    /// False: it is not owed.
    fn remove(&mut self, series: usize) -> bool {
        let bit = 1 << (series % 64);
        let was_owed = match self.bits.get_mut(series / 64) {
            Some(word) if *word & bit != 0 => {
                *word &= !bit;
                self.count -= 1;
                true
            }
            Some(_) | None => false,
        };
        if self.count == 0 {
            *self = Self::default();
        }
        was_owed
    }

    fn first(&mut self) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let from = self.from / 64;
        let (word, bits) = (from..).zip(self.bits.get(from..)?).find(|(_, bits)| **bits != 0)?;
        let first = word * 64 + bits.trailing_zeros() as usize;
        self.from = first;
        Some(first)
    }
}

impl Window {
    fn new(size: u16) -> Self {
        let size = size.max(1);
        // The lowest is taken first.
        Self { free: (1..=size).rev().collect(), in_flight: vec![false; usize::from(size) + 1] }
    }

    fn take(&mut self) -> Option<u16> {
        let packet_id = self.free.pop()?;
        if let Some(in_flight) = self.in_flight.get_mut(usize::from(packet_id)) {
            *in_flight = true;
        }
        Some(packet_id)
    }

    fn give_back(&mut self, packet_id: u16) -> Result<(), NotInFlight> {
        let in_flight = self.in_flight.get_mut(usize::from(packet_id)).ok_or(NotInFlight)?;
        if !std::mem::take(in_flight) {
            return Err(NotInFlight);
        }
        self.free.push(packet_id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
