use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use tokio::net::TcpSocket;

use super::rig::{Answer, Rig, Shape};
use crate::clock;
use crate::web::WebLimits;
use crate::web::unread::{self, Shared, Unread};

/// Several times what the sockets of both ends and a connection hold.
const LONG: usize = 24 * 1024 * 1024;

/// For a client that is to be cut: long enough that a machine under load begins an answer in it.
const TAKE: Duration = Duration::from_secs(2);

/// For clients that are not, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server of long answers, of which the memory takes one and a half.
fn of_long_answers(rig: &Rig, take: Duration) -> SocketAddr {
    static TEXT: [u8; LONG] = [b'x'; LONG];
    let router: Router<()> = Router::new()
        .route("/own", get(async || vec![b'x'; LONG]))
        .route("/shared", get(async || (Extension(Shared), &TEXT[..])))
        .route("/short", get(async || "short"));
    let router = unread::around(router, Unread::new(LONG * 3 / 2, take));
    let listener = rig.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    rig.runtime.spawn(async move { axum::serve(listener, router).await });
    address
}

/// A client that has asked, and takes nothing yet.
fn asks(rig: &Rig, address: SocketAddr, target: &str) -> TcpStream {
    let connected = rig.runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    connected.set_nonblocking(false).unwrap();
    connected.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(&connected, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    connected
}

fn answer(rig: &Rig, address: SocketAddr, target: &str) -> Answer {
    let mut text = String::new();
    asks(rig, address, target).read_to_string(&mut text).unwrap();
    Answer::parse(&text)
}

#[test]
fn long_answers_that_nobody_takes_have_a_bound_and_shared_and_short_ones_are_given_beside_them() {
    let rig = Rig::new();
    let address = of_long_answers(&rig, PATIENCE);
    let mut holds = asks(&rig, address, "/own");
    holds.read_exact(&mut [0; 1024]).unwrap();
    let refused = answer(&rig, address, "/own");
    refused.problem(503, "too-much-unread");
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(answer(&rig, address, "/shared").bytes.len(), LONG);
    assert_eq!(answer(&rig, address, "/short").text, "short");

    // Whoever goes gives its place back.
    drop(holds);
    let begun = clock::monotonic();
    let taken = loop {
        let again = answer(&rig, address, "/own");
        if again.status == 200 {
            break again;
        }
        assert!(clock::monotonic().duration_since(begun) < PATIENCE, "the place stays taken");
    };
    assert_eq!(taken.bytes.len(), LONG);
    assert_eq!(taken.header("content-length"), Some(&*LONG.to_string()));
}

#[test]
fn an_answer_that_is_not_taken_in_time_is_cut_and_does_not_pass_for_a_whole_one() {
    let rig = Rig::new();
    let address = of_long_answers(&rig, TAKE);
    for target in ["/own", "/shared"] {
        let mut slow = asks(&rig, address, target);
        let mut received = vec![0; 1024];
        slow.read_exact(&mut received).unwrap();
        std::thread::sleep(TAKE);
        // However it ends: with a reset, or just so.
        drop(slow.read_to_end(&mut received));
        assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(received.len() < LONG, "{target}: {} bytes", received.len());
    }
    let mut begins = [0; 15];
    asks(&rig, address, "/own").read_exact(&mut begins).unwrap();
    assert_eq!(&begins, b"HTTP/1.1 200 OK", "its place is given back");
}

#[test]
fn an_answer_longer_than_the_bound_is_given_when_there_is_no_other() {
    let unread = Unread::new(1, PATIENCE);
    let rig = Rig::new();
    let router: Router<()> = Router::new().route("/", get(async || vec![b'x'; 100_000]));
    let listener = rig.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    rig.runtime.spawn(async move { axum::serve(listener, unread::around(router, unread)).await });
    assert_eq!(answer(&rig, address, "/").bytes.len(), 100_000);
}

#[test]
fn the_states_of_a_city_keep_to_the_bound() {
    let limits = WebLimits { take: Duration::ZERO, ..WebLimits::default() };
    let rig = Rig::of(Shape { limits, ..Shape::default() });
    let numbers: Vec<String> = (0..4_000).map(|number| format!("LAMPPOST-{number:05}")).collect();
    rig.import(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
    rig.look();
    for target in ["/api/v1/city", "/api/v1/city/states?property=air_temperature"] {
        let mut stream = rig.connect();
        write!(stream, "GET {target} HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n", rig.welcome()).unwrap();
        let mut received = Vec::new();
        drop(stream.read_to_end(&mut received));
        // There is no time to take it.
        let text = String::from_utf8(received).unwrap();
        assert!(!text.ends_with('}'), "{target}: {} bytes", text.len());
    }
}
