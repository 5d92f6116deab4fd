//! The operator's side of the status socket.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::report::Status;

/// An agent that is alive answers at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Many times what 63 devices need.
const MAX_BYTES: u64 = 4 << 20;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens at the socket.
    #[error("no agent is running: nothing answers at {}", .0.display())]
    NotRunning(PathBuf),
    /// The socket is another user's.
    #[error("the status socket {} belongs to another user; ask as root or as the agent's user", .0.display())]
    Forbidden(PathBuf),
    /// The agent did not answer, or not to the end; the source says why.
    #[error("the agent at {} gave no answer; its log says more", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is no status: the agent is of another version.
    #[error("what the agent at {} answered is no status; use the edge-agent of its version", path.display())]
    Unreadable {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Asks the agent that listens at `socket` for its status. Blocks for at most some seconds.
///
/// # Errors
/// [`AskError`].
pub fn ask(socket: &Path) -> Result<Status, AskError> {
    let document = receive(socket).map_err(|source| refused(socket, source))?;
    serde_json::from_slice(&document)
        .map_err(|source| AskError::Unreadable { path: socket.to_owned(), source })
}

fn receive(socket: &Path) -> io::Result<Vec<u8>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut document = Vec::new();
    stream.take(MAX_BYTES).read_to_end(&mut document)?;
    Ok(document)
}

fn refused(socket: &Path, source: io::Error) -> AskError {
    let path = socket.to_owned();
    if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
        return AskError::NotRunning(path);
    }
    if source.kind() == io::ErrorKind::PermissionDenied {
        return AskError::Forbidden(path);
    }
    AskError::NoAnswer { path, source }
}
