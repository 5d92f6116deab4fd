//! `journal verify`.

use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use lamplighter_protocol::{Leaf, Log};
use serde_json::{Value, json};

use super::*;
use crate::journal::{Draft, Journal, JournalOptions};

/// A data directory with a journal of 60 hellos and 120 frames of two lampposts.
fn data() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let options = JournalOptions::in_directory(data.path().join(Journal::DIRECTORY_NAME));
    let mut journal = Journal::open(JournalOptions { segment_bytes: 8000, ..options }).unwrap().stepped();
    for id in 0..180_u8 {
        let leaf = if id % 3 == 0 { Leaf::Hello } else { Leaf::Frames(Log::Samples) };
        let lamppost = if id < 100 { "DF1" } else { "DF2" }.parse().unwrap();
        let payload = Bytes::from(vec![id; 100]);
        journal.push(Draft { received: UtcMillis(0), lamppost, leaf, payload });
        journal.commit().unwrap();
    }
    data
}

fn damage(data: &Path) {
    let file = data.join("journal/00000000000000000000.log");
    std::fs::OpenOptions::new().write(true).open(file).unwrap().write_all_at(&[0; 500], 3000).unwrap();
}

/// What is printed, and the error if there is one.
fn verify(data: &Path, more: &str) -> (String, Option<String>) {
    let line = format!("fleet-server journal verify --data {}{more}", data.display());
    let Command::Journal(JournalCommand::Verify(args)) = parse(&line).unwrap().command else {
        panic!("verify is verify");
    };
    let mut out = Vec::new();
    let done = verify_journal(&args, &mut out);
    (String::from_utf8(out).unwrap(), done.err().map(|error| format!("{error:#}")))
}

#[test]
fn a_sound_journal_is_said_to_be_sound_with_counts_as_they_were_asked_for() {
    let data = data();
    let (said, error) = verify(data.path(), "");
    assert_eq!(error, None);
    assert!(
        said.contains("180 entries, from 0 to before 180\n") && said.ends_with("the journal is sound\n"),
        "{said}"
    );
    assert!(!said.contains("up/hello"), "{said}");
    let (said, _) = verify(data.path(), " --by-leaf --by-lamppost");
    for line in ["  up/hello  60\n", "  up/samples  120\n", "  DF1  100\n", "  DF2  80\n"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn damage_is_named_by_file_place_and_sequences_and_ends_with_an_error() {
    let data = data();
    damage(data.path());
    let (said, error) = verify(data.path(), "");
    let file = data.path().join("journal/00000000000000000000.log");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with(file.to_str().unwrap())).collect();
    let [bytes, gap] = lines[..] else { panic!("{said}") };
    assert!(bytes.contains(", offset 2") && bytes.ends_with(" bytes are no records"), "{bytes}");
    assert!(gap.ends_with(" are missing (5)"), "{gap}");
    assert!(!said.contains("sound"), "{said}");
    assert_eq!(
        error.unwrap(),
        "the journal is damaged: 2 places, 5 entries missing, 0 segments that cannot be read to their end"
    );
}

#[test]
fn programs_are_told_the_same() {
    let data = data();
    let read = |more: &str| -> (Value, bool) {
        let (said, error) = verify(data.path(), &format!(" --json{more}"));
        (serde_json::from_str(&said).unwrap(), error.is_none())
    };
    let (sound, is_well) = read(" --by-leaf");
    assert!(is_well && sound["sound"] == true && sound["damaged"] == json!([]), "{sound}");
    assert_eq!(sound["by_leaf"], json!({"up/hello": 60, "up/samples": 120}));
    assert!(sound.get("by_lamppost").is_none());

    damage(data.path());
    let (damaged, is_well) = read("");
    assert!(!is_well && damaged["sound"] == false, "{damaged}");
    assert_eq!((&damaged["entries"], &damaged["missing_entries"]), (&json!(175), &json!(5)));
    let [bytes, gap] = &damaged["damaged"].as_array().unwrap()[..] else { panic!("{damaged}") };
    assert_eq!((&bytes["kind"], bytes.get("expected")), (&json!("records"), None));
    assert!(bytes["offset"].as_u64().unwrap() <= 3000 && bytes["bytes"].as_u64().unwrap() >= 500, "{bytes}");
    assert_eq!(gap["kind"], "gap");
    assert_eq!(gap["found"].as_u64().unwrap() - gap["expected"].as_u64().unwrap(), 5);
}

#[test]
fn beside_a_server_it_says_so_and_without_a_journal_too() {
    let data = data();
    let options = JournalOptions::in_directory(data.path().join(Journal::DIRECTORY_NAME));
    let server = Journal::open(options).unwrap();
    let (said, error) = verify(data.path(), "");
    assert!(said.contains("a server is running: what it may still be writing was left out\n"), "{said}");
    assert!(said.contains("179 entries, from 0 to before 179\n") && error.is_none(), "{said}");
    drop(server);
    let (said, error) = verify(&data.path().join("elsewhere"), "");
    assert!(said.is_empty());
    assert!(error.unwrap().ends_with("elsewhere: give the data directory of a server"));
}
