use std::io::Read as _;
use std::time::Duration;

use lamplighter_protocol::Reason;

use super::rig::{Rig, START, Shape};
use crate::clock;
use crate::store::TailOptions;
use crate::web::problem::ProblemKind;
use crate::web::{Phase, Progress, WebLimits};

const SERIES: &str = "/api/v1/lampposts/DF1/series/weather-1/air_temperature";

#[test]
fn wrong_parameters_are_refused_by_name() {
    let rig = Rig::new();
    let cases = [
        ("/api/v1/lampposts?colour=red", 400, "unknown-parameter", "colour"),
        ("/api/v1/catalogue?a=b", 400, "unknown-parameter", "a"),
        ("/api/v1/lampposts?limit=0", 400, "invalid-parameter", "limit"),
        ("/api/v1/lampposts?limit=1001", 400, "invalid-parameter", "limit"),
        ("/api/v1/lampposts?limit=1&limit=2", 400, "invalid-parameter", "limit"),
        ("/api/v1/lampposts?after=a%20b", 400, "invalid-parameter", "after"),
        ("/api/v1/latest?after=DF1", 400, "invalid-parameter", "after"),
        ("/api/v1/latest?after=DF1/weather-1/Temperature", 400, "invalid-parameter", "after"),
        ("/api/v1/lampposts/a%20b", 400, "invalid-parameter", "number"),
        ("/api/v1/lampposts/%FF", 400, "invalid-parameter", "number"),
        ("/api/v1/lampposts/DF1/series/Weather/air_temperature", 400, "invalid-parameter", "device"),
        ("/api/v1/lampposts/DF1/series/weather-1/2pm", 400, "invalid-parameter", "property"),
        ("/api/v1/lampposts/DF2", 404, "unknown-lamppost", "number"),
        ("/api/v1/lampposts/DF2/latest", 404, "unknown-lamppost", "number"),
        ("/api/v1/lampposts/DF2/series", 404, "unknown-lamppost", "number"),
        ("/api/v1/lampposts/DF2/series/weather-1/air_temperature", 404, "unknown-lamppost", "number"),
        ("/api/v1/lampposts/DF2/outboxes", 404, "unknown-lamppost", "number"),
        ("/api/v1/lampposts/DF1/outboxes?limit=0", 400, "invalid-parameter", "limit"),
        ("/api/v1/lampposts/DF1/outboxes?after=00", 400, "invalid-parameter", "after"),
        (
            "/api/v1/lampposts/DF1/outboxes?after=00000000000000000000000000000000",
            400,
            "invalid-parameter",
            "after",
        ),
        ("/api/v1/lampposts/DF2/completeness", 404, "unknown-lamppost", "number"),
        ("/api/v1/lampposts/DF1/completeness?from=2&to=2", 400, "empty-range", "from"),
        ("/api/v1/lampposts/DF1/completeness?channel=max", 400, "unknown-parameter", "channel"),
        (
            "/api/v1/lampposts/DF1/series/weather-1/air_temperature/completeness?from=2&to=1",
            400,
            "empty-range",
            "from",
        ),
        (
            "/api/v1/lampposts/DF1/series/weather-1/air_temperature/completeness?channel=max",
            404,
            "unknown-series",
            "channel",
        ),
        ("/api/v1/lampposts/DF2/stops", 404, "unknown-lamppost", "number"),
        ("/live?lamppost=DF2", 404, "unknown-lamppost", "lamppost"),
        ("/live?lamppost=", 400, "invalid-parameter", "lamppost"),
        ("/live?property=Wind", 400, "invalid-parameter", "property"),
        ("/live?property=phlogiston", 400, "invalid-parameter", "property"),
        ("/live?observations=some", 400, "invalid-parameter", "observations"),
        ("/live?after=5", 400, "invalid-parameter", "after"),
        ("/live?after=00c0ffee00c0ffee-", 400, "invalid-parameter", "after"),
        ("/api/v1/lampposts/DF1/series/weather-2/air_temperature", 404, "unknown-series", "device"),
        ("/api/v1/lampposts/DF1/series/weather-1/rainfall", 404, "unknown-series", "property"),
        (
            "/api/v1/lampposts/DF1/series/weather-1/air_temperature?channel=max",
            404,
            "unknown-series",
            "channel",
        ),
        ("/api/v1/lampposts/DF1/stops?from=2&to=1", 400, "empty-range", "from"),
        ("/api/v1/lampposts/DF1/stops?after=00", 400, "invalid-parameter", "after"),
        (
            "/api/v1/lampposts/DF1/stops?after=00000000000000000000000000000000",
            400,
            "invalid-parameter",
            "after",
        ),
        ("/api/v1/city?property=rainfall", 400, "unknown-parameter", "property"),
        ("/api/v1/city/states?property=Rain", 400, "invalid-parameter", "property"),
        ("/api/v1/city/states?property=phlogiston", 400, "invalid-parameter", "property"),
        ("/problems/nothing", 404, "unknown-problem", "name"),
        ("/login?token=1", 401, "unauthorised", ""),
        ("/login", 400, "invalid-parameter", "token"),
        ("/?page=2", 400, "unknown-parameter", "page"),
        ("/assets/%FF", 400, "invalid-parameter", "file"),
    ];
    for (target, status, name, parameter) in cases {
        let problem = rig.get(target).problem(status, name);
        assert_eq!(problem["parameter"].as_str().unwrap_or(""), parameter, "{target}");
    }
}

#[test]
fn wrong_ranges_and_steps_are_refused_by_name() {
    let rig = Rig::new();
    let cases = [
        ("from=yesterday", "invalid-parameter", "from"),
        ("from=2026-07-01", "invalid-parameter", "from"),
        ("to=2026-07-01T25:00:00Z", "invalid-parameter", "to"),
        ("from=2026-07-01T08:00:00Z&to=2026-07-01T08:00:00Z", "empty-range", "from"),
        ("from=2026-07-01T08:00:01Z&to=2026-07-01T16:00:00%2B08:00", "empty-range", "from"),
        ("step=1h", "invalid-parameter", "step"),
        ("step=P1M", "invalid-parameter", "step"),
        ("step=0", "invalid-parameter", "step"),
        ("step=-PT1H", "invalid-parameter", "step"),
        ("step=PT1H&limit=5", "invalid-parameter", "limit"),
        ("step=PT1H&after=5", "invalid-parameter", "after"),
        ("channel=Max", "invalid-parameter", "channel"),
        ("limit=10001", "invalid-parameter", "limit"),
        ("from=0&to=2026-07-01T08:00:00Z&step=1", "too-many-buckets", "step"),
        ("from=-9223372036854775808&to=9223372036854775807&step=PT1S", "too-many-buckets", "step"),
    ];
    for (query, name, parameter) in cases {
        let problem = rig.get(&format!("{SERIES}?{query}")).problem(400, name);
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
}

#[test]
fn what_is_older_than_the_tail_is_gone_and_never_empty() {
    let tail = TailOptions { max_observations: 64, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    for second in 10..300 {
        rig.observe("DF1", "weather-1/air_temperature", second * 1000, Some(21.0), Reason::GOOD);
    }
    let from = "from=2026-07-01T08:00:00Z&to=2026-07-01T08:00:05Z";
    for query in [from.to_owned(), format!("{from}&step=PT1S"), "from=0".to_owned()] {
        let problem = rig.get(&format!("{SERIES}?{query}")).problem(410, "older-than-tail");
        assert_eq!(problem["parameter"], "from", "{query}");
    }
    let problem = rig.get(&format!("{SERIES}?{from}")).problem(410, "older-than-tail");
    let floor = problem["floor"].as_str().unwrap();
    let listed = rig.get("/api/v1/lampposts/DF1/series").json();
    assert_eq!(listed["series"][0]["floor"], floor);
    let whole = rig.get(&format!("{SERIES}?from={floor}&limit=10000")).json();
    let count = whole["observations"].as_array().unwrap().len();
    assert!((32..=64).contains(&count), "{count}");
    let buckets = rig.get(&format!("{SERIES}?from={floor}&step=3600")).json();
    assert_eq!(buckets["buckets"][0]["good"], count);
    // A cursor that the memory has moved past is a problem of the cursor.
    let target = format!("{SERIES}?from={START}&after=2026-07-01T08:00:01Z");
    assert_eq!(rig.get(&target).problem(410, "older-than-tail")["parameter"], "after");
}

#[test]
fn a_range_left_out_is_clamped_to_the_memory_unless_nothing_is_left_in_it() {
    let tail = TailOptions { max_observations: 64, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    for second in 10..300 {
        rig.observe("DF1", "weather-1/air_temperature", second * 1000, Some(21.0), Reason::GOOD);
    }
    assert!(!rig.get(SERIES).json()["observations"].as_array().unwrap().is_empty());
    let direction = "/api/v1/lampposts/DF1/series/weather-1/wind_direction";
    rig.get(direction).problem(410, "older-than-tail");
    // The newest observation of a series outlives its place in memory.
    let latest = rig.get("/api/v1/lampposts/DF1/latest").json();
    assert_eq!(latest["latest"][1]["property"], "wind_direction");
}

#[test]
fn paths_methods_and_bodies_that_are_not_taken_are_problems() {
    let rig = Rig::new();
    rig.get("/api/v1/nothing").problem(404, "not-found");
    rig.get("/api/v1/lampposts/").problem(404, "not-found");
    let welcome = rig.welcome();
    for (method, target) in
        [("POST", "/api/v1/lampposts"), ("DELETE", "/api/v1/lampposts/DF1"), ("OPTIONS", "/")]
    {
        let answer = rig.raw(&format!("{method} {target} HTTP/1.1\r\n{welcome}\r\nContent-Length: 0"));
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method} {target}");
    }
    let sized = rig.raw(&format!("GET /api/v1/catalogue HTTP/1.1\r\n{welcome}\r\nContent-Length: 5"));
    sized.problem(413, "body-not-taken");
    let chunked =
        rig.raw(&format!("GET /api/v1/catalogue HTTP/1.1\r\n{welcome}\r\nTransfer-Encoding: chunked"));
    chunked.problem(413, "body-not-taken");
}

#[test]
fn until_the_journal_is_read_there_are_no_answers_instead_of_incomplete_ones() {
    let rig = Rig::new();
    rig.phase.send_replace(Phase::Starting(Progress { entries: 12, bytes: 3456 }));
    for target in [
        "/readyz",
        "/api/v1/city",
        "/api/v1/city/states",
        "/api/v1/latest",
        "/api/v1/lampposts",
        "/api/v1/lampposts/DF1",
        "/api/v1/lampposts/DF1/latest",
        "/api/v1/lampposts/DF1/series",
        "/api/v1/lampposts/DF1/stops",
        SERIES,
    ] {
        let answer = rig.get(target);
        let problem = answer.problem(503, "rebuilding");
        assert_eq!(problem["progress"]["entries"], 12, "{target}");
        assert_eq!(problem["progress"]["bytes"], 3456, "{target}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(rig.get("/healthz").json()["answer"], "yes");
    assert_eq!(rig.get("/").status, 200);
    rig.phase.send_replace(Phase::Ready);
    assert_eq!(rig.get("/readyz").json()["answer"], "yes");
    rig.get("/api/v1/latest").json();
}

#[test]
fn a_failed_part_is_neither_healthy_nor_ready_and_data_are_still_shown() {
    let rig = Rig::new();
    rig.phase.send_replace(Phase::Failing { part: "journal" });
    for probe in ["/healthz", "/readyz"] {
        let problem = rig.get(probe).problem(503, "unhealthy");
        assert!(problem["detail"].as_str().unwrap().contains("journal"));
    }
    rig.get("/api/v1/latest").json();
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let limits = WebLimits { answer: Duration::from_millis(100), ..WebLimits::default() };
    let rig = Rig::of(Shape { limits, ..Shape::default() });
    let held = rig.store.write().unwrap();
    rig.get("/api/v1/latest").problem(503, "too-slow");
    drop(held);
    // The read that was given up has its place until it is done.
    let begun = clock::monotonic();
    while rig.get("/api/v1/latest").status != 200 {
        assert!(clock::monotonic().duration_since(begun) < Duration::from_secs(20), "it stays blocked");
    }
}

#[test]
fn a_registry_that_does_not_answer_is_a_problem() {
    let rig = Rig::new();
    rig.runtime.block_on(rig.registry.close());
    rig.get("/api/v1/lampposts").problem(503, "registry-unavailable");
    rig.get("/api/v1/lampposts/DF1").problem(503, "registry-unavailable");
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let limits = WebLimits { idle: Duration::from_millis(50), ..WebLimits::default() };
    let rig = Rig::of(Shape { limits, ..Shape::default() });
    let mut silent = rig.connect();
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn every_kind_of_problem_explains_itself_without_a_token() {
    let rig = Rig::new();
    let mut names: Vec<&str> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
    for kind in ProblemKind::ALL {
        let explained = rig.get_with(&kind.type_uri(), &[]).json();
        assert_eq!(explained["type"], kind.type_uri());
        assert_eq!(explained["status"], kind.status().as_u16());
        assert!(explained["explanation"].as_str().unwrap().len() > 40, "{kind:?}");
    }
    names.dedup();
    assert_eq!(names.len(), ProblemKind::ALL.len());
}
