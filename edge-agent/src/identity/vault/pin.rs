//! The file with a token's PIN, and the memory that a token has refused it.
//!
//! A token counts wrong PINs, and locks after a few. So one that was refused is not tried again before somebody has
//! changed the file, or the configuration names another token: not in this life of the agent, and, by a file beside the
//! lamppost's certificates, in no later one. That file says which file it was and when that was written, and nothing of
//! what is in it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::VaultError;
use crate::config::TokenUri;
use crate::identity::files::{self, Files as _, Readable, SystemFiles};

/// No PIN is longer, in bytes; tokens take 4 to some 64.
const MAX_PIN_BYTES: usize = 255;

/// A PIN, and which one it is without saying it.
#[derive(Debug)]
pub(super) struct Pin {
    pub(super) secret: AuthPin,
    /// Changes when somebody writes the file anew, or touches it.
    pub(super) stamp: String,
}

/// Reads the PIN that the configuration names, if nobody but its owner can.
pub(super) fn read(uri: &TokenUri) -> Result<Pin, VaultError> {
    let path = &uri.pin_file;
    let unreadable = |source: io::Error| VaultError::PinFile { path: path.clone(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(VaultError::PinForAll { path: path.clone(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 3));
    file.take(MAX_PIN_BYTES as u64 + 3).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() > MAX_PIN_BYTES {
        return Err(VaultError::NoPin { path: path.clone() });
    }
    let stamp = format!(
        "{uri}\n{} {} {}.{:09} {}.{:09}\n",
        metadata.dev(),
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    );
    Ok(Pin { secret: AuthPin::from(text.to_owned()), stamp })
}

/// Whether the token has refused this PIN before.
pub(super) fn was_refused(memory: &Path, pin: &Pin) -> bool {
    SystemFiles.read(memory).is_ok_and(|stamp| stamp == pin.stamp.as_bytes())
}

/// The token has refused this PIN.
pub(super) fn refused(memory: &Path, pin: &Pin) -> io::Result<()> {
    // The installer may be the first to ask anything of the token.
    std::fs::create_dir_all(files::folder_of(memory))?;
    files::replace(&SystemFiles, memory, pin.stamp.as_bytes(), Readable::ByOwner)
}

/// The token has taken a PIN.
pub(super) fn taken(memory: &Path) -> io::Result<()> {
    files::remove(&SystemFiles, memory)
}
