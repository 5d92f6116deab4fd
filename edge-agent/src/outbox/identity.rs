//! Whose outbox it is (D14), and that one agent alone has it open.

use std::io;
use std::path::{Path, PathBuf};

use lamplighter_protocol::{LamppostNumber, OutboxId};

use super::OutboxOptions;
use super::disk::{self, Disk, DiskFile};
use super::error::{OutboxError, manage};
use super::random::Random;
use super::sealed;
use super::twin::{self, Kind, Lacking, Twin};

/// An outbox that is ours: its id, and the lock that keeps other agents out while it lives.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) outbox: OutboxId,
    _lock: Box<dyn DiskFile>,
}

/// Whose an outbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) outbox: OutboxId,
    pub(super) lamppost: LamppostNumber,
    pub(super) hardware_serial: String,
}

/// What an outbox says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Absent,
    /// It is not as it was written, or does not say whose it is.
    Damaged,
    Whole(Owner),
}

/// The file that says whose the outbox is. There are two copies: without it all that the outbox holds is lost.
const IDENTITY: Kind = Kind { name: "identity", newest: sealed::VERSION, version_of: |_| sealed::VERSION };

/// Whether a file of this name says whose the outbox is.
pub(super) fn is_identity(name: &str) -> bool {
    name == IDENTITY.name || name == twin::second(IDENTITY.name)
}

/// Reads whose the outbox in this directory is.
pub(super) fn read(disk: &dyn Disk, directory: &Path) -> Result<Identity, OutboxError> {
    Ok(read_copies(disk, directory)?.0)
}

/// The same, and the copy that is to be written again.
fn read_copies(disk: &dyn Disk, directory: &Path) -> Result<(Identity, Option<Lacking>), OutboxError> {
    Ok(match twin::read(disk, directory, IDENTITY, decode)? {
        Twin::Whole(owner, lacking) => (Identity::Whole(owner), lacking),
        Twin::Damaged => (Identity::Damaged, None),
        Twin::Absent => (Identity::Absent, None),
    })
}

/// Writes the copy that is not whole. If there is no room for it, the next start tries again.
fn mend(disk: &dyn Disk, directory: &Path, lacking: &Lacking) -> Result<(), OutboxError> {
    match twin::mend(disk, directory, lacking) {
        Err(error) if error.is_full_disk() => {
            tracing::warn!(%error, "the disk has no room for the second copy of the outbox's identity");
            Ok(())
        }
        mended => mended,
    }
}

/// Locks the outbox and checks that it belongs here. One that does not is set aside, untouched, and a new one begun.
pub(super) fn settle(disk: &dyn Disk, random: &Random, options: &OutboxOptions) -> Result<Home, OutboxError> {
    let directory = &options.directory;
    let parent = parent_of(directory);
    disk::create_directory(disk, directory)?;
    disk::sync_directory(disk, &parent)?;
    let lock = lock(disk, directory)?;
    let (identity, lacking) = read_copies(disk, directory)?;
    let stranger = match identity {
        Identity::Whole(Owner { outbox, lamppost, hardware_serial })
            if lamppost == options.lamppost && hardware_serial == options.hardware_serial =>
        {
            lacking.map_or(Ok(()), |lacking| mend(disk, directory, &lacking))?;
            return Ok(Home { outbox, _lock: lock });
        }
        Identity::Whole(Owner { lamppost, hardware_serial, .. }) => {
            format!("belongs to lamppost {lamppost}, hardware serial {hardware_serial:?}")
        }
        Identity::Damaged => "has a damaged identity".to_owned(),
        Identity::Absent if exists(disk, &directory.join("runs"))? => {
            "has records but no identity".to_owned()
        }
        Identity::Absent => return begin(disk, random, options, lock),
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

/// Keeps other agents out of an outbox for as long as what is returned lives.
pub(super) fn lock(disk: &dyn Disk, directory: &Path) -> Result<Box<dyn DiskFile>, OutboxError> {
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
    twin::write(disk, &options.directory, IDENTITY, &body)?;
    Ok(Home { outbox, _lock: lock })
}

pub(super) fn exists(disk: &dyn Disk, path: &Path) -> Result<bool, OutboxError> {
    disk.exists(path).map_err(manage("look for", path))
}

fn set_aside(disk: &dyn Disk, directory: &Path, parent: &Path) -> Result<PathBuf, OutboxError> {
    let mut number = 1_u64;
    let aside = loop {
        let path = aside_path(directory, number);
        if !exists(disk, &path)? {
            break path;
        }
        number += 1;
    };
    disk.rename(directory, &aside).map_err(manage("set aside", directory))?;
    disk::sync_directory(disk, parent)?;
    Ok(aside)
}

/// Where an outbox is put that is the first, second, … to be set aside from this directory.
pub(super) fn aside_path(directory: &Path, number: u64) -> PathBuf {
    parent_of(directory).join(format!("{}{number}", aside_prefix(directory)))
}

/// How many outboxes were set aside when this one was, by its name; none if it is no such outbox.
pub(super) fn aside_number(directory: &Path, name: &str) -> Option<u64> {
    let number: u64 = name.strip_prefix(&aside_prefix(directory))?.parse().ok()?;
    (aside_path(directory, number).file_name()?.to_str()? == name).then_some(number)
}

fn aside_prefix(directory: &Path) -> String {
    format!("{}.set-aside-", directory.file_name().unwrap_or_default().to_string_lossy())
}

/// The directory that an outbox, and those that were set aside from it, are in.
pub(super) fn parent_of(directory: &Path) -> PathBuf {
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

fn decode(body: &[u8]) -> Option<Owner> {
    let (outbox, rest) = body.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first()?;
    let (lamppost, serial) = rest.split_at_checked(usize::from(*length))?;
    Some(Owner {
        outbox: OutboxId(*outbox),
        lamppost: LamppostNumber::new(std::str::from_utf8(lamppost).ok()?).ok()?,
        hardware_serial: std::str::from_utf8(serial).ok()?.to_owned(),
    })
}
