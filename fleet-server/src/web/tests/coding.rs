use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};

use super::rig::{Answer, Rig, live_observation};
use crate::web::coding;

const GZIP: (&str, &str) = ("accept-encoding", "gzip, deflate, br, zstd");
const LONG: &str = "/api/v1/openapi.json";

/// What a decoder that is not ours makes of it.
fn gunzip(bytes: &[u8]) -> String {
    let mut gzip =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(bytes).unwrap();
    let decoded = gzip.wait_with_output().unwrap();
    assert!(decoded.status.success(), "it is no gzip");
    String::from_utf8(decoded.stdout).unwrap()
}

fn with_token<'a>(rig: &Rig, target: &str, headers: &[(&'a str, &'a str)]) -> Answer {
    let bearer = format!("Bearer {}", rig.token.expose());
    rig.get_with(target, &[headers, &[("authorization", bearer.as_str())]].concat())
}

#[test]
fn a_long_answer_is_compressed_for_those_who_take_it() {
    let rig = Rig::new();
    let plain = rig.get(LONG);
    assert_eq!(plain.header("content-encoding"), None);
    let coded = with_token(&rig, LONG, &[GZIP]);
    assert_eq!((coded.status, coded.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(
        (coded.header("content-type"), coded.header("vary")),
        (Some("application/json"), Some("accept-encoding"))
    );
    assert!(coded.bytes.len() < plain.bytes.len() / 3, "{} of {}", coded.bytes.len(), plain.bytes.len());
    assert_eq!(gunzip(&coded.bytes), plain.text);
    // A cache must know that others get it otherwise.
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
}

#[test]
fn an_answer_is_left_as_it_is_for_those_who_do_not_want_it_compressed() {
    let rig = Rig::new();
    for codings in ["identity", "br", "gzip;q=0", "gzip;q=0.5, identity", "br, *;q=0", "identity;q=0", ""] {
        let answer = with_token(&rig, LONG, &[("accept-encoding", codings)]);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{codings}");
        assert!(answer.text.starts_with('{'), "{codings}");
    }
}

#[test]
fn a_short_answer_and_a_problem_are_not_compressed() {
    let rig = Rig::new();
    let short = with_token(&rig, "/api/v1/lampposts", &[GZIP]);
    assert!(short.text.len() < 1024, "{}", short.text.len());
    assert_eq!(short.header("content-encoding"), None);
    let problem = with_token(&rig, "/nothing", &[GZIP]);
    problem.problem(404, "not-found");
    assert_eq!(problem.header("content-encoding"), None);
}

#[test]
fn the_head_of_an_answer_that_would_be_compressed_has_no_body() {
    let rig = Rig::new();
    let head = rig.raw(&format!("HEAD {LONG} HTTP/1.1\r\n{}\r\nAccept-Encoding: gzip", rig.welcome()));
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[test]
fn a_live_feed_is_never_compressed() {
    let rig = Rig::new();
    let mut feed = rig.connect();
    write!(feed, "GET /live HTTP/1.1\r\n{}\r\nAccept-Encoding: gzip\r\n\r\n", rig.welcome()).unwrap();
    let mut lines = BufReader::new(feed).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    assert!(!head.iter().any(|line| line.starts_with("content-encoding")), "{head:?}");
    assert!(lines.any(|line| line == "event: time"));
    rig.live.publish(live_observation("DF1", 0));
    assert!(lines.any(|line| line == "event: changes"));
}

/// A server of one long CSV whose rows come when the test sends them.
fn of_rows(rig: &Rig) -> (mpsc::Sender<Bytes>, TcpStream) {
    let (rows, receiver) = mpsc::channel::<Bytes>(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
    let handler = move || {
        let rows = stream::unfold(std::sync::Arc::clone(&receiver), |receiver| async move {
            let row = receiver.lock().await.recv().await?;
            Some((Ok::<_, std::io::Error>(row), receiver))
        });
        std::future::ready(
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], Body::from_stream(rows)).into_response(),
        )
    };
    let router: Router<()> = coding::around(Router::new().route("/rows", get(handler)));
    let listener = rig.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    rig.runtime.spawn(async move { axum::serve(listener, router).await });
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (rows, stream)
}

#[test]
fn a_long_stream_is_compressed_as_it_comes_and_not_when_it_ends() {
    let rig = Rig::new();
    let (rows, mut client) = of_rows(&rig);
    write!(
        client,
        "GET /rows HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    // Digits that do not compress to nothing, 1 MiB of them; the end is not sent until it is asked for.
    let (end, ended) = oneshot::channel::<()>();
    rig.runtime.spawn(async move {
        let mut state = 1_u64;
        for _ in 0..256 {
            let digits = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                b'0' + u8::try_from(state >> 33 & 7).unwrap()
            });
            rows.send(digits.take(4096).collect::<Vec<u8>>().into()).await.unwrap();
        }
        ended.await.unwrap();
    });
    let mut head = vec![0; 64 * 1024];
    client.read_exact(&mut head).unwrap();
    let text = String::from_utf8_lossy(&head);
    assert!(
        text.contains("content-encoding: gzip") && text.contains("transfer-encoding: chunked"),
        "{text:.300}"
    );
    end.send(()).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"));
}
