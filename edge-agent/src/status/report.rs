//! What the agent says about itself, as it travels over the status socket.

use serde::{Deserialize, Serialize};

/// One moment of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the agent's software.
    pub agent_version: String,
    /// Number of the lamppost.
    pub lamppost: String,
    /// Id of this life of the agent, hexadecimal.
    pub run: String,
    /// Id of the outbox, hexadecimal.
    pub outbox: String,
    /// Generation of the configuration that runs.
    pub generation: u64,
    /// Whether the wall time is known to be right.
    pub clock_trusted: bool,
    /// Whether anybody has said what time it is: until then what is read waits to be dated.
    #[serde(default = "known")]
    pub time_known: bool,
    /// Records on disk that wait for their time.
    #[serde(default)]
    pub waiting_for_time: u64,
    /// The agent's wall time when it took this snapshot, ms UTC: ages are counted from it.
    pub now_ms: i64,
    /// The connection to the server.
    pub connection: ConnectionStatus,
    /// The certificate that it logs in with.
    #[serde(default)]
    pub certificate: CertificateStatus,
    /// What the server does not hold yet.
    pub backlog: Backlog,
    /// What the outbox holds and may hold.
    #[serde(default)]
    pub storage: Storage,
    /// Outboxes that were set aside, the first one first.
    #[serde(default)]
    pub set_aside: Vec<SetAsideOutbox>,
    /// Each bus, in the order of the configuration.
    pub buses: Vec<BusStatus>,
    /// Each sensor, in the order of the configuration.
    pub sensors: Vec<SensorStatus>,
}

/// What an agent knows that does not say otherwise.
fn known() -> bool {
    true
}

/// The connection to the server. Times are ms UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Whether there is one now.
    pub connected: bool,
    /// Since when it is as `connected` says.
    pub since_ms: Option<i64>,
    /// Where to: `host:port`.
    pub server: String,
    /// Why the last attempt or connection ended.
    pub last_error: Option<String>,
    /// When the server last acknowledged something.
    pub last_acknowledgement_ms: Option<i64>,
    /// When the server last said what it holds.
    pub last_position_ms: Option<i64>,
    /// Records sent and not acknowledged yet.
    pub in_flight_records: u64,
    /// Records on disk that are neither held by the server nor under way: to be sent. As of the last second in which there
    /// was a connection.
    #[serde(default)]
    pub to_send_records: u64,
    /// Records that the server acknowledges in an hour, at the rate of the last minute.
    #[serde(default)]
    pub acknowledged_per_hour: Option<u64>,
    /// Until the next attempt, if there is no connection.
    pub retry_in_ms: Option<u64>,
}

/// The certificate that the agent logs in with, and its renewal. Times are ms UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Its serial number, hexadecimal; none if there is no certificate.
    pub serial: Option<String>,
    /// The last moment at which it is good.
    pub good_until_ms: Option<i64>,
    /// When the agent asks for the next one.
    pub renewal_due_ms: Option<i64>,
    /// Whether the next one is there, and no login has worked with it yet.
    pub is_trying_another: bool,
    /// When the agent last asked for another one, in this life.
    pub last_attempt_ms: Option<i64>,
    /// What came of it.
    pub last_outcome: Option<String>,
    /// Why there is no certificate.
    pub problem: Option<String>,
    /// Where its key is: a file, or a token.
    #[serde(default)]
    pub key: Option<String>,
    /// Why the token that the configuration names did not do what it was last asked.
    #[serde(default)]
    pub key_problem: Option<String>,
}

/// What the server does not hold yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Records.
    pub records: u64,
    /// Bytes of the outbox on disk.
    pub bytes: u64,
    /// Time of the oldest of those records, ms UTC.
    pub oldest_ms: Option<i64>,
    /// Seconds until what is to be sent is sent, at the present rate; none while it does not shrink.
    #[serde(default)]
    pub drains_in_s: Option<u64>,
}

/// What the outbox holds and may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Bytes that it may come to have: its bound, or less where the disk has less room.
    pub capacity_bytes: u64,
    /// Seconds for which it keeps at most what the server does not hold.
    pub max_age_s: u64,
    /// Bytes that are added in an hour, at the rate of the last hour; none in the first minute.
    pub appended_bytes_per_hour: Option<u64>,
    /// Seconds that an outage may last before something has to go, at that rate.
    pub holds_s: Option<u64>,
    /// Seconds until something has to go if nothing is sent from now on.
    pub room_for_s: Option<u64>,
    /// Records that had to go and were reported, as far as the reports are still on disk.
    pub dropped: DroppedRecords,
    /// Records that this run refused: too long, or the outbox was full of what may never go.
    pub refused: u64,
    /// Places on disk that this run found unreadable.
    pub damaged: u64,
    /// Runs that did not know the time, and that wait for room on the disk to be dated: nothing of them is sent until then.
    #[serde(default)]
    pub undated_for_room: u64,
}

/// An outbox that was set aside: nothing of it is sent until an operator releases it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAsideOutbox {
    /// Its id, hexadecimal; one that was made for it if it cannot say its own.
    pub outbox: String,
    /// Where it is.
    pub directory: String,
    /// The lamppost that it belongs to, if that is known.
    pub lamppost: Option<String>,
    /// The hardware that it belongs to; empty if that has no serial number or is not known.
    pub hardware_serial: String,
    /// Why it was set aside: `other_lamppost`, `other_hardware`, `damaged_identity`, `no_identity` or `unknown`.
    pub reason: String,
    /// Bytes of its records on disk.
    pub bytes: u64,
    /// How many runs it has.
    pub runs: u32,
    /// When its first run opened, ms UTC.
    pub first_ms: Option<i64>,
    /// The last time that it is known to tell of, ms UTC.
    pub last_ms: Option<i64>,
}

/// Records that had to go, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRecords {
    /// Newer ones needed the space.
    pub bytes: u64,
    /// They were too old.
    pub age: u64,
    /// They were damaged on disk.
    pub damaged: u64,
}

/// One bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `i2c` or `serial`.
    pub kind: String,
    /// Its device file.
    pub path: String,
    /// Whether it is open now.
    pub open: bool,
    /// How often it was opened again after a failure.
    pub reopened: u64,
    /// What failed last.
    pub last_error: Option<String>,
}

/// One sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorStatus {
    /// The device's name in the configuration.
    pub name: String,
    /// Its kind: `bme280`.
    pub sensor: String,
    /// The bus that it is on.
    pub bus: String,
    /// Whether it identified itself as what the configuration says.
    pub identified: bool,
    /// The last tick that has a record, ms UTC.
    pub last_tick_ms: Option<i64>,
    /// How many values that tick had, bad ones not counted.
    pub last_values: u64,
    /// Ticks read.
    pub read: u64,
    /// Ticks at which it was not read.
    pub missed: u64,
    /// Ticks that were read and gave no good value.
    pub bad: u64,
    /// What failed last.
    pub last_error: Option<String>,
}
