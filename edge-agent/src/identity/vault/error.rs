//! What may be wrong with a token, and what to do about it.

use std::io;
use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

/// Why a token does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its module is none.
    #[error("cannot load the PKCS#11 module {}; install it, or correct module-path in server.pkcs11_uri", path.display())]
    Module {
        /// The library.
        path: PathBuf,
        /// Why not.
        source: Error,
    },
    /// It is not there.
    #[error("there is no PKCS#11 token {token}{others}; plug it in, or correct server.pkcs11_uri")]
    Absent {
        /// Which.
        token: String,
        /// Those that are there, for people.
        others: String,
    },
    /// There are several.
    #[error("there are several PKCS#11 tokens {token}; tell them apart by serial in server.pkcs11_uri")]
    Several {
        /// Their name.
        token: String,
    },
    /// The PIN's file cannot be read.
    #[error("cannot read the PIN from {}; correct pin-source in server.pkcs11_uri", path.display())]
    PinFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others can read the PIN.
    #[error("{} may be read by others than its owner (mode {mode:o}), and holds a PIN; chmod 600 it", path.display())]
    PinForAll {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no PIN in its file.
    #[error("{} holds no PIN; write it there, of 1 to 255 bytes", path.display())]
    NoPin {
        /// Which.
        path: PathBuf,
    },
    /// The PIN is wrong.
    #[error(
        "the PKCS#11 token {token} refuses the PIN in {}; it is not tried again, so that the token does not lock: write the \
         right one there",
        path.display()
    )]
    WrongPin {
        /// Which.
        token: String,
        /// The PIN's file.
        path: PathBuf,
    },
    /// A wrong PIN was tried too often.
    #[error("the PIN of the PKCS#11 token {token} is locked; unlock it with the token's own tool")]
    Locked {
        /// Which.
        token: String,
    },
    /// It does not have our key.
    #[error(
        "the PKCS#11 token {token} has no key {id}: it is another token, or the key was destroyed; enrol again: edge-agent \
         enrol --again"
    )]
    NoKey {
        /// Which token.
        token: String,
        /// Which key.
        id: String,
    },
    /// It did something else than the standard says.
    #[error("the PKCS#11 token {token} gave no {what} of P-256")]
    Strange {
        /// Which.
        token: String,
        /// What it should have given.
        what: &'static str,
    },
    /// A call did not come back as it should.
    #[error("a call of the PKCS#11 module was cut short")]
    CutShort,
    /// A call failed.
    #[error("the PKCS#11 token {token} cannot {what}")]
    Call {
        /// Which.
        token: String,
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: Error,
    },
}

impl VaultError {
    /// Whether another session may do better at once.
    pub(super) fn is_of_the_session(&self) -> bool {
        let Self::Call { source: Error::Pkcs11(said, _), .. } = self else { return false };
        matches!(
            said,
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::CryptokiNotInitialized
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid
        )
    }
}
