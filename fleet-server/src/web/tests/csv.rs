use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use lamplighter_protocol::{Reason, UtcMillis};
use tokio::net::TcpSocket;

use super::rig::{Answer, Rig, START, Shape, series_name};
use crate::store::{Point, SeriesKey, TailOptions};

const SERIES: &str = "/api/v1/lampposts/DF1/series/weather-1/air_temperature";

/// The text of a file that came whole.
fn file(answer: &Answer, name: &str) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let disposition = format!("attachment; filename=\"{name}\"");
    assert_eq!(answer.header("content-disposition"), Some(&*disposition));
    answer.text.clone()
}

/// Adds observations of DF1's air temperature, a second apart.
fn observe(rig: &Rig, seconds: std::ops::Range<i64>) {
    let name = series_name("weather-1/air_temperature");
    let mut store = rig.store.write().unwrap();
    let id = store.find(&SeriesKey { lamppost: "DF1".parse().unwrap(), name }).unwrap();
    for second in seconds {
        let time = UtcMillis(START + second * 1000);
        store.insert(id, Point { time, value: Some(21.5), reason: Reason::GOOD });
    }
}

#[test]
fn observations_are_rows_and_what_has_no_value_has_an_empty_cell() {
    let rig = Rig::new();
    rig.observe("DF1", "weather-1/air_temperature", 2_500, Some(-0.25), Reason::OUT_OF_RANGE);
    rig.observe("DF1", "weather-1/air_temperature", 2_750, None, Reason::NO_ANSWER);
    rig.observe("DF1", "weather-1/air_temperature", 2_800, Some(30.0), Reason(7));
    let target = format!("{SERIES}?from=2026-07-01T08:00:02Z&to=2026-07-01T08:00:04Z&format=csv");
    let expected = "time,value,unit,quality,reason\r\n\
        2026-07-01T08:00:02.000Z,20.2,Cel,good,good\r\n\
        2026-07-01T08:00:02.500Z,-0.25,Cel,uncertain,out-of-range\r\n\
        2026-07-01T08:00:02.750Z,,Cel,bad,no-answer\r\n\
        2026-07-01T08:00:02.800Z,30.0,Cel,uncertain,reason-7\r\n\
        2026-07-01T08:00:03.000Z,20.3,Cel,good,good\r\n";
    assert_eq!(file(&rig.get(&target), "DF1_weather-1_air_temperature.csv"), expected);
}

#[test]
fn buckets_are_rows_with_their_unit() {
    let rig = Rig::new();
    rig.observe("DF1", "weather-1/air_temperature", 10_000, None, Reason::NO_ANSWER);
    rig.observe("DF1", "weather-1/air_temperature", 20_000, Some(90.0), Reason::OUT_OF_RANGE);
    let target = format!("{SERIES}?from=2026-07-01T08:00:08Z&to=2026-07-01T09:00:00Z&step=10&format=csv");
    let expected = "start,end,value,minimum,maximum,good,uncertain,bad,unit\r\n\
        2026-07-01T08:00:00.000Z,2026-07-01T08:00:10.000Z,20.85,20.8,20.9,2,0,0,Cel\r\n\
        2026-07-01T08:00:10.000Z,2026-07-01T08:00:20.000Z,,,,0,0,1,Cel\r\n\
        2026-07-01T08:00:20.000Z,2026-07-01T08:00:30.000Z,90.0,90.0,90.0,0,1,0,Cel\r\n";
    assert_eq!(file(&rig.get(&target), "DF1_weather-1_air_temperature_PT10S.csv"), expected);
}

#[test]
fn a_range_without_observations_is_a_header_row() {
    let rig = Rig::new();
    let empty = rig.get(&format!("{SERIES}?from=2026-07-02T00:00:00Z&format=csv"));
    assert_eq!(file(&empty, "DF1_weather-1_air_temperature.csv"), "time,value,unit,quality,reason\r\n");
    let empty = rig.get(&format!("{SERIES}?from=2026-07-02T00:00:00Z&step=P1D&format=csv"));
    let text = file(&empty, "DF1_weather-1_air_temperature_P1D.csv");
    assert_eq!(text, "start,end,value,minimum,maximum,good,uncertain,bad,unit\r\n");
}

#[test]
fn a_file_holds_the_whole_range_however_many_pages_it_takes() {
    let rig = Rig::new();
    observe(&rig, 10..25_000);
    let text = file(
        &rig.get(&format!("{SERIES}?from=2026-07-01T08:00:00Z&format=csv")),
        "DF1_weather-1_air_temperature.csv",
    );
    let times: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(times.len(), 25_000);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "once each and in order");
    assert_eq!(times.last(), Some(&"2026-07-01T14:56:39.000Z"));
}

#[test]
fn a_channel_is_in_the_name_of_the_file() {
    let rig = Rig::new();
    rig.observe("DF1", "air-1/pm2_5/max", 0, Some(40.0), Reason::GOOD);
    let answer = rig.get("/api/v1/lampposts/DF1/series/air-1/pm2_5?channel=max&format=csv");
    assert!(file(&answer, "DF1_air-1_pm2_5_max.csv").ends_with("Z,40.0,ug/m3,good,good\r\n"));
}

#[test]
fn what_a_file_cannot_hold_is_a_problem_document_as_ever() {
    let tail = TailOptions { max_observations: 64, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    observe(&rig, 10..300);
    let cases = [
        ("format=xml", 400, "invalid-parameter", "format"),
        ("format=csv&format=csv", 400, "invalid-parameter", "format"),
        ("format=csv&limit=5", 400, "invalid-parameter", "limit"),
        ("format=csv&after=5", 400, "invalid-parameter", "after"),
        ("format=csv&from=2&to=1", 400, "empty-range", "from"),
        ("format=csv&from=0&to=2026-07-01T08:00:00Z&step=1", 400, "too-many-buckets", "step"),
        ("format=csv&channel=max", 404, "unknown-series", "channel"),
        ("format=csv&from=0", 410, "older-than-tail", "from"),
        ("format=csv&from=2026-07-01T08:00:00Z&step=60", 410, "older-than-tail", "from"),
    ];
    for (query, status, name, parameter) in cases {
        let problem = rig.get(&format!("{SERIES}?{query}")).problem(status, name);
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
    rig.get(&format!("{SERIES}?format=json&limit=5")).json();
}

#[test]
fn a_client_that_could_not_tell_a_part_of_a_file_from_the_whole_is_refused() {
    let rig = Rig::new();
    let target = format!("{SERIES}?from={START}&format=csv");
    let refused = rig.raw(&format!("GET {target} HTTP/1.0\r\n{}", rig.welcome()));
    let problem = refused.problem(426, "http-too-old");
    assert!(problem["detail"].as_str().unwrap().contains("HTTP/1.1"));
    assert_eq!(refused.header("upgrade"), Some("HTTP/1.1"));
    // What is whole before it is sent says how long it is.
    for target in [format!("{SERIES}?from={START}"), format!("{target}&step=60")] {
        let answer = rig.raw(&format!("GET {target} HTTP/1.0\r\n{}", rig.welcome()));
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-length"), Some(&*answer.text.len().to_string()), "{target}");
    }
}

#[test]
fn a_file_whose_begin_is_left_out_is_never_older_than_the_memory_however_fast_that_moves_on() {
    let tail = TailOptions { max_observations: 64, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    observe(&rig, 10..100);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut second = 100;
            while !done.load(Ordering::Relaxed) {
                observe(&rig, second..second + 1);
                second += 1;
                std::thread::yield_now();
            }
        });
        let statuses: Vec<u16> = (0..50).map(|_| rig.get(&format!("{SERIES}?format=csv")).status).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(statuses, [200; 50]);
    });
}

/// 20 MB of text: several times what the sockets of both ends hold.
const LONG: i64 = 400_000;

#[test]
fn a_file_whose_rest_leaves_the_memory_breaks_off_and_does_not_pass_for_a_whole_one() {
    let most = usize::try_from(LONG).unwrap() + 100;
    let tail = TailOptions { max_observations: most, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    observe(&rig, 10..LONG);
    let mut client = slow(&rig, rig.address);
    write!(
        client,
        "GET {SERIES}?from={START}&format=csv HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n",
        rig.welcome()
    )
    .unwrap();
    let mut received = vec![0; 4096];
    client.read_exact(&mut received).unwrap();
    observe(&rig, LONG..2 * LONG);
    // However it ends: with a reset, or just so.
    drop(client.read_to_end(&mut received));
    let text = String::from_utf8_lossy(&received);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("transfer-encoding: chunked\r\n"));
    assert!(!text.ends_with("\r\n0\r\n\r\n"), "it ends as if it were whole");
    assert!(text.lines().filter(|line| line.ends_with(",good,good")).count() > 4_000);
}

/// A connection whose client takes little at a time.
fn slow(rig: &Rig, address: SocketAddr) -> std::net::TcpStream {
    let connected = rig.runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    connected.set_nonblocking(false).unwrap();
    connected.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    connected
}
