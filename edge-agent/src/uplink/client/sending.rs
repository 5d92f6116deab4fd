//! The way up: what the session wants said is read, described and published.

use std::time::Duration;

use lamplighter_protocol::{Leaf, Topic};
use rumqttc::{AsyncClient, QoS};

use super::{LinkError, Uplink};
use crate::outbox::{Chunk, OutboxError, Place, ReadLimit, chain};
use crate::uplink::session::Next;

/// How often the status is told what is to be sent, while something is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What the outbox gave.
enum Fetched {
    Records(Chunk, Option<Vec<u8>>),
    Unreadable { last: u64 },
}

impl Uplink {
    /// Sends all that the window has room for; returns until when there is nothing to do.
    pub(super) async fn pump(&mut self, client: &AsyncClient) -> Result<Duration, LinkError> {
        self.wall();
        loop {
            let now = self.now();
            match self.session.next(now) {
                Next::Idle { until } => {
                    self.turn();
                    self.tell_progress(now);
                    let in_flight = self.session.records_in_flight();
                    self.status.send_if_modified(|status| {
                        std::mem::replace(&mut status.in_flight_records, in_flight) != in_flight
                    });
                    let tell = if self.told.1 > 0 { self.told.0 + TELL_EVERY } else { Duration::MAX };
                    return Ok(until.min(tell).min(now + Duration::from_hours(1)));
                }
                Next::GiveUp => {
                    self.session.fell_silent();
                    return Err(LinkError::Silent);
                }
                Next::Hello => {
                    if let Some(payload) = self.session.hello(now) {
                        self.publish(client, Leaf::Hello, payload)?;
                    }
                }
                Next::Read(place, limit) => self.send(client, place, limit).await?,
            }
        }
    }

    async fn send(&mut self, client: &AsyncClient, place: Place, limit: ReadLimit) -> Result<(), LinkError> {
        let (chunk, description) = match self.fetch(place, limit).await? {
            Fetched::Records(chunk, description) => (chunk, description),
            Fetched::Unreadable { last } => {
                self.unreadable(place, last);
                return Ok(());
            }
        };
        if let Some(payload) = description {
            self.session.describe(chunk.description, payload.len(), self.now());
            self.publish(client, Leaf::Description, payload)?;
        }
        let log = chunk.place.log;
        if let Some(payload) = self.session.frame(chunk, self.now()) {
            self.publish(client, Leaf::Frames(log), payload)?;
        }
        Ok(())
    }

    /// Records, with their description if this connection has not had it yet.
    async fn fetch(&self, place: Place, limit: ReadLimit) -> Result<Fetched, LinkError> {
        let chunk = match self.outbox.read(place, limit).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(Fetched::Unreadable { last: place.sequence }),
            Err(error @ OutboxError::Closed(_)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(error = %chain(&error), "records on disk cannot be read: they are tried again");
                return Ok(Fetched::Unreadable { last: limit.last });
            }
        };
        let digest = chunk.description;
        if self.session.is_described(digest) {
            return Ok(Fetched::Records(chunk, None));
        }
        match self.outbox.description(digest).await {
            Ok(Some(payload)) => Ok(Fetched::Records(chunk, Some(payload))),
            Err(error @ OutboxError::Closed(_)) => Err(error.into()),
            Ok(None) | Err(_) => {
                tracing::error!(%digest, "a description cannot be read: what is written in it waits");
                let last = place.sequence + (chunk.records.len() as u64).saturating_sub(1);
                Ok(Fetched::Unreadable { last })
            }
        }
    }

    /// The outbox has just learnt something about its disk, or these records would not be missing.
    fn unreadable(&mut self, place: Place, last: u64) {
        self.session.outbox_changed(self.outbox.state().borrow().clone());
        self.session.unreadable(place, last, self.now());
    }

    fn publish(&self, client: &AsyncClient, leaf: Leaf, payload: Vec<u8>) -> Result<(), LinkError> {
        let topic = Topic::new(self.lamppost.clone(), leaf).to_string();
        client.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|_| LinkError::ClientFull)
    }

    /// Says how much is to be sent, and how fast it goes, at most once a second: it is counted through.
    fn tell_progress(&mut self, now: Duration) {
        if now < self.told.0 + TELL_EVERY {
            return;
        }
        let to_send = self.session.to_send();
        self.told = (now, to_send);
        let rate = self.acknowledgements.per_hour(now, self.acknowledged);
        self.status.send_modify(|status| {
            status.to_send_records = to_send;
            status.acknowledged_per_hour = rate;
        });
    }
}
