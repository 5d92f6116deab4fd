//! The MQTT session of a department's connection, as a pure state machine: events in, effects out, time as an argument.
//!
//! | state | is left by |
//! | --- | --- |
//! | awaiting CONNECT | a CONNECT in order → admitting; anything else, or too long a silence → closed |
//! | admitting | the verdict: yes → listening, no → closed |
//! | listening | whatever breaks a rule, or ends the connection, the key or the certificate → closed |
//! | closed | nothing |
//!
//! MQTT 3.1.1, with these departures. There is no session after a connection (`session_present` is 0 in each CONNACK, also
//! for a client that asks for one): what is latest is retained. A client that publishes is disconnected, one that leaves
//! a will is refused. `QoS` 2 is granted as 1 (3.8.4 allows it). A subscription that reaches beyond the grants is granted,
//! and carries what is granted; one that cannot carry anything gets 0x80. Two connections with one client id do not end
//! each other: a department is many people.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lamplighter_protocol::Privacy;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Login, Subscribe, SubscribeReasonCode};

use super::delivery::{MISSED, Qos};
use super::limits::FeedLimits;
use super::{Access, DepartmentIdentity, Directory, Ending, Filter, Proof, Topic, grants_property};
use crate::gateway::session::Now;
use crate::gateway::{Incoming, Outgoing, Pace};

/// Longest client id: more than the 23 bytes that every server takes (3.1.3.1).
const CLIENT_ID_BYTES: usize = 64;

/// What a session sees.
#[derive(Debug)]
pub(super) enum Event {
    /// A whole packet came. Not between [`Effect::Admit`] and its answer.
    Packet(Incoming),
    /// The answer to [`Effect::Admit`].
    Admitted(Result<(Arc<Access>, Proof), Ending>),
    /// Departments, keys or grants have changed.
    Directory(Arc<Directory>),
    /// The time of [`Session::deadline`] has come, or any other time.
    Tick,
    /// The connection ended, or has to.
    Ended(Ending),
}

/// What a session wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Ask who that is, and answer with [`Event::Admitted`].
    Admit(Credentials),
    /// Send a packet.
    Send(Outgoing),
    /// Send what is retained for a new subscription, after what was sent before.
    Subscribed(Filter, Qos),
    /// Send no more of what is retained for a subscription.
    Unsubscribed(Filter),
    /// The client has got the message of this packet id.
    Acknowledged(u16),
    /// Count a filter that was refused; the connection stays.
    RefusedFilter,
    /// Flush what was sent, and close. The last effect.
    Close(Ending),
}

/// What a client says it is.
#[derive(PartialEq)]
pub(super) enum Credentials {
    /// A name and a key. The key does not print.
    Key { name: String, key: String },
    /// Whom the certificate names that it has shown.
    Certificate(Arc<DepartmentIdentity>),
}

#[derive(Debug)]
pub(super) struct Session {
    limits: Arc<FeedLimits>,
    /// What the client has shown in TLS.
    certificate: Option<Arc<DepartmentIdentity>>,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitConnect { since: Instant },
    Admitting { keep_alive_s: u16 },
    Listening(Box<Listening>),
    Closed,
}

/// A client that is logged in.
#[derive(Debug)]
struct Listening {
    access: Arc<Access>,
    proof: Proof,
    idle: Duration,
    heard: Instant,
    packets: Pace,
    subscriptions: Vec<(Filter, Qos)>,
}

/// What a client asks to hear.
enum Asked {
    Filter(Filter),
    /// What it missed, which it is told in any case.
    Missed,
}

impl Session {
    /// A session that waits for its CONNECT from `since` on.
    pub(super) fn new(
        limits: Arc<FeedLimits>,
        certificate: Option<Arc<DepartmentIdentity>>,
        since: Instant,
    ) -> Self {
        Self { limits, certificate, state: State::AwaitConnect { since } }
    }

    pub(super) fn step(&mut self, event: Event, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Err(ending) = self.follow(event, now, &mut effects) {
            if !matches!(self.state, State::Listening(_)) {
                effects.extend(ending.answer().map(Effect::Send));
            }
            effects.push(Effect::Close(ending));
            self.state = State::Closed;
        }
        effects
    }

    /// Whether a topic is subscribed to and granted, and how it is sent: at the best that any of the filters asks for.
    pub(super) fn wants(&self, topic: &Topic, privacy: Privacy) -> Option<Qos> {
        let State::Listening(listening) = &self.state else { return None };
        let asked = listening.subscriptions.iter().filter(|(filter, _)| filter.matches(topic));
        let qos = asked.map(|(_, qos)| *qos).max()?;
        grants_property(&listening.access.grants, topic, privacy).then_some(qos)
    }

    /// Whether a topic is granted.
    pub(super) fn granted(&self, topic: &Topic, privacy: Privacy) -> bool {
        match &self.state {
            State::Listening(listening) => grants_property(&listening.access.grants, topic, privacy),
            State::AwaitConnect { .. } | State::Admitting { .. } | State::Closed => false,
        }
    }

    /// When it wants an [`Event::Tick`] at the latest.
    pub(super) fn deadline(&self, now: Now) -> Option<Instant> {
        match &self.state {
            State::AwaitConnect { since } => Some(*since + self.limits.connect),
            State::Listening(listening) => {
                let silent = listening.heard + listening.idle;
                let until = listening.access.until(&listening.proof);
                // A day ahead at most: the clock may be set meanwhile.
                let until =
                    until.map(|until| u64::try_from(until.since_ms(now.wall)).unwrap_or(0).min(86_400_000));
                let until = until.map(|ms| now.monotonic + Duration::from_millis(ms));
                Some(until.map_or(silent, |until| until.min(silent)))
            }
            State::Admitting { .. } | State::Closed => None,
        }
    }

    fn follow(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) -> Result<(), Ending> {
        match (&mut self.state, event) {
            (State::Closed, _)
            | (State::AwaitConnect { .. } | State::Admitting { .. }, Event::Directory(_))
            | (State::Admitting { .. }, Event::Tick) => Ok(()),
            (_, Event::Ended(ending)) => Err(ending),
            (State::AwaitConnect { .. }, Event::Packet(packet)) => {
                let (keep_alive_s, credentials) = check_connect(packet, self.certificate.as_ref())?;
                self.state = State::Admitting { keep_alive_s };
                effects.push(Effect::Admit(credentials));
                Ok(())
            }
            (State::AwaitConnect { since }, Event::Tick) => {
                let waited = now.monotonic.saturating_duration_since(*since);
                if waited >= self.limits.connect { Err(Ending::NoConnect) } else { Ok(()) }
            }
            (State::Admitting { keep_alive_s }, Event::Admitted(verdict)) => {
                let (access, proof) = verdict?;
                let listening = Listening::new(access, proof, *keep_alive_s, &self.limits, now);
                effects.push(Effect::Send(Outgoing::ConnAck(ConnectReturnCode::Success)));
                self.state = State::Listening(Box::new(listening));
                Ok(())
            }
            (State::Listening(listening), Event::Packet(packet)) => {
                listening.packet(packet, &self.limits, now, effects)
            }
            (State::Listening(listening), Event::Directory(directory)) => {
                let access = directory.get(&listening.access.department);
                listening.access = Arc::clone(access.ok_or_else(|| listening.proof.ended())?);
                listening.tick(now)
            }
            (State::Listening(listening), Event::Tick) => listening.tick(now),
            (State::AwaitConnect { .. } | State::Listening(_), Event::Admitted(_))
            | (State::Admitting { .. }, Event::Packet(_)) => Err(Ending::OutOfTurn),
        }
    }
}

impl Listening {
    fn new(access: Arc<Access>, proof: Proof, keep_alive_s: u16, limits: &FeedLimits, now: Now) -> Self {
        // One and a half times what the client promised (3.1.2.10), within our own bound; 0 promises nothing.
        let idle = match keep_alive_s {
            0 => limits.idle,
            seconds => limits.idle.min(Duration::from_millis(1500) * u32::from(seconds)),
        };
        let packets = Pace::new(limits.packets);
        Self { access, proof, idle, heard: now.monotonic, packets, subscriptions: Vec::new() }
    }

    fn tick(&self, now: Now) -> Result<(), Ending> {
        if !self.access.takes(&self.proof, now.wall) {
            return Err(self.proof.ended());
        }
        let silent = now.monotonic.saturating_duration_since(self.heard);
        if silent >= self.idle { Err(Ending::KeepAlive) } else { Ok(()) }
    }

    fn packet(
        &mut self,
        packet: Incoming,
        limits: &FeedLimits,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Ending> {
        self.heard = now.monotonic;
        if !matches!(packet, Incoming::PubAck(_)) && !self.packets.try_take(now.monotonic) {
            return Err(Ending::TooFast);
        }
        match packet {
            Incoming::PubAck(packet_id) => effects.push(Effect::Acknowledged(packet_id)),
            Incoming::Subscribe(subscribe) => self.subscribe(subscribe, limits, effects)?,
            Incoming::Unsubscribe(unsubscribe) => {
                for text in &unsubscribe.topics {
                    if let Ok(Asked::Filter(filter)) = asked(text)? {
                        self.subscriptions.retain(|(own, _)| *own != filter);
                        effects.push(Effect::Unsubscribed(filter));
                    }
                }
                effects.push(Effect::Send(Outgoing::UnsubAck(unsubscribe.pkid)));
            }
            Incoming::PingReq => effects.push(Effect::Send(Outgoing::PingResp)),
            Incoming::Disconnect => return Err(Ending::Disconnected),
            Incoming::Publish(_) => return Err(Ending::Publish),
            Incoming::Connect(_) | Incoming::ConnectVersion5 | Incoming::ConnectOtherVersion => {
                return Err(Ending::SecondConnect);
            }
            Incoming::Foreign => return Err(Ending::ForeignPacket),
        }
        Ok(())
    }

    fn subscribe(
        &mut self,
        subscribe: Subscribe,
        limits: &FeedLimits,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Ending> {
        let (mut codes, mut subscribed) = (Vec::new(), Vec::new());
        for one in subscribe.filters {
            let (granted, qos) = match one.qos {
                QoS::AtMostOnce => (QoS::AtMostOnce, Qos::AtMostOnce),
                QoS::AtLeastOnce | QoS::ExactlyOnce => (QoS::AtLeastOnce, Qos::AtLeastOnce),
            };
            let has_place = |filter: &Filter, own: &[(Filter, Qos)]| {
                own.len() < limits.subscriptions || own.iter().any(|(own, _)| own == filter)
            };
            let code = match asked(&one.path)? {
                Ok(Asked::Filter(filter))
                    if self.access.grants.iter().any(|grant| grant.overlaps(&filter))
                        && has_place(&filter, &self.subscriptions) =>
                {
                    self.subscriptions.retain(|(own, _)| *own != filter);
                    self.subscriptions.push((filter.clone(), qos));
                    subscribed.push(Effect::Subscribed(filter, qos));
                    SubscribeReasonCode::Success(granted)
                }
                Ok(Asked::Missed) => SubscribeReasonCode::Success(QoS::AtMostOnce),
                Ok(Asked::Filter(_)) | Err(NoFilter) => {
                    effects.push(Effect::RefusedFilter);
                    SubscribeReasonCode::Failure
                }
            };
            codes.push(code);
        }
        effects.push(Effect::Send(Outgoing::SubAck(subscribe.pkid, codes)));
        effects.append(&mut subscribed);
        Ok(())
    }
}

/// It matches nothing that there can be.
struct NoFilter;

/// What a client means by a filter. All topics begin alike: `#` and `+/..` mean the feeds as well.
fn asked(text: &str) -> Result<Result<Asked, NoFilter>, Ending> {
    // 1.5.3: the connection is to be closed.
    if text.contains('\0') {
        return Err(Ending::Malformed);
    }
    if text == MISSED {
        return Ok(Ok(Asked::Missed));
    }
    let filter = match text.strip_prefix('+') {
        Some(rest) => format!("{}{rest}", Topic::ROOT).parse(),
        None if text == "#" => format!("{}/#", Topic::ROOT).parse(),
        None => text.parse(),
    };
    Ok(filter.map(Asked::Filter).map_err(|_| NoFilter))
}

/// The keep-alive in seconds and the login of a CONNECT that is in order. A certificate says who it is, and needs neither name
/// nor key: a name beside it has to be the same one.
fn check_connect(
    packet: Incoming,
    certificate: Option<&Arc<DepartmentIdentity>>,
) -> Result<(u16, Credentials), Ending> {
    let connect: Connect = match packet {
        Incoming::Connect(connect) => connect,
        Incoming::ConnectVersion5 => return Err(Ending::Version5),
        Incoming::ConnectOtherVersion => return Err(Ending::OtherVersion),
        Incoming::Publish(_)
        | Incoming::PubAck(_)
        | Incoming::Subscribe(_)
        | Incoming::Unsubscribe(_)
        | Incoming::PingReq
        | Incoming::Disconnect
        | Incoming::Foreign => return Err(Ending::NotConnect),
    };
    let id = &connect.client_id;
    // 3.1.3.1: who names itself with nothing wants no session.
    if id.len() > CLIENT_ID_BYTES || id.contains('\0') || (id.is_empty() && !connect.clean_session) {
        return Err(Ending::ClientId);
    }
    if connect.last_will.is_some() {
        return Err(Ending::Will);
    }
    let credentials = match (certificate, connect.login) {
        (Some(shown), Some(login)) if login.username != shown.department.as_str() => {
            return Err(Ending::BadLogin);
        }
        (Some(shown), _) => Credentials::Certificate(Arc::clone(shown)),
        (None, Some(Login { username: name, password: key })) => Credentials::Key { name, key },
        (None, None) => return Err(Ending::NoLogin),
    };
    Ok((connect.keep_alive, credentials))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { name, key: _ } => f.debug_struct("Key").field("name", name).finish_non_exhaustive(),
            Self::Certificate(shown) => f.debug_tuple("Certificate").field(shown).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
