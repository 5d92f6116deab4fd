//! Who may join: tokens, certificates, connections, refusals, and the import of lampposts.

use std::io::{Read as _, Write as _};

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde_json::{Value, json};

use super::rig::{Answer, Rig, START, Shape};
use super::schema;
use crate::audit::{Actor, AuditReader};
use crate::clock;
use crate::gateway::log_in;
use crate::registry::{CertificateRecord, Registry};
use crate::web::WebLimits;

const DAY_MS: i64 = 86_400_000;
const HEADER: &str = "number,latitude,longitude,road,district,feeder,height_m\n";
/// What the register has of the rig's own lamppost.
const DF1: &str = "DF1,22.32,114.21,Kai Cheung Road,Kwun Tong,KB-7,8.5\n";

/// What the audit says was done by the console: action, subject, detail.
fn audited(rig: &Rig) -> Vec<[String; 3]> {
    rig.runtime.block_on(async {
        let mut reader = AuditReader::open(&rig.directory().join(Registry::FILE_NAME)).await.unwrap();
        let records = reader.page().await.unwrap().into_iter().map(|stored| stored.record.unwrap());
        let by_console = records.filter(|record| record.actor == "console");
        by_console.map(|record| [record.action, record.subject, record.detail]).collect()
    })
}

/// Issues a certificate of this serial number to `DF1`, which ends in so many days.
fn issue(rig: &Rig, serial: &str, days: i64) {
    let now = clock::wall();
    let record = CertificateRecord {
        serial: serial.parse().unwrap(),
        lamppost: "DF1".parse().unwrap(),
        issued: now.plus_ms((days - 90) * DAY_MS),
        not_after: now.plus_ms(days * DAY_MS),
        revoked: None,
        authority: None,
    };
    rig.runtime.block_on(rig.registry.record_certificate(&record, &Actor::Server)).unwrap();
}

/// What is at this path, for a client that has what this tag names.
fn again(rig: &Rig, target: &str, tag: &str) -> Answer {
    let token = format!("Bearer {}", rig.token.expose());
    rig.get_with(target, &[("authorization", &token), ("if-none-match", tag)])
}

#[test]
fn who_has_a_list_already_is_not_sent_it_again_until_it_is_another() {
    let rig = Rig::new();
    rig.post("/api/v1/departments?name=parks&title=Parks").json();
    let mut connected = Vec::new();
    let lists = [
        "/api/v1/departments",
        "/api/v1/departments/parks/grants",
        "/api/v1/tokens",
        "/api/v1/certificates",
        "/api/v1/connections",
    ];
    for list in lists {
        let first = rig.get(list);
        first.json();
        let tag = first.header("etag").unwrap();
        let known = again(&rig, list, tag);
        assert_eq!((known.status, known.text.as_str(), known.header("etag")), (304, "", Some(tag)), "{list}");
        assert_eq!(again(&rig, list, "\"another\"").status, 200, "{list}");
        match list {
            "/api/v1/departments" => drop(rig.post("/api/v1/departments/parks/keys").json()),
            "/api/v1/tokens" => assert_eq!(rig.post("/api/v1/tokens?lamppost=DF1").status, 201),
            "/api/v1/certificates" => issue(&rig, "4a01", 30),
            "/api/v1/connections" => {
                connected.push(log_in(&rig.sessions, &"DF1".parse().unwrap(), UtcMillis(START)));
            }
            _ => drop(rig.post("/api/v1/departments/parks/grants?filter=highway/air/%23").json()),
        }
        let changed = again(&rig, list, tag);
        changed.json();
        assert_ne!(changed.header("etag"), Some(tag), "{list}");
    }
}

/// A name of each row.
fn names(answer: &Answer, list: &str, name: &str) -> Vec<String> {
    let document = answer.json();
    let rows = document[list].as_array().unwrap().iter();
    rows.map(|row| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned)).collect()
}

pub(super) fn assert_described(rig: &Rig, path: &str, method: &str, status: &str, document: &Value) {
    let described = rig.get("/api/v1/openapi.json").json();
    let schema =
        &described["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path}");
    assert_eq!(schema::faults(&described, schema, document), Vec::<String>::new(), "{path}");
}

#[test]
fn a_token_is_told_once_listed_without_its_secret_and_ended() {
    let rig = Rig::new();
    let answer = rig.post("/api/v1/tokens?lamppost=DF1&hours=8");
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made: Value = serde_json::from_str(&answer.text).unwrap();
    assert_described(&rig, "/api/v1/tokens", "post", "201", &made);
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 64);
    for part in
        ["lamppost=DF1\n", "server=fleet.example.org:8883\n", secret, made["ca_sha256"].as_str().unwrap()]
    {
        assert!(made["note"].as_str().unwrap().contains(part), "{part}");
    }
    let command = made["command"].as_str().unwrap();
    assert!(command.starts_with("edge-agent enrol ") && !command.contains(secret), "{command}");

    let listed = rig.get("/api/v1/tokens");
    assert_described(&rig, "/api/v1/tokens", "get", "200", &listed.json());
    assert_eq!(listed.json()["tokens"], json!([made["token"]]));
    assert!(!listed.text.contains(secret));
    assert_eq!(made["token"]["state"], "waiting");

    let ended = rig.post("/api/v1/tokens/1/ending").json();
    assert_eq!((&ended["state"], ended["ended"].is_string()), (&json!("ended"), true));
    assert_eq!(rig.post("/api/v1/tokens/1/ending").json(), ended, "a second end changes nothing");
    rig.post("/api/v1/tokens/9/ending").problem(404, "unknown-token");

    let said = audited(&rig);
    let done: Vec<_> = said.iter().map(|[action, subject, _]| (action.as_str(), subject.as_str())).collect();
    assert_eq!(done, [("token_created", "token:1"), ("token_ended", "token:1")]);
    assert!(said[0][2].contains(r#""lamppost":"DF1""#) && !said[0][2].contains(secret));
}

#[test]
fn a_token_for_nobody_or_for_too_long_is_not_made() {
    let rig = Rig::new();
    rig.post("/api/v1/tokens?lamppost=DF9").problem(404, "unknown-lamppost");
    for (query, parameter) in [
        ("", "lamppost"),
        ("?hours=8", "lamppost"),
        ("?lamppost=DF%2F1", "lamppost"),
        ("?lamppost=DF1&hours=0", "hours"),
        ("?lamppost=DF1&hours=721", "hours"),
        ("?lamppost=DF1&hours=1.5", "hours"),
    ] {
        let problem = rig.post(&format!("/api/v1/tokens{query}")).problem(400, "invalid-parameter");
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
    rig.post("/api/v1/tokens/x/ending").problem(400, "invalid-parameter");
    let foreign = [("Origin", "http://127.0.0.1:9")];
    for path in ["/api/v1/tokens?lamppost=DF1", "/api/v1/tokens/1/ending", "/api/v1/import"] {
        rig.post_with(path, &foreign).problem(403, "foreign-origin");
    }
    assert_eq!(rig.get("/api/v1/tokens").json()["tokens"], json!([]));
}

#[test]
fn tokens_are_listed_page_by_page_and_by_lamppost() {
    let rig = Rig::new();
    rig.import(&["DF2"]);
    for lamppost in ["DF1", "DF2", "DF1"] {
        assert_eq!(rig.post(&format!("/api/v1/tokens?lamppost={lamppost}")).status, 201);
    }
    let page = rig.get("/api/v1/tokens?limit=2");
    assert_eq!(
        (names(&page, "tokens", "id"), &page.json()["next"]),
        (vec!["3".into(), "2".into()], &json!(2))
    );
    let rest = rig.get("/api/v1/tokens?limit=2&after=2");
    assert_eq!((names(&rest, "tokens", "id"), &rest.json()["next"]), (vec!["1".into()], &Value::Null));
    assert_eq!(names(&rig.get("/api/v1/tokens?lamppost=DF1"), "tokens", "id"), ["3", "1"]);
}

#[test]
fn certificates_are_listed_by_how_things_stand_and_revoked_with_a_reason() {
    let rig = Rig::new();
    issue(&rig, "0a", -1);
    issue(&rig, "0b", 5);
    let listed = rig.get("/api/v1/certificates");
    assert_described(&rig, "/api/v1/certificates", "get", "200", &listed.json());
    assert_eq!(names(&listed, "certificates", "serial"), ["0b", "0a"]);
    assert_eq!(names(&listed, "certificates", "state"), ["ends_soon", "expired"]);
    assert_eq!(names(&listed, "certificates", "replaced"), ["false", "true"]);
    let of =
        |query: &str| names(&rig.get(&format!("/api/v1/certificates?{query}")), "certificates", "serial");
    assert_eq!(of("state=ends_soon"), ["0b"]);
    assert_eq!(of("state=expired&lamppost=DF1"), ["0a"]);
    assert_eq!(of("state=expired&newest=true"), Vec::<String>::new());
    assert_eq!(of("lamppost=DF2"), Vec::<String>::new());
    assert_eq!(rig.get("/api/v1/certificates?limit=1").json()["next"], "0b");
    assert_eq!(of("limit=1&after=0b"), ["0a"]);

    let revoked = rig.post("/api/v1/certificates/0B/revocation?reason=stolen%20from%20the%20street").json();
    assert_described(&rig, "/api/v1/certificates/{serial}/revocation", "post", "200", &revoked);
    assert_eq!((&revoked["serial"], &revoked["state"]), (&json!("0b"), &json!("revoked")));
    assert_eq!(rig.post("/api/v1/certificates/0b/revocation").json(), revoked, "it stays as it was");
    assert_eq!(of("state=revoked"), ["0b"]);
    let detail = r#"{"lamppost":"DF1","reason":"stolen from the street"}"#;
    assert_eq!(audited(&rig), [["certificate_revoked", "certificate:0b", detail]]);
}

#[test]
fn what_is_no_certificate_and_what_is_no_reason_is_refused_and_nothing_is_revoked() {
    let rig = Rig::new();
    issue(&rig, "0a", 80);
    rig.post("/api/v1/certificates/0c/revocation").problem(404, "unknown-certificate");
    rig.post("/api/v1/certificates/xyz/revocation").problem(400, "invalid-parameter");
    for query in ["reason=", "reason=%0A", &format!("reason={}", "a".repeat(201))] {
        let problem = rig.post(&format!("/api/v1/certificates/0a/revocation?{query}"));
        assert_eq!(problem.problem(400, "invalid-parameter")["parameter"], "reason", "{query}");
    }
    for query in ["state=bad", "newest=yes", "after=0c", "lamppost=a%20b", "limit=1001"] {
        rig.get(&format!("/api/v1/certificates?{query}")).problem(400, "invalid-parameter");
    }
    assert_eq!(names(&rig.get("/api/v1/certificates"), "certificates", "state"), ["good"]);
}

#[test]
fn connections_are_told_in_order_page_by_page_with_address_and_certificate() {
    let rig = Rig::new();
    let numbers = ["C3", "A1", "B2"].map(|number| number.parse::<LamppostNumber>().unwrap());
    let _connected = numbers.each_ref().map(|number| log_in(&rig.sessions, number, UtcMillis(START)));
    let page = rig.get("/api/v1/connections?limit=2");
    assert_described(&rig, "/api/v1/connections", "get", "200", &page.json());
    assert_eq!(names(&page, "connections", "lamppost"), ["A1", "B2"]);
    assert_eq!((&page.json()["total"], &page.json()["next"]), (&json!(3), &json!("B2")));
    let connection = json!({
        "since": "2026-07-01T08:00:00.000Z", "last_message": "2026-07-01T08:00:00.000Z",
        "peer": "127.0.0.1:40000", "certificate": "01", "subscribed": false,
    });
    assert_eq!(page.json()["connections"][0]["connection"], connection);
    let rest = rig.get("/api/v1/connections?limit=2&after=B2").json();
    assert_eq!((&rest["connections"][0]["lamppost"], &rest["next"]), (&json!("C3"), &Value::Null));
}

#[test]
fn who_was_refused_is_told_before_it_is_in_the_audit_and_after() {
    let rig = Rig::new();
    let peer = ([10, 0, 0, 7], 40_000).into();
    for _ in 0..3 {
        rig.refusals.count("DF1".parse().ok().as_ref(), peer, "token_expired");
    }
    rig.refusals.count(None, peer, "login");
    let told = |at: Value| {
        json!([
            {"at": at, "lamppost": "DF1", "reason": "token_expired", "times": 3, "peer": "10.0.0.7"},
            {"at": at, "lamppost": null, "reason": "login", "times": 1, "peer": "10.0.0.7"},
        ])
    };
    let listed = rig.get("/api/v1/refusals").json();
    assert_described(&rig, "/api/v1/refusals", "get", "200", &listed);
    assert_eq!(listed["refusals"], told(Value::Null));

    let now = UtcMillis(START);
    let entries: Vec<_> =
        rig.refusals.take().into_iter().map(|one| crate::server::refusal_entry(one, now)).collect();
    rig.runtime.block_on(rig.registry.audit_all(&entries)).unwrap();
    assert_eq!(rig.get("/api/v1/refusals").json()["refusals"], told(json!("2026-07-01T08:00:00.000Z")));
    assert_eq!(names(&rig.get("/api/v1/refusals?limit=1"), "refusals", "reason"), ["token_expired"]);
}

#[test]
fn an_import_says_first_what_it_would_do_then_does_it_and_the_audit_tells() {
    let rig = Rig::new();
    let list = format!("{HEADER}{}DF2,22.33,114.22,Wang Chiu Road,Kwun Tong,,\n", DF1.replace("8.5", "9"));
    let counts = |dry_run, registered| json!({"dry_run": dry_run, "added": 1, "changed": 1, "unchanged": 0, "registered": registered});
    let looked = rig.send("/api/v1/import?dry_run=true", list.as_bytes()).json();
    assert_described(&rig, "/api/v1/import", "post", "200", &looked);
    assert_eq!(looked, counts(true, 1));
    rig.get("/api/v1/lampposts/DF2").problem(404, "unknown-lamppost");
    assert_eq!(audited(&rig), Vec::<[String; 3]>::new(), "nothing was done");

    assert_eq!(rig.send("/api/v1/import", list.as_bytes()).json(), counts(false, 2));
    assert_eq!(rig.get("/api/v1/lampposts/DF1").json()["height_m"], 9.0);
    let detail = r#"{"added":1,"changed":1,"unchanged":0}"#;
    assert_eq!(audited(&rig), [["lampposts_imported", "lampposts", detail]]);

    let geojson = json!({"type": "FeatureCollection", "features": [{
        "type": "Feature", "geometry": {"type": "Point", "coordinates": [114.2, 22.3]},
        "properties": {"number": "DF3", "road": "Wang Chiu Road", "district": "Kwun Tong"},
    }]});
    assert_eq!(rig.send("/api/v1/import", geojson.to_string().as_bytes()).json()["added"], 1);
}

#[test]
fn every_bad_row_of_an_import_is_named_and_nothing_of_it_is_stored() {
    let rig = Rig::new();
    let list = format!("{HEADER}DF2,95,114.2,,Kwun Tong,,\n{DF1}D/4,22,114,Road,District,,\nDF5,1,2\n");
    for target in ["/api/v1/import", "/api/v1/import?dry_run=true"] {
        let problem = rig.send(target, list.as_bytes()).problem(422, "invalid-list");
        assert_eq!(problem["errors_count"], 4);
        let errors = problem["errors"].as_array().unwrap();
        let places: Vec<_> = errors.iter().map(|error| (&error["line"], &error["field"])).collect();
        let at =
            |line: i64, field: &str| (json!(line), if field.is_empty() { Value::Null } else { json!(field) });
        let expected = [at(2, "latitude"), at(2, "road"), at(4, "number"), at(5, "")];
        assert_eq!(places, expected.each_ref().map(|(line, field)| (line, field)));
        assert_eq!(errors[1]["problem"], "is empty");
        let described = rig.get("/api/v1/openapi.json").json();
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        assert_eq!(schema::faults(&described, &schema, &problem), Vec::<String>::new());
    }
    rig.get("/api/v1/lampposts/DF2").problem(404, "unknown-lamppost");

    let rows = "x,,,,,,\n".repeat(2_000);
    let problem =
        rig.send("/api/v1/import", format!("{HEADER}{rows}").as_bytes()).problem(422, "invalid-list");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 1_000);
    assert!(problem["errors_count"].as_u64().unwrap() > 5_000);
    let problem = rig.send("/api/v1/import", b"number\n\xff").problem(422, "invalid-list");
    assert_eq!((&problem["errors"][0]["line"], &problem["errors_count"]), (&json!(2), &json!(1)));
    rig.send("/api/v1/import", b"").problem(422, "invalid-list");
}

#[test]
fn a_list_that_is_too_long_is_refused_whether_it_says_so_or_not() {
    let limits = WebLimits { import_bytes: 1000, ..WebLimits::default() };
    let rig = Rig::of(Shape { limits, ..Shape::default() });
    let told = format!("POST /api/v1/import HTTP/1.1\r\n{}\r\nContent-Length: 1001", rig.welcome());
    rig.raw(&told).problem(413, "body-too-large");

    let mut stream = rig.connect();
    let head = format!("POST /api/v1/import HTTP/1.1\r\n{}\r\nTransfer-Encoding: chunked", rig.welcome());
    write!(stream, "{head}\r\nConnection: close\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1001)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Answer::parse(&text).problem(413, "body-too-large");
    rig.raw(&told.replace("/import", "/tokens")).problem(413, "body-not-taken");
    assert_eq!(rig.send("/api/v1/import", format!("{HEADER}{DF1}").as_bytes()).json()["unchanged"], 1);
}

#[test]
fn one_list_is_imported_at_a_time_and_one_that_breaks_off_leaves_its_place() {
    let rig = Rig::new();
    let mut slow = rig.connect();
    let head = format!("POST /api/v1/import HTTP/1.1\r\n{}\r\nContent-Length: 100", rig.welcome());
    write!(slow, "{head}\r\nExpect: 100-continue\r\n\r\n").unwrap();
    // It is asked for its body once it has the place.
    let mut asked = [0; 12];
    slow.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    write!(slow, "{HEADER}").unwrap();
    let list = format!("{HEADER}{DF1}");
    rig.send("/api/v1/import", list.as_bytes()).problem(409, "import-running");
    drop(slow);
    let begun = clock::monotonic();
    loop {
        let answer = rig.send("/api/v1/import", list.as_bytes());
        if answer.status == 200 {
            break;
        }
        assert!(clock::monotonic().duration_since(begun).as_secs() < 20, "{}", answer.text);
    }
}
