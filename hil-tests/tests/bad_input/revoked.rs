//! A certificate that is revoked while its lamppost is connected, and what the audit says of it.

use std::process::Command;
use std::time::Duration;

use hil_tests::fleet::{Ending, ServerProcess, wait_for};
use serde_json::Value;

use super::agent_process::AgentProcess;
use super::commands::{binaries, done, refused};
use super::counters::counted;

const STOLEN: &str = "DF3637";
const OTHER: &str = "DF3638";

const PATIENCE: Duration = Duration::from_mins(1);
/// The server looks once a second; the rest is for a machine under load.
const SECONDS: Duration = Duration::from_secs(5);

#[test]
fn a_revoked_lamppost_is_thrown_out_within_seconds_stays_out_and_the_audit_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let certificates = server.enrol(&[STOLEN, OTHER]).unwrap();
    let [_stolen, _other] = [STOLEN, OTHER].map(|number| {
        let own = folder.path().join(format!("agent-{number}"));
        std::fs::create_dir(&own).unwrap();
        AgentProcess::start(&own, &server, number, &certificates.0.join(number), "")
    });
    let since = wait_for("both to be connected", PATIENCE, || {
        let since = [STOLEN, OTHER].map(|number| connected_since(&server, number));
        since.iter().all(Option::is_some).then_some(since)
    });
    let [_, since] = since.unwrap();
    let noted = head(&done(&mut command(&server, &["audit", "verify"])));

    let list = done(&mut command(&server, &["cert", "list", STOLEN]));
    let [_title, line] = &list.lines().collect::<Vec<_>>()[..] else { panic!("{list}") };
    let serial = line.split_whitespace().next().unwrap();
    assert!(line.ends_with("good"), "{line}");
    let revoke = ["cert", "revoke", serial, "--reason", "the controller was stolen"];
    let said = done(&mut command(&server, &revoke));
    assert!(said.starts_with(&format!("revoked: certificate {serial} of lamppost {STOLEN}")), "{said}");

    let api = server.api();
    let thrown_out =
        || (counted(api, "lamplighter_gateway_endings_total", "reason=\"revoked\"") == 1).then_some(());
    wait_for("the stolen one to be thrown out", SECONDS, thrown_out).unwrap();
    let shut_out = || counted(api, "lamplighter_gateway_refusals_total", "reason=\"revoked\"") > 0;
    wait_for("its new login to be refused", PATIENCE, || shut_out().then_some(())).unwrap();
    assert_eq!(connected_since(&server, STOLEN), None);
    assert_eq!(connected_since(&server, OTHER), since, "the other one is not disturbed");

    let again = done(&mut command(&server, &revoke));
    assert!(again.contains("was revoked already"), "{again}");
    let list = done(&mut command(&server, &["cert", "list"]));
    assert!(list.lines().any(|line| line.starts_with(serial) && line.ends_with("revoked")), "{list}");
    let strange = refused(&mut command(&server, &["cert", "revoke", "4a00ff"]));
    assert!(strange.contains("no certificate with the serial number 4a00ff was issued here"), "{strange}");

    done(&mut command(&server, &["audit", "verify", "--head", &noted]));
    let (data, place) = (server.data(), server.place().clone());
    server.end(Ending::Stop).unwrap();
    let server = place.start().unwrap();
    assert_eq!(server.data(), data);
    let verified = done(&mut command(&server, &["audit", "verify", "--head", &noted]));
    assert!(verified.ends_with("the audit is sound\n"), "{verified}");
    let records: Vec<Value> = done(&mut command(&server, &["audit", "export"]))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let subject = format!("certificate:{serial}");
    let fate: Vec<_> = records.iter().filter(|one| one["subject"] == *subject).map(said_of).collect();
    assert_eq!(fate[0].0, "certificate_issued");
    assert_eq!((fate.len(), fate[1].0), (2, "certificate_revoked"));
    assert_eq!(fate[1].1["reason"], "the controller was stolen");
    assert!(fate.iter().all(|(_, detail)| detail["lamppost"] == STOLEN));
    let refusals = records.iter().filter(|one| one["subject"] == format!("lamppost:{STOLEN}")).map(said_of);
    let refusals = refusals.filter(|(action, detail)| *action == "refused" && detail["reason"] == "revoked");
    assert!(refusals.count() > 0, "what was refused last is not lost at a stop: {records:?}");
    let of_the_server = records.iter().filter(|one| one["subject"] == "server").map(|one| said_of(one).0);
    assert_eq!(of_the_server.collect::<Vec<_>>(), ["server_started", "server_stopped", "server_started"]);
}

/// A subcommand beside the running server.
fn command(server: &ServerProcess, words: &[&str]) -> Command {
    let mut command = binaries().server();
    command.args(words).arg("--data").arg(server.data());
    command
}

fn connected_since(server: &ServerProcess, number: &str) -> Option<Value> {
    let lamppost = server.api().json(&format!("/api/v1/lampposts/{number}")).unwrap();
    Some(lamppost["connection"]["since"].clone()).filter(|since| !since.is_null())
}

/// The head that `audit verify` prints.
fn head(verified: &str) -> String {
    let head = verified.lines().find_map(|line| line.strip_prefix("head "));
    head.unwrap_or_else(|| panic!("{verified}")).to_owned()
}

/// What a record says: its action, and its detail.
fn said_of(record: &Value) -> (&str, Value) {
    let detail = serde_json::from_str(record["detail"].as_str().unwrap()).unwrap();
    (record["action"].as_str().unwrap(), detail)
}
