//! D1: runs.

use super::*;

#[test]
fn d1_a_hello_names_the_runs_that_are_one_too_many_so_that_they_may_go() {
    let mut session = session(&[]);
    let log = |end| LogState { on_disk: Pieces::below(end), synced_end: end, end, held: Arc::default() };
    let runs = (0..MOST_RUNS + 2).map(|number| {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Arc::new(RunState { run: RunId(id), may_be_sent: true, samples: log(0), events: log(1) })
    });
    let state = OutboxState { runs: runs.collect(), ..outbox(&[]) };
    let ids: Vec<RunId> = state.runs.iter().map(|run| run.run).collect();
    session.outbox_changed(state);
    session.connected(Nonce([1; 16]), Duration::ZERO);
    let named = |session: &mut Session| {
        let hello = Hello::decode(&session.hello(Duration::ZERO).unwrap()).unwrap();
        hello.runs.into_iter().map(|run| run.run).collect::<Vec<_>>()
    };
    assert_eq!(
        named(&mut session)[1..],
        ids[..limits::MAX_RUNS_PER_HELLO - 1],
        "what nobody holds comes first"
    );
    // Position by position all of them are held.
    for (time, some) in (1..).zip(ids.chunks(limits::MAX_RUNS_PER_HELLO)) {
        let held = |end| LogHeld { pieces: Pieces::below(end), complete_below: u64::MAX };
        let of = |run: &RunId| RunPosition { run: *run, samples: held(0), events: held(1) };
        let position = Position {
            nonce: Nonce([1; 16]),
            count: 1,
            server_time: UtcMillis(time),
            runs: some.iter().map(of).collect(),
            lacking: Vec::new(),
            newest_version: 1,
            clock: ServerClock::Unsaid,
        };
        let believed = Heard::Believed { asked: Duration::ZERO };
        assert_eq!(session.position(&position, Duration::ZERO), believed);
    }
    let named = named(&mut session);
    assert_eq!(named[1..3], ids[..2], "the oldest, which are too many");
    assert_eq!(named[3], ids[MOST_RUNS], "then the newest");
}
