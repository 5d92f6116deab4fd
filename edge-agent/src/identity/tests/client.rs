//! The client of EST against a server over TLS: what is asked, and what each answer comes to.

use std::sync::Arc;
use std::time::Duration;

use rcgen::KeyPair;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::fleet::{Asked, Fleet, NUMBER, Reply, Server, certs_only};
use crate::clock::{Clock as _, SystemClock};
use crate::identity::Token;
use crate::identity::est::{Est, EstError};
use crate::identity::pair::Pair;
use crate::identity::pkcs7::{NoCertificates, certificates};
use crate::identity::request::{Unacceptable, accept, request};
use crate::tls;

fn good(fleet: &Fleet, asked: &Asked) -> Reply {
    Reply::Certificates(vec![fleet.certify(&asked.request, NUMBER, (0, 90))])
}

fn client(fleet: &Fleet, server: &Server, pair: Option<&Pair>) -> Est {
    let config = tls::trusting(fleet.roots(), pair, Arc::new(SystemClock::believed())).unwrap();
    Est::new(&server.configured("".as_ref()), config)
}

/// Asks this fleet's server, as a lamppost that trusts it, with a token.
async fn ask(
    answer: impl Fn(&Fleet, &Asked) -> Reply + Send + Sync + 'static,
) -> (Result<usize, EstError>, Vec<Asked>) {
    let fleet = Fleet::new();
    let server = fleet.serve(answer).await;
    let key = KeyPair::generate().unwrap();
    let asked = request(&key, &NUMBER.parse().unwrap()).unwrap();
    let token = Token::new(" tok-en\n").unwrap();
    let answer = client(&fleet, &server, None).enrol(&asked, &NUMBER.parse().unwrap(), &token).await;
    (answer.map(|sent| sent.len()), server.asked())
}

#[tokio::test]
async fn number_and_token_are_the_login_and_the_request_is_the_body() {
    let (answer, asked) = ask(good).await;
    assert_eq!(answer.unwrap(), 1);
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(asked.what, "POST /.well-known/est/simpleenroll");
    // DF3637:tok-en
    assert!(asked.head.contains("authorization: Basic REYzNjM3OnRvay1lbg=="), "{}", asked.head);
    assert!(asked.head.contains("content-type: application/pkcs10"), "{}", asked.head);
    assert!(asked.head.contains("\r\nhost: 127.0.0.1:"), "{}", asked.head);
    assert!(asked.shown.is_none());
}

#[tokio::test]
async fn a_renewal_shows_the_certificate_and_no_token() {
    let fleet = Fleet::new();
    let server = fleet.serve(good).await;
    let (certificate, key) = fleet.issue(NUMBER, (-1, 30));
    let pair =
        Pair::read(("c".as_ref(), certificate.as_bytes()), ("k".as_ref(), key.as_bytes()), None).unwrap();
    let asked = request(&KeyPair::generate().unwrap(), &NUMBER.parse().unwrap()).unwrap();
    client(&fleet, &server, Some(&pair)).renew(&asked).await.unwrap();
    let [asked] = &server.asked()[..] else { panic!() };
    assert_eq!(asked.what, "POST /.well-known/est/simplereenroll");
    assert!(asked.shown.is_some());
    assert!(!asked.head.contains("authorization"), "{}", asked.head);
}

#[tokio::test]
async fn a_no_is_told_with_its_status_its_reason_and_how_long_to_wait() {
    for (head, body, text, wait) in [
        ("401 Unauthorized", "", "the server refuses: 401 Unauthorized", None),
        ("403 Forbidden", "used\u{7} up\n", "the server refuses: 403 Forbidden: used  up", None),
        (
            "503 Service Unavailable\r\nretry-after: 120",
            "",
            "the server refuses: 503 Service Unavailable",
            Some(120),
        ),
    ] {
        let (answer, _) = ask(move |_, _| Reply::Says(head, body.into())).await;
        let Err(EstError::Refused(refusal)) = answer else { panic!("{answer:?}") };
        assert_eq!(refusal.to_string(), text);
        assert_eq!(refusal.retry_after, wait.map(Duration::from_secs));
    }
    let (answer, _) = ask(|_, _| Reply::Says("403 Forbidden", vec![b'x'; 5000])).await;
    let Err(EstError::Refused(refusal)) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.reason.len(), 200);
}

#[tokio::test]
async fn answers_that_are_lost_endless_or_nonsense_are_errors() {
    let (answer, _) = ask(|_, _| Reply::Nothing).await;
    assert!(matches!(answer, Err(EstError::Http { .. })), "{answer:?}");
    let (answer, _) = ask(|_, _| Reply::Says("200 OK", vec![b'A'; 65 * 1024])).await;
    assert!(matches!(answer, Err(EstError::TooLong { .. })), "{answer:?}");
    let (answer, _) = ask(|_, _| Reply::Says("200 OK", b"<html>".to_vec())).await;
    assert!(matches!(answer, Err(EstError::Answer(NoCertificates::Base64))), "{answer:?}");
    let (answer, _) = ask(|_, _| Reply::Says("200 OK", b"AAAA".to_vec())).await;
    assert!(matches!(answer, Err(EstError::Answer(NoCertificates::Pkcs7))), "{answer:?}");
    let (answer, _) = ask(|_, _| Reply::Certificates(vec![])).await;
    assert!(matches!(answer, Err(EstError::Answer(NoCertificates::Count))), "{answer:?}");
    let (answer, _) =
        ask(|fleet, _| Reply::Certificates(std::iter::repeat_n(fleet.authority.clone(), 9).collect())).await;
    assert!(matches!(answer, Err(EstError::Answer(NoCertificates::Count))), "{answer:?}");
}

#[tokio::test]
async fn only_a_server_of_our_authority_that_speaks_est_is_asked() {
    let fleet = Fleet::new();
    let asked = request(&KeyPair::generate().unwrap(), &NUMBER.parse().unwrap()).unwrap();
    let other = Fleet::new().serve(good).await;
    let answer = client(&fleet, &other, None).renew(&asked).await;
    assert!(matches!(answer, Err(EstError::Tls { .. })), "{answer:?}");
    assert!(other.asked().is_empty());
    let mqtt = fleet.serve_alpn(&[], good).await;
    let answer = client(&fleet, &mqtt, None).renew(&asked).await;
    assert!(matches!(answer, Err(EstError::NoEst { .. })), "{answer:?}");
    let mut gone = mqtt;
    gone.address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = client(&fleet, &gone, None).renew(&asked).await;
    assert!(matches!(answer, Err(EstError::Unreachable { .. })), "{answer:?}");
}

/// A machine whose clock was never set.
#[derive(Debug)]
struct In1970;

impl TimeProvider for In1970 {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_mins(1)))
    }
}

#[tokio::test]
async fn a_lamppost_that_was_never_told_the_time_can_ask_all_the_same() {
    let fleet = Fleet::new();
    let server = fleet.serve(good).await;
    let asked = request(&KeyPair::generate().unwrap(), &NUMBER.parse().unwrap()).unwrap();
    let years_behind = Arc::new(SystemClock::off_by(-50 * 365 * 86_400_000));
    let mut config = tls::trusting(fleet.roots(), None, years_behind).unwrap();
    config.time_provider = Arc::new(In1970);
    Est::new(&server.configured("".as_ref()), config).renew(&asked).await.unwrap();
}

#[test]
fn a_certificate_is_taken_if_it_is_of_our_key_number_and_authority_and_good_now() {
    let (fleet, number) = (Fleet::new(), NUMBER.parse().unwrap());
    let key = KeyPair::generate().unwrap();
    let asked = request(&key, &number).unwrap();
    let now = SystemClock::believed().now();
    let taken =
        |sent| accept(vec![sent], &key, &number, &fleet.roots(), now).map(|(certificate, _)| certificate);
    assert_eq!(taken(fleet.certify(&asked, NUMBER, (0, 90))).unwrap().common_name, NUMBER);

    let other_key = request(&KeyPair::generate().unwrap(), &number).unwrap();
    let refused = taken(fleet.certify(&other_key, NUMBER, (0, 90))).unwrap_err();
    assert!(matches!(refused, Unacceptable::OtherKey), "{refused:?}");
    let refused = taken(fleet.certify(&asked, "DF3638", (0, 90))).unwrap_err();
    assert_eq!(refused.to_string(), "the server sent a certificate for \"DF3638\", not for DF3637");
    let refused = taken(Fleet::new().certify(&asked, NUMBER, (0, 90))).unwrap_err();
    assert!(matches!(refused, Unacceptable::OtherAuthority(_)), "{refused:?}");
    for days in [(-20, -10), (10, 20)] {
        let refused = taken(fleet.certify(&asked, NUMBER, days)).unwrap_err();
        assert!(matches!(refused, Unacceptable::OtherTime), "{refused:?}");
    }
}

#[test]
fn a_lamppost_that_does_not_know_the_time_takes_a_certificate_whatever_its_dates() {
    let (fleet, number) = (Fleet::new(), NUMBER.parse().unwrap());
    let key = KeyPair::generate().unwrap();
    let sent = fleet.certify(&request(&key, &number).unwrap(), NUMBER, (0, 90));
    let years_behind = SystemClock::off_by(-10 * 365 * 86_400_000).now();
    accept(vec![sent], &key, &number, &fleet.roots(), years_behind).unwrap();
}

#[test]
fn certificates_are_found_in_what_was_cut_short_only_if_it_is_whole() {
    use base64::Engine as _;
    let fleet = Fleet::new();
    let text = certs_only(std::slice::from_ref(&fleet.authority));
    assert_eq!(certificates(text.as_bytes()).unwrap(), std::slice::from_ref(&fleet.authority));
    let standard = base64::engine::general_purpose::STANDARD;
    let whole = standard.decode(text.replace("\r\n", "")).unwrap();
    for length in 0..whole.len() {
        assert!(certificates(standard.encode(&whole[..length]).as_bytes()).is_err(), "{length}");
    }
}

#[test]
fn a_token_is_visible_text_that_does_not_print() {
    for wrong in ["", " \n", "a b", "a\u{7}", "é", &"x".repeat(257)] {
        assert!(Token::new(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(format!("{:?}", Token::new("secret").unwrap()), "Token(..)");
}
