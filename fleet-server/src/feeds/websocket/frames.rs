//! Frames of RFC 6455, clause 5: those of a client read, and ours written.

use bytes::{Buf as _, BufMut as _, BytesMut};

/// The purpose is fulfilled (7.4.1).
pub(super) const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// Longest payload of a control frame (5.5).
const CONTROL_BYTES: u64 = 125;

/// Reads the frames that a client sends, as far as they are there. Pure.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Of the data frame that is being read.
    data: Option<Data>,
    /// The last data frame was not the last of its message.
    in_message: bool,
}

#[derive(Debug)]
struct Data {
    left: u64,
    mask: [u8; 4],
    read: usize,
}

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Frames {
    /// More bytes, or more room, are needed.
    More,
    /// The client wants to hear this again.
    Ping(Vec<u8>),
    /// There is no more: the client said so, or broke a rule; it is answered with this code.
    Closed(u16),
}

struct Header {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    length: u64,
    bytes: usize,
}

impl Decoder {
    /// Takes frames out of `from`, and hands on at most `room` bytes that were in them.
    pub fn decode(&mut self, from: &mut BytesMut, mut room: usize, mut to: impl FnMut(&[u8])) -> Frames {
        loop {
            if let Some(data) = &mut self.data {
                let left = usize::try_from(data.left).unwrap_or(usize::MAX);
                let mut some = from.split_to(left.min(from.len()).min(room));
                unmask(&mut some, data.mask, data.read);
                to(&some);
                room -= some.len();
                data.left -= some.len() as u64;
                data.read = (data.read + some.len()) % 4;
                if data.left > 0 {
                    return Frames::More;
                }
                self.data = None;
            }
            let header = match Header::read(from) {
                Ok(Some(header)) => header,
                Ok(None) => return Frames::More,
                Err(code) => return Frames::Closed(code),
            };
            let Header { fin, opcode, mask, length, bytes } = header;
            match opcode {
                // 5.4: a message goes on only if one has begun, and begins only if none has.
                BINARY | CONTINUATION if (opcode == CONTINUATION) == self.in_message => {
                    from.advance(bytes);
                    self.in_message = !fin;
                    self.data = Some(Data { left: length, mask, read: 0 });
                }
                TEXT => return Frames::Closed(UNSUPPORTED),
                CLOSE | PING | PONG if fin && length <= CONTROL_BYTES => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    if from.len() < bytes + length {
                        return Frames::More;
                    }
                    from.advance(bytes);
                    let mut payload = from.split_to(length);
                    unmask(&mut payload, mask, 0);
                    match opcode {
                        PING => return Frames::Ping(payload.to_vec()),
                        // 5.5.1: as a rule its own code is sent back.
                        CLOSE => return Frames::Closed(code_of(&payload)),
                        _ => {}
                    }
                }
                _ => return Frames::Closed(PROTOCOL_ERROR),
            }
        }
    }
}

impl Header {
    /// None: it is not whole yet.
    fn read(from: &[u8]) -> Result<Option<Self>, u16> {
        let [first, second, rest @ ..] = from else { return Ok(None) };
        // No extension is agreed on, and clients mask (5.1).
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(PROTOCOL_ERROR);
        }
        let (length, rest, long) = match second & !MASKED {
            126 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*length)), rest, 2)
            }
            127 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*length), rest, 8)
            }
            length => (u64::from(length), rest, 0),
        };
        let Some((mask, _)) = rest.split_first_chunk() else { return Ok(None) };
        let (fin, opcode) = (first & FIN != 0, first & 0x0f);
        Ok(Some(Self { fin, opcode, mask: *mask, length, bytes: 2 + long + 4 }))
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4], read: usize) {
    for (byte, mask) in bytes.iter_mut().zip(mask.iter().cycle().skip(read % 4)) {
        *byte ^= mask;
    }
}

fn code_of(close: &[u8]) -> u16 {
    let code = close.first_chunk().map_or(NORMAL, |code| u16::from_be_bytes(*code));
    if (1000..5000).contains(&code) { code } else { PROTOCOL_ERROR }
}

pub(super) fn write_binary(payload: &[u8], to: &mut BytesMut) {
    write(BINARY, payload, to);
}

pub(super) fn write_pong(payload: &[u8], to: &mut BytesMut) {
    write(PONG, payload, to);
}

pub(super) fn write_close(code: u16, to: &mut BytesMut) {
    write(CLOSE, &code.to_be_bytes(), to);
}

fn write(opcode: u8, payload: &[u8], to: &mut BytesMut) {
    to.reserve(payload.len() + 10);
    to.put_u8(FIN | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => to.put_u8(length),
        (_, Ok(length)) => {
            to.put_u8(126);
            to.put_u16(length);
        }
        (_, Err(_)) => {
            to.put_u8(127);
            to.put_u64(payload.len() as u64);
        }
    }
    to.put_slice(payload);
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it.
    pub(in crate::feeds::websocket) fn masked(first: u8, payload: &[u8], to: &mut BytesMut) {
        let mut plain = BytesMut::new();
        write(first & 0x0f, payload, &mut plain);
        let head = plain.len() - payload.len();
        to.put_u8(first);
        to.put_u8(plain[1] | MASKED);
        to.put_slice(&plain[2..head]);
        let mask = [1, 2, 3, 4];
        to.put_slice(&mask);
        plain.advance(head);
        unmask(&mut plain, mask, 0);
        to.put_slice(&plain);
    }

    fn decoded(frames: &[(u8, &[u8])]) -> (Vec<u8>, Frames) {
        let (mut from, mut heard) = (BytesMut::new(), Vec::new());
        for (first, payload) in frames {
            masked(*first, payload, &mut from);
        }
        let end = Decoder::default().decode(&mut from, usize::MAX, |bytes| heard.extend_from_slice(bytes));
        (heard, end)
    }

    #[test]
    fn whatever_breaks_a_rule_ends_it_with_the_code_for_that() {
        assert_eq!(
            decoded(&[(0x02, b"a"), (0x80, b"b"), (0x8a, b""), (0x82, b"c")]),
            (b"abc".to_vec(), Frames::More)
        );
        assert_eq!(decoded(&[(0x82, b"a"), (0x81, b"b")]), (b"a".to_vec(), Frames::Closed(UNSUPPORTED)));
        for (name, frames) in [
            ("goes on with nothing", &[(0x80, &b"a"[..])][..]),
            ("begins within another one", &[(0x02, b""), (0x82, b"a")]),
            ("an extension", &[(0xc2, b"a")]),
            ("an unknown kind", &[(0x83, b"a")]),
            ("a ping in parts", &[(0x09, b"a")]),
            ("a long ping", &[(0x89, &[0; 126])]),
            ("no code", &[(0x88, &[0, 1])]),
        ] {
            assert_eq!(decoded(frames), (vec![], Frames::Closed(PROTOCOL_ERROR)), "{name}");
        }
        let mut unmasked = BytesMut::from(&[0x82, 1, b'a', 0, 0, 0, 0][..]);
        let end = Decoder::default().decode(&mut unmasked, 10, |_| ());
        assert_eq!(end, Frames::Closed(PROTOCOL_ERROR));
        assert_eq!(decoded(&[(0x88, b"")]).1, Frames::Closed(NORMAL));
        assert_eq!(decoded(&[(0x89, b"are you there")]).1, Frames::Ping(b"are you there".to_vec()));
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in_however_they_are_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..6),
            cut in 1..50_usize, room in 1..50_usize,
        ) {
            let mut sent = BytesMut::new();
            for payload in &payloads {
                masked(0x82, payload, &mut sent);
            }
            let (mut decoder, mut from, mut heard) = (Decoder::default(), BytesMut::new(), Vec::new());
            for some in sent.chunks(cut) {
                from.extend_from_slice(some);
                loop {
                    let before = heard.len();
                    let end = decoder.decode(&mut from, room, |bytes| heard.extend_from_slice(bytes));
                    prop_assert_eq!(end, Frames::More);
                    prop_assert!(heard.len() - before <= room);
                    if heard.len() - before < room {
                        break;
                    }
                }
            }
            prop_assert_eq!(heard, payloads.concat());
        }
    }
}
