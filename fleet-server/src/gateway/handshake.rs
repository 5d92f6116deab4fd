//! The beginning of a connection: TLS, whose certificate it is, and which protocol comes.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::ConnectReturnCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Context;
use super::codec::{self, Outgoing};
use super::connection::{self, FAREWELL};
use super::identity::{Identity, IdentityError, Shown};
use super::metrics::HandshakeOutcome;
use super::session::Now;
use crate::ca::{ALPN_HTTP, ALPN_MQTT};
use crate::feeds::{DepartmentIdentity, Feeds};

/// A connection past its TLS handshake.
pub(super) enum Opened {
    /// A lamppost that will log in, or has the time of [`super::Limits::connect`] to do so.
    Mqtt { stream: Stream, identity: Identity, begun: Begun },
    /// A department by its certificate, or somebody without one who has said something that may be a login.
    Department { stream: Stream, feeds: Feeds, certificate: Option<DepartmentIdentity>, begun: Begun },
    /// Somebody who asks by HTTP.
    Http { stream: Stream, shown: Option<Shown>, begun: Begun },
}

pub(super) type Stream = TlsStream<TcpStream>;

/// What was read of a connection to tell the protocols apart, and when its handshake was done.
pub(super) struct Begun {
    pub(super) bytes: BytesMut,
    pub(super) since: Now,
}

/// Room for what comes first: a whole CONNECT, or the beginning of a request.
const FIRST_BYTES: usize = 1024;

/// Shakes hands. None: the client was refused, and it was counted and logged.
pub(super) async fn open(context: &Context, tcp: TcpStream, peer: SocketAddr) -> Option<Opened> {
    // Acknowledgements are small and must not wait for company; without it they are only slower.
    drop(tcp.set_nodelay(true));
    let acceptor = TlsAcceptor::from(context.tls.get());
    let shaken = tokio::time::timeout(context.limits.handshake, acceptor.accept(tcp)).await;
    let refused = match shaken {
        Ok(Ok(stream)) => {
            let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            match leaf.map(|leaf| Shown::of_certificate(leaf)).transpose() {
                Ok(shown) => return told_apart(context, stream, shown, peer).await,
                Err(error) => {
                    let outcome = HandshakeOutcome::NoLamppost;
                    context.log.no_handshake(peer, outcome, &error, crate::clock::monotonic());
                    outcome
                }
            }
        }
        Ok(Err(error)) => {
            let outcome = outcome_of(&error);
            context.log.no_handshake(peer, outcome, &error, crate::clock::monotonic());
            outcome
        }
        Err(_elapsed) => HandshakeOutcome::Timeout,
    };
    context.metrics.shook_hands(refused);
    None
}

/// Which protocol it is: by the name that TLS has agreed on, or else by the first byte. Requests of HTTP begin with a
/// letter, and logins of MQTT do not.
async fn told_apart(
    context: &Context,
    mut stream: Stream,
    shown: Option<Shown>,
    peer: SocketAddr,
) -> Option<Opened> {
    let mut begun = Begun { bytes: BytesMut::new(), since: connection::now() };
    let named = stream.get_ref().1.alpn_protocol();
    let (names_http, names_mqtt) = (named == Some(ALPN_HTTP), named == Some(ALPN_MQTT));
    let is_clear = names_http || (names_mqtt && shown.is_some());
    if !is_clear {
        begun.bytes.reserve(FIRST_BYTES);
        // Silence and a lost connection show again to whoever reads next.
        drop(tokio::time::timeout(context.limits.connect, stream.read_buf(&mut begun.bytes)).await);
    }
    let begins_with_letter = begun.bytes.first().is_some_and(u8::is_ascii_alphabetic);
    if names_http || (!names_mqtt && begins_with_letter) {
        context.metrics.shook_hands(HandshakeOutcome::Done);
        return Some(Opened::Http { stream, shown, begun });
    }
    let (certificate, has_spoken) = match shown {
        Some(Shown::Lamppost(identity)) => {
            context.metrics.shook_hands(HandshakeOutcome::Done);
            return Some(Opened::Mqtt { stream, identity, begun });
        }
        Some(Shown::Department(identity)) => (Some(identity), true),
        None => (None, !begun.bytes.is_empty()),
    };
    if let (Some(feeds), true) = (&context.feeds, has_spoken) {
        context.metrics.shook_hands(HandshakeOutcome::Done);
        return Some(Opened::Department { stream, feeds: feeds.clone(), certificate, begun });
    }
    let (outcome, why) = match certificate {
        Some(_) => (HandshakeOutcome::NoLamppost, IdentityError::NoFeeds),
        None => (HandshakeOutcome::NoCertificate, IdentityError::None),
    };
    context.metrics.shook_hands(outcome);
    context.log.no_handshake(peer, outcome, &why, crate::clock::monotonic());
    if has_spoken {
        turn_away(stream).await;
    }
    None
}

/// Tells a client that logs in, and is no lamppost, that it may not; what it said is not looked at.
async fn turn_away(mut stream: Stream) {
    let mut refusal = BytesMut::new();
    codec::write(&Outgoing::ConnAck(ConnectReturnCode::NotAuthorized), &mut refusal);
    let farewell = async {
        stream.write_all(&refusal).await?;
        stream.shutdown().await
    };
    // Who does not take it in time is cut off, with the same result.
    drop(tokio::time::timeout(FAREWELL, farewell).await);
}

fn outcome_of(error: &io::Error) -> HandshakeOutcome {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::NoCertificatesPresented) => HandshakeOutcome::NoCertificate,
        Some(rustls::Error::InvalidCertificate(_)) => HandshakeOutcome::BadCertificate,
        Some(_) | None => HandshakeOutcome::Failed,
    }
}
