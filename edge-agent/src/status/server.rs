//! The agent's side of the status socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio_util::sync::CancellationToken;

use super::report::Status;

/// Connections that may wait to be accepted; more are refused by the system.
const BACKLOG: u32 = 16;
/// A client that takes no bytes for so long is cut off. A whole status fits into the socket's buffer, so one that
/// reads never comes near it.
const PATIENCE: Duration = Duration::from_secs(1);
/// A failed accept (no file descriptor left) is tried again after so long.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Where the agent answers what its status is.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("status.sock")
}

/// Listens at `path`, mode 0600. A socket that a killed agent left there is replaced.
///
/// # Errors
/// `AddrInUse` if another agent answers there, `AlreadyExists` if something is there that is no socket (both say what
/// to do), else what the system says.
///
/// # Panics
/// Outside of a tokio runtime with IO.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Before it listens: nobody can connect until the mode is set.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)
}

/// Gives each client one status, as JSON, and closes the connection; until `cancel`. Clients are served one by one:
/// a snapshot costs little, and what many clients cost together is bounded.
///
/// Nothing that a client does, and no failure to accept one, ends it. In the end the socket's file is removed.
pub async fn serve(listener: UnixListener, snapshot: impl Fn() -> Status, cancel: CancellationToken) {
    let each = async {
        loop {
            match listener.accept().await {
                Ok((client, _)) => answer(&client, &snapshot()).await,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the status socket was not accepted");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    };
    cancel.run_until_cancelled(each).await;
    // While it still listens, so that the file is not one that the next agent has made.
    if let Some(path) = listener.local_addr().ok().as_ref().and_then(|address| address.as_pathname())
        && let Err(error) = fs::remove_file(path)
    {
        tracing::debug!(socket = %path.display(), %error, "the status socket was not removed");
    }
}

async fn answer(client: &UnixStream, status: &Status) {
    let document = match serde_json::to_vec(status) {
        Ok(document) => document,
        Err(error) => {
            tracing::warn!(%error, "the status cannot be written as JSON");
            return;
        }
    };
    match tokio::time::timeout(PATIENCE, write_all(client, &document)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client went before it had the status"),
        Err(_) => tracing::debug!("a client did not take the status in time"),
    }
}

async fn write_all(client: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        client.writable().await?;
        match client.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let message = "a file is there that is no socket; move it away";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match BlockingStream::connect(path) {
        Ok(_) => {
            let message = "another agent answers there; stop it, or give this one a state_dir of its own";
            Err(io::Error::new(io::ErrorKind::AddrInUse, message))
        }
        // Nobody listens: what a killed agent left.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}
