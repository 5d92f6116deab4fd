use std::time::Duration;

use super::*;
use crate::gateway::connection::now;
use crate::gateway::subscriptions::Granted;

fn identity(not_before: i64) -> Arc<Identity> {
    Arc::new(Identity {
        number: number(),
        certificate_serial: format!("{not_before:02x}"),
        not_before: UtcMillis(not_before),
        not_after: UtcMillis(i64::MAX),
    })
}

fn number() -> LamppostNumber {
    LamppostNumber::new("DF3637").unwrap()
}

fn peer() -> SocketAddr {
    ([127, 0, 0, 1], 40000).into()
}

fn enter(sessions: &Sessions) -> Registration {
    sessions.enter(&identity(0), peer(), &Limits::default(), now()).unwrap()
}

/// Logs a lamppost in, since that time and for as long as what is returned lives.
pub(crate) fn log_in(sessions: &Sessions, number: &LamppostNumber, since: UtcMillis) -> impl Sized + use<> {
    let certificate_serial = "01".to_owned();
    let identity = Identity { number: number.clone(), certificate_serial, ..Identity::clone(&identity(0)) };
    let now = Now { wall: since, ..now() };
    sessions.enter(&Arc::new(identity), peer(), &Limits::default(), now).unwrap()
}

impl Sessions {
    /// Who is told to close, in order.
    pub(crate) fn told_to_close(&self) -> Vec<LamppostNumber> {
        let places = lock(&self.places);
        let told = places.connected.iter().filter(|(_, place)| lock(&place.slot.mail).close.is_some());
        let mut told: Vec<_> = told.map(|(number, _)| number.clone()).collect();
        told.sort();
        told
    }
}

/// A lamppost that is logged in and listens.
pub(crate) struct Listener(Registration);

impl Listener {
    /// Logs it in.
    pub(crate) fn new(sessions: &Sessions, number: &LamppostNumber) -> Self {
        let identity = Identity { number: number.clone(), ..Identity::clone(&identity(0)) };
        let registration = sessions.enter(&Arc::new(identity), peer(), &Limits::default(), now()).unwrap();
        let mut subscriptions = Subscriptions::default();
        let filter = format!("lampposts/{number}/down/#");
        assert!(subscriptions.grant(number, &filter, Granted::Acknowledged));
        registration.subscribed(subscriptions);
        Self(registration)
    }

    /// The commands that were written to it since it was last asked.
    pub(crate) fn commands(&self) -> Vec<Bytes> {
        let commands = letters(&self.0).into_iter().filter_map(|letter| match letter {
            Letter::Downlink(Leaf::Command, payload) => Some(payload),
            Letter::Downlink(..) | Letter::Close(_) => None,
        });
        let commands = commands.collect();
        self.0.written();
        commands
    }
}

fn listens(registration: &Registration) {
    let mut subscriptions = Subscriptions::default();
    assert!(subscriptions.grant(&number(), "lampposts/DF3637/down/#", Granted::Acknowledged));
    registration.subscribed(subscriptions);
}

fn letters(registration: &Registration) -> Vec<Letter> {
    std::iter::from_fn(|| lock(&registration.slot.mail).take(true)).collect()
}

#[test]
fn a_session_is_known_for_as_long_as_its_connection_lives() {
    let sessions = Sessions::default();
    assert_eq!(sessions.connected(&number()), None);
    let registration = enter(&sessions);
    registration.heard(UtcMillis(77));
    let info = sessions.connected(&number()).unwrap();
    assert_eq!((info.peer, info.last_message, info.subscribed), (peer(), UtcMillis(77), false));
    listens(&registration);
    assert!(sessions.list()[0].1.subscribed);
    drop(registration);
    assert_eq!(sessions.count(), 0);
}

#[test]
fn many_are_looked_up_at_once_in_the_order_that_they_are_asked_for() {
    let sessions = Sessions::default();
    let numbers = ["C", "A", "B"].map(|number| LamppostNumber::new(number).unwrap());
    let _a = log_in(&sessions, &numbers[1], UtcMillis(1));
    let c = log_in(&sessions, &numbers[0], UtcMillis(3));
    assert_eq!(sessions.connected_since(&numbers), [Some(UtcMillis(3)), Some(UtcMillis(1)), None]);
    drop(c);
    assert_eq!(sessions.connected_since(&numbers), [None, Some(UtcMillis(1)), None]);
    assert!(sessions.connected_since(&[]).is_empty());
}

#[test]
fn only_who_listens_is_sent_to() {
    let sessions = Sessions::default();
    let payload = Bytes::from_static(b"p");
    assert_eq!(sessions.send(&number(), Leaf::Position, payload.clone()), Sent::NotConnected);
    let registration = enter(&sessions);
    assert_eq!(sessions.send(&number(), Leaf::Position, payload.clone()), Sent::NotSubscribed);
    listens(&registration);
    assert_eq!(sessions.send(&number(), Leaf::Hello, payload), Sent::NotSubscribed);
    let long = Bytes::from(vec![0; MAX_PAYLOAD_BYTES + 1]);
    assert_eq!(sessions.send(&number(), Leaf::Position, long), Sent::TooLong);
    assert!(letters(&registration).is_empty());
}

#[test]
fn the_newest_position_replaces_an_unsent_one_and_commands_keep_their_order_within_a_bound() {
    let sessions = Sessions::default();
    let registration = enter(&sessions);
    listens(&registration);
    let send = |leaf, text: String| sessions.send(&number(), leaf, Bytes::from(text));
    assert_eq!(send(Leaf::Position, "old".into()), Sent::Queued);
    assert_eq!(send(Leaf::Position, "new".into()), Sent::Replaced);
    for command in 0..16 {
        assert_eq!(send(Leaf::Command, command.to_string()), Sent::Queued);
    }
    assert_eq!(send(Leaf::Command, "17th".into()), Sent::Full);
    let mut expected = vec![Letter::Downlink(Leaf::Position, Bytes::from("new"))];
    expected.extend((0..16).map(|n| Letter::Downlink(Leaf::Command, Bytes::from(n.to_string()))));
    assert_eq!(letters(&registration), expected);
    assert_eq!(send(Leaf::Command, "18th".into()), Sent::Queued);
}

#[test]
fn the_newer_connection_wins_and_the_older_leaves_its_place_alone() {
    let sessions = Sessions::default();
    let older = enter(&sessions);
    let newer = enter(&sessions);
    assert!(!older.took_over() && newer.took_over());
    assert_eq!(lock(&older.slot.mail).take(true), Some(Letter::Close(Reason::TakenOver)));
    drop(older);
    assert!(sessions.connected(&number()).is_some());
    drop(newer);
    assert!(sessions.connected(&number()).is_none());
}

#[test]
fn take_overs_are_damped() {
    let sessions = Sessions::default();
    let start = now();
    let at = |seconds| Now { monotonic: start.monotonic + Duration::from_secs(seconds), ..start };
    let mut held = Vec::new();
    let mut enter_at = |seconds| {
        let entered = sessions.enter(&identity(0), peer(), &Limits::default(), at(seconds));
        entered.map(|registration| held.push(registration))
    };
    for _ in 0..=10 {
        assert_eq!(enter_at(0), Ok(()), "the first login, and ten take-overs");
    }
    assert_eq!(enter_at(0), Err(Reason::TakeoversTooOften));
    assert_eq!(enter_at(5), Err(Reason::TakeoversTooOften));
    assert_eq!(enter_at(6), Ok(()));
    assert_eq!(enter_at(6), Err(Reason::TakeoversTooOften));
}

#[test]
fn an_older_certificate_does_not_throw_out_a_newer_one() {
    let sessions = Sessions::default();
    let enter = |not_before| sessions.enter(&identity(not_before), peer(), &Limits::default(), now());
    let first = enter(10).unwrap();
    let renewed = enter(20).unwrap();
    assert_eq!(enter(10).unwrap_err(), Reason::OlderCertificate);
    assert_eq!(sessions.connected(&number()).unwrap().certificate_serial, "14");
    drop((first, renewed));
    assert!(enter(10).is_ok(), "alone it may");
}

#[test]
fn who_is_connected_with_a_revoked_certificate_is_told_to_close_and_who_comes_with_one_is_refused() {
    let sessions = Sessions::default();
    let enter = |not_before| sessions.enter(&identity(not_before), peer(), &Limits::default(), now());
    let revoke = |serials: &[&str]| {
        sessions.revoke(serials.iter().map(|serial| (number(), (*serial).to_owned())).collect())
    };
    let held = enter(0x10).unwrap();
    assert!(revoke(&["09", "11"]).is_empty(), "they are others");
    assert!(letters(&held).is_empty());
    assert_eq!(revoke(&["09", "10"]), [number()]);
    assert_eq!(lock(&held.slot.mail).take(false), Some(Letter::Close(Reason::Revoked)));
    drop(held);
    assert_eq!(enter(0x10).unwrap_err(), Reason::NotAdmitted(Refusal::Revoked));
    assert!(enter(0x11).is_ok(), "it is not revoked any more, and never was for long");
}

#[tokio::test]
async fn a_letter_wakes_who_waits_for_it() {
    let sessions = Sessions::default();
    let registration = enter(&sessions);
    listens(&registration);
    let (letter, sent) = tokio::join!(registration.letter(true), async {
        tokio::task::yield_now().await;
        sessions.send(&number(), Leaf::Command, Bytes::from_static(b"c"))
    });
    assert_eq!(sent, Sent::Queued);
    assert_eq!(letter, Letter::Downlink(Leaf::Command, Bytes::from_static(b"c")));
}

#[test]
fn a_receipt_says_that_a_command_was_written_and_no_longer_once_that_connection_has_ended() {
    let sessions = Sessions::default();
    let command = || sessions.command(&number(), Bytes::from_static(b"c"));
    let (sent, receipt) = command();
    assert_eq!((sent, receipt.is_written()), (Sent::NotConnected, false));
    let registration = enter(&sessions);
    listens(&registration);
    let (sent, receipt) = command();
    assert_eq!((sent, receipt.is_written()), (Sent::Queued, false), "it waits");
    assert_eq!(letters(&registration).len(), 1);
    assert!(!receipt.is_written(), "it is in a buffer of ours");
    let (_, behind) = command();
    registration.written();
    assert!(receipt.is_written() && !behind.is_written());
    // It gives up listening before the second one is taken.
    registration.subscribed(Subscriptions::default());
    assert_eq!(letters(&registration).len(), 1);
    registration.written();
    assert!(!behind.is_written());
    drop(registration);
    assert!(!receipt.is_written(), "nobody knows whether it arrived");
}
