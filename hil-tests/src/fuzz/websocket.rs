//! Frames of WebSocket as a department's browser sends them, cut anyhow. Beside the decoder, which reads what comes and gathers
//! nothing, stands a reader that has all of it before it and takes one frame after the other.

use bytes::BytesMut;
use fleet_server::feeds::{Decoder, Frames};

use super::mutate::mutate;
use crate::simulation::dice::Dice;

/// Conversations of a case.
const CONVERSATIONS: u64 = 16;
/// Frames of a conversation, at most.
const MOST_FRAMES: usize = 12;
/// A head and the payload of a control frame, one byte short: all that the decoder may leave where it is while it has room.
const MOST_LEFT: usize = 14 + 125;

/// First bytes of frames: most go on as they should, some do not.
const FIRSTS: [u8; 13] = [0x82, 0x82, 0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x81, 0x83, 0xc2, 0x09];

/// What a client has said, by either reader.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    bytes: Vec<u8>,
    /// Each with the number of bytes that came before it.
    pings: Vec<(usize, Vec<u8>)>,
    closed: Option<u16>,
}

pub(super) fn case(mut dice: Dice) -> u64 {
    let mut inputs = 0;
    for _ in 0..CONVERSATIONS {
        let mut sent = Vec::new();
        for _ in 0..=dice.below(MOST_FRAMES) {
            sent.extend(frame(&mut dice));
            inputs += 1;
        }
        if dice.chance(60) {
            let other = frame(&mut dice);
            mutate(&mut sent, &other, &mut dice);
        }
        assert_eq!(in_pieces(&sent, &mut dice), whole(&sent), "{sent:02x?}");
    }
    inputs
}

/// A frame as a client sends it; its length may be said in more bytes than it needs.
fn frame(dice: &mut Dice) -> Vec<u8> {
    let first = if dice.chance(95) { dice.pick(&FIRSTS).copied().unwrap_or(0x82) } else { any_byte(dice) };
    let length = match dice.below(400) {
        0 => 60_000 + dice.below(12_000),
        1..=40 => 100 + dice.below(60),
        _ => dice.below(30),
    };
    let mut payload = vec![0; length];
    dice.fill(&mut payload);
    if first & 0x0f == 8 && dice.chance(80) {
        // A code, of those that there are and beside them.
        let code = u16::try_from(900 + dice.below(4_200)).unwrap_or(1000);
        payload.splice(..payload.len().min(2), code.to_be_bytes());
    }
    let mut frame = vec![first];
    let masked = if dice.chance(98) { 0x80 } else { 0 };
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) if dice.chance(95) => frame.push(masked | length),
        (_, Ok(length)) if dice.chance(95) => {
            frame.push(masked | 0x7e);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(masked | 0x7f);
            let length = if dice.chance(95) { payload.len() as u64 } else { dice.next_u64() };
            frame.extend(length.to_be_bytes());
        }
    }
    let mask: [u8; 4] = std::array::from_fn(|_| any_byte(dice));
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn any_byte(dice: &mut Dice) -> u8 {
    dice.next_u64().to_le_bytes()[0]
}

/// As a connection reads: what has come so far, for as much as there is room for.
fn in_pieces(mut sent: &[u8], dice: &mut Dice) -> Said {
    let (mut decoder, mut from, mut said) = (Decoder::default(), BytesMut::new(), Said::default());
    let most = if dice.chance(50) && sent.len() < 1_000 { 8 } else { 5_000 };
    while !sent.is_empty() {
        let (some, rest) = sent.split_at(sent.len().min(1 + dice.below(most)));
        from.extend_from_slice(some);
        sent = rest;
        loop {
            let (before, room) = (said.bytes.len(), dice.below(most));
            let end = decoder.decode(&mut from, room, |bytes| said.bytes.extend_from_slice(bytes));
            let handed_on = said.bytes.len() - before;
            assert!(handed_on <= room, "{handed_on} bytes where there was room for {room}");
            match end {
                Frames::More if handed_on < room => {
                    assert!(from.len() < MOST_LEFT, "{} bytes are gathered", from.len());
                    break;
                }
                Frames::More => {}
                Frames::Ping(payload) => said.pings.push((said.bytes.len(), payload)),
                Frames::Closed(code) => {
                    said.closed = Some(code);
                    return said;
                }
            }
        }
    }
    said
}

/// RFC 6455, clause 5, read off all that was sent.
fn whole(sent: &[u8]) -> Said {
    let (mut said, mut at, mut is_amid) = (Said::default(), 0, false);
    let closed = |mut said: Said, code| {
        said.closed = Some(code);
        said
    };
    loop {
        let (Some(&first), Some(&second)) = (sent.get(at), sent.get(at + 1)) else { return said };
        // 5.2: nothing is reserved for an extension; 5.1: what a client sends is masked.
        if first & 0x70 != 0 || second < 0x80 {
            return closed(said, 1002);
        }
        let bytes_of_length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let head = at + 2 + bytes_of_length;
        let (Some(long), Some(mask)) = (sent.get(at + 2..head), sent.get(head..head + 4)) else {
            return said;
        };
        let length = match bytes_of_length {
            0 => u64::from(second & 0x7f),
            _ => long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let (is_last, kind) = (first & 0x80 != 0, first & 0x0f);
        match kind {
            1 => return closed(said, 1003),
            0 | 2 if (kind == 0) != is_amid => return closed(said, 1002),
            8..=10 if !is_last || length > 125 => return closed(said, 1002),
            0 | 2 | 8..=10 => {}
            _ => return closed(said, 1002),
        }
        let rest = sent.get(head + 4..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let is_whole = rest.len() >= length;
        let payload: Vec<u8> =
            rest.iter().take(length).zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        match kind {
            0 | 2 => {
                said.bytes.extend(payload);
                is_amid = !is_last;
            }
            _ if !is_whole => return said,
            9 => said.pings.push((said.bytes.len(), payload)),
            8 => {
                // 7.4.1: without a code all is well; 7.4.2: there are none below 1000, nor above 4999.
                let code = match payload[..] {
                    [high, low, ..] => u16::from_be_bytes([high, low]),
                    _ => 1000,
                };
                return closed(said, if (1000..=4999).contains(&code) { code } else { 1002 });
            }
            _ => {}
        }
        if !is_whole {
            return said;
        }
        at = head + 4 + length;
    }
}
