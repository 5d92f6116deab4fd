//! What an agent says of itself, put together from its parts.

use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, Log};
use tokio::sync::watch;

use super::VERSION;
use crate::clock::{Clock, ClockTrust};
use crate::health::Health;
use crate::outbox::{Aside, Outbox, OutboxState};
use crate::status::{
    Backlog, CertificateStatus, ConnectionStatus, DroppedRecords, SetAsideOutbox, Status, Storage, forecast,
};
use crate::uplink::Session;

/// What a status is made of.
#[derive(Clone, Debug)]
pub(super) struct StatusSource {
    pub(super) lamppost: LamppostNumber,
    pub(super) generation: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outbox: Outbox,
    pub(super) health: Arc<Health>,
    pub(super) connection: watch::Receiver<ConnectionStatus>,
    pub(super) certificate: watch::Receiver<CertificateStatus>,
    pub(super) max_age: Duration,
}

impl StatusSource {
    pub(super) fn snapshot(&self) -> Status {
        let state = self.outbox.state();
        let (state, now) = (state.borrow().clone(), self.clock.now());
        let connection = self.connection.borrow().clone();
        let appended = state.appended_per_hour;
        let backlog = Backlog {
            records: Session::backlog(&state),
            bytes: state.bytes,
            oldest_ms: state.oldest.map(|time| time.0),
            drains_in_s: forecast::drains_in_s(&connection, appended.map(|rate| rate.records), now.wall.0),
        };
        Status {
            agent_version: VERSION.to_owned(),
            lamppost: self.lamppost.to_string(),
            run: state.run.to_string(),
            outbox: state.outbox.to_string(),
            generation: self.generation,
            clock_trusted: now.trust == ClockTrust::Sure,
            waiting_for_time: Session::waiting_for_time(&state),
            time_known: now.trust != ClockTrust::Unknown,
            now_ms: now.wall.0,
            storage: self.storage(&state, &backlog, now.wall.0),
            connection,
            certificate: self.certificate.borrow().clone(),
            backlog,
            set_aside: state.set_aside.iter().map(set_aside).collect(),
            buses: self.health.buses(),
            sensors: self.health.sensors(),
        }
    }

    fn storage(&self, state: &OutboxState, backlog: &Backlog, now_ms: i64) -> Storage {
        let logs = state.runs.iter().flat_map(|run| Log::ALL.map(|log| run.log(log)));
        let on_disk = logs.map(|log| log.on_disk.count()).sum();
        let mut storage = Storage {
            capacity_bytes: state.capacity,
            max_age_s: self.max_age.as_secs(),
            appended_bytes_per_hour: state.appended_per_hour.map(|rate| rate.bytes),
            dropped: DroppedRecords {
                bytes: state.dropped.bytes,
                age: state.dropped.age,
                damaged: state.dropped.damaged,
            },
            refused: state.refused,
            damaged: state.damaged,
            undated_for_room: state.undated_for_room,
            ..Storage::default()
        };
        storage.holds_s = forecast::holds_s(&storage);
        storage.room_for_s = forecast::room_for_s(&storage, backlog, on_disk, now_ms);
        storage
    }
}

fn set_aside(aside: &Aside) -> SetAsideOutbox {
    let told = &aside.told;
    SetAsideOutbox {
        outbox: told.outbox.to_string(),
        directory: aside.directory.display().to_string(),
        lamppost: told.lamppost.as_ref().map(ToString::to_string),
        hardware_serial: told.hardware_serial.clone(),
        reason: told.reason.as_str().to_owned(),
        bytes: told.bytes,
        runs: told.runs,
        first_ms: told.first.map(|time| time.0),
        last_ms: told.last.map(|time| time.0),
    }
}
