//! Making room: a plan who gives way, and a sweep that has them do so.
//!
//! What a full tail has to let go lies in as many places as there are series, and ingest would wait while all of them are
//! visited. So of a large fleet a few lampposts are visited with each observation that comes in, and the plan is made so
//! early that the bound is kept meanwhile. The sweep is part of the tail's state, and of its copies: what leaves when is
//! a function of what came in, and of nothing else.

use lamplighter_protocol::UtcMillis;

use super::super::evict::{self, Cut};
use super::{Holder, Tail, at, at_mut, earlier, holder, holder_mut};

/// Of so many lampposts all are visited at once: some tenths of a millisecond.
const FEW: usize = 64;

/// A plan, and how far it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Of everybody goes what is not after this.
    pub(super) cut: Option<UtcMillis>,
    /// Who then holds more than this gives way down to it.
    pub(super) level: usize,
    /// Observations that came in since it began.
    pub(super) inserted: usize,
    /// The place of the next lamppost that is visited.
    pub(super) next: usize,
}

impl Tail {
    /// Goes on with what is begun, and begins when it is time.
    pub(super) fn make_room(&mut self) {
        let within = self.sweeps_within();
        if self.sweep.is_none() && self.observations > self.bound() - within {
            self.plan();
        }
        if let Some(sweep) = &mut self.sweep {
            sweep.inserted += 1;
            let (holders, inserted) = (self.holders.len(), sweep.inserted);
            self.sweep_upto(if within == 0 {
                holders
            } else {
                holders.saturating_mul(inserted).div_ceil(within)
            });
        }
        self.keep_bound();
    }

    /// Lets go at once what is above the bound: a plan is an estimate, and may fall short.
    pub(super) fn keep_bound(&mut self) {
        while self.observations > self.bound() {
            // What is left of a sweep may find nothing; a new one does.
            let is_new = self.sweep.is_none();
            if is_new {
                self.plan();
            }
            let before = self.observations;
            self.sweep_upto(self.holders.len());
            if is_new && self.observations == before {
                debug_assert!(false, "observations that are counted can be found");
                break;
            }
        }
    }

    fn bound(&self) -> usize {
        self.options.max_observations.max(1)
    }

    /// How many observations come in while all lampposts are visited.
    fn sweeps_within(&self) -> usize {
        if self.holders.len() <= FEW { 0 } else { self.bound() / 64 }
    }

    fn plan(&mut self) {
        let bound = self.bound();
        // A sixteenth: each plan looks at many blocks, which many inserts then share.
        let keep = bound - self.sweeps_within() - bound / 16;
        let excess = self.observations.saturating_sub(keep).max(1);
        let held = self.holders.iter().map(|holder| holder.observations);
        let (cut, level) = match evict::cut_among(held, bound, excess) {
            Cut::Above(level) => (None, level),
            Cut::Oldest(share) => (self.cut_of_all(excess), share),
        };
        self.sweep = Some(Sweep { cut, level, inserted: 0, next: 0 });
    }

    /// A time such that about `excess` of all observations are not after it.
    fn cut_of_all(&self, excess: usize) -> Option<UtcMillis> {
        let holding: Vec<&Holder> = self.holders.iter().filter(|holder| holder.observations > 0).collect();
        let looked_at = || evict::looked_at(holding.len()).filter_map(|place| holding.get(place));
        let series = looked_at().flat_map(|holder| &holder.series).map(|id| at(&self.series, *id));
        let observations: usize = looked_at().map(|holder| holder.observations).sum();
        let excess = (excess as u128 * observations as u128).div_ceil(self.observations.max(1) as u128);
        evict::cut_for(series, observations, usize::try_from(excess).unwrap_or(usize::MAX))
    }

    /// Visits lampposts up to this place.
    fn sweep_upto(&mut self, upto: usize) {
        let Some(mut sweep) = self.sweep else { return };
        while sweep.next < upto.min(self.holders.len()) {
            let evicted = self.visit(sweep.next, &sweep);
            self.observations -= evicted;
            self.tally.evicted += evicted as u64;
            sweep.next += 1;
        }
        let is_done = sweep.next >= self.holders.len();
        self.sweep = (!is_done).then_some(sweep);
        if is_done {
            self.oldest = self.holders.iter().filter_map(|holder| holder.oldest).min();
        }
    }

    /// Takes from a lamppost what has to go. Says how many went.
    fn visit(&mut self, place: usize, sweep: &Sweep) -> usize {
        let evicted = sweep.cut.map_or(0, |cut| self.evict_of(place, cut));
        let holder = holder(&self.holders, place);
        let excess = holder.observations.saturating_sub(sweep.level);
        if excess == 0 {
            return evicted;
        }
        let series = holder.series.iter().map(|id| at(&self.series, *id));
        let cut = evict::cut_for(series, holder.observations, excess);
        evicted + cut.map_or(0, |cut| self.evict_of(place, cut))
    }

    /// Takes what a lamppost has up to `cut`. Says how many went.
    fn evict_of(&mut self, place: usize, cut: UtcMillis) -> usize {
        let holder = holder_mut(&mut self.holders, place);
        if holder.oldest.is_none_or(|oldest| oldest > cut) {
            return 0;
        }
        let mut evicted = 0;
        holder.oldest = None;
        for id in &holder.series {
            let series = at_mut(&mut self.series, *id);
            let before = series.observation_bytes();
            evicted += series.evict(cut);
            self.bytes_behind = self.bytes_behind - before + series.observation_bytes();
            holder.oldest = earlier(holder.oldest, series.oldest());
        }
        holder.observations -= evicted;
        evicted
    }
}
