//! Where lampposts find the server, and by what they know it.

use lamplighter_protocol::{Digest, LamppostNumber};

use crate::ca::{Authority, Present};
use crate::est::Token;

/// What somebody needs at a lamppost, besides a token, to enrol it.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The first name or address that the server's certificate is made for; none was given if it is not there.
    pub host: Option<String>,
    /// The port of the lampposts' listener.
    pub port: u16,
    /// The fleet's CA, which may be rolled over while the server runs.
    pub authority: Present<Authority>,
}

impl Entrance {
    /// SHA-256 of the certificate of the fleet's CA.
    pub(super) fn ca_sha256(&self) -> Digest {
        Digest::of(self.authority.get().certificate_der())
    }

    /// The command for the lamppost's own machine. It reads the token from its standard input, where nobody else sees it.
    pub(super) fn command(&self) -> String {
        format!("edge-agent enrol --config agent.toml --token-file - --ca-sha256 {}", self.ca_sha256())
    }

    /// All of it as a few lines that an installer's phone takes from a code.
    pub(super) fn note(&self, lamppost: &LamppostNumber, token: &Token) -> String {
        let server = match &self.host {
            Some(host) if host.contains(':') => format!("server=[{host}]:{}\n", self.port),
            Some(host) => format!("server={host}:{}\n", self.port),
            None => String::new(),
        };
        let (authority, token) = (self.ca_sha256(), token.expose());
        format!("lamppost={lamppost}\n{server}ca_sha256={authority}\ntoken={token}\n")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lamplighter_protocol::UtcMillis;

    use super::*;

    #[test]
    fn a_note_has_what_an_installer_needs_and_no_address_that_nobody_has_given() {
        let token = Token::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (authority, _) = Authority::open_or_create(directory.path(), UtcMillis(0)).unwrap();
        let digest = Digest::of(authority.certificate_der());
        let authority = Present::from(Arc::new(authority));
        let note = |host: Option<&str>| {
            let host = host.map(str::to_owned);
            let entrance = Entrance { host, port: 8883, authority: authority.clone() };
            entrance.note(&"DF3637".parse().unwrap(), &token)
        };
        let rest = format!("ca_sha256={digest}\ntoken={}\n", token.expose());
        assert_eq!(note(None), format!("lamppost=DF3637\n{rest}"));
        let named = note(Some("fleet.example.org"));
        assert_eq!(named, format!("lamppost=DF3637\nserver=fleet.example.org:8883\n{rest}"));
        assert!(note(Some("2001:db8::1")).contains("\nserver=[2001:db8::1]:8883\n"));
    }
}
