//! `dd` over what real agents and servers have on disk, and a server that is restored from yesterday's copy: what is
//! lost is named, the rest is served, and the lamppost fills up whatever it still has (D9, D11, D12).

use std::path::{Path, PathBuf};
use std::process::Command;

use hil_tests::fleet::observed::{dropped, served};
use hil_tests::fleet::{Ending, ServerProcess};

use super::commands::{done, ended, names};
use super::town::{Drained, Town, copy};

#[test]
fn what_dd_writes_over_in_a_backlog_is_named_as_damaged_and_the_rest_is_served() {
    let mut town = Town::new();
    let server = ServerProcess::start(&town.binaries, town.folder.path()).unwrap();
    let certificates = server.register(1).unwrap();
    let place = server.place().clone();
    server.end(Ending::Stop).unwrap();
    town.reads(&place, &certificates, 1_500, Drained::No);
    let read = town.on_disk();
    let runs = town.outbox().join("runs");
    let segments = segments(&runs.join(&names(&runs)[0]));
    assert!(segments.len() > 2, "{segments:?}");
    dd(&segments[1]);

    let server = place.start().unwrap();
    town.only_sends(&server, &certificates);
    town.names_what_is_lost(server.api(), &read);
    let system = server.api().json("/api/v1/system").unwrap();
    let damaged = &system["ingest"]["damaged_records"];
    assert_eq!(damaged.as_u64().unwrap(), dropped(server.api(), &town.number).unwrap(), "{system:#}");
    server.end(Ending::Stop).unwrap();
}

#[test]
fn what_dd_writes_over_in_a_journal_is_named_by_verify_and_filled_up_by_the_lamppost() {
    let mut town = Town::new();
    let server = ServerProcess::start(&town.binaries, town.folder.path()).unwrap();
    let certificates = server.register(1).unwrap();
    town.reads(server.place(), &certificates, 1_000, Drained::Yes);
    let read = town.on_disk();
    let (place, data) = (server.place().clone(), server.data());
    // One that stops in order leaves a checkpoint, and needs the journal no more.
    server.end(Ending::Kill).unwrap();
    let journal = data.join("journal");
    let segment = names(&journal).into_iter().find(|name| name != "journal.lock").unwrap();
    let segment = journal.join(segment);
    dd(&segment);

    let mut verify = town.binaries.server();
    let verified = ended(verify.args(["journal", "verify", "--data"]).arg(&data));
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.out.contains(segment.to_str().unwrap()), "{verified:?}");
    assert!(verified.error.contains("the journal is damaged"), "{verified:?}");

    let server = place.start().unwrap();
    let system = server.api().json("/api/v1/system").unwrap();
    assert!(system["journal"]["damaged_regions"].as_u64().unwrap() > 0, "{system:#}");
    assert_eq!(system["journal"]["damage"][0]["segment"], file_name(&segment), "{system:#}");
    let left = served(server.api(), &town.number).unwrap().observations;
    assert!(!left.is_empty() && left.len() < read.len(), "{} of {} are left", left.len(), read.len());
    assert!(left.iter().all(|(which, what)| read.get(which) == Some(what)), "what is left is as it was");
    town.only_sends(&server, &certificates);
    assert_eq!(served(server.api(), &town.number).unwrap().observations, read);
    assert_eq!(dropped(server.api(), &town.number).unwrap(), 0);
    server.end(Ending::Stop).unwrap();
}

#[test]
fn a_server_that_is_restored_from_yesterdays_copy_is_filled_up_and_names_what_nobody_has_any_more() {
    let mut town = Town::new();
    let server = ServerProcess::start(&town.binaries, town.folder.path()).unwrap();
    let certificates = server.register(1).unwrap();
    town.reads(server.place(), &certificates, 600, Drained::Yes);
    let (place, data) = (server.place().clone(), server.data());
    let yesterday = town.folder.path().join("yesterday");
    server.end(Ending::Stop).unwrap();
    copy(&data, &yesterday);
    let server = place.start().unwrap();
    town.reads(server.place(), &certificates, 1_500, Drained::Yes);
    let read = town.on_disk();
    assert_eq!(served(server.api(), &town.number).unwrap().observations, read);
    server.end(Ending::Stop).unwrap();

    std::fs::remove_dir_all(&data).unwrap();
    copy(&yesterday, &data);
    // Of what came since, the lamppost's card has lost some.
    let runs = town.outbox().join("runs");
    dd(&segments(&runs.join(&names(&runs)[1]))[1]);
    let server = place.start().unwrap();
    let left = served(server.api(), &town.number).unwrap().observations;
    assert!(!left.is_empty() && left.len() < read.len() / 2, "{} of {} are left", left.len(), read.len());
    town.only_sends(&server, &certificates);
    town.names_what_is_lost(server.api(), &read);
    server.end(Ending::Stop).unwrap();
}

/// The segments of samples of a run, oldest first.
fn segments(run: &Path) -> Vec<PathBuf> {
    names(run).into_iter().filter(|name| name.starts_with("samples")).map(|name| run.join(name)).collect()
}

/// Writes noise over some of the middle of a file.
fn dd(file: &Path) {
    let middle = std::fs::metadata(file).unwrap().len() / 2;
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/urandom", "bs=1", "count=600", "conv=notrunc", &format!("seek={middle}")]);
    dd.arg(format!("of={}", file.display()));
    done(&mut dd);
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
