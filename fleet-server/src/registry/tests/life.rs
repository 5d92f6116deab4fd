//! Replace, relocate, retire, revive.

use super::*;
use crate::audit::{AuditReader, Record, verify};

const HOUR_MS: i64 = 3_600_000;

/// A registry in which `A1` has two certificates, of which one is revoked, and a token; `B1` has one of each.
async fn city() -> (TempDir, Registry) {
    let (directory, registry) = registry().await;
    registry.import(vec![lamppost("A1"), lamppost("B1")], NOW, &BY).await.unwrap();
    for (serial, of) in [("4a01", "A1"), ("4a02", "A1"), ("4b01", "B1")] {
        registry.record_certificate(&record(serial, of), &BY).await.unwrap();
    }
    let first = Revoke::Certificate("4a01".parse().unwrap());
    registry.revoke(&first, None, NOW, &BY).await.unwrap();
    for (token, of) in [(&b"a"[..], "A1"), (b"b", "B1")] {
        registry.create_token(&number(of), &TokenDigest::of(token), (NOW, end()), &BY).await.unwrap();
    }
    (directory, registry)
}

fn end() -> UtcMillis {
    NOW.plus_ms(HOUR_MS)
}

/// What the audit has since the city was made: action, subject, detail. It is sound.
async fn told(directory: &TempDir) -> Vec<(String, String, serde_json::Value)> {
    let mut reader = AuditReader::open(&file(directory)).await.unwrap();
    let stored = reader.page().await.unwrap();
    verify(stored.clone(), None).unwrap();
    let records = stored.into_iter().map(|stored| stored.record.unwrap());
    let said =
        |record: Record| (record.action, record.subject, serde_json::from_str(&record.detail).unwrap());
    records.skip(7).map(said).collect()
}

async fn token(registry: &Registry, text: &[u8]) -> TokenRecord {
    registry.token(&TokenDigest::of(text)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_controller_that_is_replaced_is_shut_out_and_the_next_one_has_a_token() {
    let (directory, registry) = city().await;
    let new = TokenDigest::of(b"new");
    let replaced = registry.replace_controller(&number("A1"), (&new, end()), Some("burnt"), LATER, &BY).await;
    let (id, taken) = replaced.unwrap();
    assert_eq!(taken, Taken { certificates: 1, tokens: 1 });
    assert_eq!((id.to_string(), token(&registry, b"new").await.ended), ("3".to_owned(), None));
    assert_eq!(token(&registry, b"a").await.ended, Some(LATER));
    assert_eq!(token(&registry, b"b").await.ended, None, "another lamppost's");
    let admission = RegistryAdmission::new(registry.clone());
    assert_eq!(admission.admit(&number("A1"), "4a02").await, Err(Refusal::Revoked));
    assert_eq!(admission.admit(&number("B1"), "4b01").await, Ok(Admitted));
    registry.record_certificate(&record("4a03", "A1"), &BY).await.unwrap();
    assert_eq!(admission.admit(&number("A1"), "4a03").await, Ok(Admitted), "the new one's");
    let told = told(&directory).await;
    let actions: Vec<_> =
        told.iter().map(|(action, subject, _)| (action.as_str(), subject.as_str())).collect();
    let expected = [
        ("certificate_revoked", "certificate:4a02"),
        ("token_ended", "token:1"),
        ("token_created", "token:3"),
        ("controller_replaced", "lamppost:A1"),
        ("certificate_issued", "certificate:4a03"),
    ];
    assert_eq!(actions, expected);
    assert_eq!(told[0].2["reason"], "burnt");
    let detail = serde_json::json!({ "certificates": 1, "tokens": 1, "token": "3", "reason": "burnt" });
    assert_eq!(told[3].2, detail);
}

#[tokio::test]
async fn a_retired_lamppost_is_shut_out_is_given_nothing_and_counts_no_more_until_it_is_revived() {
    let (directory, registry) = city().await;
    let a1 = number("A1");
    let taken = registry.retire(&a1, Some("the road is gone"), LATER, &BY).await.unwrap();
    assert_eq!(taken, Taken { certificates: 1, tokens: 1 });
    let retirement = Retirement { since: LATER, reason: Some("the road is gone".to_owned()) };
    assert_eq!(registry.retirement(&a1).await.unwrap(), Some(retirement.clone()));
    assert_eq!(registry.lampposts(None, 10).await.unwrap(), [lamppost("B1")]);
    assert_eq!(registry.retired_lampposts(None, 10).await.unwrap(), [lamppost("A1")]);
    assert_eq!(registry.lamppost(&a1).await.unwrap(), Some(lamppost("A1")), "it is not forgotten");
    assert_eq!(registry.count().await.unwrap(), 1);

    let admission = RegistryAdmission::new(registry.clone());
    for serial in ["4a02", "4a01", "4aff", "4b01"] {
        assert_eq!(admission.admit(&a1, serial).await, Err(Refusal::Retired), "{serial}");
    }
    let new = TokenDigest::of(b"new");
    let is_retired = |result: Result<(), RegistryError>| {
        assert!(matches!(result, Err(RegistryError::Retired { number }) if number == a1));
    };
    is_retired(registry.create_token(&a1, &new, (LATER, end()), &BY).await.map(drop));
    is_retired(registry.record_certificate(&record("4a03", "A1"), &BY).await);
    is_retired(registry.replace_controller(&a1, (&new, end()), None, LATER, &BY).await.map(drop));
    is_retired(registry.retire(&a1, None, LATER, &BY).await.map(drop));
    let there = Relocation { road: Some("Hoi Bun Road".to_owned()), ..Relocation::default() };
    let moved = registry.relocate(&a1, &there, LATER, LATER, &BY).await;
    assert!(matches!(moved, Err(LifeError::Registry(RegistryError::Retired { .. }))), "{moved:?}");
    let import = registry.import(vec![lamppost("C1"), lamppost("A1")], LATER, &BY).await.unwrap_err();
    assert!(
        import.to_string().starts_with("these lampposts are retired, and nothing was stored: A1;"),
        "{import}"
    );
    assert_eq!(registry.lamppost(&number("C1")).await.unwrap(), None);

    assert_eq!(registry.revive(&a1, LATER, &BY).await.unwrap(), retirement);
    let again = registry.revive(&a1, LATER, &BY).await;
    assert!(matches!(again, Err(LifeError::InService { .. })), "{again:?}");
    assert_eq!(registry.retirement(&a1).await.unwrap(), None);
    assert_eq!(admission.admit(&a1, "4a02").await, Err(Refusal::Revoked), "it has to be enrolled anew");
    registry.record_certificate(&record("4a03", "A1"), &BY).await.unwrap();
    assert_eq!(admission.admit(&a1, "4a03").await, Ok(Admitted));
    assert_eq!(registry.import(vec![lamppost("A1")], LATER, &BY).await.unwrap().unchanged, 1);
    let told = told(&directory).await;
    let actions: Vec<_> = told.iter().map(|(action, ..)| action.as_str()).collect();
    let retired =
        ["certificate_revoked", "token_ended", "lamppost_retired", "lamppost_revived", "certificate_issued"];
    assert_eq!(actions, retired);
    assert_eq!(told[2].2["reason"], "the road is gone");
    assert_eq!(told[3].2["retired_ms"], LATER.0);
}

#[tokio::test]
async fn a_lamppost_that_was_moved_stands_elsewhere_and_its_former_places_are_kept_with_their_times() {
    let (directory, registry) = city().await;
    let a1 = number("A1");
    let to = |latitude: f64, road: &str| Relocation {
        coordinates: Some(Coordinates::new(latitude, 114.22).unwrap()),
        road: Some(road.to_owned()),
        ..Relocation::default()
    };
    let (before, after) = registry.relocate(&a1, &to(22.31, "Hoi Bun Road"), NOW, LATER, &BY).await.unwrap();
    assert_eq!((&*before.road, &*after.road), ("Wang Chiu Road 宏照道", "Hoi Bun Road"));
    assert_eq!((&before.pillar, &after.pillar), (&Some("P7".to_owned()), &Some("P7".to_owned())));
    let stands = registry.lamppost(&a1).await.unwrap().unwrap();
    assert_eq!((Site::of(&stands), stands.height_m), (after.clone(), Some(10.5)));

    let since = |since: UtcMillis| {
        let (registry, a1, there) = (registry.clone(), a1.clone(), to(22.30, "Wai Yip Street"));
        async move { registry.relocate(&a1, &there, since, LATER, &BY).await }
    };
    let early = since(NOW).await;
    assert!(matches!(early, Err(LifeError::MovedSince { last: NOW, .. })), "{early:?}");
    let to_come = since(LATER.plus_ms(1)).await;
    assert!(matches!(to_come, Err(LifeError::StillToCome { .. })), "{to_come:?}");
    let same = registry.relocate(&a1, &to(22.31, "Hoi Bun Road"), LATER, LATER, &BY).await;
    assert!(matches!(same, Err(LifeError::SameSite { .. })), "{same:?}");
    let nobody = registry.relocate(&number("X"), &to(22.3, "a"), LATER, LATER, &BY).await;
    assert!(matches!(nobody, Err(LifeError::Registry(RegistryError::NotRegistered { .. }))), "{nobody:?}");
    since(LATER).await.unwrap();

    let former = registry.former_sites(&a1).await.unwrap();
    let expected = [FormerSite { until: NOW, site: before }, FormerSite { until: LATER, site: after }];
    assert_eq!(former, expected);
    assert_eq!(registry.former_sites(&number("B1")).await.unwrap(), []);
    let told = told(&directory).await;
    assert_eq!(told.len(), 2, "nothing of what was refused: {told:?}");
    let detail = serde_json::json!({
        "since_ms": NOW.0, "position_before": "22.32 N 114.21 E", "position": "22.31 N 114.22 E",
        "road_before": "Wang Chiu Road 宏照道", "road": "Hoi Bun Road",
    });
    assert_eq!((&*told[0].0, &*told[0].1, &told[0].2), ("lamppost_relocated", "lamppost:A1", &detail));
}
