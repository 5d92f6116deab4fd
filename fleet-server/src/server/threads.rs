//! The threads behind the gateway: the journal writes, ingest follows it, the sealer follows ingest.

use std::sync::mpsc::{Sender, sync_channel};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use anyhow::{Context as _, bail};
use lamplighter_protocol::Leaf;

use super::Metrics;
use super::start::Rebuilt;
use crate::checkpoint::{Last, Sealer, Sealing, SealingRules};
use crate::commands::Commands;
use crate::gateway::Sessions;
use crate::ingest::{Ingest, IngestThread};
use crate::journal::{JournalHandle, JournalThread};
use crate::live::LiveHub;
use crate::store::Tail;

/// Batches that may wait between journal and ingest: none, so that what is live does not wait behind them. While ingest
/// works on one batch the journal commits the next, and no more.
const BATCHES_WAITING: usize = 0;

/// What the threads work on.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) ingest: Arc<RwLock<Ingest>>,
    pub(super) store: Arc<RwLock<Tail>>,
    pub(super) live: LiveHub,
    /// Where positions go.
    pub(super) sessions: Sessions,
    /// What lampposts are told when they say hello.
    pub(super) commands: Commands,
    pub(super) rules: SealingRules,
    pub(super) metrics: Metrics,
}

/// The threads, as they run.
#[derive(Debug)]
pub(super) struct Threads {
    journal: JournalThread,
    ingest: JoinHandle<()>,
    sealer: JoinHandle<()>,
    end_sealer: Sender<Last>,
}

impl Threads {
    /// Starts them on what the start has rebuilt.
    pub(super) fn start(rebuilt: Rebuilt, work: Work) -> anyhow::Result<(JournalHandle, Self)> {
        let Rebuilt { journal, checkpoints, newest, uncovered_bytes } = rebuilt;
        let Work { ingest, store, live, sessions, commands, rules, metrics } = work;
        let (committed, batches) = sync_channel(BATCHES_WAITING);
        let (handle, journal) = journal.start(committed)?;
        let send = Box::new(move |number: &_, payload| {
            let sent = sessions.send(number, Leaf::Position, payload);
            tracing::trace!(lamppost = %number, ?sent, "position");
        });
        let greet = Box::new(move |number: &_| commands.greeted(number));
        let (knows, keeps) = (Arc::clone(&ingest), Arc::clone(&store));
        let follower = IngestThread::new(knows, keeps, live, send, greet, metrics.journal.lag.clone());
        let follower = std::thread::Builder::new()
            .name("ingest".to_owned())
            .spawn(move || follower.run(&batches))
            .context("cannot start the ingest thread")?;
        let sealing = Sealing {
            checkpoints,
            ingest,
            store,
            journal: handle.clone(),
            journal_metrics: metrics.journal,
            rules,
            metrics: metrics.checkpoint,
            newest,
            uncovered_bytes,
        };
        let (end_sealer, sealer) =
            Sealer::new(sealing).start().context("cannot start the sealer's thread")?;
        Ok((handle, Self { journal, ingest: follower, sealer, end_sealer }))
    }

    /// One that has ended although nobody told it to.
    pub(super) fn ended(&self) -> Option<&'static str> {
        let threads = [("ingest", &self.ingest), ("sealer", &self.sealer)];
        threads.into_iter().find(|(_, thread)| thread.is_finished()).map(|(part, _)| part)
    }

    /// Once the journal is closed: waits until all that it has committed is ingested and sealed. Blocks.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let written = self.journal.join();
        let ingested = self.ingest.join();
        // What was being changed when a thread panicked is not to be believed.
        let last = if ingested.is_ok() { Last::Seal } else { Last::Leave };
        // It may have ended by itself.
        self.end_sealer.send(last).ok();
        let sealed = self.sealer.join();
        written?;
        for (part, ended) in [("ingest", ingested), ("sealer", sealed)] {
            if ended.is_err() {
                bail!("the {part} thread panicked");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::{Journal, JournalOptions};

    #[test]
    fn a_thread_that_dies_is_noticed_and_named_and_the_server_ends_with_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let options = JournalOptions::in_directory(directory.path().join("journal"));
        let (committed, _batches) = sync_channel(1);
        let (handle, journal) = Journal::open(options).unwrap().start(committed).unwrap();
        let (end_sealer, told) = std::sync::mpsc::channel();
        let threads = Threads {
            journal,
            ingest: std::thread::spawn(|| panic!("a bug of ingest")),
            sealer: std::thread::spawn(move || {
                told.recv().ok();
            }),
            end_sealer,
        };
        let mut looks = 0;
        let ended = loop {
            if let Some(part) = threads.ended() {
                break part;
            }
            looks += 1;
            assert!(looks < 3_000, "it is not noticed");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(ended, "ingest");
        handle.close();
        assert_eq!(threads.finish().unwrap_err().to_string(), "the ingest thread panicked");
    }
}
