//! Ids of events: which life of the server, and how far into it.

use std::fmt;
use std::str::FromStr;

/// Names a moment in a life of the server: every change up to it is told. Printed as 16 hexadecimal digits, a dash and
/// a decimal number: `00c0ffee00c0ffee-1234`. Ids of two lives cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// Random, made when the server starts.
    pub life: u64,
    /// The newest change that is told; 0 before the first one.
    pub sequence: u64,
}

/// A text is no id of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an event is 16 hexadecimal digits, a dash and a decimal number, as the server wrote it")]
pub struct NoEventId;

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.life, self.sequence)
    }
}

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let (life, sequence) = text.split_once('-').ok_or(NoEventId)?;
        // What parses as a number may have a sign, which no id has.
        let is_hexadecimal = life.len() == 16 && life.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_decimal = sequence.bytes().all(|byte| byte.is_ascii_digit());
        if !is_hexadecimal || !is_decimal {
            return Err(NoEventId);
        }
        let life = u64::from_str_radix(life, 16).map_err(|_| NoEventId)?;
        let sequence = sequence.parse().map_err(|_| NoEventId)?;
        Ok(Self { life, sequence })
    }
}
