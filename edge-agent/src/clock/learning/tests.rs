//! D3: what a lamppost learns of the time from what it hears, and when.

use lamplighter_protocol::{EARLIEST, TOO_LATE};

use super::*;

const BEGAN: UtcMillis = UtcMillis(1_000);
/// The true wall time at monotonic zero.
const ZERO: i64 = 1_798_761_600_000;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Told at monotonic `at` that the server's clock showed the true time of `said`; the machine's shows `machine`.
fn tell(learning: &mut Learning, asked: Duration, said: Duration, at: Duration, machine: UtcMillis) {
    learning.heard(Heard { server: UtcMillis(ZERO).plus(said), asked, at }, machine, BEGAN).unwrap();
}

fn time(learning: &Learning, at: Duration) -> (UtcMillis, ClockTrust) {
    learning.time(BEGAN.plus(at), at, || UtcMillis(7))
}

#[test]
fn a_machine_agrees_if_it_is_right_wherever_the_true_time_is_and_is_contradicted_if_it_is_wrong_wherever() {
    use Agreement::{Agrees, Contradicts, SaysNothing};
    let table = [
        // The bounds; the machine, from behind them to ahead of them.
        ((0, 0), vec![(-2_001, Contradicts), (-2_000, Agrees), (2_000, Agrees), (2_001, Contradicts)]),
        ((-100, 100), vec![(-1_901, SaysNothing), (-1_900, Agrees), (1_900, Agrees), (1_901, SaysNothing)]),
        ((-2_000, 2_000), vec![(-1, SaysNothing), (0, Agrees), (1, SaysNothing)]),
        (
            (-30_000, 0),
            vec![(-32_001, Contradicts), (-28_000, SaysNothing), (0, SaysNothing), (2_001, Contradicts)],
        ),
        ((i64::MIN, i64::MIN), vec![(0, Contradicts), (i64::MAX, Contradicts)]),
        ((i64::MAX, i64::MAX), vec![(0, Contradicts), (i64::MIN, Contradicts)]),
    ];
    for ((least, greatest), machines) in table {
        let bounds = Bounds { least, greatest, since: s(0), at: s(0) };
        for (machine, expected) in machines {
            assert_eq!(bounds.judge(machine), expected, "{machine} of {least}..{greatest}");
        }
    }
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

fn mins(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

#[test]
fn d3_a_server_that_is_always_slow_is_believed_roughly_after_ten_minutes() {
    let mut learning = Learning::unknown();
    // Each answer takes thirty seconds and one six, of which the last one is its way back.
    for minute in 0..10 {
        let took = s(if minute == 4 { 6 } else { 30 });
        let (asked, at) = (mins(minute), mins(minute) + took);
        tell(&mut learning, asked, mins(minute) + took.saturating_sub(s(1)), at, BEGAN);
        learning.waited(at, BEGAN);
        assert_eq!(learning.learnt(), None, "minute {minute}");
    }
    learning.waited(mins(10) + s(29), BEGAN);
    assert_eq!(learning.learnt(), None);
    learning.waited(mins(10) + s(30), BEGAN);
    let learnt = learning.learnt().unwrap();
    assert_eq!(learnt.from, LearntFrom::SlowServer);
    // The narrowest answer allows a second before the true time and five after it.
    let off_ms = learnt.shift_ms - (ZERO - BEGAN.0);
    assert!((1_900..=2_100).contains(&off_ms), "{off_ms}");
    learning.dated();
    let (told, trust) = time(&learning, mins(11));
    assert_eq!((told.since_ms(UtcMillis(ZERO).plus(mins(11))), trust), (off_ms, ClockTrust::Unsure));
}

#[test]
fn d3_what_is_known_roughly_is_sure_once_the_server_answers_well_or_the_machine_agrees() {
    let mut rough = Learning::unknown();
    tell(&mut rough, s(0), s(10), s(60), BEGAN);
    rough.waited(mins(11), BEGAN);
    rough.dated();
    let of = |learning: &Learning| {
        let (told, trust) = time(learning, mins(20));
        (told.since_ms(UtcMillis(ZERO).plus(mins(20))), trust)
    };
    assert_eq!(of(&rough), (-20_000, ClockTrust::Unsure));
    // Another slow answer corrects no more than it contradicts.
    tell(&mut rough, mins(12), mins(12) + s(50), mins(13), BEGAN);
    assert_eq!(of(&rough), (-10_000, ClockTrust::Unsure));
    tell(&mut rough, mins(14), mins(14) + s(1), mins(14) + s(2), BEGAN);
    assert_eq!(of(&rough), (0, ClockTrust::Sure));

    let mut set = Learning::unknown();
    tell(&mut set, s(0), s(10), s(60), BEGAN);
    set.waited(mins(11), BEGAN);
    set.dated();
    // Together they allow a minute and then three seconds.
    tell(&mut set, mins(11), mins(11) + s(59), mins(12), UtcMillis(ZERO).plus(mins(12)));
    assert_eq!(time(&set, mins(13)), (UtcMillis(ZERO).plus(mins(13)).plus_ms(-1_000), ClockTrust::Unsure));
    tell(&mut set, mins(12), mins(12) + s(2), mins(13), UtcMillis(ZERO).plus(mins(13)));
    assert_eq!(time(&set, mins(13)), (UtcMillis(7), ClockTrust::Sure), "the machine's");
}

#[test]
fn d3_answers_that_contradict_each_other_begin_the_wait_anew_with_the_last_one() {
    let mut learning = Learning::unknown();
    tell(&mut learning, s(0), s(1), s(5), BEGAN);
    // The server's clock was an hour behind, and was set.
    tell(&mut learning, mins(9), mins(69), mins(9) + s(10), BEGAN);
    learning.waited(mins(18), BEGAN);
    assert_eq!(learning.learnt(), None);
    learning.waited(mins(20), BEGAN);
    let off_ms = learning.learnt().unwrap().shift_ms - (ZERO - BEGAN.0) - 3_600_000;
    assert_eq!(off_ms, -5_000);
}

#[test]
fn d3_an_answer_that_took_so_long_that_its_time_may_lie_in_the_servers_future_is_never_taken() {
    let mut learning = Learning::unknown();
    tell(&mut learning, s(0), s(1), s(601), BEGAN);
    learning.waited(mins(1_000), BEGAN);
    assert_eq!(learning.learnt(), None);
    tell(&mut learning, mins(1_000), mins(1_001), mins(1_001), BEGAN);
    learning.waited(mins(1_001), BEGAN);
    assert_eq!(learning.learnt().unwrap().from, LearntFrom::SlowServer);
}

#[test]
fn d3_old_answers_are_worth_less_by_as_much_as_monotonic_time_may_have_drifted() {
    let mut learning = Learning::unknown();
    tell(&mut learning, s(0), s(2), s(4), BEGAN);
    // Ours has lost three seconds in ten hours, which is less than a crystal may: no contradiction.
    let late = Duration::from_hours(10);
    tell(&mut learning, late, late + s(7), late + s(4), BEGAN);
    learning.waited(late + s(5), BEGAN);
    assert!(learning.learnt().is_some(), "the wait goes on from the first answer");
}

#[test]
fn d3_a_server_agrees_with_a_machine_that_nobody_synchronises() {
    let mut learning = Learning::unknown();
    let machine = UtcMillis(ZERO).plus(s(20)).plus_ms(700);
    tell(&mut learning, s(19), s(19), s(20), machine);
    let from = LearntFrom::OwnClock;
    assert_eq!(learning.learnt(), Some(Learnt { shift_ms: machine.since_ms(BEGAN.plus(s(20))), from }));
}

#[test]
fn d3_an_answer_that_is_as_late_as_a_machines_clock_is_slow_does_not_make_it_right() {
    let mut learning = Learning::unknown();
    let slow = |at| UtcMillis(ZERO).plus(at).plus_ms(-28_000);
    // A hello a minute, answered at once; the answers spend 40 to 5 seconds on their way.
    for minute in 0..36 {
        let (asked, at) = (mins(minute), mins(minute) + s(40 - minute));
        tell(&mut learning, asked, asked, at, slow(at));
        learning.waited(at, BEGAN);
        assert_ne!(
            learning.learnt().map(|learnt| learnt.from),
            Some(LearntFrom::OwnClock),
            "minute {minute}"
        );
        learning.dated();
        let (told, trust) = learning.time(BEGAN.plus(at), at, || slow(at));
        assert_ne!(trust, ClockTrust::Sure, "minute {minute}: {}", told.since_ms(UtcMillis(ZERO).plus(at)));
    }
    let (told, trust) = time(&learning, mins(60));
    let off_ms = told.since_ms(UtcMillis(ZERO).plus(mins(60)));
    assert_eq!(trust, ClockTrust::Unsure);
    assert!((-20_000..=0).contains(&off_ms), "the server's, roughly: {off_ms}");
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

#[test]
fn d3_a_machine_that_runs_fast_is_found_out_and_the_servers_time_is_told_again() {
    let mut learning = Learning::unknown();
    // Fifty millionths: four seconds a day, of monotonic time too. An answer an hour, within a tenth of a second.
    let fast = |true_time: Duration| true_time + true_time / 20_000;
    let mut most_ms = 0;
    for hour in 0..24 * 21 {
        let now = Duration::from_hours(hour) + s(10);
        let (asked, at) = (fast(now), fast(now + Duration::from_millis(100)));
        tell(&mut learning, asked, now, at, UtcMillis(ZERO).plus(at));
        learning.dated();
        let (told, trust) = learning.time(BEGAN.plus(at), at, || UtcMillis(ZERO).plus(at));
        let off_ms = told.since_ms(UtcMillis(ZERO).plus(now)).abs();
        assert_eq!((trust, off_ms <= 2_500), (ClockTrust::Sure, true), "{off_ms} ms off after {hour} hours");
        most_ms = most_ms.max(off_ms);
    }
    assert!(most_ms > 1_500, "it was believed for as long as it was right: {most_ms}");
}

#[test]
fn d3_a_machine_that_slow_answers_contradict_is_set_by_no_more_than_that_and_stays_uncertain() {
    let mut learning = Learning::unknown();
    let machine = |at: Duration| UtcMillis(ZERO).plus(at);
    tell(&mut learning, s(0), s(0), s(1), machine(s(1)));
    learning.dated();
    // Somebody set it 20 seconds ahead; each answer now takes ten.
    let ahead = |at: Duration| machine(at).plus_ms(20_000);
    for asked in [mins(600), mins(601)] {
        tell(&mut learning, asked, asked + s(5), asked + s(10), ahead(asked + s(10)));
    }
    let (told, trust) = learning.time(BEGAN, mins(602), || ahead(mins(602)));
    let off_ms = told.since_ms(machine(mins(602)));
    assert_eq!(trust, ClockTrust::Unsure);
    assert!((2_000..=5_000).contains(&off_ms), "{off_ms}");
}

#[test]
fn d3_a_servers_clock_that_is_set_wrongly_for_a_while_makes_a_machine_unsure_and_moves_nothing() {
    let mut learning = Learning::unknown();
    let machine = |at: Duration| UtcMillis(ZERO).plus(at);
    let told = |learning: &Learning, at| learning.time(BEGAN, at, || machine(at));
    tell(&mut learning, s(0), s(0), s(1), machine(s(1)));
    learning.dated();
    for minute in 60..70 {
        let (asked, at) = (mins(minute), mins(minute) + s(1));
        tell(&mut learning, asked, asked + mins(1_440), at, machine(at));
        assert_eq!(told(&learning, at), (machine(at), ClockTrust::Unsure), "minute {minute}");
    }
    tell(&mut learning, mins(70), mins(70), mins(70) + s(1), machine(mins(70) + s(1)));
    assert_eq!(told(&learning, mins(71)), (machine(mins(71)), ClockTrust::Sure));
}

#[test]
fn a_machine_that_somebody_keeps_is_told_however_long_the_server_contradicts_it() {
    let mut learning = Learning::unknown();
    tell(&mut learning, s(0), s(0), s(1), UtcMillis(ZERO).plus(s(1)));
    learning.dated();
    assert!(!learning.is_confirmed(), "the server only agrees");
    learning.synchronised(0);
    assert!(learning.is_confirmed());
    for minute in 0..60 {
        tell(&mut learning, mins(minute), mins(minute), mins(minute) + s(1), UtcMillis(0));
        assert_eq!(time(&learning, mins(minute)), (UtcMillis(7), ClockTrust::Unsure), "minute {minute}");
    }
    assert!(!learning.is_confirmed());
    learning.synchronised(0);
    assert_eq!(time(&learning, mins(60)), (UtcMillis(7), ClockTrust::Sure));
}

#[test]
fn d3_a_time_before_the_release_or_after_the_century_teaches_nothing_and_contradicts_nobody() {
    for (server, refusal) in [
        (EARLIEST.plus_ms(-1), ImplausibleTime::TooEarly(EARLIEST.plus_ms(-1))),
        (UtcMillis(0), ImplausibleTime::TooEarly(UtcMillis(0))),
        (TOO_LATE, ImplausibleTime::TooLate(TOO_LATE)),
    ] {
        let heard = Heard { server, asked: s(1), at: s(2) };
        let mut learning = Learning::unknown();
        // Not even where the machine agrees.
        assert_eq!(learning.heard(heard, server, BEGAN), Err(refusal));
        learning.waited(mins(60), BEGAN);
        assert_eq!(learning.learnt(), None);
        let mut known = Learning::known();
        assert_eq!(known.heard(heard, UtcMillis(ZERO), BEGAN), Err(refusal));
        assert_eq!(time(&known, s(3)).1, ClockTrust::Sure);
    }
}
