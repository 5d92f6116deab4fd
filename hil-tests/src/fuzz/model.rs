//! What must hold of a session, whatever its client says: an account of what was appended, committed and acknowledged.

use std::collections::VecDeque;

use fleet_server::gateway::session::{Effect, Event};
use fleet_server::gateway::{Incoming, Outgoing, Reason};
use fleet_server::journal::{Commit, Ticket};
use lamplighter_protocol::limits::{GATEWAY_BYTES, GATEWAY_PUBLISHES, MAX_PAYLOAD_BYTES};
use rumqttc::SubscribeReasonCode;
use rumqttc::mqttbytes::v4::ConnectReturnCode;

use super::packets::OWN;

/// The account of one session.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The packet that was handed in last.
    heard: Option<Incoming>,
    asked: bool,
    let_in: bool,
    over: bool,
    /// Publishes that were handed to the journal: packet id, bytes, ticket.
    publishes: VecDeque<(u16, usize, Option<Ticket>)>,
    epoch: u64,
    next: u64,
    below: u64,
}

impl Model {
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn hears(&mut self, packet: &Incoming) {
        self.heard = Some(packet.clone());
    }

    /// What the session waits for when it takes no packet.
    pub(super) fn answer(&mut self, verdict: Result<(), Reason>) -> Option<Event> {
        if self.asked && !self.let_in {
            self.let_in = verdict.is_ok();
            return Some(Event::Admitted(verdict));
        }
        self.appends().or_else(|| Some(self.commits()))
    }

    /// The oldest publish without a ticket gets one.
    pub(super) fn appends(&mut self) -> Option<Event> {
        let waits = self.publishes.iter_mut().find(|(_, _, ticket)| ticket.is_none())?;
        let ticket = Ticket { epoch: self.epoch, sequence: self.next };
        self.next += 1;
        waits.2 = Some(ticket);
        Some(Event::Appended(ticket))
    }

    /// All that has a ticket is on disk.
    pub(super) fn commits(&mut self) -> Event {
        self.below = self.next;
        Event::Committed(Commit { epoch: self.epoch, below: self.below })
    }

    /// The disk fails: what was not committed is forgotten.
    pub(super) fn is_cut(&mut self) -> Event {
        self.epoch += 1;
        self.next = self.below;
        Event::Committed(Commit { epoch: self.epoch, below: self.below })
    }

    pub(super) fn sees(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(!self.over, "{effect:?} comes after the end");
            self.see(effect);
        }
        let bytes: usize = self.publishes.iter().map(|(_, bytes, _)| bytes).sum();
        assert!(bytes <= GATEWAY_BYTES + MAX_PAYLOAD_BYTES, "{bytes} bytes are under way");
        assert!(
            self.publishes.len() <= GATEWAY_PUBLISHES + 1,
            "{} publishes are under way",
            self.publishes.len()
        );
    }

    fn see(&mut self, effect: Effect) {
        match effect {
            Effect::Admit => {
                assert!(!self.asked, "it is asked for once");
                self.asked = true;
            }
            Effect::Append(draft) => {
                assert!(self.let_in, "who is not logged in publishes nothing");
                let Some(Incoming::Publish(publish)) = &self.heard else { panic!("no publish was heard") };
                assert_eq!(draft.lamppost.as_str(), OWN, "it speaks for itself");
                assert!(draft.leaf.is_up(), "it speaks upwards");
                assert_eq!(publish.topic, format!("lampposts/{OWN}/{}", draft.leaf.as_str()));
                assert_eq!(publish.payload, draft.payload);
                assert!(draft.payload.len() <= MAX_PAYLOAD_BYTES);
                assert_ne!(publish.pkid, 0);
                self.publishes.push_back((publish.pkid, draft.payload.len(), None));
            }
            Effect::Send(packet) => self.is_told(packet),
            Effect::Subscribed(subscriptions) => {
                assert!(self.let_in, "who is not logged in listens to nothing");
                for leaf in [lamplighter_protocol::Leaf::Hello, lamplighter_protocol::Leaf::Description] {
                    assert_eq!(subscriptions.delivery(leaf), None, "nobody listens to what goes up");
                }
            }
            Effect::RefusedFilter | Effect::Throttled => {}
            Effect::Close(_) => self.over = true,
        }
    }

    fn is_told(&mut self, packet: Outgoing) {
        match packet {
            Outgoing::PubAck(packet_id) => {
                let oldest = self.publishes.pop_front().expect("only what was published is acknowledged");
                let (of, _, Some(ticket)) = oldest else {
                    panic!("{packet_id} was acknowledged without a ticket")
                };
                assert_eq!(of, packet_id, "in their order");
                let is_on_disk = ticket.epoch == self.epoch && ticket.sequence < self.below;
                assert!(is_on_disk, "{packet_id} was acknowledged, and is not on disk");
            }
            Outgoing::ConnAck(ConnectReturnCode::Success) => assert!(self.let_in, "nobody has let it in"),
            Outgoing::SubAck(_, codes) => self.is_granted(&codes),
            Outgoing::Publish { lamppost, leaf, .. } => {
                assert!(self.let_in);
                assert_eq!(lamppost.as_str(), OWN, "it hears what is meant for it");
                assert!(!leaf.is_up());
            }
            Outgoing::ConnAck(_) | Outgoing::ConnAckVersion5 => assert!(!self.let_in, "it was let in"),
            Outgoing::UnsubAck(_) | Outgoing::PingResp => assert!(self.let_in),
        }
    }

    fn is_granted(&self, codes: &[SubscribeReasonCode]) {
        let Some(Incoming::Subscribe(subscribe)) = &self.heard else { panic!("nothing was asked for") };
        assert_eq!(codes.len(), subscribe.filters.len(), "each filter is answered");
        for (filter, code) in subscribe.filters.iter().zip(codes) {
            if *code != SubscribeReasonCode::Failure {
                let own = format!("lampposts/{OWN}/down/");
                let is_own = filter
                    .path
                    .strip_prefix(&own)
                    .is_some_and(|end| ["#", "position", "command"].contains(&end));
                assert!(is_own, "{:?} was granted", filter.path);
            }
        }
    }
}
