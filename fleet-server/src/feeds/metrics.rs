//! Figures of feeds.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{DepartmentName, Ending};

/// Counters and gauges of feeds. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct FeedMetrics {
    connections: Family<DepartmentLabel, Gauge>,
    deliveries: Family<DepartmentLabel, Counter>,
    missed: Family<DepartmentLabel, Counter>,
    endings: Family<ReasonLabel, Counter>,
    /// Messages encoded, each once for all.
    pub messages: Counter,
}

/// What is counted of one department.
#[derive(Clone, Debug)]
pub(super) struct DepartmentFigures {
    pub(super) connections: Gauge,
    pub(super) deliveries: Counter,
    pub(super) missed: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DepartmentLabel {
    department: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl FeedMetrics {
    /// Makes the figures part of `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        let feeds = registry.sub_registry_with_prefix("lamplighter_feeds");
        feeds.register(
            "connections",
            "Connections that are logged in, by department",
            self.connections.clone(),
        );
        feeds.register("deliveries", "Messages sent, by department", self.deliveries.clone());
        feeds.register(
            "missed",
            "Messages that were left out for connections that did not read as fast as they came, each connection for \
             itself, by department; it was told of each on highway/missed",
            self.missed.clone(),
        );
        feeds.register(
            "endings",
            "Connections that ended and what was refused of them, by reason; the connection was closed, except for \
             foreign_filter (a subscription to what is not granted, refused by SUBACK)",
            self.endings.clone(),
        );
        feeds.register("messages", "Messages encoded, each once for all who hear it", self.messages.clone());
    }

    /// How many connections ended, or were refused something, for this reason.
    pub fn ended(&self, ending: Ending) -> u64 {
        self.endings.get(&ReasonLabel { reason: ending.label() }).map_or(0, |count| count.get())
    }

    /// How many messages a department's connections missed.
    pub fn missed(&self, department: &DepartmentName) -> u64 {
        self.of(department).missed.get()
    }

    /// How many messages a department's connections were sent.
    pub fn deliveries(&self, department: &DepartmentName) -> u64 {
        self.of(department).deliveries.get()
    }

    pub(super) fn count(&self, ending: Ending) {
        self.endings.get_or_create(&ReasonLabel { reason: ending.label() }).inc();
    }

    pub(super) fn of(&self, department: &DepartmentName) -> DepartmentFigures {
        let label = DepartmentLabel { department: department.to_string() };
        DepartmentFigures {
            connections: self.connections.get_or_create(&label).clone(),
            deliveries: self.deliveries.get_or_create(&label).clone(),
            missed: self.missed.get_or_create(&label).clone(),
        }
    }
}
