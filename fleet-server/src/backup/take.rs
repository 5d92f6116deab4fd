//! Making a backup of a server that may be running.

use std::fs::File;
use std::path::{Path, PathBuf};

use lamplighter_protocol::UtcMillis;

use super::destination::Destination;
use super::error::BackupError;
use super::files::{self, Content};
use super::manifest::{Contents, FORMAT, FileEntry, Manifest};
use super::path::{BackupPath, CERTIFICATE_ROOMS, is_key};
use super::progress::{Progress, Step};
use crate::ca::{Authority, is_key_of_authority, lock_directory};
use crate::checkpoint::{BackupLock, BackupRuns, Checkpoints};
use crate::journal::{Journal, segments_to_copy, settle_copy};
use crate::registry::{CopiedRegistry, Registry};
use crate::web::Timestamp;

/// What to back up, and where to.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    /// The server's data directory.
    pub data: PathBuf,
    /// The backup, which is made.
    pub out: PathBuf,
    /// The directory of its keys, which is made; none: they are not backed up.
    pub keys: Option<PathBuf>,
}

/// Makes a backup. When this returns it is durable.
///
/// # Errors
/// [`BackupError`]; there is no backup then.
pub async fn take(
    request: &BackupRequest,
    now: UtcMillis,
    tell: &mut (dyn FnMut(Step) + Send),
) -> Result<Manifest, BackupError> {
    let data = &request.data;
    for needed in [BackupPath::registry(), BackupPath::authority()] {
        if !needed.below(data).is_file() {
            return Err(BackupError::NoServer { data: data.clone(), missing: needed });
        }
    }
    let backup = Destination::at(&request.out)?;
    backup.is_apart_from(data)?;
    let keys = request.keys.as_deref().map(Destination::at).transpose()?;
    if let Some(keys) = &keys {
        keys.is_apart_from(data)?;
        keys.is_apart_from(backup.path())?;
        keys.is_apart_from(backup.partial())?;
    }

    let _runs = begin(&BackupLock::of(data), tell)?;
    let inventory = Inventory::of(data)?;
    backup.has_room(inventory.bytes, Some(data))?;
    // What lies in the way and is not ours is an error here, and is not abandoned.
    backup.begin()?;
    keys.as_ref().map(Destination::begin).transpose()?;
    let mut taking = Taking {
        data,
        backup: &backup,
        keys: keys.as_ref(),
        progress: Progress::new(inventory.bytes, tell),
        files: Vec::new(),
    };
    let taken = taking.all(&inventory, now).await;
    if taken.is_err() {
        backup.abandon();
        keys.iter().for_each(Destination::abandon);
    }
    taken
}

fn begin(lock: &BackupLock, tell: &mut (dyn FnMut(Step) + Send)) -> Result<BackupRuns, BackupError> {
    let locking = |source| BackupError::Lock { path: lock.path().to_owned(), source };
    if let Some(runs) = lock.try_begin().map_err(locking)? {
        return Ok(runs);
    }
    tell(Step::Waiting);
    lock.begin().map_err(locking)
}

/// What there is to be copied when it begins.
struct Inventory {
    /// Ascending.
    segments: Vec<u64>,
    checkpoints: Vec<BackupPath>,
    bytes: u64,
}

impl Inventory {
    fn of(data: &Path) -> Result<Self, BackupError> {
        let journal = data.join(Journal::DIRECTORY_NAME);
        let segments = match segments_to_copy(&journal) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            segments => segments.map_err(|source| BackupError::Read { path: journal, source })?,
        };
        let names = files::names(&data.join(Checkpoints::DIRECTORY_NAME))?;
        let in_room = |name: &String| BackupPath::in_room(Checkpoints::DIRECTORY_NAME, name).ok();
        let checkpoints: Vec<_> = names.iter().filter_map(in_room).collect();
        let mut bytes = 0;
        let registry = [BackupPath::registry()];
        for path in segments.iter().map(|first| segment(*first)).chain(checkpoints.clone()).chain(registry) {
            let path = path.below(data);
            let found = std::fs::metadata(&path);
            bytes += found.map_err(|source| BackupError::Read { path, source })?.len();
        }
        Ok(Self { segments, checkpoints, bytes })
    }
}

/// A backup that is being made.
struct Taking<'a> {
    data: &'a Path,
    backup: &'a Destination,
    keys: Option<&'a Destination>,
    progress: Progress<'a>,
    files: Vec<FileEntry>,
}

impl Taking<'_> {
    /// In the order that the module's documentation gives reasons for.
    async fn all(&mut self, inventory: &Inventory, now: UtcMillis) -> Result<Manifest, BackupError> {
        self.make_room(Checkpoints::DIRECTORY_NAME)?;
        for path in &inventory.checkpoints {
            self.copy(path)?;
        }
        let next_sequence = self.journal(&inventory.segments)?;
        let CopiedRegistry { lampposts, certificates } = self.registry().await?;
        for room in CERTIFICATE_ROOMS {
            self.certificates(room)?;
        }
        let contents = Contents {
            first_sequence: inventory.segments.first().map_or(next_sequence, |first| *first),
            next_sequence,
            lampposts,
            certificates,
        };
        let manifest = Manifest {
            format: FORMAT,
            program: concat!("fleet-server ", env!("CARGO_PKG_VERSION")).to_owned(),
            taken: Timestamp(now).to_string(),
            contents,
            files: std::mem::take(&mut self.files),
        };
        manifest.write(self.backup.partial())?;
        self.progress.add(0);
        // First, so that a backup that is there has its keys, too.
        self.keys.map(Destination::finish).transpose()?;
        self.progress.add(0);
        self.backup.finish()?;
        Ok(manifest)
    }

    /// Copies the segments; says which sequence is behind the last one.
    fn journal(&mut self, firsts: &[u64]) -> Result<u64, BackupError> {
        self.make_room(Journal::DIRECTORY_NAME)?;
        let Some((newest, closed)) = firsts.split_last() else { return Ok(0) };
        for first in closed {
            self.copy(&segment(*first))?;
        }
        let path = segment(*newest);
        let (from, to) = (path.below(self.data), path.below(self.backup.partial()));
        self.copy_file(&from, &to)?;
        let directory = self.backup.partial().join(Journal::DIRECTORY_NAME);
        let next = settle_copy(&directory, *newest)?;
        self.list_as_it_is(path)?;
        Ok(next)
    }

    async fn registry(&mut self) -> Result<CopiedRegistry, BackupError> {
        let path = BackupPath::registry();
        let to = path.below(self.backup.partial());
        let writing = |source| BackupError::Write { path: to.clone(), source };
        // SQLite fills an empty file: so nobody else can ever read it.
        let file = files::create(&to).map_err(writing)?;
        let copied = Registry::copy(&path.below(self.data), &to).await?;
        file.sync_all().map_err(writing)?;
        self.list_as_it_is(path)?;
        Ok(copied)
    }

    /// Certificates of one directory, and keys if those are asked for; both of one time.
    fn certificates(&mut self, room: &str) -> Result<(), BackupError> {
        let directory = self.data.join(room);
        if !directory.is_dir() {
            return Ok(());
        }
        let _one_at_a_time = lock_directory(&directory)?;
        self.make_room(room)?;
        self.keys.map(|keys| files::make_directory(&keys.partial().join(room))).transpose()?;
        for name in files::names(&directory)? {
            if let Ok(path) = BackupPath::in_room(room, &name) {
                self.copy(&path)?;
            } else if let Some(keys) = self.keys.filter(|_| is_key(&name)) {
                self.copy_file(&directory.join(&name), &keys.partial().join(room).join(&name))?;
            }
        }
        if let Some(keys) = self.keys.filter(|_| room == Authority::DIRECTORY_NAME) {
            belong_together(self.backup.partial(), keys.partial()).map_err(|_| {
                let certificate = BackupPath::authority().below(self.data);
                BackupError::ForeignKey { key: certificate.with_extension("key"), certificate }
            })?;
        }
        Ok(())
    }

    fn make_room(&self, room: &str) -> Result<(), BackupError> {
        files::make_directory(&self.backup.partial().join(room))
    }

    fn copy(&mut self, path: &BackupPath) -> Result<(), BackupError> {
        let Content { bytes, sha256 } =
            self.copy_file(&path.below(self.data), &path.below(self.backup.partial()))?;
        self.files.push(FileEntry { path: path.clone(), bytes, sha256 });
        Ok(())
    }

    fn copy_file(&mut self, from: &Path, to: &Path) -> Result<Content, BackupError> {
        let file = File::open(from).map_err(|source| BackupError::Read { path: from.to_owned(), source })?;
        files::copy((file, from), to, &mut self.progress)
    }

    /// Lists a file of the backup whose bytes are not those of the original.
    fn list_as_it_is(&mut self, path: BackupPath) -> Result<(), BackupError> {
        let copy = path.below(self.backup.partial());
        let read = File::open(&copy).and_then(|file| files::read(file, &mut self.progress));
        let Content { bytes, sha256 } = read.map_err(|source| BackupError::Read { path: copy, source })?;
        self.files.push(FileEntry { path, bytes, sha256 });
        Ok(())
    }
}

/// Whether the CA's key among these keys is that of the certificate in this backup.
pub(super) fn belong_together(backup: &Path, keys: &Path) -> Result<(), BackupError> {
    let certificate = BackupPath::authority().below(backup);
    let key = BackupPath::authority().below(keys).with_extension("key");
    let pems = (files::read_pem(&certificate), files::read_pem(&key));
    match pems {
        (Some(certificate), Some(key)) if is_key_of_authority(&certificate, &key) => Ok(()),
        _ => Err(BackupError::ForeignKey { key, certificate }),
    }
}

fn segment(first: u64) -> BackupPath {
    let name = format!("{first:020}.log");
    BackupPath::in_room(Journal::DIRECTORY_NAME, &name).expect("that is how segments are named")
}
