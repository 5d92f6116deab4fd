//! One-time tokens: the text that an installer types once, at a lamppost that has no certificate yet.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq as _;

use crate::registry::TokenDigest;

/// Random bytes of a token: nobody guesses one, however long it is good.
const BYTES: usize = 32;
/// Characters that they are written with, 5 bits each: 256 bits, and 4 zeros.
const CHARACTERS: usize = 52;
/// Characters between two hyphens.
const GROUP: usize = 4;

/// Crockford's base 32: no letter of it is taken for a digit or for another letter, in either case.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A token. It does not print in `Debug`, and takes as long to compare wherever two of them differ.
#[derive(Clone)]
pub struct Token([u8; BYTES]);

/// A text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 52 letters and digits, as `fleet-server token create` prints them")]
pub struct NotAToken;

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes for a token")]
pub struct NoRandomBytes(#[source] getrandom::Error);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomBytes`].
    pub fn generate() -> Result<Self, NoRandomBytes> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(NoRandomBytes)?;
        Ok(Self(bytes))
    }

    /// The token as it is typed: for the installer's eyes, and not for a log.
    pub fn expose(&self) -> String {
        let bit = |bit: usize| self.0.get(bit / 8).map_or(0, |byte| byte >> (7 - bit % 8) & 1);
        let digit = |at: usize| (0..5).fold(0, |digit, of| digit << 1 | bit(at * 5 + of));
        let mut text = String::with_capacity(CHARACTERS + CHARACTERS / GROUP);
        for at in 0..CHARACTERS {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(digit(at))]));
        }
        text
    }

    /// By what the registry knows it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    /// Takes letters of either case, with or without hyphens and spaces, and what is easily typed for a 0 or a 1.
    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let mut bytes = [0; BYTES];
        let mut count = 0;
        let typed = text.bytes().filter(|byte| !matches!(byte, b'-' | b' ' | b'\t' | b'\r' | b'\n'));
        for (at, byte) in typed.enumerate() {
            let digit = digit_of(byte).filter(|_| at < CHARACTERS).ok_or(NotAToken)?;
            for of in 0..5 {
                let (bit, set) = (at * 5 + of, digit >> (4 - of) & 1);
                match bytes.get_mut(bit / 8) {
                    Some(byte) => *byte |= set << (7 - bit % 8),
                    None if set == 0 => {}
                    None => return Err(NotAToken),
                }
            }
            count = at + 1;
        }
        if count == CHARACTERS { Ok(Self(bytes)) } else { Err(NotAToken) }
    }
}

fn digit_of(byte: u8) -> Option<u8> {
    let byte = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        byte => byte,
    };
    let at = ALPHABET.iter().position(|digit| *digit == byte)?;
    u8::try_from(at).ok()
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_never_the_same_and_never_printed_by_debug() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?} {:?}", one.digest()), "Token(..) TokenDigest(..)");
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn a_token_is_written_in_thirteen_groups_of_four() {
        let mut bytes = [0; BYTES];
        bytes[..3].copy_from_slice(&[0xff, 0x00, 0x42]);
        let text = Token(bytes).expose();
        assert_eq!(&text[..9], "ZW04-4000");
        assert_eq!((text.len(), text.split('-').count()), (64, 13));
    }

    #[test]
    fn what_is_typed_a_little_differently_is_the_same_token() {
        let text = Token([0b0000_1000; BYTES]).expose();
        let token: Token = text.parse().unwrap();
        assert!(text.contains('0') && text.contains('1'), "{text}");
        let spaced = text.replace('-', " ");
        for typed in
            [text.to_lowercase(), text.replace('-', ""), spaced, text.replace('0', "o").replace('1', "l")]
        {
            assert_eq!(typed.parse(), Ok(token.clone()), "{typed}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let text = Token([7; BYTES]).expose();
        let one_bit_more = format!("{}Z", "Z".repeat(51));
        let foreign = text.replacen('0', "U", 1);
        for wrong in [
            "",
            "-",
            &text[1..],
            &format!("{text}0"),
            &one_bit_more,
            &foreign,
            &"\0".repeat(52),
            &"é".repeat(26),
        ] {
            assert_eq!(wrong.parse::<Token>(), Err(NotAToken), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(bytes in any::<[u8; BYTES]>()) {
            let token = Token(bytes);
            prop_assert_eq!(token.expose().parse(), Ok(token));
        }

        #[test]
        fn any_text_is_a_token_or_none(text in ".{0,80}") {
            drop(text.parse::<Token>());
        }
    }
}
