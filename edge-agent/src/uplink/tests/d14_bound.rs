//! D14: outboxes that are set aside.

use super::*;

#[test]
fn d14_a_change_of_what_is_set_aside_is_told_at_once() {
    let told = |outbox: u8| SetAside {
        outbox: OutboxId([outbox; 16]),
        lamppost: None,
        hardware_serial: String::new(),
        reason: SetAsideReason::NoIdentity,
        bytes: 1,
        runs: 1,
        first: None,
        last: None,
    };
    let mut session = session(&[(0, 1)]);
    let second = Duration::from_secs(1);
    session.connected(Nonce([1; 16]), Duration::ZERO);
    assert_eq!(session.next(Duration::ZERO), Next::Hello);
    let hello = |session: &mut Session, now| Hello::decode(&session.hello(now).unwrap()).unwrap();
    assert!(hello(&mut session, Duration::ZERO).set_aside.is_empty());
    let many: Vec<_> = (1..=20).map(|outbox| Aside::of(told(outbox))).collect();
    session.outbox_changed(OutboxState { set_aside: many.into(), ..outbox(&[(0, 1)]) });
    assert_ne!(session.next(second), Next::Hello, "one hello at a time");
    session.acknowledged(second);
    assert_eq!(session.next(second), Next::Hello);
    let named = hello(&mut session, second).set_aside;
    assert_eq!(named, (1..=16).map(told).collect::<Vec<_>>());
    session.acknowledged(second);
    assert_ne!(session.next(second), Next::Hello, "it is told");
}
