//! Who plays the lampposts: one thread, so that the server has the rest of the machine.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The thread on which all clients run.
pub(super) struct Crew(Runtime);

/// What clients do, each in a task.
pub(super) struct Work<T> {
    phase: &'static str,
    tasks: JoinSet<anyhow::Result<T>>,
}

/// Progress is told so often.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl Crew {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?))
    }

    /// Runs something on the calling thread.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        self.0.block_on(future)
    }

    /// Begins the work of a phase.
    pub(super) fn start<T: Send + 'static, F>(
        &self,
        phase: &'static str,
        clients: impl IntoIterator<Item = F>,
    ) -> Work<T>
    where
        F: Future<Output = anyhow::Result<T>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for client in clients {
            tasks.spawn_on(client, self.0.handle());
        }
        Work { phase, tasks }
    }

    /// Waits until all of it is done. The first failure ends all of it, and so does the end of `within`.
    pub(super) fn finish<T: 'static>(&self, mut work: Work<T>, within: Duration) -> anyhow::Result<Vec<T>> {
        let (phase, all) = (work.phase, work.tasks.len());
        let mut done = Vec::with_capacity(all);
        self.0.block_on(async {
            let end = Instant::now() + within;
            let mut tell = Instant::now() + TELL_EVERY;
            while !work.tasks.is_empty() {
                tokio::select! {
                    Some(ended) = work.tasks.join_next() => {
                        let ended = ended.with_context(|| format!("{phase}: a client panicked"))?;
                        done.push(ended.with_context(|| phase.to_owned())?);
                    }
                    () = tokio::time::sleep_until(tell) => {
                        say(&format!("  {phase}: {} of {all}", done.len()));
                        tell += TELL_EVERY;
                    }
                    () = tokio::time::sleep_until(end) => {
                        let (count, limit) = (done.len(), within.as_secs());
                        return Err(anyhow!("{phase}: {count} of {all} clients were done after {limit} s"));
                    }
                }
            }
            Ok(())
        })?;
        Ok(done)
    }
}

/// A line of progress.
pub(super) fn say(line: &str) {
    // Nobody may be listening any more; the measurement goes on.
    writeln!(std::io::stdout(), "{line}").ok();
}
