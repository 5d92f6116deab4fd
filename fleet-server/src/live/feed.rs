//! A client's side of the hub: a place in the ring, and a filter.

use tokio::time::Instant;

use super::collapse::{Client, Collapsed};
use super::{EventId, LiveEvent, LiveFilter, LiveHub, ResetReason};

/// What one client reads.
#[derive(Debug)]
pub struct LiveFeed {
    hub: LiveHub,
    filter: LiveFilter,
    /// The newest change that is told, or not wanted.
    told: u64,
    /// The client is not told yet that it has to begin anew.
    reset: Option<ResetReason>,
    /// It does not look at the ring before this.
    rests_until: Option<Instant>,
}

impl LiveFeed {
    pub(super) fn new(hub: LiveHub, filter: LiveFilter, after: Option<EventId>) -> Self {
        let head = hub.head();
        let (told, reset) = match after {
            None => (head.sequence, None),
            // One of this life that was never reached is nobody's either.
            Some(id) if id.life != head.life || id.sequence > head.sequence => {
                (head.sequence, Some(ResetReason::Restarted))
            }
            Some(id) if hub.reaches(id.sequence) => (id.sequence, None),
            Some(_) => (head.sequence, Some(ResetReason::TooFarBehind)),
        };
        Self { hub, filter, told, reset, rests_until: None }
    }

    /// Has the client begin anew before it is told anything else.
    #[must_use]
    pub fn reset_first(mut self, reason: ResetReason) -> Self {
        self.reset = Some(reason);
        self
    }

    /// The next event: all of it was published after what the events before it told; waits for one. In which order its
    /// changes stand is told at [`LiveChanges`](super::LiveChanges). Between two looks at the ring lies
    /// [`LiveOptions::pause`](super::LiveOptions::pause) at least. None after the hub was closed and all was told.
    /// Cancel-safe: what is not returned is told the next time.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        if let Some(reason) = self.reset.take() {
            return Some(self.begin_anew(reason));
        }
        let hub = self.hub.clone();
        loop {
            if let Some(until) = self.rests_until {
                tokio::time::sleep_until(until).await;
            }
            // It is made before the look: a publication between the look and the wait is not slept through.
            let news = hub.news();
            let (head, closed) = hub.head_and_closed();
            if self.told < head {
                let event = self.read(head).await;
                let pause = hub.options().pause;
                self.rests_until = (!pause.is_zero()).then(|| Instant::now() + pause);
                if event.is_some() {
                    return event;
                }
            } else if closed {
                return None;
            } else {
                news.await;
            }
        }
    }

    /// What is left to be told by now, event by event; waits neither for more nor for the pause. None: all is told.
    pub async fn left(&mut self) -> Option<LiveEvent> {
        if let Some(reason) = self.reset.take() {
            return Some(self.begin_anew(reason));
        }
        let head = self.hub.head().sequence;
        while self.told < head {
            if let Some(event) = self.read(head).await {
                return Some(event);
            }
        }
        None
    }

    /// Up to where all that the client wants is told; none while it has yet to be told to begin anew. A client that
    /// wants little so learns an id that stays in the ring, however long there is nothing for it.
    pub fn told(&self) -> Option<EventId> {
        self.reset.is_none().then(|| self.hub.id(self.told))
    }

    /// What is wanted of the changes up to `head`, as much as one event holds.
    async fn read(&mut self, head: u64) -> Option<LiveEvent> {
        let options = self.hub.options();
        let client = if head - self.told > options.lag as u64 { Client::Lags } else { Client::KeepsUp };
        let mut collapsed = Collapsed::new(options.event, client);
        let mut told = self.told;
        'ring: while told < head {
            let Some(look) = self.hub.look(told, &self.filter) else {
                if collapsed.is_empty() {
                    return Some(self.begin_anew(ResetReason::TooFarBehind));
                }
                // What was read so far is whole. The next event tells that what follows is not.
                break;
            };
            for (sequence, change) in look.wanted {
                if collapsed.take(change).is_err() {
                    told = sequence - 1;
                    break 'ring;
                }
            }
            told = look.end;
            if told < head {
                tokio::task::yield_now().await;
            }
        }
        self.told = told;
        if collapsed.is_empty() {
            return None;
        }
        self.hub.metrics().collapsed.inc_by(collapsed.replaced());
        Some(LiveEvent::Changes(collapsed.into_changes(self.hub.id(told))))
    }

    fn begin_anew(&mut self, reason: ResetReason) -> LiveEvent {
        let id = self.hub.head();
        self.told = id.sequence;
        self.hub.metrics().reset(reason);
        LiveEvent::Reset { id, reason }
    }
}

impl Drop for LiveFeed {
    fn drop(&mut self) {
        self.hub.metrics().feeds.dec();
    }
}
