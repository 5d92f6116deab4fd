//! What a failed login says of the certificate that it was tried with.

use std::io::ErrorKind;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use rustls::AlertDescription;

use crate::identity::Login;

/// Whether the server refuses this certificate, by MQTT or by TLS; hung up without a word; or the login failed for a reason
/// that says nothing of it.
pub(super) fn login(error: &ConnectionError) -> Login {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadClientId
            | ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::NotAuthorized,
        ) => Login::Refused,
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error))
        | ConnectionError::Tls(TlsError::Io(error))
            if error.get_ref().and_then(|error| error.downcast_ref()).is_some_and(is_alert) =>
        {
            Login::Refused
        }
        ConnectionError::Tls(TlsError::TLS(error)) if is_alert(error) => Login::Refused,
        ConnectionError::MqttState(StateError::ConnectionAborted) => Login::HungUp,
        ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error))
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            ) =>
        {
            Login::HungUp
        }
        ConnectionError::ConnectionRefused(_)
        | ConnectionError::Io(_)
        | ConnectionError::Tls(_)
        | ConnectionError::MqttState(_)
        | ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone => Login::Failed,
    }
}

/// Whether the server says that it cannot serve this lamppost now (MQTT 3.1.1, 3.2.2.3: 3, server unavailable).
pub(super) fn is_overload(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable))
}

/// The alerts with which a server refuses a client's certificate (RFC 8446, 6.2).
fn is_alert(error: &rustls::Error) -> bool {
    let rustls::Error::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_refusal_by_mqtt_or_tls_is_one_and_a_network_that_fails_is_none() {
        let tls = |alert| io::Error::other(rustls::Error::AlertReceived(alert));
        let expired = || tls(AlertDescription::CertificateExpired);
        for refused in [
            ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized),
            ConnectionError::Io(expired()),
            ConnectionError::Tls(TlsError::Io(expired())),
            ConnectionError::MqttState(StateError::Io(tls(AlertDescription::CertificateRevoked))),
        ] {
            assert_eq!(login(&refused), Login::Refused, "{refused:?}");
        }
        for closed in [
            ConnectionError::MqttState(StateError::ConnectionAborted),
            ConnectionError::Io(ErrorKind::UnexpectedEof.into()),
        ] {
            assert_eq!(login(&closed), Login::HungUp, "{closed:?}");
        }
        for failed in [
            ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable),
            ConnectionError::Io(io::ErrorKind::ConnectionRefused.into()),
            ConnectionError::Io(tls(AlertDescription::InternalError)),
            ConnectionError::NetworkTimeout,
        ] {
            assert_eq!(login(&failed), Login::Failed, "{failed:?}");
        }
    }
}
