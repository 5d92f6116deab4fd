//! How a lamppost learns what time it is (D3). Pure: what is heard is handed in.
//!
//! | stage | wall time | left when |
//! | --- | --- | --- |
//! | *provisional* | what the machine's clock said at the start, and monotonic time since | the time is learnt |
//! | *learnt* | the same | all that it has stamped is dated |
//! | *known, by a clock that is kept* | the machine's | never |
//! | *known, by a clock that agrees* | the machine's | it is synchronised, or the server contradicts it |
//! | *known, by the server* | monotonic time, on from what the server said | the machine's clock is synchronised |
//!
//! A position answers a hello, so the server's time lies between the two: each answer says between which bounds the true
//! time is, and several say it better than one. A server that is always slow is believed roughly, once nothing better came
//! for [a while](PATIENCE): a time that is a few minutes off and says so is worth more than one that is not told. What is
//! dated and read by it is uncertain, until better answers come. Of all answers one pair of bounds is kept.
//!
//! A machine that nobody synchronises runs fast or slow. It is uncertain as soon as the server contradicts it, and given up
//! for the server once that has said the same for a while: the server's own clock may have been set wrongly.

#[cfg(test)]
mod tests;

use std::time::Duration;

use lamplighter_protocol::{ImplausibleTime, UtcMillis, whole_ms};

use super::{ClockTrust, Learnt, LearntFrom};

/// So far from the true time a machine's clock agrees with it.
const AGREES_WITHIN_MS: i64 = 2_000;

/// The server's time is taken once it is known so well. Its middle is then wrong by half of it at most.
const KNOWN_WITHIN_MS: i64 = 2_000;

/// So long after the first answer that agrees with all later ones, it is taken roughly: as well as they say it together,
const PATIENCE: Duration = Duration::from_mins(10);

/// and they have to say it so well. What is then ahead of the true time by half of it, the server still takes for no time in
/// the future (D12).
const ROUGHLY_WITHIN_MS: i64 = 600_000;

/// Monotonic time gains or loses at most a millisecond in so many: 100 ppm, twice what crystals are sold for.
const DRIFTS_ONE_IN: i64 = 10_000;

/// What a machine knows of the time.
#[derive(Debug)]
pub(super) struct Learning {
    stage: Stage,
    /// What the server's answers allow.
    bounds: Option<Bounds>,
}

/// Between which wall times monotonic zero was.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: i64,
    greatest: i64,
    /// When the first answer came that they are made of,
    since: Duration,
    /// and the last one.
    at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Provisional,
    Learnt(Learnt, Source),
    Known(Source),
}

/// Whose time is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The machine's, which somebody keeps right.
    Kept(ClockTrust),
    /// The machine's, which nobody keeps: the server agrees with it or contradicts it.
    Machine(ClockTrust),
    /// The server's: wall time at monotonic zero. Unsure: it is known roughly.
    Server { zero_ms: i64, trust: ClockTrust },
}

/// What the server said, and when, in monotonic time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) server: UtcMillis,
    /// It said so after this,
    pub(super) asked: Duration,
    /// and before this.
    pub(super) at: Duration,
}

impl Learning {
    /// Nobody has said what time it is.
    pub(super) fn unknown() -> Self {
        Self { stage: Stage::Provisional, bounds: None }
    }

    /// The machine's clock is right.
    pub(super) fn known() -> Self {
        Self { stage: Stage::Known(Source::Kept(ClockTrust::Sure)), bounds: None }
    }

    /// The time to tell, of what it is provisionally, since when, and by the machine's clock.
    pub(super) fn time(
        &self,
        provisional: UtcMillis,
        monotonic: Duration,
        machine: impl FnOnce() -> UtcMillis,
    ) -> (UtcMillis, ClockTrust) {
        match self.stage {
            Stage::Provisional | Stage::Learnt(..) => (provisional, ClockTrust::Unknown),
            Stage::Known(Source::Kept(trust) | Source::Machine(trust)) => (machine(), trust),
            Stage::Known(Source::Server { zero_ms, trust }) => (UtcMillis(zero_ms).plus(monotonic), trust),
        }
    }

    /// Somebody keeps the machine's clock right. It is so much ahead of provisional time.
    pub(super) fn synchronised(&mut self, ahead_ms: i64) {
        let machine = Source::Kept(ClockTrust::Sure);
        self.stage = match self.stage {
            Stage::Provisional => {
                Stage::Learnt(Learnt { shift_ms: ahead_ms, from: LearntFrom::OwnClock }, machine)
            }
            // The dating may be on its way to the disk already.
            Stage::Learnt(learnt, source) => Stage::Learnt(learnt, source),
            Stage::Known(_) => Stage::Known(machine),
        };
    }

    /// Whether nothing is to be asked of who keeps the machine's clock.
    pub(super) fn is_confirmed(&self) -> bool {
        self.stage == Stage::Known(Source::Kept(ClockTrust::Sure))
    }

    /// The server said what time it is; `machine` is what the machine's clock showed when that was heard. `began` is the
    /// provisional time at monotonic zero.
    ///
    /// # Errors
    /// It cannot be that late, or that early: it teaches nothing.
    pub(super) fn heard(
        &mut self,
        heard: Heard,
        machine: UtcMillis,
        began: UtcMillis,
    ) -> Result<(), ImplausibleTime> {
        heard.server.plausible()?;
        let answer = Bounds {
            least: heard.server.plus_ms(-whole_ms(heard.at)).0,
            greatest: heard.server.plus_ms(-whole_ms(heard.asked)).0,
            since: heard.at,
            at: heard.at,
        };
        let bounds = self.bounds.and_then(|known| known.narrowed(answer)).unwrap_or(answer);
        self.bounds = Some(bounds);
        let machine_zero = machine.plus_ms(-whole_ms(heard.at));
        let agreement = bounds.judge(machine_zero.0);
        let is_known_well = bounds.width() <= KNOWN_WITHIN_MS;
        self.stage = match (self.stage, agreement) {
            (Stage::Provisional, Agreement::Agrees) => {
                let shift_ms = machine_zero.since_ms(began);
                Stage::Learnt(
                    Learnt { shift_ms, from: LearntFrom::OwnClock },
                    Source::Machine(ClockTrust::Sure),
                )
            }
            (Stage::Provisional, Agreement::SaysNothing | Agreement::Contradicts) if is_known_well => {
                bounds.learnt(began, LearntFrom::Server)
            }
            (Stage::Known(Source::Kept(_)), Agreement::Agrees) => {
                Stage::Known(Source::Kept(ClockTrust::Sure))
            }
            (Stage::Known(Source::Kept(_)), Agreement::Contradicts) => {
                Stage::Known(Source::Kept(ClockTrust::Unsure))
            }
            (Stage::Known(Source::Machine(_)), Agreement::Contradicts) => {
                Stage::Known(bounds.instead_of(machine_zero.0))
            }
            // Before the machine is asked: it may agree and be further off than this.
            (Stage::Known(Source::Server { trust: ClockTrust::Unsure, .. }), _) if is_known_well => {
                Stage::Known(Source::Server { zero_ms: bounds.middle(), trust: ClockTrust::Sure })
            }
            (
                Stage::Known(Source::Machine(_) | Source::Server { trust: ClockTrust::Unsure, .. }),
                Agreement::Agrees,
            ) => Stage::Known(Source::Machine(ClockTrust::Sure)),
            // Monotonic time drifts: it is corrected by no more than the server contradicts it.
            (Stage::Known(Source::Server { zero_ms, trust }), _) => {
                let zero_ms = zero_ms.max(answer.least).min(answer.greatest);
                Stage::Known(Source::Server { zero_ms, trust })
            }
            (Stage::Known(source @ (Source::Kept(_) | Source::Machine(_))), Agreement::SaysNothing) => {
                Stage::Known(source)
            }
            (stage @ (Stage::Provisional | Stage::Learnt(..)), _) => stage,
        };
        Ok(())
    }

    /// Time goes by: what the server said roughly is taken if nothing better came for long enough.
    pub(super) fn waited(&mut self, now: Duration, began: UtcMillis) {
        let Some(bounds) = self.bounds.filter(|_| self.stage == Stage::Provisional) else { return };
        if bounds.are_proven(now) {
            self.stage = bounds.learnt(began, LearntFrom::SlowServer);
        }
    }

    /// The time, while it is learnt and not yet told.
    pub(super) fn learnt(&self) -> Option<Learnt> {
        match self.stage {
            Stage::Learnt(learnt, _) => Some(learnt),
            Stage::Provisional | Stage::Known(_) => None,
        }
    }

    /// All that was stamped with provisional time is dated.
    pub(super) fn dated(&mut self) {
        if let Stage::Learnt(_, source) = self.stage {
            self.stage = Stage::Known(source);
        }
    }
}

impl Bounds {
    /// What these and a later answer allow together; none if they contradict each other, and only the last one counts.
    fn narrowed(self, answer: Self) -> Option<Self> {
        let drift_ms = whole_ms(answer.at.saturating_sub(self.at)) / DRIFTS_ONE_IN;
        let least = self.least.saturating_sub(drift_ms).max(answer.least);
        let greatest = self.greatest.saturating_add(drift_ms).min(answer.greatest);
        (least <= greatest).then_some(Self { least, greatest, since: self.since, at: answer.at })
    }

    fn width(self) -> i64 {
        self.greatest.saturating_sub(self.least)
    }

    fn middle(self) -> i64 {
        self.least.saturating_add(self.width() / 2)
    }

    /// `machine_zero`: what the machine's clock makes of monotonic zero.
    fn judge(self, machine_zero: i64) -> Agreement {
        let ahead_by_most = machine_zero.saturating_sub(self.least);
        let behind_by_most = self.greatest.saturating_sub(machine_zero);
        if ahead_by_most.max(behind_by_most) <= AGREES_WITHIN_MS {
            Agreement::Agrees
        } else if behind_by_most < -AGREES_WITHIN_MS || ahead_by_most < -AGREES_WITHIN_MS {
            Agreement::Contradicts
        } else {
            Agreement::SaysNothing
        }
    }

    /// Whether the server has said the same for a while, and well enough to be believed at least roughly.
    fn are_proven(self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= PATIENCE && self.width() <= ROUGHLY_WITHIN_MS
    }

    /// Whose time is told in place of a machine's that is outside these.
    fn instead_of(self, machine_zero: i64) -> Source {
        if !self.are_proven(self.at) {
            Source::Machine(ClockTrust::Unsure)
        } else if self.width() <= KNOWN_WITHIN_MS {
            Source::Server { zero_ms: self.middle(), trust: ClockTrust::Sure }
        } else {
            // Set by no more than it is contradicted.
            let zero_ms = machine_zero.max(self.least).min(self.greatest);
            Source::Server { zero_ms, trust: ClockTrust::Unsure }
        }
    }

    /// The middle is taken for the time.
    fn learnt(self, began: UtcMillis, from: LearntFrom) -> Stage {
        let zero_ms = self.middle();
        let trust = match from {
            LearntFrom::OwnClock | LearntFrom::Server => ClockTrust::Sure,
            LearntFrom::SlowServer => ClockTrust::Unsure,
        };
        let shift_ms = UtcMillis(zero_ms).since_ms(began);
        Stage::Learnt(Learnt { shift_ms, from }, Source::Server { zero_ms, trust })
    }
}

/// What the server's time says of the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// It is right, wherever between the bounds the true time is.
    Agrees,
    /// It is wrong, wherever that is.
    Contradicts,
    /// The bounds are too wide to tell.
    SaysNothing,
}
