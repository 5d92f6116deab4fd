//! What is put into a certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, UtcMillis, whole_ms};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;

use super::error::AuthorityError;
use super::files::{self, CaFileError, Readable};
use super::lamppost_key::KeyDigest;
use crate::registry::CertificateSerial;

/// Every certificate begins this long before it is issued, so that one can be used at once by a lamppost whose clock
/// is behind.
pub const BACKDATED: Duration = Duration::from_hours(1);

/// How long a certificate is good, in whole seconds. Written as `30d`, `12h`, `90m` or `60s`; a number alone is
/// days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Validity {
    seconds: u32,
}

/// A time is none that a certificate may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate is good for a minute to 3650 days (as long as the CA itself), such as 30d, 12h or 90m; a number alone is days"
)]
pub struct NotAValidity;

impl Validity {
    /// Two years and a quarter, for lampposts that do not renew their certificate by themselves: one that ends means that
    /// somebody has to go there, so it has to outlast a two-yearly inspection, with time to spare. It is also the most
    /// that common TLS clients ever accepted of a private CA.
    pub const LAMPPOST: Self = Self { seconds: 825 * DAY_S };

    /// A month, for lampposts that renew it by themselves: a stolen one is soon worth nothing, and there is time to
    /// repair a server that issues none.
    pub const RENEWED: Self = Self { seconds: 30 * DAY_S };

    /// A year, for departments: somebody there makes a request once a year.
    pub const DEPARTMENT: Self = Self { seconds: 365 * DAY_S };

    /// So many days.
    ///
    /// # Errors
    /// [`NotAValidity`] unless there are 1 to 3650 of them.
    pub fn days(days: u16) -> Result<Self, NotAValidity> {
        Self::seconds(u64::from(days) * u64::from(DAY_S))
    }

    /// Not below a minute: one that ends before its lamppost has logged in is of no use.
    fn seconds(seconds: u64) -> Result<Self, NotAValidity> {
        let seconds = u32::try_from(seconds).ok().filter(|seconds| (60..=3650 * DAY_S).contains(seconds));
        seconds.map(|seconds| Self { seconds }).ok_or(NotAValidity)
    }

    /// The last moment of what is issued now.
    pub(super) fn end(self, now: UtcMillis) -> UtcMillis {
        now.plus_ms(i64::from(self.seconds) * 1000)
    }
}

const DAY_S: u32 = 86_400;

/// Letters that times end with, the longest first, and their seconds.
const UNITS: [(char, u32); 4] = [('d', DAY_S), ('h', 3600), ('m', 60), ('s', 1)];

impl std::str::FromStr for Validity {
    type Err = NotAValidity;

    fn from_str(text: &str) -> Result<Self, NotAValidity> {
        let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
        let (count, seconds) = unit.unwrap_or((text, DAY_S));
        let count: u64 = count.parse().map_err(|_| NotAValidity)?;
        Self::seconds(count.saturating_mul(seconds.into()))
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, seconds)| self.seconds.is_multiple_of(*seconds));
        let (unit, seconds) = whole.expect("all of it is seconds");
        write!(f, "{}{unit}", self.seconds / seconds)
    }
}

/// A private key, PKCS #8 in PEM. It does not print.
#[derive(Clone)]
pub struct PrivateKeyPem(String);

impl PrivateKeyPem {
    pub(super) fn of(key: &KeyPair) -> Self {
        Self(key.serialize_pem())
    }

    /// The key itself: whoever has it is the lamppost.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyPem(..)")
    }
}

/// A lamppost's certificate with its key: all that its agent needs to be this lamppost.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// The lamppost.
    pub lamppost: LamppostNumber,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its key. It is kept nowhere else.
    pub key_pem: PrivateKeyPem,
    /// The CA's certificate, PEM: by it the lamppost knows the gateway.
    pub ca_pem: String,
    /// Serial number of the certificate.
    pub serial: CertificateSerial,
    /// When it was issued.
    pub issued: UtcMillis,
    /// The last moment at which it is good.
    pub not_after: UtcMillis,
    /// The key of the CA that signed it.
    pub authority: KeyDigest,
}

/// Where the parts of an [`IssuedCertificate`] are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedFiles {
    /// `NUMBER.pem`.
    pub certificate: PathBuf,
    /// `NUMBER.key`, readable by its owner alone.
    pub key: PathBuf,
    /// `ca.pem`.
    pub ca: PathBuf,
}

impl IssuedFiles {
    /// The files of a lamppost in a directory.
    pub fn of(number: &LamppostNumber, directory: &Path) -> Self {
        Self {
            certificate: directory.join(format!("{number}.pem")),
            key: directory.join(format!("{number}.key")),
            ca: directory.join("ca.pem"),
        }
    }

    /// The first of the files that is there already.
    pub fn present(&self) -> Option<&Path> {
        [&self.certificate, &self.key, &self.ca].into_iter().find(|path| path.exists()).map(PathBuf::as_path)
    }
}

impl IssuedCertificate {
    /// Writes the three files into a directory, which is made (mode 0700) if it is not there. Nothing is overwritten.
    ///
    /// # Errors
    /// [`CaFileError`]; what is written by then stays.
    pub fn write_to(&self, directory: &Path) -> Result<IssuedFiles, CaFileError> {
        let files = IssuedFiles::of(&self.lamppost, directory);
        files::make_directory(directory)?;
        files::create(&files.key, self.key_pem.reveal(), Readable::ByOwner)?;
        files::create(&files.certificate, &self.certificate_pem, Readable::ByAll)?;
        files::create(&files.ca, &self.ca_pem, Readable::ByAll)?;
        Ok(files)
    }
}

/// A moment as people write it: `2029-02-23T10:26:01Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub UtcMillis);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = date(self.0).ok().and_then(|date| date.format(&Rfc3339).ok());
        f.pad(text.as_deref().unwrap_or("(no date)"))
    }
}

/// From when until when a certificate is good.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> (UtcMillis, UtcMillis) {
    let validity = certificate.validity();
    let millis = |seconds: i64| UtcMillis(seconds.saturating_mul(1000));
    (millis(validity.not_before.timestamp()), millis(validity.not_after.timestamp()))
}

/// The part that all certificates share: name, dates, and a random serial number.
pub(super) fn parameters(
    common_name: &str,
    now: UtcMillis,
    not_after: UtcMillis,
) -> Result<(CertificateParams, CertificateSerial), AuthorityError> {
    let (serial, number) = random_serial()?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = date(now.plus_ms(-whole_ms(BACKDATED)))?;
    parameters.not_after = date(not_after)?;
    parameters.serial_number = Some(number);
    parameters.use_authority_key_identifier_extension = true;
    Ok((parameters, serial))
}

/// 16 random bytes. The first bit is 0, for serials are positive (RFC 5280, 4.1.2.2), and the second 1, so that all
/// are equally long.
fn random_serial() -> Result<(CertificateSerial, SerialNumber), AuthorityError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|source| AuthorityError::Random { source })?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    let serial =
        CertificateSerial::from_der_integer(&bytes).expect("16 bytes that begin with a 1 are a serial");
    Ok((serial, SerialNumber::from_slice(&bytes)))
}

fn date(at: UtcMillis) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).map_err(|_| AuthorityError::Clock { at })
}
