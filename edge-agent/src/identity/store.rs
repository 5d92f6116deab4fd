//! Which certificate and key this lamppost has, on disk.
//!
//! The configured files are whoever enrolled it's: the agent reads them, and never writes them. What it renews is in its
//! state folder, key and certificate in one file, so that no power cut can leave one without the other:
//!
//! | file | what | since |
//! | --- | --- | --- |
//! | `request.key` | the key that a certificate is being asked for | before the server is asked, so that a lost answer is asked for again with the same key |
//! | `trial.pem` | a renewed pair that no login has worked with yet | the answer came; `request.key` goes then |
//! | `current.pem` | the renewed pair | a login with it worked: `trial.pem` is renamed |
//!
//! Where the configuration names a token, what stands in these files in the place of a key is the name of a key there (see
//! `vault`), and the name is on disk before the key is made.
//!
//! Which authorities the server is known by is kept beside it: see `authorities`.
//!
//! A renewed pair says which configured certificate it takes the place of. Once another one is configured, by hand or by
//! `enrol --again`, that one counts, and the renewed pair no more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lamplighter_protocol::LamppostNumber;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem;

use super::certificate::Fingerprint;
use super::files::{self, Files, Readable, SystemFiles, new_name};
use super::new_key::{KeyError, NewKey};
use super::pair::{Pair, PairError, pem_of};
use super::vault::{KeyId, Reference, Vault, VaultError};
use crate::config::ServerConfig;

/// Before the fingerprint of the configured certificate that a renewed pair takes the place of.
pub(super) const INSTEAD_OF: &str = "In place of: ";

/// The lamppost's certificates and keys.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) files: Box<dyn Files>,
    pub(super) ca_file: PathBuf,
    certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) vault: Option<Arc<Vault>>,
    directory: PathBuf,
    lamppost: LamppostNumber,
}

/// The pair that logins use.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    pub(crate) pair: Pair,
    /// The configured certificate beside it, or that it is.
    configured: Option<Fingerprint>,
}

/// A change on disk that failed. What was there before is still there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot make a key")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("cannot tell which key {} refers to: none is destroyed", path.display())]
    Nameless { path: PathBuf },
}

/// A pair that was renewed.
#[derive(Debug)]
struct Kept {
    pair: Pair,
    instead_of: Option<Fingerprint>,
}

impl Store {
    /// What is there. `state_dir` has a folder for it: see [`directory`](Self::directory).
    pub(crate) fn new(server: &ServerConfig, state_dir: &Path, lamppost: LamppostNumber) -> Self {
        Self::on(Box::new(SystemFiles), server, state_dir, lamppost)
    }

    pub(super) fn on(
        files: Box<dyn Files>,
        server: &ServerConfig,
        state_dir: &Path,
        lamppost: LamppostNumber,
    ) -> Self {
        let directory = Self::directory(state_dir);
        let vault = server.pkcs11.clone().map(|uri| Arc::new(Vault::new(uri, &directory, &lamppost)));
        Self {
            files,
            vault,
            ca_file: server.ca_file.clone(),
            certificate_file: server.certificate_file.clone(),
            key_file: server.key_file.clone(),
            directory,
            lamppost,
        }
    }

    /// The folder of what is renewed.
    pub(crate) fn directory(state_dir: &Path) -> PathBuf {
        state_dir.join("identity")
    }

    /// The pair that logins use: the renewed one, unless somebody has configured another since.
    ///
    /// # Errors
    /// Why the configured one cannot be used, if there is no renewed one.
    pub(crate) fn newest(&self) -> Result<Newest, PairError> {
        let configured = self.configured();
        let of_configured = configured.as_ref().ok().map(|pair| pair.certificate.fingerprint);
        match self.kept("current.pem", of_configured) {
            Some(kept) => Ok(Newest { pair: kept.pair, configured: of_configured }),
            None => configured.map(|pair| Newest { pair, configured: of_configured }),
        }
    }

    /// The renewed pair that no login has worked with yet.
    pub(crate) fn trial(&self) -> Option<Pair> {
        let configured = self.configured().ok().map(|pair| pair.certificate.fingerprint);
        self.kept("trial.pem", configured).map(|kept| kept.pair)
    }

    /// The key to ask for a certificate with: that of a request that had no answer, or a new one, which is then on disk.
    pub(crate) fn request_key(&self) -> Result<NewKey, StoreError> {
        request_key(&*self.files, &self.path("request.key"), self.vault.as_ref())
    }

    /// Makes sure that keys in the token, if there is one, can be used. This may take long.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn unlock(&self) -> Result<(), VaultError> {
        self.vault.as_ref().map_or(Ok(()), |vault| vault.unlock())
    }

    /// Why keys in the token could not be used when that was last tried.
    pub(crate) fn locked(&self) -> Option<String> {
        self.vault.as_ref().and_then(|vault| vault.problem())
    }

    /// The server has certified the request's key: from now on there is a pair to try.
    pub(crate) fn keep_trial(
        &self,
        key: &NewKey,
        chain: &[CertificateDer<'static>],
        besides: &Newest,
    ) -> Result<(), StoreError> {
        let instead_of = besides.configured.map(|configured| format!("{INSTEAD_OF}{configured}\n"));
        let mut text = instead_of.unwrap_or_default();
        text.push_str(&key.text());
        text.extend(chain.iter().map(|certificate| pem_of(certificate)));
        let path = self.path("trial.pem");
        files::replace(&*self.files, &path, text.as_bytes(), Readable::ByOwner)
            .map_err(failed("write", &path))?;
        self.forget("request.key")
    }

    /// A login with the trial worked: it is the lamppost's pair now.
    pub(crate) fn promote(&self) -> Result<(), StoreError> {
        // It may still be there if the power went when the trial came: no key serves two certificates.
        self.forget("request.key")?;
        let (trial, current) = (self.path("trial.pem"), self.path("current.pem"));
        self.files.rename(&trial, &current).map_err(failed("replace", &current))?;
        self.files.sync_directory(&self.directory).map_err(failed("sync", &self.directory))
    }

    /// The trial is good for nothing.
    pub(crate) fn discard(&self) -> Result<(), StoreError> {
        self.forget("request.key")?;
        self.forget("trial.pem")
    }

    /// The configured pair. A certificate that [`enrol`](super::enrol()) was about to put in its place, when the power went,
    /// counts as there if the key already is.
    fn configured(&self) -> Result<Pair, PairError> {
        let at = |path: &Path| pair_at(&*self.files, path, &self.key_file, self.vault.as_ref());
        at(&self.certificate_file).or_else(|error| match at(&new_name(&self.certificate_file)) {
            Ok(pair) => Ok(pair),
            Err(_) => Err(error),
        })
    }

    fn kept(&self, name: &str, configured: Option<Fingerprint>) -> Option<Kept> {
        let path = self.path(name);
        let bytes = match self.files.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "cannot read {}: it is not used", path.display());
                return None;
            }
        };
        let pair = Pair::read((&path, &bytes), (&path, &bytes), self.vault.as_ref())
            .inspect_err(|error| tracing::warn!(%error, "{} is damaged: it is not used", path.display()))
            .ok()?;
        let kept = Kept { pair, instead_of: instead_of(&bytes) };
        let is_ours = kept.pair.certificate.common_name == self.lamppost.as_str();
        (is_ours && configured.is_none_or(|configured| kept.instead_of == Some(configured))).then_some(kept)
    }

    fn forget(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        files::remove(&*self.files, &path).map_err(failed("remove", &path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The key in this file, or the key in the token that it names; made and synced if there is none that can be used.
pub(super) fn request_key(
    files: &dyn Files,
    path: &Path,
    vault: Option<&Arc<Vault>>,
) -> Result<NewKey, StoreError> {
    let kept = match files.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let keep = |text: String| {
        files::replace(files, path, text.as_bytes(), Readable::ByOwner).map_err(failed("write", path))
    };
    let Some(vault) = vault else {
        if let Ok(key) = KeyPair::from_pem(&String::from_utf8_lossy(&kept)) {
            return Ok(NewKey::File(key));
        }
        let key = NewKey::in_memory()?;
        keep(key.text())?;
        return Ok(key);
    };
    let named = if let Ok(Some(named)) = Reference::find(&kept) {
        named
    } else {
        let named = Reference { id: KeyId::random().map_err(KeyError::from)?, point: None };
        keep(named.text())?;
        named
    };
    let key = NewKey::in_vault(vault, named)?;
    // With the public key, which was not known before.
    keep(key.text())?;
    Ok(key)
}

impl Pair {
    /// The pair that the configuration names, with its key in a file.
    pub(crate) fn configured(server: &ServerConfig) -> Result<Self, PairError> {
        pair_at(&SystemFiles, &server.certificate_file, &server.key_file, None)
    }
}

/// A certificate and a key in a file each.
pub(super) fn pair_at(
    files: &dyn Files,
    certificate: &Path,
    key: &Path,
    vault: Option<&Arc<Vault>>,
) -> Result<Pair, PairError> {
    let read = |what, path: &Path| {
        let no = |source| PairError::File { what, path: path.to_owned(), source: pem::Error::Io(source) };
        files.read(path).map_err(no)
    };
    let (certificate_bytes, key_bytes) = (read("certificate", certificate)?, read("private key", key)?);
    Pair::read((certificate, &certificate_bytes), (key, &key_bytes), vault)
}

/// Which configured certificate, or file of authorities, something takes the place of.
pub(super) fn instead_of(bytes: &[u8]) -> Option<Fingerprint> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.lines().find_map(|line| line.strip_prefix(INSTEAD_OF))?.parse().ok()
}

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { what, path, source }
}
