//! What subscribers read from: the newest messages in the order in which they came, and the latest of each series.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::message::Message;

/// The messages of feeds. One writes, all subscribers read; a handle, clones are the same shelf.
///
/// A message has a sequence; that of the latest one of a series tells on which side of a subscriber's place it lies.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Most messages of the ring.
    limit: usize,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Batch>,
    kept: usize,
    /// The sequence of the newest message; 0 before there is one.
    head: u64,
    /// By series.
    latest: Vec<Option<Latest>>,
    /// Messages that never came here, because more were observed than the encoder was told one by one.
    left_out: u64,
}

/// Messages that came together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The sequence of the first one.
    pub(super) first: u64,
    pub(super) messages: Arc<[Arc<Message>]>,
}

/// The latest message of a series.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    pub(super) sequence: u64,
    pub(super) message: Arc<Message>,
}

/// What lies behind a place.
#[derive(Debug)]
pub(super) enum Behind {
    /// Nothing, yet.
    Nothing,
    /// The batch that holds the next one.
    Batch(Batch),
    /// What the ring does not have any more.
    Gone,
}

impl Shelf {
    pub(super) fn new(limit: usize) -> Self {
        let (state, news) = (Mutex::default(), Notify::new());
        Self { shared: Arc::new(Shared { limit: limit.max(1), state, news }) }
    }

    /// Puts messages on it; those before them that find no place go. Waits for no reader.
    pub(super) fn push(&self, messages: Vec<Arc<Message>>, left_out: u64) {
        let messages: Arc<[Arc<Message>]> = messages.into();
        let mut gone = Vec::new();
        let mut state = self.lock();
        state.left_out += left_out;
        let first = state.head + 1;
        for (sequence, message) in (first..).zip(&*messages) {
            state.place(Latest { sequence, message: Arc::clone(message) });
        }
        state.head += messages.len() as u64;
        state.kept += messages.len();
        if !messages.is_empty() {
            state.ring.push_back(Batch { first, messages });
        }
        // The newest batch stays, however long it is.
        while state.kept > self.shared.limit && state.ring.len() > 1 {
            let oldest = state.ring.pop_front();
            state.kept -= oldest.as_ref().map_or(0, |batch| batch.messages.len());
            gone.extend(oldest);
        }
        drop(state);
        drop(gone);
        self.shared.news.notify_waiters();
    }

    /// Takes over under which topic a message stands from now on: that is told to who subscribes from now on, and to nobody
    /// else.
    pub(super) fn replace(&self, messages: impl Iterator<Item = Arc<Message>>) {
        let mut state = self.lock();
        for message in messages {
            let sequence =
                state.latest.get(message.series).and_then(Option::as_ref).map_or(0, |old| old.sequence);
            state.place(Latest { sequence, message });
        }
    }

    /// Forgets all messages; sequences go on. For when nobody has a place on it.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        let gone = (std::mem::take(&mut state.ring), std::mem::take(&mut state.latest));
        state.kept = 0;
        drop(state);
        drop(gone);
    }

    /// Ends at the next push, also if that comes before it is awaited.
    pub(super) fn news(&self) -> Notified<'_> {
        self.shared.news.notified()
    }

    /// The sequence of the newest message, and how many never came here.
    pub(super) fn head(&self) -> (u64, u64) {
        let state = self.lock();
        (state.head, state.left_out)
    }

    /// What follows a sequence.
    pub(super) fn behind(&self, place: u64) -> Behind {
        let state = self.lock();
        if place >= state.head {
            return Behind::Nothing;
        }
        let at = state.ring.partition_point(|batch| batch.first <= place + 1);
        match at.checked_sub(1).and_then(|at| state.ring.get(at)) {
            Some(batch) => Behind::Batch(batch.clone()),
            None => Behind::Gone,
        }
    }

    /// The latest of some series from this one on; none when there are no more.
    pub(super) fn latest(&self, from: usize, most: usize) -> Vec<Option<Latest>> {
        let state = self.lock();
        state.latest.iter().skip(from).take(most).cloned().collect()
    }

    /// How many series there are.
    pub(super) fn series(&self) -> usize {
        self.lock().latest.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is whole at each step.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn place(&mut self, latest: Latest) {
        let series = latest.message.series;
        if self.latest.len() <= series {
            self.latest.resize(series + 1, None);
        }
        if let Some(place) = self.latest.get_mut(series) {
            *place = Some(latest);
        }
    }
}
