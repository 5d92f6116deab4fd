//! Why a connection ends, or why something was refused: one word each, for counters and the log.

use super::admission::Refusal;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    // The client leaves, or the network does.
    Disconnected,
    Lost,
    KeepAlive,
    WriteTimeout,
    // The server has its own reason.
    TakenOver,
    Stopping,
    JournalCut,
    JournalClosed,
    /// Our own bug: an event that its state does not have.
    OutOfTurn,
    // Refused at the door.
    NoConnect,
    NotConnect,
    Version5,
    OtherVersion,
    ClientId,
    Will,
    Expired,
    NotAdmitted(Refusal),
    OlderCertificate,
    TakeoversTooOften,
    // Refused later.
    Malformed,
    TooLong,
    SecondConnect,
    ForeignPacket,
    ForeignTopic,
    UnknownTopic,
    Qos,
    Retained,
    UnknownAcknowledgement,
}

impl Reason {
    /// The label under which it is counted.
    pub(super) fn label(self) -> &'static str {
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
            Self::NoConnect => "no_connect",
            Self::NotConnect => "not_connect",
            Self::Version5 => "version_5",
            Self::OtherVersion => "other_version",
            Self::ClientId => "client_id",
            Self::Will => "will",
            Self::Expired => "expired",
            Self::NotAdmitted(Refusal::UnknownLamppost) => "unknown_lamppost",
            Self::NotAdmitted(Refusal::UnknownCertificate) => "unknown_certificate",
            Self::NotAdmitted(Refusal::Revoked) => "revoked",
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
        }
    }

    /// Whether the client did what it may not; otherwise the connection just ended.
    pub(super) fn is_refusal(self) -> bool {
        match self {
            Self::Disconnected
            | Self::Lost
            | Self::KeepAlive
            | Self::WriteTimeout
            | Self::TakenOver
            | Self::Stopping
            | Self::JournalCut
            | Self::JournalClosed
            | Self::OutOfTurn => false,
            Self::NoConnect
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
            | Self::UnknownAcknowledgement => true,
        }
    }
}
