//! The journal's writing in steps, for who brings a disk, a source of randomness and an order of events of their own.

use super::batch::Gathering;
use super::entry::{Draft, Entry, LARGEST_PAYLOAD_BYTES};
use super::error::JournalFailure;
use super::low_water::Shortage;
use super::open::Found;
use super::writer::Writer;
use super::{Commit, JournalOptions, SegmentInfo, Ticket, Trimmed};

/// A journal that is written without a thread, step by step: what [`super::JournalThread`] does by itself. What is
/// queued is not bounded here.
#[derive(Debug)]
pub struct SteppedJournal {
    writer: Writer,
    gathering: Gathering,
}

impl SteppedJournal {
    pub(super) fn new(options: JournalOptions, found: Found) -> Self {
        let writer = Writer::new(options, found);
        Self { gathering: Gathering::behind(writer.committed()), writer }
    }

    /// Queues the draft and says where it will stand; it may be acknowledged once [`Commit::fate`] of the ticket is
    /// committed.
    ///
    /// # Panics
    /// If the payload is larger than [`LARGEST_PAYLOAD_BYTES`].
    pub fn push(&mut self, draft: Draft) -> Ticket {
        assert!(draft.payload.len() <= LARGEST_PAYLOAD_BYTES, "no payload of that size is taken");
        self.gathering.push(draft)
    }

    /// How many entries are queued.
    pub fn queued(&self) -> usize {
        self.gathering.len()
    }

    /// Makes all that is queued durable, by one write and one sync, and hands it on. Without anything queued nothing
    /// is written. A journal that is failing first makes one try to recover; if that fails, what is queued stays so.
    /// So it does in a shortage of room: then nothing is handed on, and [`Self::shortage`] says why.
    ///
    /// # Errors
    /// What the disk refused. If it was the write or its sync, a new epoch has begun and all that was queued is
    /// forgotten, as [`Self::committed`] shows.
    pub fn commit(&mut self) -> Result<Vec<Entry>, JournalFailure> {
        self.commit_up_to(u64::MAX)
    }

    /// As [`Self::commit`], of the oldest that is queued, up to so many bytes of records: at least one entry, if there is
    /// any. The rest stays queued.
    ///
    /// # Errors
    /// What the disk refused; the rest is forgotten with what was written, for it is behind it.
    pub fn commit_up_to(&mut self, most_bytes: u64) -> Result<Vec<Entry>, JournalFailure> {
        self.writer.recover()?;
        if self.writer.look().is_some() {
            return Ok(Vec::new());
        }
        let batch = self.gathering.take(most_bytes);
        if batch.entries.is_empty() {
            return Ok(Vec::new());
        }
        let written = self.writer.commit(&batch);
        if written.is_err() {
            self.gathering.begin(self.writer.committed());
        }
        written.map(|()| batch.entries)
    }

    /// After a failure: tries once to cut the segment back to its last committed byte, and to begin a new one. Does
    /// nothing otherwise.
    ///
    /// # Errors
    /// What the disk refused; it may be tried again.
    pub fn recover(&mut self) -> Result<(), JournalFailure> {
        self.writer.recover()
    }

    /// Removes the segments all of whose entries are below this sequence, each durably before the next, oldest first;
    /// never the newest. It works in a shortage of room and while the journal is failing, too.
    ///
    /// # Errors
    /// What the disk refused; some may have been removed, and it may be tried again.
    pub fn trim_below(&mut self, sequence: u64) -> Result<Trimmed, JournalFailure> {
        self.writer.trim_below(sequence)
    }

    /// Whether the last commit failed and the journal has not recovered since.
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// The shortage of room that the last commit met.
    pub fn shortage(&self) -> Option<Shortage> {
        self.writer.shortage()
    }

    /// How far the journal is durable.
    pub fn committed(&self) -> Commit {
        self.writer.committed()
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> &[SegmentInfo] {
        self.writer.segments()
    }
}
