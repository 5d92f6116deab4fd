//! What a lamppost's status means. Pure.

use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::look::{Seen, Worst};
use crate::ingest::Pulse;
use crate::live::{LamppostState, Status};

/// A lamppost is late when its newest data is older than so many of its shortest periods.
const PERIODS: i64 = 3;

/// A shorter period counts as this one: an agent sends what it has synced, which it does every two seconds (D2), so
/// that nothing comes more often than that however often it samples.
const LEAST_PERIOD_MS: i64 = 2_000;

/// While ingest is behind the journal by more than this, nobody becomes late. It is a third of the shortest time after
/// which anybody can be ([`status()`]), so that what is on its way within it makes nobody late either.
pub const MOST_LAG: Duration = Duration::from_secs(2);

/// How a lamppost is. It is Copy and has no number, for there is one for each lamppost of a city.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// How it is.
    pub status: Status,
    /// Since when, if that is known.
    pub since: Option<UtcMillis>,
    /// The newest observations of its series.
    pub worst: Worst,
    /// Phenomenon time of its newest observation.
    pub last_observation: Option<UtcMillis>,
}

/// The status of a lamppost that is connected since then (none: it is not) and has this pulse (none: it has never
/// sent anything), and since when it has it, as far as these two tell: a lamppost that is reporting does so since it
/// connected at the earliest, a late one is late since the instant at which its data became too old, and of one that
/// is offline it is not known.
///
/// A lamppost that has connected has as long to send data as one whose data stopped then, however old what it has sent
/// before is. Data from the future is not old: when the server's clock is set back, nobody is late until it has made up
/// for it.
pub fn status(
    connected_since: Option<UtcMillis>,
    pulse: Option<Pulse>,
    now: UtcMillis,
) -> (Status, Option<UtcMillis>) {
    let pulse = pulse.unwrap_or_default();
    let Some(connected) = connected_since.map(|since| since.min(now)) else {
        let status = if pulse.said_hello { Status::Offline } else { Status::Never };
        return (status, None);
    };
    let Some(period_ms) = pulse.shortest_period_ms.map(i64::from) else {
        return (Status::Reporting, Some(connected));
    };
    let fresh_since = pulse.freshness.map_or(connected, |freshness| freshness.max(connected));
    let fresh_until = fresh_since.plus_ms(PERIODS * period_ms.max(LEAST_PERIOD_MS));
    if now <= fresh_until {
        return (Status::Reporting, Some(connected));
    }
    (Status::Late, Some(fresh_until))
}

impl Default for State {
    fn default() -> Self {
        Self { status: Status::Never, since: None, worst: Worst::default(), last_observation: None }
    }
}

impl State {
    /// The state as the live feed tells it.
    pub fn of(self, number: &LamppostNumber) -> LamppostState {
        let Self { status, since, worst, last_observation } = self;
        let Worst { quality, bad, uncertain } = worst;
        LamppostState { lamppost: number.clone(), status, since, quality, bad, uncertain, last_observation }
    }

    /// Whether the change from `before` is worth telling: that there is newer data is not, which the observations
    /// themselves tell.
    pub(super) fn differs(&self, before: &Self) -> bool {
        (self.status, self.worst) != (before.status, before.worst)
    }
}

impl Seen {
    /// The state of what is seen now, while ingest is behind by `lag`, after another one that was seen at some time
    /// before. While the status stays the same so does its `since`; a new one came between the two looks, and when
    /// exactly is what [`status()`] says if that lies there.
    pub(super) fn state(self, before: Option<(State, UtcMillis)>, now: UtcMillis, lag: Duration) -> State {
        let was_late = before.is_some_and(|(before, _)| before.status == Status::Late);
        let (mut status, mut told) = status(self.connected_since, self.pulse, now);
        if status == Status::Late && !was_late && lag > MOST_LAG {
            (status, told) = (Status::Reporting, self.connected_since);
        }
        let since = match before {
            None => told.map(|since| since.min(now)),
            Some((before, _)) if before.status == status => before.since.map(|since| since.min(now)),
            Some((_, looked)) => Some(told.unwrap_or(now).max(looked).min(now)),
        };
        let last_observation = self.pulse.and_then(|pulse| pulse.last_observation);
        State { status, since, worst: self.worst, last_observation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Late, Never, Offline, Reporting};

    const NOW: UtcMillis = UtcMillis(1_800_000_000_000);

    fn ago(ms: i64) -> UtcMillis {
        NOW.plus_ms(-ms)
    }

    /// The pulse of a lamppost with a grid of ten seconds.
    fn pulse(freshness: Option<UtcMillis>) -> Pulse {
        let shortest_period_ms = Some(10_000);
        Pulse { said_hello: true, last_observation: freshness, freshness, shortest_period_ms }
    }

    #[test]
    fn who_is_not_connected_is_offline_or_was_never_heard() {
        assert_eq!(status(None, None, NOW), (Never, None));
        assert_eq!(status(None, Some(Pulse::default()), NOW), (Never, None), "it sent, and never said hello");
        assert_eq!(status(None, Some(pulse(None)), NOW), (Offline, None));
        assert_eq!(status(None, Some(pulse(Some(NOW))), NOW), (Offline, None));
    }

    #[test]
    fn who_is_connected_is_late_after_three_of_its_shortest_periods() {
        let connected = ago(500_000);
        for (age, expected) in [
            (0, (Reporting, connected)),
            (30_000, (Reporting, connected)),
            (30_001, (Late, ago(1))),
            (300_000, (Late, ago(270_000))),
            (900_000, (Late, ago(470_000))),
        ] {
            let (status, since) = status(Some(connected), Some(pulse(Some(ago(age)))), NOW);
            assert_eq!((status, since), (expected.0, Some(expected.1)), "{age}");
        }
    }

    #[test]
    fn without_a_grid_nobody_is_late() {
        let silent = Some(Pulse { shortest_period_ms: None, ..pulse(Some(ago(i64::MAX))) });
        for pulse in [None, Some(Pulse::default()), silent] {
            assert_eq!(status(Some(ago(500_000)), pulse, NOW), (Reporting, Some(ago(500_000))));
        }
    }

    #[test]
    fn what_comes_every_second_need_not_come_more_often_than_it_is_synced() {
        let every_second = |age| Some(Pulse { shortest_period_ms: Some(1000), ..pulse(Some(ago(age))) });
        assert_eq!(status(Some(ago(60_000)), every_second(6_000), NOW).0, Reporting);
        assert_eq!(status(Some(ago(60_000)), every_second(6_001), NOW), (Late, Some(ago(1))));
    }

    #[test]
    fn who_has_reconnected_has_as_long_to_send_as_who_has_just_sent() {
        for old in [20_000, 600_000] {
            let after = |ms| status(Some(ago(ms)), Some(pulse(Some(ago(ms + old)))), NOW);
            assert_eq!(after(5), (Reporting, Some(ago(5))));
            assert_eq!(after(30_000), (Reporting, Some(ago(30_000))));
            assert_eq!(after(30_001), (Late, Some(ago(1))));
        }
    }

    #[test]
    fn who_has_never_sent_data_is_late_three_periods_after_it_connected() {
        assert_eq!(status(Some(ago(30_000)), Some(pulse(None)), NOW), (Reporting, Some(ago(30_000))));
        assert_eq!(status(Some(ago(40_000)), Some(pulse(None)), NOW), (Late, Some(ago(10_000))));
    }

    #[test]
    fn after_the_clock_was_set_back_nobody_is_late_and_nothing_began_in_the_future() {
        let ahead = NOW.plus_ms(3_600_000);
        assert_eq!(status(Some(ahead), Some(pulse(Some(ahead))), NOW), (Reporting, Some(NOW)));
        assert_eq!(status(Some(ahead), Some(pulse(Some(ago(60_000)))), NOW), (Reporting, Some(NOW)));
    }

    #[test]
    fn times_at_the_ends_of_their_range_are_taken() {
        let ends = [UtcMillis(i64::MIN), UtcMillis(i64::MAX)];
        for (connected, fresh, now) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b, NOW))) {
            let longest = Some(Pulse { shortest_period_ms: Some(u32::MAX), ..pulse(Some(fresh)) });
            let (_, since) = status(Some(connected), longest, now);
            assert!(since.unwrap() <= now);
        }
    }

    fn seen(connected_since: Option<UtcMillis>, fresh: UtcMillis) -> Seen {
        Seen { connected_since, pulse: Some(pulse(Some(fresh))), worst: Worst::default() }
    }

    fn was(status: Status, since: Option<UtcMillis>) -> State {
        State { status, since, ..State::default() }
    }

    /// Status and since of what is seen, a second after the state before.
    fn after(before: State, seen: Seen) -> (Status, Option<UtcMillis>) {
        lagging(before, seen, Duration::ZERO)
    }

    fn lagging(before: State, seen: Seen, lag: Duration) -> (Status, Option<UtcMillis>) {
        let state = seen.state(Some((before, ago(1000))), NOW, lag);
        (state.status, state.since)
    }

    #[test]
    fn while_ingest_lags_nobody_becomes_late_and_who_is_late_stays_so() {
        let connected = Some(ago(700_000));
        let (silent, much) = (seen(connected, ago(90_000)), MOST_LAG + Duration::from_millis(1));
        let reporting = was(Reporting, connected);
        assert_eq!(lagging(reporting, silent, MOST_LAG), (Late, Some(ago(1000))));
        assert_eq!(lagging(reporting, silent, much), (Reporting, connected));
        let late = was(Late, Some(ago(60_000)));
        assert_eq!(lagging(late, silent, much), (Late, Some(ago(60_000))));
        assert_eq!(lagging(late, seen(connected, ago(10)), much), (Reporting, Some(ago(1000))));
        assert_eq!(
            lagging(reporting, seen(None, NOW), much),
            (Offline, Some(NOW)),
            "connections are known at once"
        );
        // It was offline, or is seen for the first time.
        assert_eq!(lagging(was(Offline, None), silent, much), (Reporting, Some(ago(1000))));
        let first = silent.state(None, NOW, much);
        assert_eq!((first.status, first.since), (Reporting, connected));
    }

    #[test]
    fn a_status_that_stays_goes_on_since_when_it_began() {
        let begun = Some(ago(700_000));
        // It reconnected between two looks.
        assert_eq!(after(was(Reporting, begun), seen(Some(ago(10)), NOW)), (Reporting, begun));
        // It empties its backlog, and is not there yet.
        assert_eq!(after(was(Late, begun), seen(Some(ago(900_000)), ago(50_000))), (Late, begun));
        assert_eq!(after(was(Offline, None), seen(None, NOW)), (Offline, None), "it is still not known");
        let ahead = Some(NOW.plus_ms(5));
        assert_eq!(after(was(Offline, ahead), seen(None, NOW)), (Offline, Some(NOW)), "a clock set back");
    }

    #[test]
    fn a_new_status_began_between_the_two_looks() {
        let long_ago = Some(ago(700_000));
        let (fresh, old, just) = (ago(10), ago(90_000), ago(30_400));
        for (before, connected_since, data, expected) in [
            (was(Never, None), Some(ago(300)), fresh, (Reporting, ago(300))),
            (was(Offline, None), Some(ago(300)), old, (Reporting, ago(300))),
            (was(Offline, None), Some(ago(30_300)), old, (Late, ago(300))),
            (was(Late, long_ago), long_ago, fresh, (Reporting, ago(1000))),
            (was(Reporting, long_ago), long_ago, just, (Late, ago(400))),
            (was(Reporting, long_ago), None, fresh, (Offline, NOW)),
            (was(Late, long_ago), None, old, (Offline, NOW)),
        ] {
            let (status, since) = after(before, seen(connected_since, data));
            assert_eq!((status, since), (expected.0, Some(expected.1)), "after {before:?}");
        }
        let set_back =
            seen(None, NOW).state(Some((was(Reporting, None), NOW.plus_ms(9))), NOW, Duration::ZERO);
        assert_eq!(set_back.since, Some(NOW));
    }

    #[test]
    fn of_a_first_look_only_what_is_certain_is_told() {
        let first = |seen: Seen| seen.state(None, NOW, Duration::ZERO);
        assert_eq!(first(seen(None, NOW)).since, None);
        assert_eq!(first(seen(Some(ago(9)), NOW)).since, Some(ago(9)));
        assert_eq!(first(seen(Some(ago(9)), ago(4))).last_observation, Some(ago(4)));
    }
}
