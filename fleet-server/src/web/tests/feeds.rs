use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use lamplighter_protocol::{Quality, UtcMillis};
use serde_json::{Value, json};

use super::rig::{Answer, Rig, START, Shape, live_observation};
use crate::clock;
use crate::live::{LamppostState, LiveOptions, Status};
use crate::web::WebLimits;

/// A client of `/live`, past the time that opens the feed.
#[derive(Debug)]
struct Client {
    reader: BufReader<TcpStream>,
    hello: Option<Seen>,
    /// When the server wants it back, in milliseconds.
    retry: Option<String>,
}

/// An event as its lines have it.
#[derive(Debug, PartialEq)]
struct Seen {
    event: String,
    id: Option<String>,
    data: Value,
}

#[test]
fn changes_arrive_as_events_with_ids() {
    let rig = Rig::new();
    let mut client = Client::open(&rig, "/live").unwrap();
    rig.live.publish(live_observation("DF1", 250));
    let observation = json!({
        "lamppost": "DF1", "series": "weather-1/air_temperature", "time_ms": START + 250, "value": 21.5,
        "unit": "Cel", "quality": "good", "reason": "good", "received_ms": START + 255, "period_ms": 1000,
    });
    let id = Some(rig.live.head().to_string());
    let data = json!({"observations": [observation], "states": [], "replaced": 0});
    assert_eq!(client.next().unwrap(), Seen { event: "changes".to_owned(), id, data });
    rig.live.publish_state(state("DF1"));
    let state = json!({
        "lamppost": "DF1", "status": "late", "since_ms": null, "quality": null, "bad": 0, "uncertain": 0,
        "last_observation_ms": null,
    });
    let id = Some(rig.live.head().to_string());
    let data = json!({"observations": [], "states": [state], "replaced": 0});
    assert_eq!(client.next().unwrap(), Seen { event: "changes".to_owned(), id, data });
}

#[test]
fn a_feed_carries_what_its_query_asks_for() {
    let rig = Rig::new();
    rig.import(&["DF2"]);
    let publish = |time| {
        rig.live.publish(live_observation("DF1", time));
        rig.live.publish(live_observation("DF2", time));
        rig.live.publish_state(state("DF1"));
        rig.live.publish_state(state("DF2"));
    };
    let before = rig.live.head();
    publish(0);
    let cases = [
        ("lamppost=DF2", vec!["DF2"], vec!["DF2"]),
        ("property=wind_direction", vec![], vec!["DF1", "DF2"]),
        ("property=air_temperature&lamppost=DF1", vec!["DF1"], vec!["DF1"]),
        ("observations=none", vec![], vec!["DF1", "DF2"]),
        ("observations=all", vec!["DF1", "DF2"], vec!["DF1", "DF2"]),
    ];
    for (query, observations, states) in cases {
        let mut client = Client::open(&rig, &format!("/live?{query}&after={before}")).unwrap();
        let data = client.next().unwrap().data;
        let lampposts = |of: &Value| -> Vec<String> {
            let all = of.as_array().unwrap().iter();
            all.map(|one| one["lamppost"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            (lampposts(&data["observations"]), lampposts(&data["states"])),
            (
                observations.into_iter().map(str::to_owned).collect(),
                states.into_iter().map(str::to_owned).collect(),
            ),
            "{query}"
        );
    }
}

#[test]
fn who_reads_the_latest_values_and_then_follows_misses_nothing() {
    let rig = Rig::new();
    let latest = rig.get("/api/v1/lampposts/DF1/latest").json();
    rig.live.publish(live_observation("DF1", 10_000));
    let target = format!("/live?lamppost=DF1&after={}", latest["event_id"].as_str().unwrap());
    let mut client = Client::open(&rig, &target).unwrap();
    assert_eq!(client.next().unwrap().data["observations"][0]["time_ms"], START + 10_000);
}

#[test]
fn a_client_that_comes_back_goes_on_after_its_last_event() {
    let rig = Rig::new();
    let begin = rig.live.head();
    rig.live.publish(live_observation("DF1", 1));
    let last = rig.live.head().to_string();
    rig.live.publish(live_observation("DF1", 2));
    let target = format!("/live?after={begin}");
    let mut client = Client::open_with(&rig, &target, &format!("\r\nLast-Event-ID: {last}")).unwrap();
    assert_eq!(client.next().unwrap().data["observations"][0]["time_ms"], START + 2);
    assert_eq!(rig.live_metrics.collapsed.get(), 0, "the header wins over the query");
}

#[test]
fn a_client_of_another_life_or_of_none_is_told_to_begin_anew() {
    let rig = Rig::new();
    rig.live.publish(live_observation("DF1", 1));
    let id = Some(rig.live.head().to_string());
    let data = json!({"reason": "restarted"});
    for last in ["0000000000000000-1", "nonsense", ""] {
        let header = format!("\r\nLast-Event-ID: {last}");
        let mut client = Client::open_with(&rig, "/live", &header).unwrap();
        assert_eq!(
            client.next().unwrap(),
            Seen { event: "reset".to_owned(), id: id.clone(), data: data.clone() },
            "{last}"
        );
    }
    let mut client = Client::open(&rig, "/live?after=0000000000000000-1").unwrap();
    assert_eq!(client.next().unwrap().data, data);
}

#[test]
fn a_client_that_lags_too_far_is_told_to_begin_anew() {
    let options = LiveOptions { ring: 2, ..LiveOptions::default() };
    let rig = Rig::of(Shape { live: options, ..Shape::default() });
    let mut client = Client::open(&rig, "/live").unwrap();
    let live = rig.live.clone();
    // On the server's only worker: the feed cannot run between two of them.
    let published =
        rig.runtime.spawn(async move { (0..5).for_each(|ms| live.publish(live_observation("DF1", ms))) });
    rig.runtime.block_on(published).unwrap();
    let (event, id) = ("reset".to_owned(), Some(rig.live.head().to_string()));
    assert_eq!(client.next().unwrap(), Seen { event, id, data: json!({"reason": "too_far_behind"}) });
    rig.live.publish(live_observation("DF1", 5));
    assert_eq!(client.next().unwrap().data["observations"][0]["time_ms"], START + 5);
}

#[test]
fn a_busy_feed_sends_no_more_often_than_it_may() {
    let rig = Rig::new();
    let begun = clock::monotonic();
    let mut client = Client::open(&rig, "/live").unwrap();
    let live = rig.live.clone();
    let publisher = std::thread::spawn(move || {
        for ms in 0..600 {
            live.publish(live_observation("DF1", ms));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let mut events = 0;
    let mut told = 0;
    while told < 600 {
        told += client.next().unwrap().data["observations"].as_array().unwrap().len();
        events += 1;
    }
    let pause = LiveOptions::default().pause.as_millis();
    let pauses = clock::monotonic().duration_since(begun).as_millis() / pause;
    assert!(events <= pauses + 1, "{events} events in {pauses} times {pause} ms");
    publisher.join().unwrap();
}

#[test]
fn a_quiet_feed_tells_the_time_and_is_not_taken_for_dead() {
    let (feed_time, idle) = (Duration::from_millis(20), Duration::from_secs(1));
    let rig =
        Rig::of(Shape { limits: WebLimits { feed_time, idle, ..WebLimits::default() }, ..Shape::default() });
    let before = clock::wall();
    let mut client = Client::open(&rig, "/live").unwrap();
    let begun = clock::monotonic();
    while clock::monotonic().duration_since(begun) < idle * 3 / 2 {
        let Seen { event, id, data } = client.any().unwrap();
        // Where it would go on, however long nothing was to be told.
        assert_eq!((event, id), ("time".to_owned(), Some(rig.live.head().to_string())));
        assert!(data["time_ms"].as_i64().unwrap() >= before.0);
    }
}

#[test]
fn a_client_that_never_reads_is_let_go() {
    let limits = WebLimits { idle: Duration::from_millis(500), ..WebLimits::default() };
    let live = LiveOptions { pause: Duration::ZERO, ..LiveOptions::default() };
    let rig = Rig::of(Shape { limits, live, ..Shape::default() });
    let client = Client::open(&rig, "/live").unwrap();
    let begun = clock::monotonic();
    while rig.live_metrics.feeds.get() > 0 {
        assert!(clock::monotonic().duration_since(begun) < Duration::from_secs(20), "the feed goes on");
        (0..1_000).for_each(|number| rig.live.publish(live_observation(&format!("DF{number}"), 0)));
    }
    drop(client);
}

#[test]
fn asking_for_the_head_of_a_feed_takes_no_place() {
    let rig = Rig::of(Shape { limits: WebLimits { feeds: 1, ..WebLimits::default() }, ..Shape::default() });
    for _ in 0..3 {
        let answer = rig.raw(&format!("HEAD /live HTTP/1.1\r\n{}", rig.welcome()));
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    }
    assert!(Client::open(&rig, "/live").is_ok());
}

#[test]
fn as_many_feeds_as_allowed_are_served_and_a_place_is_given_back() {
    let limits = WebLimits { feeds: 2, ..WebLimits::default() };
    let rig = Rig::of(Shape { limits, ..Shape::default() });
    let one = Client::open(&rig, "/live").unwrap();
    let _other = Client::open(&rig, "/live").unwrap();
    let problem = Client::open(&rig, "/live").unwrap_err().problem(503, "too-many-clients");
    assert!(problem["detail"].as_str().unwrap().contains("there are 2 live feeds"));
    drop(one);
    let begun = clock::monotonic();
    while Client::open(&rig, "/live").is_err() {
        assert!(clock::monotonic().duration_since(begun) < Duration::from_secs(20), "the place stays taken");
    }
}

#[test]
fn a_stop_ends_feeds_and_the_server() {
    let mut rig = Rig::new();
    let mut client = Client::open(&rig, "/live").unwrap();
    rig.stop.cancel();
    assert_eq!(client.next(), None);
    let serving = rig.serving.take().unwrap();
    rig.runtime.block_on(serving).unwrap().unwrap();
    assert!(TcpStream::connect(rig.address).is_err());
}

#[test]
fn what_was_published_before_a_stop_is_told_before_the_feed_ends() {
    // The feed rests when the last ones come.
    let live = LiveOptions { pause: Duration::from_mins(1), event: 2, lag: 2, ..LiveOptions::default() };
    let rig = Rig::of(Shape { live, ..Shape::default() });
    rig.import(&["DF2"]);
    let mut all = Client::open(&rig, "/live").unwrap();
    let mut narrow = Client::open(&rig, "/live?lamppost=DF2").unwrap();
    rig.live.publish(live_observation("DF1", 0));
    assert_eq!(all.next().unwrap().data["observations"][0]["time_ms"], START);
    for lamppost in ["DF1", "DF3", "DF4"] {
        rig.live.publish(live_observation(lamppost, 1));
    }
    rig.live.close();
    rig.stop.cancel();
    let lampposts = |seen: &Seen| {
        let observations = seen.data["observations"].as_array().unwrap().iter();
        observations.map(|one| one["lamppost"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lampposts(&all.next().unwrap()), ["DF1", "DF3"]);
    let last = all.next().unwrap();
    assert_eq!((lampposts(&last), last.id), (vec!["DF4".to_owned()], Some(rig.live.head().to_string())));
    assert_eq!((all.next(), narrow.next()), (None, None));
}

#[test]
fn a_stop_waits_for_no_client_that_never_reads() {
    let limits = WebLimits { stop: Duration::from_millis(50), ..WebLimits::default() };
    let mut rig = Rig::of(Shape { limits, ..Shape::default() });
    let mut half = rig.connect();
    write!(half, "GET / HTTP/1.1\r\n").unwrap();
    // It is accepted once another one, which came later, is answered.
    assert_eq!(rig.get_with("/healthz", &[]).status, 200);
    rig.stop.cancel();
    let serving = rig.serving.take().unwrap();
    rig.runtime.block_on(serving).unwrap().unwrap();
}

/// The event and data of a `time`, of a `reset`, and of `changes` of an observation and two states.
pub(super) fn one_of_each_event(rig: &Rig) -> Vec<(String, Value)> {
    let mut client = Client::open(rig, "/live?after=0000000000000000-1").unwrap();
    let time = client.hello.take().unwrap();
    let reset = client.next().unwrap();
    let whole = LamppostState {
        since: Some(UtcMillis(START)),
        quality: Some(Quality::Uncertain),
        last_observation: Some(UtcMillis(START)),
        ..state("DF2")
    };
    rig.runtime.block_on(async {
        rig.live.publish(live_observation("DF1", 0));
        rig.live.publish_state(state("DF1"));
        rig.live.publish_state(whole);
    });
    let changes = client.next().unwrap();
    [time, reset, changes].map(|seen| (seen.event, seen.data)).into()
}

fn state(lamppost: &str) -> LamppostState {
    LamppostState {
        lamppost: lamppost.parse().unwrap(),
        status: Status::Late,
        since: None,
        quality: None,
        bad: 0,
        uncertain: 0,
        last_observation: None,
    }
}

impl Client {
    fn open(rig: &Rig, target: &str) -> Result<Self, Answer> {
        Self::open_with(rig, target, "")
    }

    /// With more lines of headers.
    fn open_with(rig: &Rig, target: &str, headers: &str) -> Result<Self, Answer> {
        let mut stream = rig.connect();
        write!(stream, "GET {target} HTTP/1.1\r\n{}{headers}\r\n\r\n", rig.welcome()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        if !head.starts_with("HTTP/1.1 200") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            std::io::Read::read_exact(&mut reader, &mut body).unwrap();
            return Err(Answer::parse(&format!("{head}{}", String::from_utf8(body).unwrap())));
        }
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        let mut client = Self { reader, hello: None, retry: None };
        client.hello = client.any();
        assert_eq!(client.hello.as_ref().unwrap().event, "time");
        assert_eq!(client.retry.as_deref(), Some("2000"));
        Ok(client)
    }

    /// The next event that does not tell the time; none at the end of the feed.
    fn next(&mut self) -> Option<Seen> {
        std::iter::from_fn(|| self.any()).find(|seen| seen.event != "time")
    }

    /// The next event; none at the end of the feed.
    fn any(&mut self) -> Option<Seen> {
        let (mut event, mut id, mut data) = (None, None, None);
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", text)) => event = Some(text.to_owned()),
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("retry", text)) => self.retry = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                Some(_) => {}
                None => {
                    if let (Some(event), Some(data)) = (event.take(), data.take()) {
                        return Some(Seen { event, id, data });
                    }
                }
            }
        }
    }

    /// The next line of the feed, without what chunked transfer puts around it.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line.trim_end() == "0" {
                return None;
            }
            let ends_chunk = line == "\r\n";
            let begins_chunk = line.ends_with("\r\n");
            if !ends_chunk && !begins_chunk {
                return Some(line.trim_end().to_owned());
            }
        }
    }
}
