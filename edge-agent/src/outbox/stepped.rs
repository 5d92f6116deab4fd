//! The outbox without its thread: each step is one call, on a disk and a source of randomness that are handed in.

use std::sync::Arc;

use lamplighter_protocol::{Command, Description, Digest, Log, Position, Record};

use super::disk::Disk;
use super::error::OutboxError;
use super::files::Files;
use super::plan::no_hurry;
use super::queue::{Append, Times};
use super::random::Random;
use super::{Beginning, Chunk, OutboxOptions, OutboxState, Place, ReadLimit};
use crate::clock::{Learnt, Now};

/// An open outbox whose caller decides when it writes and syncs. [`super::Outbox`] is the same, with a thread that
/// decides by the stated policy; a simulation steps this one itself.
///
/// After an error of anything but [`Self::read`] and [`Self::description`] the run is over (D2): drop it, and open the
/// outbox again.
#[derive(Debug)]
pub struct SteppedOutbox {
    files: Files,
    opened: Now,
}

impl SteppedOutbox {
    /// Opens the outbox and a new run in it, whose opening is synced when this returns. The end of what an earlier run left
    /// is synced and verified first. `now` is asked for the time of the opening once that is done, so that the run begins when
    /// it can be read in, however long the disk took.
    ///
    /// # Errors
    /// [`OutboxError::InUse`] if another agent has it open; otherwise the file that could not be used, and why.
    #[expect(clippy::needless_pass_by_value, reason = "taken for good: nobody else draws from it")]
    pub fn open<B: Into<Beginning>>(
        disk: Arc<dyn Disk>,
        random: Random,
        options: OutboxOptions,
        description: &Description,
        now: impl FnOnce() -> B,
    ) -> Result<Self, OutboxError> {
        let (payload, digest) = description.encode();
        let (files, opened) = Files::open(disk, &random, &options, (&payload, digest), || now().into())?;
        Ok(Self { files, opened })
    }

    /// When this run opened, as its opening says.
    pub fn opened(&self) -> Now {
        self.opened
    }

    /// Takes a record; [`Self::write`] writes it. Where there is no space left the oldest samples are dropped for it and
    /// reported, and last of all events (D11).
    ///
    /// # Errors
    /// The file that could not be made, written or freed.
    pub fn append(&mut self, log: Log, record: &Record) -> Result<(), OutboxError> {
        self.take(Append::record(log, record, Times::Known))
    }

    /// Records appended from now on are written in this description.
    ///
    /// # Errors
    /// The file that could not be written.
    pub fn describe(&mut self, description: &Description) -> Result<(), OutboxError> {
        let (payload, digest) = description.encode();
        self.take(Append::Description { digest, payload })
    }

    /// Writes what was appended, and syncs the events among it (D2). Dates a few more of the earlier runs that did not know
    /// the time, if there are any for which that [is due](Self::is_dating).
    ///
    /// # Errors
    /// The write or sync that failed.
    pub fn write(&mut self) -> Result<(), OutboxError> {
        self.write_appended()?;
        self.date_earlier(&no_hurry)
    }

    /// Whether some earlier run can be dated, or the server told of it, with the next [write](Self::write). Where the disk has
    /// no room for that it waits, until the outbox [hears the time](Self::hear_time) again.
    pub fn is_dating(&self) -> bool {
        self.files.plan.is_due()
    }

    /// Syncs what was written.
    ///
    /// # Errors
    /// The sync that failed.
    pub fn sync(&mut self) -> Result<(), OutboxError> {
        self.files.sync()
    }

    /// Whether this run does not know the time: what is appended has provisional times, and nothing of it is read.
    pub fn is_undated(&self) -> bool {
        self.files.is_undated()
    }

    /// The time is learnt: dates this run (D3). That is on disk when this returns; what is appended from then on has known
    /// times. The runs before it that never learnt the time are dated as well, the first of them at once and
    /// [others later](Self::is_dating).
    ///
    /// # Errors
    /// The file that could not be written or synced.
    pub fn date(&mut self, learnt: Learnt) -> Result<(), OutboxError> {
        self.learn(learnt)?;
        self.date_earlier(&no_hurry)
    }

    /// Hears what time it is, about once a minute. Reports of what is dropped carry it; and once it is trusted and has not
    /// jumped for an hour, what is older than [`OutboxOptions::max_age`] and still not held is dropped (D11).
    ///
    /// # Errors
    /// The file that could not be read, written, synced or removed.
    pub fn hear_time(&mut self, now: Now) -> Result<(), OutboxError> {
        self.files.hear_time(now)
    }

    /// Reads records from `from` on: of its run and log, in one description, with their times. None if `from` is not on disk,
    /// or [waits for its time](super::RunState::may_be_sent). What was appended is to be [written](Self::write) first.
    ///
    /// # Errors
    /// The file that could not be read. Once either this or None is returned, the record is no longer stated as on
    /// disk, unless reading it again may help.
    pub fn read(&mut self, from: Place, limit: ReadLimit) -> Result<Option<Chunk>, OutboxError> {
        self.files.read(from, limit)
    }

    /// The payload of a description, as it was stored. None if it is not here.
    ///
    /// # Errors
    /// The file that could not be read.
    pub fn description(&self, digest: Digest) -> Result<Option<Vec<u8>>, OutboxError> {
        self.files.description(digest)
    }

    /// Takes what this position lists, and that alone, as held by the server (D9). It is on disk when this returns.
    /// Whether a position is to be believed (D8) is for the caller to know.
    ///
    /// # Errors
    /// The position could not be written: it does not count.
    pub fn believe(&mut self, position: &Position) -> Result<(), OutboxError> {
        self.files.believe(position)
    }

    /// Does what a command says about outboxes that were set aside (D14), and reports in events what becomes of any command.
    ///
    /// # Errors
    /// The file that could not be written, synced or renamed. What cannot be done with an outbox that was set aside is no
    /// error: it is reported.
    pub fn command(&mut self, command: &Command, now: Now) -> Result<(), OutboxError> {
        self.files.command(command, now)
    }

    /// What the outbox holds, what is appended and not yet written included.
    pub fn state(&mut self) -> OutboxState {
        self.files.state()
    }

    /// The first half of [`Self::write`].
    pub(super) fn write_appended(&mut self) -> Result<(), OutboxError> {
        self.files.write()
    }

    /// The other half: dates a few more of the earlier runs, one at least, and no more once it is no longer `in_time`.
    pub(super) fn date_earlier(&mut self, in_time: &dyn Fn() -> bool) -> Result<(), OutboxError> {
        if self.is_dating() {
            self.files.step_plan(in_time)?;
            self.files.write()?;
        }
        Ok(())
    }

    /// Dates this run, and none before it.
    pub(super) fn learn(&mut self, learnt: Learnt) -> Result<(), OutboxError> {
        self.files.date(learnt)
    }

    pub(super) fn take(&mut self, append: Append) -> Result<(), OutboxError> {
        self.files.append(append)
    }

    /// Whether a sample is written and not synced.
    pub(super) fn has_unsynced(&self) -> bool {
        self.files.has_unsynced()
    }

    /// How many places on disk were found unreadable.
    pub(super) fn damaged(&self) -> u64 {
        self.files.damaged()
    }
}
