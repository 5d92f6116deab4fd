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
mod tests;
