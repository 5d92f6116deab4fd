//! The departments that listen: their names, their keys and what they are granted.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};

use crate::fleet::ServerProcess;

/// What departments are granted, and subscribe to: all that lampposts observe.
pub(super) const FILTER: &str = "highway/#";

/// Subscribers come from several, as one alone may have 1,024 connections at most.
const NAMES: [&str; 4] = ["transport", "environment", "planning", "police"];

/// A name and a key.
#[derive(Clone)]
pub(in crate::bench::gateway) struct Login {
    pub(super) name: String,
    pub(super) key: String,
}

/// Adds departments, each with a grant and a key. A server that runs knows them within seconds, one that is started again at
/// once.
pub(in crate::bench::gateway) fn add(server: &ServerProcess) -> anyhow::Result<Vec<Login>> {
    let add = |name: &str| {
        server.operate(&["department", "add", name, "--title", name])?;
        server.operate(&["grant", "add", name, FILTER])?;
        let said = server.operate(&["department", "add-key", name])?;
        let key = said.lines().nth(1).context("no key was printed")?.trim().to_owned();
        Ok(Login { name: name.to_owned(), key })
    };
    NAMES.into_iter().map(add).collect()
}

/// TLS 1.3 without a certificate, to a server of the CA whose files are in `data`; no session is resumed.
pub(super) fn client_tls(data: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let ca = data.join("ca/ca.pem");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&ca).with_context(|| ca.display().to_string())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
