//! The gateway's own certificate. It is derived: whenever it does not fit, it is made anew.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use lamplighter_protocol::UtcMillis;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::authority::Authority;
use super::certificate::validity;
use super::error::AuthorityError;
use super::files::{self, Readable};

/// The gateway's certificate with its key.
#[derive(Debug)]
pub struct ServerCertificate {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
    not_before: UtcMillis,
    not_after: UtcMillis,
}

/// Why the gateway's certificate was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyMade {
    /// There was none.
    Missing,
    /// Its files hold no certificate with its key; a crash between the writing of the two leaves them so.
    Unusable,
    /// Another CA signed it.
    OtherAuthority,
    /// It was for other names.
    OtherNames,
    /// Less than a third of its time is left, or its time has not come yet.
    Ending,
}

impl fmt::Display for WhyMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there was none",
            Self::Unusable => "the files held no certificate with its key",
            Self::OtherAuthority => "another CA had signed the one there was",
            Self::OtherNames => "the one there was had other names",
            Self::Ending => "the one there was had less than a third of its time left, or was not good yet",
        })
    }
}

impl ServerCertificate {
    /// The directory in the data directory.
    pub const DIRECTORY_NAME: &'static str = "tls";

    /// Takes the gateway's certificate from its directory, or makes it there (and says why) for the given names and,
    /// always, `localhost`, `127.0.0.1` and `::1`. To be called at every
    /// start, and whenever it [is due](Self::is_due) or the CA another one.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn open_or_make(
        directory: &Path,
        authority: &Authority,
        names: &[ServerName<'static>],
        now: UtcMillis,
    ) -> Result<(Self, Option<WhyMade>), AuthorityError> {
        files::make_directory(directory)?;
        let _one_at_a_time = files::lock(directory)?;
        let (certificate_path, key_path) = (directory.join("server.pem"), directory.join("server.key"));
        let names = with_local_names(names);
        let found = match (files::read(&certificate_path)?, files::read(&key_path)?) {
            (Some(certificate), Some(key)) => Self::usable(&certificate, &key, authority, &names, now),
            (None, _) | (_, None) => Err(WhyMade::Missing),
        };
        let why = match found {
            Ok(found) => return Ok((found, None)),
            Err(why) => why,
        };
        let (certificate, key, not_after) = authority.issue_server(&names, now)?;
        files::replace(&key_path, &key.serialize_pem(), Readable::ByOwner)?;
        files::replace(&certificate_path, &certificate.pem(), Readable::ByAll)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let certificate = certificate.der().clone();
        Ok((Self { certificate, key, not_before: now, not_after }, Some(why)))
    }

    /// The last moment at which it is good.
    pub fn not_after(&self) -> UtcMillis {
        self.not_after
    }

    /// Whether another one is to be made: less than a third of its time is left, or its time has not come yet.
    pub fn is_due(&self, now: UtcMillis) -> bool {
        let (begin, end) = (self.not_before, self.not_after);
        now < begin || end.since_ms(now) < end.since_ms(begin) / 3
    }

    fn usable(
        certificate: &str,
        key: &str,
        authority: &Authority,
        names: &[ServerName<'static>],
        now: UtcMillis,
    ) -> Result<Self, WhyMade> {
        let found = Self::parse(certificate, key).ok_or(WhyMade::Unusable)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&found.certificate).map_err(|_| WhyMade::Unusable)?;
        let (_, ca) = x509_parser::parse_x509_certificate(authority.certificate_der())
            .map_err(|_| WhyMade::OtherAuthority)?;
        parsed.verify_signature(Some(ca.public_key())).map_err(|_| WhyMade::OtherAuthority)?;
        if names_of(&parsed) != Some(sorted(names)) {
            return Err(WhyMade::OtherNames);
        }
        if found.is_due(now) { Err(WhyMade::Ending) } else { Ok(found) }
    }

    /// None when one of the two is not what it should be, or they do not belong together.
    fn parse(certificate: &str, key: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
        let pair = rcgen::KeyPair::from_pem_and_sign_algo(key, &rcgen::PKCS_ECDSA_P256_SHA256).ok()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let belongs = parsed.public_key().raw == rcgen::PublicKeyData::subject_public_key_info(&pair);
        let (not_before, not_after) = validity(&parsed);
        belongs.then_some(Self { certificate, key, not_before, not_after })
    }
}

fn with_local_names(names: &[ServerName<'static>]) -> Vec<ServerName<'static>> {
    let localhost = ServerName::try_from("localhost").expect("localhost is a name");
    let loopback =
        [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].map(ServerName::from);
    let mut all = Vec::new();
    for name in names.iter().cloned().chain([localhost]).chain(loopback) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// The names of a certificate as sorted texts; none if one is neither a DNS name nor an address.
fn names_of(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let names = certificate.subject_alternative_name().ok()??;
    let mut texts: Vec<String> = names.value.general_names.iter().map(text_of).collect::<Option<_>>()?;
    texts.sort();
    Some(texts)
}

fn text_of(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
    address
        .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
        .ok()
        .map(|address| address.to_string())
}

fn sorted(names: &[ServerName<'static>]) -> Vec<String> {
    let mut texts: Vec<String> = names.iter().map(|name| name.to_str().into_owned()).collect();
    texts.sort();
    texts
}
