//! A journal that is not as the server left it: what is torn is cut off, what is damaged is named by file and offset,
//! the rest is served, and the lamppost, which learns what is missing, sends it again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use hil_tests::fleet::{Ending, ServerProcess};
use tempfile::TempDir;

use super::commands::{binaries, names, refused};
use super::counters::counted;
use super::lamppost::{Lamppost, certified};
use super::server_log::{assert_says, server_log};

const DAMAGED: &str = "lamplighter_journal_damaged_regions";
const MISSING: &str = "lamplighter_journal_missing_entries";

/// A server that was killed, with a journal of a description and frames of ten ticks, each committed by itself. One that
/// stops in order leaves a checkpoint, and the next start does not need the journal for what is in it.
struct Stopped {
    folder: TempDir,
    lamppost: Lamppost,
}

/// Where a record of a segment stands.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    bytes: u64,
}

#[test]
fn what_stands_behind_the_last_record_is_cut_off_and_the_rest_is_served() {
    let stopped = Stopped::after_frames(3);
    let segment = stopped.only_segment();
    let length = length(&segment);
    let garbage = b"a write that never finished";
    open(&segment).write_all_at(garbage, length).unwrap();

    let server = stopped.start();
    assert_says(
        &server_log(stopped.folder.path()),
        &[
            "the last write never finished: cut off, nothing of it was acknowledged",
            &format!("file={}", segment.display()),
            &format!("bytes={}", garbage.len()),
            &format!("offset={length}"),
        ],
    );
    assert_eq!(self::length(&segment), length);
    assert_eq!(counted(server.api(), DAMAGED, ""), 0);
    assert_eq!(stopped.lamppost.stored(server.api()), ticks(&[0, 1, 2]));
    stopped.goes_on(&server, &[0, 1, 2], 3);
}

#[test]
fn a_record_that_is_torn_at_the_end_is_cut_off_and_comes_again() {
    let stopped = Stopped::after_frames(3);
    let segment = stopped.only_segment();
    let last = places(&segment)[3];
    open(&segment).set_len(last.offset + last.bytes / 2).unwrap();

    let server = stopped.start();
    assert_says(
        &server_log(stopped.folder.path()),
        &[
            "the last write never finished: cut off, nothing of it was acknowledged",
            &format!("file={}", segment.display()),
            &format!("bytes={}", last.bytes / 2),
            &format!("offset={}", last.offset),
        ],
    );
    assert_eq!(length(&segment), last.offset);
    assert_eq!(stopped.lamppost.stored(server.api()), ticks(&[0, 1]));
    stopped.goes_on(&server, &[0, 1], 2);
}

#[test]
fn a_changed_byte_in_what_was_committed_is_named_and_the_rest_is_served() {
    let stopped = Stopped::after_frames(4);
    let segment = stopped.only_segment();
    let damaged = places(&segment)[2];
    change_byte(&segment, damaged.offset + damaged.bytes / 2);

    let server = stopped.start();
    stopped.says_damaged(&segment, damaged);
    // The region itself, and the gap in the numbering behind it.
    assert_eq!((counted(server.api(), DAMAGED, ""), counted(server.api(), MISSING, "")), (2, 1));
    assert_eq!(stopped.lamppost.stored(server.api()), ticks(&[0, 2, 3]));
    assert_eq!(places(&segment).len(), 5, "what is damaged is left in place");
    stopped.goes_on(&server, &[0, 2, 3], 1);
}

#[test]
fn a_changed_byte_in_an_earlier_segment_is_named_and_the_rest_is_served() {
    let stopped = Stopped::after_frames(3);
    let earlier = stopped.only_segment();
    let damaged = places(&earlier)[2];
    // A segment whose header is damaged is read, and not appended to.
    change_byte(&earlier, 20);
    let server = stopped.start();
    assert_says(
        &server_log(stopped.folder.path()),
        &[
            "the journal is damaged; reading on behind it",
            &format!("file={} offset=0 bytes=28 kind=Header", earlier.display()),
        ],
    );
    assert_eq!(stopped.lamppost.stored(server.api()), ticks(&[0, 1, 2]));
    let mut session = stopped.lamppost.log_in(&server);
    session.send(30..40).unwrap();
    assert_eq!(stopped.segments().len(), 2);
    server.end(Ending::Kill).unwrap();
    change_byte(&earlier, damaged.offset + damaged.bytes - 1);

    let server = stopped.start();
    stopped.says_damaged(&earlier, damaged);
    // The header, the region, and the gap in the numbering behind it.
    assert_eq!((counted(server.api(), DAMAGED, ""), counted(server.api(), MISSING, "")), (3, 1));
    assert_eq!(stopped.lamppost.stored(server.api()), ticks(&[0, 2, 3]));
    stopped.goes_on(&server, &[0, 2, 3], 1);
}

#[test]
fn a_journal_whose_only_segment_cannot_be_told_from_noise_is_not_thrown_away() {
    let stopped = Stopped::after_frames(2);
    let segment = stopped.only_segment();
    let bytes = vec![0xa5; usize::try_from(length(&segment)).unwrap()];
    open(&segment).write_all_at(&bytes, 0).unwrap();
    let mut run = binaries().server();
    run.args(["run", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]);
    run.arg(stopped.folder.path().join("data"));
    let said = refused(&mut run);
    assert!(
        said.ends_with(&format!(
            "fleet-server: neither the header nor the first record of {} can be read: restore it, or move it away to \
             go on without it\n",
            segment.display()
        )),
        "{said}"
    );
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

impl Stopped {
    fn after_frames(frames: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
        let [lamppost] = certified(&server, ["DF3637"]);
        let mut session = lamppost.log_in(&server);
        session.describe().unwrap();
        for frame in 0..frames {
            session.send(frame * 10..frame * 10 + 10).unwrap();
        }
        server.end(Ending::Kill).unwrap();
        Self { folder, lamppost }
    }

    fn start(&self) -> ServerProcess {
        ServerProcess::start(&binaries(), self.folder.path()).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let journal = self.folder.path().join("data/journal");
        let segments = names(&journal).into_iter().filter(|name| name != "journal.lock");
        segments.map(|name| journal.join(name)).collect()
    }

    fn only_segment(&self) -> PathBuf {
        let [segment] = self.segments().try_into().unwrap();
        segment
    }

    fn says_damaged(&self, segment: &Path, damaged: Place) {
        let Place { offset, bytes } = damaged;
        assert_says(
            &server_log(self.folder.path()),
            &[
                "the journal is damaged; reading on behind it",
                &format!("file={} offset={offset} bytes={bytes} kind=Records", segment.display()),
            ],
        );
    }

    /// The lamppost learns that all but these frames are missing, sends the one that is, and one more.
    fn goes_on(&self, server: &ServerProcess, frames: &[u64], lost: u64) {
        let mut session = self.lamppost.log_in(server);
        let position = session.greet(30);
        let held: Vec<_> =
            self.lamppost.held(&position).into_iter().flat_map(|(first, last)| first..=last).collect();
        assert_eq!(held, ticks(frames));
        session.describe().unwrap();
        session.send(lost * 10..lost * 10 + 10).unwrap();
        session.send(50..60).unwrap();
        let mut all = [frames, &[lost, 5]].concat();
        all.sort_unstable();
        session.greet(60);
        assert_eq!(self.lamppost.stored(server.api()), ticks(&all));
    }
}

/// The ticks of these frames.
fn ticks(frames: &[u64]) -> Vec<u64> {
    frames.iter().flat_map(|frame| frame * 10..frame * 10 + 10).collect()
}

/// Where the records of a whole segment stand: a header of 28 bytes, then each with 12 bytes before its body, of
/// which the second four are the body's length.
fn places(segment: &Path) -> Vec<Place> {
    let file = std::fs::read(segment).unwrap();
    let (mut places, mut offset) = (Vec::new(), 28);
    while let Some(length) = file.get(offset + 4..offset + 8) {
        let bytes = 12 + u64::from(u32::from_le_bytes(length.try_into().unwrap()));
        places.push(Place { offset: offset as u64, bytes });
        offset += usize::try_from(bytes).unwrap();
    }
    assert_eq!(offset, file.len());
    places
}

fn change_byte(path: &Path, offset: u64) {
    let (file, mut byte) = (open(path), [0]);
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}
