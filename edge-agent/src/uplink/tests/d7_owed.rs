//! D7: what is sent, and sent again.

use super::*;

#[test]
fn d7_what_an_earlier_connection_sent_counts_as_read_before_everything_of_this_one() {
    let mut world = World::new(&[(30, 1)]);
    world.connect();
    while world.pump() {}
    while !world.wire.is_empty() {
        world.deliver(true);
    }
    world.cut();
    world.connect();
    // Acknowledged, so not owed: only the hello goes out, and its position shows that all of it is missing.
    while world.pump() {}
    assert_eq!(world.wire.len(), 1);
    world.deliver(false);
    while world.pump() {}
    let is_frame = |message: &&Message| matches!(message, Message::Frame(..));
    let resent: u64 = world
        .wire
        .iter()
        .filter(is_frame)
        .map(|message| match message {
            Message::Frame(_, frame) => frame.records.len() as u64,
            Message::Hello(_) | Message::Description(_) => 0,
        })
        .sum();
    assert_eq!(resent, 31);
}

#[test]
fn d7_what_waited_was_held_and_is_missing_again_is_sent_again() {
    let mut world = World::new(&[(30, 1)]);
    world.connect();
    while world.pump() {}
    // Lost twice: the second time it has to wait for its turn.
    for _ in 0..2 {
        while !world.wire.is_empty() {
            let loses = !matches!(world.wire.front(), Some(Message::Hello(_)));
            world.deliver(loses);
        }
        world.hello.as_mut().unwrap().1 = 1_000;
        world.answer();
        while world.pump() {}
    }
    assert!(world.wire.is_empty(), "it waits");
    // A copy arrives after all, and then the server is restored from a backup that does not have it.
    world.held.insert((RunId([1; 16]), Log::Samples), Pieces::below(30));
    world.answer();
    world.held.clear();
    world.cut();
    world.connect();
    while world.pump() {}
    world.deliver(false);
    while world.pump() {}
    let resent =
        |message: &Message| matches!(message, Message::Frame(Log::Samples, frame) if frame.first == 0);
    assert!(world.wire.iter().any(resent));
}

#[test]
fn what_is_acknowledged_and_never_named_takes_bounded_memory() {
    let mut sent = SentList::default();
    let stretch = |first| Stretch { run: RunId([1; 16]), log: Log::Samples, first, last: first };
    for first in 0..100_000 {
        sent.push(Sent { stretch: stretch(first), count: Some(first), at: Duration::from_secs(first) });
    }
    assert_eq!(sent.oldest(), Some(Duration::ZERO));
    let all = sent.into_inner();
    assert!(all.len() <= 4_096, "{}", all.len());
    // Nothing is forgotten, and what was joined counts as sent when the last of it was.
    assert_eq!(all.iter().map(|one| one.stretch.len()).sum::<usize>(), 100_000);
    assert!(all.iter().all(|one| one.count == Some(one.stretch.last)));
}

#[test]
fn what_is_to_be_sent_is_neither_held_nor_under_way() {
    let (mut session, now) = (session(&[(10, 1), (5, 1)]), Duration::ZERO);
    assert_eq!(session.to_send(), 17);
    session.connected(Nonce([1; 16]), now);
    assert!(session.hello(now).is_some());
    assert_eq!(session.acknowledged(now), 0);
    let chunk = Chunk {
        place: Place { run: RunId([2; 16]), log: Log::Samples, sequence: 0 },
        description: Digest([1; 32]),
        records: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
    };
    assert!(session.frame(chunk, now).is_some());
    assert_eq!(session.to_send(), 15);
    assert_eq!(session.acknowledged(now), 2);
    assert_eq!(session.to_send(), 15);
    session.disconnected();
    assert_eq!(session.to_send(), 15);
}
