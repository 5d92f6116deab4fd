//! Departments, their keys and their grants.

use super::*;
use crate::audit::AuditReader;
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
        ["department_ended", "department:traffic", r#"{"grants":0,"keys":1}"#],
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
