//! Who calls too often, and who calls when everybody does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::SHORT;
use super::bench::{Bench, Client};
use crate::gateway::{Limits, Rate, Refusal};

const SELDOM: Rate = Rate { amount: 1, per: Duration::from_hours(1), burst: 3 };

async fn call(bench: &Bench, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(bench.address).await.unwrap()
}

const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

#[tokio::test]
async fn an_address_that_calls_in_vain_too_often_is_turned_away_and_nobody_else_is() {
    let bench = Bench::with(Limits { attempts: SELDOM, ..Limits::default() }).await;
    let mut inside = bench.lamppost("DF0001").await;
    let silent = [call(&bench, HERE).await, call(&bench, HERE).await, call(&bench, HERE).await];
    bench.counts("connections", 4).await;
    let mut turned_away = call(&bench, HERE).await;
    assert_eq!(turned_away.read(&mut [0; 8]).await.unwrap_or(0), 0);
    bench.counts("refusals_total{reason=\"too_many_attempts\"}", 1).await;
    // They go, and were there all the same.
    drop(silent);
    bench.counts("connections", 1).await;
    let mut turned_away = call(&bench, HERE).await;
    assert_eq!(turned_away.read(&mut [0; 8]).await.unwrap_or(0), 0);
    bench.counts("refusals_total{reason=\"too_many_attempts\"}", 2).await;

    inside.ping().await;
    let tls = bench.authority.lamppost_tls("DF0002");
    let mut elsewhere = Client::over(call(&bench, ELSEWHERE).await, tls).await.unwrap();
    elsewhere.log_in("DF0002").await;
}

#[tokio::test]
async fn who_logs_in_is_not_counted_and_who_is_refused_is() {
    let bench = Bench::with(Limits { attempts: SELDOM, ..Limits::default() }).await;
    for _ in 0..3 {
        for number in ["DF0001", "DF0002", "DF0003"] {
            bench.lamppost(number).await.ping().await;
        }
    }
    // It is the server's fault if it cannot ask.
    bench.admission.refuse("DF0004", Refusal::Unavailable);
    for _ in 0..5 {
        let mut client = bench.client("DF0004").await;
        client.log_in_in_vain("DF0004").await;
    }
    bench.admission.refuse("DF0004", Refusal::Revoked);
    for _ in 0..3 {
        let mut client = bench.client("DF0004").await;
        client.log_in_in_vain("DF0004").await;
    }
    assert_eq!(bench.counter("refusals_total{reason=\"too_many_attempts\"}"), 0);
    let mut turned_away = call(&bench, HERE).await;
    assert_eq!(turned_away.read(&mut [0; 8]).await.unwrap_or(0), 0);
    bench.counts("refusals_total{reason=\"too_many_attempts\"}", 1).await;
}

#[tokio::test]
async fn in_a_storm_who_would_wait_too_long_for_its_turn_is_turned_away_and_who_says_nothing_takes_none() {
    let handshakes = Rate { amount: 1, per: Duration::from_hours(1), burst: 1 };
    let bench = Bench::with(Limits { handshakes, handshake: SHORT, ..Limits::default() }).await;
    let mut silent = call(&bench, HERE).await;
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
    bench.counts("handshakes_total{outcome=\"timeout\"}", 1).await;
    drop(call(&bench, HERE).await);
    bench.counts("handshakes_total{outcome=\"failed\"}", 1).await;

    let mut first = bench.lamppost("DF0001").await;
    assert!(Client::open(&bench, bench.authority.lamppost_tls("DF0002")).await.is_err());
    bench.counts("refusals_total{reason=\"too_many_handshakes\"}", 1).await;
    first.ping().await;
}

#[tokio::test]
async fn who_is_turned_away_in_a_storm_has_not_called_in_vain() {
    let handshakes = Rate { amount: 1, per: Duration::from_hours(1), burst: 1 };
    let bench = Bench::with(Limits { handshakes, attempts: SELDOM, ..Limits::default() }).await;
    let mut first = bench.lamppost("DF0001").await;
    for refused in 1..=5 {
        assert!(Client::open(&bench, bench.authority.lamppost_tls("DF0002")).await.is_err());
        bench.counts("refusals_total{reason=\"too_many_handshakes\"}", refused).await;
    }
    assert_eq!(bench.counter("refusals_total{reason=\"too_many_attempts\"}"), 0);
    first.ping().await;
}
