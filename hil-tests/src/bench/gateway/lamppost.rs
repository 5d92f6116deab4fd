//! The lampposts that play a city: what each of them is, remembers and says, and their certificates.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use edge_agent::clock::{Clock as _, SystemClock};
use fleet_server::audit::Actor;
use fleet_server::ca::{Authority, IssuedCertificate, Validity, enrol};
use fleet_server::registry::Registry;
use lamplighter_protocol::{
    Digest, Frame, Hello, LamppostNumber, Leaf, Log, Nonce, OutboxId, Pieces, RunHeld, RunId, Topic,
    UtcMillis,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};

use super::crew::{Crew, say};
use crate::bench::backlog::day::{RECORDS_PER_TICK, description, records_of};
use crate::bench::large_city;
use crate::fleet::{ServerProcess, monotonic};
use crate::world::dice::stirred;

/// One lamppost: what stays of it from connection to connection.
pub(super) struct Lamppost {
    pub(super) number: LamppostNumber,
    pub(super) tls: Arc<ClientConfig>,
    samples_topic: String,
    /// Tells it from all others.
    seed: u64,
    run: RunId,
    /// Sequence of its next record.
    next: u64,
    /// Time of its last tick.
    last: UtcMillis,
    /// How often it has connected.
    connections: u64,
}

/// What lampposts read. They all read the same, so that what is made once is there for those that read at the same time.
#[derive(Debug)]
pub(super) struct Readings {
    pub(super) description: Bytes,
    digest: Digest,
    newest: Mutex<VecDeque<(UtcMillis, Vec<Bytes>)>>,
}

/// Ticks of so many times are kept at hand.
const TIMES_AT_HAND: usize = 16;

/// Registers so many lampposts and issues a certificate to each, in this process: a process for each would take longer than
/// the benchmark.
pub(super) fn enlist(server: &ServerProcess, crew: &Crew, count: usize) -> anyhow::Result<Vec<Lamppost>> {
    let csv = large_city::csv(u32::try_from(count)?);
    server.import_list(&csv)?;
    let now = SystemClock::believed().now().wall;
    let (authority, _) = Authority::open_or_create(&server.data().join(Authority::DIRECTORY_NAME), now)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der().clone())?;
    let roots = Arc::new(roots);
    crew.block_on(async {
        let registry = Registry::open(&server.data().join(Registry::FILE_NAME)).await?;
        let mut lampposts = Vec::with_capacity(count);
        let mut told = monotonic();
        for number in csv.lines().skip(1).filter_map(|line| line.split(',').next()) {
            let number: LamppostNumber = number.parse()?;
            let issued =
                enrol(&registry, &authority, &number, Validity::LAMPPOST, now, &Actor::Server).await?;
            lampposts.push(Lamppost::new(number, lampposts.len() as u64, client_tls(&roots, &issued)?));
            if told.elapsed().as_secs() >= 5 {
                say(&format!("  {} of {count} certificates are issued", lampposts.len()));
                told = monotonic();
            }
        }
        registry.close().await;
        Ok(lampposts)
    })
}

/// TLS 1.3 with the lamppost's certificate; no session is resumed.
fn client_tls(roots: &Arc<RootCertStore>, issued: &IssuedCertificate) -> anyhow::Result<Arc<ClientConfig>> {
    let certificate = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.reveal().as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(vec![certificate], key)?;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

impl Lamppost {
    fn new(number: LamppostNumber, seed: u64, tls: Arc<ClientConfig>) -> Self {
        let samples_topic = Topic::new(number.clone(), Leaf::Frames(Log::Samples)).to_string();
        let run = RunId(id(seed, "run"));
        Self { number, tls, samples_topic, seed, run, next: 0, last: UtcMillis(0), connections: 0 }
    }

    /// From now on it keeps what the server gives it to resume a session with. It has nothing of that kind yet.
    pub(super) fn remember_sessions(&mut self) {
        let mut config = ClientConfig::clone(&self.tls);
        config.resumption = Resumption::in_memory_sessions(1);
        self.tls = Arc::new(config);
    }

    /// Tells it from all who call: it has an address of its own.
    pub(super) fn caller(&self) -> u64 {
        self.seed
    }

    /// A number for another one, not the same for any two lampposts.
    pub(super) fn dice(&self, word: u64) -> u64 {
        stirred(stirred(self.seed) ^ word)
    }

    /// Names its next connection.
    pub(super) fn connects(&mut self) -> Nonce {
        self.connections += 1;
        Nonce(id(self.dice(self.connections), "nonce"))
    }

    /// Where frames of its samples go.
    pub(super) fn samples_topic(&self) -> &str {
        &self.samples_topic
    }

    /// What opens a connection.
    pub(super) fn hello(&self, nonce: Nonce, count: u64) -> Vec<u8> {
        let held = RunHeld { run: self.run, samples: Pieces::below(self.next), events: Pieces::new() };
        let hello = Hello {
            nonce,
            count,
            outbox: OutboxId(id(self.seed, "outbox")),
            run: self.run,
            runs: vec![held],
            agent_version: "bench".to_owned(),
            hardware_serial: format!("bench-{}", self.number),
            generation: 1,
            set_aside: Vec::new(),
        };
        hello.encode()
    }

    /// The frame of its next tick, read at about this time: no two ticks have the same.
    pub(super) fn tick(&mut self, at: UtcMillis, readings: &Readings, nonce: Nonce, count: u64) -> Vec<u8> {
        self.last = at.max(self.last.plus_ms(1));
        let frame = Frame {
            nonce,
            count,
            run: self.run,
            first: self.next,
            description: readings.digest,
            records: readings.at(self.last),
        };
        self.next += RECORDS_PER_TICK;
        frame.encode()
    }
}

impl Readings {
    pub(super) fn new() -> anyhow::Result<Self> {
        let (description, digest) = description()?.encode();
        Ok(Self { description: description.into(), digest, newest: Mutex::default() })
    }

    /// The records of a tick at this time.
    fn at(&self, time: UtcMillis) -> Vec<Bytes> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, records)) = newest.iter().find(|(of, _)| *of == time) {
            return records.clone();
        }
        let records: Vec<Bytes> = records_of(time.0.unsigned_abs(), time).map(Bytes::from).collect();
        newest.push_front((time, records.clone()));
        newest.truncate(TIMES_AT_HAND);
        records
    }
}

/// Sixteen bytes that are not the same for any two words.
fn id(seed: u64, what: &str) -> [u8; 16] {
    let mut id = [0; 16];
    let (first, second) = id.split_at_mut(8);
    let of = what.bytes().fold(seed, |word, byte| stirred(word ^ u64::from(byte)));
    first.copy_from_slice(&of.to_le_bytes());
    second.copy_from_slice(&stirred(of).to_le_bytes());
    id
}

/// Where lampposts connect, and whose process that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) process: u32,
}

impl Gateway {
    pub(super) fn of(server: &ServerProcess) -> Self {
        Self { address: server.mqtt(), process: server.id() }
    }
}
