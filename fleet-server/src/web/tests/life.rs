//! A lamppost whose controller is replaced, that is moved, and taken down.

use serde_json::{Value, json};

use super::rig::Rig;
use crate::audit::Actor;
use crate::clock;
use crate::registry::{CertificateRecord, TokenDigest};

const DF1: &str = "/api/v1/lampposts/DF1";

/// A rig whose lamppost has a certificate.
fn rig() -> Rig {
    let rig = Rig::new();
    let now = clock::wall();
    let record = CertificateRecord {
        serial: "4a01".parse().unwrap(),
        lamppost: "DF1".parse().unwrap(),
        issued: now,
        not_after: now.plus_ms(3_600_000),
        revoked: None,
        authority: None,
    };
    rig.runtime.block_on(rig.registry.record_certificate(&record, &Actor::Server)).unwrap();
    rig
}

fn revoked(rig: &Rig) -> bool {
    let found = rig.runtime.block_on(rig.registry.certificate(&"4a01".parse().unwrap()));
    found.unwrap().unwrap().revoked.is_some()
}

#[test]
fn whoever_replaces_a_controller_is_told_the_token_of_the_next_one_once() {
    let rig = rig();
    let answer = rig.post(&format!("{DF1}/replacement?hours=8&reason=burnt"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = answer.json();
    assert_eq!((&told["revoked_certificates"], &told["ended_tokens"]), (&json!(1), &json!(0)));
    assert!(revoked(&rig));
    let enrolment = &told["enrolment"];
    let token: crate::est::Token = enrolment["secret"].as_str().unwrap().parse().unwrap();
    assert_eq!((&enrolment["token"]["id"], &enrolment["token"]["lamppost"]), (&json!(1), &json!("DF1")));
    let note = enrolment["note"].as_str().unwrap();
    assert!(note.starts_with("lamppost=DF1\n") && note.ends_with(&format!("\ntoken={}\n", token.expose())));
    let digest: TokenDigest = token.digest();
    let record = rig.runtime.block_on(rig.registry.token(&digest)).unwrap().unwrap();
    assert_eq!((record.id.to_string(), record.lamppost.as_str()), ("1".to_owned(), "DF1"));
    assert_eq!(record.expires.since_ms(record.created), 8 * 3_600_000);
    assert_eq!(rig.post(&format!("{DF1}/replacement")).json()["ended_tokens"], 1);

    rig.post("/api/v1/lampposts/DF9999/replacement").problem(404, "unknown-lamppost");
    for (query, parameter) in [("hours=0", "hours"), ("hours=721", "hours"), ("reason=%07", "reason")] {
        let problem = rig.post(&format!("{DF1}/replacement?{query}")).problem(400, "invalid-parameter");
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
    let foreign = [("origin", "http://elsewhere.example")];
    rig.post_with(&format!("{DF1}/replacement"), &foreign).problem(403, "foreign-origin");
}

#[test]
fn a_lamppost_that_was_moved_tells_where_it_stood_when() {
    let rig = rig();
    let stood = rig.get(&format!("{DF1}/places")).json()["places"].clone();
    let [stood] = stood.as_array().unwrap().as_slice() else { panic!("{stood}") };
    assert_eq!(stood["until"], Value::Null);
    let query = "latitude_deg=22.31&longitude_deg=114.22&road=Hoi+Bun+Road&since=2026-07-01T08:00:00Z";
    let told = rig.post(&format!("{DF1}/relocation?{query}")).json();
    let places = told["places"].as_array().unwrap();
    assert_eq!(places.len(), 2);
    assert_eq!(
        (&places[0]["until"], &places[0]["road"]),
        (&json!("2026-07-01T08:00:00.000Z"), &stood["road"])
    );
    assert_eq!((&places[1]["until"], &places[1]["road"]), (&Value::Null, &json!("Hoi Bun Road")));
    assert_eq!(places[1]["district"], stood["district"]);
    assert_eq!(rig.get(&format!("{DF1}/places")).json(), told);
    assert_eq!(rig.get(DF1).json()["latitude_deg"], 22.31);
    assert!(!revoked(&rig));

    rig.post(&format!("{DF1}/relocation?road=Hoi+Bun+Road")).problem(409, "lamppost-state");
    rig.post("/api/v1/lampposts/DF9999/relocation?road=A").problem(404, "unknown-lamppost");
    for (query, parameter) in [
        ("latitude_deg=22.3", "longitude_deg"),
        ("longitude_deg=114.2", "latitude_deg"),
        ("latitude_deg=91&longitude_deg=114.2", "latitude_deg"),
        ("latitude_deg=22.3&longitude_deg=181", "longitude_deg"),
        ("latitude_deg=NaN&longitude_deg=114.2", "latitude_deg"),
        ("road=", "road"),
        ("road=A&since=2026-07-01T08:00:00Z", "since"),
        ("road=A&since=2126-07-01T08:00:00Z", "since"),
        ("road=A&since=yesterday", "since"),
    ] {
        let problem = rig.post(&format!("{DF1}/relocation?{query}")).problem(400, "invalid-parameter");
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
}

#[test]
fn a_retired_lamppost_is_listed_apart_and_its_data_stay_readable() {
    let rig = rig();
    let list = |query: &str| -> Vec<Value> {
        let told = rig.get(&format!("/api/v1/lampposts{query}")).json();
        told["lampposts"].as_array().unwrap().iter().map(|one| one["number"].clone()).collect()
    };
    assert_eq!((list(""), list("?retired=true")), (vec![json!("DF1")], vec![]));
    assert_eq!(rig.get(DF1).json()["retired"], Value::Null);
    let told = rig.post(&format!("{DF1}/retirement?reason=the+road+is+gone")).json();
    assert_eq!(told["reason"], "the road is gone");
    assert!(revoked(&rig));
    assert_eq!((list("?retired=false"), list("?retired=true")), (vec![], vec![json!("DF1")]));
    assert_eq!(rig.get(DF1).json()["retired"], told);
    assert_eq!(rig.get("/api/v1/lampposts?retired=true").json()["lampposts"][0]["retired"], told);
    rig.look();
    assert_eq!(rig.get("/api/v1/city").json()["numbers"], json!([]), "the city has it no more");
    let latest = rig.get(&format!("{DF1}/latest")).json();
    assert!(!latest["latest"].as_array().unwrap().is_empty(), "what was observed stays");
    for operation in ["retirement", "replacement", "relocation?road=A"] {
        rig.post(&format!("{DF1}/{operation}")).problem(409, "lamppost-state");
    }
    rig.get("/api/v1/lampposts?retired=maybe").problem(400, "invalid-parameter");

    let foreign = [("origin", "http://elsewhere.example")];
    rig.post_with(&format!("{DF1}/revive"), &foreign).problem(403, "foreign-origin");
    rig.post(&format!("{DF1}/revive?sure=1")).problem(400, "unknown-parameter");
    assert_eq!(rig.post(&format!("{DF1}/revive")).json(), told, "since when it was retired, and why");
    assert_eq!(rig.get(DF1).json()["retired"], Value::Null);
    assert_eq!((list(""), list("?retired=true")), (vec![json!("DF1")], vec![]));
    assert!(revoked(&rig), "it has to be enrolled anew");
    rig.post(&format!("{DF1}/revive")).problem(409, "lamppost-state");
    rig.post("/api/v1/lampposts/DF9999/revive").problem(404, "unknown-lamppost");
    let path = rig.directory().join(crate::registry::Registry::FILE_NAME);
    let records = rig.runtime.block_on(async {
        let mut reader = crate::audit::AuditReader::open(&path).await.unwrap();
        reader.page().await.unwrap()
    });
    let revival = records.into_iter().next_back().unwrap().record.unwrap();
    assert_eq!(
        [&revival.actor, &revival.action, &revival.subject],
        ["console", "lamppost_revived", "lamppost:DF1"]
    );
}
