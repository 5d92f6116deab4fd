//! What the web counts.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The web's counters. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct WebMetrics {
    requests: Family<StatusLabel, Counter>,
    answer_seconds: Histogram,
    pub(super) refused_feeds: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

impl Default for WebMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            // 0.25 ms (a probe) to 65 s (past the time limit).
            answer_seconds: Histogram::new(exponential_buckets(0.000_25, 4.0, 10)),
            refused_feeds: Counter::default(),
        }
    }
}

impl WebMetrics {
    /// Makes the counters part of what `/metrics` prints.
    pub fn register(&self, registry: &mut Registry) {
        let web = registry.sub_registry_with_prefix("lamplighter_web");
        web.register(
            "requests",
            "Requests of people and tools, by the status of the answer",
            self.requests.clone(),
        );
        web.register_with_unit(
            "answer",
            "Time from a request to its answer; a live feed is answered when it begins",
            Unit::Seconds,
            self.answer_seconds.clone(),
        );
        web.register(
            "refused_feeds",
            "Live feeds refused because there were as many as allowed",
            self.refused_feeds.clone(),
        );
    }

    /// How many requests were answered with a status of this hundred: 2 for 200 to 299.
    pub(super) fn answered_with(&self, hundred: u16) -> u64 {
        let statuses = hundred * 100..(hundred + 1) * 100;
        let counts = statuses.filter_map(|status| Some(self.requests.get(&StatusLabel { status })?.get()));
        counts.sum()
    }

    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        self.requests.get_or_create(&StatusLabel { status: status.as_u16() }).inc();
        self.answer_seconds.observe(took.as_secs_f64());
    }
}
