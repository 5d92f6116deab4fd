//! D3: an agent on a machine that nobody tells the time but the server, and one that is never told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge_agent::agent::Agent;
use edge_agent::clock::{Clock, SystemClock};
use edge_agent::config::OutboxConfig;
use edge_agent::status::Status;
use hil_tests::fleet::observed::served;
use hil_tests::fleet::{ServerProcess, wait_for};
use hil_tests::rig::Scene;
use hil_tests::rig::lamppost::{LamppostPlan, RigLamppost, ServerAddress};
use hil_tests::rig::serial::SerialInstruments;
use hil_tests::world::faults::Faults;
use hil_tests::world::{Recordings, Site, Variation, World};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::commands::binaries;

const PATIENCE: Duration = Duration::from_mins(1);
const NUMBER: &str = "KB0001";
/// What the machine shows is seven years ago.
const OFF_MS: i64 = -7 * 365 * 24 * 3_600_000 - 321;

#[test]
fn what_was_read_before_the_server_told_the_time_is_stored_at_the_time_at_which_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let certificates = server.enrol(&[NUMBER]).unwrap().0.join(NUMBER);
    let right = SystemClock::believed();
    let lamppost = Lamppost { folder: folder.path(), certificates: &certificates, port: 9 };

    // Nobody listens there: it never learns the time.
    let began = right.now().wall.0;
    lamppost.runs(SystemClock::off_by(OFF_MS), |status| {
        assert!(!status.time_known);
        status.waiting_for_time >= 8
    });
    let stopped = right.now().wall.0;

    let reached = Lamppost { port: server.mqtt().port(), ..lamppost };
    reached.runs(SystemClock::off_by(OFF_MS), |status| {
        status.time_known && status.waiting_for_time == 0 && stored(&server).len() >= 8
    });
    let told = stored(&server);
    let ended = right.now().wall.0;
    assert!(told.values().all(|reason| reason == "good"), "one boot: its time runs on: {told:?}");
    assert!(
        told.keys().all(|time| (began - 1_000..=ended + 1_000).contains(time)),
        "{began} {ended} {told:?}"
    );
    let before = told.keys().filter(|time| **time <= stopped + 1_000).count();
    assert!(before >= 3, "what the first run read has its time: {told:?}");
    let outboxes = server.api().json(&format!("/api/v1/lampposts/{NUMBER}/outboxes")).unwrap();
    assert_eq!(outboxes["runs"].as_array().unwrap().len(), 2);
    assert!(outboxes["runs"].as_array().unwrap().iter().all(|run| run["placed_between"] == json!(null)));
}

/// Times and reasons of a series as the API serves it.
fn stored(server: &ServerProcess) -> BTreeMap<i64, String> {
    let observed = served(server.api(), &NUMBER.parse().unwrap()).unwrap();
    let of_series = observed.observations.into_iter().filter(|(which, _)| which.property == "pm2_5");
    of_series.map(|(which, what)| (which.time.0, what.reason)).collect()
}

#[derive(Clone, Copy)]
struct Lamppost<'a> {
    folder: &'a Path,
    certificates: &'a Path,
    port: u16,
}

impl Lamppost<'_> {
    /// Lets an agent run by this clock until `done`.
    fn runs(&self, clock: SystemClock, mut done: impl FnMut(&Status) -> bool) {
        let right: Arc<dyn Clock> = Arc::new(SystemClock::believed());
        let world = World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None);
        let scene = Scene::new(world, Faults::None, 0, right);
        let mut instruments = SerialInstruments::start().unwrap();
        let plan = LamppostPlan {
            number: NUMBER.parse().unwrap(),
            state_dir: self.folder.join("state"),
            server: ServerAddress { host: "127.0.0.1".to_owned(), port: self.port },
            certificates: self.certificates.to_owned(),
            every_ms: 1_000,
            outbox: OutboxConfig::default(),
        };
        let rig = RigLamppost::wire(&plan, &scene, &mut instruments).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (agent, stop) = {
            let _inside = runtime.enter();
            (Agent::build(rig.config, rig.opener, Arc::new(clock)).unwrap(), CancellationToken::new())
        };
        let status = agent.status();
        let running = runtime.spawn(agent.run(stop.clone()));
        wait_for("the agent to come so far", PATIENCE, || done(&status()).then_some(())).unwrap();
        stop.cancel();
        runtime.block_on(running).unwrap().unwrap();
    }
}
