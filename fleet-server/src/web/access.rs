//! Who is let in: whoever holds the token that the server prints at its start.

use std::fmt;
use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq as _;

use super::console;

/// Cookie that carries the token: a browser's `EventSource` sends no headers of its own.
pub(super) const COOKIE: &str = "lamplighter";

/// The operations that anybody on this machine may ask: probes, figures, the way in, and the console's page. So are
/// its other files and the explanations of problems: all of them are the same everywhere.
const OPEN_PATHS: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/login", "/"];

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// 256 random bits, made anew at each start; does not print in `Debug`.
#[derive(Clone)]
pub struct AccessToken {
    hex: String,
}

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers for the access token")]
pub struct TokenError(#[source] getrandom::Error);

impl AccessToken {
    /// A new token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn generate() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(TokenError)?;
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hex = nibbles.map(|nibble| DIGITS[usize::from(nibble)]).collect();
        Ok(Self { hex })
    }

    /// The link that logs a browser in; for the operator's eyes, and not for a log.
    pub fn login_link(&self, listener: SocketAddr) -> String {
        format!("http://{listener}/login?token={}", self.hex)
    }

    /// The token as it is sent: 64 hexadecimal digits. For tools that are to be let in, and not for a log.
    pub fn expose(&self) -> &str {
        &self.hex
    }

    /// Whether `offered` is this token; takes as long wherever they differ.
    pub(super) fn matches(&self, offered: &str) -> bool {
        bool::from(self.hex.as_bytes().ct_eq(offered.as_bytes()))
    }

    /// Whether a request with these headers holds this token, as Bearer (RFC 6750) or in the cookie.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        bearer(headers).any(|offered| self.matches(offered))
            || cookies(headers).any(|offered| self.matches(offered))
    }

    /// The cookie that a login sets. It ends with the browser's session; scripts cannot read it, and other sites'
    /// pages cannot have it sent.
    pub(super) fn set_cookie(&self) -> HeaderValue {
        let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", self.hex);
        let mut value = HeaderValue::try_from(cookie).expect("hexadecimal digits may stand in a header");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// Whether a path is served without the token.
pub(super) fn is_open(path: &str) -> bool {
    OPEN_PATHS.contains(&path) || path.starts_with("/problems/") || path.starts_with(console::ASSETS)
}

/// Whether a Host (RFC 9110, 7.2) names this machine by its loopback, with any port or none. A page of another site
/// whose name is made to resolve to 127.0.0.1 (DNS rebinding) sends that site's name here.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

fn bearer(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    })
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed_by_debug_and_never_the_same() {
        let (one, other) = (AccessToken::generate().unwrap(), AccessToken::generate().unwrap());
        assert_eq!(format!("{one:?}"), "AccessToken(..)");
        assert_eq!(one.expose().len(), 64);
        assert!(one.matches(one.expose()) && !one.matches(other.expose()) && !one.matches(""));
        assert!(!one.matches(&one.expose()[..63]));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let token = AccessToken::generate().unwrap();
        let admits = |cookies: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::try_from(cookies).unwrap());
            token.admits(&headers)
        };
        let hex = token.expose();
        assert!(admits(&format!("a=b; {COOKIE}={hex}; c")));
        assert!(admits(&format!("{COOKIE}=stale; {COOKIE}={hex}")));
        assert!(!admits(&format!("other={hex}")));
        assert!(!admits(COOKIE));
    }

    #[test]
    fn only_the_bearer_scheme_is_read() {
        let token = AccessToken::generate().unwrap();
        let admits = |value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(value).unwrap());
            token.admits(&headers)
        };
        assert!(admits(format!("Bearer {}", token.expose())));
        assert!(admits(format!("bearer {}", token.expose())));
        assert!(!admits(format!("Basic {}", token.expose())));
        assert!(!admits(token.expose().to_owned()));
    }

    #[test]
    fn hosts_of_this_machine_are_told_from_others() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org:80",
            "127.0.0.2",
            "::1",
            "localhost:80:80",
            "user@localhost",
            "localhost:x",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
