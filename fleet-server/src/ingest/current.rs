//! What a lamppost is now, by its own account: of all descriptions that it has written in, the one of its newest record.
//!
//! The order of arrival says nothing of it: a backlog drains beside live data, and its frames name the description that
//! was in force when they were written. They are read by that one (D4), and change nothing of what the lamppost is now.

use std::cmp::Ordering;
use std::sync::Arc;

use lamplighter_protocol::{Digest, SeriesName, UtcMillis};

use super::known::Known;

/// The description that a lamppost writes in now.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) digest: Digest,
    pub(super) known: Arc<Known>,
    /// How recent the newest record is; none before there is one whose time can be believed.
    newest: Option<UtcMillis>,
}

/// The series that a lamppost has by the description that it writes in now. The store has those of devices, too, that
/// are gone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CurrentSeries(Arc<Known>);

impl Current {
    /// The first that is known stands until a record says how recent another one is.
    pub(super) fn first(digest: Digest, known: &Arc<Known>) -> Self {
        Self { digest, known: Arc::clone(known), newest: None }
    }

    /// As it was.
    pub(super) fn restored(digest: Digest, known: Arc<Known>, newest: Option<UtcMillis>) -> Self {
        Self { digest, known, newest }
    }

    /// How recent the newest record is.
    pub(super) fn newest(&self) -> Option<UtcMillis> {
        self.newest
    }

    /// A record of this time, in this description, was received. True: the description has become the current one.
    ///
    /// A record is as recent as its own time, or as its receipt where that is earlier, and nothing is more recent than
    /// the last receipt: no clock that ran ahead, the lamppost's or the server's, holds on to a description that is
    /// over. Of two that are equally recent the one that came later counts.
    pub(super) fn written(
        &mut self,
        digest: Digest,
        known: &Arc<Known>,
        time: UtcMillis,
        received: UtcMillis,
    ) -> bool {
        let before = self.newest.map(|newest| newest.min(received));
        let recent = Some(time.min(received));
        self.newest = before.max(recent);
        if recent < before || self.digest == digest {
            return false;
        }
        (self.digest, self.known) = (digest, Arc::clone(known));
        true
    }

    pub(super) fn series(&self) -> CurrentSeries {
        CurrentSeries(Arc::clone(&self.known))
    }
}

impl CurrentSeries {
    /// Tells of series of the lamppost, asked for in the order of their names and each once, whether they are among them.
    /// So it costs hardly more than one comparison each, for the whole fleet is asked once a second.
    pub fn among_them(&self) -> impl FnMut(&SeriesName) -> bool {
        let mut taken = self.0.taken.iter();
        move |name| {
            loop {
                let Some(next) = taken.as_slice().first() else { return false };
                match next.name.cmp(name) {
                    Ordering::Less => drop(taken.next()),
                    Ordering::Equal => return taken.next().is_some(),
                    Ordering::Greater => return false,
                }
            }
        }
    }
}
