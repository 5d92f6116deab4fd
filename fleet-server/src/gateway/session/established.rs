//! The part of a session that lasts: after the CONNACK, until something ends it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lamplighter_protocol::limits::{GATEWAY_BYTES, GATEWAY_PUBLISHES, MAX_PAYLOAD_BYTES};
use lamplighter_protocol::{LamppostNumber, Leaf, Topic};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Publish, Subscribe, SubscribeReasonCode};

use super::super::codec::{Incoming, Outgoing};
use super::super::limits::Limits;
use super::super::pace::Pace;
use super::super::reason::Reason;
use super::super::subscriptions::{Granted, Subscriptions};
use super::{Effect, Event, Now, Reading};
use crate::journal::{Commit, Draft, Fate, Ticket};

/// A client that is logged in.
#[derive(Debug)]
pub(super) struct Established {
    /// The longest silence.
    idle: Duration,
    /// The last sign of life, or the end of a pause that was not the client's doing.
    heard: Instant,
    /// Publishes without a PUBACK, oldest first; those with a ticket come first.
    unacknowledged: VecDeque<Unacknowledged>,
    ticketed: usize,
    unacknowledged_bytes: usize,
    packets: Pace,
    bytes: Pace,
    /// Until when the client is not read, because it was too fast.
    throttled: Option<Instant>,
    subscriptions: Subscriptions,
    last_packet_id: u16,
    in_flight: Vec<u16>,
    /// By when it ends, once the gateway stops.
    stopping: Option<Instant>,
}

#[derive(Debug)]
struct Unacknowledged {
    packet_id: u16,
    bytes: usize,
    ticket: Option<Ticket>,
}

impl Established {
    pub(super) fn new(keep_alive_s: u16, limits: &Limits, now: Now) -> Self {
        // One and a half times what the client promised (3.1.2.10), within our own bound; 0 promises nothing.
        let idle = match keep_alive_s {
            0 => limits.idle,
            seconds => limits.idle.min(Duration::from_millis(1500) * u32::from(seconds)),
        };
        Self {
            idle,
            heard: now.monotonic,
            unacknowledged: VecDeque::new(),
            ticketed: 0,
            unacknowledged_bytes: 0,
            packets: Pace::new(limits.packets),
            bytes: Pace::new(limits.bytes),
            throttled: None,
            subscriptions: Subscriptions::default(),
            last_packet_id: 0,
            in_flight: Vec::new(),
            stopping: None,
        }
    }

    pub(super) fn reading(&self, now: Now) -> Reading {
        if self.is_full() || self.stopping.is_some() {
            return Reading::Held;
        }
        match self.throttled {
            Some(until) if until > now.monotonic => Reading::From(until),
            Some(_) | None => Reading::Open,
        }
    }

    pub(super) fn takes_downlinks(&self, limits: &Limits) -> bool {
        self.stopping.is_none() && self.in_flight.len() < limits.downlinks_in_flight
    }

    pub(super) fn awaits_commit(&self) -> bool {
        self.ticketed > 0
    }

    pub(super) fn deadline(&self, now: Now) -> Option<Instant> {
        let resume = self.throttled.filter(|until| *until > now.monotonic);
        [self.stopping, self.silent_from(), resume].into_iter().flatten().min()
    }

    pub(super) fn follow(
        &mut self,
        event: Event,
        number: &LamppostNumber,
        limits: &Limits,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Reason> {
        match event {
            Event::Packet(packet) => self.packet(packet, number, now, effects),
            Event::Appended(ticket) => {
                let publish = self.unacknowledged.get_mut(self.ticketed).ok_or(Reason::OutOfTurn)?;
                publish.ticket = Some(ticket);
                self.ticketed += 1;
                Ok(())
            }
            Event::Committed(commit) => self.committed(commit, now, effects),
            Event::Downlink(leaf, payload) => {
                self.downlink(number, leaf, payload, effects);
                Ok(())
            }
            Event::Tick => self.tick(now),
            Event::Stop if self.unacknowledged.is_empty() => Err(Reason::Stopping),
            Event::Stop => {
                self.stopping = Some(now.monotonic + limits.stop);
                Ok(())
            }
            Event::Ended(reason) => Err(reason),
            // Admission was answered when this state began.
            Event::Admitted(_) => Err(Reason::OutOfTurn),
        }
    }

    /// D6: one window of a lamppost is taken in without waiting for a commit, so that a ping behind it is answered.
    fn is_full(&self) -> bool {
        self.unacknowledged_bytes > GATEWAY_BYTES || self.unacknowledged.len() > GATEWAY_PUBLISHES
    }

    /// When the client has been silent for too long. None while we do not listen.
    fn silent_from(&self) -> Option<Instant> {
        if self.is_full() || self.stopping.is_some() {
            return None;
        }
        Some(self.throttled.map_or(self.heard, |until| until.max(self.heard)) + self.idle)
    }

    fn packet(
        &mut self,
        packet: Incoming,
        number: &LamppostNumber,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Reason> {
        self.heard = now.monotonic;
        self.packets.take(1, now.monotonic);
        match packet {
            Incoming::Publish(publish) => self.publish(publish, number, now, effects)?,
            Incoming::PubAck(packet_id) => {
                let place = self.in_flight.iter().position(|in_flight| *in_flight == packet_id);
                self.in_flight.swap_remove(place.ok_or(Reason::UnknownAcknowledgement)?);
            }
            Incoming::Subscribe(subscribe) => self.subscribe(&subscribe, number, effects),
            Incoming::Unsubscribe(unsubscribe) => {
                for filter in &unsubscribe.topics {
                    self.subscriptions.give_up(number, filter);
                }
                effects.push(Effect::Subscribed(self.subscriptions));
                effects.push(Effect::Send(Outgoing::UnsubAck(unsubscribe.pkid)));
            }
            Incoming::PingReq => effects.push(Effect::Send(Outgoing::PingResp)),
            Incoming::Disconnect => return Err(Reason::Disconnected),
            Incoming::Connect(_) | Incoming::ConnectVersion5 | Incoming::ConnectOtherVersion => {
                return Err(Reason::SecondConnect);
            }
            Incoming::Foreign => return Err(Reason::ForeignPacket),
        }
        let until = self.packets.blocked_until(now.monotonic).max(self.bytes.blocked_until(now.monotonic));
        if until.is_some() {
            self.throttled = until;
            effects.push(Effect::Throttled);
        }
        Ok(())
    }

    fn publish(
        &mut self,
        publish: Publish,
        number: &LamppostNumber,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Reason> {
        match publish.qos {
            QoS::AtLeastOnce => {}
            QoS::AtMostOnce | QoS::ExactlyOnce => return Err(Reason::Qos),
        }
        if publish.retain {
            return Err(Reason::Retained);
        }
        let leaf = leaf_of(&publish.topic, number)?;
        let bytes = publish.payload.len();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(Reason::TooLong);
        }
        self.bytes.take(u32::try_from(bytes).unwrap_or(u32::MAX), now.monotonic);
        self.unacknowledged_bytes += bytes;
        self.unacknowledged.push_back(Unacknowledged { packet_id: publish.pkid, bytes, ticket: None });
        let payload = publish.payload;
        effects.push(Effect::Append(Draft { received: now.wall, lamppost: number.clone(), leaf, payload }));
        Ok(())
    }

    fn subscribe(&mut self, subscribe: &Subscribe, number: &LamppostNumber, effects: &mut Vec<Effect>) {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        for filter in &subscribe.filters {
            let granted = Granted::of(filter.qos);
            if self.subscriptions.grant(number, &filter.path, granted) {
                codes.push(SubscribeReasonCode::Success(match granted {
                    Granted::Unacknowledged => QoS::AtMostOnce,
                    Granted::Acknowledged => QoS::AtLeastOnce,
                }));
            } else {
                codes.push(SubscribeReasonCode::Failure);
                effects.push(Effect::RefusedFilter);
            }
        }
        effects.push(Effect::Send(Outgoing::SubAck(subscribe.pkid, codes)));
        effects.push(Effect::Subscribed(self.subscriptions));
    }

    /// D5: PUBACK for what is on disk, in order.
    fn committed(&mut self, commit: Commit, now: Now, effects: &mut Vec<Effect>) -> Result<(), Reason> {
        let was_full = self.is_full();
        while let Some(oldest) = self.unacknowledged.front()
            && let Some(ticket) = oldest.ticket
        {
            match commit.fate(ticket) {
                Fate::Waiting => break,
                // D15: the client sends again what the journal forgot.
                Fate::Void => return Err(Reason::JournalCut),
                Fate::Committed => {}
            }
            effects.push(Effect::Send(Outgoing::PubAck(oldest.packet_id)));
            self.unacknowledged_bytes -= oldest.bytes;
            self.ticketed -= 1;
            self.unacknowledged.pop_front();
        }
        if was_full && !self.is_full() {
            self.heard = now.monotonic;
        }
        if self.stopping.is_some() && self.unacknowledged.is_empty() {
            return Err(Reason::Stopping);
        }
        Ok(())
    }

    fn downlink(&mut self, number: &LamppostNumber, leaf: Leaf, payload: Bytes, effects: &mut Vec<Effect>) {
        let packet_id = match self.subscriptions.delivery(leaf) {
            // It was queued before the client gave the filter up.
            None => return,
            Some(Granted::Unacknowledged) => 0,
            Some(Granted::Acknowledged) => self.next_packet_id(),
        };
        effects.push(Effect::Send(Outgoing::Publish { lamppost: number.clone(), leaf, packet_id, payload }));
    }

    fn next_packet_id(&mut self) -> u16 {
        // Ends: far fewer are in flight than there are ids.
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains(&self.last_packet_id) {
                self.in_flight.push(self.last_packet_id);
                return self.last_packet_id;
            }
        }
    }

    fn tick(&mut self, now: Now) -> Result<(), Reason> {
        if self.stopping.is_some_and(|by| by <= now.monotonic) {
            return Err(Reason::Stopping);
        }
        if self.silent_from().is_some_and(|from| from <= now.monotonic) {
            return Err(Reason::KeepAlive);
        }
        Ok(())
    }
}

/// What a lamppost publishes: its own `up`.
fn leaf_of(topic: &str, number: &LamppostNumber) -> Result<Leaf, Reason> {
    let own = topic.strip_prefix("lampposts/").and_then(|rest| rest.strip_prefix(number.as_str()));
    if !own.is_some_and(|rest| rest.starts_with('/')) {
        return Err(Reason::ForeignTopic);
    }
    let topic: Topic = topic.parse().map_err(|_| Reason::UnknownTopic)?;
    if topic.leaf.is_up() { Ok(topic.leaf) } else { Err(Reason::UnknownTopic) }
}
