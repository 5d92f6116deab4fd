//! MQTT over WebSocket (clause 6 of MQTT 3.1.1, RFC 6455), for browsers: a stream of bytes within a stream of frames.
//!
//! Only what clause 6 asks for: binary frames, whose bounds mean nothing (a packet may span several, and a frame hold
//! several packets); no extension is agreed on. Frames are read as they come and none is gathered, so that a long one costs
//! no more than a short one.

mod frames;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BytesMut};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::frames::{Decoder, Frames};

/// Where it is asked for.
pub(crate) const PATH: &str = "/mqtt";

/// RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of one frame of ours.
const FRAME_BYTES: usize = 16 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 4 * 1024;
/// While more than this of our own frames is not taken, nothing is written.
const UNSENT_BYTES: usize = 2 * FRAME_BYTES;

/// The bytes within a WebSocket's frames. Cancel-safe as the stream that it is of.
#[derive(Debug)]
pub(crate) struct WebSocket<S> {
    stream: S,
    incoming: BytesMut,
    outgoing: BytesMut,
    decoder: Decoder,
    /// The client has said that it ends, or broke a rule: nothing more is read.
    ended: bool,
    /// Our last frame is queued.
    closing: bool,
}

/// Whether a request asks for MQTT over WebSocket (RFC 6455, 4.2.1; MQTT 6); with it, how it is answered.
pub(crate) fn answer<B>(request: &Request<B>) -> Result<Response<Body>, Box<Response<Body>>> {
    let headers = request.headers();
    let refused = |status: StatusCode, why: &'static str| {
        let mut response = Response::new(Body::from(why));
        *response.status_mut() = status;
        Box::new(response)
    };
    if request.method() != Method::GET {
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "it is asked for by GET\n"));
    }
    if !has(headers, header::UPGRADE, "websocket") || !has(headers, header::CONNECTION, "upgrade") {
        let mut response =
            refused(StatusCode::UPGRADE_REQUIRED, "MQTT 3.1.1 is spoken here over WebSocket\n");
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return Err(response);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut response =
            refused(StatusCode::UPGRADE_REQUIRED, "WebSocket is spoken by RFC 6455, version 13\n");
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(response);
    }
    if !has(headers, header::SEC_WEBSOCKET_PROTOCOL, "mqtt") {
        return Err(refused(StatusCode::BAD_REQUEST, "the protocol that is spoken here is mqtt\n"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let Some(key) = key.filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)) else {
        return Err(refused(StatusCode::BAD_REQUEST, "the key is 16 bytes in base64\n"));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept_of(key));
    Ok(response)
}

fn accept_of(key: &[u8]) -> HeaderValue {
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    HeaderValue::try_from(accept).expect("base64 may stand in a header")
}

/// Whether one of a list of words is this one, in any case.
fn has(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

impl<S> WebSocket<S> {
    /// Of a stream on which the answer was sent.
    pub(crate) fn new(stream: S) -> Self {
        let (incoming, outgoing) = (BytesMut::new(), BytesMut::new());
        Self { stream, incoming, outgoing, decoder: Decoder::default(), ended: false, closing: false }
    }
}

impl<S: AsyncWrite + Unpin> WebSocket<S> {
    fn poll_outgoing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, code: u16) {
        if !std::mem::replace(&mut self.closing, true) {
            frames::write_close(code, &mut self.outgoing);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = &mut *self;
        loop {
            if socket.ended || to.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = to.filled().len();
            let decoded =
                socket.decoder.decode(&mut socket.incoming, to.remaining(), |bytes| to.put_slice(bytes));
            match decoded {
                Frames::More => {}
                Frames::Ping(payload) => {
                    // Who pings faster than it reads our answers is answered less often (5.5.3).
                    if socket.outgoing.len() < UNSENT_BYTES && !socket.closing {
                        frames::write_pong(&payload, &mut socket.outgoing);
                    }
                    if let Poll::Ready(Err(error)) = socket.poll_outgoing(context) {
                        return Poll::Ready(Err(error));
                    }
                    if to.filled().len() == before {
                        continue;
                    }
                }
                Frames::Closed(code) => {
                    socket.ended = true;
                    socket.close(code);
                    if let Poll::Ready(Err(error)) = socket.poll_outgoing(context) {
                        return Poll::Ready(Err(error));
                    }
                }
            }
            if to.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if socket.ended {
                continue;
            }
            let mut bytes = [0; READ_BYTES];
            let mut more = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut socket.stream).poll_read(context, &mut more))?;
            if more.filled().is_empty() {
                socket.ended = true;
            }
            socket.incoming.extend_from_slice(more.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut *self;
        if socket.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if socket.outgoing.len() >= UNSENT_BYTES {
            ready!(socket.poll_outgoing(context))?;
        }
        let some = bytes.get(..bytes.len().min(FRAME_BYTES)).unwrap_or_default();
        frames::write_binary(some, &mut socket.outgoing);
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_outgoing(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close(frames::NORMAL);
        ready!(self.poll_outgoing(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn asked(change: impl FnOnce(&mut HeaderMap)) -> Result<Response<Body>, StatusCode> {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "mqttv3.1, mqtt"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        change(headers);
        answer(&request).map_err(|refused| refused.status())
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_it_says() {
        let response = asked(|_| ()).unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
    }

    #[test]
    fn what_is_no_such_request_is_refused() {
        let without = |name: &'static str| asked(|headers| drop(headers.remove(name))).unwrap_err();
        assert_eq!(without("upgrade"), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(without("connection"), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(without("sec-websocket-version"), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(without("sec-websocket-protocol"), StatusCode::BAD_REQUEST);
        assert_eq!(without("sec-websocket-key"), StatusCode::BAD_REQUEST);
        let short = HeaderValue::from_static("c2hvcnQ=");
        assert_eq!(
            asked(|headers| drop(headers.insert("sec-websocket-key", short))).unwrap_err(),
            StatusCode::BAD_REQUEST
        );
    }

    #[tokio::test]
    async fn bytes_pass_in_frames_pings_are_answered_and_an_end_is_an_end() {
        let (client, server) = tokio::io::duplex(1024);
        let (mut client, mut socket) = (client, WebSocket::new(server));
        let mut sent = BytesMut::new();
        frames::tests::masked(0x02, b"ab", &mut sent);
        frames::tests::masked(0x89, b"?", &mut sent);
        frames::tests::masked(0x80, b"cd", &mut sent);
        frames::tests::masked(0x88, &1001_u16.to_be_bytes(), &mut sent);
        client.write_all(&sent).await.unwrap();
        let mut heard = Vec::new();
        socket.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"abcd");
        let mut answers = [0; 3 + 4];
        client.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers, [0x8a, 1, b'?', 0x88, 2, 0x03, 0xe9]);
        assert!(socket.write_all(b"late").await.is_err());

        let (mut client, server) = tokio::io::duplex(64);
        let mut socket = WebSocket::new(server);
        let writing = async {
            socket.write_all(&[7; 300]).await.unwrap();
            socket.shutdown().await.unwrap();
        };
        let mut frames = Vec::new();
        let ((), read) = tokio::join!(writing, client.read_to_end(&mut frames));
        read.unwrap();
        assert_eq!(frames[..4], [0x82, 126, 0x01, 0x2c]);
        assert_eq!((frames.len(), &frames[304..]), (308, &[0x88, 2, 0x03, 0xe8][..]));
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_it_ends_or_waits(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut client, server) = tokio::io::duplex(4096);
                client.write_all(&bytes).await.unwrap();
                client.shutdown().await.unwrap();
                let mut heard = Vec::new();
                WebSocket::new(server).read_to_end(&mut heard).await.unwrap();
                assert!(heard.len() <= bytes.len());
            });
        }
    }
}
