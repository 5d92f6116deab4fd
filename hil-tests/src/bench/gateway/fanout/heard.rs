//! What all subscribers together have heard, beside what was said.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bench::gateway::client::OPENING;
use crate::fleet::wait_for;

/// Counted by all subscribers; a message counts once for each of them.
#[derive(Debug)]
pub(super) struct Heard {
    /// Those who listen.
    pub(super) subscribers: u64,
    /// Those whose subscription was answered.
    pub(super) subscribed: AtomicU64,
    /// Messages that each of them is to hear.
    pub(super) said: AtomicU64,
    /// Messages that came.
    pub(super) messages: AtomicU64,
    /// Bytes of their payloads.
    pub(super) payloads: AtomicU64,
    /// Messages that subscribers were told that they have missed.
    pub(super) missed: AtomicU64,
    /// Some of them were told so as a bound.
    pub(super) missed_at_most: AtomicBool,
    /// Ages of messages are noted.
    pub(super) notes_ages: AtomicBool,
    /// A subscriber has failed: what it hears no more, nobody waits for.
    pub(super) failed: AtomicBool,
    /// Handshakes at a time.
    pub(super) opening: Semaphore,
    pub(super) stop: CancellationToken,
}

/// What was counted at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) payloads: u64,
    pub(super) missed: u64,
}

impl Heard {
    /// Nothing yet, by so many subscribers.
    pub(super) fn new(subscribers: u64) -> Self {
        Self {
            subscribers,
            subscribed: AtomicU64::new(0),
            said: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            payloads: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            missed_at_most: AtomicBool::new(false),
            notes_ages: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            opening: Semaphore::new(OPENING),
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { messages: of(&self.messages), payloads: of(&self.payloads), missed: of(&self.missed) }
    }

    /// How many messages were said that a subscriber has not heard yet, and not missed, on the average.
    pub(super) fn ahead(&self) -> u64 {
        let Counts { messages, missed, .. } = self.counts();
        self.said.load(Ordering::Relaxed).saturating_sub((messages + missed) / self.subscribers)
    }

    /// Waits until each subscriber has heard all that was said, or was told that it has missed it: as long as something comes
    /// within such a time.
    pub(super) fn settle(&self, quiet: Duration) -> anyhow::Result<()> {
        let said = self.said.load(Ordering::Relaxed) * self.subscribers;
        let accounted = || {
            let Counts { messages, missed, .. } = self.counts();
            messages + missed
        };
        let wait = || self.wait("subscribers to hear what was said", quiet, || accounted() >= said);
        let mut waited = wait();
        let mut before = 0;
        while waited.is_err() && !self.failed.load(Ordering::Relaxed) && accounted() > before {
            before = accounted();
            waited = wait();
        }
        let Counts { messages, missed, .. } = self.counts();
        if waited.is_err() && !self.failed.load(Ordering::Relaxed) {
            bail!("{said} messages were to be delivered; {messages} were, and {missed} were told as missed");
        }
        waited?;
        let at_most = self.missed_at_most.load(Ordering::Relaxed);
        ensure!(
            messages <= said && (at_most || messages + missed == said),
            "{said} messages were to be delivered; {messages} were, although {missed} were told as missed"
        );
        Ok(())
    }

    /// Counts as missed whatever has not come by now: of a broker that does not say so.
    pub(super) fn give_up(&self) {
        let said = self.said.load(Ordering::Relaxed) * self.subscribers;
        self.missed.store(said.saturating_sub(self.counts().messages), Ordering::Relaxed);
    }

    /// Waits until it is so, or a subscriber has failed, which is an error.
    pub(super) fn wait(&self, what: &str, within: Duration, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
        let failed = || self.failed.load(Ordering::Relaxed);
        wait_for(what, within, || (failed() || is_so()).then_some(()))?;
        ensure!(!failed(), "a subscriber has failed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two subscribers to whom three messages were said.
    fn heard(messages: u64, missed: u64) -> Heard {
        let heard = Heard::new(2);
        for (count, value) in [(&heard.said, 3), (&heard.messages, messages), (&heard.missed, missed)] {
            count.store(value, Ordering::Relaxed);
        }
        heard
    }

    fn settles(heard: &Heard) -> bool {
        heard.settle(Duration::ZERO).is_ok()
    }

    #[test]
    fn each_message_is_heard_or_told_as_missed_once() {
        assert!(settles(&heard(6, 0)) && settles(&heard(4, 2)) && settles(&heard(0, 6)));
        assert!(!settles(&heard(5, 0)), "one was left out unsaid");
        assert!(!settles(&heard(7, 0)), "one came twice");
        assert!(!settles(&heard(6, 1)), "one came, and is told as missed");
        let bound = heard(6, 1);
        bound.missed_at_most.store(true, Ordering::Relaxed);
        assert!(settles(&bound));
        bound.messages.store(4, Ordering::Relaxed);
        assert!(!settles(&bound));
    }

    #[test]
    fn a_subscriber_that_fails_ends_the_wait() {
        let heard = heard(5, 0);
        heard.failed.store(true, Ordering::Relaxed);
        let error = heard.settle(Duration::from_mins(1)).unwrap_err();
        assert_eq!(error.to_string(), "a subscriber has failed");
    }

    #[test]
    fn what_a_broker_has_not_delivered_when_nobody_waits_any_more_is_missed() {
        let heard = heard(4, 0);
        assert_eq!(heard.ahead(), 1);
        heard.give_up();
        assert_eq!((heard.counts().missed, heard.ahead()), (2, 0));
    }
}
