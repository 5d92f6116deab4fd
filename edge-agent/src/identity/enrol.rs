//! The installer's part: a one-time token, and in exchange a certificate for a key that is made here.
//!
//! | step | on disk | if the power goes after it, the next `enrol` |
//! | --- | --- | --- |
//! | the key is made | `KEY.new` | asks with this key, with which the token goes on working |
//! | the certificate came | `CERTIFICATE.new` | completes what was begun |
//! | the key is put in place | `KEY` | completes; the agent takes the two that belong together |
//! | the certificate is put in place | `CERTIFICATE` | has nothing to do |

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::StatusCode;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};

use super::authorities::Authorities;
use super::certificate::{Certificate, Fingerprint};
use super::est::{Est, EstError, Token};
use super::files::{self, Files, Readable, SystemFiles, folder_of, new_name};
use super::first_contact::{self, FirstContactError};
use super::new_key::KeyError;
use super::pair::{Pair, pem_of};
use super::request::{self, Unacceptable};
use super::store::{self, Store, StoreError};
use super::vault::{Vault, VaultError};
use crate::clock::{Clock, ClockTrust};
use crate::config::{Config, ServerConfig};
use crate::tls::{self, TlsError};

/// How the server is known at the first contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By the authority's certificate at the configured place, or by what the server has told of since.
    Configured,
    /// By the authority's certificate in this file, which is copied to the configured place.
    File(PathBuf),
    /// By the fingerprint of the authority's certificate, which is fetched and written to the configured place.
    Fingerprint(Fingerprint),
}

/// What is done if the lamppost has a certificate already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfEnrolled {
    /// It keeps it.
    Leave,
    /// It is given another one.
    Replace,
}

/// A lamppost has a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Whether it has just come.
    pub is_new: bool,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// From when on it is good.
    pub from: UtcMillis,
    /// Until when.
    pub until: UtcMillis,
    /// Where its key is, for people: a file, or a token.
    pub key_place: String,
}

/// Why a lamppost has no certificate yet.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Nothing says which server is the right one.
    #[error(
        "there is no {} by which to know the server: copy the fleet's ca.pem there, or name it with --ca, or give its \
         fingerprint with --ca-sha256 (openssl x509 -in ca.pem -noout -fingerprint -sha256)",
        path.display()
    )]
    NoAuthority {
        /// The configured place.
        path: PathBuf,
    },
    /// The authority that was named cannot be used, or TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authority's certificate cannot be fetched.
    #[error(transparent)]
    FirstContact(#[from] FirstContactError),
    /// The server cannot be asked, or says no.
    #[error("{advice}")]
    Server {
        /// What to do.
        advice: String,
        /// What happened.
        source: EstError,
    },
    /// What the server sent is not ours.
    #[error(transparent)]
    Unacceptable(#[from] Unacceptable),
    /// The key or the request cannot be made.
    #[error("cannot make a key and a request with it")]
    Key(#[source] KeyError),
    /// The token does not do what it is asked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file cannot be written.
    #[error("cannot {what} {}; run this as the agent's user, and let it write there", path.display())]
    File {
        /// What failed.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::File { what, path, source } => Self::File { what, path, source },
            StoreError::Key(source) => Self::Key(source),
            StoreError::Vault(source) => Self::Vault(source),
            StoreError::Nameless { path } => {
                let source = io::ErrorKind::InvalidData.into();
                Self::File { what: "read", path, source }
            }
        }
    }
}

/// Asks the configured server for a certificate, unless there is one, and puts it where the configuration says.
///
/// # Errors
/// [`EnrolError`]. It can be run again: it goes on where it was.
pub async fn enrol(
    config: &Config,
    token: &Token,
    trust: &Trust,
    if_enrolled: IfEnrolled,
    clock: Arc<dyn Clock>,
) -> Result<Enrolled, EnrolError> {
    let (server, lamppost) = (&config.server, &config.lamppost);
    let store = Store::new(server, &config.state_dir, lamppost.clone());
    let place = Place { files: &SystemFiles, server, vault: store.vault.as_ref() };
    if let Some(pair) = place.complete(lamppost)? {
        return Ok(Enrolled::of(&pair, true));
    }
    if let (IfEnrolled::Leave, Ok(newest)) = (if_enrolled, store.newest()) {
        let certificate = &newest.pair.certificate;
        let now = clock.now();
        let is_over = now.trust != ClockTrust::Unknown && now.wall > certificate.until;
        if certificate.common_name == lamppost.as_str() && !is_over {
            return Ok(Enrolled::of(&newest.pair, false));
        }
    }

    let (roots, authority) = known(&store, server, trust).await?;
    let key = store::request_key(place.files, &new_name(&server.key_file), place.vault)?;
    let asked = key.request(lamppost).map_err(EnrolError::Key)?;
    let est = |roots| Ok::<_, TlsError>(Est::new(server, tls::trusting(roots, None, Arc::clone(&clock))?));
    let no = |source| EnrolError::Server { advice: advice(&source, config), source };
    // One that is known may have a successor, which signs now (RFC 7030, 4.1.3).
    let told = Authorities::told(est(Arc::clone(&roots))?.authorities().await.map_err(no)?)?;
    let sent = est(Arc::clone(told.roots()))?.enrol(&asked, lamppost, token).await.map_err(no)?;
    let (_, der) = request::accept(sent, &key, lamppost, told.roots(), clock.now())?;
    let authority = if told.are(&roots) { authority } else { Some(told.pem().into_bytes()) };
    if let Some(authority) = authority {
        place.replace(&server.ca_file, &authority)?;
    }
    place.replace(&new_name(&server.certificate_file), pem_of(&der).as_bytes())?;
    let pair = place.complete(lamppost)?.ok_or(Unacceptable::OtherKey)?;
    Ok(Enrolled::of(&pair, true))
}

impl Enrolled {
    fn of(pair: &Pair, is_new: bool) -> Self {
        let Certificate { serial, from, until, .. } = &pair.certificate;
        let key_place = pair.key_place.clone();
        Self { is_new, serial: serial.clone(), from: *from, until: *until, key_place }
    }
}

/// The authorities by which the server is known, and their PEM if it is to be written to the configured place.
async fn known(
    store: &Store,
    server: &ServerConfig,
    trust: &Trust,
) -> Result<(Arc<RootCertStore>, Option<Vec<u8>>), EnrolError> {
    match trust {
        Trust::Configured if !server.ca_file.exists() => {
            Err(EnrolError::NoAuthority { path: server.ca_file.clone() })
        }
        Trust::Configured => Ok((store.roots()?, None)),
        Trust::File(path) => {
            let roots = tls::authorities(path)?;
            let read = SystemFiles.read(path);
            let text =
                read.map_err(|source| EnrolError::File { what: "read", path: path.clone(), source })?;
            Ok((roots, Some(text)))
        }
        Trust::Fingerprint(fingerprint) => {
            let is_named = |certificate: &CertificateDer<'_>| Fingerprint::of(certificate) == *fingerprint;
            let there = CertificateDer::pem_file_iter(&server.ca_file).into_iter().flatten().flatten();
            let authority = match { there }.find(is_named) {
                Some(authority) => authority,
                None => first_contact::authority(server, *fingerprint).await?,
            };
            let text = pem_of(&authority).into_bytes();
            let mut roots = RootCertStore::empty();
            let unusable = |source| TlsError::Unusable { path: server.ca_file.clone(), source };
            roots.add(authority).map_err(unusable)?;
            Ok((Arc::new(roots), Some(text)))
        }
    }
}

/// The files that the configuration names.
struct Place<'a> {
    files: &'a dyn Files,
    server: &'a ServerConfig,
    vault: Option<&'a Arc<Vault>>,
}

impl Place<'_> {
    /// Puts key and certificate in place if both are there: the key first, for with it the new certificate is found
    /// wherever it is.
    fn complete(&self, lamppost: &LamppostNumber) -> Result<Option<Pair>, EnrolError> {
        let ServerConfig { key_file, certificate_file, .. } = self.server;
        let (new_key, new_certificate) = (new_name(key_file), new_name(certificate_file));
        let together = |key: &Path| {
            let pair = store::pair_at(self.files, &new_certificate, key, self.vault).ok()?;
            (pair.certificate.common_name == lamppost.as_str()).then_some(pair)
        };
        if together(&new_key).is_some() {
            self.rename(&new_key, key_file)?;
        }
        let Some(pair) = together(key_file) else { return Ok(None) };
        self.rename(&new_certificate, certificate_file)?;
        Ok(Some(pair))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), EnrolError> {
        self.files.rename(from, to).map_err(store::failed("replace", to))?;
        Ok(self.files.sync_directory(folder_of(to)).map_err(store::failed("sync", folder_of(to)))?)
    }

    /// Writes what everybody may read.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), EnrolError> {
        Ok(files::replace(self.files, path, bytes, Readable::ByAll).map_err(store::failed("write", path))?)
    }
}

/// What an installer does about it.
fn advice(error: &EstError, config: &Config) -> String {
    let lamppost = &config.lamppost;
    let ca = config.server.ca_file.display();
    match error {
        EstError::Refused(refusal) if refusal.status == StatusCode::UNAUTHORIZED => format!(
            "the server does not take this token for {lamppost}: compare number and token with what the operator gave you"
        ),
        EstError::Refused(refusal) if refusal.status == StatusCode::FORBIDDEN => format!(
            "the token has ended or was used for another key, or {lamppost} is not registered: ask the operator for a new \
             one (fleet-server token create {lamppost})"
        ),
        EstError::Refused(refusal) if refusal.status == StatusCode::BAD_REQUEST => {
            "the server does not understand this agent's request: are both of one release?".to_owned()
        }
        EstError::Refused(refusal) => match refusal.retry_after {
            Some(wait) => format!("the server has no time now: try again in {} s", wait.as_secs()),
            None => {
                "the server cannot enrol now: try again, or ask the operator to look at its log".to_owned()
            }
        },
        EstError::Tls { source, .. } => match certificate_error(source) {
            Some(CertificateError::UnknownIssuer | CertificateError::BadSignature) => format!(
                "the server is not certified by the authority that is trusted here: compare {ca} (or --ca, --ca-sha256) \
                 with the fleet's, and host and port in the configuration; this may be another server"
            ),
            Some(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => "the server's certificate is not good at the time that this machine shows: set its clock"
                .to_owned(),
            Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
                format!(
                    "the server's certificate is not for \"{}\": write its name as the certificate has it",
                    config.server.host
                )
            }
            Some(_) | None => "the server cannot be trusted".to_owned(),
        },
        EstError::Unreachable { .. }
        | EstError::Slow { .. }
        | EstError::NoEst { .. }
        | EstError::Http { .. }
        | EstError::TooLong { .. }
        | EstError::Answer(_) => format!("{lamppost} is not enrolled yet"),
    }
}

/// What TLS does not like about the server's certificate.
fn certificate_error(error: &io::Error) -> Option<&CertificateError> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidCertificate(error) = error { Some(error) } else { None }
}
