//! What operators decide of outboxes (D14).

use std::sync::Arc;

use lamplighter_protocol::wire::CommandState;
use lamplighter_protocol::{
    Catalogue, Command, CommandAction, CommandId, CommandReport, Digest, Log, OutboxId, Record, UtcMillis,
};
use serde_json::{Value, json};

use super::rig::{Rig, START};
use super::speaker::Speaker;
use crate::commands::Commands;
use crate::gateway::{Listener, Sessions};
use crate::ingest::{Ingest, IngestMetrics, OutboxStanding};

const OUTBOXES: &str = "/api/v1/lampposts/DF9/outboxes";

fn path(outbox: u8, decision: &str) -> String {
    format!("{OUTBOXES}/{}/{decision}", id(outbox))
}

fn id(outbox: u8) -> String {
    OutboxId([outbox; 16]).to_string()
}

/// Outbox 5 was that of the lamppost, with run 1; outbox 6 has found it, and outbox 7 of another lamppost.
fn found(rig: &Rig) -> (Speaker<'_>, Digest) {
    let mut speaker = Speaker::new(rig);
    let digest = speaker.describes(&[("weather-1", Some(1000))]);
    speaker.greets(0, 5, &[(1, 0, 9)]);
    speaker.tells_of(1000, 6, &[(2, 0, 0)], &[(5, "DF9"), (7, "DF1")]);
    (speaker, digest)
}

fn listener(rig: &Rig) -> Listener {
    Listener::new(&rig.sessions, &"DF9".parse().unwrap())
}

fn only_command(listener: &Listener) -> Command {
    match &listener.commands()[..] {
        [one] => Command::decode(one).unwrap(),
        others => panic!("{} commands", others.len()),
    }
}

fn report(id: &Value, state: CommandState, detail: &str) -> Record {
    let id: CommandId = id.as_str().unwrap().parse().unwrap();
    Record::Command(CommandReport { id, state, time: UtcMillis(START + 5000), detail: detail.to_owned() })
}

/// The newest decision, as the list tells of it.
fn newest(rig: &Rig) -> Value {
    rig.get(OUTBOXES).json()["decisions"][0].clone()
}

#[test]
fn d14_set_aside_outboxes_are_listed_with_whose_they_are_and_counted() {
    let rig = Rig::new();
    let (_speaker, _) = found(&rig);
    let told = rig.get(OUTBOXES).json();
    let standings: Vec<_> =
        told["outboxes"].as_array().unwrap().iter().map(|one| one["standing"].clone()).collect();
    assert_eq!(standings, ["living", "set_aside", "set_aside"]);
    let aside = json!({
        "since": "2026-07-01T08:00:01.000Z", "by": id(6), "reason": "other_hardware", "lamppost": "DF9",
        "hardware_serial": "S5", "bytes": 4096, "runs": 2, "first": "2026-07-01T07:59:00.000Z", "last": null,
        "releasable": true,
    });
    assert_eq!(told["outboxes"][1]["set_aside"], aside);
    let other = &told["outboxes"][2];
    assert_eq!((&other["set_aside"]["releasable"], &other["run"]), (&json!(false), &Value::Null));
    assert_eq!((&other["last_heard"], &other["lives"]), (&Value::Null, &json!(0)));
    let ledger = rig.get("/api/v1/lampposts/DF9").json()["ledger"].clone();
    assert_eq!((&ledger["outboxes"], &ledger["set_aside"]), (&json!(1), &json!(2)));
}

#[test]
fn d14_a_release_is_told_to_the_lamppost_until_it_has_reported_what_became_of_it() {
    let rig = Rig::new();
    let (mut speaker, digest) = found(&rig);
    let number = "DF9".parse().unwrap();
    let decided = rig.post(&path(5, "release")).json();
    assert_eq!((&decided["decision"], &decided["state"]), (&json!("release"), &json!("waiting")));
    assert_eq!((&decided["outbox"], &decided["operator"]), (&json!(id(5)), &json!("console")));

    let listener = listener(&rig);
    assert_eq!(newest(&rig)["state"], "waiting", "it is connected, and nothing was sent to it");
    for _ in 0..2 {
        rig.commands.greeted(&number);
        let command = only_command(&listener);
        assert_eq!(command.id.to_string(), decided["id"]);
        assert_eq!(command.action, Some(CommandAction::ReleaseOutbox(OutboxId([5; 16]))));
        assert_eq!(newest(&rig)["state"], "sent");
    }
    rig.post(&path(5, "close")).problem(409, "outbox-state");
    speaker.sends(5000, Log::Events, 2, 1, digest, &[report(&decided["id"], CommandState::Acknowledged, "")]);
    assert_eq!(newest(&rig)["state"], "acknowledged");
    rig.commands.greeted(&number);
    assert_eq!(only_command(&listener).id.to_string(), decided["id"]);
    speaker.sends(5000, Log::Events, 2, 2, digest, &[report(&decided["id"], CommandState::Done, "")]);
    assert_eq!(newest(&rig)["state"], "done");
    assert_eq!(newest(&rig)["reported"], "2026-07-01T08:00:05.000Z");
    rig.commands.greeted(&number);
    assert!(listener.commands().is_empty());
}

#[test]
fn a_connected_lamppost_is_told_at_once_and_a_decision_that_failed_can_be_made_anew() {
    let rig = Rig::new();
    let (mut speaker, digest) = found(&rig);
    let listener = listener(&rig);
    let decided = rig.post(&path(5, "close")).json();
    assert_eq!(decided["state"], "waiting", "the connection has not written it yet");
    assert_eq!(only_command(&listener).action, Some(CommandAction::CloseOutbox(OutboxId([5; 16]))));
    let samples = &rig.get(OUTBOXES).json()["records"];
    assert_eq!((&samples["lost"], &samples["lost_closed"]), (&json!(11), &json!(11)));
    speaker.sends(
        5000,
        Log::Events,
        2,
        1,
        digest,
        &[report(&decided["id"], CommandState::Failed, "the card is gone")],
    );
    assert_eq!(
        (&newest(&rig)["state"], &newest(&rig)["reason"]),
        (&json!("failed"), &json!("the card is gone"))
    );
    let ledger = || rig.get("/api/v1/lampposts/DF9").json()["ledger"].clone();
    assert_eq!((&ledger()["set_aside"], &ledger()["failed_decisions"]), (&json!(1), &json!(1)));
    let again = rig.post(&path(5, "close")).json();
    assert_ne!(again["id"], decided["id"]);
    assert_eq!(only_command(&listener).id.to_string(), again["id"]);
    assert_eq!(ledger()["failed_decisions"], 0, "it is decided anew");
    assert_eq!(rig.get(OUTBOXES).json()["decisions"].as_array().unwrap().len(), 2);
}

#[test]
fn d14_a_command_whose_connection_ended_before_the_lamppost_spoke_of_it_waits_again() {
    let rig = Rig::new();
    let (_speaker, _) = found(&rig);
    let listener = listener(&rig);
    rig.post(&path(5, "release")).json();
    assert_eq!(listener.commands().len(), 1);
    assert_eq!(newest(&rig)["state"], "sent");
    drop(listener);
    assert_eq!(newest(&rig)["state"], "waiting");
    let _back = self::listener(&rig);
    assert_eq!(newest(&rig)["state"], "waiting", "it is connected again, and has not said hello");
}

#[test]
fn d14_a_command_that_came_too_late_says_so_and_is_sent_again() {
    let rig = Rig::new();
    let (mut speaker, digest) = found(&rig);
    let listener = listener(&rig);
    let decided = rig.post(&path(5, "close")).json();
    assert_eq!(listener.commands().len(), 1);
    speaker.sends(5000, Log::Events, 2, 1, digest, &[report(&decided["id"], CommandState::Expired, "")]);
    assert_eq!(newest(&rig)["state"], "expired");
    assert_eq!(newest(&rig)["reported"], "2026-07-01T08:00:05.000Z");
    rig.post(&path(5, "release")).problem(409, "outbox-state");
    rig.commands.greeted(&"DF9".parse().unwrap());
    assert_eq!(only_command(&listener).id.to_string(), decided["id"]);
    assert_eq!(newest(&rig)["state"], "expired", "as long as it has said nothing else");
    speaker.sends(5000, Log::Events, 2, 2, digest, &[report(&decided["id"], CommandState::Done, "")]);
    assert_eq!(newest(&rig)["state"], "done");
}

#[test]
fn d14_what_makes_no_sense_is_refused_and_decides_nothing() {
    let rig = Rig::new();
    let (_speaker, _) = found(&rig);
    let refused = [
        (path(9, "release"), 404, "unknown-outbox"),
        (path(9, "close"), 404, "unknown-outbox"),
        (path(7, "release"), 409, "outbox-state"),
        (path(6, "release"), 409, "outbox-state"),
        (path(6, "close"), 409, "outbox-state"),
        (path(5, "release").replace("DF9", "DF2"), 404, "unknown-lamppost"),
        (path(5, "release").replace("DF9", "DF1"), 404, "unknown-outbox"),
        (format!("{OUTBOXES}/05/release"), 400, "invalid-parameter"),
        (format!("{}?force=1", path(5, "release")), 400, "unknown-parameter"),
        (path(5, "burn"), 404, "not-found"),
    ];
    for (target, status, name) in refused {
        rig.post(&target).problem(status, name);
    }
    assert_eq!(newest(&rig), Value::Null);
}

#[test]
fn d14_an_outbox_that_is_elsewhere_is_closed_without_a_command_and_taken_back() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    speaker.greets(0, 5, &[(1, 0, 9)]);
    speaker.greets(1000, 6, &[(2, 0, 0)]);
    let listener = listener(&rig);
    rig.post(&path(5, "release")).problem(409, "outbox-state");
    assert_eq!(rig.post(&path(5, "close")).json()["state"], "done");
    assert_eq!(rig.get(OUTBOXES).json()["outboxes"][1]["standing"], "closed");
    rig.post(&path(5, "close")).problem(409, "outbox-state");
    assert_eq!(rig.post(&path(5, "release")).json()["state"], "done");
    assert_eq!(rig.get(OUTBOXES).json()["outboxes"][1]["standing"], "living");
    assert!(listener.commands().is_empty());
}

#[test]
fn only_the_console_and_tools_that_hold_the_token_decide() {
    let rig = Rig::new();
    let (_speaker, _) = found(&rig);
    let host = format!("Host: {}\r\nContent-Length: 0", rig.address);
    let target = path(5, "release");
    rig.raw(&format!("POST {target} HTTP/1.1\r\n{host}")).problem(401, "unauthorised");
    for origin in ["http://127.0.0.1:1", "https://example.org", "null"] {
        rig.post_with(&target, &[("Origin", origin)]).problem(403, "foreign-origin");
    }
    let sized = format!("POST {target} HTTP/1.1\r\n{}\r\nContent-Length: 2", rig.welcome());
    rig.raw(&sized).problem(413, "body-not-taken");
    let answer = rig.raw(&format!("GET {target} HTTP/1.1\r\n{}", rig.welcome()));
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(newest(&rig), Value::Null);
    rig.post_with(&target, &[("Origin", &format!("http://{}", rig.address))]).json();
}

#[test]
fn d14_decisions_hold_over_a_start_that_knows_the_journal_and_the_registry_alone() {
    let rig = Rig::new();
    let (_speaker, _) = found(&rig);
    let decided = rig.post(&path(5, "close")).json();
    // As from a checkpoint of before it was decided, and all hellos.
    *rig.ingest.write().unwrap() = Ingest::new(Catalogue::built_in(), IngestMetrics::default());
    let (_again, _) = found(&rig);
    let (sessions, number) = (Sessions::default(), "DF9".parse().unwrap());
    let commands = Commands::new(rig.registry.clone(), sessions.clone(), Arc::clone(&rig.ingest));
    rig.runtime.block_on(commands.load()).unwrap();
    let ledger = rig.ingest.read().unwrap().ledger(&number).unwrap();
    let closed = ledger.outboxes.iter().find(|one| one.outbox == OutboxId([5; 16])).unwrap();
    assert_eq!(closed.standing, OutboxStanding::Closed);
    let listener = Listener::new(&sessions, &number);
    commands.greeted(&number);
    assert_eq!(only_command(&listener).id.to_string(), decided["id"]);
}
