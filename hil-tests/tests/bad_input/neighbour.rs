//! A lamppost that goes on as it should while somebody else does not, and how long each of its acknowledgements took.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hil_tests::fleet::{ServerProcess, monotonic};

use super::lamppost::Lamppost;

/// No acknowledgement may take longer, also on a machine under load. What they did take is printed.
const WORST: Duration = Duration::from_secs(10);

/// So many are timed at least.
const LEAST: usize = 50;

/// Time from message to message.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Neighbour {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Neighbour {
    /// Logs in, and sends a tick after the other, each once the last is acknowledged.
    pub(crate) fn start(lamppost: &Lamppost, server: &ServerProcess) -> Self {
        let mut session = lamppost.log_in(server);
        session.describe().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut took = Vec::new();
            // What is over in no time has its aftermath looked at, too.
            while !until.load(Ordering::Relaxed) || took.len() < LEAST {
                let (began, tick) = (monotonic(), took.len() as u64);
                session.send(tick..tick + 1).expect("the neighbour is served");
                took.push(began.elapsed());
                std::thread::sleep(PAUSE);
            }
            took
        });
        Self { stop, thread }
    }

    /// Says how long it waited while this was tried.
    pub(crate) fn was_served_during(self, attack: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().expect("the neighbour was served all the time");
        took.sort();
        let (count, worst) = (took.len(), took.last().copied().unwrap_or(Duration::MAX));
        let median = took.get(count / 2).copied().unwrap_or_default();
        let said =
            format!("{attack}: {count} acknowledgements beside it, median {median:.1?}, worst {worst:.1?}");
        writeln!(std::io::stderr(), "{said}").ok();
        assert!(worst < WORST, "{said}");
    }
}
