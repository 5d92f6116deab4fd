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
    /// TCP connections, in any state.
    pub connections: Gauge,
    /// Lampposts that are logged in.
    pub sessions: Gauge,
    handshakes: Family<OutcomeLabel, Counter>,
    refusals: Family<ReasonLabel, Counter>,
    endings: Family<ReasonLabel, Counter>,
    http: Family<EndingLabel, Counter>,
    /// Publishes taken in.
    pub publishes: Counter,
    /// Payload bytes of these.
    pub bytes: Counter,
    /// Publishes acknowledged.
    pub acknowledgements: Counter,
    /// Connections that ended an older one of the same lamppost.
    pub takeovers: Counter,
    /// Times that a client was faster than its rate.
    pub throttled: Counter,
    /// Connections that could not be accepted.
    pub accept_failures: Counter,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeOutcome {
    /// Well.
    Done,
    /// The client was silent for too long.
    Timeout,
    /// The client showed no certificate, and did not come to enrol.
    NoCertificate,
    /// A certificate that is not of this fleet's CA, or not good yet.
    BadCertificate,
    /// A certificate whose common name is no lamppost number.
    NoLamppost,
    /// Otherwise badly: as a rule no TLS at all.
    Failed,
}

/// How a connection ended that spoke HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpEnding {
    /// Well, or without a word.
    Done,
    /// The client did not send its requests, or read their answers, in time.
    TooSlow,
    /// The client sent what is not HTTP, or was gone in the middle of it.
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndingLabel {
    ending: &'static str,
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
             fleet's CA, or not good yet), no_lamppost (the common name is no lamppost number), failed",
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
             and without a word), keep_alive (silent), write_timeout (does not read), taken_over, revoked \
             (its certificate, meanwhile), stopping, journal_cut (the disk failed under what was sent), journal_closed, \
             out_of_turn (a bug of the gateway)",
            self.endings.clone(),
        );
        gateway.register(
            "http_connections",
            "Connections that spoke HTTP, by ending: done, too_slow (10 s for a request's head, 30 s for all of it), \
             broken (not HTTP, or gone in the middle of it)",
            self.http.clone(),
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

    /// How many handshakes ended so.
    pub fn handshakes(&self, outcome: HandshakeOutcome) -> u64 {
        self.handshakes.get(&outcome.into()).map_or(0, |count| count.get())
    }

    /// How many connections ended, or were refused something, for this reason.
    pub fn counted(&self, reason: Reason) -> u64 {
        self.family(reason).get(&reason.into()).map_or(0, |count| count.get())
    }

    /// Counts a connection that spoke HTTP.
    pub fn spoke_http(&self, ending: HttpEnding) {
        self.http.get_or_create(&EndingLabel { ending: ending.label() }).inc();
    }

    /// Counts a handshake.
    pub fn shook_hands(&self, outcome: HandshakeOutcome) {
        self.handshakes.get_or_create(&outcome.into()).inc();
    }

    /// Counts a connection that ended, or something that was refused.
    pub fn count(&self, reason: Reason) {
        self.family(reason).get_or_create(&reason.into()).inc();
    }

    fn family(&self, reason: Reason) -> &Family<ReasonLabel, Counter> {
        if reason.is_refusal() { &self.refusals } else { &self.endings }
    }
}

impl HttpEnding {
    /// The label under which it is counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken",
        }
    }
}

impl HandshakeOutcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Timeout,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::NoLamppost,
        Self::Failed,
    ];

    /// The label under which it is counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Timeout => "timeout",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::NoLamppost => "no_lamppost",
            Self::Failed => "failed",
        }
    }
}

impl From<HandshakeOutcome> for OutcomeLabel {
    fn from(outcome: HandshakeOutcome) -> Self {
        Self { outcome: outcome.label() }
    }
}

impl From<Reason> for ReasonLabel {
    fn from(reason: Reason) -> Self {
        Self { reason: reason.label() }
    }
}
