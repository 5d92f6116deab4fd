//! From a registered lamppost to a certificate that the gateway admits.

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::authority::Authority;
use super::certificate::{IssuedCertificate, Validity};
use super::error::AuthorityError;
use crate::audit::Actor;
use crate::registry::{CertificateRecord, Registry, RegistryError};

/// Why a lamppost got no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// It is not in the registry.
    #[error("lamppost {number} is not registered: add it with `fleet-server lamppost import FILE`")]
    NotRegistered {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// The registry.
    #[error("cannot enrol lamppost {number}")]
    Registry {
        /// The lamppost.
        number: LamppostNumber,
        /// Why.
        source: RegistryError,
    },
    /// The CA.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Issues a certificate to a registered lamppost. It is in the registry and its audit before anybody has it; those that the
/// lamppost had before stay good.
///
/// # Errors
/// [`EnrolmentError`]; no certificate was given out then.
pub async fn enrol(
    registry: &Registry,
    authority: &Authority,
    number: &LamppostNumber,
    validity: Validity,
    now: UtcMillis,
    by: &Actor,
) -> Result<IssuedCertificate, EnrolmentError> {
    let issued = authority.issue_lamppost(number, validity, now)?;
    let record = CertificateRecord {
        serial: issued.serial.clone(),
        lamppost: number.clone(),
        issued: issued.issued,
        not_after: issued.not_after,
        revoked: None,
        authority: Some(issued.authority.clone()),
    };
    registry.record_certificate(&record, by).await.map_err(|source| {
        let number = number.clone();
        if let RegistryError::NotRegistered { .. } = source {
            return EnrolmentError::NotRegistered { number };
        }
        EnrolmentError::Registry { number, source }
    })?;
    Ok(issued)
}
