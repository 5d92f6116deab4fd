//! D8: hellos and positions.

use super::*;

#[test]
fn a_position_of_another_connection_or_an_older_one_is_ignored() {
    let mut world = World::new(&[(10, 1)]);
    world.connect();
    let position = |nonce, time| Position {
        nonce: Nonce([nonce; 16]),
        count: 0,
        server_time: UtcMillis(time),
        runs: Vec::new(),
        lacking: Vec::new(),
        newest_version: 1,
        clock: ServerClock::Unsaid,
    };
    assert_eq!(world.session.position(&position(1, 5), world.now), Heard::Believed { asked: world.now });
    assert_eq!(world.session.position(&position(2, 6), world.now), Heard::Ignored);
    assert_eq!(world.session.position(&position(1, 5), world.now), Heard::Ignored);
    assert_eq!(world.session.position(&position(1, 6), world.now), Heard::Believed { asked: world.now });
}

#[test]
fn a_hello_is_said_again_a_minute_after_something_that_no_position_names() {
    let mut world = World::new(&[(10, 1)]);
    world.connect();
    while world.pump() {}
    // The server acknowledges and forgets all of it.
    while !world.wire.is_empty() {
        world.deliver(true);
    }
    let hellos: Vec<u64> = (0..600)
        .filter(|second| {
            world.now = Duration::from_secs(*second);
            while world.pump() {}
            let said = world.wire.iter().any(|message| matches!(message, Message::Hello(_)));
            while !world.wire.is_empty() {
                world.deliver(true);
            }
            said
        })
        .collect();
    assert_eq!(hellos, [60, 180, 420], "doubling");
}
