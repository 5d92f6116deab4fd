//! A served web with everything behind it but a gateway, and a client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use lamplighter_protocol::{
    Catalogue, Description, Device, Digest, Frame, Grid, LamppostNumber, Leaf, Log, Nonce, Opening, OutboxId,
    Reason, Record, RunId, Series, SeriesName, UtcMillis,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ureq::Agent;

use crate::audit::Actor;
use crate::ca::{Authority, Present};
use crate::commands::Commands;
use crate::gateway::{Probe, Refusals, Sessions};
use crate::ingest::{
    Course, DeviceReport, Ingest, IngestMetrics, Intake, LamppostLedger, LamppostReport, RunEnd, Stop,
};
use crate::journal::Entry;
use crate::live::{LiveHub, LiveMetrics, LiveObservation, LiveOptions, LiveSeries};
use crate::registry::{Lamppost, Registry};
use crate::roll::{Roll, Sources, Watcher};
use crate::store::{Point, SeriesKey, SeriesMeta, Tail, TailOptions};
use crate::web::{
    self, AccessToken, Basemap, Console, Entrance, Figures, Lifelines, Phase, Readiness, WebLimits,
    WebMetrics, WebState,
};

/// 2026-07-01T08:00:00Z.
pub(super) const START: i64 = 1_782_892_800_000;

/// How long tests wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with one lamppost, `DF1`, which has the devices `weather-1` (ten observations of `air_temperature`, a
/// second apart, from [`START`] on; one of `wind_direction`, bad) and `air-1` (nothing observed).
pub(super) struct Rig {
    pub(super) address: SocketAddr,
    pub(super) token: AccessToken,
    pub(super) store: Arc<RwLock<Tail>>,
    pub(super) ingest: Arc<RwLock<Ingest>>,
    pub(super) live: LiveHub,
    pub(super) live_metrics: LiveMetrics,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) registry: Registry,
    pub(super) sessions: Sessions,
    pub(super) refusals: Refusals,
    pub(super) commands: Commands,
    pub(super) roll: Roll,
    pub(super) reports: Arc<Reports>,
    pub(super) figures: Figures,
    pub(super) stop: CancellationToken,
    pub(super) serving: Option<JoinHandle<std::io::Result<()>>>,
    pub(super) runtime: Runtime,
    agent: Agent,
    directory: TempDir,
}

/// What is different about a rig.
pub(super) struct Shape {
    pub(super) limits: WebLimits,
    pub(super) live: LiveOptions,
    pub(super) tail: TailOptions,
    pub(super) console: Console,
    pub(super) basemap: Option<Basemap>,
    /// Called on each thread of the server as it starts.
    pub(super) on_thread: fn(),
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            limits: WebLimits::default(),
            live: LiveOptions::default(),
            tail: TailOptions::default(),
            console: Console::of(&[]),
            basemap: None,
            on_thread: || (),
        }
    }
}

/// Lifelines: the reports that a test has put there, and all else from what was ingested.
pub(super) struct Reports {
    pub(super) reports: Mutex<Vec<(LamppostNumber, LamppostReport)>>,
    ingest: Arc<RwLock<Ingest>>,
}

impl Lifelines for Reports {
    fn report(&self, number: &LamppostNumber) -> Option<LamppostReport> {
        let reports = self.reports.lock().unwrap();
        let put = reports.iter().find(|(of, _)| of == number).map(|(_, report)| report.clone());
        put.or_else(|| self.ingest.report(number))
    }

    fn ledger(&self, number: &LamppostNumber) -> Option<LamppostLedger> {
        self.ingest.ledger(number)
    }

    fn course(&self, number: &LamppostNumber, from: UtcMillis, to: UtcMillis) -> Option<Course> {
        self.ingest.course(number, from, to)
    }

    fn last_acknowledged(&self, number: &LamppostNumber) -> Option<UtcMillis> {
        self.report(number).map(|report| report.last_hello)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) bytes: Vec<u8>,
    /// The bytes, if they are text.
    pub(super) text: String,
}

impl Rig {
    pub(super) fn new() -> Self {
        let rig = Self::of(Shape::default());
        rig.look();
        rig
    }

    /// The roll of it is not read yet.
    pub(super) fn of(shape: Shape) -> Self {
        // One worker, so that a test can publish several observations without a feed running in between.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .on_thread_start(shape.on_thread)
            .build()
            .unwrap();
        let directory = TempDir::new().unwrap();
        let registry = runtime.block_on(Registry::open(&directory.path().join("registry.sqlite"))).unwrap();
        let store = Arc::new(RwLock::new(Tail::new(shape.tail)));
        let figures = Figures { started: UtcMillis(START), tail: shape.tail, ..Figures::default() };
        let live_metrics = figures.live.clone();
        let live = LiveHub::new(shape.live, live_metrics.clone()).unwrap();
        let sessions = Sessions::default();
        let ingest = Ingest::new(Catalogue::built_in(), IngestMetrics::default());
        let ingest = Arc::new(RwLock::new(ingest));
        let roll = Roll::new(Sources {
            sessions: sessions.clone(),
            ingest: Arc::clone(&ingest),
            store: Arc::clone(&store),
            lag: figures.journal.lag.clone(),
        });
        let commands = Commands::new(registry.clone(), sessions.clone(), Arc::clone(&ingest));
        let (phase, readiness) = Readiness::new();
        let reports = Arc::new(Reports { reports: Mutex::default(), ingest: Arc::clone(&ingest) });
        let metrics = WebMetrics::default();
        let mut prometheus = prometheus_client::registry::Registry::default();
        metrics.register(&mut prometheus);
        let refusals = Refusals::default();
        let (token, stop) = (AccessToken::generate().unwrap(), CancellationToken::new());
        let state = WebState {
            store: Arc::clone(&store),
            live: live.clone(),
            registry: registry.clone(),
            sessions: sessions.clone(),
            refusals: refusals.clone(),
            entrance: entrance(&directory),
            roll: roll.clone(),
            lifelines: Arc::clone(&reports) as Arc<dyn Lifelines>,
            commands: commands.clone(),
            catalogue: Arc::new(Catalogue::built_in()),
            readiness,
            probe: Probe::default(),
            console: shape.console,
            basemap: shape.basemap,
            token: token.clone(),
            prometheus: Arc::new(prometheus),
            metrics,
            figures: figures.clone(),
            limits: shape.limits,
            stop: stop.clone(),
        };
        let listener = runtime.block_on(web::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = listener.local_addr();
        let serving = Some(runtime.spawn(web::serve(listener, state)));
        phase.send_replace(Phase::Ready);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let rig = Self {
            address,
            token,
            store,
            ingest,
            live,
            live_metrics,
            phase,
            registry,
            sessions,
            refusals,
            commands,
            roll,
            reports,
            figures,
            stop,
            serving,
            runtime,
            agent,
            directory,
        };
        rig.import(&["DF1"]);
        for second in 0..10 {
            let value = 20.0 + f64::from(second) / 10.0;
            rig.observe(
                "DF1",
                "weather-1/air_temperature",
                i64::from(second) * 1000,
                Some(value),
                Reason::GOOD,
            );
        }
        rig.observe("DF1", "weather-1/wind_direction", 0, None, Reason::NO_ANSWER);
        rig
    }

    /// Where the registry is.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Reads the registry onto the roll, and looks how all lampposts are.
    pub(super) fn look(&self) {
        let watcher = Watcher::new(self.roll.clone(), self.registry.clone(), Box::new(drop));
        self.runtime.block_on(watcher.look()).unwrap();
    }

    pub(super) fn import(&self, numbers: &[&str]) {
        let rows = numbers.iter().map(|number| Lamppost {
            road: "Kai Cheung Road".to_owned(),
            feeder: Some("KB-7".to_owned()),
            height_m: Some(8.5),
            ..Lamppost::example(number)
        });
        self.runtime
            .block_on(self.registry.import(rows.collect(), UtcMillis(START), &Actor::Server))
            .unwrap();
    }

    /// Has a lamppost describe devices that observe the air's temperature each second, and have not yet.
    pub(super) fn describe(&self, lamppost: &str, devices: &[&str]) {
        let property = Catalogue::built_in().get(&"air_temperature".parse().unwrap()).unwrap().clone();
        let devices = devices.iter().map(|name| Device {
            name: name.parse().unwrap(),
            grid: Some(0),
            model: "bme280".to_owned(),
            series: vec![Series {
                property: property.name.clone(),
                channel: None,
                value_type: property.value_type,
                unit: property.unit.clone(),
                resolution: property.resolution,
            }],
        });
        let grids = vec![Grid { period_ms: 1000, phase_ms: 0 }];
        let (payload, digest) = Description { grids, devices: devices.collect() }.encode();
        let opening = Opening {
            run_before: None,
            samples_end: 0,
            events_end: 0,
            ended: None,
            opened: UtcMillis(START),
        };
        let frame = Frame {
            nonce: Nonce([7; 16]),
            count: 1,
            run: RunId([1; 16]),
            first: 0,
            description: digest,
            records: vec![Record::Opening(opening).encode().into()],
        };
        let mut store = self.store.write().unwrap();
        let mut ingest = self.ingest.write().unwrap();
        for (leaf, payload) in [(Leaf::Description, payload), (Leaf::Frames(Log::Events), frame.encode())] {
            let (received, lamppost) = (UtcMillis(START), lamppost.parse().unwrap());
            let entry = Entry { sequence: 0, received, lamppost, leaf, payload: payload.into() };
            ingest.apply(&entry, &mut store, &mut |_| {});
        }
    }

    /// Stores an observation `ms` after [`START`].
    pub(super) fn observe(&self, lamppost: &str, series: &str, ms: i64, value: Option<f64>, reason: Reason) {
        let name = series_name(series);
        let catalogue = Catalogue::built_in();
        let property = catalogue.get(&name.property).unwrap();
        let meta = SeriesMeta {
            key: SeriesKey { lamppost: lamppost.parse().unwrap(), name },
            unit: property.unit.clone(),
            statistic: property.statistic,
            resolution: property.resolution,
            grid: Some(Grid { period_ms: 1000, phase_ms: 0 }),
        };
        let mut store = self.store.write().unwrap();
        let id = store.series(meta).unwrap();
        store.insert(id, Point { time: UtcMillis(START + ms), value, reason });
    }

    /// What `DF1` reports, with these stops of `weather-1`, in milliseconds after [`START`].
    pub(super) fn report_stops(&self, stops: &[(i64, i64)]) {
        let grid = Grid { period_ms: 1000, phase_ms: 0 };
        let run = |n: usize| RunId([u8::try_from(n).unwrap(); 16]);
        let stops = stops.iter().enumerate().map(|(place, (ended, opened))| Stop {
            run_before: run(place),
            run: run(place + 1),
            ended: RunEnd::Stated(UtcMillis(START + ended)),
            opened: UtcMillis(START + opened),
            grids: vec![("weather-1".parse().unwrap(), grid)],
        });
        let report = LamppostReport {
            outbox: OutboxId([7; 16]),
            run: run(1),
            agent_version: "0.1.0".to_owned(),
            hardware_serial: String::new(),
            generation: 3,
            last_hello: UtcMillis(START),
            last_observation: Some(UtcMillis(START + 9000)),
            description: Some(Digest::of(b"description")),
            devices: vec![DeviceReport {
                name: "weather-1".parse().unwrap(),
                model: "bme280".to_owned(),
                grid: Some(grid),
                series: vec![series_name("weather-1/air_temperature")],
            }],
            stops: stops.collect(),
            backlog: 12,
            intake: Intake::default(),
        };
        *self.reports.reports.lock().unwrap() = vec![("DF1".parse().unwrap(), report)];
    }

    /// What is at this path and query, with the token.
    pub(super) fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[("authorization", &format!("Bearer {}", self.token.expose()))])
    }

    /// Decides what is at this path, with the token and these headers.
    pub(super) fn post_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
        let head = format!("POST {target} HTTP/1.1\r\n{}\r\nContent-Length: 0", self.welcome());
        self.raw(&(head + &lines.concat()))
    }

    pub(super) fn post(&self, target: &str) -> Answer {
        self.post_with(target, &[])
    }

    pub(super) fn delete(&self, target: &str) -> Answer {
        self.raw(&format!("DELETE {target} HTTP/1.1\r\n{}", self.welcome()))
    }

    /// Sends a body to this path, with the token.
    pub(super) fn send(&self, target: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let (welcome, length) = (self.welcome(), body.len());
        let head = format!("POST {target} HTTP/1.1\r\n{welcome}\r\nContent-Length: {length}");
        write!(stream, "{head}\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\n").unwrap();
        // A server that has seen enough reads no further.
        stream.write_all(body).ok();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text)
    }

    /// What is at this path and query, with these headers.
    pub(super) fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.agent.get(format!("http://{}{target}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut response = request.call().unwrap();
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let (status, bytes) = (response.status().as_u16(), response.body_mut().read_to_vec().unwrap());
        Answer { status, headers, text: String::from_utf8(bytes.clone()).unwrap_or_default(), bytes }
    }

    /// The answer to a request line and headers as they are, on a connection of their own.
    pub(super) fn raw(&self, head: &str) -> Answer {
        let mut stream = self.connect();
        write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text)
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The headers that let a raw request in.
    pub(super) fn welcome(&self) -> String {
        format!("Host: {}\r\nAuthorization: Bearer {}", self.address, self.token.expose())
    }
}

fn entrance(directory: &TempDir) -> Entrance {
    let (authority, _) =
        Authority::open_or_create(&directory.path().join("ca"), crate::clock::wall()).unwrap();
    let authority = Present::from(Arc::new(authority));
    Entrance { host: Some("fleet.example.org".to_owned()), port: 8883, authority }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Answer {
    pub(super) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        Self {
            status,
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            bytes: body.as_bytes().to_vec(),
            text: body.to_owned(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body of an answer that went well.
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.text).unwrap()
    }

    /// The body of an answer that is a problem of this status and type.
    pub(super) fn problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["type"], format!("/problems/{name}"));
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem
    }
}

pub(super) fn series_name(text: &str) -> SeriesName {
    let parts: Vec<&str> = text.split('/').collect();
    SeriesName {
        device: parts[0].parse().unwrap(),
        property: parts[1].parse().unwrap(),
        channel: parts.get(2).map(|channel| channel.parse().unwrap()),
    }
}

pub(super) fn live_observation(lamppost: &str, ms: i64) -> LiveObservation {
    LiveObservation {
        lamppost: Arc::new(lamppost.parse().unwrap()),
        series: Arc::new(LiveSeries {
            name: series_name("weather-1/air_temperature"),
            unit: "Cel".to_owned(),
            period_ms: Some(1000),
        }),
        time: UtcMillis(START + ms),
        value: Some(21.5),
        reason: Reason::GOOD,
        received: UtcMillis(START + ms + 5),
    }
}
