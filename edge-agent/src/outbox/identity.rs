//! Whose outbox it is (D14), and that one agent alone has it open.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lamplighter_protocol::{LamppostNumber, OutboxId};

use super::OutboxOptions;
use super::disk::{self, Disk};
use super::error::{OutboxError, manage};
use super::sealed::{self, Sealed};

/// An outbox that is ours: its id, and the lock that keeps other agents out while it lives.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) outbox: OutboxId,
    _lock: File,
}

/// Locks the outbox and checks that it belongs here. One that does not is set aside, untouched, and a new one begun.
pub(super) fn settle(disk: &dyn Disk, options: &OutboxOptions) -> Result<Home, OutboxError> {
    let directory = &options.directory;
    let parent = parent_of(directory);
    disk::create_directory(directory)?;
    disk::sync_directory(disk, &parent)?;
    let lock = lock(directory)?;
    let stranger = match sealed::read(&directory.join("identity"))? {
        Sealed::Whole(body) => match decode(&body) {
            Some((outbox, lamppost, serial))
                if lamppost == options.lamppost.as_str() && serial == options.hardware_serial =>
            {
                return Ok(Home { outbox, _lock: lock });
            }
            Some((_, lamppost, serial)) => {
                format!("belongs to lamppost {lamppost}, hardware serial {serial:?}")
            }
            None => "has an identity that does not say whose it is".to_owned(),
        },
        Sealed::Damaged => "has a damaged identity".to_owned(),
        Sealed::Absent if directory.join("runs").exists() => "has records but no identity".to_owned(),
        Sealed::Absent => return begin(disk, options, lock),
    };
    let aside = set_aside(disk, directory, &parent)?;
    tracing::error!(
        outbox = %directory.display(),
        aside = %aside.display(),
        "the outbox {stranger}, this is lamppost {}, hardware serial {:?}: it is set aside unsent, and a new one is begun",
        options.lamppost,
        options.hardware_serial,
    );
    disk::create_directory(directory)?;
    disk::sync_directory(disk, &parent)?;
    begin(disk, options, self::lock(directory)?)
}

fn lock(directory: &Path) -> Result<File, OutboxError> {
    let path = directory.join("lock");
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(false).mode(0o600);
    let file = open.open(&path).map_err(manage("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OutboxError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(manage("lock", &path)(error)),
    }
}

fn begin(disk: &dyn Disk, options: &OutboxOptions, lock: File) -> Result<Home, OutboxError> {
    let outbox = OutboxId(random()?);
    let body = encode(outbox, &options.lamppost, &options.hardware_serial);
    sealed::write(disk, &options.directory.join("identity"), &body)?;
    Ok(Home { outbox, _lock: lock })
}

/// Sixteen bytes that nobody else draws.
pub(super) fn random() -> Result<[u8; 16], OutboxError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(OutboxError::Random)?;
    Ok(bytes)
}

fn set_aside(disk: &dyn Disk, directory: &Path, parent: &Path) -> Result<PathBuf, OutboxError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = (1..=u32::MAX)
        .map(|number| parent.join(format!("{name}.set-aside-{number}")))
        .find(|path| !path.exists())
        .unwrap_or_default();
    fs::rename(directory, &aside).map_err(manage("set aside", directory))?;
    disk::sync_directory(disk, parent)?;
    Ok(aside)
}

fn parent_of(directory: &Path) -> PathBuf {
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

fn encode(outbox: OutboxId, lamppost: &LamppostNumber, serial: &str) -> Vec<u8> {
    let mut body = outbox.0.to_vec();
    // At most 32 bytes: a rule of the number.
    body.push(u8::try_from(lamppost.as_str().len()).unwrap_or(u8::MAX));
    body.extend_from_slice(lamppost.as_str().as_bytes());
    body.extend_from_slice(serial.as_bytes());
    body
}

fn decode(body: &[u8]) -> Option<(OutboxId, &str, &str)> {
    let (outbox, rest) = body.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first()?;
    let (lamppost, serial) = rest.split_at_checked(usize::from(*length))?;
    Some((OutboxId(*outbox), std::str::from_utf8(lamppost).ok()?, std::str::from_utf8(serial).ok()?))
}
