//! Connections between agents and server, and the broker that may stand between them.

use std::collections::VecDeque;

use edge_agent::clock::LearntFrom;
use fleet_server::gateway::{Incoming, Outgoing};
use lamplighter_protocol::{LamppostNumber, Leaf, Nonce, Position, Topic};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Subscribe};

use super::World;
use crate::simulation::clock::Machine;
use crate::simulation::dice::Dice;
use crate::simulation::server::{LinkId, Said};

/// So many times in a row nothing moves, although something waits: nobody is there to take it. Fewer than this are normal,
/// for a commit that failed is tried again, and then lets the next packet in.
const MOST_IDLE_PASSES: usize = 4;

/// So many positions a broker keeps for a lamppost that has not yet said that they arrived.
const MOST_REPEATED: usize = 8;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    number: Option<LamppostNumber>,
    /// The post whose agent is at its end, while it is.
    post: Option<usize>,
    up: VecDeque<Incoming>,
    down: VecDeque<Outgoing>,
    /// What the broker in between took, acknowledged, and has not passed on.
    held: VecDeque<Incoming>,
    /// The broker has lost its own connection to the server, and makes a new one.
    reconnects: bool,
}

impl World {
    /// Every connection breaks.
    pub(in crate::simulation) fn cut_all_links(&mut self) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.drop_link(link);
        }
    }

    /// Connects, and takes over from an older connection of the lamppost, if the server has noticed.
    pub(in crate::simulation) fn connect(&mut self, post: usize, takes_over: bool) {
        let at = &mut self.posts[post];
        let Some(agent) = at.agent.as_mut().filter(|agent| agent.link.is_none()) else { return };
        self.next_link += 1;
        agent.link = Some(self.next_link);
        let mut link = Link { number: Some(at.number.clone()), post: Some(post), ..Link::default() };
        link.up.extend(greeting(&at.number));
        self.links.insert(self.next_link, link);
        if takes_over {
            let newer = self.next_link;
            let number = self.posts[post].number.clone();
            let said = self.server.take_over(newer, &number, self.now_ms);
            for one in said {
                match one {
                    Said::Closed(older) => self.drop_link(older),
                    Said::Packet(..) => {}
                }
            }
        }
    }

    /// What an agent sends is written before, as the outbox's thread does.
    pub(in crate::simulation) fn pump(&mut self, post: usize, most: usize) {
        self.outbox(post, |agent| Ok(agent.outbox.write()?));
        let at = &mut self.posts[post];
        let number = at.number.clone();
        let Some(agent) = at.agent.as_mut().filter(|agent| agent.connected) else { return };
        let Some(link) = agent.link else { return };
        let (packets, given_up) = agent.pump(&number, most, self.now_ms);
        if let Some(link) = self.links.get_mut(&link) {
            link.up.extend(packets);
        }
        if given_up {
            self.leave(link);
        }
    }

    /// A packet moves up one hop.
    pub(in crate::simulation) fn deliver_up(&mut self, dice: &mut Dice) {
        let waiting = self.links.iter().filter(|(_, link)| !link.up.is_empty() || !link.held.is_empty());
        let waiting: Vec<LinkId> = waiting.map(|(link, _)| *link).collect();
        let Some(&id) = dice.pick(&waiting) else { return };
        let from_broker = dice.chance(50);
        self.move_up(id, from_broker);
    }

    pub(super) fn move_up(&mut self, id: LinkId, from_broker: bool) {
        let (broker, now_ms) = (self.broker, self.now_ms);
        if broker && self.links.get(&id).is_some_and(|link| link.reconnects) {
            self.reconnect(id);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let packet = if broker && link.reconnects && (from_broker || link.up.is_empty()) {
            None
        } else if broker && (from_broker || link.up.is_empty()) {
            link.held.pop_front()
        } else if broker {
            let packet = link.up.pop_front();
            match &packet {
                Some(Incoming::Publish(publish)) => link.down.push_back(Outgoing::PubAck(publish.pkid)),
                Some(Incoming::Connect(_)) => {
                    link.down.push_back(Outgoing::ConnAck(ConnectReturnCode::Success));
                }
                Some(_) | None => {}
            }
            link.held.extend(packet);
            return;
        } else if self.server.reads(id, now_ms) {
            link.up.pop_front()
        } else {
            None
        };
        let Some(packet) = packet else { return };
        if matches!(packet, Incoming::Connect(_))
            && let Some(number) = &link.number
        {
            self.server.accept(id, number, now_ms);
        }
        let said = self.server.packet(id, packet, now_ms);
        self.hear(said);
        // Whoever left is gone once what it had said has arrived.
        let is_over = |link: &Link| link.post.is_none() && link.up.is_empty() && link.held.is_empty();
        if self.links.get(&id).is_some_and(is_over) {
            self.drop_link(id);
        }
    }

    /// The server's end of a connection is gone. A broker in between keeps the lamppost's, and connects anew.
    pub(super) fn server_hung_up(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id).filter(|_| self.broker) else { return self.drop_link(id) };
        link.reconnects = true;
        self.server.hang_up(id);
    }

    fn reconnect(&mut self, id: LinkId) {
        let Some(number) = self.links.get(&id).and_then(|link| link.number.clone()) else { return };
        if self.server.running.is_none() {
            return;
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.held.retain(|packet| !matches!(packet, Incoming::Connect(_) | Incoming::Subscribe(_)));
        }
        self.server.accept(id, &number, self.now_ms);
        for packet in greeting(&number) {
            let said = self.server.packet(id, packet, self.now_ms);
            self.hear(said);
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.reconnects = false;
        }
    }

    /// What the server wants of the network.
    pub(super) fn hear(&mut self, said: Vec<Said>) {
        for one in said {
            match one {
                Said::Packet(link, packet) => {
                    // The broker has acknowledged long ago.
                    if self.broker && matches!(packet, Outgoing::PubAck(_) | Outgoing::ConnAck(_)) {
                        continue;
                    }
                    let Some(link) = self.links.get_mut(&link) else { continue };
                    if let (true, Outgoing::Publish { .. }, Some(post)) = (self.broker, &packet, link.post) {
                        self.positions_sent.resize(self.posts.len(), Vec::new());
                        self.positions_sent[post].push(packet.clone());
                    }
                    link.down.push_back(packet);
                }
                Said::Closed(link) => self.server_hung_up(link),
            }
        }
    }

    pub(in crate::simulation) fn deliver_down(&mut self, dice: &mut Dice) {
        let waiting: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| !link.down.is_empty()).map(|(link, _)| *link).collect();
        let Some(&id) = dice.pick(&waiting) else { return };
        self.move_down(id, dice);
    }

    pub(super) fn move_down(&mut self, id: LinkId, dice: &mut Dice) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(packet) = link.down.pop_front() else { return };
        let Some(post) = link.post else { return };
        let now_ms = self.now_ms;
        let Some(agent) = &mut self.posts[post].agent else { return };
        let outcome = match packet {
            Outgoing::ConnAck(ConnectReturnCode::Success) => {
                let mut nonce = [0; 16];
                dice.fill(&mut nonce);
                agent.connected(Nonce(nonce), now_ms);
                // What a broker has queued for a lamppost comes before anything that answers this connection.
                if dice.chance(60) {
                    (0..=dice.below(3)).for_each(|_| self.broker_repeats(post, dice));
                }
                return;
            }
            Outgoing::PubAck(_) => {
                agent.acknowledged(now_ms);
                Ok(())
            }
            Outgoing::Publish { leaf: Leaf::Position, packet_id, payload, .. } => {
                if packet_id != 0 {
                    link.up.push_back(Incoming::PubAck(packet_id));
                }
                let outcome = agent.position(&payload, now_ms);
                if outcome.is_ok() && agent.is_answered_by(&payload) {
                    self.claim_back(post);
                }
                match outcome {
                    Ok(Some(ahead_ms)) if self.posts[post].clock.machine == Machine::AsksServer => {
                        self.look_at_learnt(ahead_ms);
                        return self.learn(post, ahead_ms, LearntFrom::Server);
                    }
                    Ok(_) => Ok(()),
                    Err(ended) => Err(ended),
                }
            }
            Outgoing::ConnAck(_)
            | Outgoing::ConnAckVersion5
            | Outgoing::SubAck(..)
            | Outgoing::UnsubAck(_)
            | Outgoing::PingResp
            | Outgoing::Publish { .. } => Ok(()),
        };
        if outcome.is_err() {
            self.kill_agent(post);
        }
    }

    /// The positions on their way to agents, and those that a broker may send again, that agents may believe yet.
    pub(super) fn positions_on_the_way(&self) -> Vec<Position> {
        let under_way = self.links.values().filter_map(|link| Some((link.post?, &link.down)));
        let under_way = under_way.flat_map(|(post, down)| down.iter().map(move |packet| (post, packet)));
        let again = self.positions_sent.iter().enumerate();
        let again = again.flat_map(|(post, sent)| sent.iter().map(move |packet| (post, packet)));
        let mut positions = Vec::new();
        for (post, packet) in under_way.chain(again) {
            let Outgoing::Publish { leaf: Leaf::Position, payload, .. } = packet else { continue };
            let agent = self.posts.get(post).and_then(|post| post.agent.as_ref());
            let Ok(position) = Position::decode(payload) else { continue };
            if agent.is_some_and(|agent| agent.may_believe(&position)) {
                positions.push(position);
            }
        }
        positions
    }

    pub(in crate::simulation) fn commit(&mut self) {
        let said = self.server.commit(self.now_ms);
        self.hear(said);
    }

    pub(in crate::simulation) fn ingest(&mut self, most: usize) {
        let said = self.server.ingest(most, self.now_ms);
        self.look_at_times();
        self.hear(said);
    }

    pub(in crate::simulation) fn positions(&mut self) {
        let said = self.server.positions(self.now_ms);
        self.hear(said);
    }

    /// Everything that is under way arrives, over and over, until nothing is or nothing moves any more.
    pub(in crate::simulation) fn deliver_all(&mut self, dice: &mut Dice) {
        let mut idle = 0;
        while idle < MOST_IDLE_PASSES {
            let busy: Vec<LinkId> = self.links.keys().copied().collect();
            let mut moved = false;
            for id in busy {
                for from_broker in [false, true] {
                    let before = self.links.get(&id).map(|link| link.up.len() + link.held.len());
                    self.move_up(id, from_broker);
                    moved |= before != self.links.get(&id).map(|link| link.up.len() + link.held.len());
                }
                while self.links.get(&id).is_some_and(|link| !link.down.is_empty() && link.post.is_some()) {
                    self.move_down(id, dice);
                    moved = true;
                }
            }
            self.commit();
            self.ingest(usize::MAX);
            self.bury_the_dead();
            let waits = |link: &Link| !link.up.is_empty() || !link.held.is_empty();
            if !moved && !self.links.values().any(waits) && self.server.is_quiet_but_for_positions() {
                return;
            }
            idle = if moved { 0 } else { idle + 1 };
        }
    }

    /// What a lamppost has is sent, stored, and answered.
    pub(in crate::simulation) fn round(&mut self, post: usize, dice: &mut Dice) {
        self.sync(post);
        self.connect(post, true);
        self.deliver_all(dice);
        self.pump(post, 10_000);
        self.deliver_all(dice);
        self.positions();
        self.deliver_all(dice);
    }

    pub(super) fn cut_link(&mut self, dice: &mut Dice) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        let Some(&id) = dice.pick(&links) else { return };
        self.tally("cuts");
        // What is on its way is lost, or arrives although the lamppost has gone.
        if dice.chance(50) { self.drop_link(id) } else { self.leave(id) }
    }

    /// The agent's end is gone; what it said may still arrive.
    pub(super) fn leave(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some(agent) = link.post.take().and_then(|post| self.posts[post].agent.as_mut())
            && agent.link == Some(id)
        {
            agent.disconnected();
        }
        if link.up.is_empty() && link.held.is_empty() {
            self.drop_link(id);
        }
    }

    /// Both ends are gone, and all that was between them.
    pub(super) fn drop_link(&mut self, id: LinkId) {
        let Some(link) = self.links.remove(&id) else { return };
        if let Some(agent) = link.post.and_then(|post| self.posts[post].agent.as_mut())
            && agent.link == Some(id)
        {
            agent.disconnected();
        }
        self.server.hang_up(id);
    }

    pub(super) fn broker_forgets(&mut self, dice: &mut Dice) {
        if !self.broker {
            return;
        }
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        let Some(&id) = dice.pick(&links) else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        // Publishes alone: what it needs for its own connection it remembers.
        link.held.retain(|packet| !matches!(packet, Incoming::Publish(_)) || dice.chance(40));
        self.tally("times that a broker forgot what it had acknowledged");
    }

    /// A broker sends again what it sent on this connection or an earlier one: as often as not something of late, which
    /// it was not told to have arrived.
    pub(super) fn broker_repeats(&mut self, post: usize, dice: &mut Dice) {
        let Some(sent) = self.positions_sent.get(post) else { return };
        let late = if dice.chance(50) { sent.len().saturating_sub(MOST_REPEATED) } else { 0 };
        let sent = dice.pick(&sent[late..]);
        let Some(Outgoing::Publish { payload, .. }) = sent.cloned() else { return };
        let now_ms = self.now_ms;
        let Some(agent) = self.posts[post].agent.as_mut().filter(|agent| agent.connected) else { return };
        if agent.position(&payload, now_ms).is_err() {
            self.kill_agent(post);
        }
        self.tally("positions that a broker repeated");
    }
}

/// How a connection begins.
fn greeting(number: &LamppostNumber) -> [Incoming; 2] {
    let mut subscribe = Subscribe::new(Topic::down_filter(number), QoS::AtLeastOnce);
    subscribe.pkid = 1;
    [Incoming::Connect(Connect::new(number.as_str())), Incoming::Subscribe(subscribe)]
}
