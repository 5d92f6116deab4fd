//! Identifiers: names that people give, and random ids. Each is parsed once, at the door.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// Why a text is not the identifier that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A name breaks its rule.
    #[error("{text:?} is not a {what}: it is {rule}")]
    Name {
        /// What was expected.
        what: &'static str,
        /// What was given, shortened.
        text: String,
        /// The rule, for people.
        rule: &'static str,
    },
    /// A binary id has the wrong length.
    #[error("a {what} has {expected} bytes, this one has {found}")]
    Length {
        /// What was expected.
        what: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// The length that was given.
        found: usize,
    },
    /// A binary id written as text is not hexadecimal.
    #[error("a {what} is written as hexadecimal digits")]
    NotHex {
        /// What was expected.
        what: &'static str,
    },
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and keeps the name.
            ///
            /// # Errors
            /// [`IdError::Name`], naming the rule that was broken.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    return Ok(Self(text.into()));
                }
                Err(IdError::Name { what: $what, text: text.chars().take(48).collect(), rule: $rule })
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn made_of(text: &str, longest: usize, accepts: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(accepts)
}

name!(
    /// The official number of a lamppost: `DF3637`.
    LamppostNumber,
    "lamppost number",
    "1 to 32 characters of A-Z, a-z, 0-9, _ and -",
    |text| made_of(text, 32, |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
);
name!(
    /// A device on a lamppost: `weather-1`.
    DeviceName,
    "device name",
    "1 to 32 characters of a-z, 0-9 and -",
    |text| made_of(text, 32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
name!(
    /// An observed property, as the catalogue names it: `air_temperature`.
    PropertyName,
    "property name",
    "1 to 48 characters of a-z, 0-9 and _, a letter first",
    |text| made_of(text, 48, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
);
name!(
    /// What tells two series of one property of one device apart: `lane-1`, `max`.
    ChannelName,
    "channel name",
    "1 to 32 characters of a-z, 0-9, _ and -",
    |text| made_of(text, 32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
);

/// Names a series on its lamppost: device, property and, rarely, channel. Printed `weather-1/air_temperature[/max]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesName {
    /// The device that observes.
    pub device: DeviceName,
    /// What it observes.
    pub property: PropertyName,
    /// Which of several, if there are several.
    pub channel: Option<ChannelName>,
}

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.property)?;
        self.channel.as_ref().map_or(Ok(()), |channel| write!(f, "/{channel}"))
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Takes the id from bytes of the wire.
            ///
            /// # Errors
            /// [`IdError::Length`] unless there are exactly as many bytes as the id has.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                let found = bytes.len();
                bytes.try_into().map(Self).map_err(|_| IdError::Length { what: $what, expected: $bytes, found })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = || IdError::NotHex { what: $what };
                let digits = text.as_bytes().chunks(2);
                let bytes = digits
                    .map(|pair| std::str::from_utf8(pair).ok().filter(|p| p.len() == 2 && !p.starts_with('+')))
                    .map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(error))
                    .collect::<Result<Vec<u8>, IdError>>()?;
                Self::from_slice(&bytes)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    };
}

random_id!(
    /// One life of the agent process (D1).
    RunId,
    "run",
    16
);
random_id!(
    /// One outbox, from its making to its end (D14).
    OutboxId,
    "outbox",
    16
);
random_id!(
    /// One connection, named by the hello that opens it (D8).
    Nonce,
    "nonce",
    16
);
random_id!(
    /// One command.
    CommandId,
    "command id",
    16
);
random_id!(
    /// A SHA-256, such as that of a description's payload as it was sent (D4).
    Digest,
    "digest",
    32
);

impl Digest {
    /// The digest of these bytes.
    pub fn of(payload: &[u8]) -> Self {
        Self(sha2::Sha256::digest(payload).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_of_their_rule_are_refused() {
        for text in ["", "a/b", "a b", "ä", "#", "+", "a\0", &"x".repeat(33)] {
            assert!(LamppostNumber::new(text).is_err(), "{text:?}");
        }
        assert_eq!(LamppostNumber::new("DF3637").unwrap().as_str(), "DF3637");
        assert!(PropertyName::new("2pm").is_err());
        assert!(DeviceName::new("Weather").is_err());
    }

    #[test]
    fn random_ids_print_and_parse_back() {
        let run = RunId(std::array::from_fn(|i| u8::try_from(i * 17 % 256).unwrap()));
        assert_eq!(run.to_string().parse(), Ok(run));
        assert!("00".parse::<RunId>().is_err());
        assert!("zz".repeat(16).parse::<RunId>().is_err());
        assert!("+1".repeat(16).parse::<RunId>().is_err());
    }

    #[test]
    fn a_digest_is_sha_256() {
        // FIPS 180-4, example "abc".
        let digest = Digest::of(b"abc");
        assert!(digest.to_string().starts_with("ba7816bf8f01cfea414140de5dae2223"));
    }
}
