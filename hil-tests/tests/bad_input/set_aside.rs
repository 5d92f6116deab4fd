//! An outbox that belongs elsewhere, and what an operator decides of it (D14).

use std::path::{Path, PathBuf};
use std::time::Duration;

use hil_tests::fleet::observed::{Observed, in_outbox, served};
use hil_tests::fleet::{Ending, ServerProcess, wait_for};
use lamplighter_protocol::LamppostNumber;
use serde_json::{Value, json};

use super::agent_process::AgentProcess;
use super::commands::binaries;

const PATIENCE: Duration = Duration::from_mins(1);
const OUTBOXES: &str = "/api/v1/lampposts/DF3637/outboxes";

/// A lamppost that was never connected and whose hardware was changed: its outbox is set aside, and a new agent runs.
struct Changed {
    server: ServerProcess,
    certificates: PathBuf,
    agent: AgentProcess,
    /// What the old hardware had read, all of it unsent.
    read: Observed,
    folder: tempfile::TempDir,
}

impl Changed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
        let certificates = server.enrol(&["DF3637"]).unwrap().0.join("DF3637");
        let nowhere = folder.path().join("not-there");
        let agent = AgentProcess::start(folder.path(), &server, "DF3637", &nowhere, "");
        let sampled = || agent.status().filter(|status| status["sensors"][0]["read"].as_u64() >= Some(6));
        wait_for("six samples", PATIENCE, sampled).unwrap();
        drop(agent);

        let copy = folder.path().join("copy");
        copy_all(&folder.path().join("state/outbox"), &copy);
        let (read, _) = in_outbox(&copy, &number(), "a rig").unwrap();
        assert!(read.observations.len() >= 9, "{}", read.observations.len());
        let agent = start(folder.path(), &server, &certificates);
        Self { server, certificates, agent, read, folder }
    }

    fn outboxes(&self) -> Value {
        self.server.api().json(OUTBOXES).unwrap()
    }

    /// The id of the outbox that was set aside, once the server knows of it.
    fn aside(&self) -> String {
        let told = || {
            let told = self.outboxes();
            let outboxes = told["outboxes"].as_array().unwrap();
            outboxes.iter().find(|outbox| outbox["set_aside"].is_object()).cloned()
        };
        let outbox = wait_for("a hello that tells of it", PATIENCE, told).unwrap();
        assert_eq!((&outbox["standing"], &outbox["last_heard"]), (&json!("set_aside"), &Value::Null));
        let aside = &outbox["set_aside"];
        assert_eq!((&aside["reason"], &aside["lamppost"]), (&json!("other_hardware"), &json!("DF3637")));
        assert_eq!((&aside["hardware_serial"], &aside["runs"]), (&json!("a rig"), &json!(1)));
        outbox["outbox"].as_str().unwrap().to_owned()
    }

    fn decide(&self, outbox: &str, decision: &str) -> (u16, Value) {
        let (status, text) = self.server.api().post(&format!("{OUTBOXES}/{outbox}/{decision}")).unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    fn wait_for_state(&self, wanted: &str) {
        let reached = || (self.outboxes()["decisions"][0]["state"] == wanted).then_some(());
        wait_for(&format!("the decision to be {wanted}"), PATIENCE, reached).unwrap();
    }

    fn on_disk(&self) -> PathBuf {
        self.folder.path().join("state/outbox.set-aside-1")
    }
}

#[test]
fn d14_what_other_hardware_had_read_is_stored_once_when_an_operator_releases_its_outbox() {
    let changed = Changed::new();
    let aside = changed.aside();
    let said = changed.agent.status_for_people();
    assert!(said.contains(&format!("set aside {aside}: lamppost DF3637, hardware a rig")), "{said}");
    let (status, decided) = changed.decide(&aside, "release");
    assert_eq!((status, &decided["operator"]), (200, &json!("console")));
    changed.wait_for_state("done");
    assert!(!changed.on_disk().exists());

    let all_here = || {
        let stored = served(changed.server.api(), &number()).unwrap();
        let missing = changed.read.observations.keys().any(|which| !stored.observations.contains_key(which));
        (!missing).then_some(stored)
    };
    let stored = wait_for("all that was read", PATIENCE, all_here).unwrap();
    assert_eq!(stored.twice, []);
    for (which, what) in &changed.read.observations {
        assert_eq!(stored.observations.get(which), Some(what), "{which:?}");
    }
    let outboxes = changed.outboxes();
    assert_eq!(outboxes["outboxes"].as_array().unwrap().len(), 1, "{outboxes}");
    assert_eq!(outboxes["records"]["lost"], 0);
    assert_eq!(changed.decide(&aside, "close").0, 404, "it is no more");
}

#[test]
fn d14_a_decision_waits_for_a_lamppost_that_is_gone_over_a_restart_of_the_server() {
    let mut changed = Changed::new();
    let aside = changed.aside();
    let (path, certificates) = (changed.folder.path().to_owned(), changed.certificates.clone());
    drop(std::mem::replace(&mut changed.agent, start_unconnected(&path, &changed.server)));
    let gone = || {
        changed.server.api().json("/api/v1/lampposts/DF3637").unwrap()["connection"].is_null().then_some(())
    };
    wait_for("the lamppost to be gone", PATIENCE, gone).unwrap();
    assert_eq!(changed.decide(&aside, "close").1["state"], "waiting");
    assert_eq!(changed.decide(&aside, "release").0, 409);
    let Changed { server, certificates: _, agent, read, folder } = changed;
    let server = server.restart(Ending::Kill).unwrap();
    drop(agent);
    let agent = start(&path, &server, &certificates);
    let changed = Changed { server, certificates, agent, read, folder };
    changed.wait_for_state("done");
    assert!(!changed.on_disk().exists());
    let none =
        || changed.outboxes()["outboxes"].as_array().unwrap().iter().all(|one| one["set_aside"].is_null());
    wait_for("the next hello", PATIENCE, || none().then_some(())).unwrap();
}

fn number() -> LamppostNumber {
    "DF3637".parse().unwrap()
}

fn start(folder: &Path, server: &ServerProcess, certificates: &Path) -> AgentProcess {
    AgentProcess::start_on("another rig", folder, server, "DF3637", (certificates, ""))
}

fn start_unconnected(folder: &Path, server: &ServerProcess) -> AgentProcess {
    start(folder, server, &folder.join("not-there"))
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
