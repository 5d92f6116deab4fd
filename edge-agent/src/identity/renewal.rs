//! When a certificate is renewed, and when the new one is used for good. Pure: time, chance and what happened are handed
//! in; what is to be done comes out.
//!
//! | state | what it means | what ends it |
//! | --- | --- | --- |
//! | *none* | there is no certificate | one is found on disk |
//! | *serving* | logins use the current pair | a new one is due, or the server refuses this one: *asking* |
//! | *asking* | the server is asked for a new one | it comes: *trying*; it does not: *serving*, for a while |
//! | *trying* | logins use the new pair; the current one is kept | a login works: it is current, *serving*; it is refused: *doubting*; anything else: *holding* |
//! | *holding* | the new pair waits, logins use the current one | after a while, or when the server refuses the current one: *trying* |
//! | *doubting* | the new pair was refused, logins use the current one | a login works: the new pair goes, *serving*; the current one is refused as well, or due: *asking* |
//!
//! A pair is due at two thirds of its life, give or take a twentieth of it, so that lampposts that were enrolled on one day
//! are not renewed in one minute. Dates decide nothing while nobody has said what time it is; but a server that refuses the
//! pair in use is asked for another one, whatever the clock shows: so a lamppost without a clock that was dark past the end
//! of its certificate comes back. A server may take back an ended certificate only if it is the newest that it signed, and
//! that may be the new one; or one that it knows, which may be the current one: where both are refused it is asked with one
//! and the other by turns.

use std::time::Duration;

use lamplighter_protocol::UtcMillis;

use super::certificate::Certificate;
use crate::clock::{ClockTrust, Now};

/// The first wait after a failure, at most.
const FIRST_WAIT: Duration = Duration::from_mins(2);

/// Longest time from a refusal to the first request.
const SPREAD: Duration = Duration::from_secs(10);

/// The longest wait, whatever the server asks for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// One pair: which, and how long it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Of its fingerprint: tells it from others, and spreads the lampposts of a city.
    pub(crate) mark: u64,
    pub(crate) from: UtcMillis,
    pub(crate) until: UtcMillis,
}

/// Which pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Current,
    Trial,
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The server takes this pair.
    Worked,
    /// The server does not want this pair.
    Refused,
    /// The server hung up without a word, which it may do because this pair has ended: taken for a refusal if it has, or if
    /// nobody has said what time it is.
    HungUp,
    /// That says nothing of the pair.
    Failed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time went by, and this is on disk now.
    Found { current: Option<Life>, trial: Option<Life> },
    /// The server sent a new pair, which is on disk.
    Came(Life),
    /// It did not, and wants to be left alone for so long.
    Denied { retry_after: Option<Duration> },
    /// A login ended, with this pair.
    Login(Which, Login),
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask the server for a new pair, showing this one. [`Event::Came`] or [`Event::Denied`] tells of it.
    Ask(Which),
    /// The trial is the current pair from now on, on disk. Must be durable before anything else.
    Promote,
    /// Remove the trial from disk.
    Discard,
    /// Logins use this pair.
    Use(Which),
}

/// At which moment something happened, and a number that is uniform over all of `u32`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Now,
    pub(crate) random: u32,
}

/// Where the renewal of one lamppost's certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    None,
    Serving {
        current: Life,
        /// The server refused it, and nothing has worked since.
        is_refused: bool,
        wait: Wait,
    },
    Asking {
        current: Life,
        /// One that was refused.
        trial: Option<Life>,
        is_refused: bool,
        failures: u32,
    },
    Trying {
        current: Life,
        trial: Life,
        failures: u32,
    },
    Holding {
        current: Life,
        trial: Life,
        wait: Wait,
    },
    Doubting {
        current: Life,
        trial: Life,
        /// The server refused the current pair as well.
        is_refused: bool,
        wait: Wait,
    },
}

/// After so many failures nothing is done until then, by monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    failures: u32,
    until: Duration,
}

impl Life {
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let Certificate { from, until, fingerprint, .. } = certificate;
        Self { mark: fingerprint.mark(), from: *from, until: *until }
    }

    /// When it is to be renewed.
    pub(crate) fn due(self) -> UtcMillis {
        let life = i128::from(self.until.since_ms(self.from).max(0));
        // From -50,000 to 50,000, in millionths of the life.
        let spread = i128::from(self.mark % 100_001) - 50_000;
        let after = life * 2 / 3 + life * spread / 1_000_000;
        self.from.plus_ms(i64::try_from(after).unwrap_or(i64::MAX))
    }

    fn is_due(self, now: Now) -> bool {
        now.trust != ClockTrust::Unknown && now.wall >= self.due()
    }

    /// A pair whose coming was seen lives from then on: servers date certificates back.
    fn come(self, now: Now) -> Self {
        if now.trust == ClockTrust::Unknown { self } else { Self { from: self.from.max(now.wall), ..self } }
    }
}

impl Wait {
    const NONE: Self = Self { failures: 0, until: Duration::ZERO };

    /// One failure more: half of the wait is certain, half is chance.
    fn after(failures: u32, at: Moment, retry_after: Option<Duration>) -> Self {
        let most = FIRST_WAIT.saturating_mul(2u32.saturating_pow(failures.min(16))).min(LONGEST_WAIT);
        let wait = most / 2 + (most / 2).mul_f64(f64::from(at.random) / f64::from(u32::MAX));
        let wait = wait.max(retry_after.unwrap_or_default()).min(LONGEST_WAIT);
        Self { failures: failures.saturating_add(1), until: at.now.monotonic.saturating_add(wait) }
    }

    /// A server that refuses a whole city is not asked by all at once.
    fn spread(self, at: Moment) -> Self {
        let share = f64::from(at.random) / f64::from(u32::MAX);
        let until = at.now.monotonic.saturating_add(SPREAD.mul_f64(share));
        Self { until: self.until.max(until), ..self }
    }
}

impl State {
    /// The pair that logins use while nothing is tried.
    pub(crate) fn current(self) -> Option<Life> {
        match self {
            Self::None => None,
            Self::Serving { current, .. }
            | Self::Asking { current, .. }
            | Self::Trying { current, .. }
            | Self::Holding { current, .. }
            | Self::Doubting { current, .. } => Some(current),
        }
    }

    fn life(self, which: Which) -> Option<Life> {
        match (which, self) {
            (Which::Current, state) => state.current(),
            (
                Which::Trial,
                Self::Trying { trial, .. } | Self::Holding { trial, .. } | Self::Doubting { trial, .. },
            ) => Some(trial),
            (Which::Trial, Self::None | Self::Serving { .. } | Self::Asking { .. }) => None,
        }
    }

    /// Which pair the next login uses.
    pub(crate) fn which(self) -> Which {
        match self {
            Self::None
            | Self::Serving { .. }
            | Self::Asking { .. }
            | Self::Holding { .. }
            | Self::Doubting { .. } => Which::Current,
            Self::Trying { .. } => Which::Trial,
        }
    }

    /// Whether there is a new pair that no login has worked with yet.
    pub(crate) fn has_trial(self) -> bool {
        match self {
            Self::None | Self::Serving { .. } | Self::Asking { .. } => false,
            Self::Trying { .. } | Self::Holding { .. } | Self::Doubting { .. } => true,
        }
    }

    /// How long nothing has to be done if nothing happens; none: for ever.
    pub(crate) fn idle(self, now: Now) -> Option<Duration> {
        let waiting = |wait: Wait| wait.until.saturating_sub(now.monotonic);
        let due = |current: Life| {
            let ms = u64::try_from(current.due().since_ms(now.wall)).unwrap_or(0);
            (now.trust != ClockTrust::Unknown).then_some(Duration::from_millis(ms))
        };
        match self {
            Self::None | Self::Asking { .. } | Self::Trying { .. } => None,
            Self::Serving { is_refused: true, wait, .. }
            | Self::Doubting { is_refused: true, wait, .. }
            | Self::Holding { wait, .. } => Some(waiting(wait)),
            Self::Serving { current, is_refused: false, wait }
            | Self::Doubting { current, is_refused: false, wait, .. } => {
                due(current).map(|due| due.max(waiting(wait)))
            }
        }
    }

    /// Goes on from here.
    #[must_use]
    pub(crate) fn on(self, event: Event, at: Moment) -> (Self, Vec<Effect>) {
        match event {
            Event::Found { current, trial } => self.found(current, trial, at),
            Event::Came(life) => self.came(life, at),
            Event::Denied { retry_after } => self.denied(retry_after, at),
            Event::Login(which, Login::HungUp) => {
                let until = self.life(which).map(|life| life.until);
                let may_have_ended =
                    at.now.trust == ClockTrust::Unknown || until.is_some_and(|until| at.now.wall > until);
                let login = if may_have_ended { Login::Refused } else { Login::Failed };
                self.on(Event::Login(which, login), at)
            }
            Event::Login(Which::Current, login) => self.current_login(login, at),
            Event::Login(Which::Trial, login) => self.trial_login(login, at),
        }
    }

    fn found(self, current: Option<Life>, trial: Option<Life>, at: Moment) -> (Self, Vec<Effect>) {
        // A trial alone is better than nothing.
        let Some(found) = current.or(trial) else { return (Self::None, self.back()) };
        // The one that we know, from when on we know it.
        let known = self.current().filter(|known| known.mark == found.mark).unwrap_or(found);
        match (self, trial) {
            (Self::Asking { .. }, _) => (self, Vec::new()),
            (Self::Trying { trial: ours, failures, .. }, Some(theirs)) if ours.mark == theirs.mark => {
                (Self::Trying { current: known, trial: ours, failures }, Vec::new())
            }
            (Self::Holding { trial: ours, wait, .. }, Some(theirs)) if ours.mark == theirs.mark => {
                Self::Holding { current: known, trial: ours, wait }.go_on(at)
            }
            (Self::Doubting { trial: ours, is_refused, wait, .. }, Some(theirs))
                if ours.mark == theirs.mark =>
            {
                Self::Doubting { current: known, trial: ours, is_refused, wait }.go_on(at)
            }
            // It was there at the start, or could not be removed or promoted.
            (Self::Serving { wait, .. }, Some(trial)) => {
                Self::Holding { current: known, trial, wait }.go_on(at)
            }
            (
                Self::None | Self::Trying { .. } | Self::Holding { .. } | Self::Doubting { .. },
                Some(trial),
            ) => {
                let (state, effects) = Self::Holding { current: known, trial, wait: Wait::NONE }.go_on(at);
                (state, [self.back(), effects].concat())
            }
            (Self::Serving { current, is_refused, wait }, None) if current.mark == found.mark => {
                Self::Serving { current, is_refused, wait }.go_on(at)
            }
            (
                Self::None
                | Self::Serving { .. }
                | Self::Trying { .. }
                | Self::Holding { .. }
                | Self::Doubting { .. },
                None,
            ) => {
                let serving = Self::Serving { current: known, is_refused: false, wait: Wait::NONE };
                let (state, effects) = serving.go_on(at);
                (state, [self.back(), effects].concat())
            }
        }
    }

    /// Does what its time has come for.
    fn go_on(self, at: Moment) -> (Self, Vec<Effect>) {
        let Moment { now, .. } = at;
        match self {
            Self::Serving { current, is_refused, wait }
                if (is_refused || current.is_due(now)) && now.monotonic >= wait.until =>
            {
                let asking = Self::Asking { current, trial: None, is_refused, failures: wait.failures };
                (asking, vec![Effect::Ask(Which::Current)])
            }
            Self::Doubting { current, trial, is_refused, wait }
                if (is_refused || current.is_due(now)) && now.monotonic >= wait.until =>
            {
                let failures = wait.failures;
                let which = if is_refused && failures % 2 == 1 { Which::Trial } else { Which::Current };
                let asking = Self::Asking { current, trial: Some(trial), is_refused, failures };
                (asking, vec![Effect::Ask(which)])
            }
            Self::Holding { current, trial, wait } if now.monotonic >= wait.until => {
                let trying = Self::Trying { current, trial, failures: wait.failures };
                (trying, vec![Effect::Use(Which::Trial)])
            }
            Self::None
            | Self::Serving { .. }
            | Self::Asking { .. }
            | Self::Trying { .. }
            | Self::Holding { .. }
            | Self::Doubting { .. } => (self, Vec::new()),
        }
    }

    fn came(self, trial: Life, at: Moment) -> (Self, Vec<Effect>) {
        let Self::Asking { current, failures, .. } = self else { return (self, Vec::new()) };
        let trying = Self::Trying { current, trial: trial.come(at.now), failures };
        (trying, vec![Effect::Use(Which::Trial)])
    }

    fn denied(self, retry_after: Option<Duration>, at: Moment) -> (Self, Vec<Effect>) {
        let Self::Asking { current, trial, is_refused, failures } = self else { return (self, Vec::new()) };
        let wait = Wait::after(failures, at, retry_after);
        let state = match trial {
            Some(trial) => Self::Doubting { current, trial, is_refused, wait },
            None => Self::Serving { current, is_refused, wait },
        };
        (state, Vec::new())
    }

    fn current_login(self, login: Login, at: Moment) -> (Self, Vec<Effect>) {
        match (self, login) {
            (Self::Serving { current, wait, .. }, Login::Worked) => {
                (Self::Serving { current, is_refused: false, wait }, Vec::new())
            }
            (Self::Serving { current, is_refused: false, wait }, Login::Refused) => {
                (Self::Serving { current, is_refused: true, wait: wait.spread(at) }, Vec::new())
            }
            (Self::Holding { current, trial, wait }, Login::Refused) => {
                let trying = Self::Trying { current, trial, failures: wait.failures };
                (trying, vec![Effect::Use(Which::Trial)])
            }
            (Self::Doubting { current, wait, .. }, Login::Worked) => {
                (Self::Serving { current, is_refused: false, wait }, vec![Effect::Discard])
            }
            (Self::Doubting { current, trial, wait, .. }, Login::Refused) => {
                (Self::Doubting { current, trial, is_refused: true, wait }, Vec::new())
            }
            (
                Self::None
                | Self::Serving { .. }
                | Self::Asking { .. }
                | Self::Trying { .. }
                | Self::Holding { .. }
                | Self::Doubting { .. },
                _,
            ) => (self, Vec::new()),
        }
    }

    fn trial_login(self, login: Login, at: Moment) -> (Self, Vec<Effect>) {
        let (current, trial, failures) = match self {
            Self::Trying { current, trial, failures } => (current, trial, failures),
            Self::Holding { current, trial, wait } | Self::Doubting { current, trial, wait, .. } => {
                (current, trial, wait.failures)
            }
            Self::None | Self::Serving { .. } | Self::Asking { .. } => return (self, Vec::new()),
        };
        match login {
            Login::Worked => {
                // Even a server whose certificates are always due is not asked at once again.
                let wait = Wait { failures: 0, until: Wait::after(0, at, None).until };
                let serving = Self::Serving { current: trial, is_refused: false, wait };
                (serving, vec![Effect::Promote, Effect::Use(Which::Current)])
            }
            Login::Refused => {
                let wait = Wait::after(failures, at, None);
                let doubting = Self::Doubting { current, trial, is_refused: false, wait };
                (doubting, vec![Effect::Use(Which::Current)])
            }
            Login::HungUp | Login::Failed => {
                let wait = Wait::after(failures, at, None);
                (Self::Holding { current, trial, wait }, vec![Effect::Use(Which::Current)])
            }
        }
    }

    /// Logins use the current pair again, if they did not.
    fn back(self) -> Vec<Effect> {
        match self.which() {
            Which::Current => Vec::new(),
            Which::Trial => vec![Effect::Use(Which::Current)],
        }
    }
}
