//! Checkpoints and trimming, step by step.

use fleet_server::checkpoint::{Copied, Written};

use super::{Running, Server};
use crate::simulation::world::wall;

/// How far sealing has come. Whatever else a server does it may do between two steps.
#[derive(Debug)]
pub(super) enum Sealing {
    /// What there was is copied, and is to be written.
    Copied(Box<Copied>),
    /// It is written, and the journal is to be trimmed.
    Written(Written),
}

/// What a step of sealing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) enum Sealed {
    Nothing,
    Written,
    Trimmed,
}

impl Server {
    /// The next step of sealing. What fails is given up, and begun again another time.
    pub(in crate::simulation) fn seal(&mut self, now_ms: i64) -> Sealed {
        self.running.as_mut().map_or(Sealed::Nothing, |running| running.seal(now_ms))
    }
}

impl Running {
    fn seal(&mut self, now_ms: i64) -> Sealed {
        match self.sealing.take() {
            None => {
                let Ok(Some(no_backup)) = self.sealer.hold_off() else { return Sealed::Nothing };
                let copied = self.sealer.copy(no_backup, &self.ingest, &self.tail, wall(now_ms));
                self.sealing = copied.map(|copied| Sealing::Copied(Box::new(copied)));
                Sealed::Nothing
            }
            Some(Sealing::Copied(copied)) => {
                let Ok(written) = self.sealer.write(*copied) else { return Sealed::Nothing };
                self.sealing = Some(Sealing::Written(written));
                Sealed::Written
            }
            Some(Sealing::Written(written)) => match self.journal.trim_below(written.trim_below) {
                Ok(trimmed) if trimmed.segments > 0 => Sealed::Trimmed,
                Ok(_) | Err(_) => Sealed::Nothing,
            },
        }
    }
}
