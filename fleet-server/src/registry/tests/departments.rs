//! Departments, their keys and their grants.

use super::*;
use crate::audit::{AuditReader, Entry, Subject};
use crate::ca::KeyDigest;
use crate::feeds::DepartmentName;

fn name(text: &str) -> DepartmentName {
    text.parse().unwrap()
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

async fn with_department() -> (TempDir, Registry) {
    let (directory, registry) = registry().await;
    registry.add_department(&name("traffic"), &label("Transport Department"), NOW, &BY).await.unwrap();
    (directory, registry)
}

#[tokio::test]
async fn what_is_decided_of_departments_is_in_the_audit_and_no_key_is_anywhere() {
    let (directory, registry) = with_department().await;
    let key = ApiKey::generate().unwrap();
    let times = (NOW, Some(LATER));
    let note = label("signal control");
    let made = registry.add_department_key(&name("traffic"), &key, Some(&note), times, &BY).await.unwrap();
    let grant = registry.add_grant(&name("traffic"), &"highway/traffic/#".parse().unwrap(), NOW, &BY).await;
    let grant = grant.unwrap();
    registry.withdraw_grant(grant.id, None, LATER, &BY).await.unwrap();
    let other = ApiKey::generate().unwrap();
    registry.add_department_key(&name("traffic"), &other, None, (NOW, None), &BY).await.unwrap();
    registry.end_department_key(made.id, Some(&name("traffic")), LATER, &BY).await.unwrap();
    registry.end_department(&name("traffic"), LATER, &BY).await.unwrap();

    let mut reader = AuditReader::open(&file(&directory)).await.unwrap();
    let records = reader.page().await.unwrap().into_iter().map(|stored| stored.record.unwrap());
    let said: Vec<_> = records.map(|record| [record.action, record.subject, record.detail]).collect();
    let added = format!(r#"{{"department":"traffic","expires_ms":{},"note":"signal control"}}"#, LATER.0);
    let granted = r#"{"department":"traffic","filter":"highway/traffic/#"}"#;
    let of = r#"{"department":"traffic"}"#;
    let expected = [
        ["department_added", "department:traffic", r#"{"title":"Transport Department"}"#],
        ["department_key_added", "department_key:1", &added],
        ["grant_added", "grant:1", granted],
        ["grant_withdrawn", "grant:1", granted],
        ["department_key_added", "department_key:2", of],
        ["department_key_ended", "department_key:1", of],
        ["department_ended", "department:traffic", r#"{"certificates":0,"grants":0,"keys":1}"#],
    ];
    assert_eq!(said, expected);
    assert_eq!(registry.feed_access().await.unwrap(), []);

    assert_eq!(format!("{key:?} {made:?}").matches(key.expose()).count(), 0);
    registry.close().await;
    for entry in std::fs::read_dir(directory.path().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(key.expose()));
    }
}

fn certificate(serial: &str, authority: &str, not_after: UtcMillis) -> DepartmentCertificate {
    DepartmentCertificate {
        serial: serial.parse().unwrap(),
        department: name("traffic"),
        issued: NOW,
        not_after,
        authority: authority.repeat(64).parse().unwrap(),
    }
}

#[tokio::test]
async fn a_departments_certificate_is_in_the_audit_is_published_and_ends_once() {
    let (directory, registry) = with_department().await;
    let one = certificate("0a", "a", LATER);
    let version = registry.version_of(Part::Departments).await.unwrap();
    registry.add_department_certificate(&one, &BY).await.unwrap();
    assert_ne!(registry.version_of(Part::Departments).await.unwrap(), version);
    assert_eq!(registry.department(&name("traffic")).await.unwrap().certificates, std::slice::from_ref(&one));
    assert_eq!(registry.feed_access().await.unwrap()[0].certificates, ["0a"]);
    assert_eq!(registry.certificate(&one.serial).await.unwrap(), None, "it is no lamppost's");
    let of_nobody = DepartmentCertificate { department: name("nobody"), ..certificate("0b", "a", LATER) };
    let refused = registry.add_department_certificate(&of_nobody, &BY).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no department nobody");

    let end = async |serial: &str, of: Option<&str>| {
        let of = of.map(name);
        registry.end_department_certificate(&serial.parse().unwrap(), of.as_ref(), LATER, &BY).await
    };
    let unknown = "no department has a certificate with the serial number 0a, or it is ended";
    assert_eq!(end("0a", Some("parks")).await.unwrap_err().to_string(), unknown);
    assert_eq!(end("0a", Some("traffic")).await.unwrap(), one);
    assert_eq!(end("0a", None).await.unwrap_err().to_string(), unknown);
    assert_eq!(registry.feed_access().await.unwrap()[0].certificates, [""; 0]);

    for serial in 1..=16 {
        registry
            .add_department_certificate(&certificate(&format!("b{serial:02x}"), "a", NOW), &BY)
            .await
            .unwrap();
    }
    let full = registry.add_department_certificate(&certificate("ff", "a", LATER), &BY).await.unwrap_err();
    assert!(full.to_string().starts_with("there are 16 certificates of one department already"), "{full}");
    registry.end_department(&name("traffic"), LATER, &BY).await.unwrap();
    assert_eq!(registry.departments_behind(&"b".repeat(64).parse().unwrap(), NOW).await.unwrap(), []);

    let mut reader = AuditReader::open(&file(&directory)).await.unwrap();
    let records = reader.page().await.unwrap().into_iter().map(|stored| stored.record.unwrap());
    let said: Vec<_> = records.map(|record| [record.action, record.subject, record.detail]).collect();
    let issued = format!(r#"{{"department":"traffic","not_after_ms":{}}}"#, LATER.0);
    assert_eq!(said[1], ["department_certificate_issued", "certificate:0a", &issued]);
    let ended = ["department_certificate_ended", "certificate:0a", r#"{"department":"traffic"}"#];
    assert_eq!(said[2], ended);
    let all = r#"{"certificates":16,"grants":0,"keys":0}"#;
    assert_eq!(said.last().unwrap(), &["department_ended", "department:traffic", all]);
}

#[tokio::test]
async fn no_ca_is_retired_while_a_departments_certificate_of_it_is_good_unless_it_is_forced() {
    let (directory, registry) = with_department().await;
    let (old, new): (&str, KeyDigest) = ("a", "b".repeat(64).parse().unwrap());
    let ended_by_itself = certificate("01", old, NOW.plus_ms(-1));
    let of_new = certificate("02", "b", LATER);
    let ended = certificate("03", old, LATER);
    let behind = certificate("04", old, LATER);
    for one in [&ended_by_itself, &of_new, &ended, &behind] {
        registry.add_department_certificate(one, &BY).await.unwrap();
    }
    registry.end_department_certificate(&ended.serial, None, NOW, &BY).await.unwrap();
    assert_eq!(registry.departments_behind(&new, NOW).await.unwrap(), std::slice::from_ref(&behind));
    let retire = async |if_behind| {
        let subject = Subject::Authority(lamplighter_protocol::Digest::of(b"the old one"));
        let entry = Entry::new(NOW, BY, crate::audit::Action::AuthorityRetired, subject);
        registry.retire_authority(&new, if_behind, NOW, entry).await.unwrap()
    };
    let would = CaRetirement::WouldCutOff { lampposts: 0, department_certificates: 1 };
    assert_eq!(retire(IfBehind::Refuse).await, would);
    assert_eq!(registry.feed_access().await.unwrap()[0].certificates, ["01", "02", "04"]);
    assert_eq!(retire(IfBehind::CutOff).await, CaRetirement::Done { revoked: 1 });
    assert_eq!(registry.feed_access().await.unwrap()[0].certificates, ["01", "02"]);
    assert_eq!(retire(IfBehind::Refuse).await, CaRetirement::Done { revoked: 0 });

    let mut reader = AuditReader::open(&file(&directory)).await.unwrap();
    let records = reader.page().await.unwrap().into_iter().map(|stored| stored.record.unwrap());
    let said: Vec<_> = records.map(|record| [record.action, record.subject, record.detail]).collect();
    let reason = r#"{"department":"traffic","reason":"its CA is retired"}"#;
    assert!(said.contains(&["department_certificate_ended", "certificate:04", reason].map(str::to_owned)));
    let retired = r#"{"cut_off":0,"department_certificates_cut_off":1,"revoked":1}"#;
    assert_eq!(said.last().unwrap()[2], retired);
}

#[tokio::test]
async fn what_is_not_there_or_there_already_is_refused_and_changes_nothing() {
    let (_directory, registry) = with_department().await;
    let (traffic, nobody) = (name("traffic"), name("nobody"));
    let filter = "highway/traffic/#".parse().unwrap();
    let secret = ApiKey::generate().unwrap();
    let key = registry.add_department_key(&traffic, &secret, None, (NOW, None), &BY).await.unwrap();
    let grant = registry.add_grant(&traffic, &filter, NOW, &BY).await.unwrap();
    registry.add_department(&name("parks"), &label("Parks"), NOW, &BY).await.unwrap();
    registry.end_department(&name("parks"), NOW, &BY).await.unwrap();
    let before =
        (registry.version_of(Part::Departments).await.unwrap(), registry.departments().await.unwrap());

    let errors = [
        registry.add_department(&traffic, &label("Again"), NOW, &BY).await.map(drop),
        registry.add_department(&name("parks"), &label("Again"), NOW, &BY).await.map(drop),
        registry.end_department(&nobody, NOW, &BY).await.map(drop),
        registry.end_department(&name("parks"), NOW, &BY).await.map(drop),
        registry
            .add_department_key(&nobody, &ApiKey::generate().unwrap(), None, (NOW, None), &BY)
            .await
            .map(drop),
        registry.add_grant(&name("parks"), &filter, NOW, &BY).await.map(drop),
        registry.add_grant(&traffic, &filter, NOW, &BY).await.map(drop),
        registry.end_department_key(key.id, Some(&nobody), NOW, &BY).await.map(drop),
        registry.end_department_key("7".parse().unwrap(), None, NOW, &BY).await.map(drop),
        registry.withdraw_grant(grant.id, Some(&nobody), NOW, &BY).await.map(drop),
        registry.withdraw_grant("7".parse().unwrap(), None, NOW, &BY).await.map(drop),
        registry.department(&nobody).await.map(drop),
    ];
    let said = errors.map(|error| error.unwrap_err().to_string());
    let taken = |name| {
        format!("there is or was a department {name}: take another name, for the audit knows that one")
    };
    let none = |name| format!("there is no department {name}");
    let expected = [
        taken("traffic"),
        taken("parks"),
        none("nobody"),
        none("parks"),
        none("nobody"),
        none("parks"),
        "this is granted already: it is grant 1".to_owned(),
        "there is no key 1, or it is ended".to_owned(),
        "there is no key 7, or it is ended".to_owned(),
        "there is no grant 1, or it is withdrawn".to_owned(),
        "there is no grant 7, or it is withdrawn".to_owned(),
        none("nobody"),
    ];
    assert_eq!(said, expected);
    let after =
        (registry.version_of(Part::Departments).await.unwrap(), registry.departments().await.unwrap());
    assert_eq!(after, before);

    // What is ended or withdrawn is so once, and may be given again under another number.
    registry.end_department_key(key.id, None, LATER, &BY).await.unwrap();
    assert!(registry.end_department_key(key.id, None, LATER, &BY).await.is_err());
    registry.withdraw_grant(grant.id, None, LATER, &BY).await.unwrap();
    assert!(registry.withdraw_grant(grant.id, None, LATER, &BY).await.is_err());
    let again = registry.add_grant(&traffic, &filter, LATER, &BY).await.unwrap();
    assert_eq!(again.id.number(), 2);
}

#[tokio::test]
async fn keys_and_grants_of_a_department_are_bounded_and_what_has_ended_makes_room() {
    let (_directory, registry) = with_department().await;
    let traffic = name("traffic");
    let add = async || {
        let key = ApiKey::generate().unwrap();
        registry
            .add_department_key(&traffic, &key, None, (NOW, None), &BY)
            .await
            .map_err(|error| error.to_string())
    };
    for _ in 0..MOST_KEYS {
        add().await.unwrap();
    }
    let full =
        "there are 16 keys of one department already, and no more are taken: end one that is not needed";
    assert_eq!(add().await.unwrap_err(), full);
    registry.end_department_key("3".parse().unwrap(), None, NOW, &BY).await.unwrap();
    assert_eq!(add().await.unwrap().id.0, MOST_KEYS + 1);
    let grant = async |number: u32| {
        let filter = format!("highway/+/+/DF{number}/#").parse().unwrap();
        registry.add_grant(&traffic, &filter, NOW, &BY).await
    };
    for number in 0..MOST_GRANTS {
        grant(number).await.unwrap();
    }
    assert!(matches!(grant(MOST_GRANTS).await, Err(RegistryError::TooMany { most: MOST_GRANTS, .. })));
    let access = registry.feed_access().await.unwrap();
    assert_eq!((access[0].keys.len(), access[0].grants.len()), (16, 64));
}

#[tokio::test]
async fn a_part_has_another_version_only_when_something_in_it_changed_whoever_changed_it() {
    let (directory, registry) = registry().await;
    let versions = async || {
        let version = async |part| registry.version_of(part).await.unwrap();
        (version(Part::Lampposts).await, version(Part::Departments).await)
    };
    let (lampposts, departments) = versions().await;
    let other = Registry::open(&file(&directory)).await.unwrap();
    other.import(vec![lamppost("A1"), lamppost("A2")], NOW, &BY).await.unwrap();
    let imported = versions().await;
    assert!(imported.0 != lampposts && imported.1 == departments, "{imported:?}");
    other.import(vec![lamppost("A1"), lamppost("A2")], LATER, &BY).await.unwrap();
    other.record_certificate(&record("01", "A1"), &BY).await.unwrap();
    assert_eq!(versions().await, imported, "all was the same, and a certificate is no lamppost");
    let mut hand = strange_hand(&file(&directory)).await;
    for sql in ["UPDATE lampposts SET road = 'Elsewhere'", "DELETE FROM lampposts WHERE number = 'A2'"] {
        let before = versions().await;
        sqlx::query(sql).execute(&mut hand).await.unwrap();
        let after = versions().await;
        assert!(after.0 != before.0 && after.1 == before.1, "{sql}: {after:?}");
    }
    let before = versions().await;
    other.add_department(&name("traffic"), &label("Transport"), NOW, &BY).await.unwrap();
    let after = versions().await;
    assert!(after.0 == before.0 && after.1 != before.1, "{after:?}");
}

#[test]
fn labels_are_lines_and_keys_end_within_ten_years() {
    assert_eq!(label("  運輸署 \n").as_str(), "運輸署");
    assert_eq!("觀".repeat(80).parse::<Label>().map(|label| label.as_str().chars().count()), Ok(80));
    for text in ["", " ", "a\nb", "a\0", &"x".repeat(81)] {
        assert_eq!(text.parse::<Label>(), Err(NotALabel), "{text:?}");
    }
    assert_eq!("365".parse::<KeyDays>().map(|days| days.after(NOW).since_ms(NOW)), Ok(365 * 86_400_000));
    for text in ["0", "3651", "-1", "x", ""] {
        assert_eq!(text.parse::<KeyDays>(), Err(NotKeyDays), "{text:?}");
    }
    let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    assert!(one.expose().len() == 64 && one.expose() != other.expose());
    assert_eq!(format!("{one:?}"), "ApiKey(..)");
}
