//! A lamppost's life with the shipped programs: it is enrolled by a token, renews its certificate, and comes back from the
//! dark; and what the audit has of all that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::fleet::{ServerProcess, monotonic, wait_for};
use serde_json::Value;

use super::agent_process::{Configured, with};
use super::commands::{binaries, done, put};
use super::counters::counted;

const NUMBER: &str = "DF3637";

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

/// A server on which the lamppost is registered, and nothing more.
fn registered(folder: &Path, options: &[&str]) -> ServerProcess {
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
fn connected(server: &ServerProcess) -> Option<Value> {
    let lamppost = server.api().json(&format!("/api/v1/lampposts/{NUMBER}")).unwrap();
    Some(lamppost["connection"]["since"].clone()).filter(|since| !since.is_null())
}

/// The time of the newest observation that the server has of it.
fn newest(server: &ServerProcess) -> Option<i64> {
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

fn now_ms() -> i64 {
    SystemClock::believed().now().wall.0
}
