//! The server under chaos: what state it is in, and what follows next.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::disk::{Burst, Saboteur};
use super::plan::Injection;
use crate::fleet::{Binaries, Ending, ServerPlace, ServerProcess, monotonic};

/// A server that is killed and started again.
#[derive(Debug)]
pub(super) struct Server {
    place: ServerPlace,
    state: State,
    /// Whether something was done to it in this life of which it may end.
    touched: bool,
    /// How often it ended by itself, or did not start.
    pub(super) ended: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, and it is large most of the time")]
enum State {
    Up(ServerProcess, Trouble),
    Down {
        until: Instant,
        then: Option<Injection>,
    },
    /// Waiting for it to be ready must not hold up what befalls the others.
    Starting(std::thread::JoinHandle<anyhow::Result<ServerProcess>>),
}

/// What is the matter with a process that runs.
#[derive(Debug)]
pub(super) enum Trouble {
    None,
    Frozen { until: Instant },
    Disk { burst: Burst, until: Instant },
}

/// Whoever ended by itself is started again so much later, as a service manager does.
pub(super) const RESTARTS_AFTER: Duration = Duration::from_millis(300);

impl Server {
    pub(super) fn new(process: ServerProcess) -> Self {
        let place = process.place().clone();
        Self { place, state: State::Up(process, Trouble::None), touched: false, ended: 0 }
    }

    /// Kills it, if it runs and nothing is the matter with it; says whether.
    pub(super) fn kill(&mut self, down: Duration, then: Option<Injection>) -> anyhow::Result<bool> {
        let State::Up(_, Trouble::None) = &self.state else { return Ok(false) };
        let down = State::Down { until: monotonic() + down, then };
        if let State::Up(process, _) = std::mem::replace(&mut self.state, down) {
            process.end(Ending::Kill)?;
        }
        Ok(true)
    }

    /// Stops its time, if it runs and nothing is the matter with it; says whether.
    pub(super) fn freeze(&mut self, lasts: Duration) -> bool {
        let State::Up(process, trouble @ Trouble::None) = &mut self.state else { return false };
        process.freeze();
        *trouble = Trouble::Frozen { until: monotonic() + lasts };
        true
    }

    /// Has its journal's disk fail, if it runs and nothing is the matter with it; says whether.
    pub(super) fn break_disk(
        &mut self,
        saboteur: &mut Saboteur,
        injection: Injection,
        lasts: Duration,
    ) -> anyhow::Result<bool> {
        let State::Up(process, trouble @ Trouble::None) = &mut self.state else { return Ok(false) };
        let attached = saboteur.attach(process.id(), "journal", injection, "server", 0)?;
        let Some(burst) = attached else { return Ok(false) };
        *trouble = Trouble::Disk { burst, until: monotonic() + lasts };
        self.touched = true;
        Ok(true)
    }

    /// Does what is due: ends troubles, starts it again.
    ///
    /// # Errors
    /// If it ended by itself, or does not start, though nothing was done to its disk.
    pub(super) fn look_after(&mut self, binaries: &Binaries, saboteur: &mut Saboteur) -> anyhow::Result<()> {
        let now = monotonic();
        match &mut self.state {
            State::Up(process, trouble) => {
                end_trouble(trouble, now, || process.thaw())?;
                if process.has_ended() {
                    ensure!(self.touched, "the server ended by itself though nothing was done to its disk");
                    self.ended += 1;
                    self.state = State::Down { until: now + RESTARTS_AFTER, then: None };
                }
            }
            State::Down { until, then } if *until <= now => {
                self.touched = then.is_some();
                let under = then.map(|injection| saboteur.start_under(injection, "server", &[]));
                let binaries = binaries.under(under.unwrap_or_default());
                let place = self.place.with_binaries(&binaries);
                self.state = State::Starting(std::thread::spawn(move || place.start()));
            }
            State::Starting(thread) if thread.is_finished() => {
                let down = State::Down { until: now + RESTARTS_AFTER, then: None };
                let State::Starting(thread) = std::mem::replace(&mut self.state, down) else { return Ok(()) };
                let Ok(started) = thread.join() else { bail!("starting the server panicked") };
                match started {
                    Ok(process) => self.state = State::Up(process, Trouble::None),
                    Err(_) if self.touched => self.ended += 1,
                    Err(error) => return Err(error).context("nothing was done to the server's disk"),
                }
            }
            State::Down { .. } | State::Starting(_) => {}
        }
        Ok(())
    }

    /// Whatever is the matter with it is over at the next look.
    pub(super) fn calm(&mut self) {
        match &mut self.state {
            State::Up(_, Trouble::Frozen { until } | Trouble::Disk { until, .. }) => *until = monotonic(),
            State::Down { until, then } => (*until, *then) = (monotonic(), None),
            State::Up(_, Trouble::None) | State::Starting(_) => {}
        }
    }

    /// Whether it runs and nothing is the matter with it.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.state, State::Up(_, Trouble::None))
    }

    /// Kills it once more, and starts it on a healthy disk: what it then serves is what it has on disk.
    pub(super) fn restarted(self) -> anyhow::Result<ServerProcess> {
        if let State::Up(process, _) = self.state {
            process.end(Ending::Kill)?;
        }
        self.place.start()
    }
}

/// Ends a trouble whose time has come.
pub(super) fn end_trouble(trouble: &mut Trouble, now: Instant, thaw: impl FnOnce()) -> anyhow::Result<()> {
    match trouble {
        Trouble::Frozen { until } if *until <= now => {
            thaw();
            *trouble = Trouble::None;
        }
        Trouble::Disk { until, .. } if *until <= now => {
            if let Trouble::Disk { burst, .. } = std::mem::replace(trouble, Trouble::None) {
                burst.end()?;
            }
        }
        Trouble::None | Trouble::Frozen { .. } | Trouble::Disk { .. } => {}
    }
    Ok(())
}
