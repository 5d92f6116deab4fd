//! The outbox: every record of this lamppost on its disk, from before it is sent until the server holds it.
//!
//! It is the only writer of durable sample data on the lamppost. One thread owns all of its files; the rest of the
//! agent holds an [`Outbox`], a handle with which records are appended, read for sending, and, once the server
//! says that it holds them, given up. What is sent when is the uplink's business. The thread is a shell around a
//! [`SteppedOutbox`], which does nothing by itself and reaches files through a [`Disk`] alone.
//!
//! It keeps these rules of the delivery contract: a start opens a run that begins with a synced opening (D1); what was
//! written without knowing the time is dated once, and that is synced before it is read to be sent (D3);
//! whatever is found on disk is synced before it is believed, and a failed write or sync ends the run (D2); a
//! description is kept as long as a record written in it (D4); only what the last position lists is freed, oldest
//! first, and only when the space is needed (D9); what has to go without that, for want of space or of age or because
//! it is damaged, is reported in events, and the report is synced before it goes (D11); an outbox found on another lamppost or other hardware is set
//! aside (D14), beside it as `outbox.set-aside-NUMBER`, until an operator has decided: then its runs are adopted, or it is
//! deleted.
//!
//! On disk, below the outbox's directory (directories have mode 0700, files 0600):
//!
//! | file | holds |
//! | --- | --- |
//! | `identity`, `identity.2` | version of this layout, id of the outbox, lamppost and hardware that it belongs to; twice |
//! | `lock` | nothing; locked while an agent uses the outbox |
//! | `position` | the last position that was believed |
//! | `commands` | what operators have decided of outboxes that were set aside, and what became of it |
//! | `reserve` | nothing, in 256 KiB that are given up when the disk is full |
//! | `descriptions/DIGEST` | a description's payload |
//! | `runs/NUMBER-RUN/undated` | the run began without knowing the time: which moment of which boot that was |
//! | `runs/NUMBER-RUN/dating`, `dating.2` | by how much its times are off, how that is known, and from which records on they are not; twice |
//! | `runs/NUMBER-RUN/LOG-FIRST.log` | a segment: records of one log in one description; its seal, once it is closed |
//!
//! A start reads and verifies the segments in which the last run ended, and those that hold openings and reports. Of any other
//! it believes the seal, which was synced with the records before the next segment was begun: so it takes no longer for a
//! gigabyte than for a megabyte. A segment without a whole seal is read. The price is that damage to a closed segment is not
//! found by a start, but by whoever reads the records, to send them or to drop them; what the server holds, and nobody reads, is
//! freed without a look.
//!
//! A sync gives the disk whole pages, one that is not full again with the next sync, and the file system's journal besides if
//! the file's length changed. So a segment has its length from the start, by zeros, and is cut to what was written when it is
//! closed, or by the next start. Bytes written for each byte of records, framing not counted among them (`cargo xtask bench
//! outbox`; what the disk is given was measured on ext4 with blocks of 4 KiB):
//!
//! | | pages | all that the disk is given |
//! | --- | --- | --- |
//! | 22 series each second, a sync every two seconds | 8 | 23 |
//! | 20 records of 220 bytes in each sync | 1.9 | 4.7 |
//!
//! Syncing less often writes less.
//!
//! What happens when the disk does not do as it should:
//!
//! - *Full.* Space for a segment is taken when it begins, so a full disk is met there and not in the middle of a write.
//!   What the server holds is freed; then the oldest samples are dropped, as at the outbox's own bound. Openings,
//!   positions, events and reports of drops find room in the reserve, which is made again once there is space.
//!   Earlier runs that did not know the time stay undated, and unsent, for as long as there is no room to date them.
//! - *Read-only*, as systems make a failing disk. The run ends with an error that says so. Nothing is read or sent until
//!   the disk can be written again: a run that sends has to be opened on disk (D1). What is on it stays, and is sent then.
//! - *A write or sync that fails* ends the run (D2); the next start finds all that was synced.
//! - *A place that cannot be read* is tried again by the next start, and not freed until then. One that was read and is
//!   damaged is reported (D11) and passed over, and its segment loses the seal: the next start reads it.
//!
//! The number of a run's directory is a hint for the order of runs and identifies nothing: the openings do, each
//! of which names the run before.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::{
    Command, Description, Digest, DropReason, Dropped, LamppostNumber, Log, OutboxId, Pieces, Position,
    Record, RunId, UtcMillis,
};
use tokio::sync::{oneshot, watch};

use crate::clock::{Boot, Clock, ClockTrust, Now};

mod adopt;
mod commands;
mod damage;
mod dating;
mod descriptions;
mod disk;
mod dropping;
mod error;
mod files;
mod growth;
mod identity;
mod learn;
mod opening;
mod order;
mod pen;
mod place;
mod plan;
mod queue;
mod random;
mod read;
mod recover;
mod reserve;
mod room;
mod run;
mod seal;
mod sealed;
mod segment;
mod set_aside;
mod settle;
mod steady;
mod stepped;
mod thread;
mod twin;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskFile, SystemDisk};
pub(crate) use error::chain;
pub use error::{OutboxClosed, OutboxError};
pub use random::Random;
pub use set_aside::Aside;
pub use stepped::SteppedOutbox;

use queue::{Append, Queue, Request, Times};

/// 1 MiB, and less in a small outbox, so that freeing one segment leaves most.
const MAX_SEGMENT_BYTES: u64 = 1 << 20;
const SEGMENTS_PER_OUTBOX: u64 = 64;
/// A file takes a block of 4 KiB and an inode at least; below this they would outweigh what is in it.
const MIN_SEGMENT_BYTES: u64 = 16 << 10;

/// Past so many runs the oldest ones go whole, once the server holds them (D1).
pub const MOST_RUNS: usize = 10_000;

/// Where an outbox lives, whom it belongs to, and how much it may hold.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// The outbox's own directory; made if it is not there, its parent has to be.
    pub directory: PathBuf,
    /// The lamppost that it belongs to.
    pub lamppost: LamppostNumber,
    /// The hardware that it belongs to; empty if the hardware has no serial number.
    pub hardware_serial: String,
    /// Most bytes of records on disk. Events may go past it by a small reserve, and the seals of closed segments, which
    /// are not counted, by less than a hundredth.
    pub max_bytes: u64,
    /// A new segment, which is the least that can be freed, is begun rather than exceed so many bytes:
    /// [`Self::segment_bytes_of`] unless there is a reason.
    pub segment_bytes: u64,
    /// Longest time for which anything is kept that the server does not hold; openings and reports of what was dropped are
    /// kept longer.
    pub max_age: Duration,
    /// Longest time for which a sample's append may stay unsynced; zero: each is synced singly, as events are.
    pub sync_every: Duration,
}

impl OutboxOptions {
    /// How large the segments of an outbox of this size are.
    pub fn segment_bytes_of(max_bytes: u64) -> u64 {
        (max_bytes / SEGMENTS_PER_OUTBOX).clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
    }
}

/// The moment at which a run opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// By the clock of the lamppost. If nobody knows the time, the run is dated later (D3).
    pub now: Now,
    /// Which boot of the machine this is, if that is known: what earlier runs of it left is then dated exactly.
    pub boot: Option<Boot>,
}

impl From<Now> for Beginning {
    fn from(now: Now) -> Self {
        Self { now, boot: None }
    }
}

/// One record: (run, log, sequence).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Whose record.
    pub run: RunId,
    /// Of which of its logs.
    pub log: Log,
    /// Counted from 0 in each log.
    pub sequence: u64,
}

/// How much one [`Outbox::read`] may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Most bytes, each record counted as it stands in a frame: with its tag and length. One record is returned
    /// even if it has more.
    pub bytes: usize,
    /// Most records.
    pub records: usize,
    /// Last sequence that may be returned.
    pub last: u64,
}

/// Records of one log with consecutive sequences, all written in one description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of the first record.
    pub place: Place,
    /// What the records are written in.
    pub description: Digest,
    /// The records, at least one, serialised.
    pub records: Vec<Bytes>,
}

/// What the outbox holds, as of the last batch written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxState {
    /// Which outbox.
    pub outbox: OutboxId,
    /// The run that this process opened.
    pub run: RunId,
    /// Every run of which something is on disk, oldest first, the current one last.
    pub runs: Vec<Arc<RunState>>,
    /// Bytes of all records on disk, with their framing.
    pub bytes: u64,
    /// Bytes that it may come to have: [`OutboxOptions::max_bytes`], or less where the disk had less room a minute ago.
    pub capacity: u64,
    /// What is appended in an hour, at the rate of the last hour; none in the first minute.
    pub appended_per_hour: Option<AppendRate>,
    /// Time of the oldest tick on disk that the last position does not list; none if there is no such tick.
    pub oldest: Option<UtcMillis>,
    /// Records that this run refused: they fit in no frame, or the outbox was full of what may never be dropped.
    pub refused: u64,
    /// Records that were dropped, by reason, as far as the reports are on disk or of this run.
    pub dropped: DropCounts,
    /// Places on disk that this run found damaged or unreadable, each once, however often it was met. Their sequences are in
    /// no log's pieces.
    pub damaged: u64,
    /// Runs that did not know the time, and that could be dated if the disk had room for it (D3). They wait, and are tried
    /// again each minute.
    pub undated_for_room: u64,
    /// The outboxes beside this one that were set aside, the first one first.
    pub set_aside: Arc<[Aside]>,
}

/// How much is appended in some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AppendRate {
    /// Bytes on disk.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

/// How many records were dropped and reported (D11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DropCounts {
    /// Newer ones needed the space.
    pub bytes: u64,
    /// They were too old.
    pub age: u64,
    /// They were on disk, and not as they were written.
    pub damaged: u64,
}

impl DropCounts {
    /// All of them.
    pub fn total(self) -> u64 {
        self.bytes + self.age + self.damaged
    }

    fn add(&mut self, report: &Dropped) {
        let count = match report.reason {
            DropReason::Bytes => &mut self.bytes,
            DropReason::Age => &mut self.age,
            DropReason::Damaged => &mut self.damaged,
        };
        *count += report.pieces.count();
    }
}

/// What the outbox holds of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Which run.
    pub run: RunId,
    /// Whether its records have their times (D3). Until then they wait: nothing of it can be read to be sent.
    pub may_be_sent: bool,
    /// Its samples.
    pub samples: LogState,
    /// Its events.
    pub events: LogState,
}

impl RunState {
    /// What the outbox holds of one of the run's logs.
    pub fn log(&self, log: Log) -> &LogState {
        match log {
            Log::Samples => &self.samples,
            Log::Events => &self.events,
        }
    }
}

/// What the outbox holds of one log.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogState {
    /// The sequences that can be read here, synced or not.
    pub on_disk: Pieces,
    /// All sequences below this that are on disk are synced.
    pub synced_end: u64,
    /// One past the greatest sequence that was ever written and is known of: for the current run, the next one.
    pub end: u64,
    /// The sequences that the server holds, as the last position lists them.
    pub held: Arc<Pieces>,
}

/// A handle to the outbox. Clones share it; when all are dropped, or one is [closed](Self::close), the outbox syncs
/// what it was given and its thread ends.
#[derive(Clone, Debug)]
pub struct Outbox {
    handles: Arc<Handles>,
}

/// What all handles share; the last one to go closes the queue.
#[derive(Debug)]
struct Handles {
    queue: Arc<Queue>,
    state: watch::Receiver<OutboxState>,
    opened: Now,
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The thread that owns the outbox's files.
#[derive(Debug)]
#[must_use = "the thread says how the outbox ended"]
pub struct OutboxThread {
    thread: JoinHandle<Result<(), OutboxError>>,
}

impl OutboxThread {
    /// Waits until the thread ends: all handles are dropped, one was closed, or a write or sync failed. Blocks.
    ///
    /// # Errors
    /// The write or sync that failed. The run is over; a restart opens the next.
    pub fn join(self) -> Result<(), OutboxError> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Whether the thread has ended: [`Self::join`] then returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Outbox {
    /// Opens the outbox and a new run in it, whose opening is synced when this returns. Blocks: the end of what an earlier
    /// run left is synced and verified first. Time comes from `clock`, that of the opening once this is done.
    ///
    /// # Errors
    /// [`OutboxError::InUse`] if another agent has it open; otherwise the file that could not be used, and why.
    pub fn open(
        options: OutboxOptions,
        description: &Description,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OutboxThread), OutboxError> {
        Self::open_on(Arc::new(SystemDisk), options, description, clock)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        options: OutboxOptions,
        description: &Description,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OutboxThread), OutboxError> {
        let sync_every = options.sync_every;
        let now = || Beginning { now: clock.now(), boot: clock.boot() };
        let mut stepped = SteppedOutbox::open(disk, Random::system(), options, description, now)?;
        let opened = stepped.opened();
        let (publish, state) = watch::channel(stepped.state());
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || thread::run(stepped, &theirs, &publish, sync_every, &*clock))
            .map_err(OutboxError::Thread)?;
        Ok((Self { handles: Arc::new(Handles { queue, state, opened }) }, OutboxThread { thread }))
    }

    /// When this run opened, as its opening says: what is due from then on is this run's to read, or to miss.
    pub fn opened(&self) -> Now {
        self.handles.opened
    }

    /// Appends a record. Blocks while the queue of the outbox's thread is full. Where there is no space left the oldest
    /// samples are dropped for it and reported (D11), and last of all events.
    ///
    /// # Errors
    /// [`OutboxClosed`] if the outbox was closed, or a write or sync failed.
    pub fn append(&self, log: Log, record: &Record) -> Result<(), OutboxClosed> {
        self.append_by(log, record, ClockTrust::Sure)
    }

    /// Appends a record whose times are those of a clock that was trusted so far: provisional ones are dated (D3).
    ///
    /// # Errors
    /// [`OutboxClosed`] as for [`Self::append`].
    pub fn append_by(&self, log: Log, record: &Record, trust: ClockTrust) -> Result<(), OutboxClosed> {
        let times = match trust {
            ClockTrust::Sure | ClockTrust::Unsure => Times::Known,
            ClockTrust::Unknown => Times::Provisional,
        };
        self.handles.queue.append(Append::record(log, record, times))
    }

    /// Records appended from now on are written in this description.
    ///
    /// # Errors
    /// [`OutboxClosed`] as for [`Self::append`].
    pub fn describe(&self, description: &Description) -> Result<(), OutboxClosed> {
        let (payload, digest) = description.encode();
        self.handles.queue.append(Append::Description { digest, payload })
    }

    /// What the outbox holds. Changes after each batch written, each sync and each position believed. Its sender is
    /// gone once the thread has ended.
    pub fn state(&self) -> watch::Receiver<OutboxState> {
        self.handles.state.clone()
    }

    /// Reads records from `from` on: of its run and log, in one description, with their times. None if `from` is not on disk,
    /// or [waits for its time](RunState::may_be_sent).
    ///
    /// # Errors
    /// [`OutboxError::Closed`], or the file that could not be read. Once either this or None is returned, the record
    /// is no longer stated as on disk, unless reading it again may help.
    pub async fn read(&self, from: Place, limit: ReadLimit) -> Result<Option<Chunk>, OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Read { from, limit, answer })?;
        answered.await.map_err(|_| OutboxClosed)?
    }

    /// The payload of a description, as it was stored. None if it is not here.
    ///
    /// # Errors
    /// [`OutboxError::Closed`], or the file that could not be read.
    pub async fn description(&self, digest: Digest) -> Result<Option<Vec<u8>>, OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Description { digest, answer })?;
        answered.await.map_err(|_| OutboxClosed)?
    }

    /// Takes what this position lists, and that alone, as held by the server (D9). It is on disk when this returns.
    /// Whether a position is to be believed (D8) is for the caller to know.
    ///
    /// # Errors
    /// [`OutboxError::Closed`]; the outbox also closes if the position cannot be written.
    pub async fn believe(&self, position: Position) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Believe { position, answer })?;
        Ok(answered.await.map_err(|_| OutboxClosed)?)
    }

    /// Does what a command says about outboxes that were set aside (D14), and reports in events what becomes of any command.
    /// It is on disk before it is acknowledged, and done when this returns.
    ///
    /// # Errors
    /// [`OutboxError::Closed`]; the outbox also closes if it cannot be written.
    pub async fn command(&self, command: Command, now: Now) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Command { command, now, answer })?;
        Ok(answered.await.map_err(|_| OutboxClosed)?)
    }

    /// Syncs all that was appended before.
    ///
    /// # Errors
    /// [`OutboxError::Closed`]; the outbox also closes if the sync fails.
    pub async fn sync(&self) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Sync { answer })?;
        Ok(answered.await.map_err(|_| OutboxClosed)?)
    }

    /// Takes no more records, and lets the thread end once it has synced what it was given.
    pub fn close(&self) {
        self.handles.queue.close();
    }
}
