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
use super::identity::{Identity, IdentityError};
use super::metrics::HandshakeOutcome;
use super::session::Now;
use crate::ca::{ALPN_HTTP, ALPN_MQTT};
use crate::feeds::Feeds;

/// A connection past its TLS handshake.
pub(super) enum Opened {
    /// A lamppost that will log in, or has the time of [`super::Limits::connect`] to do so.
    Mqtt { stream: Stream, identity: Identity, begun: Begun },
    /// Somebody without a certificate who has said something that may be a login.
    Department { stream: Stream, feeds: Feeds, begun: Begun },
    /// Somebody who asks by HTTP.
    Http { stream: Stream, certificate: Option<Identity>, begun: Begun },
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
            match leaf.map(|leaf| Identity::of_certificate(Some(leaf))).transpose() {
                Ok(certificate) => return told_apart(context, stream, certificate, peer).await,
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
    certificate: Option<Identity>,
    peer: SocketAddr,
) -> Option<Opened> {
    let mut begun = Begun { bytes: BytesMut::new(), since: connection::now() };
    let named = stream.get_ref().1.alpn_protocol();
    let (names_http, names_mqtt) = (named == Some(ALPN_HTTP), named == Some(ALPN_MQTT));
    let is_clear = names_http || (names_mqtt && certificate.is_some());
    if !is_clear {
        begun.bytes.reserve(FIRST_BYTES);
        // Silence and a lost connection show again to whoever reads next.
        drop(tokio::time::timeout(context.limits.connect, stream.read_buf(&mut begun.bytes)).await);
    }
    let begins_with_letter = begun.bytes.first().is_some_and(u8::is_ascii_alphabetic);
    if names_http || (!names_mqtt && begins_with_letter) {
        context.metrics.shook_hands(HandshakeOutcome::Done);
        return Some(Opened::Http { stream, certificate, begun });
    }
    let Some(identity) = certificate else {
        if let (Some(feeds), false) = (&context.feeds, begun.bytes.is_empty()) {
            context.metrics.shook_hands(HandshakeOutcome::Done);
            return Some(Opened::Department { stream, feeds: feeds.clone(), begun });
        }
        let outcome = HandshakeOutcome::NoCertificate;
        context.metrics.shook_hands(outcome);
        context.log.no_handshake(peer, outcome, &IdentityError::None, crate::clock::monotonic());
        if !begun.bytes.is_empty() {
            turn_away(stream).await;
        }
        return None;
    };
    context.metrics.shook_hands(HandshakeOutcome::Done);
    Some(Opened::Mqtt { stream, identity, begun })
}

/// Tells a client that logs in without a certificate that it may not; what it said is not looked at.
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
