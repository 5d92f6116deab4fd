//! The gateway's figures.

use serde::Serialize;
use utoipa::ToSchema;

use super::size;
use crate::gateway::{GatewayMetrics, HandshakeOutcome, Reason, Refusal};

/// What lampposts connect to.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct GatewayDocument {
    /// TCP connections that are open now, also those that are not logged in.
    connections: u64,
    /// Most connections at once: what the gateway grants, or fewer if the system allows it fewer files.
    connections_limit: u64,
    /// Lampposts that are logged in now.
    sessions: u64,
    /// TLS handshakes, by how they ended.
    handshakes: HandshakesDocument,
    /// What clients were refused, by reason. The connection was closed, except for `foreign_filter`.
    refusals: RefusalsDocument,
    /// Connections that ended without breaking a rule, by reason.
    endings: EndingsDocument,
    /// Messages of lampposts that were taken in to be journalled.
    publishes: u64,
    /// Bytes of their payloads.
    publish_bytes: u64,
    /// Messages that were acknowledged, each after it was on disk.
    acknowledgements: u64,
    /// Logins that ended an older connection of the same lamppost.
    takeovers: u64,
    /// Times that a lamppost sent faster than its rate and was read later; it loses nothing.
    throttled: u64,
    /// Connections that could not be accepted; as a rule the system allows too few open files.
    accept_failures: u64,
}

/// TLS handshakes, by how they ended.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::web) struct HandshakesDocument {
    /// Well.
    done: u64,
    /// The client was silent for too long.
    timeout: u64,
    /// The client showed no certificate.
    no_certificate: u64,
    /// The certificate is not of this fleet's CA, or not good yet.
    bad_certificate: u64,
    /// The common name of the certificate is no lamppost number.
    no_lamppost: u64,
    /// Otherwise badly: as a rule the client does not speak TLS.
    failed: u64,
}

/// What clients were refused, by reason.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::web) struct RefusalsDocument {
    /// There were as many connections as are granted.
    too_many_connections: u64,
    /// As many connections as are granted were not logged in yet.
    too_many_opening: u64,
    /// Too many connections of the client's network had not led to a login.
    too_many_attempts: u64,
    /// More clients wanted to shake hands than could be served soon; they come again.
    too_many_handshakes: u64,
    /// No login came in time after the handshake.
    no_connect: u64,
    /// The first packet was no login.
    not_connect: u64,
    /// The client speaks MQTT 5; the gateway speaks 3.1.1.
    version_5: u64,
    /// The client speaks another version of MQTT.
    other_version: u64,
    /// The client's id is not the number in its certificate.
    client_id: u64,
    /// The client wants to leave a will, which the gateway would never send.
    will: u64,
    /// The certificate has ended.
    expired: u64,
    /// No lamppost of the fleet has the number in the certificate: import it.
    unknown_lamppost: u64,
    /// There is no record that the certificate was issued to this lamppost: issue one.
    unknown_certificate: u64,
    /// The certificate was revoked.
    revoked: u64,
    /// The lamppost is retired: revive it if it is in service again.
    retired: u64,
    /// The registry did not answer; the lamppost comes again.
    registry_unavailable: u64,
    /// The lamppost is logged in with a newer certificate: somebody else has the old one.
    older_certificate: u64,
    /// The lamppost took over its own connection too often: as a rule two agents share one certificate.
    takeovers_too_often: u64,
    /// Bytes that are no MQTT packet.
    malformed: u64,
    /// A packet longer than one may be.
    too_long: u64,
    /// A second login on one connection.
    second_connect: u64,
    /// A packet that only servers send.
    foreign_packet: u64,
    /// A message on a topic of another lamppost, or on one that lampposts only read.
    foreign_topic: u64,
    /// A message on a topic that does not exist.
    unknown_topic: u64,
    /// A message at another quality of service than 1.
    qos: u64,
    /// A message that asks to be retained.
    retained: u64,
    /// An acknowledgement of something that was not sent.
    unknown_acknowledgement: u64,
    /// A subscription to what is not the lamppost's own; it was refused, and the connection went on.
    foreign_filter: u64,
}

/// Connections that ended without breaking a rule, by reason.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::web) struct EndingsDocument {
    /// The lamppost said goodbye.
    disconnected: u64,
    /// The lamppost, or the network to it, was gone without a word.
    lost: u64,
    /// The lamppost was silent for longer than it had promised.
    keep_alive: u64,
    /// The lamppost did not read what was sent to it.
    write_timeout: u64,
    /// A newer connection of the same lamppost was there.
    taken_over: u64,
    /// The certificate that the lamppost had logged in with was revoked.
    revoked: u64,
    /// The server stopped.
    stopping: u64,
    /// The disk failed under what the lamppost had sent: nothing of it was acknowledged, and it comes again.
    journal_cut: u64,
    /// The journal took no more.
    journal_closed: u64,
    /// A mistake of the server.
    out_of_turn: u64,
}

impl GatewayDocument {
    pub(super) fn new(metrics: &GatewayMetrics, connections_limit: usize) -> Self {
        let mut handshakes = HandshakesDocument::default();
        for outcome in HandshakeOutcome::ALL {
            *handshakes.place(outcome) = metrics.handshakes(outcome);
        }
        let (mut refusals, mut endings) = (RefusalsDocument::default(), EndingsDocument::default());
        for reason in Reason::ALL {
            *place(reason, &mut refusals, &mut endings) = metrics.counted(reason);
        }
        Self {
            connections: size(&metrics.connections),
            connections_limit: connections_limit as u64,
            sessions: size(&metrics.sessions),
            handshakes,
            refusals,
            endings,
            publishes: metrics.publishes.get(),
            publish_bytes: metrics.bytes.get(),
            acknowledgements: metrics.acknowledgements.get(),
            takeovers: metrics.takeovers.get(),
            throttled: metrics.throttled.get(),
            accept_failures: metrics.accept_failures.get(),
        }
    }
}

impl HandshakesDocument {
    fn place(&mut self, outcome: HandshakeOutcome) -> &mut u64 {
        match outcome {
            HandshakeOutcome::Done => &mut self.done,
            HandshakeOutcome::Timeout => &mut self.timeout,
            HandshakeOutcome::NoCertificate => &mut self.no_certificate,
            HandshakeOutcome::BadCertificate => &mut self.bad_certificate,
            HandshakeOutcome::NoLamppost => &mut self.no_lamppost,
            HandshakeOutcome::Failed => &mut self.failed,
        }
    }
}

/// Where a reason is counted: by name, so that a new one does not compile before it is explained above.
fn place<'a>(
    reason: Reason,
    refusals: &'a mut RefusalsDocument,
    endings: &'a mut EndingsDocument,
) -> &'a mut u64 {
    match reason {
        Reason::Disconnected => &mut endings.disconnected,
        Reason::Lost => &mut endings.lost,
        Reason::KeepAlive => &mut endings.keep_alive,
        Reason::WriteTimeout => &mut endings.write_timeout,
        Reason::TakenOver => &mut endings.taken_over,
        Reason::Revoked => &mut endings.revoked,
        Reason::Stopping => &mut endings.stopping,
        Reason::JournalCut => &mut endings.journal_cut,
        Reason::JournalClosed => &mut endings.journal_closed,
        Reason::OutOfTurn => &mut endings.out_of_turn,
        Reason::TooManyConnections => &mut refusals.too_many_connections,
        Reason::TooManyOpening => &mut refusals.too_many_opening,
        Reason::TooManyAttempts => &mut refusals.too_many_attempts,
        Reason::TooManyHandshakes => &mut refusals.too_many_handshakes,
        Reason::NoConnect => &mut refusals.no_connect,
        Reason::NotConnect => &mut refusals.not_connect,
        Reason::Version5 => &mut refusals.version_5,
        Reason::OtherVersion => &mut refusals.other_version,
        Reason::ClientId => &mut refusals.client_id,
        Reason::Will => &mut refusals.will,
        Reason::Expired => &mut refusals.expired,
        Reason::NotAdmitted(Refusal::UnknownLamppost) => &mut refusals.unknown_lamppost,
        Reason::NotAdmitted(Refusal::UnknownCertificate) => &mut refusals.unknown_certificate,
        Reason::NotAdmitted(Refusal::Revoked) => &mut refusals.revoked,
        Reason::NotAdmitted(Refusal::Retired) => &mut refusals.retired,
        Reason::NotAdmitted(Refusal::Unavailable) => &mut refusals.registry_unavailable,
        Reason::OlderCertificate => &mut refusals.older_certificate,
        Reason::TakeoversTooOften => &mut refusals.takeovers_too_often,
        Reason::Malformed => &mut refusals.malformed,
        Reason::TooLong => &mut refusals.too_long,
        Reason::SecondConnect => &mut refusals.second_connect,
        Reason::ForeignPacket => &mut refusals.foreign_packet,
        Reason::ForeignTopic => &mut refusals.foreign_topic,
        Reason::UnknownTopic => &mut refusals.unknown_topic,
        Reason::Qos => &mut refusals.qos,
        Reason::Retained => &mut refusals.retained,
        Reason::UnknownAcknowledgement => &mut refusals.unknown_acknowledgement,
        Reason::ForeignFilter => &mut refusals.foreign_filter,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the document says after this was counted in one way, and nothing else ever.
    fn counted(count: impl FnOnce(&GatewayMetrics)) -> Vec<String> {
        let metrics = GatewayMetrics::default();
        count(&metrics);
        let document = serde_json::to_value(GatewayDocument::new(&metrics, 0)).unwrap();
        let lists = ["handshakes", "refusals", "endings"];
        let counts = lists.iter().flat_map(|list| {
            let counts = document[list].as_object().unwrap().iter();
            counts
                .filter(|(_, count)| **count != json!(0))
                .map(move |(key, count)| format!("{list} {key} {count}"))
        });
        counts.collect()
    }

    #[test]
    fn every_reason_is_counted_under_the_word_that_the_log_and_the_metrics_use() {
        for reason in Reason::ALL {
            let list = if reason.is_refusal() { "refusals" } else { "endings" };
            assert_eq!(counted(|metrics| metrics.count(reason)), [format!("{list} {} 1", reason.label())]);
        }
        for outcome in HandshakeOutcome::ALL {
            let expected = format!("handshakes {} 1", outcome.label());
            assert_eq!(counted(|metrics| metrics.shook_hands(outcome)), [expected]);
        }
    }

    #[test]
    fn what_never_happened_is_listed_too_and_no_list_leaves_one_out() {
        let document = serde_json::to_value(GatewayDocument::new(&GatewayMetrics::default(), 16)).unwrap();
        let keys = |name: &str| document[name].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(keys("refusals") + keys("endings"), Reason::ALL.len());
        assert_eq!(keys("handshakes"), HandshakeOutcome::ALL.len());
        let zero = |value: &Value| value.as_object().unwrap().values().all(|count| *count == json!(0));
        assert!(["refusals", "endings", "handshakes"].iter().all(|name| zero(&document[name])));
    }
}
