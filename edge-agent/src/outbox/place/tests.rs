use proptest::prelude::*;

use super::*;

const MONTH: Duration = Duration::from_hours(24 * 30);

fn life(opened: i64, ended: i64, known: Known) -> Life {
    Life { opened: UtcMillis(opened), ended: UtcMillis(ended), known }
}

fn lost(opened: i64, ended: i64) -> Life {
    life(opened, ended, Known::Not(None))
}

fn booted(boot: u8, ms: i64, opened: i64, ended: i64) -> Life {
    life(opened, ended, Known::Not(Some(BootTime { boot: [boot; 16], ms })))
}

fn exact(opened: i64, ended: i64) -> Life {
    life(opened, ended, Known::Exactly)
}

fn shifts(found: &[Found]) -> Vec<Option<i64>> {
    found.iter().map(|found| found.map(|(shift, _)| shift)).collect()
}

fn bounds(found: Found) -> (Option<i64>, i64) {
    let Some((_, How::Placed(bounds))) = found else { panic!("{found:?}") };
    (bounds.earliest.map(|time| time.0), bounds.latest.0)
}

#[test]
fn d3_a_run_of_the_present_boot_is_dated_exactly() {
    let lives = [exact(0, 10), booted(1, 500, 7, 90), booted(2, 70, 7, 90), exact(2_000, 2_000)];
    // A roughly known opening is before the next one that is known at least.
    let (exactly, roughly) = ((How::SameBoot, 1_570), (How::SameBootRoughly, 2_000));
    for (trust, (how, latest)) in [(ClockTrust::Sure, exactly), (ClockTrust::Unsure, roughly)] {
        let boot = BootAt { boot: [2; 16], booted: UtcMillis(1_500), trust };
        let found = date(&lives, &Boots::from([(boot.boot, boot)]), MONTH);
        assert_eq!(found[2], Some((1_563, how)), "as exactly as the boot is known");
        // The one before it ends before that.
        assert_eq!(bounds(found[1]), (Some(10), latest));
    }
}

#[test]
fn d3_provisional_times_that_fit_are_kept() {
    let found = date(&[exact(0, 100), lost(200, 300), exact(1_000, 1_000)], &Boots::new(), MONTH);
    assert_eq!(shifts(&found), [None, Some(0), None]);
    assert_eq!(bounds(found[1]), (Some(100), 1_000));
}

#[test]
fn d3_a_run_before_one_that_was_placed_by_a_clock_that_was_set_back_since_lies_within_its_bounds() {
    let placed = life(2_000, 2_100, Known::Placed);
    for provisional in [-5_000, 850, 950, 1_500] {
        let lives = [exact(0, 100), lost(provisional, provisional + 40), placed, exact(1_000, 1_000)];
        let found = date(&lives, &Boots::new(), MONTH);
        assert_eq!(bounds(found[1]), (Some(100), 899));
        check_bounds(&lives, &found).unwrap();
    }
}

#[test]
fn d3_provisional_times_that_do_not_fit_are_moved_until_they_end_where_the_next_run_opened() {
    for provisional in [-5_000, 50, 950, 10_000] {
        let found = date(
            &[exact(0, 100), lost(provisional, provisional + 90), exact(1_000, 1_000)],
            &Boots::new(),
            MONTH,
        );
        assert_eq!(shifts(&found)[1], Some(999 - (provisional + 90)));
    }
}

#[test]
fn d3_a_machine_without_a_battery_leaves_nothing_in_1970_where_no_run_came_before() {
    let now = 1_767_225_600_000;
    let found = date(&[lost(0, 5_000), exact(now, now)], &Boots::new(), MONTH);
    assert_eq!(shifts(&found), [Some(now - 1 - 5_000), None]);
    assert_eq!(bounds(found[0]), (None, now));
}

/// Off by five minutes at most.
fn rough(opened: i64, ended: i64) -> Life {
    life(opened, ended, Known::Roughly)
}

#[test]
fn d3_bounds_are_as_wide_as_the_times_beside_them_are_rough() {
    let bounds_of = |lives: &[Life]| bounds(date(lives, &Boots::new(), MONTH)[1]);
    let (off, hour) = (ROUGHLY_OFF_MS, 3_600_000);
    assert_eq!(
        bounds_of(&[rough(0, hour), lost(0, 5), exact(2 * hour, 3 * hour)]),
        (Some(hour - off), 2 * hour)
    );
    assert_eq!(
        bounds_of(&[exact(0, hour), lost(0, 5), rough(2 * hour, 3 * hour)]),
        (Some(hour), 2 * hour + off)
    );
    // What is known exactly beside those says it better.
    let lives = [
        exact(0, hour),
        rough(hour - 1_000, hour + 9),
        lost(0, 5),
        rough(2 * hour, 2 * hour),
        exact(2 * hour + 7, 3 * hour),
    ];
    assert_eq!(bounds(date(&lives, &Boots::new(), MONTH)[2]), (Some(hour), 2 * hour + 7));
    // A run of the same boot that is dated roughly is such a neighbour.
    let boot = BootAt { boot: [2; 16], booted: UtcMillis(2 * hour), trust: ClockTrust::Unsure };
    let lives = [exact(0, hour), lost(0, 5), booted(2, 70, 7, 90), exact(9 * hour, 9 * hour)];
    let found = date(&lives, &Boots::from([(boot.boot, boot)]), MONTH);
    assert_eq!(bounds(found[1]), (Some(hour), 2 * hour + 70 + off));
}

#[test]
fn d3_what_opened_before_the_run_before_it_by_rough_times_makes_room_for_what_was_between() {
    let lives = [exact(0, 1_000_000), lost(5, 2_005), rough(900_000, 950_000), exact(2_000_000, 2_000_000)];
    let found = date(&lives, &Boots::new(), MONTH);
    assert_eq!(bounds(found[1]), (Some(1_000_000), 1_200_000));
    // Where it ends no later than it must.
    assert_eq!(shifts(&found)[1], Some(1_000_001 - 5));
    check_bounds(&lives, &found).unwrap();
}

#[test]
fn d3_runs_of_one_boot_keep_their_distance() {
    // The second opened 400 ms after the first, whatever its clock says.
    let lives = [booted(1, 100, 5_000, 5_050), booted(1, 500, 9_000, 9_020), exact(1_000, 1_000)];
    let found = shifts(&date(&lives, &Boots::new(), MONTH));
    let (first, second) = (5_000 + found[0].unwrap(), 9_000 + found[1].unwrap());
    assert_eq!(second - first, 400);
    assert_eq!(second + 20, 999);
}

#[test]
fn d3_a_run_that_kept_its_times_leaves_room_for_those_before_it() {
    let found = date(&[exact(0, 0), lost(10, 60), lost(20, 30), exact(100, 100)], &Boots::new(), MONTH);
    assert_eq!(shifts(&found), [None, Some(0), Some(69), None]);
}

proptest! {
    /// Lives of these lengths, by clocks that are off by anything, in an interval that has room for them: they keep
    /// their order, lie within their bounds, and no two of them have a time in common. What a crash left half
    /// done is finished as well.
    #[test]
    fn d3_what_is_placed_keeps_its_order_and_its_bounds(
        lengths in prop::collection::vec((0i64..1_000, -3_000i64..10_000, 0u8..3), 1..8),
        slack in 0i64..5_000, begins in any::<bool>(), written in 0usize..8, last_too in any::<bool>(),
    ) {
        let needed: i64 = lengths.iter().map(|(length, ..)| length + 1).sum();
        // Milliseconds since every boot: each one's clock runs through all of the lives.
        let mut since_boot = 0;
        let mut lives: Vec<Life> = lengths.iter().map(|&(length, opened, boot)| {
            let known = (boot > 0).then_some(BootTime { boot: [boot; 16], ms: since_boot });
            since_boot += length + 1;
            life(opened, opened + length, Known::Not(known))
        }).collect();
        if begins {
            lives.insert(0, exact(-1_000, 0));
        }
        let end = 1 + needed + slack;
        lives.push(exact(end, end));
        let found = date(&lives, &Boots::new(), MONTH);
        check(&lives, &found)?;

        // Some were written before a crash, the last of them perhaps first.
        let mut again = lives.clone();
        let last = lives.len() - 2;
        for (place, (life, found)) in again.iter_mut().zip(&found).enumerate() {
            if let (Some((shift, _)), true) = (found, place < written || (last_too && place == last)) {
                *life = Life {
                    opened: life.opened.plus_ms(*shift), ended: life.ended.plus_ms(*shift), known: Known::Placed,
                };
            }
        }
        let finished = date(&again, &Boots::new(), MONTH);
        for (life, found) in again.iter().zip(&finished) {
            prop_assert_eq!(found.is_some(), matches!(life.known, Known::Not(_)));
        }
        check_order(&again, &finished)?;
    }
}

/// A time from disk: anything, the ends of the range above all.
fn hostile() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MIN + 1), Just(-1), Just(0), Just(i64::MAX), any::<i64>()]
}

proptest! {
    #[test]
    fn times_from_a_damaged_disk_overflow_nothing(
        times in prop::collection::vec((hostile(), hostile(), hostile(), 0u8..7), 0..8),
        (next, booted) in (hostile(), hostile()), age_ms in any::<u64>(),
    ) {
        let mut lives: Vec<Life> = times.into_iter().map(|(opened, ended, ms, known)| {
            let known = match known {
                0 => Known::Exactly,
                1 => Known::Placed,
                2 => Known::Not(None),
                6 => Known::Roughly,
                boot => Known::Not(Some(BootTime { boot: [boot; 16], ms })),
            };
            life(opened, ended, known)
        }).collect();
        lives.push(exact(next, next));
        let boot = BootAt { boot: [3; 16], booted: UtcMillis(booted), trust: ClockTrust::Sure };
        let found = date(&lives, &Boots::from([([3; 16], boot)]), Duration::from_millis(age_ms));
        for (life, found) in lives.iter().zip(&found) {
            prop_assert_eq!(found.is_some(), matches!(life.known, Known::Not(_)));
        }
    }
}

fn check(lives: &[Life], found: &[Found]) -> Result<(), TestCaseError> {
    for (life, found) in lives.iter().zip(found) {
        prop_assert_eq!(found.is_some(), matches!(life.known, Known::Not(_)));
    }
    check_bounds(lives, found)?;
    check_order(lives, found)
}

fn check_bounds(lives: &[Life], found: &[Found]) -> Result<(), TestCaseError> {
    for (life, found) in lives.iter().zip(found) {
        let Some((shift, How::Placed(bounds))) = found else { continue };
        let (opened, ended) = (life.opened.plus_ms(*shift), life.ended.plus_ms(*shift));
        prop_assert!(bounds.earliest.is_none_or(|earliest| opened > earliest), "{opened:?} {bounds:?}");
        prop_assert!(ended < bounds.latest, "{ended:?} {bounds:?}");
    }
    Ok(())
}

fn check_order(lives: &[Life], found: &[Found]) -> Result<(), TestCaseError> {
    let mut last = UtcMillis(i64::MIN);
    for (life, found) in lives.iter().zip(found) {
        let shift = found.map_or(0, |(shift, _)| shift);
        prop_assert!(life.opened.plus_ms(shift) > last, "{life:?} {found:?}");
        last = life.ended.plus_ms(shift);
    }
    Ok(())
}
