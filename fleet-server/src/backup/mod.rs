//! Backup and restore: all that a server is, taken while it runs and put onto an empty machine, where it goes on with no
//! lamppost to enrol again.
//!
//! A backup is a directory (format 1) that looks like a data directory:
//!
//! | file | is |
//! | --- | --- |
//! | `journal/*.log`, `checkpoints/checkpoint-*` | what was received, and what it told |
//! | `registry.sqlite` | who belongs to the fleet, and what was decided |
//! | `ca/*.pem`, `tls/*.pem` | the certificates of the CA and of the gateway |
//! | `manifest.json` | every other file with its length and SHA-256; written last |
//!
//! Keys (`ca/*.key`, `tls/*.key`) are never in it: they go into a directory of their own, or nowhere. Whoever has the backup
//! can read what was observed; whoever has the keys can pass for any lamppost.
//!
//! **Why any moment is one to go back to.** The files are copied one after the other while the server goes on. Under the
//! lock of backups (D15) no checkpoint comes and nothing of the journal goes, so checkpoints and journal may be copied in any
//! order: what a checkpoint holds was committed before the lock was had. The registry is copied *after* the journal: whatever
//! an entry rests on (that its lamppost is registered, its certificate, a decision that it reports on) was in the
//! registry before the entry came. What the registry has beyond the journal is as if the lampposts had not spoken yet:
//! certificates are good, decisions are told again. The CA's certificate comes last, for it has signed what the registry
//! lists. What came after the copy, lampposts still have, and fill it up again (D9).
//!
//! Neither a backup nor a restored data directory is ever there in part: both are made in `NAME.partial`, synced file by file,
//! and renamed. What an interrupted one leaves is replaced by the next.

mod destination;
mod error;
mod files;
mod manifest;
mod path;
mod progress;
mod restore;
mod take;

#[cfg(test)]
mod tests;

pub use error::{BackupError, FileProblem};
pub use manifest::{Contents, FileEntry, Manifest};
pub use path::{BackupPath, NotInABackup};
pub use progress::Step;
pub use restore::{Checked, check, restore};
pub use take::{BackupRequest, take};
