//! By what a client proves which department it is: a key, or a certificate of the fleet's CA.
//!
//! A department's certificate has no common name, which is where a lamppost's has its number: it names the department as a
//! URI (`urn:lamplighter:department:NAME`) among its alternative names, and its subject's unit is `department`. So neither
//! can be taken for the other, whatever a lamppost's number and a department's name are, nor by a program that has never
//! heard of departments.

use std::sync::Arc;

use lamplighter_protocol::UtcMillis;

use super::{AccessKeyId, DepartmentName, Ending};

/// What a client has logged in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its department's name and this key.
    Key(AccessKeyId),
    /// This certificate.
    Certificate(Arc<DepartmentIdentity>),
}

/// What a department's certificate says, which TLS has verified: now, or when the session began that is resumed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartmentIdentity {
    /// Whose it is.
    pub department: DepartmentName,
    /// Lowercase hexadecimal, without leading zero bytes.
    pub certificate_serial: String,
    /// The last instant at which it is good.
    pub not_after: UtcMillis,
}

impl DepartmentIdentity {
    /// The organisational unit in the subject of every such certificate.
    pub const UNIT: &str = "department";
}

impl Proof {
    /// Why a connection ends whose proof is good no more.
    pub(super) fn ended(&self) -> Ending {
        match self {
            Self::Key(_) => Ending::KeyEnded,
            Self::Certificate(_) => Ending::CertificateEnded,
        }
    }
}

impl DepartmentName {
    /// What the URI in a certificate begins with.
    pub(crate) const URI_PREFIX: &str = "urn:lamplighter:department:";

    /// The URI that names it in its certificates.
    pub fn uri(&self) -> String {
        format!("{}{self}", Self::URI_PREFIX)
    }

    /// The department that a URI names.
    pub fn from_uri(uri: &str) -> Option<Self> {
        uri.strip_prefix(Self::URI_PREFIX)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_department_and_nothing_else_does() {
        let name: DepartmentName = "traffic".parse().unwrap();
        assert_eq!(name.uri(), "urn:lamplighter:department:traffic");
        assert_eq!(DepartmentName::from_uri(&name.uri()), Some(name));
        for uri in [
            "",
            "traffic",
            "urn:lamplighter:department:",
            "urn:lamplighter:department:DF3637",
            "urn:x:traffic",
        ] {
            assert_eq!(DepartmentName::from_uri(uri), None, "{uri}");
        }
    }
}
