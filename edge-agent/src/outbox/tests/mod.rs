//! The outbox on a real file system. What a power cut would leave is made by hand; syncs are counted, not waited for.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lamplighter_protocol::{
    Description, Device, Digest, Log, LogHeld, Nonce, Observation, Opening, Pieces, Position, Reason, Record,
    RunId, RunPosition, Tick, UtcMillis,
};
use tempfile::TempDir;

use super::{
    Chunk, Disk, DiskFile, Outbox, OutboxError, OutboxOptions, OutboxState, OutboxThread, Place, Random,
    ReadLimit, RunState, SteppedOutbox, SystemDisk,
};

mod damage;
mod faults;
mod life;
mod model;
mod space;
mod unread;

/// A lamppost's disk, and how its outbox is opened.
struct Bench {
    /// Removes itself when the bench goes.
    kept: TempDir,
    options: OutboxOptions,
    disk: FaultyDisk,
}

impl Bench {
    fn new() -> Self {
        // In memory where there is such a place: hundreds of copies are made, none has to survive.
        let memory = Path::new("/dev/shm");
        let kept = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let options = OutboxOptions {
            directory: kept.path().join("outbox"),
            lamppost: "DF3637".parse().unwrap(),
            hardware_serial: "100000001".to_owned(),
            max_bytes: 1 << 30,
            segment_bytes: 512,
            sync_every: Duration::from_hours(1),
        };
        Self { kept, options, disk: FaultyDisk::default() }
    }

    fn open(&self) -> (Outbox, OutboxThread) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(Outbox, OutboxThread), OutboxError> {
        Outbox::open_on(
            Arc::new(self.disk.clone()),
            self.options.clone(),
            &description("bme280"),
            UtcMillis(5_000),
        )
    }

    /// Without its thread.
    fn step(&self) -> SteppedOutbox {
        let (disk, random) = (Arc::new(self.disk.clone()), Random::system());
        SteppedOutbox::open(disk, random, self.options.clone(), &description("bme280"), UtcMillis(5_000))
            .unwrap()
    }

    /// The directories of runs, in the order of their names.
    fn runs(&self) -> Vec<PathBuf> {
        list(&self.options.directory.join("runs"))
    }

    /// The same lamppost's disk once more, to be harmed.
    fn copy(&self) -> Self {
        let copy = Self { options: self.options.clone(), ..Self::new() };
        let directory = copy.kept.path().join("outbox");
        copy_all(&self.options.directory, &directory);
        Self { options: OutboxOptions { directory, ..copy.options.clone() }, ..copy }
    }
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The segments of a log of a run, oldest first.
fn segments(run: &Path, log: Log) -> Vec<PathBuf> {
    let of_log = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(log.as_str());
    list(run).into_iter().filter(of_log).collect()
}

/// The sequence that a segment begins with.
fn first_of(segment: &Path) -> u64 {
    segment.to_str().unwrap().rsplit(['-', '.']).nth(1).unwrap().parse().unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for path in list(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is how a disk is harmed")]
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// The system's disk, but failing on command. It does not sync: nothing here cuts the power.
#[derive(Clone, Debug, Default)]
struct FaultyDisk(Arc<Faults>);

#[derive(Debug)]
struct Faults {
    /// So many more appends work.
    appends: AtomicU32,
    /// So many more syncs work.
    syncs: AtomicU32,
    /// These bytes of this file cannot be read.
    unreadable: Mutex<Option<(PathBuf, Range<u64>)>>,
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    faults: Arc<Faults>,
}

impl std::ops::Deref for FaultyDisk {
    type Target = Faults;

    fn deref(&self) -> &Faults {
        &self.0
    }
}

impl Faults {
    fn sync(&self) -> io::Result<()> {
        match self.syncs.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(io::Error::other("the card is gone")),
            1.. => Ok(()),
        }
    }

    fn cannot_read(&self, path: &Path, bytes: Range<u64>) {
        *self.unreadable.lock().unwrap() = Some((path.to_owned(), bytes));
    }

    fn reads_again(&self) {
        *self.unreadable.lock().unwrap() = None;
    }
}

impl Default for Faults {
    fn default() -> Self {
        let (appends, syncs) = (AtomicU32::new(u32::MAX), AtomicU32::new(u32::MAX));
        Self { appends, syncs, unreadable: Mutex::default() }
    }
}

impl FaultyDisk {
    fn faulty(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, path: path.to_owned(), faults: Arc::clone(&self.0) })
    }
}

impl Disk for FaultyDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.make_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(directory)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        SystemDisk.exists(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.faulty(path, SystemDisk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.faulty(path, SystemDisk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove_directory(path)
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        self.0.sync()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.lock(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        SystemDisk.free_bytes(directory)
    }
}

impl DiskFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        let unreadable = self.faults.unreadable.lock().unwrap().clone();
        let most = match unreadable.filter(|one| one.0 == self.path && offset < one.1.end) {
            Some((_, bytes)) if bytes.start <= offset => return Err(io::Error::from_raw_os_error(5)),
            Some((_, bytes)) => usize::try_from(bytes.start - offset).unwrap_or(usize::MAX).min(to.len()),
            None => to.len(),
        };
        self.file.read_at(&mut to[..most], offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.faults.appends.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.append(bytes)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.sync()
    }
}

fn description(model: &str) -> Description {
    let device = Device {
        name: "weather-1".parse().unwrap(),
        grid: None,
        model: model.to_owned(),
        series: Vec::new(),
    };
    Description { grids: Vec::new(), devices: vec![device] }
}

fn digest(model: &str) -> Digest {
    description(model).encode().1
}

/// A record that no other number gives; some are longer than others.
fn tick(number: i64) -> Record {
    let observation = |series| Observation { series, value: Some(number * 1_000_003), reason: Reason::GOOD };
    let observations = (0..usize::try_from(number % 4).unwrap()).map(observation).collect();
    Record::Tick(Tick { device: 0, time: UtcMillis(number), observations })
}

/// Appends ticks of these numbers.
fn append(outbox: &Outbox, log: Log, numbers: std::ops::Range<i64>) {
    numbers.for_each(|number| outbox.append(log, &tick(number)).unwrap());
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What the outbox holds, all that was appended being synced.
fn settled(outbox: &Outbox) -> OutboxState {
    wait(outbox.sync()).unwrap();
    outbox.state().borrow().clone()
}

fn run_of(state: &OutboxState, run: RunId) -> &RunState {
    state.runs.iter().find(|one| one.run == run).unwrap()
}

const ALL: ReadLimit = ReadLimit { bytes: usize::MAX, records: usize::MAX, last: u64::MAX };

fn read(outbox: &Outbox, run: RunId, log: Log, sequence: u64, limit: ReadLimit) -> Option<Chunk> {
    wait(outbox.read(Place { run, log, sequence }, limit)).unwrap()
}

/// All records of a log that the outbox states as on disk, with their sequences and what they are written in.
fn read_all(outbox: &Outbox, run: RunId, log: Log) -> Vec<(u64, Record, Digest)> {
    let pieces = run_of(&settled(outbox), run).log(log).on_disk.clone();
    let mut all = Vec::new();
    for (first, last) in pieces.ranges() {
        let mut next = first;
        while next <= last {
            let chunk = read(outbox, run, log, next, ALL).expect("what is stated as on disk can be read");
            assert_eq!(chunk.place, Place { run, log, sequence: next });
            for bytes in chunk.records {
                all.push((next, Record::decode(&bytes).unwrap(), chunk.description));
                next += 1;
            }
        }
    }
    all
}

fn opening(outbox: &Outbox, run: RunId) -> Opening {
    match &read_all(outbox, run, Log::Events)[0] {
        (0, Record::Opening(opening), _) => *opening,
        other => panic!("a run begins with its opening, not {other:?}"),
    }
}

/// A run, and ranges of its samples and of its events.
type Listed<'a> = (RunId, Ranges<'a>, Ranges<'a>);
type Ranges<'a> = &'a [(u64, u64)];

/// A position that lists these ranges of samples and events, and nothing of other runs.
fn position(runs: &[Listed<'_>]) -> Position {
    let listed = |ranges: Ranges<'_>| {
        let mut pieces = Pieces::new();
        for (first, last) in ranges {
            pieces.insert(*first, *last);
        }
        LogHeld { pieces, complete_below: u64::MAX }
    };
    Position {
        nonce: Nonce([7; 16]),
        count: 1,
        server_time: UtcMillis(6_000),
        runs: runs
            .iter()
            .map(|(run, samples, events)| RunPosition {
                run: *run,
                samples: listed(samples),
                events: listed(events),
            })
            .collect(),
        lacking: Vec::new(),
        newest_version: 1,
    }
}

fn close(outbox: Outbox, thread: OutboxThread) {
    drop(outbox);
    thread.join().unwrap();
}
