//! When runs were that did not know the time: exactly, by a run of the same boot, or between their neighbours (D3). Pure.
//!
//! Runs that follow each other, none of which knows its time, lie between the end of the last run before them and the
//! opening of the next one after them whose times are known. Each keeps the times of its own clock if these leave room
//! for the others; else it is put as late as it can be. Runs of one boot keep their distances. A run that was placed
//! before stays where it is.

use std::time::Duration;

use lamplighter_protocol::{UtcMillis, whole_ms};

use super::dating::{BootTime, Bounds, How};
use crate::clock::ClockTrust;

/// A run: from its opening to its last record, by whatever times it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) opened: UtcMillis,
    pub(super) ended: UtcMillis,
    pub(super) known: Known,
}

/// What is known of the times of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// They are right.
    Exactly,
    /// They were chosen between its neighbours, for good.
    Placed,
    /// Nothing but their distances, and perhaps which moment of which boot the opening was.
    Not(Option<BootTime>),
}

/// A boot, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootAt {
    pub(super) boot: [u8; 16],
    pub(super) booted: UtcMillis,
    /// Whether that is known exactly.
    pub(super) trust: ClockTrust,
}

/// What is found out of one run: what is to be added to its times, and how that is known.
pub(super) type Found = Option<(i64, How)>;

/// Dates the lives of which nothing is known, oldest first; the last one has to be known exactly. `now` is the present
/// boot. Nothing is left where it is that would be older than `max_age`.
pub(super) fn date(lives: &[Life], now: Option<BootAt>, max_age: Duration) -> Vec<Found> {
    let mut found: Vec<Found> = lives.iter().map(|life| same_boot(life, now)).collect();
    let mut lives = lives.to_vec();
    for (life, found) in lives.iter_mut().zip(&found) {
        if let Some((shift_ms, _)) = found {
            let (opened, ended) = (life.opened.plus_ms(*shift_ms), life.ended.plus_ms(*shift_ms));
            *life = Life { opened, ended, known: Known::Exactly };
        }
    }
    let mut from = 0;
    while from < lives.len() {
        let is_exact = |life: &&Life| life.known == Known::Exactly;
        let group = lives.iter().skip(from).take_while(|life| !is_exact(life)).count();
        if let Some(next) = lives.get(from + group).filter(|_| group > 0) {
            let before = from.checked_sub(1).and_then(|before| lives.get(before)).map(|life| life.ended);
            let between = Between { before, next: next.opened, max_age };
            let placed = between.place(&lives[from..from + group]);
            for (found, placed) in found.iter_mut().skip(from).zip(placed) {
                *found = found.or(placed);
            }
        }
        from += group + 1;
    }
    found
}

fn same_boot(life: &Life, now: Option<BootAt>) -> Found {
    let (Known::Not(Some(at)), Some(now)) = (life.known, now) else { return None };
    let opened = now.booted.plus_ms(at.ms);
    let how = match now.trust {
        ClockTrust::Sure => How::SameBoot,
        ClockTrust::Unsure | ClockTrust::Unknown => How::SameBootRoughly,
    };
    (at.boot == now.boot).then(|| (opened.since_ms(life.opened), how))
}

/// Where runs lie whose times are not known.
struct Between {
    /// The end of the last run before whose times are known.
    before: Option<UtcMillis>,
    /// The opening of the next one.
    next: UtcMillis,
    max_age: Duration,
}

/// Runs of one boot that follow each other: they move together.
struct Block {
    /// How many lives.
    count: usize,
    first: UtcMillis,
    last: UtcMillis,
    is_placed: bool,
}

impl Between {
    fn place(&self, lives: &[Life]) -> Vec<Found> {
        let (blocks, offsets) = blocks(lives);
        let lengths: Vec<i64> = blocks.iter().map(|block| block.last.since_ms(block.first) + 1).collect();
        let before = |place: usize| lengths.iter().take(place).sum::<i64>();
        let after = |place: usize| lengths.iter().skip(place + 1).sum::<i64>();
        // As late as it can be kept: what is older would be dropped for its age at once.
        let not_older = self.next.plus_ms(whole_ms(self.max_age).saturating_neg());

        // Whatever is placed ends before this.
        let mut limit = self.next;
        let mut shifts: Vec<Found> = Vec::new();
        for (place, block) in blocks.iter().enumerate().rev() {
            if block.is_placed {
                limit = limit.min(block.first);
                shifts.extend(std::iter::repeat_n(None, block.count));
                continue;
            }
            let earliest = self.before.map(|end| end.plus_ms(before(place)));
            // One that was placed earlier stays, and leaves less room.
            let placed = blocks.iter().take(place).rposition(|block| block.is_placed);
            let behind_placed = placed.map(|at| {
                let between: i64 = lengths.iter().take(place).skip(at + 1).sum();
                blocks[at].last.plus_ms(between)
            });
            let fits = earliest.max(behind_placed).is_none_or(|earliest| block.first > earliest)
                && block.last < limit
                && block.first >= not_older;
            let shift_ms = if fits { 0 } else { limit.plus_ms(-1).since_ms(block.last) };
            limit = block.first.plus_ms(shift_ms);
            let latest = self.next.plus_ms(-after(place));
            let earliest = earliest.map(|earliest| earliest.min(latest));
            let how = How::Placed(Bounds { earliest, latest });
            shifts.extend(std::iter::repeat_n(Some((shift_ms, how)), block.count));
        }
        shifts.reverse();
        let moved = shifts.into_iter().zip(offsets);
        moved.map(|(found, offset)| found.map(|(shift_ms, how)| (shift_ms + offset, how))).collect()
    }
}

/// Joins lives of one boot. Says besides, of each life, what makes its times those of the first of its block.
fn blocks(lives: &[Life]) -> (Vec<Block>, Vec<i64>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut offsets = Vec::new();
    // The boot of the last block, and when it was by the provisional clock of its first life.
    let mut last_boot: Option<BootAt> = None;
    for life in lives {
        let boot = match life.known {
            Known::Not(boot) => boot,
            Known::Placed | Known::Exactly => None,
        };
        let joined = last_boot.zip(boot).filter(|(last, boot)| last.boot == boot.boot);
        if let (Some((last, boot)), Some(block)) = (joined, blocks.last_mut()) {
            let offset = last.booted.plus_ms(boot.ms).since_ms(life.opened);
            block.count += 1;
            block.last = block.last.max(life.ended.plus_ms(offset));
            offsets.push(offset);
            continue;
        }
        let is_placed = life.known == Known::Placed;
        blocks.push(Block { count: 1, first: life.opened, last: life.ended.max(life.opened), is_placed });
        offsets.push(0);
        let trust = ClockTrust::Unknown;
        last_boot = boot.map(|at| BootAt { boot: at.boot, booted: life.opened.plus_ms(-at.ms), trust });
    }
    (blocks, offsets)
}

#[cfg(test)]
mod tests {
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
        for (trust, how) in [(ClockTrust::Sure, How::SameBoot), (ClockTrust::Unsure, How::SameBootRoughly)] {
            let now = BootAt { boot: [2; 16], booted: UtcMillis(1_500), trust };
            let found = date(&lives, Some(now), MONTH);
            assert_eq!(found[2], Some((1_563, how)), "as exactly as the boot is known");
            // The one before it ends before that.
            assert_eq!(bounds(found[1]), (Some(10), 1_570));
        }
    }

    #[test]
    fn d3_provisional_times_that_fit_are_kept() {
        let found = date(&[exact(0, 100), lost(200, 300), exact(1_000, 1_000)], None, MONTH);
        assert_eq!(shifts(&found), [None, Some(0), None]);
        assert_eq!(bounds(found[1]), (Some(100), 1_000));
    }

    #[test]
    fn d3_provisional_times_that_do_not_fit_are_moved_until_they_end_where_the_next_run_opened() {
        for provisional in [-5_000, 50, 950, 10_000] {
            let found =
                date(&[exact(0, 100), lost(provisional, provisional + 90), exact(1_000, 1_000)], None, MONTH);
            assert_eq!(shifts(&found)[1], Some(999 - (provisional + 90)));
        }
    }

    #[test]
    fn d3_a_machine_without_a_battery_leaves_nothing_in_1970_where_no_run_came_before() {
        let now = 1_767_225_600_000;
        let found = date(&[lost(0, 5_000), exact(now, now)], None, MONTH);
        assert_eq!(shifts(&found), [Some(now - 1 - 5_000), None]);
        assert_eq!(bounds(found[0]), (None, now));
    }

    #[test]
    fn d3_runs_of_one_boot_keep_their_distance() {
        // The second opened 400 ms after the first, whatever its clock says.
        let lives = [booted(1, 100, 5_000, 5_050), booted(1, 500, 9_000, 9_020), exact(1_000, 1_000)];
        let found = shifts(&date(&lives, None, MONTH));
        let (first, second) = (5_000 + found[0].unwrap(), 9_000 + found[1].unwrap());
        assert_eq!(second - first, 400);
        assert_eq!(second + 20, 999);
    }

    #[test]
    fn d3_a_run_that_kept_its_times_leaves_room_for_those_before_it() {
        let found = date(&[exact(0, 0), lost(10, 60), lost(20, 30), exact(100, 100)], None, MONTH);
        assert_eq!(shifts(&found), [None, Some(0), Some(69), None]);
    }

    proptest! {
        /// Lives of these lengths, by clocks that are off by anything, in an interval that has room for them: they keep
        /// their order, lie within their bounds, and no two of them have a time in common. What a crash left half
        /// done is finished as well.
        #[test]
        fn d3_what_is_placed_keeps_its_order_and_its_bounds(
            lengths in prop::collection::vec((0i64..1_000, -3_000i64..10_000, 0u8..3), 1..8),
            slack in 0i64..5_000, begins in any::<bool>(), written in 0usize..8,
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
            let found = date(&lives, None, MONTH);
            check(&lives, &found)?;

            // Some were written before a crash.
            let mut again = lives.clone();
            for (place, (life, found)) in again.iter_mut().zip(&found).enumerate() {
                if let (Some((shift, _)), true) = (found, place < written) {
                    *life = Life {
                        opened: life.opened.plus_ms(*shift), ended: life.ended.plus_ms(*shift), known: Known::Placed,
                    };
                }
            }
            let finished = date(&again, None, MONTH);
            for (life, found) in again.iter().zip(&finished) {
                prop_assert_eq!(found.is_some(), matches!(life.known, Known::Not(_)));
            }
            check_order(&again, &finished)?;
        }
    }

    fn check(lives: &[Life], found: &[Found]) -> Result<(), TestCaseError> {
        for (life, found) in lives.iter().zip(found) {
            prop_assert_eq!(found.is_some(), matches!(life.known, Known::Not(_)));
            let Some((shift, How::Placed(bounds))) = found else { continue };
            let (opened, ended) = (life.opened.plus_ms(*shift), life.ended.plus_ms(*shift));
            prop_assert!(bounds.earliest.is_none_or(|earliest| opened > earliest), "{opened:?} {bounds:?}");
            prop_assert!(ended < bounds.latest, "{ended:?} {bounds:?}");
        }
        check_order(lives, found)
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
}
