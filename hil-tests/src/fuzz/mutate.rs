//! Changes of what is valid.

use crate::simulation::dice::Dice;

/// Values that counts and lengths go wrong at.
const EDGES: [u8; 8] = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/// Nothing grows beyond this: what is longer is refused by its length.
const LONGEST: usize = 40 * 1024;

/// Changes `bytes` in a few places; `other` is something else that is valid, of which pieces are taken.
pub(super) fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        once(bytes, other, dice);
    }
    bytes.truncate(LONGEST);
}

fn once(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    match dice.below(9) {
        0 => change(bytes, at, |byte| byte ^ (1 << (at % 8))),
        1 => {
            let edge = dice.pick(&EDGES).copied().unwrap_or_default();
            change(bytes, at, |_| edge);
        }
        2 => {
            let any = dice.next_u64().to_le_bytes()[0];
            change(bytes, at, |_| any);
        }
        3 => bytes.truncate(at),
        4 => {
            let end = at + dice.below(bytes.len() - at + 1).min(64);
            bytes.drain(at..end);
        }
        5 => {
            let mut noise = vec![0; dice.below(16)];
            dice.fill(&mut noise);
            bytes.splice(at..at, noise);
        }
        6 => {
            let piece = piece(bytes, dice).to_vec();
            bytes.splice(at..at, piece);
        }
        7 => {
            let piece = piece(other, dice).to_vec();
            bytes.splice(at..at, piece);
        }
        // Small steps of lengths and numbers.
        _ => {
            let up = dice.chance(50);
            change(bytes, at, |byte| if up { byte.wrapping_add(1) } else { byte.wrapping_sub(1) });
        }
    }
}

fn change(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}

fn piece<'a>(of: &'a [u8], dice: &mut Dice) -> &'a [u8] {
    let from = dice.below(of.len());
    let rest = of.get(from..).unwrap_or_default();
    rest.get(..dice.below(rest.len() + 1)).unwrap_or_default()
}
