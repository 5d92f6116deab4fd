//! Clients that say nothing, half of something, or do not listen: none of them makes another wait.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use hil_tests::fleet::{ServerProcess, wait_for};
use lamplighter_protocol::{Leaf, Nonce, Pieces, RunHeld, RunId, Topic, limits};

use super::commands::binaries;
use super::connection::{End, connect, publish};
use super::counters::{counted, wait_for_count};
use super::lamppost::{SAMPLES, certified};

/// Longer than every time limit of the gateway, of which the longest met here is 20 s.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn strangers_who_say_nothing_before_or_after_tls_keep_no_lamppost_waiting_and_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost, silent_lamppost] = certified(&server, ["DF3637", "DF3638"]);
    let mut silent: Vec<_> = (0..100).map(|_| TcpStream::connect(server.mqtt()).unwrap()).collect();
    let mut silent_after_tls: Vec<_> = (0..10).map(|_| silent_lamppost.call(&server)).collect();
    let mut half_a_connect = silent_lamppost.call(&server);
    let whole = connect(&silent_lamppost.number);
    half_a_connect.send(&whole[..whole.len() / 2]).unwrap();

    let mut session = lamppost.log_in(&server);
    session.describe().unwrap();
    session.send(0..10).unwrap();
    let position = session.greet(10);
    assert_eq!(lamppost.held(&position), [(0, 9)]);
    assert_eq!(counted(server.api(), "lamplighter_gateway_connections", ""), 112, "all are still there");

    for stranger in &mut silent {
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stranger.read(&mut [0; 8]).unwrap(), 0);
    }
    for stranger in silent_after_tls.iter_mut().chain([&mut half_a_connect]) {
        stranger.wait_until_closed();
    }
    wait_for_count(server.api(), "lamplighter_gateway_handshakes_total", "outcome=\"timeout\"", 100);
    wait_for_count(server.api(), "lamplighter_gateway_refusals_total", "reason=\"no_connect\"", 11);
    session.connection.ping();
    assert_eq!(lamppost.stored(server.api()), (0..10).collect::<Vec<_>>());
}

#[test]
fn half_a_packet_keeps_nobody_waiting_and_counts_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost, other] = certified(&server, ["DF3637", "DF3638"]);
    let mut session = lamppost.log_in(&server);
    session.describe().unwrap();
    let topic = Topic::new(lamppost.number.clone(), SAMPLES);
    let packet = publish(&topic, 77, &session.frame(0..20).encode());
    let (first, second) = packet.split_at(packet.len() / 2);
    session.connection.send(first).unwrap();

    let mut beside = other.log_in(&server);
    beside.describe().unwrap();
    beside.send(0..20).unwrap();
    let position = beside.greet(20);
    assert_eq!(other.held(&position), [(0, 19)]);
    assert_eq!(lamppost.stored(server.api()), [0; 0]);

    session.connection.send(second).unwrap();
    session.connection.acknowledged(77).unwrap();
    let position = session.greet(20);
    assert_eq!(lamppost.held(&position), [(0, 19)]);

    // The half that its connection took with it has left nothing behind.
    let packet = publish(&topic, 78, &session.frame(20..40).encode());
    session.connection.send(&packet[..packet.len() - 1]).unwrap();
    drop(session);
    let mut session = lamppost.log_in(&server);
    let position = session.greet(40);
    assert_eq!(lamppost.held(&position), [(0, 19)]);
    session.send(20..40).unwrap();
    let position = session.greet(40);
    assert_eq!(lamppost.held(&position), [(0, 39)]);
    assert_eq!(lamppost.stored(server.api()), (0..40).collect::<Vec<_>>());
}

#[test]
fn who_never_reads_is_cut_off_and_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [deaf, other] = certified(&server, ["DF3637", "DF3638"]);
    // Each hello is answered by a position of thousands of bytes, which nobody takes.
    let mut session = deaf.log_in(&server);
    let mut hello = session.hello(0);
    hello.nonce = Nonce([9; 16]);
    hello.runs = (0..limits::MAX_RUNS_PER_HELLO)
        .map(|place| {
            let mut run = [1; 16];
            run[..8].copy_from_slice(&(place as u64).to_be_bytes());
            RunHeld { run: RunId(run), samples: Pieces::new(), events: Pieces::new() }
        })
        .collect();
    let hello = hello.encode();
    let flood =
        std::thread::spawn(
            move || while session.connection.publish(Leaf::Hello, &hello) != Err(End::Closed) {},
        );

    let mut beside = other.log_in(&server);
    beside.describe().unwrap();
    let mut below = 0;
    let cut = wait_for("the deaf client to be cut off", PATIENCE, || {
        beside.send(below..below + 1).unwrap();
        below += 1;
        let cut = counted(server.api(), "lamplighter_gateway_endings_total", "reason=\"write_timeout\"");
        Some(cut).filter(|cut| *cut > 0)
    });
    assert_eq!(cut.unwrap(), 1);
    flood.join().unwrap();
    let position = beside.greet(below);
    assert_eq!(other.held(&position), [(0, below - 1)]);
    assert_eq!(other.stored(server.api()), (0..below).collect::<Vec<_>>());
    // It may come again, and is served as soon as it listens.
    deaf.log_in(&server).connection.ping();
}
