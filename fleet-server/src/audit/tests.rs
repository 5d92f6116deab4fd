use lamplighter_protocol::{Digest, LamppostNumber, UtcMillis};
use proptest::prelude::*;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::*;
use crate::registry::{Lamppost, Registry};

const NOW: UtcMillis = UtcMillis(1_760_000_000_000);

fn lamppost(number: &str) -> Subject {
    Subject::Lamppost(LamppostNumber::new(number).unwrap())
}

fn entry(number: i64) -> Entry {
    Entry::new(NOW.plus_ms(number), Actor::CommandLine { user_id: 7 }, Action::Refused, lamppost("DF3637"))
        .number("count", number)
}

/// A sound chain of so many records.
fn chain(length: i64) -> Vec<Record> {
    let mut head = Head::GENESIS;
    let next = |number| {
        let record = head.next(&entry(number));
        head = record.head();
        record
    };
    (0..length).map(next).collect()
}

fn checked(records: &[Record], noted: Option<Head>) -> Result<Verified, Finding> {
    verify(records.iter().cloned().map(Stored::from), noted)
}

fn finding(sequence: i64, fault: Fault) -> Finding {
    Finding { sequence, fault }
}

/// Made by another program, in another language, from what `docs/audit.md` says.
#[test]
fn the_encoding_is_the_one_that_is_published() {
    let import =
        Entry::new(NOW, Actor::CommandLine { user_id: 1000 }, Action::LamppostsImported, Subject::Lampposts);
    let import = import.number("unchanged", 1).number("added", 2).number("changed", 0);
    let first = Head::GENESIS.next(&import);
    assert_eq!(first.detail, r#"{"added":2,"changed":0,"unchanged":1}"#);
    assert_eq!(first.hash.to_string(), "2f13e516eadc6f7ba3d02424aa13581e11db14e17bd2ecb9ac6057dcb0d124b4");
    let certificate = Subject::Certificate("4a00ff".parse().unwrap());
    let revoked = Entry::new(UtcMillis(-1), Actor::Server, Action::CertificateRevoked, certificate);
    let second = first.head().next(&revoked.text("reason", "鑰匙 lost\n").text("lamppost", "DF3637"));
    assert_eq!(second.detail, r#"{"lamppost":"DF3637","reason":"鑰匙 lost\\n"}"#);
    assert_eq!((second.sequence, second.previous), (2, first.hash));
    assert_eq!(second.hash.to_string(), "619eeca21f03b7e155dfa1a47fb721098bdf6000c20fb2020f33a17932a0a5e2");
}

/// Records name them for good.
#[test]
fn names_in_records_do_not_change() {
    let number = LamppostNumber::new("DF3637").unwrap();
    let actors = [
        (Actor::CommandLine { user_id: 1000 }, "cli:1000"),
        (Actor::Console, "console"),
        (Actor::Lamppost(number.clone()), "lamppost:DF3637"),
        (Actor::Server, "server"),
    ];
    assert!(actors.iter().all(|(actor, name)| actor.to_string() == *name));
    let digest = Digest([0xab; 32]);
    let subjects = [
        (Subject::Lampposts, "lampposts".to_owned()),
        (Subject::Lamppost(number), "lamppost:DF3637".to_owned()),
        (Subject::Certificate("4A:00".parse().unwrap()), "certificate:4a00".to_owned()),
        (Subject::Outbox("0f".repeat(16).parse().unwrap()), format!("outbox:{}", "0f".repeat(16))),
        (Subject::Authority(digest), format!("authority:{}", "ab".repeat(32))),
        (Subject::ServerCertificate(digest), format!("server_certificate:{}", "ab".repeat(32))),
        (Subject::Gateway, "gateway".to_owned()),
        (Subject::Server, "server".to_owned()),
    ];
    assert!(subjects.iter().all(|(subject, name)| subject.to_string() == *name));
    let actions = [
        (Action::LamppostsImported, "lampposts_imported"),
        (Action::CertificateIssued, "certificate_issued"),
        (Action::CertificateRevoked, "certificate_revoked"),
        (Action::AuthorityMade, "authority_made"),
        (Action::ServerCertificateMade, "server_certificate_made"),
        (Action::OutboxReleased, "outbox_released"),
        (Action::OutboxClosed, "outbox_closed"),
        (Action::ServerStarted, "server_started"),
        (Action::ServerStopped, "server_stopped"),
        (Action::Refused, "refused"),
    ];
    assert!(actions.iter().all(|(action, name)| action.as_str() == *name));
}

#[test]
fn what_comes_from_outside_is_escaped_and_cut_off() {
    let said = |text: &str| entry(0).text("reason", text).detail();
    assert_eq!(said("a \"b\" 'c'"), r#"{"count":0,"reason":"a \"b\" 'c'"}"#);
    assert_eq!(said("\u{1b}[2J\u{202e}"), r#"{"count":0,"reason":"\\u{1b}[2J\\u{202e}"}"#);
    assert_eq!(said(&"宏".repeat(999)), format!(r#"{{"count":0,"reason":"{}"}}"#, "宏".repeat(200)));
    assert_eq!(said(&"\0".repeat(999)).len(), r#"{"count":0,"reason":""}"#.len() + 200 + 100);
}

#[test]
fn a_head_prints_and_parses_back() {
    let head = chain(3)[2].head();
    assert_eq!(head.to_string().parse(), Ok(head));
    assert_eq!(Head::GENESIS.to_string(), format!("0:{}", "0".repeat(64)));
    for text in ["", "3", "3:", "-1:aa", &format!("-1:{}", "0".repeat(64)), &format!("3:{}", "g".repeat(64))]
    {
        assert_eq!(text.parse::<Head>(), Err(NotAHead), "{text:?}");
    }
}

#[test]
fn a_sound_chain_says_from_when_until_when_it_goes() {
    let records = chain(3);
    let verified = checked(&records, Some(records[1].head())).unwrap();
    let (first, last) = (Some(NOW), Some(NOW.plus_ms(2)));
    assert_eq!(verified, Verified { records: 3, first, last, head: records[2].head() });
    let empty = checked(&[], None).unwrap();
    assert_eq!((empty.records, empty.first, empty.last, empty.head), (0, None, None, Head::GENESIS));
    assert_eq!(checked(&[], Some(Head::GENESIS)), Ok(empty));
}

#[test]
fn a_chain_whose_end_is_cut_off_is_told_from_a_whole_one_by_the_noted_head() {
    let records = chain(5);
    let noted = Some(records[4].head());
    assert!(checked(&records[..3], None).is_ok(), "by itself it is a whole chain");
    assert_eq!(checked(&records[..3], noted), Err(finding(4, Fault::CutOff { noted: 5 })));
    assert_eq!(checked(&[], noted), Err(finding(1, Fault::CutOff { noted: 5 })));
}

#[test]
fn a_chain_that_is_made_anew_is_told_from_the_old_one_by_the_noted_head() {
    let records = chain(5);
    let mut head = records[1].head();
    let mut forged = records[..2].to_vec();
    for number in [77, 3, 4] {
        forged.push(head.next(&entry(number)));
        head = forged.last().unwrap().head();
    }
    assert!(checked(&forged, None).is_ok(), "by itself it is a whole chain");
    assert_eq!(checked(&forged, Some(records[3].head())), Err(finding(4, Fault::Rewritten)));
}

#[test]
fn a_record_that_is_replaced_together_with_its_hash_is_found_at_the_next_one() {
    let mut records = chain(5);
    records[2] = records[1].head().next(&entry(77));
    assert_eq!(checked(&records, None), Err(finding(4, Fault::Reordered)));
}

#[test]
fn a_record_that_is_inserted_is_found() {
    let mut records = chain(5);
    let mut inserted = records[1].head().next(&entry(77));
    records.insert(2, inserted.clone());
    assert_eq!(checked(&records, None), Err(finding(3, Fault::Reordered)), "its sequence stands twice");
    records.remove(2);
    inserted.sequence = 0;
    records.insert(0, inserted);
    assert_eq!(checked(&records, None), Err(finding(0, Fault::Reordered)));
}

/// What may be done to one record.
#[derive(Clone, Copy, Debug)]
enum Alteration {
    At,
    Actor,
    Action,
    Subject,
    Detail,
    Boundary,
    Previous(usize, u8),
    Hash(usize, u8),
}

impl Alteration {
    fn apply(self, record: &mut Record) {
        match self {
            Self::At => record.at = record.at.plus_ms(1),
            Self::Actor => record.actor = "server".to_owned(),
            Self::Action => record.action.push(' '),
            Self::Subject => record.subject = "lamppost:DF3638".to_owned(),
            Self::Detail => record.detail = "{}".to_owned(),
            // The same letters, divided elsewhere.
            Self::Boundary => record.action.insert(0, record.actor.pop().unwrap()),
            Self::Previous(byte, bits) => record.previous.0[byte] ^= bits,
            Self::Hash(byte, bits) => record.hash.0[byte] ^= bits,
        }
    }
}

fn alteration() -> impl Strategy<Value = Alteration> {
    prop_oneof![
        Just(Alteration::At),
        Just(Alteration::Actor),
        Just(Alteration::Action),
        Just(Alteration::Subject),
        Just(Alteration::Detail),
        Just(Alteration::Boundary),
        (0..32_usize, 1..=255_u8).prop_map(|(byte, bits)| Alteration::Previous(byte, bits)),
        (0..32_usize, 1..=255_u8).prop_map(|(byte, bits)| Alteration::Hash(byte, bits)),
    ]
}

proptest! {
    #[test]
    fn an_altered_record_is_found_and_named(length in 1..30_i64, place: prop::sample::Index, how in alteration()) {
        let mut records = chain(length);
        let place = place.index(records.len());
        how.apply(&mut records[place]);
        prop_assert_eq!(checked(&records, None), Err(finding(records[place].sequence, Fault::Altered)));
    }

    #[test]
    fn removed_records_are_found_and_the_first_is_named(
        length in 2..30_i64, place: prop::sample::Index, many in 1..5_usize,
    ) {
        let records = chain(length);
        // The last one stays: without it the end is cut off, which needs a noted head.
        let place = place.index(records.len() - 1);
        let end = (place + many).min(records.len() - 1);
        let (first, next) = (records[place].sequence, records[end].sequence);
        let left: Vec<_> = [&records[..place], &records[end..]].concat();
        prop_assert_eq!(checked(&left, None), Err(finding(first, Fault::Missing { next })));
        // Those behind move up: no gap is left, and the first of them does not follow.
        let mut closed = left;
        for (sequence, record) in (1..).zip(&mut closed) {
            record.sequence = sequence;
        }
        prop_assert_eq!(checked(&closed, None), Err(finding(first, Fault::Reordered)));
    }

    #[test]
    fn swapped_records_are_found_and_the_first_is_named(
        length in 2..30_i64, one: prop::sample::Index, other: prop::sample::Index,
    ) {
        let mut records = chain(length);
        let (one, other) = (one.index(records.len()), other.index(records.len()));
        prop_assume!(one != other);
        records.swap(one, other);
        let (first, second) = (one.min(other), one.max(other));
        (records[first].sequence, records[second].sequence) = (records[second].sequence, records[first].sequence);
        prop_assert_eq!(checked(&records, None), Err(finding(records[first].sequence, Fault::Reordered)));
    }
}

async fn registry() -> (TempDir, Registry) {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
    (directory, registry)
}

/// A connection that keeps none of our rules.
async fn strange_hand(directory: &TempDir) -> SqliteConnection {
    let path = directory.path().join(Registry::FILE_NAME);
    SqliteConnectOptions::new().filename(path).foreign_keys(false).connect().await.unwrap()
}

async fn perform(directory: &TempDir, sql: &str) -> Result<(), String> {
    let mut hand = strange_hand(directory).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut hand).await;
    hand.close().await.unwrap();
    done.map(|_| ()).map_err(|error| error.to_string())
}

async fn stored(directory: &TempDir) -> Vec<Stored> {
    let mut reader = AuditReader::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
    let mut all = Vec::new();
    loop {
        let page = reader.page().await.unwrap();
        if page.is_empty() {
            reader.close().await;
            return all;
        }
        all.extend(page);
    }
}

fn city(numbers: &[&str]) -> Vec<Lamppost> {
    numbers.iter().map(|number| Lamppost::example(number)).collect()
}

#[tokio::test]
async fn what_is_recorded_comes_back_and_is_a_chain() {
    let (directory, registry) = registry().await;
    let entries: Vec<_> = (0..2500).map(entry).collect();
    registry.audit_all(&entries).await.unwrap();
    let head = registry.audit(&entry(2500)).await.unwrap();
    let all = stored(&directory).await;
    assert_eq!(all, chain(2501).into_iter().map(Stored::from).collect::<Vec<_>>());
    assert_eq!(verify(all, Some(head)).map(|verified| verified.head), Ok(head));
}

#[tokio::test]
async fn what_is_made_outside_of_the_registry_is_recorded_once() {
    let (directory, registry) = registry().await;
    for (subject, records) in [("A1", 1), ("A1", 1), ("A2", 2)] {
        let made = Entry::new(NOW, Actor::Server, Action::AuthorityMade, lamppost(subject));
        registry.audit_once(&made).await.unwrap();
        assert_eq!(stored(&directory).await.len(), records);
    }
}

/// Whatever ends the server between the two: there is never a change without its record, nor a record without its change.
#[tokio::test]
async fn a_change_and_its_record_are_both_there_or_neither_is() {
    let (directory, registry) = registry().await;
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END";
    perform(&directory, trap).await.unwrap();
    assert!(registry.import(city(&["A1"]), NOW, &Actor::Server).await.is_err());
    assert_eq!(registry.count().await.unwrap(), 0);
    perform(&directory, "DROP TRIGGER trap").await.unwrap();
    let mut transaction = registry.pools().0.begin_with("BEGIN IMMEDIATE").await.unwrap();
    append(&mut transaction, &entry(0)).await.unwrap();
    drop(transaction);
    assert_eq!(stored(&directory).await, [], "it was not committed");
    registry.import(city(&["A1"]), NOW, &Actor::Server).await.unwrap();
    let all = stored(&directory).await;
    let record = all[0].record.as_ref().unwrap();
    assert_eq!((all.len(), record.action.as_str()), (1, "lampposts_imported"));
    assert_eq!(record.detail, r#"{"added":1,"changed":0,"unchanged":0}"#);
    registry.import(city(&["A1"]), NOW, &Actor::Server).await.unwrap();
    assert_eq!(stored(&directory).await.len(), 1, "nothing was changed");
}

#[tokio::test]
async fn several_processes_write_one_chain() {
    let (directory, server) = registry().await;
    let command = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
    let write = async |registry: &Registry| {
        for number in 0..50 {
            registry.audit(&entry(number)).await.unwrap();
        }
    };
    tokio::join!(write(&server), write(&command));
    assert_eq!(verify(stored(&directory).await, None).map(|verified| verified.records), Ok(100));
}

#[tokio::test]
async fn an_honest_hand_cannot_change_delete_or_replace_a_record() {
    let (directory, registry) = registry().await;
    registry.audit_all(&[entry(0), entry(1)]).await.unwrap();
    let replace =
        "INSERT OR REPLACE INTO audit SELECT 2, at_ms, actor, action, subject, detail, previous, hash
                   FROM audit WHERE sequence = 1";
    for (sql, refused) in [
        ("UPDATE audit SET actor = 'server' WHERE sequence = 1", "an audit record is never changed"),
        ("DELETE FROM audit", "an audit record is never deleted"),
        (replace, "an audit record is never replaced"),
    ] {
        let error = perform(&directory, sql).await.unwrap_err();
        assert!(error.contains(refused), "{sql}: {error}");
    }
    assert_eq!(verify(stored(&directory).await, None).map(|verified| verified.records), Ok(2));
}

#[tokio::test]
async fn what_a_dishonest_hand_does_to_the_table_is_found_and_named() {
    let cases = [
        ("UPDATE audit SET detail = '{\"count\":0}' WHERE sequence = 3", finding(3, Fault::Altered)),
        ("UPDATE audit SET at_ms = at_ms - 1 WHERE sequence = 5", finding(5, Fault::Altered)),
        ("UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE sequence = 2", finding(2, Fault::Altered)),
        ("DELETE FROM audit WHERE sequence IN (2, 3)", finding(2, Fault::Missing { next: 4 })),
        ("DELETE FROM audit WHERE sequence > 3", finding(4, Fault::CutOff { noted: 5 })),
        (
            "UPDATE audit SET sequence = 9 WHERE sequence = 2; UPDATE audit SET sequence = 2 WHERE sequence = 4;
             UPDATE audit SET sequence = 4 WHERE sequence = 9",
            finding(2, Fault::Reordered),
        ),
    ];
    for (sql, expected) in cases {
        let (directory, registry) = registry().await;
        let entries: Vec<_> = (0..5).map(entry).collect();
        let noted = registry.audit_all(&entries).await.unwrap();
        let triggers = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;";
        perform(&directory, &format!("{triggers} {sql}")).await.unwrap();
        assert_eq!(verify(stored(&directory).await, Some(noted)), Err(expected), "{sql}");
    }
}
