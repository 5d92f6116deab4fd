//! D3: an agent connects on a machine whose time is wrong. Real handshakes with the gateway's own TLS, by the agent's
//! configuration; the time on either side is a test's.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge_agent::clock::{Clock, ClockTrust, Now, Stop, Waited};
use edge_agent::config::ServerConfig;
use edge_agent::uplink::client_config;
use fleet_server::ca::{Authority, ServerCertificate, Validity, server_tls};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

/// 2027-01-15T08:00:00Z, the true time.
const NOW: UtcMillis = UtcMillis(1_800_000_000_000);
const DAY_MS: i64 = 86_400_000;
/// TLS 1.3 needs three, one each way and the agent's certificate.
const MOST_FLIGHTS: usize = 10;
const YEAR_1970: UtcMillis = UtcMillis(0);
const YEAR_2190: UtcMillis = UtcMillis(6_942_672_000_000);

/// When a server's certificate was issued, which is good for a year.
const VALID: UtcMillis = UtcMillis(NOW.0 - 30 * DAY_MS);
const EXPIRED: UtcMillis = UtcMillis(NOW.0 - 400 * DAY_MS);
const NOT_YET: UtcMillis = UtcMillis(NOW.0 + 30 * DAY_MS);

/// What the agent's clock says.
const UNKNOWN: (UtcMillis, ClockTrust) = (YEAR_1970, ClockTrust::Unknown);
const RIGHT: (UtcMillis, ClockTrust) = (NOW, ClockTrust::Sure);
const WRONG: (UtcMillis, ClockTrust) = (YEAR_2190, ClockTrust::Unsure);

#[test]
fn d3_a_certificate_is_good_by_the_machines_time_or_by_ours_and_its_dates_say_nothing_while_ours_is_unknown()
{
    let a_season_behind = NOW.plus_ms(-100 * DAY_MS);
    let table: [(_, _, [_; 3]); 12] = [
        // The machine's time, ours: whether a certificate is accepted that is valid, expired, not valid yet.
        (YEAR_1970, UNKNOWN, [Ok(()), Ok(()), Ok(())]),
        (a_season_behind, UNKNOWN, [Ok(()), Ok(()), Ok(())]),
        (NOW, UNKNOWN, [Ok(()), Ok(()), Ok(())]),
        (YEAR_2190, UNKNOWN, [Ok(()), Ok(()), Ok(())]),
        (YEAR_1970, RIGHT, [Ok(()), expired(EXPIRED, NOW), not_yet(NOT_YET, NOW)]),
        (a_season_behind, RIGHT, [Ok(()), Ok(()), not_yet(NOT_YET, NOW)]),
        (NOW, RIGHT, [Ok(()), expired(EXPIRED, NOW), not_yet(NOT_YET, NOW)]),
        (YEAR_2190, RIGHT, [Ok(()), expired(EXPIRED, NOW), not_yet(NOT_YET, NOW)]),
        (
            YEAR_1970,
            WRONG,
            [expired(VALID, YEAR_2190), expired(EXPIRED, YEAR_2190), expired(NOT_YET, YEAR_2190)],
        ),
        (a_season_behind, WRONG, [expired(VALID, YEAR_2190), Ok(()), expired(NOT_YET, YEAR_2190)]),
        (NOW, WRONG, [Ok(()), expired(EXPIRED, YEAR_2190), expired(NOT_YET, YEAR_2190)]),
        (
            YEAR_2190,
            WRONG,
            [expired(VALID, YEAR_2190), expired(EXPIRED, YEAR_2190), expired(NOT_YET, YEAR_2190)],
        ),
    ];
    let fleet = Fleet::new();
    for (machine, ours, expected) in table {
        for (issued, expected) in [VALID, EXPIRED, NOT_YET].into_iter().zip(expected) {
            let gateway = fleet.gateway(&fleet.authority, issued);
            let told = fleet.shake_hands(&gateway, "localhost", machine, ours);
            assert_eq!(told, expected, "machine {machine:?}, ours {ours:?}, issued {issued:?}");
        }
    }
}

#[test]
fn d3_a_lamppost_that_does_not_know_the_time_knows_whom_to_believe_all_the_same() {
    let fleet = Fleet::new();
    let folder = fleet.folder.path().join("stranger");
    let stranger = Authority::open_or_create(&folder, NOW.plus_ms(-500 * DAY_MS)).unwrap().0;
    for issued in [VALID, EXPIRED, NOT_YET] {
        for machine in [YEAR_1970, NOW, YEAR_2190] {
            let gateway = fleet.gateway(&fleet.authority, issued);
            let elsewhere = fleet.shake_hands(&gateway, "elsewhere.example", machine, UNKNOWN).unwrap_err();
            assert!(elsewhere.contains("not valid for name \"elsewhere.example\""), "{elsewhere}");
            let gateway = fleet.gateway(&stranger, issued);
            let foreign = fleet.shake_hands(&gateway, "localhost", machine, UNKNOWN).unwrap_err();
            assert!(is_of_no_authority(&foreign), "{foreign}");
        }
    }
}

fn is_of_no_authority(refusal: &str) -> bool {
    ["UnknownIssuer", "BadSignature"].iter().any(|why| refusal == format!("invalid peer certificate: {why}"))
}

fn expired(issued: UtcMillis, at: UtcMillis) -> Result<(), String> {
    let (at, end) = (at.0 / 1_000, (issued.0 + 365 * DAY_MS) / 1_000);
    Err(format!(
        "invalid peer certificate: certificate expired: verification time {at} (UNIX), but certificate is not valid \
         after {end} ({} seconds ago)",
        at - end
    ))
}

fn not_yet(issued: UtcMillis, at: UtcMillis) -> Result<(), String> {
    let (at, begin) = (at.0 / 1_000, issued.0 / 1_000 - 3_600);
    Err(format!(
        "invalid peer certificate: certificate not valid yet: verification time {at} (UNIX), but certificate is not \
         valid before {begin} ({} seconds in future)",
        begin - at
    ))
}

/// A fleet's authority, and the certificate of one lamppost of it.
struct Fleet {
    folder: tempfile::TempDir,
    authority: Authority,
    lamppost: LamppostNumber,
}

impl Fleet {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let began = NOW.plus_ms(-500 * DAY_MS);
        let authority = Authority::open_or_create(&folder.path().join("ca"), began).unwrap().0;
        let lamppost: LamppostNumber = "GF0001".parse().unwrap();
        let issued = authority.issue_lamppost(&lamppost, Validity::LAMPPOST, began).unwrap();
        issued.write_to(&folder.path().join("lamppost")).unwrap();
        Self { folder, authority, lamppost }
    }

    /// The gateway's side, with a certificate that this authority issued then. It knows what time it is.
    fn gateway(&self, authority: &Authority, issued: UtcMillis) -> Arc<rustls::ServerConfig> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (certificate, _) =
            ServerCertificate::open_or_make(folder.path(), authority, &[], issued).unwrap();
        let mut gateway = rustls::ServerConfig::clone(&server_tls(authority, &certificate).unwrap());
        gateway.time_provider = Arc::new(At(NOW));
        Arc::new(gateway)
    }

    /// Whether the agent believes the gateway under this name, and if not, in which words.
    fn shake_hands(
        &self,
        gateway: &Arc<rustls::ServerConfig>,
        name: &'static str,
        machine: UtcMillis,
        (wall, trust): (UtcMillis, ClockTrust),
    ) -> Result<(), String> {
        let clock = Standing(Now { monotonic: Duration::ZERO, wall, trust });
        let files = self.files(&self.folder.path().join("lamppost"));
        let mut agent = ClientConfig::clone(&client_config(&files, Arc::new(clock)).unwrap());
        agent.time_provider = Arc::new(At(machine));
        let name = ServerName::try_from(name).unwrap();
        let mut agent = ClientConnection::new(Arc::new(agent), name).unwrap();
        let mut gateway = ServerConnection::new(Arc::clone(gateway)).unwrap();
        for _ in 0..MOST_FLIGHTS {
            if !agent.is_handshaking() && !gateway.is_handshaking() {
                return Ok(());
            }
            let mut said = Vec::new();
            while agent.wants_write() {
                agent.write_tls(&mut said).unwrap();
            }
            let mut answered = Vec::new();
            let mut said = &said[..];
            while !said.is_empty() {
                gateway.read_tls(&mut said).unwrap();
                // Another authority does not know the lamppost either.
                let _refused = gateway.process_new_packets().is_err();
            }
            while gateway.wants_write() {
                gateway.write_tls(&mut answered).unwrap();
            }
            let mut answered = &answered[..];
            while !answered.is_empty() {
                agent.read_tls(&mut answered).unwrap();
                agent.process_new_packets().map_err(|error| error.to_string())?;
            }
        }
        Err("the handshake has no end".to_owned())
    }

    fn files(&self, folder: &Path) -> ServerConfig {
        let number = &self.lamppost;
        ServerConfig {
            host: "localhost".to_owned(),
            port: 8883,
            ca_file: folder.join("ca.pem"),
            certificate_file: folder.join(format!("{number}.pem")),
            key_file: folder.join(format!("{number}.key")),
            pkcs11: None,
            keep_alive: Duration::from_secs(30),
        }
    }
}

/// The machine's time.
#[derive(Debug)]
struct At(UtcMillis);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_millis(u64::try_from(self.0.0).unwrap());
        Some(UnixTime::since_unix_epoch(since))
    }
}

/// The agent's clock, at one moment.
#[derive(Debug)]
struct Standing(Now);

impl Clock for Standing {
    fn now(&self) -> Now {
        self.0
    }

    fn wait(&self, _: Duration, _: &Stop) -> Waited {
        Waited::Stopped
    }

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}
}
