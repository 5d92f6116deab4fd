//! The whole server, put together.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use lamplighter_protocol::Leaf;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::checkpoint::tests::some_entries;
use crate::journal::{Draft, Entry, LowWater, Shortage};

/// How long tests wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_system_page_tells_of_the_parts_that_run() {
    let running = Running::start(|args| args.tail_observations = Some(1000));
    let ready = running.becomes("/server/phase", &json!("ready"));
    assert!(ready["server"]["started"].as_str() <= ready["server"]["time"].as_str());
    assert_eq!(ready["store"]["observations_limit"], 1000);
    assert!(ready["gateway"]["connections_limit"].as_u64().unwrap() > 0);
    assert!(ready["journal"]["room"]["free_bytes"].as_u64().unwrap() > 0);

    let mut stranger = TcpStream::connect(running.lampposts).unwrap();
    running.becomes("/gateway/connections", &json!(1));
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    running.becomes("/gateway/handshakes/failed", &json!(1));
    drop(stranger.read_to_end(&mut Vec::new()));
    running.becomes("/gateway/connections", &json!(0));
    running.stop();
}

#[test]
fn below_low_water_the_server_is_not_ready_and_says_how_much_room_there_is() {
    let running = Running::start(|args| args.low_water = Some(LowWater::of_bytes(u64::MAX)));
    let system = running.becomes("/server/phase", &json!("failing"));
    assert_eq!(system["server"]["part"], "journal");
    let room = &system["journal"]["room"];
    assert_eq!(room["is_short"], true);
    assert!(room["free_bytes"].as_u64().unwrap() < room["low_water_bytes"].as_u64().unwrap(), "{room}");
    let ready = ureq::get(format!("http://{}/readyz", running.people));
    assert_eq!(ready.config().http_status_as_error(false).build().call().unwrap().status(), 503);
    // No restart makes room.
    let mut healthy = ureq::get(format!("http://{}/healthz", running.people)).call().unwrap();
    let healthy: Value = serde_json::from_str(&healthy.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(healthy["answer"], "yes");
    assert!(healthy["detail"].as_str().unwrap().starts_with("the disk is nearly full: "), "{healthy}");
    running.stop();
}

#[test]
fn d3_a_server_whose_clock_cannot_be_right_is_not_ready() {
    let (right, wrong) = (clock::wall(), UtcMillis(5));
    let failing = JournalHealth::Failing { since: right, cause: "a disk".into() };
    let part = |part| Phase::Failing { part };
    assert_eq!(phase_by(&JournalHealth::Writing, right.plausible()), Phase::Ready);
    assert_eq!(phase_by(&JournalHealth::Writing, wrong.plausible()), part("clock"));
    let short = Shortage { free_bytes: 1, needed_bytes: 2 };
    let short = JournalHealth::Short { since: right, shortage: short };
    assert_eq!(phase_by(&short, right.plausible()), Phase::Short);
    assert_eq!(phase_by(&short, wrong.plausible()), part("clock"));
    assert_eq!(
        [right, wrong].map(|now| phase_by(&failing, now.plausible())),
        [part("journal"), part("journal")]
    );
}

#[test]
fn d15_a_stop_seals_and_the_next_start_reads_the_checkpoint_alone() {
    let directory = TempDir::new().unwrap();
    write_journal(&directory, &some_entries(50));
    let started = Running::start_in(directory, |_| {});
    let system = started.becomes("/server/phase", &json!("ready"));
    assert_eq!(system["checkpoint"]["newest"], Value::Null);
    assert_eq!(system["checkpoint"]["start"]["checkpoint"], Value::Null);
    assert_eq!(system["checkpoint"]["start"]["entries"], 177);
    let ingest = system["ingest"].clone();

    let again = Running::start_in(started.stop(), |_| {});
    let system = again.becomes("/server/phase", &json!("ready"));
    let start = &system["checkpoint"]["start"];
    assert_eq!((&start["checkpoint"], &start["entries"]), (&json!(177), &json!(0)));
    assert_eq!((&start["damaged_checkpoints"], &start["lost_entries"]), (&json!(0), &json!(0)));
    assert_eq!(system["checkpoint"]["newest"]["sequence"], 177);
    assert_eq!(system["ingest"], ingest);
    again.becomes("/store/observations", &json!(300));

    // Damaged on purpose: named, and the journal read instead.
    let directory = again.stop();
    let name = directory.path().join("data/checkpoints/checkpoint-00000000000000000177");
    let mut bytes = std::fs::read(&name).unwrap();
    bytes[300] ^= 1;
    #[expect(clippy::disallowed_methods, reason = "it is to be damaged")]
    std::fs::write(&name, bytes).unwrap();
    let last = Running::start_in(directory, |_| {});
    let system = last.becomes("/server/phase", &json!("ready"));
    let start = &system["checkpoint"]["start"];
    assert_eq!((&start["checkpoint"], &start["entries"]), (&Value::Null, &json!(177)));
    assert_eq!(start["damaged_checkpoints"], 1);
    assert_eq!(system["ingest"], ingest);
    last.stop();
}

#[test]
fn a_checkpoint_is_written_while_the_server_runs() {
    let directory = TempDir::new().unwrap();
    write_journal(&directory, &some_entries(5));
    let running = Running::start_in(directory, |args| args.checkpoint_every = Some(1));
    let system = running.becomes("/checkpoint/written", &json!(1));
    assert_eq!(system["checkpoint"]["newest"]["sequence"], 42);
    assert!(system["checkpoint"]["copy_ms"].as_f64().unwrap() > 0.0);
    running.stop();
}

/// What a server has received before it is started.
fn write_journal(directory: &TempDir, entries: &[Entry]) {
    let data = directory.path().join("data");
    make_private(&data).unwrap();
    let options = JournalOptions::in_directory(data.join(Journal::DIRECTORY_NAME));
    let mut journal = Journal::open(options).unwrap().stepped();
    for Entry { received, lamppost, leaf, payload, .. } in entries.iter().cloned() {
        journal.push(Draft { received, lamppost, leaf, payload });
    }
    journal.commit().unwrap();
}

#[test]
fn damage_in_the_middle_of_the_journal_is_shown_and_the_rest_is_served() {
    let running = Running::start(|args| {
        let options = JournalOptions::in_directory(args.data.join(Journal::DIRECTORY_NAME));
        std::fs::create_dir(&args.data).unwrap();
        let mut journal = Journal::open(options).unwrap().stepped();
        for _ in 0..20 {
            let (lamppost, leaf) = ("DF1".parse().unwrap(), Leaf::Hello);
            let payload = vec![0xff; 200].into();
            journal.push(Draft { received: UtcMillis(0), lamppost, leaf, payload });
            journal.commit().unwrap();
        }
        drop(journal);
        let segment = args.data.join("journal/00000000000000000000.log");
        let segment = std::fs::OpenOptions::new().write(true).open(segment).unwrap();
        segment.write_all_at(&[0; 300], 1000).unwrap();
    });
    let system = running.becomes("/server/phase", &json!("ready"));
    let journal = &system["journal"];
    assert_eq!((&journal["damaged_regions"], &journal["missing_entries"]), (&json!(2), &json!(2)));
    let [records, gap] = &journal["damage"].as_array().unwrap()[..] else { panic!("{journal}") };
    assert_eq!(
        (&records["segment"], &records["kind"]),
        (&json!("00000000000000000000.log"), &json!("records"))
    );
    assert!(records["offset"].as_u64().unwrap() <= 1000 && records["bytes"].as_u64().unwrap() >= 300);
    assert_eq!((&gap["kind"], &gap["expected"], &gap["found"]), (&json!("gap"), &json!(4), &json!(6)));
    assert_eq!(system["ingest"]["malformed"]["hello"], 18, "the others are read");
    let figures = running.get("/metrics").body_mut().read_to_string().unwrap();
    for line in ["lamplighter_journal_damaged_regions 2", "lamplighter_journal_missing_entries 2"] {
        assert!(figures.lines().any(|one| one == line), "{line} is not in\n{figures}");
    }
    running.stop();
}

#[test]
fn a_running_server_follows_a_rotation_of_the_ca_and_whoever_knows_the_old_one_still_believes_it() {
    let running = Running::start(|_| ());
    let ca = running.directory.path().join("data/ca");
    let old = std::fs::read_to_string(ca.join("ca.pem")).unwrap();
    assert!(running.is_believed_by(&old));
    crate::ca::rotate(&ca, None, clock::wall()).unwrap();
    let new = std::fs::read_to_string(ca.join("ca.pem")).unwrap();
    running.waits_until(|running| running.is_believed_by(&new));
    assert!(running.is_believed_by(&old));
    crate::ca::retire(&ca).unwrap();
    running.waits_until(|running| !running.is_believed_by(&old));
    assert!(running.is_believed_by(&new));
    running.stop();
}

/// A server that runs.
struct Running {
    runtime: tokio::runtime::Runtime,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    lampposts: SocketAddr,
    people: SocketAddr,
    token: AccessToken,
    directory: TempDir,
}

impl Running {
    fn start(shape: impl FnOnce(&mut RunArgs)) -> Self {
        Self::start_in(TempDir::new().unwrap(), shape)
    }

    fn start_in(directory: TempDir, shape: impl FnOnce(&mut RunArgs)) -> Self {
        let mut args = RunArgs {
            limits: crate::cli::LimitArgs::default(),
            basemap: None,
            basemap_attribution: None,
            data: directory.path().join("data"),
            mqtt: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            names: Vec::new(),
            tail_observations: None,
            low_water: None,
            journal_keep: None,
            checkpoint_every: None,
            certificate_life: crate::ca::Validity::RENEWED,
            return_within: crate::est::ReturnWithin::default(),
            ca_key: crate::cli::CaKeyArgs::default(),
            log: "info".parse().unwrap(),
        };
        shape(&mut args);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let server = runtime.block_on(Server::build(&args, &mut Vec::new())).unwrap();
        let (lampposts, people) = server.addresses().unwrap();
        let token = server.web.token.clone();
        let stop = CancellationToken::new();
        let task = runtime.spawn(server.run(stop.clone()));
        Self { runtime, task, stop, lampposts, people, token, directory }
    }

    fn get(&self, path: &str) -> ureq::http::Response<ureq::Body> {
        let request = ureq::get(format!("http://{}{path}", self.people));
        let request = request.header("authorization", format!("Bearer {}", self.token.expose()));
        request.call().unwrap()
    }

    /// Whether who trusts this CA alone gets through the handshake of lampposts.
    fn is_believed_by(&self, ca_pem: &str) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = std::net::TcpStream::connect(self.lampposts).unwrap();
        while tls.is_handshaking() {
            match tls.complete_io(&mut tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return false,
                Err(error) => panic!("{error}"),
            }
        }
        true
    }

    fn waits_until(&self, is_so: impl Fn(&Self) -> bool) {
        let begun = clock::monotonic();
        while !is_so(self) {
            assert!(clock::monotonic().duration_since(begun) < PATIENCE);
        }
    }

    fn system(&self) -> Value {
        self.get("/api/v1/system").body_mut().read_json().unwrap()
    }

    /// Waits until the system page says so, and returns it.
    fn becomes(&self, pointer: &str, expected: &Value) -> Value {
        let begun = clock::monotonic();
        loop {
            let system = self.system();
            if system.pointer(pointer) == Some(expected) {
                return system;
            }
            assert!(clock::monotonic().duration_since(begun) < PATIENCE, "{pointer} of {system}");
        }
    }

    fn stop(self) -> TempDir {
        self.stop.cancel();
        self.runtime.block_on(self.task).unwrap().unwrap();
        self.directory
    }
}
