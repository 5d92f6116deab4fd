//! The sampling threads: started together, followed by one owner.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc;

use super::ended::Ended;
use crate::clock::{Clock, Stop};

/// The threads that sample. Whoever holds this learns of each that ends; dropping it leaves them running.
#[derive(Debug)]
#[must_use = "the threads say how they ended"]
pub struct BusThreads {
    handles: Vec<JoinHandle<()>>,
    ends: mpsc::Receiver<ThreadEnd>,
}

/// How one thread ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadEnd {
    /// The bus that it read, or `agent`.
    pub name: String,
    /// Fine if it was told to stop.
    pub result: Result<(), Ended>,
}

impl BusThreads {
    /// Waits for the next thread that ends; none once all have. Cancel-safe.
    pub async fn next_end(&mut self) -> Option<ThreadEnd> {
        self.ends.recv().await
    }

    /// Blocks until all threads have ended, and says how each of those did that [`next_end`](Self::next_end) has not told
    /// of.
    pub fn join(mut self) -> Vec<ThreadEnd> {
        for handle in self.handles.drain(..) {
            // A panic is in the thread's end already.
            drop(handle.join());
        }
        std::iter::from_fn(|| self.ends.try_recv().ok()).collect()
    }
}

/// Threads that are being started.
pub(super) struct Starting {
    stop: Stop,
    handles: Vec<JoinHandle<()>>,
    places: Vec<Place>,
    ends: mpsc::Receiver<ThreadEnd>,
}

/// Room for one thread: it is in the clock already, and will say how it ended.
struct Place {
    entered: Entered,
    ends: mpsc::Sender<ThreadEnd>,
}

impl Starting {
    /// Room for `count` threads, all of which enter the clock now.
    pub(super) fn new(clock: &Arc<dyn Clock>, stop: Stop, count: usize) -> Self {
        // Room for the one end of each thread.
        let (sender, ends) = mpsc::channel(count.max(1));
        let places = (0..count).map(|_| Place { entered: Entered::new(clock), ends: sender.clone() });
        let places = places.collect();
        Self { stop, handles: Vec::with_capacity(count), places, ends }
    }

    /// Starts a thread. If the system has none, those started before are told to stop.
    pub(super) fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce(Arc<dyn Clock>, Stop) -> Result<(), Ended> + Send + 'static,
    ) -> io::Result<()> {
        let Some(Place { entered, ends }) = self.places.pop() else {
            return Err(io::Error::other("more threads than there is room for"));
        };
        let stop = self.stop.clone();
        let spawned = Builder::new().name(name.clone()).spawn(move || {
            let mut notice = Notice { ends, name, result: Err(Ended::Panicked), entered };
            notice.result = body(Arc::clone(&notice.entered.clock), stop);
        });
        match spawned {
            Ok(handle) => self.handles.push(handle),
            Err(error) => {
                self.stop.raise();
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> BusThreads {
        BusThreads { handles: self.handles, ends: self.ends }
    }
}

/// Says how its thread ended when dropped, be it by a panic.
struct Notice {
    ends: mpsc::Sender<ThreadEnd>,
    name: String,
    result: Result<(), Ended>,
    entered: Entered,
}

impl Drop for Notice {
    fn drop(&mut self) {
        if let Err(why) = self.result {
            tracing::error!(bus = self.name, %why, "sampling ended");
        }
        let end = ThreadEnd { name: std::mem::take(&mut self.name), result: self.result };
        // Refused only if nobody follows the threads any more.
        self.ends.try_send(end).ok();
    }
}

/// Follows the clock for as long as it lives.
struct Entered {
    clock: Arc<dyn Clock>,
}

impl Entered {
    fn new(clock: &Arc<dyn Clock>) -> Self {
        clock.enter();
        Self { clock: Arc::clone(clock) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.clock.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn started(bodies: Vec<fn() -> Result<(), Ended>>) -> BusThreads {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut starting = Starting::new(&clock, Stop::new(), bodies.len());
        for (place, body) in bodies.into_iter().enumerate() {
            starting.spawn(format!("bus-{place}"), move |_, _| body()).unwrap();
        }
        starting.finish()
    }

    #[test]
    fn a_thread_that_panics_says_so_like_one_that_fails() {
        let threads = started(vec![|| panic!("a fault of ours"), || Err(Ended::OutboxClosed), || Ok(())]);
        let mut ends = threads.join();
        ends.sort_by(|one, other| one.name.cmp(&other.name));
        let results: Vec<_> = ends.into_iter().map(|end| end.result).collect();
        assert_eq!(results, [Err(Ended::Panicked), Err(Ended::OutboxClosed), Ok(())]);
    }

    #[test]
    fn whoever_follows_the_threads_learns_when_all_have_ended() {
        let mut threads = started(vec![|| Ok(()), || Ok(())]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut next = || runtime.block_on(threads.next_end()).map(|end| end.result);
        assert_eq!([next(), next(), next()], [Some(Ok(())), Some(Ok(())), None]);
    }
}
