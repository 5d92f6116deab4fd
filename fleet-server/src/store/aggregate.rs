//! Buckets: a series summed up step by step.

use lamplighter_protocol::{Quality, Statistic, UtcMillis};

use super::{AggregateError, Bucket, MAX_BUCKETS, Point, statistic};

/// Sums points, in ascending order of time, up into buckets that begin at whole multiples of the step.
pub(super) fn buckets(
    points: impl Iterator<Item = Point>,
    statistic: Statistic,
    step_ms: i64,
) -> Result<Vec<Bucket>, AggregateError> {
    if step_ms < 1 {
        return Err(AggregateError::Step { step_ms });
    }
    let mut buckets = Vec::new();
    let mut values = Vec::new();
    let mut points = points.peekable();
    while let Some(first) = points.peek() {
        if buckets.len() == MAX_BUCKETS {
            return Err(AggregateError::TooManyBuckets { step_ms, limit: MAX_BUCKETS });
        }
        let start = start_of(first.time, step_ms);
        let end = start.plus_ms(step_ms);
        let (mut good, mut uncertain, mut bad) = (0, 0, 0);
        values.clear();
        while let Some(point) = points.next_if(|point| start_of(point.time, step_ms) == start) {
            match point.reason.quality() {
                Quality::Good => good += 1,
                Quality::Uncertain => uncertain += 1,
                Quality::Bad => {
                    bad += 1;
                    continue;
                }
            }
            values.extend(point.value);
        }
        let (minimum, maximum) = extremes(statistic, &values);
        let value = statistic::summarise(statistic, &values);
        buckets.push(Bucket { start, end, value, minimum, maximum, good, uncertain, bad });
    }
    Ok(buckets)
}

/// Start of the bucket that a time lies in. Rounds down: towards zero the bucket around 1970 would be twice as long.
fn start_of(time: UtcMillis, step_ms: i64) -> UtcMillis {
    UtcMillis(time.0.div_euclid(step_ms).saturating_mul(step_ms))
}

/// Least and greatest value, where there is such a thing.
fn extremes(statistic: Statistic, values: &[f64]) -> (Option<f64>, Option<f64>) {
    match statistic {
        Statistic::VectorMean => (None, None),
        Statistic::Mean | Statistic::EnergyMean | Statistic::Sum | Statistic::Last | Statistic::Maximum => {
            (statistic::minimum(values), statistic::maximum(values))
        }
    }
}
