//! HTTP on the lampposts' port: told apart, bounded, and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::SHORT;
use super::bench::{Bench, Client};
use crate::gateway::{Caller, GatewayOptions, Limits};

const ASK: &[u8] = b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n";

/// Says who asks.
async fn who(Extension(caller): Extension<Caller>) -> String {
    let shown = caller.certificate.map(|certificate| certificate.number.to_string());
    format!("<{}>", shown.as_deref().unwrap_or("nobody"))
}

async fn bench(limits: Limits) -> Bench {
    Bench::with_options(GatewayOptions {
        limits,
        http: Router::new().route("/who", get(who)),
        ..GatewayOptions::default()
    })
    .await
}

fn named(tls: &rustls::ClientConfig, names: &[&str]) -> Arc<rustls::ClientConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(tls)
}

/// All that is said until the connection is closed, or reset.
async fn said(client: &mut Client) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        let mut more = [0; 1024];
        while let Ok(count @ 1..) = client.stream.read(&mut more).await {
            bytes.extend_from_slice(&more[..count]);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("the gateway closes");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn http_is_known_by_its_name_or_its_first_byte_and_who_asks_by_the_certificate() {
    let bench = bench(Limits { http_requests: 1, ..Limits::default() }).await;
    let (nobody, lamppost) = (bench.authority.anonymous_tls(), bench.authority.lamppost_tls("DF3637"));
    let ended = bench.authority.ended_tls("DF3637");
    for (tls, names, who) in [
        (&nobody, &["http/1.1"][..], "<nobody>"),
        (&nobody, &["h2", "http/1.1"], "<nobody>"),
        (&nobody, &[], "<nobody>"),
        (&lamppost, &["http/1.1"], "<DF3637>"),
        (&lamppost, &[], "<DF3637>"),
        (&ended, &["http/1.1"], "<DF3637>"),
    ] {
        let mut client = Client::open(&bench, named(tls, names)).await.unwrap();
        client.send_bytes(ASK).await;
        let said = said(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with(who), "{names:?} {who}: {said}");
    }
    bench.counts("http_connections_total{ending=\"done\"}", 6).await;
    assert_eq!(bench.counter("handshakes_total{outcome=\"done\"}"), 6);
    bench.counts("connections", 0).await;
}

#[tokio::test]
async fn who_names_mqtt_gets_no_http_and_who_names_http_no_mqtt() {
    let bench = bench(Limits::default()).await;
    let lamppost = bench.authority.lamppost_tls("DF3637");
    let mut client = Client::open(&bench, named(&lamppost, &["mqtt"])).await.unwrap();
    client.send_bytes(ASK).await;
    assert_eq!(said(&mut client).await, "");
    let mut client = Client::open(&bench, named(&lamppost, &["mqtt"])).await.unwrap();
    client.log_in("DF3637").await;
    let mut client = Client::open(&bench, named(&lamppost, &["http/1.1"])).await.unwrap();
    client.send_bytes(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x1e\x00\x06DF3637").await;
    client.send_bytes(b"\r\n\r\n").await;
    let said = said(&mut client).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    bench.counts("http_connections_total{ending=\"broken\"}", 1).await;
}

#[tokio::test]
async fn a_connection_has_a_few_requests() {
    let bench = bench(Limits { http_requests: 2, ..Limits::default() }).await;
    let mut client = Client::open(&bench, bench.authority.anonymous_tls()).await.unwrap();
    client.send_bytes(&ASK.repeat(3)).await;
    let said = said(&mut client).await;
    assert_eq!(said.matches("<nobody>").count(), 2, "{said}");
    assert_eq!(said.matches("connection: close").count(), 1, "{said}");
}

#[tokio::test]
async fn who_asks_slowly_is_cut_in_time_and_keeps_nobody_waiting() {
    let limits = Limits { http: SHORT, opening: 4, ..Limits::default() };
    let bench = bench(limits).await;
    let mut other = bench.lamppost("DF0001").await;
    let mut slow = Vec::new();
    for begun in
        [&b"G"[..], b"GET /who HTTP/1.1\r\nx: y", b"POST /who HTTP/1.1\r\ncontent-length: 9\r\n\r\na"]
    {
        let mut client = Client::open(&bench, bench.authority.anonymous_tls()).await.unwrap();
        client.send_bytes(begun).await;
        slow.push(client);
    }
    other.ping().await;
    bench.lamppost("DF0002").await.ping().await;
    // The one with a body is answered before it has come, for nobody wants it.
    for client in &mut slow {
        while !said(client).await.is_empty() {}
    }
    bench.counts("connections", 1).await;
    assert_eq!(
        bench.counter("http_connections_total{ending=\"done\"}")
            + bench.counter("http_connections_total{ending=\"too_slow\"}"),
        3
    );
    assert!(bench.counter("http_connections_total{ending=\"too_slow\"}") >= 2);
    other.ping().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_refused() {
    let bench = bench(Limits::default()).await;
    let mut client = Client::open(&bench, bench.authority.anonymous_tls()).await.unwrap();
    let head = [b"GET /who HTTP/1.1\r\nx: ".to_vec(), vec![b'y'; 64 * 1024]].concat();
    // It may be closed before all is sent.
    client.stream.write_all(&head).await.ok();
    client.stream.flush().await.ok();
    let said = said(&mut client).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    bench.counts("http_connections_total{ending=\"broken\"}", 1).await;
}

#[tokio::test]
async fn a_stop_waits_for_no_request() {
    let mut bench = bench(Limits::default()).await;
    let mut silent =
        Client::open(&bench, named(&bench.authority.anonymous_tls(), &["http/1.1"])).await.unwrap();
    let mut lamppost = bench.lamppost("DF3637").await;
    lamppost.ping().await;
    bench.stop();
    assert_eq!(said(&mut silent).await, "");
    bench.stopped().await;
}
