//! Figures of the store.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Tail;

/// Gauges and counters of the store. The tail itself is plain data: [`observe`](Self::observe) takes its figures
/// over, before they are printed.
#[derive(Clone, Debug, Default)]
pub struct StoreMetrics {
    /// Series that are known.
    pub series: Gauge,
    /// Observations in memory.
    pub observations: Gauge,
    /// Bytes of memory that all of it takes.
    pub bytes: Gauge,
    /// Phenomenon time of the oldest observation in memory, in milliseconds since 1970; 0 without any.
    pub oldest_ms: Gauge,
    stored: Counter,
    merged_kept: Counter,
    merged_replaced: Counter,
    older_than_tail: Counter,
    /// Observations that left the tail because it was full.
    pub evicted: Counter,
}

impl StoreMetrics {
    /// Takes the tail's figures over, in a time that does not depend on how much it holds.
    pub fn observe(&self, tail: &Tail) {
        let (size, tally) = (tail.size(), tail.tally());
        let gauges =
            [(&self.series, size.series), (&self.observations, size.observations), (&self.bytes, size.bytes)];
        for (gauge, value) in gauges {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.oldest_ms.set(tail.oldest().map_or(0, |oldest| oldest.0));
        let counters = [
            (&self.stored, tally.stored),
            (&self.merged_kept, tally.merged_kept),
            (&self.merged_replaced, tally.merged_replaced),
            (&self.older_than_tail, tally.older_than_tail),
            (&self.evicted, tally.evicted),
        ];
        for (counter, value) in counters {
            // The greater of the two: two scrapes at once cannot turn a counter back.
            counter.inner().fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Makes the figures part of `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        let mut gauge =
            |name: &str, help: &str, metric: &Gauge| registry.register(name, help, metric.clone());
        gauge("lamplighter_store_series", "Series that the store knows", &self.series);
        gauge("lamplighter_store_observations", "Observations in the store's tail", &self.observations);
        gauge("lamplighter_store_bytes", "Bytes of memory that the store's tail takes", &self.bytes);
        gauge(
            "lamplighter_store_oldest_ms",
            "Phenomenon time of the oldest observation in the tail, in milliseconds since 1970; 0 without any",
            &self.oldest_ms,
        );
        let mut counter =
            |name: &str, help: &str, metric: &Counter| registry.register(name, help, metric.clone());
        counter(
            "lamplighter_store_stored",
            "Observations stored as the first of their series and time",
            &self.stored,
        );
        counter(
            "lamplighter_store_merged_kept",
            "Observations of a series and time that had a better or equal one already (D13)",
            &self.merged_kept,
        );
        counter(
            "lamplighter_store_merged_replaced",
            "Observations that replaced a worse one of their series and time (D13)",
            &self.merged_replaced,
        );
        counter(
            "lamplighter_store_older_than_tail",
            "Observations that were older than the tail when they came: the journal alone has them",
            &self.older_than_tail,
        );
        counter(
            "lamplighter_store_evicted",
            "Observations that left the tail because it was full: the journal still has them",
            &self.evicted,
        );
    }
}
