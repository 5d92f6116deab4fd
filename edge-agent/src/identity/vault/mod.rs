//! The token that holds the lamppost's keys, by PKCS #11: a key is made there, signs there, and never leaves it.
//!
//! It is asked only when something has to be signed, made or destroyed; which certificate belongs to which key is known
//! from files (`reference`). A token that is gone, locked or has another PIN is an error of that moment: the next one asks
//! anew, with the module loaded anew, for many a module sees no token that came later. A PIN that was refused is not tried
//! again (`pin`).
//!
//! Calls of a module block for as long as the token takes, and are made one at a time.

mod error;
mod key;
mod pin;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use lamplighter_protocol::LamppostNumber;
use sha2::{Digest as _, Sha256};

pub use self::error::VaultError;
pub(crate) use self::key::VaultKey;
pub(crate) use self::reference::{KeyId, Reference};

use self::pin::Pin;
use self::reference::Point;
use crate::config::TokenUri;
use crate::outbox::chain;

/// `prime256v1` as an object identifier in DER (RFC 5480, 2.1.1.1).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Remembers a refused PIN, in the folder of what is renewed.
const REFUSED: &str = "pin.refused";

/// The token, and the way to it.
pub(crate) struct Vault {
    uri: TokenUri,
    /// Of all keys that this lamppost makes there (`CKA_LABEL`).
    label: String,
    /// Where a refused PIN is remembered.
    memory: PathBuf,
    way: Mutex<Way>,
    /// Why nothing came of the last call. Apart from the way, for that is closed to others for as long as a call takes.
    problem: Mutex<Option<String>>,
}

/// How far the way to the token is open.
#[derive(Default)]
struct Way {
    // In this order, for a session ends before its module.
    session: Option<Session>,
    module: Option<Pkcs11>,
    /// The stamp of a PIN that was refused, should it not be remembered on disk.
    refused: Option<String>,
}

impl Vault {
    /// The token that the configuration names, for the keys of this lamppost. Nothing is asked of it yet.
    pub(crate) fn new(uri: TokenUri, directory: &Path, lamppost: &LamppostNumber) -> Self {
        let memory = directory.join(REFUSED);
        Self {
            uri,
            label: format!("lamplighter {lamppost}"),
            memory,
            way: Mutex::default(),
            problem: Mutex::default(),
        }
    }

    /// Makes sure that the token is there and takes our PIN.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn unlock(&self) -> Result<(), VaultError> {
        // A session that was good may be no longer.
        self.ask("be reached", |session| session.get_session_info().map(|_| ()))
    }

    /// Why nothing came of the last call; none if it went well.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key of this name, which is made if there is none. Its name is in a file by then: a key that no file names is
    /// destroyed.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn key(self: &Arc<Self>, id: KeyId) -> Result<VaultKey, VaultError> {
        let point = self.ask("make a key", |session| {
            let is_whole = self.object(session, ObjectClass::PRIVATE_KEY, id)?.is_some();
            if let (true, Some(public)) = (is_whole, self.object(session, ObjectClass::PUBLIC_KEY, id)?) {
                return point_of(session, public);
            }
            // The power may have gone between one half and the other.
            self.destroy_in(session, id)?;
            let (public, _) = session.generate_key_pair(
                &Mechanism::EccKeyPairGen,
                &self.template(
                    id,
                    &[Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(P256.to_vec())],
                ),
                &self.template(
                    id,
                    &[
                        Attribute::Private(true),
                        Attribute::Sensitive(true),
                        Attribute::Extractable(false),
                        Attribute::Sign(true),
                    ],
                ),
            )?;
            point_of(session, public)
        })?;
        let point = point.ok_or_else(|| self.strange("public key"))?;
        Ok(VaultKey { vault: Arc::clone(self), id, point })
    }

    /// The names of all keys that this lamppost has made there.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn keys(&self) -> Result<BTreeSet<KeyId>, VaultError> {
        self.ask("list its keys", |session| {
            let mut ids = BTreeSet::new();
            for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
                let label = Attribute::Label(self.label.clone().into_bytes());
                for object in session.find_objects(&[Attribute::Class(class), label])? {
                    for attribute in session.get_attributes(object, &[AttributeType::Id])? {
                        if let Attribute::Id(id) = attribute {
                            ids.extend(KeyId::from_slice(&id));
                        }
                    }
                }
            }
            Ok(ids)
        })
    }

    /// Destroys a key that this lamppost has made.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn destroy(&self, id: KeyId) -> Result<(), VaultError> {
        self.ask("destroy a key", |session| self.destroy_in(session, id))
    }

    /// Both numbers of an ECDSA signature of a message's SHA-256.
    fn sign(&self, id: KeyId, message: &[u8]) -> Result<[[u8; 32]; 2], VaultError> {
        let digest = Sha256::digest(message);
        let signed =
            self.ask("sign", |session| match self.object(session, ObjectClass::PRIVATE_KEY, id)? {
                Some(key) => session.sign(&Mechanism::Ecdsa, key, &digest).map(Some),
                None => Ok(None),
            })?;
        let Some(signed) = signed else {
            // It may be another token by now: it is looked for anew.
            self.way().close();
            let error = VaultError::NoKey { token: self.uri.name(), id: id.to_string() };
            self.remember(Some(error.to_string()));
            return Err(error);
        };
        let (numbers, rest) = signed.as_chunks::<32>();
        match (numbers, rest) {
            ([r, s], []) => Ok([*r, *s]),
            _ => Err(self.strange("signature")),
        }
    }

    fn template(&self, id: KeyId, more: &[Attribute]) -> Vec<Attribute> {
        let own = [
            Attribute::Token(true),
            Attribute::KeyType(KeyType::EC),
            Attribute::Id(id.0.to_vec()),
            Attribute::Label(self.label.clone().into_bytes()),
        ];
        own.iter().chain(more).cloned().collect()
    }

    /// One half of a key of ours.
    fn object(
        &self,
        session: &Session,
        class: ObjectClass,
        id: KeyId,
    ) -> Result<Option<ObjectHandle>, Error> {
        Ok(self.objects(session, class, id)?.first().copied())
    }

    fn objects(&self, session: &Session, class: ObjectClass, id: KeyId) -> Result<Vec<ObjectHandle>, Error> {
        let label = Attribute::Label(self.label.clone().into_bytes());
        session.find_objects(&[Attribute::Class(class), Attribute::Id(id.0.to_vec()), label])
    }

    fn destroy_in(&self, session: &Session, id: KeyId) -> Result<(), Error> {
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            for object in self.objects(session, class, id)? {
                session.destroy_object(object)?;
            }
        }
        Ok(())
    }

    /// Asks the token for something, in a session in which we are logged in. One that has ended since is opened anew, once.
    fn ask<T>(
        &self,
        what: &'static str,
        work: impl Fn(&Session) -> Result<T, Error>,
    ) -> Result<T, VaultError> {
        let mut way = self.way();
        let was_open = way.session.is_some();
        let mut outcome = self.ask_on(&mut way, what, &work);
        if was_open && outcome.as_ref().is_err_and(VaultError::is_of_the_session) {
            outcome = self.ask_on(&mut way, what, &work);
        }
        self.remember(outcome.as_ref().err().map(|error| chain(error)));
        outcome
    }

    fn ask_on<T>(
        &self,
        way: &mut Way,
        what: &'static str,
        work: impl Fn(&Session) -> Result<T, Error>,
    ) -> Result<T, VaultError> {
        let outcome =
            self.opened(way).and_then(|session| work(session).map_err(|error| self.call(what, error)));
        if outcome.is_err() {
            way.close();
        }
        outcome
    }

    /// A session in which we are logged in.
    fn opened<'w>(&self, way: &'w mut Way) -> Result<&'w Session, VaultError> {
        let Way { session, module, refused } = way;
        if let Some(session) = session {
            return Ok(session);
        }
        // Read before the token is touched: what is wrong with it is wrong whatever the token is.
        let pin = pin::read(&self.uri)?;
        if refused.as_ref() == Some(&pin.stamp) || pin::was_refused(&self.memory, &pin) {
            return Err(self.wrong_pin());
        }
        let loaded = match module {
            Some(loaded) => loaded,
            None => module.insert(self.load()?),
        };
        let slot = self.slot(loaded)?;
        let opened = loaded.open_rw_session(slot).map_err(|error| self.call("open a session", error))?;
        self.log_in(&opened, &pin, refused)?;
        Ok(session.insert(opened))
    }

    fn load(&self) -> Result<Pkcs11, VaultError> {
        let unusable = |source| VaultError::Module { path: self.uri.module.clone(), source };
        let module = Pkcs11::new(&self.uri.module).map_err(unusable)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
            Err(error) => Err(unusable(error)),
        }
    }

    fn slot(&self, module: &Pkcs11) -> Result<Slot, VaultError> {
        let failed = |error| self.call("be found", error);
        let mut found = Vec::new();
        let mut others = BTreeSet::new();
        for slot in module.get_slots_with_token().map_err(failed)? {
            // One that is pulled out meanwhile is not ours.
            let Ok(info) = module.get_token_info(slot) else { continue };
            let is = |named: &Option<String>, told: &str| named.as_ref().is_none_or(|named| named == told);
            if is(&self.uri.token, info.label()) && is(&self.uri.serial, info.serial_number()) {
                found.push((slot, info.user_pin_locked()));
            } else if info.token_initialized() && others.len() < 8 {
                others.insert(info.label().escape_debug().to_string());
            }
        }
        match found.as_slice() {
            [(_, true)] => Err(VaultError::Locked { token: self.uri.name() }),
            [(slot, false)] => Ok(*slot),
            [] => {
                let others: Vec<String> = others.into_iter().collect();
                let others = if others.is_empty() {
                    String::new()
                } else {
                    format!(" (there is {})", others.join(", "))
                };
                Err(VaultError::Absent { token: self.uri.name(), others })
            }
            _ => Err(VaultError::Several { token: self.uri.name() }),
        }
    }

    fn log_in(&self, session: &Session, pin: &Pin, refused: &mut Option<String>) -> Result<(), VaultError> {
        let Err(error) = session.login(UserType::User, Some(&pin.secret)) else {
            self.pin_taken(refused);
            return Ok(());
        };
        let Error::Pkcs11(said, _) = &error else { return Err(self.call("log us in", error)) };
        if matches!(said, RvError::UserAlreadyLoggedIn) {
            self.pin_taken(refused);
            Ok(())
        } else if matches!(said, RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange) {
            if let Err(error) = pin::refused(&self.memory, pin) {
                tracing::warn!(%error, "it cannot be remembered on disk that the token refuses the PIN");
            }
            *refused = Some(pin.stamp.clone());
            Err(self.wrong_pin())
        } else if matches!(said, RvError::PinLocked) {
            Err(VaultError::Locked { token: self.uri.name() })
        } else {
            Err(self.call("log us in", error))
        }
    }

    fn pin_taken(&self, refused: &mut Option<String>) {
        *refused = None;
        if let Err(error) = pin::taken(&self.memory) {
            tracing::debug!(%error, "a PIN that is good is still remembered as refused");
        }
    }

    fn remember(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        // Whoever panicked in it left a session at most, which is good or is opened anew.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, what: &'static str, source: Error) -> VaultError {
        VaultError::Call { token: self.uri.name(), what, source }
    }

    fn wrong_pin(&self) -> VaultError {
        VaultError::WrongPin { token: self.uri.name(), path: self.uri.pin_file.clone() }
    }

    fn strange(&self, what: &'static str) -> VaultError {
        VaultError::Strange { token: self.uri.name(), what }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Way {
    /// Ends the session and lets the module go.
    fn close(&mut self) {
        self.session = None;
        if let Some(module) = self.module.take()
            && let Err(error) = module.finalize()
        {
            tracing::debug!(%error, "a PKCS#11 module does not end");
        }
    }
}

/// The point of a public key.
fn point_of(session: &Session, public: ObjectHandle) -> Result<Option<Point>, Error> {
    let told = session.get_attributes(public, &[AttributeType::EcPoint])?;
    let bytes =
        told.iter().find_map(|one| if let Attribute::EcPoint(bytes) = one { Some(bytes) } else { None });
    Ok(bytes.and_then(|bytes| Point::told(bytes)))
}
