//! The registry: which lampposts there are, which certificates they were given, who may listen to what, what operators have
//! decided, and the audit. Relational, small, and rarely written: nothing of the path of observations writes here, not even a login.
//!
//! It is one SQLite file (write-ahead log, every commit synced). The server and its subcommands open the same file
//! side by side: one writes at a time, the others wait for it (up to [`BUSY_TIMEOUT`]), readers wait for nobody.
//! SQL keeps to what SQLite and PostgreSQL share.

mod admission;
mod audited;
mod certificate;
mod changes;
mod copy;
mod decision;
mod department;
mod department_certificate;
mod department_key;
mod enrolment;
mod error;
mod grant;
mod lamppost;
mod life;
mod list;
mod listing;
mod part;
mod revocation;
mod rotation;
mod site;
mod sqlite;
mod token;

#[cfg(test)]
mod tests;

pub use admission::RegistryAdmission;
pub(crate) use certificate::hex;
pub use certificate::{CertificateRecord, CertificateSerial, CertificateState, NotASerial};
pub use changes::RegistryChanges;
pub use copy::CopiedRegistry;
pub use decision::{Commanded, Decision, DecisionRecord};
pub use department::{DepartmentRecord, EndedDepartment, Label, MOST_DEPARTMENTS, NotALabel};
pub use department_certificate::{DepartmentCertificate, MOST_DEPARTMENT_CERTIFICATES};
pub use department_key::{ApiKey, KeyDays, KeyRecord, MOST_KEYS, NoKeyBytes, NotAKeyId, NotKeyDays};
pub use enrolment::Recorded;
pub use error::RegistryError;
pub use grant::{GrantId, GrantRecord, MOST_GRANTS, NotAGrantId};
pub use lamppost::{Coordinates, Lamppost, OffTheGlobe};
pub use life::{LifeError, Retirement, Taken, reason};
pub use list::{
    Fault, LARGEST_LIST_BYTES, ListError, MOST_PROBLEMS, Place, Problem, parse_list, read_list,
    register_text, write_csv, write_geojson,
};
pub use listing::{AuditedRefusal, CertificateShown, CertificatesAsked};
pub use part::Part;
pub use revocation::{Revoke, Revoked};
pub use rotation::{Behind, CaRetirement, IfBehind};
pub use site::{FormerSite, Relocation, Site};
pub use sqlite::{BUSY_TIMEOUT, Imported, Registry};
pub use token::{TokenDigest, TokenEnding, TokenId, TokenRecord, TokenState};
