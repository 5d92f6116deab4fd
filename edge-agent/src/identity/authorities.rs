//! The authorities by which this lamppost knows the server: those in the configured file, until the server tells of others
//! (RFC 7030, 4.1.3). It is asked at each renewal, over a connection that those known so far have certified; what it says is
//! kept once it has worked on another connection, beside the renewed pair:
//!
//! | file | what | since |
//! | --- | --- | --- |
//! | `authorities.pem` | those that count now | before the pair that one of them has signed |
//!
//! So an authority can be replaced without anybody going to the lamppost, and one that the server does not tell of any more
//! is not trusted any more. The file says which configured one it takes the place of: once another one is configured, that
//! counts.

use std::io;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::certificate::Fingerprint;
use super::files::{self, Readable};
use super::pair::pem_of;
use super::request::Unacceptable;
use super::store::{INSTEAD_OF, Store, StoreError, failed, instead_of};
use crate::tls::{self, TlsError};

const FILE: &str = "authorities.pem";

/// Authorities that a server has told of.
#[derive(Clone, Debug)]
pub(crate) struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Those among the certificates that are nobody else's word: what one authority says of another is for whoever does not
    /// know that one yet.
    pub(super) fn told(sent: Vec<CertificateDer<'static>>) -> Result<Self, Unacceptable> {
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        for der in sent.into_iter().filter(|der| is_root(der)) {
            if roots.add(der.clone()).is_ok() {
                certificates.push(der);
            }
        }
        if certificates.is_empty() {
            return Err(Unacceptable::NoAuthority);
        }
        Ok(Self { certificates, roots: Arc::new(roots) })
    }

    pub(super) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// Whether these are known already, and nothing else is.
    pub(super) fn are(&self, known: &RootCertStore) -> bool {
        let (ours, theirs) = (&self.roots.roots, &known.roots);
        ours.iter().all(|root| theirs.contains(root)) && theirs.iter().all(|root| ours.contains(root))
    }

    pub(super) fn pem(&self) -> String {
        self.certificates.iter().map(pem_of).collect()
    }
}

impl Store {
    /// The authorities that the server is known by.
    ///
    /// # Errors
    /// [`TlsError`] of the configured file, if it has told of no others.
    pub(crate) fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let read = self.files.read(&self.ca_file);
        let configured = read.map_err(|source| TlsError::Authority {
            path: self.ca_file.clone(),
            source: pem::Error::Io(source),
        })?;
        match self.told(Fingerprint::of(&configured)) {
            Some(told) => Ok(told.roots),
            None => tls::authorities_of(&self.ca_file, &configured),
        }
    }

    /// These count from now on.
    pub(super) fn keep_authorities(&self, authorities: &Authorities) -> Result<(), StoreError> {
        let configured = self.files.read(&self.ca_file).map_err(failed("read", &self.ca_file))?;
        let text = format!("{INSTEAD_OF}{}\n{}", Fingerprint::of(&configured), authorities.pem());
        let path = self.path(FILE);
        files::replace(&*self.files, &path, text.as_bytes(), Readable::ByAll).map_err(failed("write", &path))
    }

    fn told(&self, configured: Fingerprint) -> Option<Authorities> {
        let path = self.path(FILE);
        let bytes = match self.files.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "cannot read {}: the configured authority counts", path.display());
                return None;
            }
        };
        if instead_of(&bytes) != Some(configured) {
            return None;
        }
        let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let told = all.ok().and_then(|all| Authorities::told(all).ok());
        if told.is_none() {
            tracing::warn!("{} is damaged: the configured authority counts", path.display());
        }
        told
    }
}

fn is_root(der: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(der)
        .is_ok_and(|(_, certificate)| certificate.is_ca() && certificate.subject() == certificate.issuer())
}
