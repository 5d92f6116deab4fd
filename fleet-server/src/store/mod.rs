//! The store: every series' observations, as far back as a stated bound in memory reaches.
//!
//! It is a *tail*: the newest observations of the whole fleet, rebuilt at start from a checkpoint and the journal, which
//! has the older ones, too, for as long as it is kept. What is older than the tail is named as such ([`OlderThanTail`]) and never answered as if it were
//! empty. The store is plain data without a clock, a lock or a file: its owner puts one lock around it, and reads
//! copy out what they return.
//!
//! It guarantees, for each series: at most one observation per time, the one that rule D13 prefers, whatever the
//! order of arrival; a latest observation that goes by time and outlives eviction; and everything not older than
//! the series' floor that was ever inserted. And for each lamppost that holds no more than its share of the
//! bound: nothing of it makes room while another one holds more than that, whatever times the other one reports.

mod aggregate;
mod block;
mod evict;
mod merge;
mod metrics;
mod series;
pub mod statistic;
mod tail;
#[cfg(test)]
mod tests;

use lamplighter_protocol::{Decimal, Grid, LamppostNumber, Reason, SeriesName, Statistic, UtcMillis};

pub use metrics::StoreMetrics;
pub(crate) use tail::TailRestore;
pub use tail::{Tail, TailSnapshot};

/// Most points that one page of [`Tail::range`] holds; reads stay short because of it.
pub const MAX_PAGE: usize = 10_000;

/// Most buckets that [`Tail::aggregate`] returns.
pub const MAX_BUCKETS: usize = 100_000;

/// Names a series in the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The lamppost that observes.
    pub lamppost: LamppostNumber,
    /// Device, property and channel on it.
    pub name: SeriesName,
}

/// Short name of a series within one [`Tail`], as long as that tail lives; never kept longer, never on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(u32);

/// What a series is, by the description in which it was last reported (D4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesMeta {
    /// Its name.
    pub key: SeriesKey,
    /// UCUM; the unit of every value of the series.
    pub unit: String,
    /// How it is summed up over time, by the catalogue.
    pub statistic: Statistic,
    /// Values are whole numbers of this; the latest one.
    pub resolution: Decimal,
    /// When it is read; the latest one, none if it reports by exception.
    pub grid: Option<Grid>,
}

/// One observation of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Phenomenon time.
    pub time: UtcMillis,
    /// In the series' unit; none when there was none. What is not a finite number is stored as none.
    pub value: Option<f64>,
    /// Why it is less than good; tells the quality.
    pub reason: Reason,
}

/// How much the tail may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailOptions {
    /// Most observations in memory. Each takes 13 bytes in a full block, up to twice that in one that grows: the
    /// default of 4,000,000 is some 52 MB. It should be a large multiple of the number of series. A lamppost's share
    /// is this, divided by the number of lampposts that hold anything; who holds more gives way first.
    pub max_observations: usize,
    /// Most series: each takes some 0.7 KB beside its observations, so that made-up names cannot fill the memory.
    pub max_series: usize,
    /// Most series of one lamppost, so that the names one of them makes up leave place for the others. The default of
    /// 512 is many times what a fully fitted lamppost has.
    pub max_series_per_lamppost: usize,
}

impl Default for TailOptions {
    fn default() -> Self {
        Self { max_observations: 4_000_000, max_series: 200_000, max_series_per_lamppost: 512 }
    }
}

/// What became of an inserted observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is the first of its series at its time.
    Stored {
        /// No observation of the series is newer.
        latest: bool,
    },
    /// There was one of the same series and time: rule D13 chose.
    Merged(Merge),
    /// It is older than the series' floor: the journal has it, the tail does not.
    OlderThanTail,
}

/// Which of two observations of one series and time is kept (D13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The one that was there before, or both were the same.
    Kept,
    /// The new one.
    Replaced,
}

/// A series finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManySeries {
    /// Its lamppost has as many as one may have: others are not concerned.
    #[error(
        "the lamppost has {limit} series and gets no more: raise max_series_per_lamppost, or find why it makes up names"
    )]
    OfLamppost {
        /// Most series of one lamppost.
        limit: usize,
    },
    /// The tail is full of series, whosever they are.
    #[error(
        "the store has {limit} series and takes no more: raise its max_series, or find who makes up names"
    )]
    OfFleet {
        /// Most series.
        limit: usize,
    },
}

/// What was asked for begins before the tail does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store's tail in memory begins at {} ms UTC for this series: ask from there", .floor.0)]
pub struct OlderThanTail {
    /// From here on the series is whole.
    pub floor: UtcMillis,
}

/// Why there is no aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// What was asked for begins before the tail does.
    #[error(transparent)]
    OlderThanTail(#[from] OlderThanTail),
    /// Buckets without a length.
    #[error("a step of {step_ms} ms makes no buckets: it is at least 1 ms")]
    Step {
        /// What was asked for.
        step_ms: i64,
    },
    /// The answer would be too long.
    #[error("a step of {step_ms} ms makes more than {limit} buckets: take a longer step or a shorter time")]
    TooManyBuckets {
        /// What was asked for.
        step_ms: i64,
        /// Most buckets of an answer.
        limit: usize,
    },
}

/// Points of a series in ascending order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct RangePage {
    /// The points.
    pub points: Vec<Point>,
    /// Time of the first point that found no place: the next page begins there. None: this is the last page.
    pub next: Option<UtcMillis>,
}

/// A series summed up from `start` to before `end`. Only buckets that hold an observation exist: gaps stay gaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// A whole multiple of the step since 1970-01-01T00:00:00Z.
    pub start: UtcMillis,
    /// One step later.
    pub end: UtcMillis,
    /// By the property's statistic, in the series' unit, of good and uncertain values. None without any of these,
    /// and for directions that cancel out.
    pub value: Option<f64>,
    /// Least of these values. None for directions: on a circle nothing is the least.
    pub minimum: Option<f64>,
    /// Greatest of these values. None for directions.
    pub maximum: Option<f64>,
    /// Good observations.
    pub good: u32,
    /// Uncertain observations.
    pub uncertain: u32,
    /// Bad observations.
    pub bad: u32,
}

/// What the tail holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TailSize {
    /// Series that are known.
    pub series: usize,
    /// Observations in memory.
    pub observations: usize,
    /// Bytes of memory that all of it takes, with what is reserved for growth, without the allocator's own.
    pub bytes: usize,
}

/// What has happened to observations since the tail was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TailTally {
    /// Stored as the first of their time.
    pub stored: u64,
    /// Came second, and rule D13 kept the one before.
    pub merged_kept: u64,
    /// Came second, and rule D13 preferred them.
    pub merged_replaced: u64,
    /// Older than the tail when they came.
    pub older_than_tail: u64,
    /// Left the tail because it was full.
    pub evicted: u64,
}

/// A series with the last that is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesLatest<'a> {
    /// Its short name.
    pub id: SeriesId,
    /// What it is.
    pub meta: &'a SeriesMeta,
    /// Its newest observation by time; none if it was only described.
    pub latest: Option<Point>,
}
