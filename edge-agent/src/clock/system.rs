//! The machine's clock: what it says, and what others say of it.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lamplighter_protocol::{UtcMillis, whole_ms};
use rustix::time::{ClockId, clock_gettime};

use super::learning::{Heard, Learning};
use super::{Boot, Clock, Learnt, Now, Stop, Waited};

/// The machine's clock. Its time is known once systemd-timesyncd says that it is synchronised, or once the server has said
/// what time it is; until then it is provisional.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    /// How far what the machine's clock shows is off, for a rig.
    off_ms: i64,
    /// What the machine's clock said then.
    began: UtcMillis,
    boot: Option<Boot>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    learning: Learning,
    /// When systemd-timesyncd's word is looked for again; none: never.
    look_at: Option<Duration>,
    /// The server's last time was not believed, which is said once.
    has_refused: bool,
}

impl State {
    fn of(learning: Learning, look_at: Option<Duration>) -> Mutex<Self> {
        Mutex::new(Self { learning, look_at, has_refused: false })
    }
}

/// systemd-timesyncd keeps this file while it has synchronised the clock since boot (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// How often it is looked for while the clock is not confirmed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Random at each boot (random(4)), as text.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl SystemClock {
    /// Starts reading the machine's clock.
    pub fn new() -> Self {
        let mut clock = Self::provisional();
        if is_synchronised() {
            clock.state = State::of(Learning::known(), None);
        }
        clock
    }

    /// The machine's clock, believed as it is.
    pub fn believed() -> Self {
        let state = State::of(Learning::known(), None);
        Self { state, ..Self::provisional() }
    }

    /// The clock of a machine that nobody synchronises and that is so many milliseconds ahead: a rig's.
    pub fn off_by(off_ms: i64) -> Self {
        let clock = Self::provisional();
        let state = State::of(Learning::unknown(), None);
        Self { off_ms, began: clock.began.plus_ms(off_ms), state, ..clock }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    fn provisional() -> Self {
        let start = Instant::now();
        let state = State::of(Learning::unknown(), Some(Duration::ZERO));
        Self { start, off_ms: 0, began: machine_time(), boot: boot(), state }
    }

    fn machine_time(&self) -> UtcMillis {
        machine_time().plus_ms(self.off_ms)
    }

    /// What the machine's clock makes of monotonic zero. This thread may stand still between its reading one clock and the
    /// other: of three pairs, the one that was read within the shortest time counts.
    fn machine_at_zero(&self) -> UtcMillis {
        let pair = || {
            let before = self.start.elapsed();
            let machine = self.machine_time();
            let took = self.start.elapsed().saturating_sub(before);
            (took, machine.plus_ms(-whole_ms(before + took / 2)))
        };
        let (_, at_zero) = pair().min(pair()).min(pair());
        at_zero
    }

    /// What is known, systemd-timesyncd having been looked at if that is due.
    fn state(&self, elapsed: Duration) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.look_at.is_some_and(|at| at <= elapsed) {
            if is_synchronised() {
                state.learning.synchronised(self.machine_at_zero().since_ms(self.began));
            }
            state.look_at = (!state.learning.is_confirmed()).then(|| elapsed + LOOK_EVERY);
        }
        state.learning.waited(elapsed, self.began);
        state
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let elapsed = self.start.elapsed();
        let state = self.state(elapsed);
        let machine = || self.machine_time();
        let (wall, trust) = state.learning.time(self.began.plus(elapsed), elapsed, machine);
        Now { monotonic: elapsed, wall, trust }
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        stop.wait(until.saturating_sub(self.start.elapsed()))
    }

    fn hear_server_time(&self, server: UtcMillis, between: Range<Duration>) {
        let heard = Heard { server, asked: between.start, at: between.end };
        let machine = self.machine_at_zero().plus(heard.at);
        let now = self.start.elapsed();
        let mut state = self.state(now);
        match state.learning.heard(heard, machine, self.began) {
            Ok(()) => state.has_refused = false,
            Err(why) if !state.has_refused => {
                tracing::warn!(%why, "the server's time is not believed");
                state.has_refused = true;
            }
            Err(_) => {}
        }
        if self.off_ms == 0 && !state.learning.is_confirmed() {
            // Whoever synchronises it may confirm it again.
            state.look_at = state.look_at.or(Some(now + LOOK_EVERY));
        }
    }

    fn learnt(&self) -> Option<Learnt> {
        self.state(self.start.elapsed()).learning.learnt()
    }

    fn dated(&self) {
        self.state(self.start.elapsed()).learning.dated();
    }

    fn boot(&self) -> Option<Boot> {
        self.boot
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
fn machine_time() -> UtcMillis {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMillis(whole_ms(since_epoch))
}

fn is_synchronised() -> bool {
    std::path::Path::new(SYNCHRONISED).exists()
}

/// The boot, as of now: `at_zero` is the time since it.
fn boot() -> Option<Boot> {
    let text = std::fs::read_to_string(BOOT_ID).ok()?;
    let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b'-').collect();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes = pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let id: [u8; 16] = bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()?;
    let since = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (u64::try_from(since.tv_sec).ok()?, u32::try_from(since.tv_nsec).ok()?);
    Some(Boot { id, at_zero: Duration::new(seconds, nanoseconds) })
}

#[cfg(test)]
mod tests {
    use super::super::LearntFrom;
    use super::*;

    #[test]
    fn a_boot_has_an_id_and_its_time_runs_on_from_one_process_to_the_next() {
        let (one, next) = (SystemClock::new(), SystemClock::new());
        let (one, next) = (one.boot().unwrap(), next.boot().unwrap());
        assert_eq!(one.id, next.id);
        assert_ne!(one.id, [0; 16]);
        assert!(one.at_zero <= next.at_zero);
    }

    #[test]
    fn d3_a_time_that_is_looked_at_late_says_as_much_as_one_that_is_looked_at_at_once() {
        let day = UtcMillis(lamplighter_protocol::EARLIEST.0 + 86_400_000);
        let mut clock = SystemClock::off_by(day.since_ms(machine_time()));
        // It is a minute later than the moment at which the answer came.
        clock.start = clock.start.checked_sub(Duration::from_mins(2)).unwrap();
        let between = Duration::from_secs(59)..Duration::from_mins(1);
        clock.hear_server_time(day.plus_ms(-60_500), between);
        let learnt = clock.learnt().unwrap();
        assert_eq!(learnt.from, LearntFrom::OwnClock);
        assert!((learnt.shift_ms + 120_000).abs() < 1_000, "{learnt:?}");
    }

    #[test]
    fn d3_a_slow_server_is_believed_roughly_once_time_has_gone_by_and_one_that_shows_1970_never() {
        let day = UtcMillis(lamplighter_protocol::EARLIEST.0 + 86_400_000);
        for (server, from) in [(day, Some(LearntFrom::SlowServer)), (UtcMillis(86_400_000), None)] {
            let mut clock = SystemClock::off_by(-10 * 365 * 86_400_000);
            clock.start = clock.start.checked_sub(Duration::from_mins(1)).unwrap();
            clock.hear_server_time(server, Duration::from_secs(50)..Duration::from_mins(1));
            assert_eq!(clock.learnt(), None);
            clock.start = clock.start.checked_sub(Duration::from_mins(10)).unwrap();
            assert_eq!(clock.learnt().map(|learnt| learnt.from), from);
        }
    }
}
