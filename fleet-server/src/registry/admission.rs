//! The gateway's question, answered from the registry.

use lamplighter_protocol::LamppostNumber;

use super::{CertificateSerial, Registry, RegistryError};
use crate::gateway::{Admission, Admitted, Admitting, Refusal};

/// Admits the registered lampposts by the certificates that they were given and that are not revoked. Reads only.
#[derive(Debug, Clone)]
pub struct RegistryAdmission {
    registry: Registry,
}

impl RegistryAdmission {
    /// Answers from this registry.
    pub fn new(registry: Registry) -> Self {
        Self { registry }
    }

    async fn decide(
        &self,
        number: &LamppostNumber,
        serial: &str,
    ) -> Result<Result<Admitted, Refusal>, RegistryError> {
        let Ok(serial) = serial.parse::<CertificateSerial>() else {
            return Ok(Err(Refusal::UnknownCertificate));
        };
        let record = self.registry.certificate(&serial).await?.filter(|record| record.lamppost == *number);
        Ok(match record {
            // The lamppost of a record is registered: the database sees to that. One that is retired has no certificate
            // that is not revoked: what retires it and what issues one see to that.
            Some(record) if record.revoked.is_none() => Ok(Admitted),
            Some(_) if self.is_retired(number).await? => Err(Refusal::Retired),
            Some(_) => Err(Refusal::Revoked),
            None if self.registry.lamppost(number).await?.is_none() => Err(Refusal::UnknownLamppost),
            None if self.is_retired(number).await? => Err(Refusal::Retired),
            None => Err(Refusal::UnknownCertificate),
        })
    }

    async fn is_retired(&self, number: &LamppostNumber) -> Result<bool, RegistryError> {
        Ok(self.registry.retirement(number).await?.is_some())
    }
}

impl Admission for RegistryAdmission {
    fn admit<'a>(&'a self, number: &'a LamppostNumber, certificate_serial: &'a str) -> Admitting<'a> {
        Box::pin(async move {
            self.decide(number, certificate_serial).await.unwrap_or_else(|error| {
                let error = anyhow::Error::from(error);
                tracing::error!(lamppost = %number, "cannot decide whether it may log in: {error:#}");
                Err(Refusal::Unavailable)
            })
        })
    }
}
