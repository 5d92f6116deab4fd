//! Who may log in: the question that the gateway asks the registry at every login, also one by TLS resumption, which
//! hands back a stored certificate without checking it again.

use std::pin::Pin;

use lamplighter_protocol::LamppostNumber;

/// Decides whether the holder of a certificate may log in.
///
/// The registry answers on the server; tests answer from memory. It is asked once per login and may not write: a city
/// that logs in at once would wait for the disk.
pub trait Admission: Send + Sync {
    /// Whether the lamppost `number` may log in with the certificate of this serial number.
    ///
    /// TLS has verified the chain and the dates, the gateway that the certificate names `number`. What remains is
    /// whether the certificate was issued to it by us, is not revoked, and the lamppost is one of the fleet.
    /// The serial is lowercase hexadecimal without separators and without leading zero bytes.
    fn admit<'a>(&'a self, number: &'a LamppostNumber, certificate_serial: &'a str) -> Admitting<'a>;
}

/// An answer under way.
pub type Admitting<'a> = Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + Send + 'a>>;

/// The lamppost may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted;

/// Why a lamppost may not log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No lamppost of the fleet has this number.
    #[error("no lamppost of the fleet has this number: import it")]
    UnknownLamppost,
    /// We have no record of having issued this certificate to this lamppost.
    #[error("the certificate is not one that was issued to this lamppost: issue one")]
    UnknownCertificate,
    /// The certificate was revoked.
    #[error("the certificate is revoked")]
    Revoked,
    /// The lamppost was taken down.
    #[error(
        "the lamppost is retired: revive it with `fleet-server lamppost revive`, if it is in service again"
    )]
    Retired,
    /// The answer cannot be had now; the lamppost is to come again.
    #[error("the registry does not answer")]
    Unavailable,
}
