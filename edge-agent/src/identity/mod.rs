//! Who this lamppost is: its certificate and key, how it comes to them, and how they are renewed while it stands there.
//!
//! [`enrol()`] is the installer's part: with a one-time token, once. `renewal` decides, without I/O, when a new certificate is
//! asked for and when it is used for good; `keeper` performs it. `store` says which pair is used, whatever moment the power
//! went at; `est` speaks with the server (RFC 7030).
//!
//! The key is made here and never leaves the lamppost: it is in a file, or in a token that never gives it away (`vault`). A new certificate has a new key. The old pair stays until a login
//! with the new one has worked.

mod authorities;
mod certificate;
mod enrol;
mod est;
mod files;
mod first_contact;
mod keeper;
mod new_key;
mod orphans;
mod pair;
mod pkcs7;
mod renewal;
mod request;
mod stepped;
mod store;
#[cfg(test)]
mod tests;
mod vault;

pub use certificate::{Fingerprint, NoFingerprint};
pub use enrol::{EnrolError, Enrolled, IfEnrolled, Trust, enrol};
pub use est::{EstError, NoToken, Refusal, Token};
pub use first_contact::FirstContactError;
pub(crate) use keeper::{Badge, Keeper};
pub use new_key::KeyError;
pub use pair::{Pair, PairError};
pub use pkcs7::NoCertificates;
pub use renewal::Login;
pub(crate) use renewal::Which;
pub use request::Unacceptable;
pub use stepped::{Shown, SteppedKeeper};
pub(crate) use store::Store;
pub use vault::VaultError;
