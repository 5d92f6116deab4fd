//! One series of the tail: its blocks in order of time, its latest observation, and its floor.

use std::collections::VecDeque;
use std::sync::Arc;

use lamplighter_protocol::UtcMillis;

use super::block::{Block, CAPACITY, Fit};
use super::merge::Candidate;
use super::{Inserted, Merge, Point, SeriesMeta};

#[derive(Debug)]
pub(super) struct Series {
    /// Shared with copies of the tail, which are made while ingest waits.
    pub(super) meta: Arc<SeriesMeta>,
    /// Place of its lamppost in the tail.
    pub(super) holder: usize,
    /// Disjoint, ascending.
    blocks: VecDeque<Block>,
    /// Bytes behind all blocks: counted as they change, for there may be thousands.
    block_bytes: usize,
    latest: Option<Point>,
    floor: UtcMillis,
}

impl Series {
    pub(super) fn new(meta: SeriesMeta, holder: usize) -> Self {
        Self {
            meta: Arc::new(meta),
            holder,
            blocks: VecDeque::new(),
            block_bytes: 0,
            latest: None,
            floor: UtcMillis(i64::MIN),
        }
    }

    /// A series that is put together again; its blocks follow.
    pub(super) fn restored(meta: SeriesMeta, holder: usize, latest: Option<Point>, floor: UtcMillis) -> Self {
        Self { latest, floor, ..Self::new(meta, holder) }
    }

    /// Adds the next of its blocks; false if it does not lie behind the one before.
    pub(super) fn push_restored(&mut self, block: Block) -> bool {
        if self.blocks.back().is_some_and(|before| before.last() >= block.first()) {
            return false;
        }
        self.block_bytes += block.bytes();
        self.blocks.push_back(block);
        true
    }

    pub(super) fn latest(&self) -> Option<Point> {
        self.latest
    }

    /// From here on nothing that was inserted is missing.
    pub(super) fn floor(&self) -> UtcMillis {
        self.floor
    }

    /// Times of what is held, ascending.
    pub(super) fn times(&self) -> impl Iterator<Item = UtcMillis> {
        self.blocks.iter().flat_map(Block::times)
    }

    /// Time of the oldest observation that is held.
    pub(super) fn oldest(&self) -> Option<UtcMillis> {
        self.blocks.front().map(Block::first)
    }

    /// Observations that are held. Walks the blocks.
    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(Block::len).sum()
    }

    pub(super) fn blocks(&self) -> impl ExactSizeIterator<Item = &Block> {
        self.blocks.iter()
    }

    pub(super) fn insert(&mut self, point: Point) -> Inserted {
        if point.time < self.floor {
            return self.insert_evicted(point);
        }
        match self.place(point) {
            Fit::Merged(merge) => {
                if merge == Merge::Replaced && self.latest.is_some_and(|latest| latest.time == point.time) {
                    self.latest = Some(point);
                }
                Inserted::Merged(merge)
            }
            Fit::Added | Fit::Refused => {
                let latest = self.latest.is_none_or(|latest| latest.time < point.time);
                if latest {
                    self.latest = Some(point);
                }
                Inserted::Stored { latest }
            }
        }
    }

    /// Points from `from` to before `to`, ascending.
    pub(super) fn points(&self, from: UtcMillis, to: UtcMillis) -> impl Iterator<Item = Point> {
        let begin = self.blocks.partition_point(|block| block.last() < from);
        let end = self.blocks.partition_point(|block| block.first() < to).max(begin);
        self.blocks.range(begin..end).flat_map(move |block| {
            let places = block.place_of(from)..block.place_of(to);
            places.map(|place| block.point(place))
        })
    }

    /// Drops all observations up to `last` and raises the floor to just after the newest of them. Says how many.
    pub(super) fn evict(&mut self, last: UtcMillis) -> usize {
        let mut evicted = 0;
        while let Some(block) = self.blocks.front_mut() {
            if block.first() > last {
                break;
            }
            if block.last() <= last {
                self.floor = block.last().plus_ms(1);
                evicted += block.len();
                self.block_bytes -= block.bytes();
                self.blocks.pop_front();
                continue;
            }
            let place = block.place_of(last.plus_ms(1));
            self.floor = block.time(place - 1).plus_ms(1);
            self.block_bytes -= block.bytes();
            block.drop_before(place);
            self.block_bytes += block.bytes();
            evicted += place;
            break;
        }
        if self.blocks.len() * 4 <= self.blocks.capacity() {
            self.blocks.shrink_to_fit();
        }
        evicted
    }

    /// Bytes behind the series, without its own. Walks nothing.
    pub(super) fn bytes(&self) -> usize {
        let name = &self.meta.key.name;
        let channel = name.channel.as_ref().map_or(0, |channel| channel.as_str().len());
        let names = self.meta.key.lamppost.as_str().len()
            + name.device.as_str().len()
            + name.property.as_str().len()
            + channel
            + self.meta.unit.capacity();
        size_of::<SeriesMeta>() + names + self.observation_bytes()
    }

    /// Of these, those of the observations.
    pub(super) fn observation_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>() + self.block_bytes
    }

    /// The same, found by walking the blocks.
    #[cfg(test)]
    pub(super) fn walked_bytes(&self) -> usize {
        self.bytes() - self.block_bytes + self.blocks.iter().map(Block::bytes).sum::<usize>()
    }

    /// Below the floor only the latest observation is still known: at its own time D13 goes on to choose.
    fn insert_evicted(&mut self, point: Point) -> Inserted {
        let Some(latest) = self.latest.filter(|latest| latest.time == point.time) else {
            return Inserted::OlderThanTail;
        };
        let held = Candidate { value: latest.value, reason: latest.reason };
        if !(Candidate { value: point.value, reason: point.reason }).beats(held) {
            return Inserted::Merged(Merge::Kept);
        }
        self.latest = Some(point);
        Inserted::Merged(Merge::Replaced)
    }

    /// Finds the block that an observation belongs to, or makes one: in the block before it in time, else at the
    /// front of the one behind, else between the two. So observations that come in falling order fill blocks too.
    fn place(&mut self, point: Point) -> Fit {
        // Nearly all observations are newer than all before.
        let newest = self.blocks.back().is_some_and(|block| block.first() <= point.time);
        let behind = if newest {
            self.blocks.len()
        } else {
            self.blocks.partition_point(|block| block.first() <= point.time)
        };
        if let Some(before) = behind.checked_sub(1) {
            if self.splits(before, point) {
                return self.place(point);
            }
            let fit = self.insert_at(before, point);
            if fit != Fit::Refused {
                return fit;
            }
        }
        if behind < self.blocks.len() {
            let fit = self.insert_at(behind, point);
            if fit != Fit::Refused {
                return fit;
            }
        }
        let block = Block::of(point);
        self.block_bytes += block.bytes();
        self.blocks.insert(behind, block);
        Fit::Added
    }

    fn insert_at(&mut self, place: usize, point: Point) -> Fit {
        let block = &mut self.blocks[place];
        let before = block.bytes();
        let fit = block.insert(point);
        self.block_bytes = self.block_bytes - before + block.bytes();
        fit
    }

    /// Splits a full block if an observation has to go into its midst.
    fn splits(&mut self, place: usize, point: Point) -> bool {
        let block = &mut self.blocks[place];
        let inside = || block.last() > point.time && block.time(block.place_of(point.time)) != point.time;
        if block.len() < CAPACITY || !inside() {
            return false;
        }
        let before = block.bytes();
        let later = block.split();
        self.block_bytes = self.block_bytes - before + block.bytes() + later.bytes();
        self.blocks.insert(place + 1, later);
        true
    }
}
