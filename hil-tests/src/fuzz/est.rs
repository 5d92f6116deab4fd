//! Requests for certificates, and logins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_server::est::{named_in_login, named_in_request};

use super::mutate::mutate;
use crate::simulation::dice::Dice;

/// A request of `openssl` for a key of P-256, as it is sent.
const REQUEST: &[u8] = include_bytes!("../../fuzz/request.b64");

/// Of a token.
const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const INPUTS: u64 = 64;

pub(super) fn case(mut dice: Dice) -> u64 {
    assert!(named_in_request(REQUEST).is_some(), "what is valid is read");
    let text: Vec<u8> = REQUEST.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).expect("the corpus is base64");
    for _ in 0..INPUTS {
        if dice.chance(30) {
            login(&mut dice);
            continue;
        }
        // Half of them stay base64, so that the changes are in what it holds.
        let body = if dice.chance(50) {
            let mut der = der.clone();
            mutate(&mut der, REQUEST, &mut dice);
            STANDARD.encode(&der).into_bytes()
        } else {
            let mut body = REQUEST.to_vec();
            mutate(&mut body, &der, &mut dice);
            body
        };
        // What was changed is not what was signed, unless the name is still there.
        if let Some(named) = named_in_request(&body) {
            assert_eq!(named.map(|number| number.to_string()).as_deref(), Some("DF3637"));
        }
    }
    INPUTS
}

fn login(dice: &mut Dice) {
    // Whether it is a right one the registry knows.
    let mut text = b"DF3637:".to_vec();
    text.extend((0..51).map(|_| dice.pick(DIGITS).copied().unwrap_or(b'0')));
    text.push(b'0');
    let is_whole = dice.chance(10);
    if is_whole {
        let value = format!("Basic {}", STANDARD.encode(&text));
        assert!(named_in_login(value.as_bytes()).is_some(), "what is valid is read");
        return;
    }
    if dice.chance(50) {
        mutate(&mut text, b"DF3638:", dice);
    }
    let mut value = format!("Basic {}", STANDARD.encode(&text)).into_bytes();
    if dice.chance(50) {
        mutate(&mut value, b"Bearer ", dice);
    }
    named_in_login(&value);
}
