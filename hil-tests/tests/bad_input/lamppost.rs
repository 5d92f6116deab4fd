//! Lampposts whose every message a test chooses, and what the server's API says that they said.
//!
//! A lamppost has one thermometer, read ten times a second. At its tick `n` it is `n` hundredths of a degree warm, and
//! the tick is record `n` of the one run: so what the API stores tells which records it is made of.

use std::ops::Range;
use std::sync::Arc;

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::fleet::{Api, Certificates, ServerProcess};
use lamplighter_protocol::{
    Catalogue, Description, Device, DeviceName, Digest, Frame, Grid, Hello, LamppostNumber, Leaf, Log,
    LogHeld, Nonce, Observation, OutboxId, Pieces, Position, Property, PropertyName, Reason, Record, RunHeld,
    RunId, Series, Tick, UtcMillis,
};
use rustls::ClientConfig;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::connection::{self, Connection, End};

/// Milliseconds from tick to tick.
const PERIOD_MS: u32 = 100;

/// What a lamppost publishes its ticks to.
pub(crate) const SAMPLES: Leaf = Leaf::Frames(Log::Samples);

/// A lamppost with a certificate of a server.
#[derive(Clone, Debug)]
pub(crate) struct Lamppost {
    pub(crate) number: LamppostNumber,
    tls: Arc<ClientConfig>,
    begin: UtcMillis,
    run: RunId,
}

/// A lamppost that is logged in and listens.
#[derive(Debug)]
pub(crate) struct Session {
    lamppost: Lamppost,
    pub(crate) connection: Connection,
    nonce: Nonce,
    count: u64,
}

/// Registers lampposts, and gives each its certificate, beside the running server.
pub(crate) fn certified<const N: usize>(server: &ServerProcess, numbers: [&str; N]) -> [Lamppost; N] {
    let certificates = server.enrol(&numbers).unwrap();
    numbers.map(|number| Lamppost::new(&certificates, number))
}

impl Lamppost {
    /// The lamppost of this number. Its first tick was a while ago.
    fn new(certificates: &Certificates, number: &str) -> Self {
        let number: LamppostNumber = number.parse().unwrap();
        let now = SystemClock::new().now().wall;
        let begin = now.plus_ms(-(now.0 % i64::from(PERIOD_MS)) - 30 * 60 * 1000);
        let tls = connection::tls(&certificates.0, &number);
        let mut run = [7; 16];
        run.iter_mut().zip(number.as_str().bytes()).for_each(|(to, from)| *to = from);
        Self { number, tls, begin, run: RunId(run) }
    }

    /// A connection that has said nothing of MQTT yet.
    pub(crate) fn call(&self, server: &ServerProcess) -> Connection {
        Connection::open(server.mqtt(), Arc::clone(&self.tls), self.number.clone())
    }

    /// Logs in and listens.
    pub(crate) fn log_in(&self, server: &ServerProcess) -> Session {
        let mut connection = self.call(server);
        connection.log_in();
        connection.listen();
        let port = connection.port();
        let mut nonce = self.run.0;
        nonce[14..].copy_from_slice(&port.to_be_bytes());
        Session { lamppost: self.clone(), connection, nonce: Nonce(nonce), count: 0 }
    }

    /// What its records mean, and the name of that.
    pub(crate) fn description(&self) -> (Vec<u8>, Digest) {
        let Property { name, value_type, unit, resolution, .. } = property();
        let series = Series { property: name, channel: None, value_type, unit, resolution };
        let name = DeviceName::new("weather-1").unwrap();
        let device = Device { name, grid: Some(0), model: self.number.to_string(), series: vec![series] };
        Description { grids: vec![Grid { period_ms: PERIOD_MS, phase_ms: 0 }], devices: vec![device] }
            .encode()
    }

    /// The ticks that the API has stored of it, each once and in order.
    pub(crate) fn stored(&self, api: &Api) -> Vec<u64> {
        let path = format!("/api/v1/lampposts/{}/series/weather-1/air_temperature", self.number);
        let (status, text) = api.ask(&format!("{path}?from={}&limit=10000", self.begin.0)).unwrap();
        if status == 404 {
            return Vec::new();
        }
        assert_eq!(status, 200, "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["next"], Value::Null, "one page holds them all");
        document["observations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|observation| self.tick_of(observation))
            .collect()
    }

    /// What a position says is held of the ticks.
    pub(crate) fn held(&self, position: &Position) -> Vec<(u64, u64)> {
        let LogHeld { pieces, complete_below } = position.of(self.run).unwrap().log(Log::Samples);
        assert_eq!(*complete_below, u64::MAX, "the list is complete");
        pieces.ranges().collect()
    }

    fn tick_of(&self, observation: &Value) -> u64 {
        let time = OffsetDateTime::parse(observation["time"].as_str().unwrap(), &Rfc3339).unwrap();
        let milliseconds = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap();
        let tick = (milliseconds - self.begin.0) / i64::from(PERIOD_MS);
        let hundredths = property().resolution.nearest(observation["value"].as_f64().unwrap());
        assert_eq!(hundredths, Some(tick), "the value is that of the time: {observation}");
        assert_eq!(observation["quality"], "good");
        u64::try_from(tick).unwrap()
    }

    fn record(&self, tick: u64) -> Vec<u8> {
        let tick = i64::try_from(tick).unwrap();
        let observations = vec![Observation { series: 0, value: Some(tick), reason: Reason::GOOD }];
        let time = self.begin.plus_ms(tick * i64::from(PERIOD_MS));
        Record::Tick(Tick { device: 0, time, observations }).encode()
    }
}

impl Session {
    /// A frame of these ticks.
    pub(crate) fn frame(&mut self, ticks: Range<u64>) -> Frame {
        self.count += 1;
        Frame {
            nonce: self.nonce,
            count: self.count,
            run: self.lamppost.run,
            first: ticks.start,
            description: self.lamppost.description().1,
            records: ticks.map(|tick| self.lamppost.record(tick).into()).collect(),
        }
    }

    /// A hello of an outbox that holds ticks below this one.
    pub(crate) fn hello(&mut self, below: u64) -> Hello {
        self.count += 1;
        let mut samples = Pieces::new();
        if below > 0 {
            samples.insert(0, below - 1);
        }
        Hello {
            nonce: self.nonce,
            count: self.count,
            outbox: OutboxId(self.lamppost.run.0),
            run: self.lamppost.run,
            runs: vec![RunHeld { run: self.lamppost.run, samples, events: Pieces::new() }],
            agent_version: "bad-input".to_owned(),
            hardware_serial: String::new(),
            generation: 1,
            set_aside: Vec::new(),
        }
    }

    /// Publishes, and has the acknowledgement.
    pub(crate) fn publish(&mut self, leaf: Leaf, payload: &[u8]) -> Result<(), End> {
        let packet_id = self.connection.publish(leaf, payload)?;
        self.connection.acknowledged(packet_id)
    }

    /// Sends the description, and has its acknowledgement.
    pub(crate) fn describe(&mut self) -> Result<(), End> {
        let (payload, _) = self.lamppost.description();
        self.publish(Leaf::Description, &payload)
    }

    /// Sends a frame of these ticks, and has its acknowledgement.
    pub(crate) fn send(&mut self, ticks: Range<u64>) -> Result<(), End> {
        let frame = self.frame(ticks);
        self.publish(SAMPLES, &frame.encode())
    }

    /// Says hello for ticks below this one, and has the position that answers it.
    pub(crate) fn greet(&mut self, below: u64) -> Position {
        let hello = self.hello(below);
        self.publish(Leaf::Hello, &hello.encode()).unwrap();
        // One for an earlier hello may be on its way, if something changed.
        loop {
            let position = Position::decode(&self.connection.sent_down(Leaf::Position)).unwrap();
            if position.nonce == hello.nonce && position.count >= hello.count {
                return position;
            }
        }
    }
}

/// What the thermometer measures.
fn property() -> Property {
    let name = PropertyName::new("air_temperature").unwrap();
    Catalogue::built_in().get(&name).unwrap().clone()
}
