//! How long commits took: a histogram that can be read back, which the metrics library's cannot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Bounds of buckets: 0.1 ms (a disk with a protected cache), doubled up to 26 s (one that is about to fail), and one
/// for all that took longer.
const BUCKETS: usize = 20;
const FIRST_SECONDS: f64 = 0.000_1;

/// How long commits took. Clones count into the same place.
#[derive(Debug, Clone, Default)]
pub struct CommitTimes {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    sum_seconds: f64,
    count: u64,
    buckets: [u64; BUCKETS],
}

impl CommitTimes {
    /// Counts a commit.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut counts = self.lock();
        counts.sum_seconds += seconds;
        counts.count += 1;
        let place = bounds().position(|bound| seconds <= bound).unwrap_or(BUCKETS - 1);
        counts.buckets[place] += 1;
    }

    /// The mean in seconds; none without a commit.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn mean_seconds(&self) -> Option<f64> {
        let counts = self.lock();
        (counts.count > 0).then(|| counts.sum_seconds / counts.count as f64)
    }

    /// The time in seconds that a share of all commits did not exceed (0.5 is the median), within the factor of two
    /// that buckets are wide; none without a commit.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn quantile_seconds(&self, share: f64) -> Option<f64> {
        let counts = self.lock().clone();
        let rank = share * counts.count as f64;
        let (mut before, mut lower) = (0.0, 0.0);
        for (bound, count) in bounds().zip(counts.buckets) {
            let count = count as f64;
            if count > 0.0 && before + count >= rank {
                // Nothing is known of what is past the last bound but that it is past it.
                let upper = if bound.is_finite() { bound } else { lower };
                return Some(lower + (upper - lower) * (rank - before) / count);
            }
            (before, lower) = (before + count, bound);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Figures: a count that is one short is better than none.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EncodeMetric for CommitTimes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = self.lock().clone();
        let buckets: Vec<(f64, u64)> = bounds().zip(counts.buckets).collect();
        encoder.encode_histogram::<NoLabelSet>(counts.sum_seconds, counts.count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for CommitTimes {
    const TYPE: MetricType = MetricType::Histogram;
}

/// The upper bound of each bucket, in seconds.
fn bounds() -> impl Iterator<Item = f64> {
    let doubled = std::iter::successors(Some(FIRST_SECONDS), |bound| Some(bound * 2.0));
    doubled.take(BUCKETS - 1).chain([f64::INFINITY])
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < expected * 1e-6)
    }

    #[test]
    fn without_a_commit_there_is_no_time() {
        let times = CommitTimes::default();
        assert_eq!((times.mean_seconds(), times.quantile_seconds(0.5)), (None, None));
    }

    #[test]
    fn the_mean_is_exact_and_shares_are_within_their_bucket() {
        let times = CommitTimes::default();
        for _ in 0..98 {
            times.observe(Duration::from_millis(3));
        }
        times.observe(Duration::from_millis(500));
        times.observe(Duration::from_millis(500));
        assert!(near(times.mean_seconds(), (98.0 * 0.003 + 1.0) / 100.0));
        let median = times.quantile_seconds(0.5).unwrap();
        assert!((0.0016..=0.0032).contains(&median), "{median}");
        let slow = times.quantile_seconds(0.99).unwrap();
        assert!((0.4096..=0.8192).contains(&slow), "{slow}");
    }

    #[test]
    fn what_is_past_the_last_bound_is_said_to_be_at_least_that() {
        let times = CommitTimes::default();
        times.observe(Duration::from_mins(5));
        assert!(near(times.quantile_seconds(0.99), 26.2144));
        assert!(near(times.mean_seconds(), 300.0));
    }

    #[test]
    fn they_are_printed_as_a_histogram() {
        let times = CommitTimes::default();
        times.observe(Duration::from_micros(150));
        times.observe(Duration::from_mins(5));
        let mut registry = Registry::default();
        registry.register("commit", "help", times);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "commit_count 2",
            "commit_bucket{le=\"0.0001\"} 0",
            "commit_bucket{le=\"0.0002\"} 1",
            "commit_bucket{le=\"26.2144\"} 1",
            "commit_bucket{le=\"+Inf\"} 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }
}
