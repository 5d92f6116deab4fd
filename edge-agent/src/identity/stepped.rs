//! The keeper of a lamppost's certificate, each step of it taken by whoever holds it: so a year of it can be lived through in
//! a second, by a clock that is handed in, against a real server.

use std::io;
use std::sync::Arc;

use lamplighter_protocol::UtcMillis;
use rustls::ClientConfig;
use tokio::sync::watch;

use super::keeper::{Badge, Keeper};
use super::renewal::{Event, Login, Which};
use super::store::Store;
use crate::clock::Clock;
use crate::config::Config;
use crate::status::CertificateStatus;
use crate::tls::{self, TlsError};

/// A keeper that does nothing by itself.
#[derive(Debug)]
pub struct SteppedKeeper {
    keeper: Keeper,
    badge: Badge,
    clock: Arc<dyn Clock>,
    /// Which pair the last login showed.
    shown: Which,
}

/// What a login shows.
#[derive(Debug)]
pub struct Shown {
    /// The connection's TLS: with the certificate, and with the authorities that the server is known by.
    pub tls: ClientConfig,
    /// The certificate's serial number, hexadecimal.
    pub serial: String,
    /// Its last moment.
    pub until: UtcMillis,
}

impl SteppedKeeper {
    /// Keeps what the configuration names.
    ///
    /// # Errors
    /// If there can be no folder for what is renewed.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> io::Result<Self> {
        std::fs::create_dir_all(Store::directory(&config.state_dir))?;
        let (server, lamppost) = (config.server.clone(), config.lamppost.clone());
        let store = Store::new(&server, &config.state_dir, lamppost.clone());
        let (status, _) = watch::channel(CertificateStatus::default());
        let (keeper, badge) = Keeper::new(store, server, lamppost, Arc::clone(&clock), status);
        Ok(Self { keeper, badge, clock, shown: Which::Current })
    }

    /// Looks at disk and clock, and asks the server for a certificate if it is time.
    pub async fn look(&mut self) {
        let found = self.keeper.found();
        self.keeper.happened(found).await;
    }

    /// What the next login shows.
    ///
    /// # Errors
    /// [`TlsError`] if there is nothing to show.
    pub fn login(&mut self) -> Result<Shown, TlsError> {
        let roots = self.badge.roots()?;
        let (pair, which) = self.badge.pair()?;
        self.shown = which;
        let tls = tls::trusting(roots, Some(&pair), Arc::clone(&self.clock))?;
        Ok(Shown { tls, serial: pair.certificate.serial, until: pair.certificate.until })
    }

    /// That login ended so.
    pub async fn logged_in(&mut self, login: Login) {
        self.keeper.happened(Event::Login(self.shown, login)).await;
    }
}
