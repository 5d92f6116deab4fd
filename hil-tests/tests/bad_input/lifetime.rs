//! A lamppost's life with the shipped programs: it is enrolled by a token, renews its certificate, and comes back from the
//! dark; and what the audit has of all that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::fleet::{ServerProcess, monotonic, wait_for};
use serde_json::Value;

use super::agent_process::{Configured, with};
use super::commands::{binaries, done, ended, put};
use super::counters::counted;

pub(super) const NUMBER: &str = "DF3637";

const PATIENCE: Duration = Duration::from_mins(1);

/// Long enough for an enrolment and a renewal on a machine under load, and no longer: the test waits for its end.
const LIFE: Duration = Duration::from_secs(90);

/// A login with the renewed certificate takes a fraction of a second, on a machine under load some.
const NOT_LONG: Duration = Duration::from_secs(10);

#[test]
fn a_lamppost_enrols_renews_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = registered(folder.path(), &["--certificate-life", "90s"]);
    let card = new_card(folder.path(), "card");

    // The installer types what the office has printed.
    let printed = done(&mut command(&server, &["token", "create", NUMBER]));
    let enrolled = enrol(&card, &server, "a rig", &printed);
    let agent = enrolled.start();
    wait_for("it to be connected", PATIENCE, || connected(&server)).unwrap();

    // Certificates are dated back by an hour: one that is good for so short is due at once, and is renewed before it ends.
    let (mut seen, mut longest) = (monotonic(), Duration::ZERO);
    let renewed = || {
        connected(&server)?;
        longest = longest.max(seen.elapsed());
        seen = monotonic();
        let serial = renewals(&server).first()?.0.clone();
        let own = agent.status()?["certificate"].clone();
        (own["serial"] == *serial && own["is_trying_another"] == false).then_some(serial)
    };
    let second = wait_for("a connection with the renewed certificate", PATIENCE, renewed).unwrap();
    assert!(longest < NOT_LONG, "it was gone for {longest:?}");
    let (_, detail_of_it) = &renewals(&server)[0];
    assert!(detail_of_it.get("returned").is_none(), "the first one had not ended: {detail_of_it}");
    let before = wait_for("its observations", PATIENCE, || newest(&server)).unwrap();

    // In the dark until past the end of its certificate.
    drop(agent);
    let has_ended = || (now_ms() > good_until(&server) + 1000).then_some(());
    wait_for("its newest certificate to end", LIFE * 2, has_ended).unwrap();
    let dark_ms = now_ms();
    let agent = Configured::on("a rig", &card, &server, NUMBER, (&card, "")).start();
    let back = || connected(&server).filter(|_| newest(&server) > Some(dark_ms));
    wait_for("it to be back, with what it reads now", PATIENCE, back).unwrap();
    assert!(before < dark_ms);
    let third = || agent.status().filter(|status| status["certificate"]["serial"] != *second);
    wait_for("it to have another certificate", PATIENCE, third).unwrap();
    assert!(counted(server.api(), "lamplighter_gateway_refusals_total", "reason=\"expired\"") > 0);

    // All of it is in the audit, which is sound.
    let verified = done(&mut command(&server, &["audit", "verify"]));
    assert!(verified.ends_with("the audit is sound\n"), "{verified}");
    let records = audit(&server);
    let created = records.iter().find(|record| record["action"] == "token_created").unwrap();
    assert_eq!((&created["subject"], &detail(created)["lamppost"]), (&"token:1".into(), &NUMBER.into()));
    let issued: Vec<Value> =
        records.iter().filter(|record| record["action"] == "certificate_issued").map(detail).collect();
    assert!(issued.iter().all(|detail| detail["lamppost"] == NUMBER));
    assert_eq!(issued[0]["token"], "1", "the enrolment");
    assert_eq!(issued[1]["present"].as_str(), first_issued(&records).as_deref(), "the renewal");
    let returned: Vec<_> = issued.iter().filter(|detail| detail["returned"] == "after expiry").collect();
    assert_eq!(returned.len(), 1, "{issued:?}");
    assert!(returned[0]["present"].is_string() && returned[0]["present_not_after_ms"].is_i64());
}

#[test]
fn a_replaced_controller_is_shut_out_a_retired_lamppost_stays_out_and_what_both_have_read_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let server = registered(folder.path(), &[]);
    let printed = done(&mut command(&server, &["token", "create", NUMBER]));
    let old = enrol(&new_card(folder.path(), "old"), &server, "a rig", &printed).start();
    let begin = wait_for("what the old controller reads", PATIENCE, || newest(&server)).unwrap();

    let replace = ["lamppost", "replace", NUMBER, "--reason", "struck by lightning"];
    let printed = done(&mut command(&server, &replace));
    let (said, printed) = printed.split_once('\n').unwrap();
    assert_eq!(said, "lamppost DF3637 has another controller: 1 certificate revoked, 1 token ended");
    let thrown_out = || {
        (counted(server.api(), "lamplighter_gateway_endings_total", "reason=\"revoked\"") == 1).then_some(())
    };
    wait_for("the old one to be thrown out", PATIENCE, thrown_out).unwrap();
    let until = newest(&server).unwrap();
    let new = enrol(&new_card(folder.path(), "new"), &server, "another rig", printed).start();
    let reads = || newest(&server).filter(|newest| *newest > until + 1000);
    wait_for("what the new controller reads", PATIENCE, reads).unwrap();
    let shut_out = || refused(&server, "revoked").then_some(());
    wait_for("the old one to come again in vain", PATIENCE, shut_out).unwrap();
    drop(old);
    let history = series_between(&server, begin, until + 1);
    assert!(!history.is_empty(), "what the old one had read is there");

    let moved =
        ["lamppost", "relocate", NUMBER, "--lat", "22.31", "--lon", "114.22", "--road", "Wai Yip Street"];
    let said = done(&mut command(&server, &moved));
    assert!(said.ends_with("  to   Wai Yip Street, Kwun Tong, 22.31 N 114.22 E\n"), "{said}");

    let said = done(&mut command(&server, &["lamppost", "retire", NUMBER, "--reason", "the road is gone"]));
    assert!(said.starts_with("lamppost DF3637 is retired: 1 certificate revoked, 1 token ended"), "{said}");
    let stays_out = || refused(&server, "retired").then_some(());
    wait_for("it to be refused as retired", PATIENCE, stays_out).unwrap();
    assert_eq!(connected(&server), None);
    let gone =
        || (server.api().json("/api/v1/city").unwrap()["numbers"] == serde_json::json!([])).then_some(());
    wait_for("the city to be without it", PATIENCE, gone).unwrap();
    assert_eq!(series_between(&server, begin, until + 1), history, "its data stay readable");
    let again = run_import(&server, folder.path());
    assert!(again.contains("these lampposts are retired, and nothing was stored: DF3637"), "{again}");
    let none = ended(&mut command(&server, &["token", "create", NUMBER]));
    assert!(none.error.contains("lamppost DF3637 is retired"), "{none:?}");
    drop(new);

    done(&mut command(&server, &["lamppost", "revive", NUMBER]));
    let printed = done(&mut command(&server, &["token", "create", NUMBER]));
    let _revived = enrol(&new_card(folder.path(), "third"), &server, "a third rig", &printed).start();
    wait_for("it to be connected again", PATIENCE, || connected(&server)).unwrap();
    let verified = done(&mut command(&server, &["audit", "verify"]));
    assert!(verified.ends_with("the audit is sound\n"), "{verified}");
    let records = audit(&server);
    let life: Vec<&str> = records
        .iter()
        .filter(|record| record["subject"] == "lamppost:DF3637" && record["action"] != "refused")
        .map(|record| record["action"].as_str().unwrap())
        .collect();
    assert_eq!(life, ["controller_replaced", "lamppost_relocated", "lamppost_retired", "lamppost_revived"]);
}

/// A server on which the lamppost is registered, and nothing more.
pub(super) fn registered(folder: &Path, options: &[&str]) -> ServerProcess {
    let server = ServerProcess::start_with(&binaries(), folder, options).unwrap();
    let list =
        format!("number,latitude,longitude,road,district\n{NUMBER},22.32,114.21,Hoi Bun Road,Kwun Tong\n");
    server.import_list(&list).unwrap();
    server
}

fn new_card(folder: &Path, name: &str) -> PathBuf {
    let card = folder.join(name);
    std::fs::create_dir(&card).unwrap();
    card
}

/// Imports the same list again, in vain; what is said.
fn run_import(server: &ServerProcess, folder: &Path) -> String {
    let mut import = command(server, &["lamppost", "import"]);
    ended(import.arg(folder.join("lampposts.csv"))).error
}

/// Whether the gateway has refused a login for this reason.
fn refused(server: &ServerProcess, reason: &str) -> bool {
    counted(server.api(), "lamplighter_gateway_refusals_total", &format!("reason=\"{reason}\"")) > 0
}

/// What was read of the air from a time on, until before another one.
fn series_between(server: &ServerProcess, from: i64, to: i64) -> Vec<Value> {
    let series = server.api().json(&format!("/api/v1/lampposts/{NUMBER}/series")).unwrap();
    let series = series["series"].as_array().unwrap().iter().find(|one| one["device"] == "air-1").unwrap();
    let property = series["property"].as_str().unwrap();
    let path = format!("/api/v1/lampposts/{NUMBER}/series/air-1/{property}?from={from}&to={to}");
    server.api().json(&path).unwrap()["observations"].as_array().unwrap().clone()
}

/// The serial number of the first certificate that was issued.
fn first_issued(records: &[Value]) -> Option<String> {
    let mut issued = records.iter().filter(|record| record["action"] == "certificate_issued");
    Some(issued.next()?["subject"].as_str()?.strip_prefix("certificate:")?.to_owned())
}

/// Enrols a card as the printed lines say, with nothing of the fleet's on it before.
fn enrol(card: &Path, server: &ServerProcess, hardware: &str, printed: &str) -> Configured {
    let agent = Configured::on(hardware, card, server, NUMBER, (card, ""));
    let token_file = card.join("token");
    put(&token_file, printed.lines().nth(1).unwrap().trim());
    let line = printed.lines().last().unwrap();
    let ca =
        line.trim().strip_prefix("edge-agent enrol --config FILE --token-file FILE --ca-sha256 ").unwrap();
    let mut enrol = with(&["enrol"], &agent.config);
    let said = done(enrol.arg("--token-file").arg(&token_file).args(["--ca-sha256", ca]));
    assert!(said.starts_with(&format!("{NUMBER} is enrolled: certificate ")), "{said}");
    agent
}

/// A subcommand beside the running server.
fn command(server: &ServerProcess, words: &[&str]) -> Command {
    let mut command = binaries().server();
    command.args(words).arg("--data").arg(server.data());
    command
}

/// Since when it is connected.
pub(super) fn connected(server: &ServerProcess) -> Option<Value> {
    let lamppost = server.api().json(&format!("/api/v1/lampposts/{NUMBER}")).unwrap();
    Some(lamppost["connection"]["since"].clone()).filter(|since| !since.is_null())
}

/// The time of the newest observation that the server has of it.
pub(super) fn newest(server: &ServerProcess) -> Option<i64> {
    let lamppost = server.api().json(&format!("/api/v1/lampposts/{NUMBER}")).unwrap();
    let time = lamppost["state"]["last_observation"].as_str()?;
    let time = time::OffsetDateTime::parse(time, &time::format_description::well_known::Rfc3339).unwrap();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The renewals so far: serial number of the new certificate, and what else the audit says.
fn renewals(server: &ServerProcess) -> Vec<(String, Value)> {
    let issued = audit(server).into_iter().filter(|record| record["action"] == "certificate_issued");
    let said = issued.map(|record| {
        let serial = record["subject"].as_str().unwrap().strip_prefix("certificate:").unwrap();
        (serial.to_owned(), detail(&record))
    });
    said.filter(|(_, detail)| detail.get("present").is_some()).collect()
}

/// The end of the newest certificate.
fn good_until(server: &ServerProcess) -> i64 {
    renewals(server).last().unwrap().1["not_after_ms"].as_i64().unwrap()
}

fn audit(server: &ServerProcess) -> Vec<Value> {
    let exported = done(&mut command(server, &["audit", "export"]));
    exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn detail(record: &Value) -> Value {
    serde_json::from_str(record["detail"].as_str().unwrap()).unwrap()
}

pub(super) fn now_ms() -> i64 {
    SystemClock::believed().now().wall.0
}
