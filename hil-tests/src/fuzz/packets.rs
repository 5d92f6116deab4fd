//! Packets of MQTT 3.1.1 as clients send them, and some that they should not. Written out here, so that the codec does not
//! make its own input.

use crate::simulation::dice::Dice;

/// Whose session it is.
pub(super) const OWN: &str = "DF3637";

const UPS: [&str; 4] = ["hello", "description", "samples", "events"];

/// Topics and filters of others, and of nobody.
const FOREIGN: [&str; 14] = [
    "",
    "#",
    "+",
    "lampposts/#",
    "lampposts/+/down/#",
    "lampposts/DF3638/up/samples",
    "lampposts/DF3638/down/#",
    "lampposts/DF3637/up/#",
    "lampposts/DF3637/down",
    "lampposts/DF36370/down/#",
    "$share/g/lampposts/DF3637/down/#",
    "$share/g/#",
    "$SYS/#",
    "lampposts/DF3637/down/\u{0}",
];

/// A packet; most are in order.
pub(super) fn any(dice: &mut Dice) -> Vec<u8> {
    match dice.below(16) {
        0 => connect(dice),
        1..=7 => publish(dice),
        8 => packet(0x40, &id(dice)),
        9 | 10 => subscribe(dice),
        11 => unsubscribe(dice),
        12 if dice.chance(20) => vec![0xe0, 0],
        12..=14 => vec![0xc0, 0],
        _ => {
            // PUBREC and its like, packets of servers, and types that there are not.
            let first = dice.next_u64().to_le_bytes()[0];
            packet(first, &id(dice))
        }
    }
}

/// The CONNECT with which a session begins.
pub(super) fn connect(dice: &mut Dice) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04".to_vec();
    let is_plain = dice.chance(70);
    let flags = if is_plain { 0x02 } else { dice.next_u64().to_le_bytes()[0] };
    body.push(flags);
    body.extend(if dice.chance(50) { [0, 60] } else { [0, 0] });
    body.extend(text(if dice.chance(90) { OWN } else { "DF3637/+#$" }));
    if flags & 0x04 != 0 {
        body.extend(text("lampposts/DF3638/up/events"));
        body.extend(text("gone"));
    }
    if flags & 0x80 != 0 {
        body.extend(text("user"));
    }
    if flags & 0x40 != 0 {
        body.extend(text("password"));
    }
    packet(0x10, &body)
}

fn publish(dice: &mut Dice) -> Vec<u8> {
    let is_own = dice.chance(90);
    let topic = if is_own {
        format!("lampposts/{OWN}/up/{}", dice.pick(&UPS).copied().unwrap_or_default())
    } else {
        (*dice.pick(&FOREIGN).unwrap_or(&"")).to_owned()
    };
    let first = if dice.chance(90) { 0x32 } else { 0x30 | (dice.next_u64().to_le_bytes()[0] & 0x0f) };
    let mut body = text(&topic);
    body.extend(id(dice));
    // Most are short; some are as long as one may be, or longer.
    let length = if dice.chance(98) { dice.below(200) } else { dice.below(34 * 1024) };
    body.resize(body.len() + length, 0x5a);
    packet(first, &body)
}

fn subscribe(dice: &mut Dice) -> Vec<u8> {
    let mut body = id(dice).to_vec();
    for _ in 0..=dice.below(3) {
        body.extend(text(&filter(dice)));
        body.push(u8::try_from(dice.below(4)).unwrap_or(0));
    }
    packet(0x82, &body)
}

fn unsubscribe(dice: &mut Dice) -> Vec<u8> {
    let mut body = id(dice).to_vec();
    for _ in 0..dice.below(3) {
        body.extend(text(&filter(dice)));
    }
    packet(0xa2, &body)
}

fn filter(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => (*dice.pick(&FOREIGN).unwrap_or(&"")).to_owned(),
        1 => format!("lampposts/{OWN}/down/position"),
        2 => format!("lampposts/{OWN}/down/command"),
        _ => format!("lampposts/{OWN}/down/#"),
    }
}

/// Small ones, so that some meet again.
fn id(dice: &mut Dice) -> [u8; 2] {
    let id = if dice.chance(98) { 1 + dice.below(40) } else { dice.below(0x1_0000) };
    u16::try_from(id).unwrap_or(0).to_be_bytes()
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(body.len() + 5);
    packet.push(first);
    let mut length = body.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        packet.push(u8::try_from(length & 0x7f).unwrap_or(0) | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}
