//! What the gateway counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::reason::Reason;

/// The gateway's counters. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct GatewayMetrics {
    pub(super) connections: Gauge,
    pub(super) sessions: Gauge,
    handshakes: Family<OutcomeLabel, Counter>,
    refusals: Family<ReasonLabel, Counter>,
    endings: Family<ReasonLabel, Counter>,
    pub(super) publishes: Counter,
    pub(super) bytes: Counter,
    pub(super) acknowledgements: Counter,
    pub(super) takeovers: Counter,
    pub(super) throttled: Counter,
    pub(super) accept_failures: Counter,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Done,
    Timeout,
    NoCertificate,
    BadCertificate,
    NoLamppost,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl GatewayMetrics {
    /// Makes the counters part of what `/metrics` prints.
    pub fn register(&self, registry: &mut Registry) {
        let gateway = registry.sub_registry_with_prefix("lamplighter_gateway");
        gateway.register(
            "connections",
            "TCP connections on the MQTT port, in any state",
            self.connections.clone(),
        );
        gateway.register("sessions", "Lampposts that are logged in", self.sessions.clone());
        gateway.register(
            "handshakes",
            "TLS handshakes by outcome: done, timeout (10 s of silence), no_certificate, bad_certificate (not of this \
             fleet's CA, or out of date), no_lamppost (the common name is no lamppost number), failed",
            self.handshakes.clone(),
        );
        gateway.register(
            "refusals",
            "What clients were refused, by reason; the connection was closed, except for foreign_filter (a \
             subscription outside of its own down topics, refused by SUBACK)",
            self.refusals.clone(),
        );
        gateway.register(
            "endings",
            "Connections that ended without breaking a rule, by reason: disconnected and lost (by the client, with \
             and without a word), keep_alive (silent), write_timeout (does not read), taken_over, stopping, \
             journal_cut (the disk failed under what was sent), journal_closed, \
             out_of_turn (a bug of the gateway)",
            self.endings.clone(),
        );
        gateway.register("publishes", "Publishes taken in to be journalled", self.publishes.clone());
        gateway.register("publish_bytes", "Payload bytes of those publishes", self.bytes.clone());
        gateway.register(
            "acknowledgements",
            "Publishes acknowledged, after they were on disk",
            self.acknowledgements.clone(),
        );
        gateway.register(
            "takeovers",
            "Connections that ended an older one of the same lamppost",
            self.takeovers.clone(),
        );
        gateway.register(
            "throttled",
            "Times that a client was faster than its rate, and was read later",
            self.throttled.clone(),
        );
        gateway.register(
            "accept_failures",
            "Connections that could not be accepted: as a rule too few file descriptors are allowed",
            self.accept_failures.clone(),
        );
    }

    pub(super) fn handshake(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Timeout => "timeout",
            Outcome::NoCertificate => "no_certificate",
            Outcome::BadCertificate => "bad_certificate",
            Outcome::NoLamppost => "no_lamppost",
            Outcome::Failed => "failed",
        };
        self.handshakes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn ended(&self, reason: Reason) {
        let family = if reason.is_refusal() { &self.refusals } else { &self.endings };
        family.get_or_create(&ReasonLabel { reason: reason.label() }).inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }
}
