//! D3: what has no time yet.

use super::*;

#[test]
fn d3_what_waits_for_its_time_is_named_and_not_sent_and_others_do_not_wait_for_it() {
    let mut world = World::new(&[(10, 1), (20, 1)]);
    let mut waits = outbox(&[(10, 1), (20, 1)]);
    let of = |run: &Arc<RunState>, may_be_sent| Arc::new(RunState { may_be_sent, ..(**run).clone() });
    waits.runs = vec![of(&waits.runs[0], true), of(&waits.runs[1], false)];
    world.session.outbox_changed(waits);
    assert_eq!(world.session.to_send(), 11);
    world.connect();
    while world.pump() {}
    let runs = |message: &Message| match message {
        Message::Hello(hello) => hello.runs.iter().map(|run| (run.run, true)).collect(),
        Message::Frame(_, frame) => vec![(frame.run, false)],
        Message::Description(_) => Vec::new(),
    };
    let told: BTreeSet<_> = world.wire.iter().flat_map(runs).collect();
    let (first, second) = (RunId([1; 16]), RunId([2; 16]));
    assert_eq!(told, BTreeSet::from([(first, false), (first, true), (second, true)]));
    // Once its times are known it goes out.
    world.session.outbox_changed(outbox(&[(10, 1), (20, 1)]));
    while world.pump() {}
    assert!(world.wire.iter().any(|message| runs(message).contains(&(second, false))));
}

#[test]
fn d3_a_lamppost_that_does_not_know_the_time_asks_again_each_minute_and_then_less_often() {
    let mut world = World::new(&[(0, 0)]);
    world.connect();
    world.session.clock_is(ClockTrust::Unknown);
    let mut said = Vec::new();
    for second in 0..700 {
        world.now = Duration::from_secs(second);
        while world.pump() {}
        while let Some(message) = world.wire.front() {
            said.extend(matches!(message, Message::Hello(_)).then_some(second));
            world.deliver(true);
        }
    }
    assert_eq!(said, [0, 60, 180, 420]);
}
