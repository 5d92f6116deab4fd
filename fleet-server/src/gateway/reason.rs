//! Why a connection ends, or why something was refused: one word each, for counters and the log.

use super::admission::Refusal;

/// Why a connection ends, or why something of it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client said goodbye.
    Disconnected,
    /// The client, or the network to it, was gone without a word.
    Lost,
    /// The client was silent for longer than it had promised.
    KeepAlive,
    /// The client did not read what was sent to it.
    WriteTimeout,
    /// A newer connection of the same lamppost is there.
    TakenOver,
    /// The certificate was revoked during the connection.
    Revoked,
    /// The server stops.
    Stopping,
    /// The disk failed under what the client had sent: nothing of it was acknowledged.
    JournalCut,
    /// The journal takes no more.
    JournalClosed,
    /// Our own bug: an event that its state does not have.
    OutOfTurn,
    /// At the door: there are as many connections as are granted.
    TooManyConnections,
    /// At the door: as many as are granted are not logged in yet.
    TooManyOpening,
    /// At the door: too many connections of its network have not led to a login.
    TooManyAttempts,
    /// At the door: there are more handshakes to do than can be done soon.
    TooManyHandshakes,
    /// No CONNECT came in time.
    NoConnect,
    /// The first packet was no CONNECT.
    NotConnect,
    /// MQTT 5.
    Version5,
    /// Neither MQTT 3.1.1 nor 5.
    OtherVersion,
    /// The client id is not the number in the certificate.
    ClientId,
    /// The client leaves a will.
    Will,
    /// The certificate ended, before the login or during the connection.
    Expired,
    /// Admission says no.
    NotAdmitted(Refusal),
    /// A newer certificate of the same lamppost is logged in.
    OlderCertificate,
    /// The lamppost took over its own connection too often.
    TakeoversTooOften,
    /// Bytes that are no packet.
    Malformed,
    /// A packet longer than one may be.
    TooLong,
    /// Another CONNECT on a connection that has had one.
    SecondConnect,
    /// A packet that clients do not send.
    ForeignPacket,
    /// A publish outside of the lamppost's own `up`.
    ForeignTopic,
    /// A publish on a topic of its own that does not exist.
    UnknownTopic,
    /// A publish at another quality of service than 1.
    Qos,
    /// A retained publish.
    Retained,
    /// An acknowledgement of what was not sent.
    UnknownAcknowledgement,
    /// A subscription outside of the lamppost's own `down`; the connection goes on.
    ForeignFilter,
}

impl Reason {
    /// All of them: first those for which a connection just ends, then refusals.
    pub const ALL: [Self; 38] = [
        Self::Disconnected,
        Self::Lost,
        Self::KeepAlive,
        Self::WriteTimeout,
        Self::TakenOver,
        Self::Revoked,
        Self::Stopping,
        Self::JournalCut,
        Self::JournalClosed,
        Self::OutOfTurn,
        Self::TooManyConnections,
        Self::TooManyOpening,
        Self::TooManyAttempts,
        Self::TooManyHandshakes,
        Self::NoConnect,
        Self::NotConnect,
        Self::Version5,
        Self::OtherVersion,
        Self::ClientId,
        Self::Will,
        Self::Expired,
        Self::NotAdmitted(Refusal::UnknownLamppost),
        Self::NotAdmitted(Refusal::UnknownCertificate),
        Self::NotAdmitted(Refusal::Revoked),
        Self::NotAdmitted(Refusal::Retired),
        Self::NotAdmitted(Refusal::Unavailable),
        Self::OlderCertificate,
        Self::TakeoversTooOften,
        Self::Malformed,
        Self::TooLong,
        Self::SecondConnect,
        Self::ForeignPacket,
        Self::ForeignTopic,
        Self::UnknownTopic,
        Self::Qos,
        Self::Retained,
        Self::UnknownAcknowledgement,
        Self::ForeignFilter,
    ];

    /// The label under which it is counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
            Self::KeepAlive => "keep_alive",
            Self::WriteTimeout => "write_timeout",
            Self::TakenOver => "taken_over",
            Self::Stopping => "stopping",
            Self::JournalCut => "journal_cut",
            Self::JournalClosed => "journal_closed",
            Self::OutOfTurn => "out_of_turn",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyOpening => "too_many_opening",
            Self::TooManyAttempts => "too_many_attempts",
            Self::TooManyHandshakes => "too_many_handshakes",
            Self::NoConnect => "no_connect",
            Self::NotConnect => "not_connect",
            Self::Version5 => "version_5",
            Self::OtherVersion => "other_version",
            Self::ClientId => "client_id",
            Self::Will => "will",
            Self::Expired => "expired",
            Self::NotAdmitted(Refusal::UnknownLamppost) => "unknown_lamppost",
            Self::NotAdmitted(Refusal::UnknownCertificate) => "unknown_certificate",
            // Counted apart: a connection that ends, and a login that is refused.
            Self::Revoked | Self::NotAdmitted(Refusal::Revoked) => "revoked",
            Self::NotAdmitted(Refusal::Retired) => "retired",
            Self::NotAdmitted(Refusal::Unavailable) => "registry_unavailable",
            Self::OlderCertificate => "older_certificate",
            Self::TakeoversTooOften => "takeovers_too_often",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::SecondConnect => "second_connect",
            Self::ForeignPacket => "foreign_packet",
            Self::ForeignTopic => "foreign_topic",
            Self::UnknownTopic => "unknown_topic",
            Self::Qos => "qos",
            Self::Retained => "retained",
            Self::UnknownAcknowledgement => "unknown_acknowledgement",
            Self::ForeignFilter => "foreign_filter",
        }
    }

    /// Whether the client was refused something; otherwise the connection just ended.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::Disconnected
            | Self::Lost
            | Self::KeepAlive
            | Self::WriteTimeout
            | Self::TakenOver
            | Self::Revoked
            | Self::Stopping
            | Self::JournalCut
            | Self::JournalClosed
            | Self::OutOfTurn => false,
            Self::TooManyConnections
            | Self::TooManyOpening
            | Self::TooManyAttempts
            | Self::TooManyHandshakes
            | Self::NoConnect
            | Self::NotConnect
            | Self::Version5
            | Self::OtherVersion
            | Self::ClientId
            | Self::Will
            | Self::Expired
            | Self::NotAdmitted(_)
            | Self::OlderCertificate
            | Self::TakeoversTooOften
            | Self::Malformed
            | Self::TooLong
            | Self::SecondConnect
            | Self::ForeignPacket
            | Self::ForeignTopic
            | Self::UnknownTopic
            | Self::Qos
            | Self::Retained
            | Self::UnknownAcknowledgement
            | Self::ForeignFilter => true,
        }
    }
}
