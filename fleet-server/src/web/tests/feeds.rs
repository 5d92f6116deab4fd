use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::rig::{Answer, Rig, START, Shape, live_observation};
use crate::clock;
use crate::live::LiveOptions;
use crate::web::WebLimits;

/// A client of `/live`, past the comment that opens the feed.
#[derive(Debug)]
struct Client(BufReader<TcpStream>);

/// An event as its lines have it.
#[derive(Debug, PartialEq)]
struct Seen {
    event: String,
    id: Option<String>,
    data: Value,
}

#[test]
fn observations_arrive_as_events_with_ids() {
    let rig = Rig::new();
    let mut client = Client::open(&rig, "/live").unwrap();
    rig.live.publish(live_observation("DF1", 250));
    let data = json!({
        "lamppost": "DF1", "series": "weather-1/air_temperature", "time_ms": START + 250, "value": 21.5,
        "unit": "Cel", "quality": "good", "reason": "good", "received_ms": START + 255,
    });
    let id = format!("DF1/weather-1/air_temperature/{}", START + 250);
    assert_eq!(client.next().unwrap(), Seen { event: "observation".to_owned(), id: Some(id), data });
}

#[test]
fn a_feed_of_one_lamppost_carries_no_other() {
    let rig = Rig::new();
    rig.import(&["DF2"]);
    let mut client = Client::open(&rig, "/live?lamppost=DF2").unwrap();
    rig.live.publish(live_observation("DF1", 0));
    rig.live.publish(live_observation("DF2", 0));
    assert_eq!(client.next().unwrap().data["lamppost"], "DF2");
}

#[test]
fn a_client_that_lags_is_told_how_many_it_missed() {
    let rig = Rig::of(Shape { live: LiveOptions { queue: 2 }, ..Shape::default() });
    let mut client = Client::open(&rig, "/live").unwrap();
    let live = rig.live.clone();
    // On the server's only worker: the feed cannot run between two of them.
    let published =
        rig.runtime.spawn(async move { (0..5).for_each(|ms| live.publish(live_observation("DF1", ms))) });
    rig.runtime.block_on(published).unwrap();
    let missed = client.next().unwrap();
    assert_eq!((missed.event.as_str(), &missed.data), ("missed", &json!({"missed": 3})));
    assert_eq!(client.next().unwrap().data["time_ms"], START + 3);
    assert_eq!(client.next().unwrap().data["time_ms"], START + 4);
}

#[test]
fn a_quiet_feed_says_that_it_is_alive_and_is_not_taken_for_dead() {
    let (keep_alive, idle) = (Duration::from_millis(20), Duration::from_secs(1));
    let rig =
        Rig::of(Shape { limits: WebLimits { keep_alive, idle, ..WebLimits::default() }, ..Shape::default() });
    let mut client = Client::open(&rig, "/live").unwrap();
    let begun = clock::monotonic();
    while clock::monotonic().duration_since(begun) < idle * 3 / 2 {
        let line = client.line().unwrap();
        assert!(line.is_empty() || line == ": keep-alive" || line == "retry: 2000", "{line}");
    }
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

impl Client {
    fn open(rig: &Rig, target: &str) -> Result<Self, Answer> {
        let mut stream = rig.connect();
        write!(stream, "GET {target} HTTP/1.1\r\n{}\r\n\r\n", rig.welcome()).unwrap();
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
        let mut client = Self(reader);
        assert_eq!(client.line().as_deref(), Some(": live"));
        Ok(client)
    }

    /// The next event; none at the end of the feed.
    fn next(&mut self) -> Option<Seen> {
        let (mut event, mut id, mut data) = (None, None, None);
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", text)) => event = Some(text.to_owned()),
                Some(("id", text)) => id = Some(text.to_owned()),
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
            self.0.read_line(&mut line).ok().filter(|read| *read > 0)?;
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
