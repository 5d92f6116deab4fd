//! Makes messages of what is observed: each once, for all who hear it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lamplighter_protocol::{Catalogue, LamppostNumber, SeriesName};
use tokio_util::sync::CancellationToken;

use super::message::{Message, Told};
use super::shelf::Shelf;
use super::{FeedMetrics, Topic};
use crate::live::{LiveEvent, LiveFeed, LiveFilter, LiveHub, LiveObservation};
use crate::roll::{Register, Revision, Roll};
use crate::store::{SeriesLatest, Tail};

/// How often the register is looked at while nothing is observed: a lamppost that moves to another district speaks there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages that are made before others get a turn: some milliseconds.
const AT_ONCE: usize = 512;

/// Follows the live hub, and fills the shelf.
#[derive(Debug)]
pub struct Encoder {
    shelf: Shelf,
    metrics: FeedMetrics,
    catalogue: Catalogue,
    roll: Roll,
    live: LiveFeed,
    series: Known,
    revision: Option<Revision>,
}

/// The series that feeds know, each by its place.
#[derive(Debug, Default)]
struct Known {
    places: HashMap<LamppostNumber, HashMap<SeriesName, usize>>,
    topics: Vec<(LamppostNumber, SeriesName, Arc<Topic>)>,
}

impl Encoder {
    pub(super) fn new(
        shelf: Shelf,
        metrics: FeedMetrics,
        live: &LiveHub,
        roll: Roll,
        catalogue: Catalogue,
    ) -> Self {
        // From now on: what is in the store by then is read from it.
        let live = live.subscribe(LiveFilter::default(), None);
        Self { shelf, metrics, catalogue, roll, live, series: Known::default(), revision: None }
    }

    /// Takes over the latest of each series from the store: it is retained across restarts.
    #[must_use]
    pub fn restored(mut self, store: &RwLock<Tail>) -> Self {
        let register = self.roll.rows().map(|rows| rows.register);
        self.revision = register.as_ref().map(|register| register.revision());
        let tail = store.read().unwrap_or_else(PoisonError::into_inner);
        let mut messages = Vec::new();
        for SeriesLatest { meta, latest, .. } in tail.all() {
            let (Some(point), name) = (latest, &meta.key.name) else { continue };
            let told = Told {
                lamppost: &meta.key.lamppost,
                name,
                unit: &meta.unit,
                time: point.time,
                value: point.value,
                reason: point.reason,
                received: None,
            };
            messages.extend(self.message(&told, register.as_deref()));
        }
        drop(tail);
        self.shelf.replace(messages.into_iter());
        self
    }

    /// Fills the shelf until `stop`, or until the hub is closed.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = self.live.next() => match event {
                    Some(event) => Some(event),
                    None => return,
                },
                () = tokio::time::sleep(LOOK_EVERY) => None,
            };
            let register = self.roll.rows().map(|rows| rows.register);
            self.moved(register.as_deref()).await;
            let mut next = event;
            // The hub rests between two events of one feed; what is there by now is taken at once.
            while let Some(event) = next {
                self.take(event, register.as_deref()).await;
                next = self.live.left().await;
            }
        }
    }

    async fn take(&mut self, event: LiveEvent, register: Option<&Register>) {
        let changes = match event {
            LiveEvent::Changes(changes) => changes,
            // How many that were nobody knows: one at least.
            LiveEvent::Reset { .. } => return self.shelf.push(Vec::new(), 1),
        };
        self.shelf.push(Vec::new(), changes.replaced);
        for some in changes.observations.chunks(AT_ONCE) {
            let messages = some.iter().filter_map(|observation| self.observed(observation, register));
            let messages: Vec<_> = messages.collect();
            self.metrics.messages.inc_by(messages.len() as u64);
            self.shelf.push(messages, 0);
            tokio::task::yield_now().await;
        }
    }

    /// Where the register has changed, series stand in another place of the tree.
    async fn moved(&mut self, register: Option<&Register>) {
        let revision = register.map(Register::revision);
        if self.revision == revision {
            return;
        }
        self.revision = revision;
        for place in 0..self.series.topics.len() {
            if place % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            let Some((lamppost, name, before)) = self.series.topics.get_mut(place) else { continue };
            let Some(topic) = topic_of(&self.catalogue, register, lamppost, name) else { continue };
            if topic == **before {
                continue;
            }
            *before = Arc::new(topic);
            let latest = self.shelf.latest(place, 1).pop().flatten();
            let moved = latest.map(|latest| Arc::new(latest.message.moved(Arc::clone(before))));
            self.shelf.replace(moved.into_iter());
        }
    }

    fn observed(
        &mut self,
        observation: &LiveObservation,
        register: Option<&Register>,
    ) -> Option<Arc<Message>> {
        let LiveObservation { lamppost, series, time, value, reason, received } = observation;
        let told = Told {
            lamppost,
            name: &series.name,
            unit: &series.unit,
            time: *time,
            value: *value,
            reason: *reason,
            received: Some(*received),
        };
        self.message(&told, register)
    }

    /// None: no catalogue knows what that is about.
    fn message(&mut self, told: &Told<'_>, register: Option<&Register>) -> Option<Arc<Message>> {
        let topic = || topic_of(&self.catalogue, register, told.lamppost, told.name);
        let (place, topic) = self.series.place(told.lamppost, told.name, topic)?;
        let privacy = self.catalogue.get(&told.name.property)?.privacy;
        Some(Arc::new(Message::new(place, topic, privacy, told)))
    }
}

impl Known {
    fn place(
        &mut self,
        lamppost: &LamppostNumber,
        name: &SeriesName,
        topic: impl FnOnce() -> Option<Topic>,
    ) -> Option<(usize, Arc<Topic>)> {
        if let Some(place) = self.places.get(lamppost).and_then(|series| series.get(name)) {
            let (_, _, topic) = self.topics.get(*place)?;
            return Some((*place, Arc::clone(topic)));
        }
        let (place, topic) = (self.topics.len(), Arc::new(topic()?));
        self.topics.push((lamppost.clone(), name.clone(), Arc::clone(&topic)));
        self.places.entry(lamppost.clone()).or_default().insert(name.clone(), place);
        Some((place, topic))
    }
}

fn topic_of(
    catalogue: &Catalogue,
    register: Option<&Register>,
    lamppost: &LamppostNumber,
    name: &SeriesName,
) -> Option<Topic> {
    let theme = catalogue.get(&name.property)?.theme;
    let district = register.and_then(|register| {
        let row = register.districts().rows().get(register.place(lamppost)?)?;
        register.districts().texts().get(*row).map(String::as_str)
    });
    Some(Topic::new(theme, district, lamppost, name))
}
