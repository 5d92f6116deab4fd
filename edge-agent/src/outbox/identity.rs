//! Whose outbox it is (D14), and that one agent alone has it open.

use std::io;
use std::path::{Path, PathBuf};

use lamplighter_protocol::{LamppostNumber, OutboxId};

use super::OutboxOptions;
use super::disk::{self, Disk, DiskFile};
use super::error::{OutboxError, manage};
use super::random::Random;
use super::sealed::{self, Sealed};

/// An outbox that is ours: its id, and the lock that keeps other agents out while it lives.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) outbox: OutboxId,
    _lock: Box<dyn DiskFile>,
}

/// Locks the outbox and checks that it belongs here. One that does not is set aside, untouched, and a new one begun.
pub(super) fn settle(disk: &dyn Disk, random: &Random, options: &OutboxOptions) -> Result<Home, OutboxError> {
    let directory = &options.directory;
    let parent = parent_of(directory);
    disk::create_directory(disk, directory)?;
    disk::sync_directory(disk, &parent)?;
    let lock = lock(disk, directory)?;
    let stranger = match sealed::read(disk, &directory.join("identity"))? {
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
        Sealed::Absent if exists(disk, &directory.join("runs"))? => "has records but no identity".to_owned(),
        Sealed::Absent => return begin(disk, random, options, lock),
    };
    let aside = set_aside(disk, directory, &parent)?;
    tracing::error!(
        outbox = %directory.display(),
        aside = %aside.display(),
        "the outbox {stranger}, this is lamppost {}, hardware serial {:?}: it is set aside unsent, and a new one is begun",
        options.lamppost,
        options.hardware_serial,
    );
    disk::create_directory(disk, directory)?;
    disk::sync_directory(disk, &parent)?;
    begin(disk, random, options, self::lock(disk, directory)?)
}

fn lock(disk: &dyn Disk, directory: &Path) -> Result<Box<dyn DiskFile>, OutboxError> {
    let path = directory.join("lock");
    disk.lock(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            return OutboxError::InUse { directory: directory.to_owned() };
        }
        manage("lock", &path)(error)
    })
}

fn begin(
    disk: &dyn Disk,
    random: &Random,
    options: &OutboxOptions,
    lock: Box<dyn DiskFile>,
) -> Result<Home, OutboxError> {
    let outbox = OutboxId(random.id()?);
    let body = encode(outbox, &options.lamppost, &options.hardware_serial);
    sealed::write(disk, &options.directory.join("identity"), &body)?;
    Ok(Home { outbox, _lock: lock })
}

fn exists(disk: &dyn Disk, path: &Path) -> Result<bool, OutboxError> {
    disk.exists(path).map_err(manage("look for", path))
}

fn set_aside(disk: &dyn Disk, directory: &Path, parent: &Path) -> Result<PathBuf, OutboxError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1_u64;
    let aside = loop {
        let path = parent.join(format!("{name}.set-aside-{number}"));
        if !exists(disk, &path)? {
            break path;
        }
        number += 1;
    };
    disk.rename(directory, &aside).map_err(manage("set aside", directory))?;
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
