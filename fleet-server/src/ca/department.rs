//! Certificates by which departments log in to feeds.

use lamplighter_protocol::UtcMillis;
use rcgen::{DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};

use super::authority::Authority;
use super::certificate::{Validity, parameters};
use super::error::AuthorityError;
use super::lamppost_key::LamppostKey;
use crate::feeds::{DepartmentIdentity, DepartmentName};
use crate::registry::DepartmentCertificate;

impl Authority {
    /// Issues a certificate for a department, for a key that it has made and keeps to itself. It is good for TLS clients
    /// alone, names the department in a URI, and has no common name: so it is no lamppost's, whoever reads it
    /// ([`DepartmentIdentity`]). It ends with the CA if not before. In PEM, and what the registry has to know of it before
    /// anybody is given it.
    ///
    /// # Errors
    /// [`AuthorityError::Sign`], [`AuthorityError::Random`] or [`AuthorityError::Clock`].
    pub fn certify_department(
        &self,
        department: &DepartmentName,
        key: &LamppostKey,
        validity: Validity,
        now: UtcMillis,
    ) -> Result<(String, DepartmentCertificate), AuthorityError> {
        let sign = |source| AuthorityError::Sign { subject: format!("department {department}"), source };
        let not_after = validity.end(now).min(self.not_after());
        let (mut parameters, serial) = parameters("", now, not_after)?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::OrganizationalUnitName, DepartmentIdentity::UNIT);
        parameters.distinguished_name.push(DnType::OrganizationName, department.as_str());
        let uri = department.uri().try_into().map_err(sign)?;
        parameters.subject_alt_names = vec![SanType::URI(uri)];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(key.public(), &self.issuer).map_err(sign)?;
        let (department, authority) = (department.clone(), self.key().clone());
        let record = DepartmentCertificate { serial, department, issued: now, not_after, authority };
        Ok((certificate.pem(), record))
    }
}
