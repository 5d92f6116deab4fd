use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::rig::{Rig, Shape};
use crate::web::{self, BindError};

#[test]
fn without_the_token_there_is_nothing_but_probes_and_the_start_page() {
    let rig = Rig::new();
    for target in [
        "/api/v1/lampposts",
        "/api/v1/openapi.json",
        "/api/v1/basemap",
        "/basemap.pmtiles",
        "/live",
        "/nothing",
        "/favicon.svg",
        "/assets",
        "/assetsx",
    ] {
        let answer = rig.get_with(target, &[]);
        let problem = answer.problem(401, "unauthorised");
        assert!(problem["detail"].as_str().unwrap().contains("link that the server printed"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Lamplighter\""));
    }
    let wrong = "Bearer 0000000000000000000000000000000000000000000000000000000000000000";
    rig.get_with("/api/v1/lampposts", &[("authorization", wrong)]).problem(401, "unauthorised");
    for target in ["/", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(rig.get_with(target, &[]).status, 200, "{target}");
    }
}

#[test]
fn the_printed_link_logs_a_browser_in() {
    let rig = Rig::new();
    let link = rig.token.login_link(rig.address);
    let target = link.strip_prefix(&format!("http://{}", rig.address)).unwrap();
    let answer = rig.get_with(target, &[]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/");
    rig.get_with("/api/v1/lampposts", &[("cookie", pair)]).json();
    rig.get_with("/api/v1/lampposts", &[("cookie", "lamplighter=0")]).problem(401, "unauthorised");
}

#[test]
fn requests_for_other_hosts_are_refused_even_with_the_token() {
    let rig = Rig::new();
    let bearer = format!("Authorization: Bearer {}", rig.token.expose());
    for host in [
        "Host: lamplighter.example",
        "Host: 127.0.0.1.example:80",
        "Host: 127.0.0.1\r\nHost: example.org",
        "Host: ",
        "X-No-Host: 1",
    ] {
        let answer = rig.raw(&format!("GET /metrics HTTP/1.1\r\n{host}\r\n{bearer}"));
        // hyper itself refuses what is no request.
        assert!(answer.status == 400 && answer.text.is_empty() || answer.status == 421, "{host}: {answer:?}");
        if answer.status == 421 {
            answer.problem(421, "foreign-host");
        }
    }
    let foreign_target = format!("GET http://example.org/metrics HTTP/1.1\r\nHost: localhost\r\n{bearer}");
    rig.raw(&foreign_target).problem(421, "foreign-host");
    for host in ["localhost", "localhost:9", "127.0.0.1:9", "[::1]:9"] {
        let answer = rig.raw(&format!("GET /metrics HTTP/1.1\r\nHost: {host}"));
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[test]
fn every_answer_keeps_browsers_strict() {
    let rig = Rig::new();
    for target in ["/", "/api/v1/lampposts", "/nothing", "/healthz"] {
        let answer = rig.get(target);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{target}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; base-uri 'none';"), "{target}");
        assert!(!policy.contains("unsafe"), "{target}");
    }
}

#[test]
fn the_token_is_in_no_log_line() {
    static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    struct ToLog;
    impl Write for ToLog {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    fn log_everything() {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(|| ToLog)
            .with_ansi(false)
            .finish();
        // For as long as the thread lives.
        std::mem::forget(tracing::subscriber::set_default(subscriber));
    }
    let rig = Rig::of(Shape { on_thread: log_everything, ..Shape::default() });
    let token = rig.token.expose().to_owned();
    assert_eq!(rig.get_with(&format!("/login?token={token}"), &[]).status, 303);
    rig.get_with("/login?token=wrong-but-secret", &[]).problem(401, "unauthorised");
    rig.get(&format!("/?token={token}")).problem(400, "unknown-parameter");
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains("/login"), "the log is not written: {log}");
    assert!(!log.contains(&token) && !log.contains("wrong-but-secret"), "{log}");
}

#[test]
fn only_the_loopback_can_be_bound_and_a_port_in_use_is_named() {
    let rig = Rig::new();
    let bind = |address: &str| rig.runtime.block_on(web::bind(address.parse().unwrap()));
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let error = bind(address).unwrap_err();
        assert!(matches!(error, BindError::NotLoopback { .. }), "{error:?}");
        assert!(error.to_string().contains("is not a loopback address; take 127.0.0.1:"), "{error}");
    }
    let error = bind(&rig.address.to_string()).unwrap_err();
    let expected = format!("port {} of 127.0.0.1 is in use", rig.address.port());
    assert!(error.to_string().starts_with(&expected), "{error}");
}
