//! A server that is backed up while lampposts speak to it, lost with its disk, and restored onto an empty one (D9, D15).

use std::process::Command;

use hil_tests::fleet::observed::{dropped, served};
use hil_tests::fleet::{Ending, ServerProcess};

use super::commands::{done, names, refused};
use super::town::{Drained, Town};

#[test]
fn a_server_is_backed_up_while_data_flows_restored_and_filled_up_with_nobody_enrolled_again() {
    let mut town = Town::new();
    let binaries = town.binaries.clone();
    let folder = town.folder.path().to_owned();
    // Often enough that checkpoints are due while it is backed up.
    let server = ServerProcess::start_with(&binaries, &folder, &["--checkpoint-every", "1"]).unwrap();
    let certificates = server.register(1).unwrap();
    let (place, data) = (server.place().clone(), server.data());
    let (backup, keys) = (folder.join("backup"), folder.join("keys"));
    let restore = |words: &[&str]| -> Command {
        let mut restore = binaries.server();
        restore.args(["restore", "--from"]).arg(&backup).args(words);
        restore
    };
    let take = || {
        let mut take = binaries.server();
        take.args(["backup", "--data"]).arg(&data).arg("--out").arg(&backup).arg("--keys").arg(&keys);
        let said = done(&mut take);
        assert!(said.contains("\n  registry   1 lampposts, 1 certificates\n"), "{said}");
    };
    town.reads_while(&place, &certificates, 1_500, Drained::Yes, take);
    let read = town.on_disk();
    assert_eq!(served(server.api(), &town.number).unwrap().observations, read);

    let audited = || {
        let mut export = binaries.server();
        done(export.args(["audit", "export", "--data"]).arg(&data))
    };
    assert!(audited().contains("\"backup_taken\""), "{}", audited());

    server.end(Ending::Kill).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    assert!(
        done(&mut restore(&["--check"])).starts_with(&format!("the backup {} is sound\n", backup.display()))
    );
    let without_keys = refused(restore(&["--data"]).arg(&data));
    assert!(without_keys.contains("the keys are not in the backup"), "{without_keys}");
    assert!(!data.exists());
    done(restore(&["--data"]).arg(&data).arg("--keys").arg(&keys));
    assert_eq!(names(&data), ["ca", "checkpoints", "journal", "registry.sqlite", "tls"]);
    let since = audited();
    assert!(since.contains("\"backup_restored\"") && !since.contains("\"backup_taken\""), "{since}");

    let server = place.start().unwrap();
    let left = served(server.api(), &town.number).unwrap().observations;
    assert!(!left.is_empty() && left.len() < read.len(), "{} of {} are left", left.len(), read.len());
    assert!(left.iter().all(|(which, what)| read.get(which) == Some(what)), "what is left is as it was");
    town.only_sends(&server, &certificates);
    assert_eq!(served(server.api(), &town.number).unwrap().observations, read);
    assert_eq!(dropped(server.api(), &town.number).unwrap(), 0);
    server.end(Ending::Stop).unwrap();
}
