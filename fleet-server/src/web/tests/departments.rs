//! Departments, their keys and their grants, as operators decide of them.

use serde_json::{Value, json};

use super::rig::Rig;
use crate::audit::AuditReader;
use crate::clock;
use crate::feeds::Directory;
use crate::registry::Registry;

const DEPARTMENTS: &str = "/api/v1/departments";

fn add(rig: &Rig) -> Value {
    rig.post(&format!("{DEPARTMENTS}?name=traffic&title=Transport%20Department")).json()
}

fn listed(rig: &Rig) -> Value {
    rig.get(DEPARTMENTS).json()["departments"].clone()
}

#[test]
fn a_department_a_key_and_a_grant_are_made_listed_and_ended_and_the_audit_names_the_console() {
    let rig = Rig::new();
    assert_eq!(listed(&rig), json!([]));
    let added = add(&rig);
    assert_eq!((&added["title"], &added["keys"]), (&json!("Transport Department"), &json!([])));
    let made = rig.post(&format!("{DEPARTMENTS}/traffic/keys?note=%E7%87%88&days=30")).json();
    assert_eq!((&made["key"]["id"], &made["key"]["note"]), (&json!(1), &json!("燈")));
    assert_eq!(made["key"]["is_expired"], false);
    let key = made["api_key"].as_str().unwrap();
    let grant = rig.post(&format!("{DEPARTMENTS}/traffic/grants?filter=highway/traffic/%23")).json();
    assert_eq!((&grant["id"], &grant["filter"]), (&json!(1), &json!("highway/traffic/#")));

    let access = rig.runtime.block_on(rig.registry.feed_access()).unwrap();
    let (admitted, id) = Directory::new(access).admit("traffic", key.as_bytes(), clock::wall()).unwrap();
    assert_eq!((admitted.department.as_str(), id.0), ("traffic", 1));

    let list = listed(&rig);
    assert_eq!(list[0]["keys"], json!([made["key"]]));
    assert_eq!(list[0]["grants"], json!([grant]));
    assert!(!list.to_string().contains(key), "it is shown once");
    assert_eq!(rig.get(&format!("{DEPARTMENTS}/traffic/grants")).json(), json!({"grants": [grant]}));

    for target in ["keys/1", "grants/1"] {
        let answer = rig.delete(&format!("{DEPARTMENTS}/traffic/{target}"));
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{target}");
    }
    assert_eq!((&listed(&rig)[0]["keys"], &listed(&rig)[0]["grants"]), (&json!([]), &json!([])));
    assert_eq!(rig.delete(&format!("{DEPARTMENTS}/traffic")).status, 204);
    assert_eq!(listed(&rig), json!([]));

    let path = rig.directory().join(Registry::FILE_NAME);
    let records = rig.runtime.block_on(async {
        let mut reader = AuditReader::open(&path).await.unwrap();
        reader.page().await.unwrap()
    });
    let records = records.into_iter().map(|stored| stored.record.unwrap());
    let said: Vec<_> =
        records.filter(|record| record.actor == "console").map(|record| record.action).collect();
    let expected = [
        "department_added",
        "department_key_added",
        "grant_added",
        "department_key_ended",
        "grant_withdrawn",
        "department_ended",
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_makes_no_sense_of_departments_is_refused_and_changes_nothing() {
    let rig = Rig::new();
    add(&rig);
    rig.post(&format!("{DEPARTMENTS}/traffic/keys")).json();
    rig.post(&format!("{DEPARTMENTS}/traffic/grants?filter=highway/traffic/%23")).json();
    let before = listed(&rig);
    for (target, status, name, parameter) in [
        ("?name=Traffic&title=T", 400, "invalid-parameter", "name"),
        ("?name=parks", 400, "invalid-parameter", "title"),
        ("?title=Parks", 400, "invalid-parameter", "name"),
        ("?name=parks&title=a%0Ab", 400, "invalid-parameter", "title"),
        ("?name=parks&title=a&colour=red", 400, "unknown-parameter", "colour"),
        ("?name=traffic&title=Again", 409, "taken-already", "name"),
        ("/parks/keys", 404, "unknown-department", "name"),
        ("/traffic/keys?days=0", 400, "invalid-parameter", "days"),
        ("/traffic/keys?note=", 400, "invalid-parameter", "note"),
        ("/traffic/grants", 400, "invalid-parameter", "filter"),
        ("/traffic/grants?filter=%23", 400, "invalid-parameter", "filter"),
        ("/traffic/grants?filter=highway/traffic/%23", 409, "taken-already", "filter"),
        ("/parks/grants?filter=highway/%23", 404, "unknown-department", "name"),
    ] {
        let problem = rig.post(&format!("{DEPARTMENTS}{target}")).problem(status, name);
        assert_eq!(problem["parameter"], parameter, "{target}");
    }
    for (target, status, name) in [
        ("/parks", 404, "unknown-department"),
        ("/traffic/keys/2", 404, "unknown-key"),
        ("/parks/keys/1", 404, "unknown-key"),
        ("/traffic/keys/one", 400, "invalid-parameter"),
        ("/traffic/grants/2", 404, "unknown-grant"),
        ("/parks/grants/1", 404, "unknown-grant"),
        ("/traffic/keys/1?sure=1", 400, "unknown-parameter"),
    ] {
        rig.delete(&format!("{DEPARTMENTS}{target}")).problem(status, name);
    }
    rig.get(&format!("{DEPARTMENTS}/parks/grants")).problem(404, "unknown-department");
    for _ in 1..16 {
        rig.post(&format!("{DEPARTMENTS}/traffic/keys")).json();
    }
    rig.post(&format!("{DEPARTMENTS}/traffic/keys")).problem(409, "too-many");
    for id in 2..=16 {
        assert_eq!(rig.delete(&format!("{DEPARTMENTS}/traffic/keys/{id}")).status, 204);
    }
    assert_eq!(listed(&rig), before);
}

/// As a query has it.
fn encoded(text: &str) -> String {
    text.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).map(char::from).collect()
}

fn request() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    encoded(&rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap())
}

#[test]
fn a_certificate_is_issued_for_a_departments_own_key_listed_and_ended() {
    let rig = Rig::new();
    add(&rig);
    let target = format!("{DEPARTMENTS}/traffic/certificates");
    let made = rig.post(&format!("{target}?days=30&request={}", request())).json();
    let (pem, certificate) = (made["pem"].as_str().unwrap(), &made["certificate"]);
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    assert_eq!(pem.parse_x509().unwrap().subject().to_string(), "OU=department, O=traffic");
    let serial = crate::registry::CertificateSerial::of_certificate(&pem.contents).unwrap();
    assert_eq!(
        (&certificate["serial"], &certificate["is_expired"]),
        (&json!(serial.as_str()), &json!(false))
    );
    assert_eq!(made["ca_pem"], std::fs::read_to_string(rig.directory().join("ca/ca.pem")).unwrap());
    assert_eq!(listed(&rig)[0]["certificates"], json!([certificate]));
    super::enrolment::assert_described(&rig, "/api/v1/departments/{name}/certificates", "post", "200", &made);

    for (query, status, name, parameter) in [
        ("days=30".to_owned(), 400, "invalid-parameter", "request"),
        (format!("request={}", encoded("a")), 400, "invalid-parameter", "request"),
        (format!("days=0&request={}", request()), 400, "invalid-parameter", "days"),
    ] {
        let problem = rig.post(&format!("{target}?{query}")).problem(status, name);
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
    rig.post(&format!("{DEPARTMENTS}/parks/certificates?request={}", request()))
        .problem(404, "unknown-department");
    rig.delete(&format!("{DEPARTMENTS}/parks/certificates/{serial}")).problem(404, "unknown-certificate");
    assert_eq!(rig.delete(&format!("{target}/{serial}")).status, 204);
    rig.delete(&format!("{target}/{serial}")).problem(404, "unknown-certificate");
    assert_eq!(listed(&rig)[0]["certificates"], json!([]));
}

#[test]
fn nobody_without_the_token_or_from_a_foreign_page_decides_of_departments() {
    let rig = Rig::new();
    add(&rig);
    let (target, host) = (format!("{DEPARTMENTS}/traffic"), format!("Host: {}", rig.address));
    rig.get_with(DEPARTMENTS, &[]).problem(401, "unauthorised");
    rig.raw(&format!("DELETE {target} HTTP/1.1\r\n{host}")).problem(401, "unauthorised");
    let foreign = format!("DELETE {target} HTTP/1.1\r\n{}\r\nOrigin: https://example.org", rig.welcome());
    rig.raw(&foreign).problem(403, "foreign-origin");
    let sized = format!("DELETE {target} HTTP/1.1\r\n{}\r\nContent-Length: 2", rig.welcome());
    rig.raw(&sized).problem(413, "body-not-taken");
    let answer = rig.raw(&format!("DELETE {DEPARTMENTS} HTTP/1.1\r\n{}", rig.welcome()));
    answer.problem(405, "method-not-allowed");
    assert_eq!(listed(&rig)[0]["name"], "traffic");
}
