//! The whole server, put together.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::journal::LowWater;

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
    _directory: TempDir,
}

impl Running {
    fn start(shape: impl FnOnce(&mut RunArgs)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut args = RunArgs {
            basemap: None,
            basemap_attribution: None,
            data: directory.path().join("data"),
            mqtt: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            names: Vec::new(),
            tail_observations: None,
            low_water: None,
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
        Self { runtime, task, stop, lampposts, people, token, _directory: directory }
    }

    fn system(&self) -> Value {
        let request = ureq::get(format!("http://{}/api/v1/system", self.people));
        let request = request.header("authorization", format!("Bearer {}", self.token.expose()));
        request.call().unwrap().body_mut().read_json().unwrap()
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

    fn stop(self) {
        self.stop.cancel();
        self.runtime.block_on(self.task).unwrap().unwrap();
    }
}
