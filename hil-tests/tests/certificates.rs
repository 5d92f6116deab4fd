//! A year of one lamppost's certificates, in stepped time: the agent's keeper of certificates and its enrolment, against the
//! server's CA, registry, enrolment by EST and admission, over TLS on this machine. `--nocapture` prints what happened.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints a table"
)]

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use edge_agent::clock::{Clock, ClockTrust, Now, Stop, Waited};
use edge_agent::config::{Config, ServerConfig};
use edge_agent::identity::{self, IfEnrolled, Login, SteppedKeeper, Trust};
use fleet_server::audit::{Action, Actor, Entry, Subject};
use fleet_server::ca::{
    ALPN_HTTP, ALPN_MQTT, Authority, KeyDigest, Present, ServerCertificate, Validity, retire, rotate,
    server_tls,
};
use fleet_server::est::{Est, EstMetrics, EstOptions, ReturnWithin, Token};
use fleet_server::gateway::{Admission as _, Caller, Identity, Refusals};
use fleet_server::registry::{
    CaRetirement, CertificateSerial, Coordinates, IfBehind, Lamppost, Registry, RegistryAdmission, Revoke,
};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use lamplighter_protocol::{Digest, LamppostNumber, UtcMillis};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// 2026-12-01T00:00:00Z.
const BEGIN: UtcMillis = UtcMillis(1_796_083_200_000);
const DAY_MS: i64 = 86_400_000;
/// Logins of a day at most, two minutes apart.
const TRIES: usize = 8;
const A: &str = "DF3637";
const B: &str = "DF3638";

#[tokio::test]
async fn a_year_of_one_lampposts_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::new(folder.path()).await;
    let _serving = city.serve().await;
    let first_ca = city.authority.get().key().clone();
    let mut diary = Diary::default();
    let mut a = Site::new(&city, A, "a").enrolled().await;
    // It is dark during all of the rotation, and nobody has told it of anything.
    let mut b = Site::new(&city, B, "b").enrolled().await;
    diary.tell(&city, "enrolled by a one-time token", &a.live().await.unwrap()).await;

    let mut renewals = Vec::new();
    for day in 1..90 {
        city.is_day(day);
        diary.live(&mut a, "renewed at two thirds of its life", &mut renewals).await;
        b.live().await.unwrap();
    }
    assert!((4..=5).contains(&renewals.len()), "{renewals:?}");
    let gaps: Vec<i64> = renewals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (18..=22).contains(gap)), "{gaps:?}");

    city.is_day(150);
    diary.say(&city, "the light comes back after 60 days; the certificate has ended");
    assert_eq!(a.log_in().await, Login::Refused, "an ended certificate is good for no login");
    diary.live(&mut a, "returned after expiry: asked with the ended one, audited", &mut renewals).await;
    assert_eq!(city.said("returned").await, 1);
    b.live().await.unwrap();

    for day in 151..165 {
        city.is_day(day);
        diary.live(&mut a, "renewed", &mut renewals).await;
        b.live().await.unwrap();
    }
    city.rotate().await;
    let second_ca = city.authority.get().key().clone();
    diary.say(&city, "ca rotate: a new CA signs, the old one is still trusted");
    a.live().await.expect("who has a certificate of the old CA goes on");
    assert_eq!(city.authority_of(&a.serial).await, first_ca);
    for day in 165..230 {
        city.is_day(day);
        diary.live(&mut a, "renewed by the new CA, of which it was told", &mut renewals).await;
    }
    assert_eq!(city.authority_of(&a.serial).await, second_ca);
    let cut_off = city.retire().await;
    assert_eq!(cut_off, CaRetirement::WouldCutOff { lampposts: 1, department_certificates: 0 });
    diary.say(&city, "ca retire: refused, lamppost DF3638 would be cut off");
    b.live().await.expect("who was dark during the rotation comes back");
    assert_eq!(city.authority_of(&b.serial).await, second_ca);
    diary.tell(&city, "DF3638 returned after 65 dark days", &b.serial).await;
    assert!(matches!(city.retire().await, CaRetirement::Done { .. }));
    diary.say(&city, "ca retire: the old CA is trusted no more");

    for day in 230..270 {
        city.is_day(day);
        diary.live(&mut a, "renewed", &mut renewals).await;
        b.live().await.unwrap();
    }
    let mut thief = a.copied(folder.path().join("thief"));
    assert_eq!(thief.log_in().await, Login::Worked, "nobody knows yet");
    city.revoke(A).await;
    diary.say(&city, "the key is stolen: all certificates of the lamppost are revoked");
    assert_eq!(thief.live().await, None, "neither a login nor a renewal");
    diary.say(&city, "the thief is refused, at a login and at a renewal");
    assert_eq!(a.live().await, None, "it has the same key");
    let mut a = a.enrolled().await;
    diary.tell(&city, "enrolled anew by a token, with a new key", &a.live().await.unwrap()).await;
    assert_eq!(thief.live().await, None);

    for day in 270..320 {
        city.is_day(day);
        diary.live(&mut a, "renewed", &mut renewals).await;
    }
    city.revoke(A).await;
    let mut old = a;
    let mut new = Site::new(&city, A, "replaced").enrolled().await;
    diary.tell(&city, "the controller is replaced: enrolled by a token", &new.live().await.unwrap()).await;
    assert_eq!(old.live().await, None);
    diary.say(&city, "the old controller is refused");
    for day in 320..=365 {
        city.is_day(day);
        diary.live(&mut new, "renewed", &mut renewals).await;
    }
    assert_eq!(old.live().await, None);
    assert_eq!(thief.live().await, None);
    assert!((13..=17).contains(&renewals.len()), "{renewals:?}");
}

/// The server's side, and what day it is.
struct City {
    now: Arc<AtomicI64>,
    folder: PathBuf,
    registry: Registry,
    authority: Present<Authority>,
    tls: Present<rustls::ServerConfig>,
    address: std::sync::OnceLock<SocketAddr>,
}

/// A lamppost's controller.
struct Site {
    city: Arc<City>,
    config: Config,
    folder: PathBuf,
    keeper: SteppedKeeper,
    /// The certificate of the last login that worked.
    serial: String,
}

#[derive(Default)]
struct Diary {
    last: Option<String>,
}

impl City {
    async fn new(folder: &Path) -> Arc<Self> {
        let now = Arc::new(AtomicI64::new(BEGIN.0));
        let folder = folder.join("server");
        let registry = Registry::open(&folder.join(Registry::FILE_NAME)).await.unwrap();
        let lampposts = [A, B].map(|number| Lamppost {
            number: number.parse().unwrap(),
            coordinates: Coordinates::new(22.32, 114.21).unwrap(),
            road: "Wang Chiu Road".to_owned(),
            district: "Kwun Tong".to_owned(),
            feeder: None,
            pillar: None,
            height_m: None,
            remarks: None,
        });
        registry.import(lampposts.to_vec(), BEGIN, &Actor::Server).await.unwrap();
        let (authority, _) = Authority::open_or_create(&folder.join("ca"), BEGIN).unwrap();
        let tls = Self::tls(&folder, &authority, &now);
        let authority = Present::from(Arc::new(authority));
        Arc::new(Self {
            now,
            folder,
            registry,
            authority,
            tls: tls.into(),
            address: std::sync::OnceLock::new(),
        })
    }

    fn tls(folder: &Path, authority: &Authority, now: &Arc<AtomicI64>) -> Arc<rustls::ServerConfig> {
        let at = UtcMillis(now.load(Ordering::SeqCst));
        let (certificate, _) =
            ServerCertificate::open_or_make(&folder.join("tls"), authority, &[], at).unwrap();
        let mut tls = rustls::ServerConfig::clone(&server_tls(authority, &certificate).unwrap());
        tls.time_provider = Arc::new(Stepped(Arc::clone(now)));
        Arc::new(tls)
    }

    fn now(&self) -> UtcMillis {
        UtcMillis(self.now.load(Ordering::SeqCst))
    }

    fn is_day(&self, day: i64) {
        self.now.store(BEGIN.0 + day * DAY_MS, Ordering::SeqCst);
    }

    /// What the running server does when it finds another CA on disk.
    fn follow(&self) {
        let authority = Authority::open(&self.folder.join("ca"), None, self.now()).unwrap();
        self.tls.replace(Self::tls(&self.folder, &authority, &self.now));
        self.authority.replace(Arc::new(authority));
    }

    async fn rotate(&self) {
        tokio::task::yield_now().await;
        rotate(&self.folder.join("ca"), None, self.now()).unwrap();
        self.follow();
    }

    async fn retire(&self) -> CaRetirement {
        let authority = self.authority.get();
        let old = Digest::of(authority.predecessor().unwrap().certificate_der());
        let entry = Entry::new(self.now(), Actor::Server, Action::AuthorityRetired, Subject::Authority(old));
        let retired = self
            .registry
            .retire_authority(authority.key(), IfBehind::Refuse, self.now(), entry)
            .await
            .unwrap();
        if let CaRetirement::Done { .. } = retired {
            retire(&self.folder.join("ca")).unwrap();
            self.follow();
        }
        retired
    }

    async fn revoke(&self, number: &str) {
        let what = Revoke::AllOf(number.parse().unwrap());
        self.registry.revoke(&what, None, self.now(), &Actor::Server).await.unwrap();
    }

    async fn authority_of(&self, serial: &str) -> KeyDigest {
        let serial: CertificateSerial = serial.parse().unwrap();
        self.registry.certificate(&serial).await.unwrap().unwrap().authority.unwrap()
    }

    /// How many records of the audit say so.
    async fn said(&self, what: &str) -> usize {
        let path = self.folder.join(Registry::FILE_NAME);
        let mut reader = fleet_server::audit::AuditReader::open(&path).await.unwrap();
        let records = reader.page().await.unwrap();
        records.into_iter().filter(|stored| stored.record.as_ref().unwrap().detail.contains(what)).count()
    }

    /// Serves as the gateway does, as far as certificates are concerned.
    async fn serve(self: &Arc<Self>) -> JoinSet<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address.set(listener.local_addr().unwrap()).unwrap();
        let options = EstOptions { validity: Validity::RENEWED, return_within: ReturnWithin::default() };
        let metrics = EstMetrics::default();
        let now = Arc::clone(&self.now);
        let (registry, authority) = (self.registry.clone(), self.authority.clone());
        let est = Est::new(registry, authority, options, metrics, Refusals::default());
        let router = est.by_clock(move || UtcMillis(now.load(Ordering::SeqCst))).router();
        let city = Arc::clone(self);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (tcp, peer) = listener.accept().await.unwrap();
                // Whom TLS refuses has heard it.
                drop(city.converse(tcp, peer, router.clone()).await);
            }
        });
        serving
    }

    async fn converse(&self, tcp: TcpStream, peer: SocketAddr, router: Router) -> std::io::Result<()> {
        let mut stream = TlsAcceptor::from(self.tls.get()).accept(tcp).await?;
        let leaf = stream.get_ref().1.peer_certificates().and_then(|all| all.first().cloned());
        let mut certificate = None;
        if let Some(leaf) = leaf {
            let serial = CertificateSerial::of_certificate(&leaf).unwrap();
            let record = self.registry.certificate(&serial).await.unwrap().unwrap();
            certificate = Some(Identity {
                number: record.lamppost,
                certificate_serial: serial.to_string(),
                not_before: record.issued,
                not_after: record.not_after,
            });
        }
        if stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP) {
            let router = router.layer(axum::Extension(Caller { peer, certificate }));
            let service = TowerToHyperService::new(router);
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
            return Ok(());
        }
        let answer: &[u8] = if self.admits(certificate).await { b"yes" } else { b"no" };
        stream.write_all(answer).await?;
        stream.shutdown().await
    }

    /// The end is looked at, and the registry asked, as the gateway does at each login. While a CA is rotated, it notes
    /// who was seen.
    async fn admits(&self, shown: Option<Identity>) -> bool {
        let Some(shown) = shown.filter(|shown| self.now() <= shown.not_after) else { return false };
        let admission = RegistryAdmission::new(self.registry.clone());
        if admission.admit(&shown.number, &shown.certificate_serial).await.is_err() {
            return false;
        }
        let serial = shown.certificate_serial.parse().unwrap();
        self.registry.note_used(&[serial], self.now()).await.unwrap();
        true
    }
}

impl Site {
    fn new(city: &Arc<City>, number: &str, name: &str) -> Self {
        let folder = city.folder.parent().unwrap().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        put(&folder.join("ca.pem"), city.authority.get().certificate_pem());
        Self::at(city, number, folder)
    }

    fn at(city: &Arc<City>, number: &str, folder: PathBuf) -> Self {
        let text = include_str!("../../edge-agent/example.toml")
            .replace("/var/lib/lamplighter", "state")
            .replace(A, number);
        let mut config = Config::parse(&text, &folder.join("agent.toml")).unwrap();
        config.server = ServerConfig {
            host: "127.0.0.1".to_owned(),
            port: city.address.get().unwrap().port(),
            ca_file: folder.join("ca.pem"),
            certificate_file: folder.join("c.pem"),
            key_file: folder.join("c.key"),
            pkcs11: None,
            keep_alive: Duration::from_secs(30),
        };
        let keeper = SteppedKeeper::new(&config, Arc::new(Stepped(Arc::clone(&city.now)))).unwrap();
        Self { city: Arc::clone(city), config, folder, keeper, serial: String::new() }
    }

    /// An installer has been there with a token.
    async fn enrolled(self) -> Self {
        let (city, number) = (&self.city, self.config.lamppost.clone());
        let token = Token::generate().unwrap();
        let (now, until) = (city.now(), city.now().plus_ms(DAY_MS));
        city.registry.create_token(&number, &token.digest(), (now, until), &Actor::Server).await.unwrap();
        let token = identity::Token::new(&token.expose()).unwrap();
        let clock = Arc::new(Stepped(Arc::clone(&city.now)));
        identity::enrol(&self.config, &token, &Trust::Configured, IfEnrolled::Replace, clock).await.unwrap();
        self
    }

    /// Somebody else has all of its files.
    fn copied(&self, to: PathBuf) -> Self {
        copy(&self.folder, &to);
        Self::at(&self.city, self.config.lamppost.as_str(), to)
    }

    /// A day: looks, asks for a certificate if it is time, and logs in. The serial of the login that worked.
    async fn live(&mut self) -> Option<String> {
        for _ in 0..TRIES {
            self.keeper.look().await;
            if self.log_in().await == Login::Worked {
                return Some(self.serial.clone());
            }
            self.city.now.fetch_add(120_000, Ordering::SeqCst);
        }
        None
    }

    async fn log_in(&mut self) -> Login {
        let mut shown = self.keeper.login().unwrap();
        shown.tls.alpn_protocols = vec![ALPN_MQTT.to_vec()];
        let connector = TlsConnector::from(Arc::new(shown.tls));
        let tcp = TcpStream::connect(*self.city.address.get().unwrap()).await.unwrap();
        let asked = async {
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let mut stream = connector.connect(name, tcp).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let login = match asked.await {
            Ok(answer) if answer == "yes" => Login::Worked,
            // TLS says so itself, too.
            Ok(_) | Err(_) => Login::Refused,
        };
        if login == Login::Worked {
            self.serial = shown.serial.parse::<CertificateSerial>().unwrap().to_string();
        }
        self.keeper.logged_in(login).await;
        login
    }
}

impl Diary {
    /// Lives a day, and tells if there is another certificate then.
    async fn live(&mut self, site: &mut Site, what: &str, renewals: &mut Vec<i64>) {
        let serial = site.live().await.unwrap_or_else(|| panic!("{what}: no login works"));
        if self.last.as_ref() != Some(&serial) {
            renewals.push(day(site.city.now()));
            self.tell(&site.city, what, &serial).await;
        }
    }

    async fn tell(&mut self, city: &City, what: &str, serial: &str) {
        let serial: CertificateSerial = serial.parse().unwrap();
        let record = city.registry.certificate(&serial).await.unwrap().unwrap();
        let ca = record.authority.unwrap();
        println!(
            "day {:3}  {what:<62}  serial {}…  CA {}…  until day {}",
            day(city.now()),
            &serial.as_str()[..8],
            &ca.as_str()[..8],
            day(record.not_after)
        );
        let is_a = record.lamppost == A.parse::<LamppostNumber>().unwrap();
        self.last = if is_a { Some(serial.to_string()) } else { self.last.take() };
    }

    #[expect(clippy::unused_self, reason = "it is the diary that says it")]
    fn say(&self, city: &City, what: &str) {
        println!("day {:3}  {what}", day(city.now()));
    }
}

/// The one clock of both ends.
#[derive(Debug)]
struct Stepped(Arc<AtomicI64>);

impl Stepped {
    fn ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl TimeProvider for Stepped {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = u64::try_from(self.ms()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}

impl Clock for Stepped {
    fn now(&self) -> Now {
        let lived = u64::try_from(self.ms() - BEGIN.0).unwrap();
        let monotonic = Duration::from_millis(lived);
        Now { monotonic, wall: UtcMillis(self.ms()), trust: ClockTrust::Sure }
    }

    fn wait(&self, _: Duration, _: &Stop) -> Waited {
        Waited::Stopped
    }

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}
}

fn day(at: UtcMillis) -> i64 {
    at.since_ms(BEGIN) / DAY_MS
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
