//! How a lamppost learns what time it is (D3). Pure: what is heard is handed in.
//!
//! | stage | wall time | left when |
//! | --- | --- | --- |
//! | *provisional* | what the machine's clock said at the start, and monotonic time since | the time is learnt |
//! | *learnt* | the same | all that it has stamped is dated |
//! | *known, by the machine's clock* | the machine's | never |
//! | *known, by the server* | monotonic time, on from what the server said | the machine's clock is synchronised |
//!
//! A position answers a hello, so the server's time lies between the two: each answer says between which bounds the true
//! time is, and several say it better than one.

use std::time::Duration;

use lamplighter_protocol::UtcMillis;

use super::{ClockTrust, Learnt, LearntFrom};

/// How far our time and the server's may be apart to agree. An observation's second stays right.
const AGREES_WITHIN_MS: i64 = 2_000;

/// A position on its way may be this old: only past it does a server's time behind ours contradict us.
const DELAYED_WITHIN_MS: i64 = 60_000;

/// The server's time is taken once it is known so well. Its middle is then wrong by half of it at most.
const KNOWN_WITHIN_MS: i64 = 2_000;

/// What a machine knows of the time.
#[derive(Debug)]
pub(super) struct Learning {
    stage: Stage,
    /// The least and the greatest wall time at monotonic zero that the server's answers allow.
    bounds: Option<(i64, i64)>,
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
    /// The machine's, which agrees or is contradicted.
    Machine(ClockTrust),
    /// The server's: wall time at monotonic zero.
    Server { zero_ms: i64 },
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
        Self { stage: Stage::Known(Source::Machine(ClockTrust::Sure)), bounds: None }
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
            Stage::Known(Source::Machine(trust)) => (machine(), trust),
            Stage::Known(Source::Server { zero_ms }) => {
                (UtcMillis(zero_ms).plus(monotonic), ClockTrust::Sure)
            }
        }
    }

    /// Somebody keeps the machine's clock right. It is so much ahead of provisional time.
    pub(super) fn synchronised(&mut self, ahead_ms: i64) {
        let machine = Source::Machine(ClockTrust::Sure);
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
        self.stage == Stage::Known(Source::Machine(ClockTrust::Sure))
    }

    /// The server said what time it is. `began` is the provisional time at monotonic zero.
    pub(super) fn heard(&mut self, heard: Heard, machine: UtcMillis, began: UtcMillis) {
        let agreement = judge(machine.since_ms(heard.server));
        let answer = (heard.server.plus_ms(-ms(heard.at)).0, heard.server.plus_ms(-ms(heard.asked)).0);
        let bounds = self.narrowed(answer);
        self.stage = match (self.stage, agreement) {
            (Stage::Provisional, Agreement::Agrees) => {
                let shift_ms = machine.since_ms(began.plus(heard.at));
                Stage::Learnt(
                    Learnt { shift_ms, from: LearntFrom::OwnClock },
                    Source::Machine(ClockTrust::Sure),
                )
            }
            (Stage::Provisional, Agreement::SaysNothing | Agreement::Contradicts) => {
                let (least, greatest) = bounds;
                let width = greatest.saturating_sub(least);
                if width > KNOWN_WITHIN_MS {
                    return;
                }
                let zero_ms = least + width / 2;
                let shift_ms = UtcMillis(zero_ms).since_ms(began);
                Stage::Learnt(Learnt { shift_ms, from: LearntFrom::Server }, Source::Server { zero_ms })
            }
            (Stage::Known(Source::Machine(_)), Agreement::Agrees) => {
                Stage::Known(Source::Machine(ClockTrust::Sure))
            }
            (Stage::Known(Source::Machine(_)), Agreement::Contradicts) => {
                Stage::Known(Source::Machine(ClockTrust::Unsure))
            }
            // Monotonic time drifts: it is corrected by no more than the server contradicts it.
            (Stage::Known(Source::Server { zero_ms }), _) => {
                Stage::Known(Source::Server { zero_ms: zero_ms.max(answer.0).min(answer.1) })
            }
            (stage @ (Stage::Learnt(..) | Stage::Known(Source::Machine(_))), _) => stage,
        };
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

    /// What all answers allow; if they contradict each other, what the last one does.
    fn narrowed(&mut self, answer: (i64, i64)) -> (i64, i64) {
        let known = self.bounds.map(|known| (known.0.max(answer.0), known.1.min(answer.1)));
        let bounds = known.filter(|(least, greatest)| least <= greatest).unwrap_or(answer);
        self.bounds = Some(bounds);
        bounds
    }
}

/// What the server's time says of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    Agrees,
    Contradicts,
    /// It may only have been long on its way.
    SaysNothing,
}

/// `ahead_ms`: how far our time is ahead of what the server wrote. A message's way only ever adds to it.
fn judge(ahead_ms: i64) -> Agreement {
    if (-AGREES_WITHIN_MS..=AGREES_WITHIN_MS).contains(&ahead_ms) {
        Agreement::Agrees
    } else if (0..=DELAYED_WITHIN_MS).contains(&ahead_ms) {
        Agreement::SaysNothing
    } else {
        Agreement::Contradicts
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: UtcMillis = UtcMillis(1_000);
    /// The true wall time at monotonic zero.
    const ZERO: i64 = 1_767_225_600_000;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Told at monotonic `at` that the server's clock showed the true time of `said`; the machine's shows `machine`.
    fn tell(learning: &mut Learning, asked: Duration, said: Duration, at: Duration, machine: UtcMillis) {
        learning.heard(Heard { server: UtcMillis(ZERO).plus(said), asked, at }, machine, BEGAN);
    }

    fn time(learning: &Learning, at: Duration) -> (UtcMillis, ClockTrust) {
        learning.time(BEGAN.plus(at), at, || UtcMillis(7))
    }

    #[test]
    fn a_late_position_contradicts_nothing_and_a_wrong_clock_is_found_out() {
        assert_eq!(judge(0), Agreement::Agrees);
        assert_eq!(judge(-2_000), Agreement::Agrees);
        assert_eq!(judge(30_000), Agreement::SaysNothing);
        assert_eq!(judge(-2_001), Agreement::Contradicts);
        assert_eq!(judge(3_600_000), Agreement::Contradicts);
        assert_eq!(judge(i64::MIN), Agreement::Contradicts);
    }

    #[test]
    fn d3_time_is_provisional_until_what_was_learnt_is_on_disk() {
        let mut learning = Learning::unknown();
        assert_eq!(time(&learning, s(5)), (BEGAN.plus(s(5)), ClockTrust::Unknown));
        learning.synchronised(500);
        assert_eq!(learning.learnt(), Some(Learnt { shift_ms: 500, from: LearntFrom::OwnClock }));
        assert_eq!(time(&learning, s(6)), (BEGAN.plus(s(6)), ClockTrust::Unknown));
        learning.dated();
        assert_eq!(learning.learnt(), None);
        assert_eq!(time(&learning, s(7)), (UtcMillis(7), ClockTrust::Sure));
    }

    #[test]
    fn d3_the_last_resort_is_a_server_that_answers_within_two_seconds() {
        let mut learning = Learning::unknown();
        tell(&mut learning, s(10), s(11), s(13), BEGAN);
        assert_eq!(learning.learnt(), None, "three seconds");
        tell(&mut learning, s(20), s(21), s(22), BEGAN);
        let shift_ms = ZERO - BEGAN.0;
        assert_eq!(learning.learnt(), Some(Learnt { shift_ms, from: LearntFrom::Server }));
        learning.dated();
        assert_eq!(time(&learning, s(30)), (UtcMillis(ZERO).plus(s(30)), ClockTrust::Sure));
    }

    #[test]
    fn d3_slow_answers_tell_the_time_together() {
        let mut learning = Learning::unknown();
        // It was said at once, and then at the last moment.
        tell(&mut learning, s(10), s(10), s(20), BEGAN);
        assert_eq!(learning.learnt(), None);
        tell(&mut learning, s(30), s(39), s(40), BEGAN);
        let learnt = learning.learnt().unwrap();
        assert!((learnt.shift_ms - (ZERO - BEGAN.0)).abs() <= 1_000, "{learnt:?}");
    }

    #[test]
    fn d3_a_server_agrees_with_a_machine_that_nobody_synchronises() {
        let mut learning = Learning::unknown();
        let machine = UtcMillis(ZERO).plus(s(20)).plus_ms(700);
        tell(&mut learning, s(10), s(19), s(20), machine);
        let from = LearntFrom::OwnClock;
        assert_eq!(learning.learnt(), Some(Learnt { shift_ms: machine.since_ms(BEGAN.plus(s(20))), from }));
    }

    #[test]
    fn once_the_time_is_the_servers_it_is_corrected_by_what_the_server_contradicts_and_no_more() {
        let mut learning = Learning::unknown();
        tell(&mut learning, s(10), s(11), s(12), BEGAN);
        learning.dated();
        // A late position says nothing new.
        tell(&mut learning, s(10), s(11), s(90), BEGAN);
        assert_eq!(time(&learning, s(100)).0, UtcMillis(ZERO).plus(s(100)));
        // Ours has gained three seconds: it is set back to what is possible.
        tell(&mut learning, s(1_000), s(998), s(1_001), BEGAN);
        assert_eq!(time(&learning, s(1_001)).0, UtcMillis(ZERO).plus(s(999)));
        learning.synchronised(0);
        assert_eq!(time(&learning, s(1_002)), (UtcMillis(7), ClockTrust::Sure));
    }

    #[test]
    fn a_machine_that_the_server_contradicts_is_not_sure_of_its_time() {
        let mut learning = Learning::known();
        tell(&mut learning, s(10), s(11), s(12), UtcMillis(ZERO));
        assert_eq!(time(&learning, s(13)).1, ClockTrust::Unsure);
        tell(&mut learning, s(20), s(21), s(22), UtcMillis(ZERO).plus(s(21)));
        assert_eq!(time(&learning, s(23)).1, ClockTrust::Sure);
    }
}
