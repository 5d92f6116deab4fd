//! Payloads of a lamppost with every right that cannot be read, or cannot be read yet (D12): acknowledged, for the
//! journal has them; counted under their kind; and nothing waits for them.

use std::time::Duration;

use hil_tests::fleet::{Api, Ending, ServerProcess, wait_for};
use lamplighter_protocol::{Leaf, limits};

use super::commands::binaries;
use super::counters::counted;
use super::lamppost::{Lamppost, SAMPLES, Session, certified};

const PATIENCE: Duration = Duration::from_secs(20);

fn malformed(api: &Api, what: &str) -> u64 {
    counted(api, "lamplighter_ingest_malformed_total", &format!("what=\"{what}\""))
}

/// Waits until the API has stored exactly these many first ticks.
fn wait_for_ticks(api: &Api, lamppost: &Lamppost, below: u64) {
    let all: Vec<u64> = (0..below).collect();
    let stored = || (lamppost.stored(api) == all).then_some(());
    wait_for(&format!("{below} ticks of {}", lamppost.number), PATIENCE, stored).unwrap();
}

/// The same payload, written in the next version of the language.
fn newer(payload: &[u8]) -> Vec<u8> {
    let mut newer = payload.to_vec();
    // Each message begins with its version, field 1.
    assert_eq!(newer[..2], [0x08, u8::try_from(limits::VERSION).unwrap()]);
    newer[1] += 1;
    newer
}

#[test]
fn what_cannot_be_read_is_acknowledged_and_counted_by_kind_and_what_follows_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost, other] = certified(&server, ["DF3637", "DF3638"]);
    let (mut session, mut beside) = (lamppost.log_in(&server), other.log_in(&server));
    session.describe().unwrap();
    beside.describe().unwrap();

    let noise = b"\xff\xff\xff\xff no protobuf".to_vec();
    let no_records = |session: &mut Session| {
        let mut frame = session.frame(0..1);
        frame.records.clear();
        frame.encode()
    };
    let half = |session: &mut Session| {
        let mut frame = session.frame(0..8).encode();
        frame.truncate(frame.len() / 2);
        frame
    };
    let cases: [(&str, Leaf, Vec<u8>); 9] = [
        ("Envelope", SAMPLES, noise.clone()),
        ("Envelope", SAMPLES, Vec::new()),
        ("Envelope", SAMPLES, no_records(&mut session)),
        ("Envelope", SAMPLES, half(&mut session)),
        ("Newer", SAMPLES, newer(&session.frame(0..1).encode())),
        ("Hello", Leaf::Hello, noise.clone()),
        ("Newer", Leaf::Hello, newer(&session.hello(0).encode())),
        ("Description", Leaf::Description, noise),
        ("Newer", Leaf::Description, newer(&lamppost.description().0)),
    ];
    for (below, (what, leaf, payload)) in (1..).zip(cases) {
        let before = malformed(server.api(), what);
        session.publish(leaf, &payload).unwrap();
        session.send(below - 1..below).unwrap();
        beside.send(below - 1..below).unwrap();
        wait_for_ticks(server.api(), &lamppost, below);
        wait_for_ticks(server.api(), &other, below);
        assert_eq!(malformed(server.api(), what), before + 1, "{what} on {leaf:?}");
    }

    // All of it is in the journal, and is met again by the next start.
    let server = server.restart(Ending::Stop).unwrap();
    wait_for_ticks(server.api(), &lamppost, 9);
    for (what, count) in [("Envelope", 4), ("Newer", 3), ("Hello", 1), ("Description", 1)] {
        assert_eq!(malformed(server.api(), what), count, "{what}");
    }
}

#[test]
fn a_record_that_cannot_be_read_costs_nothing_but_itself_and_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost] = certified(&server, ["DF3637"]);
    let mut session = lamppost.log_in(&server);
    session.describe().unwrap();
    let mut frame = session.frame(0..5);
    frame.records[2] = b"\xff\xff no record".as_slice().into();
    session.publish(SAMPLES, &frame.encode()).unwrap();
    let position = session.greet(5);
    assert_eq!(lamppost.held(&position), [(0, 4)], "a record that cannot be read has its verdict");
    assert_eq!(lamppost.stored(server.api()), [0, 1, 3, 4]);
    assert_eq!(malformed(server.api(), "Record"), 1);
}

#[test]
fn a_frame_before_its_description_is_not_held_and_the_position_asks_for_the_description() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost] = certified(&server, ["DF3637"]);
    let mut session = lamppost.log_in(&server);
    session.send(0..3).unwrap();
    let position = session.greet(3);
    assert_eq!(lamppost.held(&position), []);
    assert_eq!(position.lacking, [lamppost.description().1]);
    assert_eq!(malformed(server.api(), "Undescribed"), 1);
    assert_eq!(lamppost.stored(server.api()), [0; 0]);

    session.describe().unwrap();
    session.send(0..3).unwrap();
    let position = session.greet(3);
    assert_eq!(lamppost.held(&position), [(0, 2)]);
    assert_eq!(position.lacking, []);
    assert_eq!(lamppost.stored(server.api()), [0, 1, 2]);
    assert_eq!(malformed(server.api(), "Undescribed"), 1);
}

#[test]
fn a_frame_of_a_newer_version_is_not_held_and_the_position_tells_which_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost] = certified(&server, ["DF3637"]);
    let mut session = lamppost.log_in(&server);
    session.describe().unwrap();
    let frame = newer(&session.frame(0..3).encode());
    session.publish(SAMPLES, &frame).unwrap();
    session.send(3..5).unwrap();
    let position = session.greet(5);
    assert_eq!(lamppost.held(&position), [(3, 4)]);
    assert_eq!(position.newest_version, limits::VERSION);
    assert_eq!(lamppost.stored(server.api()), [3, 4]);
}
