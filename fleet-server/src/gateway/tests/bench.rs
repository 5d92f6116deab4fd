//! A gateway on a socket of its own, with a real journal on a disk that can be made to wait and to fail, and clients
//! that speak TLS and MQTT packet by packet.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use lamplighter_protocol::LamppostNumber;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, Subscribe};
use rumqttc::mqttbytes::{Error, QoS};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::ca::{ALPN_HTTP, ALPN_MQTT, ReturningClients};
use crate::clock;
use crate::feeds::{DepartmentIdentity, DepartmentName};
use crate::gateway::{
    Admission, Admitted, Admitting, Gateway, GatewayMetrics, GatewayOptions, Limits, Probe, Refusal, Sessions,
};
use crate::journal::{Disk, DiskFile, Entry, FileDisk, Journal, JournalOptions, JournalThread, Space};

/// Long enough for a machine under load; no test waits as long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Bench {
    pub(super) address: std::net::SocketAddr,
    pub(super) authority: TestAuthority,
    pub(super) admission: Arc<Answers>,
    pub(super) sessions: Sessions,
    pub(super) gate: Gate,
    pub(super) entries: Receiver<Vec<Entry>>,
    pub(super) probe: Probe,
    /// What ingest would count.
    pub(super) met: Counter,
    cancel: CancellationToken,
    gateway: JoinSet<()>,
    counters: Registry,
    _thread: JournalThread,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        Self::with_options(GatewayOptions { limits, ..GatewayOptions::default() }).await
    }

    pub(super) async fn with_options(options: GatewayOptions) -> Self {
        let gateway_options = options;
        let directory = tempfile::tempdir().unwrap();
        let mut options = JournalOptions::in_directory(directory.path().join("journal"));
        options.retry_first = Duration::from_millis(1);
        let gate = Gate::default();
        let disk = GatedDisk { disk: FileDisk::open(&options.directory).unwrap(), gate: gate.clone() };
        let (batches, entries) = std::sync::mpsc::sync_channel(1024);
        let (journal, thread) = Journal::open_on(options, Box::new(disk)).unwrap().start(batches).unwrap();

        let authority = TestAuthority::new();
        let metrics = GatewayMetrics::default();
        let mut counters = Registry::default();
        metrics.register(&mut counters);
        let (admission, sessions) = (Arc::new(Answers::default()), Sessions::default());
        let gateway = Gateway::new(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            gateway_options,
            authority.server_tls(),
            journal,
            Arc::clone(&admission) as Arc<dyn Admission>,
            sessions.clone(),
            metrics,
        );
        let gateway = gateway.unwrap();
        let met = Counter::default();
        let probe = Probe::new(met.clone());
        probe.attach(&gateway);
        let (address, cancel, mut task) = (gateway.local_addr(), CancellationToken::new(), JoinSet::new());
        task.spawn(gateway.run(cancel.clone()));
        Self {
            address,
            authority,
            admission,
            sessions,
            gate,
            entries,
            probe,
            met,
            cancel,
            gateway: task,
            counters,
            _thread: thread,
            _directory: directory,
        }
    }

    /// A client with a certificate of its own, past its handshake.
    pub(super) async fn client(&self, number: &str) -> Client {
        Client::open(self, self.authority.lamppost_tls(number)).await.unwrap()
    }

    /// A client that is logged in.
    pub(super) async fn lamppost(&self, number: &str) -> Client {
        let mut client = self.client(number).await;
        client.log_in(number).await;
        client
    }

    pub(super) fn stop(&self) {
        self.cancel.cancel();
    }

    pub(super) async fn stopped(&mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.gateway.join_next()).await;
        ended.expect("the gateway ends").unwrap().unwrap();
    }

    /// The value of a counter, by the line that `/metrics` prints.
    pub(super) fn counter(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.counters).unwrap();
        let line = format!("lamplighter_gateway_{name} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |value| value.parse().unwrap())
    }

    pub(super) async fn counts(&self, name: &str, expected: u64) {
        until(
            || self.counter(name) == expected,
            || format!("{name}: {}, not {expected}", self.counter(name)),
        )
        .await;
    }

    /// As ingest does, for ever.
    pub(super) async fn meets_all(&self) {
        loop {
            while let Ok(batch) = self.entries.try_recv() {
                self.met.inc_by(batch.len() as u64);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn journalled(&self) -> Entry {
        let deadline = clock::monotonic() + PATIENCE;
        loop {
            match self.entries.try_recv() {
                Ok(mut batch) => {
                    assert_eq!(batch.len(), 1, "one at a time, please");
                    return batch.remove(0);
                }
                Err(_) => assert!(clock::monotonic() < deadline, "nothing is journalled"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A journal that waits at a closed gate would keep its thread.
        self.gate.open();
    }
}

pub(super) async fn until(is: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let deadline = clock::monotonic() + PATIENCE;
    while !is() {
        assert!(clock::monotonic() < deadline, "{}", otherwise());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Admission from memory: everybody is welcome who is not named here.
#[derive(Default)]
pub(super) struct Answers {
    refusals: Mutex<HashMap<LamppostNumber, Refusal>>,
}

impl Answers {
    pub(super) fn refuse(&self, number: &str, refusal: Refusal) {
        self.refusals.lock().unwrap().insert(number.parse().unwrap(), refusal);
    }
}

impl Admission for Answers {
    fn admit<'a>(&'a self, number: &'a LamppostNumber, certificate_serial: &'a str) -> Admitting<'a> {
        assert!(!certificate_serial.is_empty());
        let answer = self.refusals.lock().unwrap().get(number).copied().map_or(Ok(Admitted), Err);
        Box::pin(std::future::ready(answer))
    }
}

pub(super) struct TestAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TestAuthority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a fleet");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Holder {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn server_tls(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider))
            .allow_unauthenticated();
        let (certificate, key) = self.issue("the server", ExtendedKeyUsagePurpose::ServerAuth);
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(ReturningClients::new(clients.build().unwrap())))
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![ALPN_MQTT.to_vec(), ALPN_HTTP.to_vec()];
        Arc::new(config)
    }

    pub(super) fn lamppost_tls(&self, number: &str) -> Arc<rustls::ClientConfig> {
        self.client_tls(Some(self.issue(number, ExtendedKeyUsagePurpose::ClientAuth)))
    }

    /// A client that trusts this authority and shows whatever certificate.
    fn client_tls(&self, holder: Option<Holder>) -> Arc<rustls::ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match holder {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => config.with_no_client_auth(),
        })
    }

    /// Shows a certificate that ended long ago.
    pub(super) fn ended_tls(&self, number: &str) -> Arc<rustls::ClientConfig> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, number);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2025, 1, 1), rcgen::date_time_ymd(2025, 2, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.client_tls(Some((
            certificate.der().clone(),
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )))
    }

    /// Shows a department's certificate of this serial number, which ends with this year.
    pub(super) fn department_tls(&self, name: &str, serial: u8, year: i32) -> Arc<rustls::ClientConfig> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationalUnitName, DepartmentIdentity::UNIT);
        let uri = name.parse::<DepartmentName>().unwrap().uri();
        params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(rcgen::SerialNumber::from(vec![serial]));
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2024, 1, 1), rcgen::date_time_ymd(year, 12, 31));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        self.client_tls(Some((certificate.der().clone(), key)))
    }

    pub(super) fn anonymous_tls(&self) -> Arc<rustls::ClientConfig> {
        self.client_tls(None)
    }

    /// Trusts this authority, and shows a certificate of another one.
    pub(super) fn foreign_tls(&self, number: &str) -> Arc<rustls::ClientConfig> {
        self.client_tls(Some(Self::new().issue(number, ExtendedKeyUsagePurpose::ClientAuth)))
    }
}

type Holder = (CertificateDer<'static>, PrivateKeyDer<'static>);

pub(super) struct Client {
    pub(super) stream: tokio_rustls::client::TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Client {
    pub(super) async fn open(bench: &Bench, tls: Arc<rustls::ClientConfig>) -> io::Result<Self> {
        Self::over(TcpStream::connect(bench.address).await?, tls).await
    }

    pub(super) async fn over(tcp: TcpStream, tls: Arc<rustls::ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(tls).connect(name, tcp).await?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    pub(super) async fn log_in(&mut self, number: &str) {
        self.send(Packet::Connect(Connect::new(number))).await;
        self.expect(&Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    }

    /// Waits for the answer to a login, which is not yes, and for the end of the connection.
    pub(super) async fn log_in_in_vain(&mut self, number: &str) {
        self.send(Packet::Connect(Connect::new(number))).await;
        let answer = self.read().await;
        assert!(
            matches!(&answer, Some(Packet::ConnAck(connack)) if connack.code != ConnectReturnCode::Success),
            "{answer:?}"
        );
        self.expect_closed().await;
    }

    pub(super) async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(super) async fn publish(&mut self, topic: &str, packet_id: u16, payload: &[u8]) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = packet_id;
        self.send(Packet::Publish(publish)).await;
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        let mut subscribe = Subscribe::new(filter, qos);
        subscribe.pkid = 1;
        self.send(Packet::Subscribe(subscribe)).await;
        assert!(matches!(self.read().await, Some(Packet::SubAck(_))));
    }

    /// The next packet; none when the gateway has closed the connection.
    pub(super) async fn read(&mut self) -> Option<Packet> {
        tokio::time::timeout(PATIENCE, self.read_patiently()).await.expect("the gateway answers or closes")
    }

    async fn read_patiently(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.buffer, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("the gateway sent what is no packet: {error}"),
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                // A connection may also be reset, if the gateway left something of ours unread.
                Ok(0) | Err(_) => return None,
            }
        }
    }

    pub(super) async fn expect(&mut self, packet: &Packet) {
        assert_eq!(self.read().await.as_ref(), Some(packet));
    }

    pub(super) async fn expect_puback(&mut self, packet_id: u16) {
        self.expect(&Packet::PubAck(PubAck::new(packet_id))).await;
    }

    pub(super) async fn expect_refused(&mut self, code: ConnectReturnCode) {
        self.expect(&Packet::ConnAck(ConnAck::new(code, false))).await;
        self.expect_closed().await;
    }

    /// A ping and its answer: all that was sent before is read, and nothing else was answered meanwhile.
    pub(super) async fn ping(&mut self) {
        self.send(Packet::PingReq).await;
        self.expect(&Packet::PingResp).await;
    }

    pub(super) async fn expect_closed(&mut self) {
        assert_eq!(self.read().await, None);
    }

    pub(super) async fn bytes_until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.unwrap().ok();
        bytes
    }
}

/// Where syncs wait, and fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    failures: u32,
    is_full: bool,
}

impl Gate {
    pub(super) fn close(&self) {
        self.0.0.lock().unwrap().closed = true;
    }

    pub(super) fn open(&self) {
        self.0.0.lock().unwrap().closed = false;
        self.0.1.notify_all();
    }

    /// There is no room on the disk, or there is again.
    pub(super) fn fill(&self, is_full: bool) {
        self.0.0.lock().unwrap().is_full = is_full;
    }

    /// The next sync fails.
    pub(super) fn fail_once(&self) {
        self.0.0.lock().unwrap().failures = 1;
    }

    fn pass(&self) -> io::Result<()> {
        let mut state = self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.closed).unwrap();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(io::Error::other("a sync that fails on purpose"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GatedDisk {
    disk: FileDisk,
    gate: Gate,
}

#[derive(Debug)]
struct GatedFile {
    file: Box<dyn DiskFile>,
    gate: Gate,
}

impl GatedDisk {
    fn gated(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GatedFile { file, gate: self.gate.clone() })
    }
}

impl Disk for GatedDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.disk.names()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.gated(self.disk.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.gated(self.disk.create(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }

    fn space(&self) -> io::Result<Space> {
        let space = self.disk.space()?;
        let state = self.gate.0.1.wait_while(self.gate.0.0.lock().unwrap(), |state| state.closed).unwrap();
        Ok(if state.is_full { Space { free_bytes: 0, ..space } } else { space })
    }
}

impl DiskFile for GatedFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass()?;
        self.file.sync()
    }
}
