//! The CA in files, and handshakes in memory with what it signs.

mod directory;
mod issuing;
mod rotation;
mod secret;
mod server_certificate;
mod tls;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, ServerConnection};
use tempfile::TempDir;
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::audit::Actor;
use crate::clock;
use crate::registry::{CertificateSerial, Lamppost, Registry};

const DAY_MS: i64 = 86_400_000;

fn number(text: &str) -> LamppostNumber {
    LamppostNumber::new(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<ServerName<'static>> {
    texts.iter().map(|text| ServerName::try_from((*text).to_owned()).unwrap()).collect()
}

fn authority(directory: &TempDir) -> Authority {
    Authority::open_or_create(&directory.path().join("ca"), clock::wall()).unwrap().0
}

fn issue(authority: &Authority, lamppost: &str) -> IssuedCertificate {
    authority.issue_lamppost(&number(lamppost), Validity::LAMPPOST, clock::wall()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The gateway's end.
fn gateway(authority: &Authority, directory: &TempDir) -> Arc<rustls::ServerConfig> {
    let tls = directory.path().join("tls");
    let (server, _) =
        ServerCertificate::open_or_make(&tls, authority, &names(&["fleet.example.org"]), clock::wall())
            .unwrap();
    server_tls(authority, &server).unwrap()
}

struct Shown<'a> {
    certificate: &'a str,
    key: &'a str,
}

impl<'a> Shown<'a> {
    fn by(issued: &'a IssuedCertificate) -> Self {
        Self { certificate: &issued.certificate_pem, key: issued.key_pem.reveal() }
    }
}

/// A lamppost's end, which trusts the CA of `ca_pem`.
fn lamppost(
    ca_pem: &str,
    shown: Option<Shown<'_>>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => config.with_no_client_auth(),
        Some(shown) => {
            let certificate = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    })
}

/// Shakes hands in memory. What the gateway knows of its client then, or the first error of either end.
fn shake_hands(
    gateway: &Arc<rustls::ServerConfig>,
    lamppost: &Arc<ClientConfig>,
    name: &str,
) -> Result<ServerConnection, (End, rustls::Error)> {
    let mut client =
        ClientConnection::new(Arc::clone(lamppost), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(gateway)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| server.read_tls(bytes));
        server.process_new_packets().map_err(|error| (End::Gateway, error))?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| client.read_tls(bytes));
        client.process_new_packets().map_err(|error| (End::Lamppost, error))?;
    }
    Ok(server)
}

#[derive(Debug, PartialEq)]
enum End {
    Gateway,
    Lamppost,
}

fn feed(mut wire: &[u8], mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>) {
    while !wire.is_empty() {
        assert_ne!(read(&mut wire).unwrap(), 0);
    }
}
