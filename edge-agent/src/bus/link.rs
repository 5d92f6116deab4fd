//! One bus as its task holds it: open, or closed until it is time to try again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::i2c::{I2cBus, I2cError, I2cOpener};
use super::instrument::{Blame, chain};
use super::serial::{SerialError, SerialLine};

/// Opens one configured bus.
pub(super) trait Opener: Send {
    /// What is opened.
    type Bus;
    /// Why it was not.
    type Error: std::error::Error;

    fn open(&self) -> Result<Self::Bus, Self::Error>;
}

/// An I2C bus at this path.
pub(super) struct I2cAt {
    pub(super) opener: Arc<dyn I2cOpener>,
    pub(super) path: PathBuf,
}

/// A serial port at this path.
pub(super) struct SerialAt {
    pub(super) path: PathBuf,
    pub(super) baud: u32,
}

impl Opener for I2cAt {
    type Bus = Box<dyn I2cBus>;
    type Error = I2cError;

    fn open(&self) -> Result<Self::Bus, I2cError> {
        self.opener.open(&self.path)
    }
}

impl Opener for SerialAt {
    type Bus = SerialLine;
    type Error = SerialError;

    fn open(&self) -> Result<SerialLine, SerialError> {
        SerialLine::open(&self.path, self.baud)
    }
}

/// Errors of the bus in a row after which it is closed: a single one may be a glitch on the wires, and closing costs the
/// other sensors of the bus their tick.
const ERRORS_TO_CLOSE: u32 = 3;

/// How long a bus stays closed after its first failure. Doubles with each further one, up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// An adapter that was plugged in again is in use within this time; trying costs a call or two.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A bus that is opened, closed after failures, and opened again. Times are monotonic.
pub(super) struct Link<O: Opener> {
    opener: O,
    state: State<O::Bus>,
    errors: u32,
    pause: Duration,
}

enum State<B> {
    Open(B),
    /// Until then.
    Closed(Duration),
}

/// What became of an attempt to open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Nothing was to be done.
    None,
    /// The bus is open now.
    Opened,
    /// It could not be opened, because of this.
    Failed(String),
}

impl<O: Opener> Link<O> {
    /// Closed, to be opened at once.
    pub(super) const fn new(opener: O) -> Self {
        Self { opener, state: State::Closed(Duration::ZERO), errors: 0, pause: SHORTEST_PAUSE }
    }

    /// The bus, if it is open.
    pub(super) const fn bus(&mut self) -> Option<&mut O::Bus> {
        match &mut self.state {
            State::Open(bus) => Some(bus),
            State::Closed(_) => None,
        }
    }

    /// When it is to be opened; none while it is open.
    pub(super) const fn opens_at(&self) -> Option<Duration> {
        match self.state {
            State::Open(_) => None,
            State::Closed(until) => Some(until),
        }
    }

    /// Opens it if it is closed and its time has come.
    pub(super) fn open_if_due(&mut self, now: Duration) -> Attempt {
        if self.opens_at().is_none_or(|until| until > now) {
            return Attempt::None;
        }
        match self.opener.open() {
            Ok(bus) => {
                self.state = State::Open(bus);
                self.errors = 0;
                Attempt::Opened
            }
            Err(error) => {
                self.close(now);
                Attempt::Failed(chain(&error))
            }
        }
    }

    /// Something was read: the bus works.
    pub(super) const fn worked(&mut self) {
        self.errors = 0;
        self.pause = SHORTEST_PAUSE;
    }

    /// A reading failed. Says whether the bus was closed because of it.
    pub(super) fn failed(&mut self, blame: Blame, now: Duration) -> bool {
        match blame {
            Blame::Sensor => return false,
            Blame::Bus => self.errors += 1,
            Blame::Gone => self.errors = ERRORS_TO_CLOSE,
        }
        let closes = self.errors >= ERRORS_TO_CLOSE;
        if closes {
            self.close(now);
        }
        closes
    }

    /// Drops the bus (its adapter cannot come back before that) and waits longer each time.
    fn close(&mut self, now: Duration) {
        self.state = State::Closed(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.errors = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Opens if its flag says so.
    struct Flag(Arc<AtomicBool>);

    impl Opener for Flag {
        type Bus = ();
        type Error = io::Error;
        fn open(&self) -> Result<(), io::Error> {
            let there = self.0.load(Ordering::Relaxed);
            there.then_some(()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    fn link(there: bool) -> (Link<Flag>, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(there));
        (Link::new(Flag(Arc::clone(&flag))), flag)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn errors_of_the_bus_in_a_row_close_it_and_errors_of_a_sensor_do_not() {
        let (mut link, _) = link(true);
        assert_eq!(link.open_if_due(ms(0)), Attempt::Opened);
        assert!((0..100).all(|_| !link.failed(Blame::Sensor, ms(1))));
        assert!(!link.failed(Blame::Bus, ms(1)) && !link.failed(Blame::Bus, ms(1)));
        link.worked();
        assert!(!link.failed(Blame::Bus, ms(1)) && !link.failed(Blame::Bus, ms(1)));
        assert!(link.failed(Blame::Bus, ms(1)));
        assert!(link.bus().is_none());
        assert_eq!(link.opens_at(), Some(ms(101)));
    }

    #[test]
    fn a_bus_that_is_gone_is_closed_at_once_and_opened_after_a_pause() {
        let (mut link, _) = link(true);
        link.open_if_due(ms(0));
        assert!(link.failed(Blame::Gone, ms(1_000)));
        assert_eq!(link.open_if_due(ms(1_099)), Attempt::None);
        assert_eq!(link.open_if_due(ms(1_100)), Attempt::Opened);
        assert_eq!(link.open_if_due(ms(1_100)), Attempt::None);
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_and_are_short_again_once_the_bus_worked() {
        let (mut link, there) = link(false);
        let mut pauses = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..12 {
            assert!(matches!(link.open_if_due(now), Attempt::Failed(_)));
            let opens_at = link.opens_at().unwrap();
            pauses.push(opens_at.abs_diff(now));
            now = opens_at;
        }
        assert_eq!(pauses[..4], [ms(100), ms(200), ms(400), ms(800)]);
        assert_eq!(pauses[10..], [LONGEST_PAUSE; 2]);
        there.store(true, Ordering::Relaxed);
        assert_eq!(link.open_if_due(now), Attempt::Opened);
        link.worked();
        link.failed(Blame::Gone, now);
        assert_eq!(link.opens_at(), Some(now + SHORTEST_PAUSE));
    }
}
