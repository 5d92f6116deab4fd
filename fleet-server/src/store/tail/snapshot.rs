//! The tail as parts of a checkpoint, and back.
//!
//! A snapshot is taken under the lock that ingest waits for: it copies arrays into a few large ones, and becomes
//! messages afterwards.

use std::sync::Arc;

use lamplighter_protocol::{Decimal, Grid, LamppostNumber, Reason, SeriesName, Statistic, UtcMillis};

use super::super::block::Block;
use super::super::series::Series;
use super::super::{Point, SeriesId, SeriesKey, SeriesMeta, TailOptions, TailTally};
use super::Tail;
use super::room::Sweep;
use crate::checkpoint::{WrongPart, wire};

/// All that a [`Tail`] holds, as it was at one moment.
#[derive(Debug)]
pub struct TailSnapshot {
    tally: TailTally,
    sweep: Option<Sweep>,
    series: Vec<SeriesCopy>,
    blocks: Vec<BlockCopy>,
    // The arrays of all blocks, one behind the other.
    offsets: Vec<u32>,
    values: Vec<f64>,
    reasons: Vec<Reason>,
}

#[derive(Debug)]
struct SeriesCopy {
    meta: Arc<SeriesMeta>,
    latest: Option<Point>,
    floor: UtcMillis,
    blocks: usize,
}

#[derive(Debug)]
struct BlockCopy {
    first: UtcMillis,
    observations: usize,
}

/// A tail that is put together again, part by part.
#[derive(Debug)]
pub(crate) struct TailRestore {
    /// Whole but for what is counted of observations.
    tail: Tail,
}

impl TailSnapshot {
    /// How many observations it holds.
    pub fn observations(&self) -> usize {
        self.offsets.len()
    }

    /// Hands on its parts, in order.
    pub(crate) fn parts<E>(&self, mut each: impl FnMut(wire::part::Body) -> Result<(), E>) -> Result<(), E> {
        let TailTally { stored, merged_kept, merged_replaced, older_than_tail, evicted } = self.tally;
        let sweep = self.sweep.map(|Sweep { cut, level, inserted, next }| wire::Sweep {
            cut_ms: cut.map(|cut| cut.0),
            level: level as u64,
            inserted: inserted as u64,
            next: next as u64,
        });
        let tail = wire::Tail { stored, merged_kept, merged_replaced, older_than_tail, evicted, sweep };
        each(wire::part::Body::Tail(tail))?;
        let (mut blocks, mut begin) = (self.blocks.iter(), 0);
        for series in &self.series {
            each(wire::part::Body::Series(series_message(series)))?;
            for block in blocks.by_ref().take(series.blocks) {
                let places = begin..begin + block.observations;
                begin = places.end;
                each(wire::part::Body::Block(wire::Block {
                    first_ms: block.first.0,
                    offsets: self.offsets[places.clone()].to_vec(),
                    values: self.values[places.clone()].to_vec(),
                    reasons: self.reasons[places].iter().map(|reason| reason.0).collect(),
                }))?;
            }
        }
        Ok(())
    }
}

impl Tail {
    /// Copies all that it holds.
    pub fn snapshot(&self) -> TailSnapshot {
        let blocks = self.series.iter().map(|series| series.blocks().len()).sum();
        let mut snapshot = TailSnapshot {
            tally: self.tally,
            sweep: self.sweep,
            series: Vec::with_capacity(self.series.len()),
            blocks: Vec::with_capacity(blocks),
            offsets: Vec::with_capacity(self.observations),
            values: Vec::with_capacity(self.observations),
            reasons: Vec::with_capacity(self.observations),
        };
        for series in &self.series {
            snapshot.series.push(SeriesCopy {
                meta: Arc::clone(&series.meta),
                latest: series.latest(),
                floor: series.floor(),
                blocks: series.blocks().len(),
            });
            for block in series.blocks() {
                let (offsets, values, reasons) = block.arrays();
                snapshot.blocks.push(BlockCopy { first: block.first(), observations: block.len() });
                snapshot.offsets.extend_from_slice(offsets);
                snapshot.values.extend_from_slice(values);
                snapshot.reasons.extend_from_slice(reasons);
            }
        }
        snapshot
    }
}

impl TailRestore {
    pub(crate) fn new(options: TailOptions) -> Self {
        Self { tail: Tail::new(options) }
    }

    pub(crate) fn tail(&mut self, tail: wire::Tail) -> Result<(), WrongPart> {
        let wire::Tail { stored, merged_kept, merged_replaced, older_than_tail, evicted, sweep } = tail;
        self.tail.tally = TailTally { stored, merged_kept, merged_replaced, older_than_tail, evicted };
        let size = |count| usize::try_from(count).map_err(|_| WrongPart("a sweep that is too large"));
        let sweep = sweep.map(|wire::Sweep { cut_ms, level, inserted, next }| {
            let (level, inserted, next) = (size(level)?, size(inserted)?, size(next)?);
            Ok(Sweep { cut: cut_ms.map(UtcMillis), level, inserted, next })
        });
        self.tail.sweep = sweep.transpose()?;
        Ok(())
    }

    pub(crate) fn series(&mut self, message: wire::Series) -> Result<(), WrongPart> {
        let latest = message.latest.map(point).transpose()?;
        let floor = UtcMillis(message.floor_ms);
        let meta = meta(message)?;
        let holder = self.tail.holder(&meta.key.lamppost);
        self.tail.series.push(Series::restored(meta, holder, latest, floor));
        Ok(())
    }

    pub(crate) fn block(&mut self, message: wire::Block) -> Result<(), WrongPart> {
        let reasons = message.reasons.into_iter().map(Reason).collect();
        let block = Block::restored(UtcMillis(message.first_ms), message.offsets, message.values, reasons);
        let series = self.tail.series.last_mut().ok_or(WrongPart("a block without a series"))?;
        let is_pushed = block.is_some_and(|block| series.push_restored(block));
        is_pushed.then_some(()).ok_or(WrongPart("a block whose observations are out of order"))
    }

    /// The tail, within its bound, which may be a lower one than that of the tail that was copied.
    pub(crate) fn finish(self) -> Result<Tail, WrongPart> {
        let mut tail = self.tail;
        for (id, series) in (0..).map(SeriesId).zip(&tail.series) {
            let holder = super::holder_mut(&mut tail.holders, series.holder);
            holder.series.push(id);
            holder.observations += series.len();
            holder.oldest = super::earlier(holder.oldest, series.oldest());
            tail.bytes_behind += series.bytes();
        }
        for holder in &mut tail.holders {
            let name = |id: &SeriesId| super::name_of(&tail.series, *id);
            holder.series.sort_by(|one, other| name(one).cmp(name(other)));
            holder.series.shrink_to_fit();
            if holder.series.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
                return Err(WrongPart("two series of one name"));
            }
            tail.bytes_behind += holder.series.capacity() * size_of::<SeriesId>();
            tail.observations += holder.observations;
            tail.oldest = super::earlier(tail.oldest, holder.oldest);
        }
        tail.keep_bound();
        Ok(tail)
    }
}

fn series_message(series: &SeriesCopy) -> wire::Series {
    let SeriesMeta { key, unit, statistic, resolution, grid } = &*series.meta;
    let resolution = resolution.to_wire();
    wire::Series {
        lamppost: key.lamppost.to_string(),
        device: key.name.device.to_string(),
        property: key.name.property.to_string(),
        channel: key.name.channel.as_ref().map(ToString::to_string).unwrap_or_default(),
        unit: unit.clone(),
        statistic: statistic_to_wire(*statistic).into(),
        resolution_mantissa: resolution.mantissa,
        resolution_exponent: resolution.exponent,
        grid: grid.map(|Grid { period_ms, phase_ms }| wire::Grid { period_ms, phase_ms }),
        latest: series.latest.map(|Point { time, value, reason }| wire::Point {
            time_ms: time.0,
            value,
            reason: reason.0.into(),
        }),
        floor_ms: series.floor.0,
    }
}

fn meta(message: wire::Series) -> Result<SeriesMeta, WrongPart> {
    let statistic = statistic_of(message.statistic())?;
    let wrong = |_| WrongPart("a series whose name is none");
    let channel = Some(message.channel).filter(|channel| !channel.is_empty());
    let name = SeriesName {
        device: message.device.parse().map_err(wrong)?,
        property: message.property.parse().map_err(wrong)?,
        channel: channel.map(|channel| channel.parse().map_err(wrong)).transpose()?,
    };
    let lamppost: LamppostNumber = message.lamppost.parse().map_err(wrong)?;
    let resolution = Decimal::new(message.resolution_mantissa, message.resolution_exponent);
    Ok(SeriesMeta {
        key: SeriesKey { lamppost, name },
        unit: message.unit,
        statistic,
        resolution: resolution.map_err(|_| WrongPart("a series whose resolution is none"))?,
        grid: message.grid.map(|wire::Grid { period_ms, phase_ms }| Grid { period_ms, phase_ms }),
    })
}

fn point(message: wire::Point) -> Result<Point, WrongPart> {
    let reason = u8::try_from(message.reason).map_err(|_| WrongPart("a reason that is none"))?;
    Ok(Point { time: UtcMillis(message.time_ms), value: message.value, reason: Reason(reason) })
}

fn statistic_to_wire(statistic: Statistic) -> wire::Statistic {
    match statistic {
        Statistic::Mean => wire::Statistic::Mean,
        Statistic::VectorMean => wire::Statistic::VectorMean,
        Statistic::EnergyMean => wire::Statistic::EnergyMean,
        Statistic::Sum => wire::Statistic::Sum,
        Statistic::Last => wire::Statistic::Last,
        Statistic::Maximum => wire::Statistic::Maximum,
    }
}

fn statistic_of(statistic: wire::Statistic) -> Result<Statistic, WrongPart> {
    match statistic {
        wire::Statistic::Mean => Ok(Statistic::Mean),
        wire::Statistic::VectorMean => Ok(Statistic::VectorMean),
        wire::Statistic::EnergyMean => Ok(Statistic::EnergyMean),
        wire::Statistic::Sum => Ok(Statistic::Sum),
        wire::Statistic::Last => Ok(Statistic::Last),
        wire::Statistic::Maximum => Ok(Statistic::Maximum),
        wire::Statistic::Unspecified => Err(WrongPart("a series whose statistic is none")),
    }
}
