//! A fleet's authority, and a server that answers requests as a test wants it to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig as TlsServer};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::clock::{Clock as _, SystemClock};
use crate::config::ServerConfig;
use crate::identity::Fingerprint;
use crate::identity::pair::pem_of;
use crate::tls::provider;

pub(super) const NUMBER: &str = "DF3637";

/// An authority.
pub(super) struct Fleet {
    issuer: Issuer<'static, KeyPair>,
    pub(super) authority: CertificateDer<'static>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `POST /.well-known/est/simpleenroll`
    pub(super) what: String,
    /// All header lines.
    pub(super) head: String,
    /// The request for a certificate, DER.
    pub(super) request: Vec<u8>,
    /// The certificate that the client showed.
    pub(super) shown: Option<CertificateDer<'static>>,
}

/// What is answered.
pub(super) enum Reply {
    Certificates(Vec<CertificateDer<'static>>),
    Says(&'static str, Vec<u8>),
    /// Nothing: the connection is cut.
    Nothing,
}

/// A server on a port of this machine. It ends with the test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = parameters("Test fleet CA", -1, 400);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = parameters.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::from_ca_cert_der(&authority, key).unwrap(), authority }
    }

    /// What another authority says of this one.
    pub(super) fn certified_by(&self, other: &Self) -> CertificateDer<'static> {
        let mut parameters = parameters("The next test fleet CA", -1, 400);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters.signed_by(self.issuer.key(), &other.issuer).unwrap().der().clone()
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.authority)
    }

    pub(super) fn pem(&self) -> String {
        pem_of(&self.authority)
    }

    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        Arc::new(roots)
    }

    /// Signs what is asked for, under this name, good from and until so many days from now.
    pub(super) fn certify(
        &self,
        request: &[u8],
        name: &str,
        (from, until): (i64, i64),
    ) -> CertificateDer<'static> {
        let request = CertificateSigningRequestDer::from(request.to_vec());
        let mut request = CertificateSigningRequestParams::from_der(&request).unwrap();
        request.params = parameters(name, from, until);
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.signed_by(&self.issuer).unwrap().der().clone()
    }

    /// A certificate and its key, in PEM.
    pub(super) fn issue(&self, name: &str, days: (i64, i64)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = parameters(name, days.0, days.1);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server that answers so.
    pub(super) async fn serve(
        &self,
        answer: impl Fn(&Self, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Server {
        self.serve_alpn(&["mqtt", "http/1.1"], answer).await
    }

    pub(super) async fn serve_alpn(
        &self,
        alpn: &[&str],
        answer: impl Fn(&Self, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(self.tls(alpn)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let fleet = self.again();
        let mut serving = JoinSet::new();
        serving.spawn({
            let asked = Arc::clone(&asked);
            async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    // A client that does not trust us goes.
                    drop(converse(&acceptor, socket, &asked, |asked| answer(&fleet, asked)).await);
                }
            }
        });
        Server { address, asked, _serving: serving }
    }

    fn again(&self) -> Self {
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap();
        let authority = self.authority.clone();
        Self { issuer: Issuer::from_ca_cert_der(&authority, key).unwrap(), authority }
    }

    fn tls(&self, alpn: &[&str]) -> TlsServer {
        let key = KeyPair::generate().unwrap();
        let mut parameters = parameters("Test gateway", -1, 300);
        parameters.subject_alt_names = vec![rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots(), provider());
        let clients = clients.allow_unauthenticated().build().unwrap();
        let mut tls = TlsServer::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        tls
    }
}

impl Server {
    /// What a lamppost is configured with that has its files in this folder.
    pub(super) fn configured(&self, folder: &Path) -> ServerConfig {
        ServerConfig {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            ca_file: folder.join("ca.pem"),
            certificate_file: folder.join("DF3637.pem"),
            key_file: folder.join("DF3637.key"),
            pkcs11: None,
            keep_alive: Duration::from_secs(30),
        }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked but for the authorities.
    pub(super) fn posts(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.what.starts_with("POST ")).collect()
    }
}

impl Reply {
    fn bytes(&self) -> Option<Vec<u8>> {
        let (head, body) = match self {
            Self::Certificates(all) => ("200 OK", certs_only(all).into_bytes()),
            Self::Says(head, body) => (*head, body.clone()),
            Self::Nothing => return None,
        };
        let length = body.len();
        Some([format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n").into_bytes(), body].concat())
    }
}

/// PKCS #7 certs-only in base64, its lines broken as openssl does it.
pub(super) fn certs_only(certificates: &[CertificateDer<'_>]) -> String {
    const SIGNED_DATA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 2];
    const DATA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 1];
    let certificates: Vec<u8> = certificates.iter().flat_map(|der| der.to_vec()).collect();
    let parts = [vec![2, 1, 1], vec![0x31, 0], der(0x30, DATA), der(0xa0, &certificates), vec![0x31, 0]];
    let signed = der(0xa0, &der(0x30, &parts.concat()));
    let text = STANDARD.encode(der(0x30, &[SIGNED_DATA, &signed].concat()));
    text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\r\n").collect()
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

fn parameters(name: &str, from: i64, until: i64) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let day = |days: i64| {
        let now = SystemClock::believed().now().wall.0 / 1000;
        OffsetDateTime::from_unix_timestamp(now + days * 86_400).unwrap()
    };
    (parameters.not_before, parameters.not_after) = (day(from), day(until));
    parameters
}

async fn converse(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    answer: impl Fn(&Asked) -> Reply,
) -> io::Result<()> {
    let mut stream = acceptor.accept(socket).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|all| all.first().cloned());
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let what = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let request = STANDARD.decode(body).unwrap_or_default();
    let one = Asked { what, head, request, shown };
    asked.lock().unwrap().push(one.clone());
    if let Some(bytes) = answer(&one).bytes() {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
    }
    Ok(())
}
