//! Who has followed a CA's rotation, who would be cut off by its end, and what that end does.

use super::*;
use crate::audit::{Action, AuditReader, Entry, Subject};
use crate::ca::KeyDigest;

const LONG_AGO: UtcMillis = UtcMillis(1_759_000_000_000);

fn key(of: u8) -> KeyDigest {
    format!("{of:064}").parse().unwrap()
}

/// Issues a certificate, signed by the CA of this key; none: by one of before it was noted.
async fn issued(
    registry: &Registry,
    serial: &str,
    of: &str,
    authority: Option<KeyDigest>,
    not_after: UtcMillis,
) {
    let record = CertificateRecord { authority, not_after, issued: LONG_AGO, ..record(serial, of) };
    registry.record_certificate(&record, &BY).await.unwrap();
}

async fn seen(registry: &Registry, serial: &str) {
    registry.note_used(&[serial.parse().unwrap()], NOW).await.unwrap();
}

async fn behind(registry: &Registry) -> Vec<(String, UtcMillis)> {
    let behind = registry.behind(&key(2)).await.unwrap();
    behind.into_iter().map(|one| (one.lamppost.to_string(), one.good_until)).collect()
}

async fn retired(registry: &Registry, if_behind: IfBehind) -> CaRetirement {
    let entry = Entry::new(NOW, BY, Action::AuthorityRetired, Subject::Server);
    registry.retire_authority(&key(2), if_behind, NOW, entry).await.unwrap()
}

async fn good(registry: &Registry) -> Vec<String> {
    let all = registry.certificates(None, None).await.unwrap();
    all.iter().filter(|one| one.revoked.is_none()).map(|one| one.serial.to_string()).collect()
}

#[tokio::test]
async fn who_is_behind_has_something_to_lose_and_was_not_seen_with_a_good_certificate_of_the_new_ca() {
    let (_directory, registry) = registry().await;
    let numbers = ["A", "B", "C", "D", "E"];
    registry.import(numbers.map(lamppost).to_vec(), NOW, &BY).await.unwrap();
    // A was seen with the new one. B was sent it, and was seen with the old one alone.
    for (serial, of, authority) in [("a1", "A", 1), ("a2", "A", 2), ("b1", "B", 1), ("b2", "B", 2)] {
        issued(&registry, serial, of, Some(key(authority)), LATER).await;
    }
    seen(&registry, "a2").await;
    seen(&registry, "b1").await;
    // C has two of a CA that was never noted.
    issued(&registry, "c1", "C", None, LATER.plus_ms(5)).await;
    issued(&registry, "c2", "C", None, LATER).await;
    // What D was seen with is revoked since, and so is all that E had.
    for (serial, of, authority) in [("d1", "D", 1), ("d2", "D", 2), ("e1", "E", 1)] {
        issued(&registry, serial, of, Some(key(authority)), LATER).await;
    }
    seen(&registry, "d2").await;
    for serial in ["d2", "e1"] {
        let what = Revoke::Certificate(serial.parse().unwrap());
        registry.revoke(&what, None, NOW, &BY).await.unwrap();
    }
    let expected = [("B", LATER), ("C", LATER.plus_ms(5)), ("D", LATER)];
    assert_eq!(behind(&registry).await, expected.map(|(number, until)| (number.to_owned(), until)));
    assert_eq!(registry.followed(&key(2)).await.unwrap(), 1, "A");
}

#[tokio::test]
async fn a_ca_ends_for_nobody_who_would_be_cut_off_unless_it_is_forced_and_once() {
    let (directory, registry) = registry().await;
    registry.import(["A", "B"].map(lamppost).to_vec(), NOW, &BY).await.unwrap();
    for (serial, of, authority) in [("a1", "A", Some(key(1))), ("a2", "A", Some(key(2))), ("b1", "B", None)] {
        issued(&registry, serial, of, authority, LATER).await;
    }
    issued(&registry, "a0", "A", Some(key(1)), NOW.plus_ms(-1)).await;
    seen(&registry, "a2").await;
    assert_eq!(
        retired(&registry, IfBehind::Refuse).await,
        CaRetirement::WouldCutOff { lampposts: 1, department_certificates: 0 }
    );
    assert_eq!(good(&registry).await.len(), 4, "nothing has changed");

    assert_eq!(retired(&registry, IfBehind::CutOff).await, CaRetirement::Done { revoked: 2 });
    assert_eq!(good(&registry).await, ["a0", "a2"], "what had ended is let be");
    assert_eq!(retired(&registry, IfBehind::Refuse).await, CaRetirement::Done { revoked: 0 });

    let mut reader = AuditReader::open(&file(&directory)).await.unwrap();
    let records = reader.page().await.unwrap();
    let told: Vec<_> = records.into_iter().map(|stored| stored.record.unwrap()).collect();
    let told: Vec<_> = told.iter().filter(|record| record.action == "authority_retired").collect();
    assert_eq!(told.len(), 1, "it is told once");
    assert!(told[0].detail.contains("\"cut_off\":1"), "{}", told[0].detail);
}
