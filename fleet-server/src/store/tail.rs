//! The tail of the whole fleet.

mod room;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use self::room::Sweep;
use super::series::Series;
use super::{
    AggregateError, Bucket, Inserted, MAX_PAGE, Merge, OlderThanTail, Point, RangePage, SeriesId, SeriesKey,
    SeriesLatest, SeriesMeta, TailOptions, TailSize, TailTally, TooManySeries, aggregate,
};

pub(crate) use snapshot::TailRestore;
pub use snapshot::TailSnapshot;

/// All series in memory, as far back as the bound reaches. A [`SeriesId`] is only for the tail that gave it out: with
/// that of another one, methods panic or speak of another series.
#[derive(Debug)]
pub struct Tail {
    options: TailOptions,
    /// By id.
    series: Vec<Series>,
    /// Places among the holders.
    lampposts: BTreeMap<LamppostNumber, usize>,
    holders: Vec<Holder>,
    observations: usize,
    /// Bytes behind the series and the index, without what [`Tail::size`] multiplies: counted as they change, so that
    /// nobody walks all blocks under the lock that ingest waits for.
    bytes_behind: usize,
    /// Of the observations in memory. They go by eviction alone, which looks for it anew once it is done.
    oldest: Option<UtcMillis>,
    tally: TailTally,
    /// While room is made.
    sweep: Option<Sweep>,
}

/// What a lamppost has of the tail.
#[derive(Debug, Default)]
struct Holder {
    /// In order of their names.
    series: Vec<SeriesId>,
    /// Of the series together. This and the oldest are kept as observations come and go, so that eviction walks the series
    /// of those alone who have to give way.
    observations: usize,
    /// Time of the oldest observation.
    oldest: Option<UtcMillis>,
}

impl Tail {
    /// An empty tail.
    pub fn new(options: TailOptions) -> Self {
        Self {
            options,
            series: Vec::new(),
            lampposts: BTreeMap::new(),
            holders: Vec::new(),
            observations: 0,
            bytes_behind: 0,
            oldest: None,
            tally: TailTally::default(),
            sweep: None,
        }
    }

    /// The id of a series, which is made if it is not known; what is said of a known one is taken over.
    ///
    /// # Errors
    /// [`TooManySeries`]: it is not known, and there is no place for it, of its lamppost or at all.
    pub fn series(&mut self, meta: SeriesMeta) -> Result<SeriesId, TooManySeries> {
        if let Some(id) = self.find(&meta.key) {
            let series = at_mut(&mut self.series, id);
            let before = series.bytes();
            series.meta = Arc::new(meta);
            self.bytes_behind = self.bytes_behind - before + series.bytes();
            return Ok(id);
        }
        let id = self.free_id(&meta.key.lamppost)?;
        let holder = self.holder(&meta.key.lamppost);
        let siblings = &mut holder_mut(&mut self.holders, holder).series;
        let place = siblings.partition_point(|one| name_of(&self.series, *one) < &meta.key.name);
        let before = siblings.capacity();
        siblings.insert(place, id);
        self.bytes_behind += (siblings.capacity() - before) * size_of::<SeriesId>();
        let series = Series::new(meta, holder);
        self.bytes_behind += series.bytes();
        self.series.push(series);
        Ok(id)
    }

    /// Puts an observation in its place, merged by D13 with one of the same time. When the tail is full a sixteenth
    /// of what it may hold leaves it: the oldest of the lampposts that hold more than their share, and where that
    /// is not enough the oldest of all, so that nobody holds more than the share afterwards. Of a few lampposts it leaves at
    /// once, of many while more is put in: nobody waits for all of them.
    pub fn insert(&mut self, id: SeriesId, point: Point) -> Inserted {
        let point = Point { value: point.value.filter(|value| value.is_finite()), ..point };
        let series = at_mut(&mut self.series, id);
        let before = series.observation_bytes();
        let inserted = series.insert(point);
        self.bytes_behind = self.bytes_behind - before + series.observation_bytes();
        match inserted {
            Inserted::Stored { .. } => {
                self.tally.stored += 1;
                self.observations += 1;
                let holder = holder_mut(&mut self.holders, series.holder);
                holder.observations += 1;
                holder.oldest = earlier(holder.oldest, Some(point.time));
                self.oldest = earlier(self.oldest, Some(point.time));
                self.make_room();
            }
            Inserted::Merged(Merge::Kept) => self.tally.merged_kept += 1,
            Inserted::Merged(Merge::Replaced) => self.tally.merged_replaced += 1,
            Inserted::OlderThanTail => self.tally.older_than_tail += 1,
        }
        inserted
    }

    /// The id of a series, if it is known.
    pub fn find(&self, key: &SeriesKey) -> Option<SeriesId> {
        let siblings = self.siblings(&key.lamppost);
        let place = siblings.binary_search_by(|one| name_of(&self.series, *one).cmp(&key.name)).ok()?;
        siblings.get(place).copied()
    }

    /// All series of a lamppost in order of their names.
    pub fn of_lamppost(&self, lamppost: &LamppostNumber) -> Vec<SeriesId> {
        self.siblings(lamppost).to_vec()
    }

    /// All series of a lamppost in order of their names, each with its newest observation.
    pub fn latest_of_lamppost(&self, lamppost: &LamppostNumber) -> impl Iterator<Item = SeriesLatest<'_>> {
        self.siblings(lamppost).iter().map(|id| self.latest_at(*id))
    }

    /// All series of the fleet in order of lamppost and name, each with its newest observation.
    pub fn all(&self) -> impl Iterator<Item = SeriesLatest<'_>> {
        let holders = self.lampposts.values().map(|place| holder(&self.holders, *place));
        holders.flat_map(|holder| &holder.series).map(|id| self.latest_at(*id))
    }

    /// Some series of the fleet in the order in which they became known, each with its newest observation: at most `most` of
    /// those that follow the first `from`. For whoever reads all of them, and must not keep others waiting meanwhile.
    pub fn some(&self, from: usize, most: usize) -> Vec<(Arc<SeriesMeta>, Option<Point>)> {
        let some = self.series.iter().skip(from).take(most);
        some.map(|series| (Arc::clone(&series.meta), series.latest())).collect()
    }

    /// What a series is.
    pub fn meta(&self, id: SeriesId) -> &SeriesMeta {
        &self.at(id).meta
    }

    /// The newest observation by time, also when it has left the tail itself; none if there never was one.
    pub fn latest(&self, id: SeriesId) -> Option<Point> {
        self.at(id).latest()
    }

    /// From here on the series is whole: nothing that was inserted is missing.
    pub fn floor(&self, id: SeriesId) -> UtcMillis {
        self.at(id).floor()
    }

    /// Observations from `from` to before `to` in ascending order of time, at most `limit` of them (held between 1
    /// and [`MAX_PAGE`]).
    ///
    /// # Errors
    /// [`OlderThanTail`] if `from` is below the series' floor.
    pub fn range(
        &self,
        id: SeriesId,
        from: UtcMillis,
        to: UtcMillis,
        limit: usize,
    ) -> Result<RangePage, OlderThanTail> {
        let series = self.whole_from(id, from)?;
        let limit = limit.clamp(1, MAX_PAGE);
        let mut found = series.points(from, to);
        let points = found.by_ref().take(limit).collect();
        Ok(RangePage { points, next: found.next().map(|point| point.time) })
    }

    /// Observations from `from` to before `to`, summed up by the property's statistic into buckets that begin at
    /// whole multiples of `step_ms` since 1970-01-01T00:00:00Z. The first and last bucket hold only what lies
    /// between `from` and `to`; where nothing lies there is no bucket.
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn aggregate(
        &self,
        id: SeriesId,
        from: UtcMillis,
        to: UtcMillis,
        step_ms: i64,
    ) -> Result<Vec<Bucket>, AggregateError> {
        let series = self.whole_from(id, from)?;
        aggregate::buckets(series.points(from, to), series.meta.statistic, step_ms)
    }

    /// How much there is. Walks nothing, however much it is.
    pub fn size(&self) -> TailSize {
        // A node of the tree is two thirds full on average.
        let entry = size_of::<LamppostNumber>() + size_of::<usize>();
        let index = self.lampposts.len() * entry * 3 / 2 + self.holders.capacity() * size_of::<Holder>();
        let bytes = index + self.series.capacity() * size_of::<Series>() + self.bytes_behind;
        TailSize { series: self.series.len(), observations: self.observations, bytes }
    }

    /// Phenomenon time of the oldest observation in memory. Walks nothing, as [`size`](Self::size).
    pub fn oldest(&self) -> Option<UtcMillis> {
        self.oldest
    }

    /// What has happened to observations so far.
    pub fn tally(&self) -> TailTally {
        self.tally
    }

    /// The id of the next series of a lamppost.
    fn free_id(&self, lamppost: &LamppostNumber) -> Result<SeriesId, TooManySeries> {
        let limit = self.options.max_series_per_lamppost;
        if self.siblings(lamppost).len() >= limit {
            return Err(TooManySeries::OfLamppost { limit });
        }
        let limit = self.options.max_series;
        let id = u32::try_from(self.series.len()).ok().filter(|_| self.series.len() < limit);
        id.map(SeriesId).ok_or(TooManySeries::OfFleet { limit })
    }

    /// The place of a lamppost among the holders; it gets one if it has none.
    fn holder(&mut self, number: &LamppostNumber) -> usize {
        if let Some(place) = self.lampposts.get(number) {
            return *place;
        }
        let place = self.holders.len();
        self.holders.push(Holder::default());
        self.lampposts.insert(number.clone(), place);
        self.bytes_behind += number.as_str().len();
        place
    }

    /// A lamppost's series in order of their names.
    fn siblings(&self, number: &LamppostNumber) -> &[SeriesId] {
        self.lampposts.get(number).map_or(&[], |place| &holder(&self.holders, *place).series)
    }

    fn whole_from(&self, id: SeriesId, from: UtcMillis) -> Result<&Series, OlderThanTail> {
        let series = self.at(id);
        if from < series.floor() {
            return Err(OlderThanTail { floor: series.floor() });
        }
        Ok(series)
    }

    fn latest_at(&self, id: SeriesId) -> SeriesLatest<'_> {
        let series = self.at(id);
        SeriesLatest { id, meta: &series.meta, latest: series.latest() }
    }

    fn at(&self, id: SeriesId) -> &Series {
        at(&self.series, id)
    }

    /// Size and oldest observation, found by walking everything.
    #[cfg(test)]
    pub(crate) fn walked(&self) -> (TailSize, Option<UtcMillis>) {
        let ids: usize =
            self.holders.iter().map(|holder| holder.series.capacity() * size_of::<SeriesId>()).sum();
        let numbers: usize = self.lampposts.keys().map(|number| number.as_str().len()).sum();
        let entry = size_of::<LamppostNumber>() + size_of::<usize>();
        let places = self.lampposts.len() * entry * 3 / 2 + self.holders.capacity() * size_of::<Holder>();
        let index = ids + numbers + places;
        let behind: usize = self.series.iter().map(Series::walked_bytes).sum();
        let bytes = index + self.series.capacity() * size_of::<Series>() + behind;
        let observations = self.series.iter().map(Series::len).sum();
        let oldest = self.series.iter().filter_map(Series::oldest).min();
        (TailSize { series: self.series.len(), observations, bytes }, oldest)
    }
}

fn holder(holders: &[Holder], place: usize) -> &Holder {
    holders.get(place).expect("a lamppost's place is kept as long as the tail")
}

fn holder_mut(holders: &mut [Holder], place: usize) -> &mut Holder {
    holders.get_mut(place).expect("a lamppost's place is kept as long as the tail")
}

/// The earlier of two times, of those that there are.
fn earlier(one: Option<UtcMillis>, other: Option<UtcMillis>) -> Option<UtcMillis> {
    one.into_iter().chain(other).min()
}

fn name_of(series: &[Series], id: SeriesId) -> &lamplighter_protocol::SeriesName {
    &at(series, id).meta.key.name
}

fn at(series: &[Series], id: SeriesId) -> &Series {
    series.get(id.0 as usize).expect("an id is used with the tail that gave it out")
}

fn at_mut(series: &mut [Series], id: SeriesId) -> &mut Series {
    series.get_mut(id.0 as usize).expect("an id is used with the tail that gave it out")
}
