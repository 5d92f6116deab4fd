//! The MQTT session of one connection, as a pure state machine: events in, effects out, time as an argument.
//!
//! | state | is left by |
//! | --- | --- |
//! | awaiting CONNECT | a CONNECT in order → admitting; anything else, or too long a silence → closed |
//! | admitting | the verdict: yes → established, no → closed |
//! | established | whatever breaks a rule, ends the connection or cuts the journal → closed |
//! | closed | nothing |
//!
//! Anybody may step it: the gateway's connections do with sockets and the clock, a simulation with neither.
//!
//! What it guarantees: a PUBACK answers a publish whose ticket is committed in its own epoch, in the order of the
//! publishes; after [`Effect::Close`] comes nothing. Effects are performed in their order.
//!
//! A client may ask for a session that outlives its connection; it is told that there is none (`session_present` 0
//! in each CONNACK): the outbox of a lamppost rests on positions, not on what a broker remembers. User name and
//! password are not looked at: the certificate says who calls.

mod established;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lamplighter_protocol::{Leaf, UtcMillis};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode};

use self::established::Established;
use super::admission::Refusal;
use super::codec::{Incoming, Outgoing};
use super::identity::Identity;
use super::limits::Limits;
use super::reason::Reason;
use super::subscriptions::Subscriptions;
use crate::journal::{Commit, Draft, Ticket};

/// What a session sees.
#[derive(Debug)]
pub enum Event {
    /// A whole packet came. Only while [`Session::reading`] is open.
    Packet(Incoming),
    /// The answer to [`Effect::Admit`].
    Admitted(Result<(), Reason>),
    /// The ticket of the oldest [`Effect::Append`] that has none.
    Appended(Ticket),
    /// How far the journal is durable, read after the last ticket was given.
    Committed(Commit),
    /// Something to send down. Only while [`Session::takes_downlinks`].
    Downlink(Leaf, Bytes),
    /// The time of [`Session::deadline`] has come, or any other time.
    Tick,
    /// The gateway stops.
    Stop,
    /// The connection ended, or has to.
    Ended(Reason),
}

/// What a session wants done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Ask admission, register the connection, and answer with [`Event::Admitted`].
    Admit,
    /// Send a packet.
    Send(Outgoing),
    /// Append to the journal, and answer with [`Event::Appended`], in order.
    Append(Draft),
    /// The lamppost listens to this from now on.
    Subscribed(Subscriptions),
    /// Count a filter that was refused; the connection stays.
    RefusedFilter,
    /// Count that the client was faster than its rate; it is read later.
    Throttled,
    /// Flush what was sent, and close. The last effect.
    Close(Reason),
}

/// Whether the next packet may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It may.
    Open,
    /// Not before this time: the client was too fast.
    From(Instant),
    /// Not before an event: a verdict, a commit, or never again.
    Held,
}

/// The two clocks, read once per event.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For intervals.
    pub monotonic: Instant,
    /// For stamps, and the validity of certificates.
    pub wall: UtcMillis,
}

/// The session of one connection whose certificate is verified.
#[derive(Debug)]
pub struct Session {
    identity: Arc<Identity>,
    limits: Arc<Limits>,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitConnect { since: Instant },
    Admitting { keep_alive_s: u16 },
    Established(Box<Established>),
    Closed,
}

impl Session {
    /// A session that waits for its CONNECT from now on.
    pub fn new(identity: Arc<Identity>, limits: Arc<Limits>, now: Now) -> Self {
        Self { identity, limits, state: State::AwaitConnect { since: now.monotonic } }
    }

    /// Takes one event.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(self.state, State::Closed) {
            return effects;
        }
        // TLS looked at the dates when the connection began, or, where it was resumed, long before.
        let outcome = if let Event::Ended(reason) = event {
            Err(reason)
        } else if now.wall > self.identity.not_after {
            Err(Reason::Expired)
        } else {
            self.follow(event, now, &mut effects)
        };
        if let Err(reason) = outcome {
            if let Some(answer) = self.answer(reason) {
                effects.push(Effect::Send(answer));
            }
            effects.push(Effect::Close(reason));
            self.state = State::Closed;
        }
        effects
    }

    /// Whether a packet may be handed in.
    pub fn reading(&self, now: Now) -> Reading {
        match &self.state {
            State::AwaitConnect { .. } => Reading::Open,
            State::Established(session) => session.reading(now),
            State::Admitting { .. } | State::Closed => Reading::Held,
        }
    }

    /// Whether a downlink may be handed in.
    pub fn takes_downlinks(&self) -> bool {
        match &self.state {
            State::Established(session) => session.takes_downlinks(&self.limits),
            State::AwaitConnect { .. } | State::Admitting { .. } | State::Closed => false,
        }
    }

    /// Whether a commit is of interest.
    pub fn awaits_commit(&self) -> bool {
        match &self.state {
            State::Established(session) => session.awaits_commit(),
            State::AwaitConnect { .. } | State::Admitting { .. } | State::Closed => false,
        }
    }

    /// When it wants a [`Event::Tick`] at the latest.
    pub fn deadline(&self, now: Now) -> Option<Instant> {
        let own = match &self.state {
            State::AwaitConnect { since } => Some(*since + self.limits.connect),
            State::Established(session) => session.deadline(now),
            // Admission has a time limit of its own.
            State::Admitting { .. } => None,
            State::Closed => return None,
        };
        let validity_ms = self.identity.not_after.since_ms(now.wall).saturating_add(1);
        // Past a day it would be another connection, or another reading of the clock, before it came.
        let validity_ms = u64::try_from(validity_ms).unwrap_or(0).min(86_400_000);
        let expiry = now.monotonic + std::time::Duration::from_millis(validity_ms);
        Some(own.map_or(expiry, |own| own.min(expiry)))
    }

    fn follow(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) -> Result<(), Reason> {
        match (&mut self.state, event) {
            (State::AwaitConnect { .. }, Event::Packet(packet)) => {
                let keep_alive_s = self.check_connect(packet)?;
                self.state = State::Admitting { keep_alive_s };
                effects.push(Effect::Admit);
                Ok(())
            }
            (State::AwaitConnect { since }, Event::Tick) => {
                if now.monotonic.saturating_duration_since(*since) >= self.limits.connect {
                    return Err(Reason::NoConnect);
                }
                Ok(())
            }
            (State::Admitting { keep_alive_s }, Event::Admitted(verdict)) => {
                verdict?;
                let session = Established::new(*keep_alive_s, &self.limits, now);
                effects.push(Effect::Send(Outgoing::ConnAck(ConnectReturnCode::Success)));
                self.state = State::Established(Box::new(session));
                Ok(())
            }
            (State::AwaitConnect { .. } | State::Admitting { .. }, Event::Stop) => Err(Reason::Stopping),
            (State::Established(session), event) => {
                session.follow(event, &self.identity.number, &self.limits, now, effects)
            }
            (_, Event::Ended(reason)) => Err(reason),
            (State::Admitting { .. }, Event::Tick) | (State::Closed, _) => Ok(()),
            // The shell asks once, holds packets back until the answer, and sends nothing down before it.
            (
                State::AwaitConnect { .. },
                Event::Admitted(_) | Event::Appended(_) | Event::Committed(_) | Event::Downlink(..),
            )
            | (
                State::Admitting { .. },
                Event::Packet(_) | Event::Appended(_) | Event::Committed(_) | Event::Downlink(..),
            ) => Err(Reason::OutOfTurn),
        }
    }

    /// The keep-alive of a CONNECT that is in order, in seconds.
    fn check_connect(&self, packet: Incoming) -> Result<u16, Reason> {
        let connect: Connect = match packet {
            Incoming::Connect(connect) => connect,
            Incoming::ConnectVersion5 => return Err(Reason::Version5),
            Incoming::ConnectOtherVersion => return Err(Reason::OtherVersion),
            Incoming::Publish(_)
            | Incoming::PubAck(_)
            | Incoming::Subscribe(_)
            | Incoming::Unsubscribe(_)
            | Incoming::PingReq
            | Incoming::Disconnect
            | Incoming::Foreign => return Err(Reason::NotConnect),
        };
        if connect.client_id != self.identity.number.as_str() {
            return Err(Reason::ClientId);
        }
        // A lamppost has no topic that a will could go to.
        if connect.last_will.is_some() {
            return Err(Reason::Will);
        }
        Ok(connect.keep_alive)
    }

    /// What is said before the connection closes: MQTT 3.1.1 has words for a refused login, and for nothing else.
    fn answer(&self, reason: Reason) -> Option<Outgoing> {
        if matches!(self.state, State::Established(_)) {
            return None;
        }
        let code = match reason {
            Reason::Version5 => return Some(Outgoing::ConnAckVersion5),
            Reason::OtherVersion => ConnectReturnCode::RefusedProtocolVersion,
            Reason::ClientId => ConnectReturnCode::BadClientId,
            Reason::NotAdmitted(Refusal::Unavailable) | Reason::TakeoversTooOften => {
                ConnectReturnCode::ServiceUnavailable
            }
            Reason::Will
            | Reason::OlderCertificate
            | Reason::NotAdmitted(
                Refusal::UnknownLamppost | Refusal::UnknownCertificate | Refusal::Revoked | Refusal::Retired,
            ) => ConnectReturnCode::NotAuthorized,
            // Before a CONNECT there is nothing to answer, nor to who is gone.
            Reason::TooManyConnections
            | Reason::TooManyOpening
            | Reason::TooManyAttempts
            | Reason::TooManyHandshakes
            | Reason::Expired
            | Reason::Disconnected
            | Reason::Lost
            | Reason::KeepAlive
            | Reason::WriteTimeout
            | Reason::TakenOver
            | Reason::Revoked
            | Reason::Stopping
            | Reason::JournalCut
            | Reason::JournalClosed
            | Reason::OutOfTurn
            | Reason::NoConnect
            | Reason::NotConnect
            | Reason::Malformed
            | Reason::TooLong
            | Reason::SecondConnect
            | Reason::ForeignPacket
            | Reason::ForeignTopic
            | Reason::UnknownTopic
            | Reason::Qos
            | Reason::Retained
            | Reason::UnknownAcknowledgement
            | Reason::ForeignFilter => return None,
        };
        Some(Outgoing::ConnAck(code))
    }
}

#[cfg(test)]
mod tests;
