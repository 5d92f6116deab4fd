//! Small files on which much rests, each in two copies: `NAME` and `NAME.2`. They are written and synced one after the other,
//! so that a power cut harms one of them at most, and either is enough. Who finds that one is not whole writes it again.

use std::path::Path;

use super::disk::{self, Disk};
use super::error::{OutboxError, chain};
use super::sealed::{self, Sealed};

/// What is kept twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Of the first copy.
    pub(super) name: &'static str,
    /// Newest version that is read.
    pub(super) newest: u16,
    /// Under which version a body is written: the oldest whose readers know what it means.
    pub(super) version_of: fn(&[u8]) -> u16,
}

/// What the two copies were found to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Twin<T> {
    /// There is neither.
    Absent,
    /// There was one, and none is as it was written.
    Damaged,
    /// One of them is whole, or both are and say the same.
    Whole(T, Option<Lacking>),
}

/// A copy that is not there, or not as it was written, and what it should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    name: String,
    /// Of the whole file.
    bytes: Vec<u8>,
}

enum Copy<T> {
    Absent,
    Damaged,
    Unread(OutboxError),
    Whole(T, Vec<u8>),
}

/// The name of the second copy.
pub(super) fn second(name: &str) -> String {
    format!("{name}.2")
}

/// Replaces both copies, the first one first: it is the one that counts, if ever they differ. Both are on disk before either
/// is in place: on a full disk neither counts, and what is done to make space may change what they are to say.
pub(super) fn write(disk: &dyn Disk, directory: &Path, kind: Kind, body: &[u8]) -> Result<(), OutboxError> {
    let bytes = sealed::seal((kind.version_of)(body), body);
    let copies = [kind.name.to_owned(), second(kind.name)];
    let copies = copies.map(|name| (directory.join(format!("{name}.new")), directory.join(name)));
    copies.iter().try_for_each(|(new, _)| disk::write_new(disk, new, &bytes))?;
    copies.iter().try_for_each(|(new, path)| disk::put_in_place(disk, new, path))
}

/// Reads both copies. `decode` says what a body means, if it means anything.
///
/// # Errors
/// Neither is whole, and one of them cannot be read at the moment; or one is of a later version.
pub(super) fn read<T>(
    disk: &dyn Disk,
    directory: &Path,
    kind: Kind,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Result<Twin<T>, OutboxError> {
    let copy = |name: &str| {
        Ok(match sealed::read_up_to(disk, &directory.join(name), kind.newest) {
            Ok(Sealed::Whole(body)) => match decode(&body) {
                Some(value) => Copy::Whole(value, body),
                None => Copy::Damaged,
            },
            Ok(Sealed::Damaged) => Copy::Damaged,
            Ok(Sealed::Absent) => Copy::Absent,
            Err(error @ OutboxError::Newer { .. }) => return Err(error),
            Err(error) => Copy::Unread(error),
        })
    };
    let second = second(kind.name);
    let lacking = |name: &str, body: &[u8]| Lacking {
        name: name.to_owned(),
        bytes: sealed::seal((kind.version_of)(body), body),
    };
    let (value, body, name) = match (copy(kind.name)?, copy(&second)?) {
        (Copy::Whole(value, body), Copy::Whole(_, other)) if body == other => {
            return Ok(Twin::Whole(value, None));
        }
        // As earlier releases wrote it, or a power cut came between the two.
        (Copy::Whole(value, body), Copy::Absent) => {
            return Ok(Twin::Whole(value, Some(lacking(&second, &body))));
        }
        (Copy::Whole(value, body), Copy::Whole(..) | Copy::Damaged | Copy::Unread(_)) => {
            (value, body, second.as_str())
        }
        (Copy::Absent | Copy::Damaged | Copy::Unread(_), Copy::Whole(value, body)) => {
            (value, body, kind.name)
        }
        (Copy::Unread(error), Copy::Absent | Copy::Damaged | Copy::Unread(_))
        | (Copy::Absent | Copy::Damaged, Copy::Unread(error)) => return Err(error),
        (Copy::Absent, Copy::Absent) => return Ok(Twin::Absent),
        (Copy::Damaged, Copy::Absent | Copy::Damaged) | (Copy::Absent, Copy::Damaged) => {
            return Ok(Twin::Damaged);
        }
    };
    let path = directory.join(name);
    tracing::error!(path = %path.display(), "this copy is damaged: the other one is taken, and this one written again");
    Ok(Twin::Whole(value, Some(lacking(name, &body))))
}

/// Writes a copy that was not whole. If it cannot be written where it is, it stays as it is: the other one is enough, and the
/// next start tries again.
///
/// # Errors
/// The disk is full or read-only; or the directory cannot be synced, and so nothing in it is sure any more (D2).
pub(super) fn mend(disk: &dyn Disk, directory: &Path, lacking: &Lacking) -> Result<(), OutboxError> {
    let path = directory.join(&lacking.name);
    match disk::replace(disk, &path, &lacking.bytes) {
        Err(error) if ends_with_this_copy(&error, directory) => {
            let (path, error) = (path.display(), chain(&error));
            tracing::error!(%path, error, "this copy cannot be written again: the other one is all there is of it");
            Ok(())
        }
        mended => mended,
    }
}

/// Whether what failed concerns one copy, and nothing else in its directory.
fn ends_with_this_copy(error: &OutboxError, directory: &Path) -> bool {
    match error {
        OutboxError::Sync { path, .. } => path != directory && !error.is_full_disk(),
        OutboxError::Manage { .. } | OutboxError::Write { .. } => !error.is_full_disk(),
        OutboxError::InUse { .. }
        | OutboxError::Newer { .. }
        | OutboxError::Read { .. }
        | OutboxError::ReadOnly { .. }
        | OutboxError::Random(_)
        | OutboxError::Thread(_)
        | OutboxError::Closed(_) => false,
    }
}
