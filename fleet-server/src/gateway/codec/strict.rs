//! What MQTT 3.1.1 forbids and the library that reads packets lets pass. Pure; a packet is looked at as its bytes, whole.

/// Whether a packet of a client breaks such a rule. What cannot be read at all does not, as far as this is concerned: the
/// library refuses it.
pub(super) fn breaks_a_rule(first: u8, body: &[u8]) -> bool {
    let mut fields = Fields(body);
    let is_sound = match first >> 4 {
        CONNECT => connect(&mut fields),
        PUBLISH => publish(first, &mut fields),
        SUBSCRIBE => subscribe(&mut fields),
        UNSUBSCRIBE => unsubscribe(&mut fields),
        _ => Some(true),
    };
    is_sound == Some(false)
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

/// 3.1: the reserved flag is 0 (MQTT-3.1.2-3), there is no password without a user name (MQTT-3.1.2-22), and nothing
/// stands behind the last field.
fn connect(fields: &mut Fields<'_>) -> Option<bool> {
    fields.text()?;
    fields.take(1)?;
    let &[flags] = fields.take(1)? else { return None };
    fields.take(2)?;
    let has = |bit: u8| flags & bit != 0;
    if has(RESERVED) || (has(PASSWORD) && !has(USER_NAME)) {
        return Some(false);
    }
    let mut names_are_sound = is_name(fields.text()?);
    if has(WILL) {
        names_are_sound &= is_topic(fields.text()?);
        fields.text()?;
    }
    if has(USER_NAME) {
        names_are_sound &= is_name(fields.text()?);
    }
    if has(PASSWORD) {
        fields.text()?;
    }
    Some(names_are_sound && fields.is_empty())
}

const RESERVED: u8 = 0x01;
const WILL: u8 = 0x04;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// 3.3: what goes at `QoS` 0 comes only once (MQTT-3.3.1-2), and a topic has no wildcard in it (MQTT-3.3.2-2).
fn publish(first: u8, fields: &mut Fields<'_>) -> Option<bool> {
    let comes_again = first & 0b1000 != 0;
    let is_acknowledged = first & 0b0110 != 0;
    let topic = fields.text()?;
    let has_wildcard = topic.iter().any(|byte| matches!(byte, b'#' | b'+'));
    Some(is_topic(topic) && !has_wildcard && (is_acknowledged || !comes_again))
}

/// 3.8: of a filter's options all bits but those of the `QoS` are 0 (MQTT-3.8.3-4).
fn subscribe(fields: &mut Fields<'_>) -> Option<bool> {
    fields.take(2)?;
    while !fields.is_empty() {
        let filter = fields.text()?;
        let &[options] = fields.take(1)? else { return None };
        if !is_topic(filter) || options & 0xfc != 0 {
            return Some(false);
        }
    }
    Some(true)
}

fn unsubscribe(fields: &mut Fields<'_>) -> Option<bool> {
    fields.take(2)?;
    while !fields.is_empty() {
        if !is_topic(fields.text()?) {
            return Some(false);
        }
    }
    Some(true)
}

/// A text has no NUL in it (MQTT-1.5.3-2); that it is UTF-8 the library sees to.
fn is_name(text: &[u8]) -> bool {
    !text.contains(&0)
}

/// Neither a topic nor a filter is empty (MQTT-4.7.3-1), nor has it NUL in it (MQTT-4.7.3-2).
fn is_topic(text: &[u8]) -> bool {
    !text.is_empty() && is_name(text)
}

/// What is left of a packet's body.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// Two bytes of length, and so many bytes.
    fn text(&mut self) -> Option<&'a [u8]> {
        let &[high, low] = self.take(2)? else { return None };
        self.take(usize::from(u16::from_be_bytes([high, low])))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
