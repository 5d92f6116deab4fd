//! Keys in the token that nobody refers to any more: that of a certificate whose place another one has taken, or of one that
//! never came because the power went. They are found by the label that all of this lamppost's keys have, and destroyed once
//! a login has worked: until then the key that nobody seems to refer to may be the one that is needed.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::files::new_name;
use super::store::{Store, StoreError, failed};
use super::vault::{KeyId, Reference, Vault};

impl Store {
    /// Destroys what the token has of this lamppost's keys and no file refers to. Returns how many.
    ///
    /// # Errors
    /// If the token does not, or if it cannot be said what a file refers to: nothing is destroyed then.
    pub(crate) fn destroy_orphans(&self) -> Result<usize, StoreError> {
        let Some(vault) = &self.vault else { return Ok(0) };
        self.destroy_orphans_in(vault)
    }

    fn destroy_orphans_in(&self, vault: &Arc<Vault>) -> Result<usize, StoreError> {
        // In this order: whoever makes a key, which may be an `enrol` beside the agent, names it in a file before.
        let made = vault.keys()?;
        let named = self.named()?;
        let orphans: Vec<KeyId> = made.difference(&named).copied().collect();
        for orphan in &orphans {
            vault.destroy(*orphan)?;
        }
        Ok(orphans.len())
    }

    /// The keys that files refer to, read in the order in which a key goes through them: one that moves on meanwhile is met
    /// again.
    fn named(&self) -> Result<BTreeSet<KeyId>, StoreError> {
        let enrolling = new_name(&self.key_file);
        let files = [
            new_name(&enrolling),
            enrolling,
            self.key_file.clone(),
            self.path("request.key.new"),
            self.path("request.key"),
            self.path("trial.pem.new"),
            self.path("trial.pem"),
            self.path("current.pem"),
        ];
        let mut named = BTreeSet::new();
        for path in files {
            let bytes = match self.files.read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("read", &path)(error)),
            };
            match Reference::find(&bytes) {
                Ok(Some(reference)) => {
                    named.insert(reference.id);
                }
                Ok(None) if PrivateKeyDer::from_pem_slice(&bytes).is_ok() => {}
                Ok(None) | Err(_) => return Err(StoreError::Nameless { path }),
            }
        }
        Ok(named)
    }
}
