//! The lampposts that are heard: a few of them, for each message is heard by everybody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use fleet_server::feeds::Topic;
use lamplighter_protocol::{Catalogue, Reason, SeriesName, UtcMillis};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::heard::Heard;
use crate::bench::backlog::day::{RECORDS_PER_TICK, description, observations};
use crate::bench::gateway::client::{Client, Shared};
use crate::bench::gateway::lamppost::Lamppost;
use crate::bench::gateway::schedule::{Due, Schedule};
use crate::city::timestamp;

/// How many speak, in turn: none is so often on that a newer value takes the place of one that is not yet told.
pub(in crate::bench::gateway) const SPEAKERS: usize = 50;

/// A subscriber is behind by so many messages on the average: enough that there is always more to deliver, and far less than a
/// department may be behind before it is told the latest alone.
const AHEAD: u64 = 1_000;

/// How long one waits who is that far ahead.
const REST: Duration = Duration::from_millis(1);

/// In which words lampposts speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench::gateway) enum Words {
    /// A frame for each tick, which the server makes messages of.
    Frames,
    /// The messages themselves at `QoS` 0, retained, those of a tick in one write: a broker makes nothing of frames.
    Messages,
}

/// Who speaks, and how.
pub(super) struct Speakers {
    clients: Vec<Client>,
    words: Words,
    /// Whose turn it is.
    next: usize,
    shared: Arc<Shared>,
    heard: Arc<Heard>,
    series: Vec<Series>,
}

/// A series, as departments are told of it.
struct Series {
    name: SeriesName,
    theme: lamplighter_protocol::Theme,
    unit: String,
}

/// Messages of a tick.
pub(super) fn messages_of_tick() -> u64 {
    observations(RECORDS_PER_TICK)
}

impl Speakers {
    pub(super) fn new(
        clients: Vec<Client>,
        words: Words,
        shared: Arc<Shared>,
        heard: Arc<Heard>,
    ) -> anyhow::Result<Self> {
        Ok(Self { clients, words, next: 0, shared, heard, series: series()? })
    }

    pub(super) fn into_clients(self) -> Vec<Client> {
        self.clients
    }

    /// Each of them speaks once.
    pub(super) async fn once(mut self) -> anyhow::Result<Self> {
        for _ in 0..self.clients.len() {
            self.tick(Due::now()).await?;
        }
        self.drain().await
    }

    /// They speak as fast as they are heard, and a little faster, until `stop`.
    pub(super) async fn without_pause(mut self, stop: CancellationToken) -> anyhow::Result<Self> {
        while !stop.is_cancelled() {
            if self.heard.ahead() < AHEAD {
                self.tick(Due::now()).await?;
            } else {
                tokio::time::sleep(REST).await;
            }
        }
        self.drain().await
    }

    /// They speak when it is due.
    pub(super) async fn when_due(mut self, schedule: Schedule) -> anyhow::Result<Self> {
        for due in schedule.of(0) {
            tokio::time::sleep_until(due.at).await;
            self.tick(due).await?;
        }
        self.drain().await
    }

    /// The next one's tick.
    async fn tick(&mut self, due: Due) -> anyhow::Result<()> {
        let place = self.next % self.clients.len();
        self.next += 1;
        let Client { lamppost, connection } = self.clients.get_mut(place).context("nobody speaks")?;
        match self.words {
            Words::Frames => {
                // All others are on their way meanwhile.
                connection.drain(|_| ()).await?;
                connection.tick(lamppost, &self.shared.readings, due).await?;
            }
            Words::Messages => {
                let messages = self.series.iter().map(|series| series.message(lamppost, due.wall));
                connection.publish_retained(messages).await?;
            }
        }
        self.heard.said.fetch_add(messages_of_tick(), Ordering::Relaxed);
        Ok(())
    }

    async fn drain(mut self) -> anyhow::Result<Self> {
        for client in &mut self.clients {
            client.connection.drain(|_| ()).await?;
        }
        Ok(self)
    }
}

impl Series {
    /// As the server writes it: topic and payload.
    fn message(&self, lamppost: &Lamppost, time: UtcMillis) -> (String, String) {
        let number = &lamppost.number;
        let topic = Topic::new(self.theme, Some("Central and Western"), number, &self.name);
        let time = timestamp::to_the_millisecond(time);
        let document = json!({
            "lamppost": number.as_str(), "device": self.name.device.as_str(), "property": self.name.property.as_str(),
            "channel": null, "time": time, "value": 1234.5, "unit": self.unit,
            "quality": Reason::GOOD.quality().as_str(), "reason": Reason::GOOD.name(), "received": time,
        });
        (topic.to_string(), document.to_string())
    }
}

fn series() -> anyhow::Result<Vec<Series>> {
    let catalogue = Catalogue::built_in();
    let mut all = Vec::new();
    for device in description()?.devices {
        for series in device.series {
            let theme = catalogue.get(&series.property).context("not in the catalogue")?.theme;
            let name = SeriesName {
                device: device.name.clone(),
                property: series.property,
                channel: series.channel,
            };
            all.push(Series { name, theme, unit: series.unit });
        }
    }
    Ok(all)
}
