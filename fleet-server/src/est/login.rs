//! Who calls, by HTTP Basic (RFC 7617): the user is the lamppost's number, the password its token.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lamplighter_protocol::LamppostNumber;

use super::token::Token;

/// A login that could be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) number: LamppostNumber,
    pub(super) token: Token,
}

impl Login {
    /// The login of a request, if it has one that could be right.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
        let (number, token) = decoded.split_once(':')?;
        Some(Self { number: number.parse().ok()?, token: token.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn login(value: &[u8]) -> Option<Login> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
        Login::of(&headers)
    }

    fn basic(text: &str) -> Option<Login> {
        login(format!("Basic {}", STANDARD.encode(text)).as_bytes())
    }

    #[test]
    fn a_login_is_the_number_and_the_token() {
        let token = Token::generate().unwrap();
        let expected = Some(Login { number: "DF3637".parse().unwrap(), token: token.clone() });
        let text = format!("DF3637:{}", token.expose());
        assert_eq!(basic(&text), expected);
        assert_eq!(login(format!("bASIC   {} ", STANDARD.encode(&text)).as_bytes()), expected);
    }

    #[test]
    fn what_cannot_be_a_login_is_none() {
        let token = Token::generate().unwrap().expose();
        assert_eq!(Login::of(&HeaderMap::new()), None);
        for text in
            ["", ":", "DF3637", &format!("DF/3637:{token}"), &format!(":{token}"), "DF3637:", "DF3637:abc"]
        {
            assert_eq!(basic(text), None, "{text}");
        }
        let good = STANDARD.encode(format!("DF3637:{token}"));
        for value in [
            format!("Bearer {good}"),
            good.clone(),
            format!("Basic{good}"),
            format!("Basic {good}="),
            "Basic".into(),
        ] {
            assert_eq!(login(value.as_bytes()), None, "{value}");
        }
        let mut twice = HeaderMap::new();
        let value = HeaderValue::try_from(format!("Basic {good}")).unwrap();
        twice.append(header::AUTHORIZATION, value.clone());
        twice.append(header::AUTHORIZATION, value);
        assert_eq!(Login::of(&twice), None);
    }

    proptest! {
        #[test]
        fn any_header_is_a_login_or_none(value in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(login(&value), None);
        }
    }
}
