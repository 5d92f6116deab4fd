//! Who is given a certificate. Pure: what is known, and the time, are handed in.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::UtcMillis;

use super::refusal::Refusal;
use crate::ca::KeyDigest;
use crate::gateway::Identity;
use crate::registry::{CertificateRecord, TokenRecord};

/// Certificates that one token is good for, all for the same key: an answer may be lost, and asked for again.
pub(super) const MOST_OF_A_TOKEN: u32 = 5;

/// Certificates that a lamppost is given in a day by showing the one that it has. It needs one in weeks; the others are
/// for answers that were lost, and for tries of an installer.
pub(super) const MOST_A_DAY: u32 = 12;

const DAY_MS: i64 = 86_400_000;

/// For how long after the end of its certificate a lamppost may still renew it, in whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnWithin {
    days: u16,
}

impl ReturnWithin {
    /// Never: somebody has to go there with a token.
    pub const NEVER: Self = Self { days: 0 };
}

impl Default for ReturnWithin {
    /// 400 days: as long as the journal is kept, and longer than a street is dug up.
    fn default() -> Self {
        Self { days: 400 }
    }
}

impl FromStr for ReturnWithin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = text.parse().ok().filter(|days| *days <= 3650);
        Ok(Self { days: days.ok_or("give 0 to 3650 whole days; 0 is never")? })
    }
}

impl fmt::Display for ReturnWithin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.days)
    }
}

/// How a lamppost comes to renew its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// With one that is good.
    InTime,
    /// With one that has ended.
    Returned,
}

/// Whether a token is good at all; and for this key, once it is known.
pub(super) fn judge_token(
    token: &TokenRecord,
    key: Option<&KeyDigest>,
    now: UtcMillis,
) -> Result<(), Refusal> {
    if token.ended.is_some() {
        return Err(Refusal::TokenEnded);
    }
    if token.expires <= now {
        return Err(Refusal::TokenExpired);
    }
    let Some(key) = key else { return Ok(()) };
    if token.key.as_ref().is_some_and(|bound| bound != key) {
        return Err(Refusal::OtherKey);
    }
    if token.certificates >= MOST_OF_A_TOKEN {
        return Err(Refusal::TokenUsedUp);
    }
    Ok(())
}

/// Whether the holder of a certificate may renew it. TLS has verified it now or, in a session that was resumed, earlier;
/// what the registry knows of it is known now. One that has ended has to be the lamppost's newest besides.
pub(super) fn judge_renewal(
    shown: &Identity,
    known: Option<&CertificateRecord>,
    within: ReturnWithin,
    now: UtcMillis,
) -> Result<Renewal, Refusal> {
    let known = known.filter(|known| known.lamppost == shown.number).ok_or(Refusal::UnknownCertificate)?;
    if known.revoked.is_some() {
        return Err(Refusal::Revoked);
    }
    if now <= shown.not_after {
        return Ok(Renewal::InTime);
    }
    if now.since_ms(shown.not_after) > i64::from(within.days) * DAY_MS {
        return Err(Refusal::EndedTooLongAgo);
    }
    Ok(Renewal::Returned)
}

/// The time from which on certificates count against [`MOST_A_DAY`].
pub(super) fn a_day_before(now: UtcMillis) -> UtcMillis {
    now.plus_ms(-DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_760_000_000_000);

    fn key(digit: &str) -> KeyDigest {
        digit.repeat(64).parse().unwrap()
    }

    fn token() -> TokenRecord {
        TokenRecord {
            id: "7".parse().unwrap(),
            lamppost: "DF3637".parse().unwrap(),
            created: NOW,
            expires: NOW.plus_ms(1000),
            ended: None,
            key: None,
            certificates: 0,
        }
    }

    #[test]
    fn a_token_is_good_for_the_first_key_until_it_expires_ends_or_is_used_up() {
        let used = TokenRecord { key: Some(key("a")), certificates: 1, ..token() };
        assert_eq!(judge_token(&token(), Some(&key("b")), NOW), Ok(()));
        assert_eq!(judge_token(&used, Some(&key("a")), NOW.plus_ms(999)), Ok(()));
        assert_eq!(judge_token(&used, Some(&key("b")), NOW), Err(Refusal::OtherKey));
        assert_eq!(judge_token(&used, None, NOW), Ok(()));
        assert_eq!(judge_token(&token(), None, NOW.plus_ms(1000)), Err(Refusal::TokenExpired));
        let ended = TokenRecord { ended: Some(NOW), ..used.clone() };
        assert_eq!(judge_token(&ended, Some(&key("a")), NOW), Err(Refusal::TokenEnded));
        let used_up = TokenRecord { certificates: MOST_OF_A_TOKEN, ..used };
        assert_eq!(judge_token(&used_up, Some(&key("a")), NOW), Err(Refusal::TokenUsedUp));
        assert_eq!(
            judge_token(&used_up, Some(&key("b")), NOW),
            Err(Refusal::OtherKey),
            "a thief is told from a retry"
        );
    }

    #[test]
    fn a_certificate_is_renewed_while_it_is_good_and_for_some_days_after_its_end() {
        let shown = Identity {
            number: "DF3637".parse().unwrap(),
            certificate_serial: "4a".to_owned(),
            not_before: UtcMillis(0),
            not_after: NOW,
        };
        let known = CertificateRecord {
            serial: "4a".parse().unwrap(),
            lamppost: "DF3637".parse().unwrap(),
            issued: UtcMillis(0),
            not_after: NOW,
            revoked: None,
            authority: None,
        };
        let judge = |known: Option<&CertificateRecord>, days: u16, after: i64| {
            judge_renewal(&shown, known, ReturnWithin { days }, NOW.plus_ms(after))
        };
        assert_eq!(judge(Some(&known), 400, 0), Ok(Renewal::InTime));
        assert_eq!(judge(Some(&known), 400, 1), Ok(Renewal::Returned));
        assert_eq!(judge(Some(&known), 400, 400 * DAY_MS), Ok(Renewal::Returned));
        assert_eq!(judge(Some(&known), 400, 400 * DAY_MS + 1), Err(Refusal::EndedTooLongAgo));
        assert_eq!(judge(Some(&known), 0, 0), Ok(Renewal::InTime));
        assert_eq!(judge(Some(&known), 0, 1), Err(Refusal::EndedTooLongAgo), "0 is never");
        assert_eq!(judge(None, 400, 0), Err(Refusal::UnknownCertificate));
        let others = CertificateRecord { lamppost: "DF0001".parse().unwrap(), ..known.clone() };
        assert_eq!(judge(Some(&others), 400, 0), Err(Refusal::UnknownCertificate));
        let revoked = CertificateRecord { revoked: Some(NOW), ..known };
        assert_eq!(judge(Some(&revoked), 400, 0), Err(Refusal::Revoked));
        assert_eq!(judge(Some(&revoked), 400, 1), Err(Refusal::Revoked));
    }

    #[test]
    fn days_of_return_are_between_never_and_ten_years() {
        assert_eq!("0".parse(), Ok(ReturnWithin::NEVER));
        assert_eq!("400".parse(), Ok(ReturnWithin::default()));
        for text in ["-1", "3651", "70000", "", "a year"] {
            assert!(text.parse::<ReturnWithin>().is_err(), "{text}");
        }
    }
}
