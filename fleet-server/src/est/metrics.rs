//! What enrolment counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::refusal::Refusal;

/// The counters of enrolment. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct EstMetrics {
    requests: Family<RequestLabel, Counter>,
    returned: Counter,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// The CA's certificate.
    CaCertificates,
    /// A first certificate, for a token.
    Enrol,
    /// Another certificate, for the present one.
    Renew,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabel {
    operation: &'static str,
    outcome: &'static str,
}

impl EstMetrics {
    /// Makes the counters part of what `/metrics` prints.
    pub fn register(&self, registry: &mut Registry) {
        let est = registry.sub_registry_with_prefix("lamplighter_est");
        est.register(
            "requests",
            "What lampposts asked for to enrol (EST, RFC 7030), by operation (cacerts, simpleenroll, simplereenroll) \
             and outcome: done, or why it was refused; other_key: a token that was used came again with another key",
            self.requests.clone(),
        );
        est.register(
            "returned",
            "Certificates issued to lampposts whose certificate had ended (also counted as done)",
            self.returned.clone(),
        );
    }

    pub(super) fn count(&self, operation: Operation, outcome: Result<(), Refusal>) {
        let outcome = outcome.map_or_else(Refusal::label, |()| "done");
        self.requests.get_or_create(&RequestLabel { operation: operation.name(), outcome }).inc();
    }

    pub(super) fn returned(&self) {
        self.returned.inc();
    }
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::CaCertificates => "cacerts",
            Self::Enrol => "simpleenroll",
            Self::Renew => "simplereenroll",
        }
    }
}
