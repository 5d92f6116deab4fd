//! When runs were that did not know the time: exactly, by a run of the same boot, or between their neighbours (D3). Pure.
//!
//! Runs that follow each other, none of which knows its time, lie between the end of the last run before them and the
//! opening of the next one after them whose times are known. Each keeps the times of its own clock if these leave room
//! for the others; else it is put as late as it can be. Runs of one boot keep their distances. A run that was placed
//! before stays where it is.
//!
//! Where the times of such a neighbour are known [roughly](ROUGHLY_OFF_MS), the bounds are wider by that, and it makes room if by
//! its times there is too little.
//!
//! All times come from disk, where they may be anything: sums are held at the ends of the range.

use std::collections::BTreeMap;
use std::time::Duration;

use lamplighter_protocol::{UtcMillis, whole_ms};

use super::dating::{BootTime, Bounds, How};
use crate::clock::ClockTrust;

/// Times that are known roughly are off by so much at most: what a slow server said is taken if its bounds are twice as far
/// apart.
const ROUGHLY_OFF_MS: i64 = 300_000;

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
    /// They are nearly right.
    Roughly,
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

impl Known {
    /// What is known of times that are trusted so far.
    pub(super) fn trusted(trust: ClockTrust) -> Self {
        match trust {
            ClockTrust::Sure => Self::Exactly,
            ClockTrust::Unsure | ClockTrust::Unknown => Self::Roughly,
        }
    }

    /// By how much they may be off, if others can be placed between them.
    fn off_ms(self) -> Option<i64> {
        match self {
            Self::Exactly => Some(0),
            Self::Roughly => Some(ROUGHLY_OFF_MS),
            Self::Placed | Self::Not(_) => None,
        }
    }
}

impl BootAt {
    /// The boot one of whose moments was at this time.
    pub(super) fn of(moment: BootTime, time: UtcMillis, trust: ClockTrust) -> Self {
        Self { boot: moment.boot, booted: time.plus_ms(moment.ms.saturating_neg()), trust }
    }
}

/// What is found out of one run: what is to be added to its times, and how that is known.
pub(super) type Found = Option<(i64, How)>;

/// When the boots were of which that is known.
pub(super) type Boots = BTreeMap<[u8; 16], BootAt>;

/// Dates the lives of which nothing is known, oldest first; the last one has to be known, roughly at least. Nothing is left where it
/// is that would be older than `max_age`.
pub(super) fn date(lives: &[Life], boots: &Boots, max_age: Duration) -> Vec<Found> {
    let mut found: Vec<Found> = lives.iter().map(|life| same_boot(life, boots)).collect();
    let mut lives = lives.to_vec();
    for (life, found) in lives.iter_mut().zip(&found) {
        if let Some((shift_ms, how)) = found {
            let (opened, ended) = (life.opened.plus_ms(*shift_ms), life.ended.plus_ms(*shift_ms));
            *life = Life { opened, ended, known: Known::trusted(how.trust()) };
        }
    }
    let latest = latest_openings(&lives);
    // When the last one of which that is known ended at the earliest.
    let mut before = None;
    let mut from = 0;
    while from < lives.len() {
        let group = lives.iter().skip(from).take_while(|life| life.known.off_ms().is_none()).count();
        let Some((next, latest)) = lives.get(from + group).zip(latest.get(from + group)) else { break };
        if group > 0 {
            let between = Between { before, next: next.opened, latest: *latest, max_age };
            let placed = between.place(&lives[from..from + group]);
            for (found, placed) in found.iter_mut().skip(from).zip(placed) {
                *found = found.or(placed);
            }
        }
        before = Some(within(next.ended, next.known, before.unwrap_or(EARLIEST)));
        from += group + 1;
    }
    found
}

/// Before all times.
const EARLIEST: UtcMillis = UtcMillis(i64::MIN);

/// Behind all times.
const LATEST: UtcMillis = UtcMillis(i64::MAX);

/// The nearest to `bound` of the times that this one may be in truth.
fn within(time: UtcMillis, known: Known, bound: UtcMillis) -> UtcMillis {
    let off_ms = known.off_ms().unwrap_or(0);
    bound.max(time.plus_ms(-off_ms)).min(time.plus_ms(off_ms))
}

/// Of each life: when it opened at the latest. One that is known roughly opened before the next one that is known.
fn latest_openings(lives: &[Life]) -> Vec<UtcMillis> {
    let mut next = LATEST;
    let latest = lives.iter().rev().map(|life| {
        if life.known.off_ms().is_some() {
            next = within(life.opened, life.known, next);
        }
        next
    });
    let mut latest: Vec<UtcMillis> = latest.collect();
    latest.reverse();
    latest
}

fn same_boot(life: &Life, boots: &Boots) -> Found {
    let Known::Not(Some(at)) = life.known else { return None };
    let boot = boots.get(&at.boot)?;
    let how = match boot.trust {
        ClockTrust::Sure => How::SameBoot,
        ClockTrust::Unsure | ClockTrust::Unknown => How::SameBootRoughly,
    };
    Some((boot.booted.plus_ms(at.ms).since_ms(life.opened), how))
}

/// Where runs lie whose times are not known.
struct Between {
    /// The end of the last run before whose times are known, at the earliest.
    before: Option<UtcMillis>,
    /// The opening of the next one, by its times,
    next: UtcMillis,
    /// and at the latest.
    latest: UtcMillis,
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
        let earliest = self.earliest(&blocks);
        // As late as it can be kept: what is older would be dropped for its age at once.
        let not_older = self.next.plus_ms(whole_ms(self.max_age).saturating_neg());

        // Whatever is placed ends before this.
        let mut limit = self.limit(&blocks);
        // What lies between this block and the next run takes so long at least.
        let mut after = 0_i64;
        let mut shifts: Vec<Found> = Vec::new();
        for (block, (earliest, behind_placed)) in blocks.iter().zip(earliest).rev() {
            let latest = self.latest.plus_ms(after.saturating_neg());
            after = after.saturating_add(block.length());
            if block.is_placed {
                limit = limit.min(block.first);
                shifts.extend(std::iter::repeat_n(None, block.count));
                continue;
            }
            // Where what was placed stays may contradict what is known of the next run: the bounds hold all the same.
            limit = limit.min(latest);
            let fits = earliest.max(behind_placed).is_none_or(|earliest| block.first > earliest)
                && block.last < limit
                && block.first >= not_older;
            let shift_ms = if fits { 0 } else { limit.plus_ms(-1).since_ms(block.last) };
            limit = block.first.plus_ms(shift_ms);
            let earliest = earliest.map(|earliest| earliest.min(latest));
            let how = How::Placed(Bounds { earliest, latest });
            shifts.extend(std::iter::repeat_n(Some((shift_ms, how)), block.count));
        }
        shifts.reverse();
        let moved = shifts.into_iter().zip(offsets);
        moved
            .map(|(found, offset)| found.map(|(shift_ms, how)| (shift_ms.saturating_add(offset), how)))
            .collect()
    }

    /// What these end before: the next run, which opened later than its times say if they leave too little room, though not
    /// later than it can have.
    fn limit(&self, blocks: &[Block]) -> UtcMillis {
        let needed = blocks.iter().map(Block::length).fold(1, i64::saturating_add);
        let with_room = self.before.map_or(self.next, |before| before.plus_ms(needed));
        self.next.max(with_room).min(self.latest)
    }

    /// Of each block: what it comes after, if all before it are as early as they can be; and the same behind the last one
    /// before it that was placed earlier, which stays and leaves less room.
    fn earliest(&self, blocks: &[Block]) -> Vec<(Option<UtcMillis>, Option<UtcMillis>)> {
        let (mut end, mut behind_placed) = (self.before, None);
        let each = blocks.iter().map(|block| {
            let earliest = (end, behind_placed);
            let behind = |time: UtcMillis| time.plus_ms(block.length());
            end = end.map(behind);
            behind_placed = if block.is_placed { Some(block.last) } else { behind_placed.map(behind) };
            earliest
        });
        each.collect()
    }
}

impl Block {
    fn length(&self) -> i64 {
        self.last.since_ms(self.first).saturating_add(1)
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
            Known::Placed | Known::Exactly | Known::Roughly => None,
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
        last_boot = boot.map(|at| BootAt::of(at, life.opened, ClockTrust::Unknown));
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
        let lives =
            [exact(0, 1_000_000), lost(5, 2_005), rough(900_000, 950_000), exact(2_000_000, 2_000_000)];
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
}
