//! Figures of the live hub.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters and gauges of the live hub.
#[derive(Clone, Debug, Default)]
pub struct LiveMetrics {
    /// Feeds that are open.
    pub feeds: Gauge,
    /// Observations published while at least one feed was open.
    pub published: Counter,
    /// Observations that a slow client missed, each client for itself.
    pub missed: Counter,
}

impl LiveMetrics {
    /// Makes the figures part of `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("lamplighter_live_feeds", "Live feeds that are open", self.feeds.clone());
        registry.register(
            "lamplighter_live_published",
            "Observations published while at least one live feed was open",
            self.published.clone(),
        );
        registry.register(
            "lamplighter_live_missed",
            "Observations left out of a live feed because its client was too slow, each feed for itself",
            self.missed.clone(),
        );
    }
}
