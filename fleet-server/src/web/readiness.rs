//! How far the server has come: what `/healthz` and `/readyz` say, and whether data may be shown.

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// Where the server stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It reads its journal; what it holds in memory is incomplete, and is not shown.
    Starting(Progress),
    /// It holds all that it can hold.
    Ready,
    /// There is too little room on the disk: nothing new is acknowledged until there is more, which no restart makes. What
    /// is in memory is whole and is shown.
    Short,
    /// A part on the path of observations does not work. What is in memory is whole and is shown.
    Failing {
        /// Which part: `journal`, `clock`.
        part: &'static str,
    },
}

/// What is read of the journal so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Progress {
    /// Entries.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What the web sees of the phase. Clones see the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    phase: watch::Receiver<Phase>,
}

impl Readiness {
    /// A phase that starts at [`Phase::Starting`] with nothing read; whoever runs the server sends what follows.
    pub fn new() -> (watch::Sender<Phase>, Self) {
        let (sender, phase) = watch::channel(Phase::Starting(Progress::default()));
        (sender, Self { phase })
    }

    /// Where the server stands now.
    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }
}
