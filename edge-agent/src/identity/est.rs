//! The agent's side of EST (RFC 7030) on the port that MQTT is on, told apart by ALPN: what enrolment and renewal need of
//! it, and nothing else (no CSR attributes, no keys made by the server).
//!
//! Each request has a connection of its own, a [time limit](PATIENCE) and a [bound](MAX_ANSWER_BYTES) on the answer.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lamplighter_protocol::LamppostNumber;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pkcs7::{self, NoCertificates};
use crate::config::ServerConfig;

/// Longest time from the first packet to the end of the answer: twice what MQTT gives a connection, for the server signs
/// and stores meanwhile.
const PATIENCE: Duration = Duration::from_secs(40);

/// The longest answer that is read: some forty times an authority's certificate.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What is shown of a server's reason.
const MAX_REASON_CHARS: usize = 200;

/// How ALPN names HTTP/1.1 (RFC 7301, 6).
const HTTP: &[u8] = b"http/1.1";

/// A one-time token. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token has 1 to 256 visible characters, without spaces; copy it as `fleet-server token create` printed it"
)]
pub struct NoToken;

impl Token {
    /// Space around it, and the end of the line, are not part of it.
    ///
    /// # Errors
    /// [`NoToken`].
    pub fn new(text: &str) -> Result<Self, NoToken> {
        let text = text.trim();
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible && (1..=256).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(NoToken) }
    }
}

impl std::str::FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        Self::new(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What failed on the way to a certificate.
#[derive(Debug, thiserror::Error)]
pub enum EstError {
    /// Nobody answers.
    #[error("cannot reach {server}; check the network, and host and port in the configuration")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// What the system says.
        source: io::Error,
    },
    /// The answer did not come in time.
    #[error("{server} did not answer within {} s; try again", PATIENCE.as_secs())]
    Slow {
        /// `host:port`.
        server: String,
    },
    /// No TLS with this server.
    #[error("no secure connection with {server}")]
    Tls {
        /// `host:port`.
        server: String,
        /// What TLS says.
        source: io::Error,
    },
    /// It speaks MQTT alone.
    #[error("{server} offers no enrolment (EST); is it an older fleet-server, or another server?")]
    NoEst {
        /// `host:port`.
        server: String,
    },
    /// The connection ended, or what came is no HTTP.
    #[error("the connection with {server} ended without an answer")]
    Http {
        /// `host:port`.
        server: String,
        /// What the HTTP client says.
        source: hyper::Error,
    },
    /// The answer does not end.
    #[error("the answer of {server} is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong {
        /// `host:port`.
        server: String,
    },
    /// The server said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What the server sent holds no certificates.
    #[error("the answer of the server cannot be used")]
    Answer(#[from] NoCertificates),
}

/// The server's no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server refuses: {status}{}", said(reason))]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// What the server says for people; without control characters, and cut.
    pub reason: String,
    /// For how long it wants to be left alone.
    pub retry_after: Option<Duration>,
}

fn said(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// One server's EST, seen with one TLS configuration.
#[derive(Debug)]
pub(crate) struct Est {
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
}

impl Est {
    pub(crate) fn new(server: &ServerConfig, mut tls: ClientConfig) -> Self {
        tls.alpn_protocols = vec![HTTP.to_vec()];
        Self { host: server.host.clone(), port: server.port, tls: Arc::new(tls) }
    }

    /// The certificates of the fleet's authority (RFC 7030, 4.1).
    pub(crate) async fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, EstError> {
        let request = self.request(Method::GET, "cacerts").body(Full::default());
        self.certificates(request).await
    }

    /// A certificate for whoever has this token (RFC 7030, 4.2.1 and 3.2.3).
    pub(crate) async fn enrol(
        &self,
        request: &[u8],
        lamppost: &LamppostNumber,
        token: &Token,
    ) -> Result<Vec<CertificateDer<'static>>, EstError> {
        let login = STANDARD.encode(format!("{lamppost}:{}", token.0));
        let post = self.request(Method::POST, "simpleenroll").header(AUTHORIZATION, format!("Basic {login}"));
        self.certificates(with(request, post)).await
    }

    /// A certificate for whoever has the one that TLS shows (RFC 7030, 4.2.2).
    pub(crate) async fn renew(&self, request: &[u8]) -> Result<Vec<CertificateDer<'static>>, EstError> {
        self.certificates(with(request, self.request(Method::POST, "simplereenroll"))).await
    }

    fn request(&self, method: Method, what: &str) -> hyper::http::request::Builder {
        let path = format!("/.well-known/est/{what}");
        Request::builder().method(method).uri(path).header(HOST, self.server())
    }

    async fn certificates(
        &self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<Vec<CertificateDer<'static>>, EstError> {
        let request = request.expect("a configured host, a number and a token make a request");
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(request));
        let answer = exchange.await.map_err(|_| EstError::Slow { server: self.server() })??;
        Ok(pkcs7::certificates(&answer)?)
    }

    /// Sends a request on a connection of its own, and returns what a good answer holds.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, EstError> {
        let unreachable = |source| EstError::Unreachable { server: self.server(), source };
        let no_tls = |source| EstError::Tls { server: self.server(), source };
        let no_http = |source| EstError::Http { server: self.server(), source };
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        let name =
            ServerName::try_from(self.host.clone()).map_err(|error| no_tls(io::Error::other(error)))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(no_tls)?;
        if tls.get_ref().1.alpn_protocol() != Some(HTTP) {
            return Err(EstError::NoEst { server: self.server() });
        }
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(no_http)?;
        let mut answer = pin!(async move {
            let answer = sender.send_request(request).await.map_err(no_http)?;
            self.read(answer).await
        });
        tokio::select! {
            answer = &mut answer => return answer,
            ended = connection => tracing::debug!(?ended, "the connection has ended"),
        }
        // What has come is read to its end.
        answer.await
    }

    async fn read(&self, answer: Response<hyper::body::Incoming>) -> Result<Bytes, EstError> {
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(source) => EstError::Http { server: self.server(), source: *source },
                Err(_) => EstError::TooLong { server: self.server() },
            }
        });
        if head.status == StatusCode::OK {
            return Ok(body?.to_bytes());
        }
        let seconds =
            head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let text = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let reason: String =
            String::from_utf8_lossy(&text).trim().chars().take(MAX_REASON_CHARS).map(visible).collect();
        Err(Refusal { status: head.status, reason, retry_after: seconds.map(Duration::from_secs) }.into())
    }

    fn server(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// A request for a certificate as the body (RFC 7030, 4.2.1).
fn with(
    certificate_request: &[u8],
    post: hyper::http::request::Builder,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    post.header(CONTENT_TYPE, "application/pkcs10")
        .header("Content-Transfer-Encoding", "base64")
        .body(STANDARD.encode(certificate_request).into())
}
