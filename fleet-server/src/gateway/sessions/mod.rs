//! Who is logged in, and the way down to them.
//!
//! One connection per lamppost: the newer one wins, for the older is most often dead without knowing it. Two clients
//! that share a certificate would so throw each other out for ever: take-overs have a rate. A newer certificate
//! is not thrown out by an older one, so a stolen and replaced one cannot keep a lamppost off. Whose certificate is revoked
//! is thrown out, and does not get in again by an answer that admission gave before.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use lamplighter_protocol::limits::MAX_PAYLOAD_BYTES;
use lamplighter_protocol::{LamppostNumber, Leaf, UtcMillis};
use tokio::sync::Notify;

use super::admission::Refusal;
use super::identity::Identity;
use super::limits::Limits;
use super::pace::Pace;
use super::reason::Reason;
use super::session::Now;
use super::subscriptions::Subscriptions;

/// The lampposts that are logged in. Clones are one and the same.
#[derive(Clone, Default)]
pub struct Sessions {
    places: Arc<Mutex<Places>>,
}

/// What is known of a lamppost that is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// When it logged in.
    pub since: UtcMillis,
    /// When its last whole packet came.
    pub last_message: UtcMillis,
    /// Where it calls from.
    pub peer: SocketAddr,
    /// The serial number of its certificate, in lowercase hexadecimal.
    pub certificate_serial: String,
    /// Whether it listens to anything.
    pub subscribed: bool,
}

/// What became of a message to a lamppost. Queued is not delivered: the connection may end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// It waits to be written to the connection.
    Queued,
    /// It waits, and an older position that nobody had read yet is forgotten for it.
    Replaced,
    /// The lamppost is not logged in.
    NotConnected,
    /// It is logged in, and does not listen to this.
    NotSubscribed,
    /// So many commands wait for it that no other is taken.
    Full,
    /// Longer than a payload may be ([`MAX_PAYLOAD_BYTES`]).
    TooLong,
}

/// Says of a command whether it was written to the connection that it was queued for.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    connection: Weak<Slot>,
    written: Arc<AtomicBool>,
}

/// The place of one connection among the sessions, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    sessions: Sessions,
    slot: Arc<Slot>,
    took_over: bool,
}

/// What a connection is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// The connection is to end.
    Close(Reason),
    /// Send this down.
    Downlink(Leaf, Bytes),
}

#[derive(Default)]
struct Places {
    connected: HashMap<LamppostNumber, Place>,
    /// Serial numbers of revoked certificates.
    revoked: HashSet<String>,
}

struct Place {
    slot: Arc<Slot>,
    takeovers: Pace,
}

#[derive(Debug)]
struct Slot {
    identity: Arc<Identity>,
    since: UtcMillis,
    peer: SocketAddr,
    last_message: AtomicI64,
    most_commands: usize,
    mail: Mutex<Mail>,
    // One waiter, and `notify_one` keeps one permit, so no letter is missed between a look and a wait.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Mail {
    subscriptions: Subscriptions,
    position: Option<Bytes>,
    commands: VecDeque<QueuedCommand>,
    /// Commands that the connection has taken and perhaps not written yet.
    taken: Vec<Arc<AtomicBool>>,
    /// Why the connection is to end, if it is.
    close: Option<Reason>,
}

#[derive(Debug, Default)]
struct QueuedCommand {
    payload: Bytes,
    written: Arc<AtomicBool>,
}

impl Sessions {
    /// Queues a message for a lamppost. Never waits: of positions the newest alone is kept, commands are bounded.
    pub fn send(&self, number: &LamppostNumber, leaf: Leaf, payload: Bytes) -> Sent {
        let Some(slot) = lock(&self.places).connected.get(number).map(|place| Arc::clone(&place.slot)) else {
            return Sent::NotConnected;
        };
        let sent = slot.put(leaf, payload, &Arc::default());
        slot.changed.notify_one();
        sent
    }

    /// Queues a command for a lamppost, as [`Self::send`] does. What was not queued is never written.
    pub fn command(&self, number: &LamppostNumber, payload: Bytes) -> (Sent, Receipt) {
        let Some(slot) = lock(&self.places).connected.get(number).map(|place| Arc::clone(&place.slot)) else {
            return (Sent::NotConnected, Receipt::default());
        };
        let receipt = Receipt { connection: Arc::downgrade(&slot), written: Arc::default() };
        let sent = slot.put(Leaf::Command, payload, &receipt.written);
        slot.changed.notify_one();
        (sent, receipt)
    }

    /// What is known of this lamppost, if it is logged in.
    pub fn connected(&self, number: &LamppostNumber) -> Option<SessionInfo> {
        let slot = lock(&self.places).connected.get(number).map(|place| Arc::clone(&place.slot))?;
        Some(slot.info())
    }

    /// Since when each of these lampposts is logged in, in their order; none for one that is not. Nobody logs in
    /// meanwhile: not for more than some thousand at a time.
    pub fn connected_since(&self, numbers: &[LamppostNumber]) -> Vec<Option<UtcMillis>> {
        let places = &lock(&self.places).connected;
        numbers.iter().map(|number| places.get(number).map(|place| place.slot.since)).collect()
    }

    /// All lampposts that are logged in, in no order.
    pub fn list(&self) -> Vec<(LamppostNumber, SessionInfo)> {
        lock(&self.places)
            .connected
            .iter()
            .map(|(number, place)| (number.clone(), place.slot.info()))
            .collect()
    }

    /// Up to `most` lampposts that are logged in, in the order of their numbers, from the first behind the given one on.
    pub fn page(&self, after: Option<&LamppostNumber>, most: usize) -> Vec<(LamppostNumber, SessionInfo)> {
        let mut slots: Vec<Arc<Slot>> = {
            let places = lock(&self.places);
            let behind =
                places.connected.iter().filter(|(number, _)| after.is_none_or(|after| *number > after));
            behind.map(|(_, place)| Arc::clone(&place.slot)).collect()
        };
        // Whoever logs in does not wait for this.
        slots.sort_by(|one, other| one.identity.number.cmp(&other.identity.number));
        slots.truncate(most);
        slots.iter().map(|slot| (slot.identity.number.clone(), slot.info())).collect()
    }

    /// How many lampposts are logged in.
    pub fn count(&self) -> usize {
        lock(&self.places).connected.len()
    }

    /// Makes these the certificates that are revoked: by lamppost and serial number, in lowercase hexadecimal. Who is
    /// connected with one is told to close, and who is being admitted with one is refused. Says who is told.
    pub fn revoke(&self, revoked: Vec<(LamppostNumber, String)>) -> Vec<LamppostNumber> {
        let mut places = lock(&self.places);
        let has = |(number, serial): &&(LamppostNumber, String)| {
            let place = places.connected.get(number);
            place.is_some_and(|place| place.slot.identity.certificate_serial == *serial)
        };
        let told: Vec<LamppostNumber> =
            revoked.iter().filter(has).map(|(number, _)| number.clone()).collect();
        for number in &told {
            places.connected[number].slot.close(Reason::Revoked);
        }
        places.revoked = revoked.into_iter().map(|(_, serial)| serial).collect();
        told
    }

    /// Enters a connection; an older one of the same lamppost is told to close.
    pub(super) fn enter(
        &self,
        identity: &Arc<Identity>,
        peer: SocketAddr,
        limits: &Limits,
        now: Now,
    ) -> Result<Registration, Reason> {
        let slot = Arc::new(Slot {
            identity: Arc::clone(identity),
            since: now.wall,
            peer,
            last_message: AtomicI64::new(now.wall.0),
            most_commands: limits.commands,
            mail: Mutex::default(),
            changed: Notify::new(),
        });
        let mut places = lock(&self.places);
        // Admission may have answered before it was.
        if places.revoked.contains(&identity.certificate_serial) {
            return Err(Reason::NotAdmitted(Refusal::Revoked));
        }
        let Some(place) = places.connected.get_mut(&identity.number) else {
            let place = Place { slot: Arc::clone(&slot), takeovers: Pace::new(limits.takeovers) };
            places.connected.insert(identity.number.clone(), place);
            return Ok(Registration { sessions: self.clone(), slot, took_over: false });
        };
        if identity.not_before < place.slot.identity.not_before {
            return Err(Reason::OlderCertificate);
        }
        if !place.takeovers.try_take(now.monotonic) {
            return Err(Reason::TakeoversTooOften);
        }
        let older = std::mem::replace(&mut place.slot, Arc::clone(&slot));
        older.close(Reason::TakenOver);
        Ok(Registration { sessions: self.clone(), slot, took_over: true })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("connected", &self.count()).finish()
    }
}

impl Receipt {
    /// Whether the command has left for the lamppost, and the connection that it left by has not ended since. Nothing is
    /// said of its arrival.
    pub fn is_written(&self) -> bool {
        self.connection.strong_count() > 0 && self.written.load(Ordering::Relaxed)
    }
}

impl Registration {
    /// Whether an older connection had to go.
    pub(super) fn took_over(&self) -> bool {
        self.took_over
    }

    pub(super) fn heard(&self, wall: UtcMillis) {
        self.slot.last_message.store(wall.0, Ordering::Relaxed);
    }

    pub(super) fn subscribed(&self, subscriptions: Subscriptions) {
        lock(&self.slot.mail).subscriptions = subscriptions;
    }

    /// All that was taken out has left this machine.
    pub(super) fn written(&self) {
        for command in lock(&self.slot.mail).taken.drain(..) {
            command.store(true, Ordering::Relaxed);
        }
    }

    /// The next letter; downlinks only if they are wanted. Cancel-safe: what is not returned stays.
    pub(super) async fn letter(&self, downlinks: bool) -> Letter {
        loop {
            if let Some(letter) = lock(&self.slot.mail).take(downlinks) {
                return letter;
            }
            self.slot.changed.notified().await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let places = &mut lock(&self.sessions.places).connected;
        let number = &self.slot.identity.number;
        // After a take-over the place is another's.
        if places.get(number).is_some_and(|place| Arc::ptr_eq(&place.slot, &self.slot)) {
            places.remove(number);
        }
    }
}

impl Slot {
    fn close(&self, reason: Reason) {
        lock(&self.mail).close = Some(reason);
        self.changed.notify_one();
    }

    fn put(&self, leaf: Leaf, payload: Bytes, written: &Arc<AtomicBool>) -> Sent {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Sent::TooLong;
        }
        let mut mail = lock(&self.mail);
        if mail.subscriptions.delivery(leaf).is_none() {
            return Sent::NotSubscribed;
        }
        match leaf {
            Leaf::Position => match mail.position.replace(payload) {
                None => Sent::Queued,
                Some(_) => Sent::Replaced,
            },
            Leaf::Command if mail.commands.len() >= self.most_commands => Sent::Full,
            Leaf::Command => {
                mail.commands.push_back(QueuedCommand { payload, written: Arc::clone(written) });
                Sent::Queued
            }
            // No lamppost listens to what lampposts say.
            Leaf::Hello | Leaf::Description | Leaf::Frames(_) => Sent::NotSubscribed,
        }
    }

    fn info(&self) -> SessionInfo {
        SessionInfo {
            since: self.since,
            last_message: UtcMillis(self.last_message.load(Ordering::Relaxed)),
            peer: self.peer,
            certificate_serial: self.identity.certificate_serial.clone(),
            subscribed: lock(&self.mail).subscriptions.any(),
        }
    }
}

impl Mail {
    fn take(&mut self, downlinks: bool) -> Option<Letter> {
        if let Some(reason) = self.close {
            return Some(Letter::Close(reason));
        }
        if !downlinks {
            return None;
        }
        if let Some(position) = self.position.take() {
            return Some(Letter::Downlink(Leaf::Position, position));
        }
        let QueuedCommand { payload, written } = self.commands.pop_front()?;
        // One that the lamppost no longer listens to is not written.
        if self.subscriptions.delivery(Leaf::Command).is_some() {
            self.taken.push(written);
        }
        Some(Letter::Downlink(Leaf::Command, payload))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section is whole even if the caller panics after it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{Listener, log_in};
