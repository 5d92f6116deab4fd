//! Makes messages of what is observed: each once, for all who hear it, and none while nobody does.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use lamplighter_protocol::{Catalogue, LamppostNumber, SeriesName};
use tokio_util::sync::CancellationToken;

use super::audience::Audience;
use super::message::{Message, Told};
use super::shelf::Shelf;
use super::{FeedMetrics, Topic};
use crate::clock;
use crate::live::{LiveEvent, LiveFeed, LiveFilter, LiveHub, LiveObservation};
use crate::roll::{Register, Revision, Roll};
use crate::store::{Point, SeriesKey, Tail};

/// How often the register is looked at while nothing is observed: a lamppost that moves to another district speaks there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages that are made before others get a turn: some milliseconds.
const AT_ONCE: usize = 512;
/// The store is read again at most this often: it is read whole, and only because more is observed than can be told.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// Fills the shelf while there is an audience. At half a million observations a second their messages are the work of a
/// processor: it rests once nobody has listened for a while, and begins with what the store has.
#[derive(Debug)]
pub struct Encoder {
    pub(super) shelf: Shelf,
    pub(super) audience: Audience,
    pub(super) metrics: FeedMetrics,
    /// It rests when nobody has listened for this long.
    pub(super) linger: Duration,
    pub(super) live: LiveHub,
    pub(super) store: Arc<RwLock<Tail>>,
    pub(super) roll: Roll,
    pub(super) catalogue: Catalogue,
}

/// An encoder at work.
#[derive(Debug)]
struct Work<'a> {
    encoder: &'a Encoder,
    live: LiveFeed,
    series: Known,
    revision: Option<Revision>,
    /// The hub left changes out since the store was read.
    is_behind: bool,
}

/// The series that feeds know, each by its place.
#[derive(Debug, Default)]
struct Known {
    places: HashMap<LamppostNumber, HashMap<SeriesName, usize>>,
    topics: Vec<(LamppostNumber, SeriesName, Arc<Topic>)>,
}

/// What the hub tells beside what the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    /// Nothing older than what is told already, and nothing twice.
    Newer,
    Everything,
}

impl Encoder {
    /// Fills the shelf whenever somebody listens, until `stop`, or until the hub is closed.
    pub async fn run(self, stop: CancellationToken) {
        let work = async {
            loop {
                self.audience.entered().await;
                if Work::new(&self).run().await.is_break() {
                    return;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }
}

impl<'a> Work<'a> {
    fn new(encoder: &'a Encoder) -> Self {
        // From now on: what is in the store by then is read from it.
        let live = encoder.live.subscribe(LiveFilter::default(), None);
        Self { encoder, live, series: Known::default(), revision: None, is_behind: false }
    }

    /// Until nobody has listened for a while. Break: the hub is closed.
    async fn run(mut self) -> ControlFlow<()> {
        self.read_store().await;
        self.encoder.audience.serve();
        let (mut alone_since, mut read_again) = (None, None);
        loop {
            let event = tokio::select! {
                event = self.live.next() => match event {
                    Some(event) => Some(event),
                    None => return ControlFlow::Break(()),
                },
                () = tokio::time::sleep(LOOK_EVERY) => None,
            };
            let register = self.register();
            self.moved(register.as_deref()).await;
            let mut next = event;
            // The hub rests between two events of one feed; what is there by now is taken at once.
            while let Some(event) = next {
                self.take(event, register.as_deref(), Beside::Everything).await;
                next = self.live.left().await;
            }
            let now = clock::monotonic();
            if self.is_behind && read_again.is_none_or(|at: Instant| now.duration_since(at) >= READ_AGAIN) {
                self.read_store().await;
                read_again = Some(now);
            }
            if !self.encoder.audience.is_empty() {
                alone_since = None;
            } else if now.duration_since(*alone_since.get_or_insert(now)) >= self.encoder.linger
                && self.encoder.audience.leave()
            {
                self.encoder.shelf.clear();
                return ControlFlow::Continue(());
            }
        }
    }

    /// Takes over the latest of each series from the store, and then what came to the hub meanwhile.
    async fn read_store(&mut self) {
        self.is_behind = false;
        let register = self.register();
        self.moved(register.as_deref()).await;
        let mut from = 0;
        loop {
            let store = Arc::clone(&self.encoder.store);
            // Who waits for the store's lock may wait for all that is just put in.
            let read = tokio::task::spawn_blocking(move || {
                store.read().unwrap_or_else(PoisonError::into_inner).some(from, AT_ONCE)
            });
            let some = read.await.expect("copying some series does not panic");
            if some.is_empty() {
                break;
            }
            from += some.len();
            let messages = some.iter().filter_map(|(meta, latest)| {
                let Point { time, value, reason } = (*latest)?;
                let SeriesKey { lamppost, name } = &meta.key;
                let told = Told { lamppost, name, unit: &meta.unit, time, value, reason, received: None };
                self.message(&told, register.as_deref(), Beside::Newer)
            });
            let messages = messages.collect();
            self.push(messages).await;
        }
        while let Some(event) = self.live.left().await {
            self.take(event, register.as_deref(), Beside::Newer).await;
        }
    }

    async fn take(&mut self, event: LiveEvent, register: Option<&Register>, beside: Beside) {
        let changes = match event {
            LiveEvent::Changes(changes) => changes,
            LiveEvent::Reset { .. } => {
                self.is_behind = true;
                // How many that were nobody knows: one at least.
                return self.encoder.shelf.push(Vec::new(), 1);
            }
        };
        self.encoder.shelf.push(Vec::new(), changes.replaced);
        for some in changes.observations.chunks(AT_ONCE) {
            let messages =
                some.iter().filter_map(|observation| self.observed(observation, register, beside)).collect();
            self.push(messages).await;
        }
    }

    async fn push(&self, messages: Vec<Arc<Message>>) {
        self.encoder.metrics.messages.inc_by(messages.len() as u64);
        self.encoder.shelf.push(messages, 0);
        tokio::task::yield_now().await;
    }

    fn register(&self) -> Option<Arc<Register>> {
        self.encoder.roll.rows().map(|rows| rows.register)
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
            let Some(topic) = topic_of(&self.encoder.catalogue, register, lamppost, name) else { continue };
            if topic == **before {
                continue;
            }
            *before = Arc::new(topic);
            let latest = self.encoder.shelf.latest(place, 1).pop().flatten();
            let moved = latest.map(|latest| Arc::new(latest.message.moved(Arc::clone(before))));
            self.encoder.shelf.replace(moved.into_iter());
        }
    }

    fn observed(
        &mut self,
        observation: &LiveObservation,
        register: Option<&Register>,
        beside: Beside,
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
        self.message(&told, register, beside)
    }

    /// None: no catalogue knows what that is about, or it is told already.
    fn message(
        &mut self,
        told: &Told<'_>,
        register: Option<&Register>,
        beside: Beside,
    ) -> Option<Arc<Message>> {
        let catalogue = &self.encoder.catalogue;
        let topic = || topic_of(catalogue, register, told.lamppost, told.name);
        let (place, topic) = self.series.place(told.lamppost, told.name, topic)?;
        if beside == Beside::Newer
            && let Some(latest) = self.encoder.shelf.latest(place, 1).pop().flatten()
            && told.time <= latest.message.time
        {
            return None;
        }
        let privacy = catalogue.get(&told.name.property)?.privacy;
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
