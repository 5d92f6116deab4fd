//! Conversations of a lamppost with the gateway: some packets as they should be, and some that are not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fleet_server::gateway::session::{Event, Now, Reading, Session};
use fleet_server::gateway::{CodecError, Identity, Limits, Reason, read_packet};
use lamplighter_protocol::limits::MAX_PACKET_BYTES;
use lamplighter_protocol::{Leaf, UtcMillis};

use super::model::Model;
use super::mutate::mutate;
use super::packets;
use crate::fleet::monotonic;
use crate::simulation::dice::Dice;

/// Packets of a case.
const PACKETS: u64 = 256;

/// The shell's buffer: one packet, what one read brings, and what a growing buffer has to spare.
const MOST_BUFFERED: usize = 8 * MAX_PACKET_BYTES;

/// One conversation, on one connection after the other.
pub(super) fn case(mut dice: Dice) -> u64 {
    let limits = Arc::new(Limits::default());
    let mut sent = 0;
    while sent < PACKETS {
        sent += connection(&limits, &mut dice, PACKETS - sent);
    }
    sent
}

/// A connection until it is closed, or has said so much.
fn connection(limits: &Arc<Limits>, dice: &mut Dice, most: u64) -> u64 {
    let number = packets::OWN.parse().expect("it is a number");
    let certificate_serial = "01".to_owned();
    let (not_before, not_after) = (UtcMillis(0), UtcMillis(i64::MAX / 2));
    let identity = Identity { number, certificate_serial, not_before, not_after };
    let clock = Clock { began: monotonic(), passed: Duration::ZERO };
    let session = Session::new(Arc::new(identity), Arc::clone(limits), clock.now());
    let mut talk = Talk { session, model: Model::default(), clock, buffer: BytesMut::new() };
    let mut sent = 0;
    while sent < most && !talk.model.is_over() {
        let is_first = sent == 0 && dice.chance(95);
        let mut packet = if is_first { packets::connect(dice) } else { packets::any(dice) };
        if dice.chance(if is_first { 10 } else { 25 }) {
            let other = packets::any(dice);
            mutate(&mut packet, &other, dice);
        }
        sent += 1;
        // In one piece or two: what is read does not end where packets do.
        let (first, second) =
            packet.split_at(if dice.chance(20) { dice.below(packet.len()) } else { packet.len() });
        for piece in [first, second] {
            talk.hear(piece, dice);
        }
        talk.befalls(dice);
    }
    talk.step(Event::Ended(Reason::Lost));
    sent
}

struct Talk {
    session: Session,
    model: Model,
    clock: Clock,
    buffer: BytesMut,
}

struct Clock {
    began: Instant,
    passed: Duration,
}

impl Clock {
    fn now(&self) -> Now {
        let wall = UtcMillis(1_800_000_000_000).plus(self.passed);
        Now { monotonic: self.began + self.passed, wall }
    }
}

impl Talk {
    /// As a connection does: whole packets are handed in for as long as the session takes them.
    fn hear(&mut self, bytes: &[u8], dice: &mut Dice) {
        self.buffer.extend_from_slice(bytes);
        while !self.model.is_over() {
            match self.session.reading(self.clock.now()) {
                Reading::Open => {}
                Reading::From(time) => self.clock.passed = time - self.clock.began,
                Reading::Held => {
                    let verdict = if dice.chance(95) { Ok(()) } else { Err(Reason::TakeoversTooOften) };
                    if let Some(event) = self.model.answer(verdict) {
                        self.step(event);
                    }
                    continue;
                }
            }
            match read_packet(&mut self.buffer) {
                Ok(Some(packet)) => {
                    self.model.hears(&packet);
                    self.step(Event::Packet(packet));
                }
                Ok(None) => break,
                Err(CodecError::TooLong) => self.step(Event::Ended(Reason::TooLong)),
                Err(CodecError::Malformed) => self.step(Event::Ended(Reason::Malformed)),
            }
            assert!(self.buffer.capacity() <= MOST_BUFFERED, "{} bytes are kept", self.buffer.capacity());
        }
    }

    /// What happens beside what the client says.
    fn befalls(&mut self, dice: &mut Dice) {
        let event = match dice.below(8) {
            0 | 1 => self.model.appends(),
            2 if self.session.awaits_commit() => Some(self.model.commits()),
            3 if self.session.awaits_commit() && dice.chance(2) => Some(self.model.is_cut()),
            4 if self.session.takes_downlinks() => {
                let leaf = if dice.chance(50) { Leaf::Position } else { Leaf::Command };
                Some(Event::Downlink(leaf, Bytes::from_static(b"down")))
            }
            5 => {
                self.clock.passed += Duration::from_millis(dice.next_u64() % 2_000);
                Some(Event::Tick)
            }
            _ => None,
        };
        if let Some(event) = event {
            self.step(event);
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.session.step(event, self.clock.now());
        self.model.sees(effects);
    }
}
