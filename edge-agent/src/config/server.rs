//! `[server]`: how to reach the fleet server, and as whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;
use toml::Spanned;
use toml::de::DeValue;

use super::pkcs11::TokenUri;
use super::print::{Printer, quoted, quoted_path};
use super::reader::{Parsed, Section, keys, shown};
use super::value::{path, text, whole};

/// How to reach the fleet server, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Name or address of the gateway; the server's certificate must carry it.
    pub host: String,
    /// Port of the gateway.
    pub port: u16,
    /// PEM file of the fleet's certificate authority.
    pub ca_file: PathBuf,
    /// PEM file of this lamppost's certificate.
    pub certificate_file: PathBuf,
    /// PEM file of that certificate's private key, or of what names it in a token.
    pub key_file: PathBuf,
    /// The token that keys are in; none: they are in files.
    pub pkcs11: Option<TokenUri>,
    /// The longest silence before a ping is sent.
    pub keep_alive: Duration,
}

keys! {
    /// Name or address of the fleet server, without port. The server's certificate must carry it.
    HOST = "host";
    /// Port of its gateway: MQTT over TLS.
    PORT = "port";
    /// PEM file of the fleet's certificate authority: who signs the server's certificate.
    /// Paths start at the folder of this file unless they begin with /.
    CA_FILE = "ca_file";
    /// PEM file of this lamppost's certificate. The server believes the number that stands in it.
    CERTIFICATE_FILE = "certificate_file";
    /// PEM file of the private key of that certificate. Only the agent's user should be able to read it.
    KEY_FILE = "key_file";
    /// The PKCS#11 token that new keys are made in, and never leave (RFC 7512): token (its label) or serial, module-path,
    /// and pin-source, a file that only the agent's user may read. key_file then says which key of the token it is.
    PKCS11_URI = "pkcs11_uri";
    /// Seconds of silence before the agent asks whether the connection still works, 5 to 600.
    KEEP_ALIVE_S = "keep_alive_s";
}

/// IANA: secure-mqtt.
const DEFAULT_PORT: u16 = 8883;
/// A dead connection is noticed within a minute, for two small packets a minute.
const DEFAULT_KEEP_ALIVE_S: i64 = 30;

impl ServerConfig {
    pub(super) fn read(mut section: Section<'_>, folder: &Path) -> Option<Self> {
        let host = section.required(&HOST, host);
        let port = section.or(&PORT, DEFAULT_PORT, |value| {
            whole(value, 1..=u16::MAX.into()).map(|port| u16::try_from(port).unwrap_or(u16::MAX))
        });
        let ca_file = section.required(&CA_FILE, |value| path(value, folder));
        let certificate_file = section.required(&CERTIFICATE_FILE, |value| path(value, folder));
        let key_file = section.required(&KEY_FILE, |value| path(value, folder));
        let pkcs11 = section.maybe(&PKCS11_URI, |value| TokenUri::read(value, folder));
        let keep_alive = section.or(&KEEP_ALIVE_S, DEFAULT_KEEP_ALIVE_S, |value| whole(value, 5..=600));
        section.finish();
        Some(Self {
            host: host?.into_inner(),
            port: port?.into_inner(),
            ca_file: ca_file?.into_inner(),
            certificate_file: certificate_file?.into_inner(),
            key_file: key_file?.into_inner(),
            pkcs11: pkcs11.map(Spanned::into_inner),
            keep_alive: Duration::from_secs(keep_alive?.into_inner().unsigned_abs()),
        })
    }

    pub(super) fn print(&self, to: &mut Printer) {
        to.key(&HOST, quoted(&self.host));
        to.key(&PORT, self.port);
        to.key(&CA_FILE, quoted_path(&self.ca_file));
        to.key(&CERTIFICATE_FILE, quoted_path(&self.certificate_file));
        to.key(&KEY_FILE, quoted_path(&self.key_file));
        match &self.pkcs11 {
            Some(uri) => to.key(&PKCS11_URI, quoted(&uri.to_string())),
            None => to.unset(&PKCS11_URI, quoted(TokenUri::EXAMPLE)),
        }
        to.key(&KEEP_ALIVE_S, self.keep_alive.as_secs());
    }
}

fn host(value: &DeValue<'_>) -> Parsed<String> {
    let host = text(value, 253)?;
    if host.contains("://") {
        return Err(format!("\"{}\" is a URL; write the host alone", shown(&host)));
    }
    if host.matches(':').count() == 1 {
        return Err(format!("\"{}\" has a port; write it as the key port", shown(&host)));
    }
    match ServerName::try_from(host.as_str()) {
        Ok(_) => Ok(host),
        Err(_) => Err(format!("\"{}\" is neither a DNS name nor an IP address; write one", shown(&host))),
    }
}
