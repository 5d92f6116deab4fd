//! Keeps the server to the CA that is on disk: `fleet-server ca rotate` and `ca retire` are other processes, and so is
//! whoever runs `cert issue`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use lamplighter_protocol::UtcMillis;
use rustls::pki_types::ServerName;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::LOOK_EVERY;
use crate::ca::{Authority, Present, ServerCertificate, record_certificates, server_tls};
use crate::cli::{CaKeyArgs, RunArgs};
use crate::clock;
use crate::gateway::Sessions;
use crate::registry::{CertificateSerial, Registry};

/// After how many looks it is noted who was seen with a certificate of a new CA.
const LOOKS_BETWEEN_NOTES: u32 = 10;

/// Looks at the CA's directory once a second. What it finds there the server signs with, trusts and shows from then on;
/// who is connected stays so. Its own certificate is made anew before it ends, too.
#[derive(Debug)]
pub(super) struct AuthorityWatch {
    directory: PathBuf,
    tls_directory: PathBuf,
    key: CaKeyArgs,
    names: Vec<ServerName<'static>>,
    registry: Registry,
    sessions: Sessions,
    authority: Present<Authority>,
    tls: Present<rustls::ServerConfig>,
    certificate: ServerCertificate,
    failing: bool,
    /// Certificates that need not be noted once more.
    noted: HashSet<String>,
    looks: u32,
}

impl AuthorityWatch {
    /// Begins with what the server was built with.
    pub(super) fn new(
        args: &RunArgs,
        (authority, certificate, tls): (Present<Authority>, ServerCertificate, Present<rustls::ServerConfig>),
        registry: Registry,
        sessions: Sessions,
    ) -> Self {
        Self {
            directory: args.data.join(Authority::DIRECTORY_NAME),
            tls_directory: args.data.join(ServerCertificate::DIRECTORY_NAME),
            key: args.ca_key.clone(),
            names: args.names.clone(),
            registry,
            sessions,
            authority,
            tls,
            certificate,
            failing: false,
            noted: HashSet::new(),
            looks: 0,
        }
    }

    /// Looks until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = async {
            loop {
                looks.tick().await;
                self.look(clock::wall()).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = look => {}
        }
    }

    /// Once. What fails now is tried the next time; the log says so once.
    async fn look(&mut self, now: UtcMillis) {
        let done = async {
            self.follow(now).await?;
            if self.looks.is_multiple_of(LOOKS_BETWEEN_NOTES) {
                self.note(now).await?;
            }
            anyhow::Ok(())
        };
        let done = done.await;
        self.looks = self.looks.wrapping_add(1);
        match done {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        "the CA on disk is not followed: the server goes on with the one that it knows, and tries again \
                         every second: {error:#}"
                    );
                }
            }
        }
    }

    async fn follow(&mut self, now: UtcMillis) -> anyhow::Result<()> {
        let known = self.authority.get();
        let directory = self.directory.clone();
        let is_due = self.certificate.is_due(now);
        let (key, tls_directory, names) = (self.key.clone(), self.tls_directory.clone(), self.names.clone());
        let open = move || {
            if !is_due && known.is_as_in(&directory)? {
                return anyhow::Ok(None);
            }
            let authority = Authority::open(&directory, key.passphrase()?.as_ref(), now)?;
            let (certificate, _) = ServerCertificate::open_or_make(&tls_directory, &authority, &names, now)?;
            let tls = server_tls(&authority, &certificate)?;
            Ok(Some((authority, certificate, tls)))
        };
        let opened = tokio::task::spawn_blocking(open).await.context("looking at the CA panicked")??;
        let Some((authority, certificate, tls)) = opened else { return Ok(()) };
        record_certificates(&self.registry, &authority, &certificate, now).await?;
        let is_rotated = authority.predecessor().is_some();
        // In this order: what is signed by the new one is trusted before anybody has it.
        self.tls.replace(tls);
        self.authority.replace(Arc::new(authority));
        self.certificate = certificate;
        self.noted.clear();
        tracing::info!(
            is_rotated,
            "the certificates of the CA and of the server are read anew, and used from now on"
        );
        Ok(())
    }

    /// While a CA is rotated: who is logged in with which certificate.
    async fn note(&mut self, now: UtcMillis) -> anyhow::Result<()> {
        if self.authority.get().predecessor().is_none() {
            return Ok(());
        }
        let seen = self.sessions.list().into_iter().map(|(_, session)| session.certificate_serial);
        let seen: Vec<String> = seen.filter(|serial| !self.noted.contains(serial)).collect();
        let serials: Vec<CertificateSerial> = seen.iter().filter_map(|serial| serial.parse().ok()).collect();
        if !serials.is_empty() {
            self.registry.note_used(&serials, now).await?;
        }
        self.noted.extend(seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
