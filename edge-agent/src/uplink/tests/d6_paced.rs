//! D6: live data beside a backlog, and the window.

use super::*;

#[test]
fn live_data_runs_ahead_while_a_backlog_drains() {
    let mut world = World::new(&[(20_000, 1), (50, 1)]);
    world.connect();
    while world.pump() {}
    world.append(3);
    while !world.wire.is_empty() {
        world.deliver(false);
        if world.pump() {
            break;
        }
    }
    let live = RunId([2; 16]);
    let is_live = |message: &Message| matches!(message, Message::Frame(Log::Samples, frame) if frame.run == live && frame.first == 50);
    assert!(
        world.wire.iter().any(is_live),
        "the first thing sent after three live records are those records"
    );
}

#[test]
fn a_connection_without_acknowledgements_is_given_up_after_ten_minutes() {
    let mut world = World::new(&[(10, 1)]);
    world.connect();
    while world.pump() {}
    world.now = Duration::from_secs(599);
    assert!(!matches!(world.session.next(world.now), Next::GiveUp));
    world.now = Duration::from_secs(601);
    // A hello may still be due first.
    while world.up && world.pump() {}
    assert!(!world.up);
}

#[test]
fn d6_a_full_window_is_waited_on_and_not_asked_about_again_and_again() {
    // Each log of each run needs a frame of its own: the window in publishes is full first.
    let mut world = World::new(&[vec![(2_000, 1)], vec![(1, 1); 60]].concat());
    world.connect();
    // The oldest run is long, and acknowledged at once: the backlog's share grows with it.
    let oldest = (RunId([1; 16]), Log::Samples);
    while !world.held.get(&oldest).is_some_and(|held| held.contains_all(0, 1_999)) {
        while world.pump() {}
        world.deliver(false);
    }
    while world.pump() {}
    assert!(world.unacknowledged >= limits::WINDOW_PUBLISHES - 1, "{}", world.unacknowledged);
    world.now = Duration::from_secs(90);
    let Next::Idle { until } = world.session.next(world.now) else { panic!("there is no room for anything") };
    assert!(until > world.now + Duration::from_mins(5), "{until:?}");
}

#[test]
fn d6_a_server_is_excused_for_what_of_a_stall_came_after_a_frame_and_not_for_what_came_before() {
    const STALL: Duration = Duration::from_secs(5);
    for leaves_first in [true, false] {
        let mut world = World::new(&[(20_000, 1), (1, 1)]);
        world.connect();
        for _ in 0..2 {
            while world.pump() {}
            world.now += Duration::from_millis(10);
            deliver_all(&mut world);
        }
        let before = next_frame(&mut world);
        let began = world.now;
        let ended = began + STALL;
        if leaves_first {
            world.pump();
            world.now = ended;
            world.session.stalled(began..ended);
        } else {
            // It is read for five seconds, and the server then takes as long.
            world.now = ended;
            world.pump();
            world.session.stalled(began..ended);
            world.now += STALL;
        }
        deliver_all(&mut world);
        assert_eq!(
            next_frame(&mut world) > before,
            leaves_first,
            "the backlog gives way to a server that is slow"
        );
    }
}

fn deliver_all(world: &mut World) {
    while !world.wire.is_empty() {
        world.deliver(false);
    }
}

/// Bytes of the frame that is next.
fn next_frame(world: &mut World) -> usize {
    let Next::Read(_, limit) = world.session.next(world.now) else { panic!("nothing is sent") };
    limit.bytes
}
