//! The whole server, put together.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

/// How long tests wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_system_page_tells_of_the_parts_that_run() {
    let directory = TempDir::new().unwrap();
    let args = RunArgs {
        basemap: None,
        basemap_attribution: None,
        data: directory.path().join("data"),
        mqtt: "127.0.0.1:0".parse().unwrap(),
        http: "127.0.0.1:0".parse().unwrap(),
        names: Vec::new(),
        tail_observations: Some(1000),
        log: "info".parse().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut said = Vec::new();
    let server = runtime.block_on(Server::build(&args, &mut said)).unwrap();
    let (lampposts, people) = server.addresses().unwrap();
    let token = server.web.token.clone();
    let stop = CancellationToken::new();
    let running = runtime.spawn(server.run(stop.clone()));

    let system = || {
        let request = ureq::get(format!("http://{people}/api/v1/system"));
        let request = request.header("authorization", format!("Bearer {}", token.expose()));
        request.call().unwrap().body_mut().read_json::<Value>().unwrap()
    };
    let becomes = |pointer: &str, expected: Value| {
        let begun = clock::monotonic();
        loop {
            let system = system();
            if system.pointer(pointer) == Some(&expected) {
                return system;
            }
            assert!(clock::monotonic().duration_since(begun) < PATIENCE, "{pointer} of {system}");
        }
    };
    let ready = becomes("/server/phase", json!("ready"));
    assert!(ready["server"]["started"].as_str() <= ready["server"]["time"].as_str());
    assert_eq!(ready["store"]["observations_limit"], 1000);
    assert!(ready["gateway"]["connections_limit"].as_u64().unwrap() > 0);

    let mut stranger = TcpStream::connect(lampposts).unwrap();
    becomes("/gateway/connections", json!(1));
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    becomes("/gateway/handshakes/failed", json!(1));
    drop(stranger.read_to_end(&mut Vec::new()));
    becomes("/gateway/connections", json!(0));

    stop.cancel();
    runtime.block_on(running).unwrap().unwrap();
}
