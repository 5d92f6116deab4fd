//! Figures of the live hub.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ResetReason;

/// Counters and gauges of the live hub. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct LiveMetrics {
    /// Feeds that are open.
    pub feeds: Gauge,
    /// Changes published: observations and states.
    pub published: Counter,
    /// Observations that gave way to a newer one of their series before a client read them, each feed for itself.
    pub collapsed: Counter,
    resets: Family<ReasonLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl LiveMetrics {
    /// How many feeds were told to begin anew, for this reason.
    pub fn resets(&self, reason: ResetReason) -> u64 {
        self.resets.get_or_create(&ReasonLabel { reason: reason.as_str() }).get()
    }

    pub(super) fn reset(&self, reason: ResetReason) {
        self.resets.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    /// Makes the figures part of `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        let live = registry.sub_registry_with_prefix("lamplighter_live");
        live.register("feeds", "Live feeds that are open", self.feeds.clone());
        live.register(
            "published",
            "Changes published to live feeds: observations that became the newest of their series, and states",
            self.published.clone(),
        );
        live.register(
            "collapsed",
            "Observations that gave way to a newer one of their series before a live feed was read, each feed for \
             itself",
            self.collapsed.clone(),
        );
        live.register(
            "resets",
            "Live feeds that had to begin anew, by reason: restarted (the client came from another life of the \
             server), too_far_behind (more has changed meanwhile than is kept for it)",
            self.resets.clone(),
        );
    }
}
