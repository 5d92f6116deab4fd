//! Why a department's connection ends, or what of it was refused: one word each, for counters and the log.

use rumqttc::mqttbytes::v4::ConnectReturnCode;

use crate::gateway::Outgoing;

/// Why a department's connection ends, or why something of it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client said goodbye.
    Disconnected,
    /// The client, or the network to it, was gone without a word.
    Lost,
    /// The client was silent for longer than it had promised.
    KeepAlive,
    /// The client did not read what was sent to it.
    WriteTimeout,
    /// The key that it logged in with is good no more, or the department is gone.
    KeyEnded,
    /// The certificate that it logged in by is good no more, or the department is gone.
    CertificateEnded,
    /// The server stops.
    Stopping,
    /// As many connections as are granted are there, of the department or of all.
    TooManyConnections,
    /// No CONNECT came in time.
    NoConnect,
    /// The first packet was no CONNECT.
    NotConnect,
    /// MQTT 5.
    Version5,
    /// Neither MQTT 3.1.1 nor 5.
    OtherVersion,
    /// A client id that is too long, or none for a session that is to last.
    ClientId,
    /// The client leaves a will.
    Will,
    /// Neither a certificate nor a user name.
    NoLogin,
    /// No department has that name and that key, or the name is not that of the certificate.
    BadLogin,
    /// A department's certificate that is good no more, or that nobody here knows.
    BadCertificate,
    /// Too many logins failed from that address.
    TooManyFailures,
    /// Bytes that are no packet, or no text.
    Malformed,
    /// A packet longer than one may be.
    TooLong,
    /// Another CONNECT on a connection that has had one.
    SecondConnect,
    /// A department does not publish.
    Publish,
    /// A packet that clients do not send.
    ForeignPacket,
    /// An acknowledgement of what was not sent.
    UnknownAcknowledgement,
    /// More packets than a listener needs.
    TooFast,
    /// A filter that overlaps no grant, or is none; the connection goes on.
    ForeignFilter,
    /// Our own bug: an event that its state does not have.
    OutOfTurn,
}

impl Ending {
    /// The label under which it is counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
            Self::KeepAlive => "keep_alive",
            Self::WriteTimeout => "write_timeout",
            Self::KeyEnded => "key_ended",
            Self::CertificateEnded => "certificate_ended",
            Self::Stopping => "stopping",
            Self::TooManyConnections => "feeds_too_many_connections",
            Self::NoConnect => "no_connect",
            Self::NotConnect => "not_connect",
            Self::Version5 => "version_5",
            Self::OtherVersion => "other_version",
            Self::ClientId => "client_id",
            Self::Will => "will",
            Self::NoLogin => "no_login",
            Self::BadLogin => "bad_login",
            Self::BadCertificate => "department_certificate",
            Self::TooManyFailures => "too_many_failed_logins",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::SecondConnect => "second_connect",
            Self::Publish => "feeds_publish",
            Self::ForeignPacket => "foreign_packet",
            Self::UnknownAcknowledgement => "unknown_acknowledgement",
            Self::TooFast => "too_fast",
            Self::ForeignFilter => "foreign_filter",
            Self::OutOfTurn => "out_of_turn",
        }
    }

    /// Whether the client was refused something; otherwise the connection just ended.
    pub fn is_refusal(self) -> bool {
        !matches!(
            self,
            Self::Disconnected
                | Self::Lost
                | Self::KeepAlive
                | Self::WriteTimeout
                | Self::KeyEnded
                | Self::CertificateEnded
                | Self::Stopping
                | Self::OutOfTurn
        )
    }

    /// What is said before a connection closes that is not logged in: MQTT 3.1.1 has words for that, and for nothing else.
    pub(super) fn answer(self) -> Option<Outgoing> {
        let code = match self {
            Self::Version5 => return Some(Outgoing::ConnAckVersion5),
            Self::OtherVersion => ConnectReturnCode::RefusedProtocolVersion,
            Self::ClientId => ConnectReturnCode::BadClientId,
            Self::TooManyConnections | Self::TooManyFailures => ConnectReturnCode::ServiceUnavailable,
            Self::BadLogin => ConnectReturnCode::BadUserNamePassword,
            Self::BadCertificate | Self::NoLogin | Self::Will => ConnectReturnCode::NotAuthorized,
            Self::Disconnected
            | Self::Lost
            | Self::KeepAlive
            | Self::WriteTimeout
            | Self::KeyEnded
            | Self::CertificateEnded
            | Self::Stopping
            | Self::NoConnect
            | Self::NotConnect
            | Self::Malformed
            | Self::TooLong
            | Self::SecondConnect
            | Self::Publish
            | Self::ForeignPacket
            | Self::UnknownAcknowledgement
            | Self::TooFast
            | Self::ForeignFilter
            | Self::OutOfTurn => return None,
        };
        Some(Outgoing::ConnAck(code))
    }
}
