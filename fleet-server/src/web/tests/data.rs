use lamplighter_protocol::Reason;
use serde_json::{Value, json};

use super::rig::Rig;
use crate::clock;
use crate::web::Timestamp;

const SERIES: &str = "/api/v1/lampposts/DF1/series/weather-1/air_temperature";

#[test]
fn lampposts_come_page_by_page() {
    let rig = Rig::new();
    rig.import(&["DF2", "DF3", "DF4", "DF5"]);
    let mut numbers = Vec::new();
    let mut target = "/api/v1/lampposts?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = rig.get(&target).json();
        pages += 1;
        let lampposts = page["lampposts"].as_array().unwrap();
        numbers.extend(lampposts.iter().map(|one| one["number"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/api/v1/lampposts?limit=2&after={next}");
    }
    assert_eq!((pages, numbers), (3, ["DF1", "DF2", "DF3", "DF4", "DF5"].map(str::to_owned).to_vec()));
    assert_eq!(rig.get("/api/v1/lampposts?limit=5").json()["next"], Value::Null);
}

#[test]
fn a_lamppost_is_told_with_what_its_agent_reports() {
    let rig = Rig::new();
    let silent = rig.get("/api/v1/lampposts/DF1").json();
    for unknown in ["connection", "report", "backlog", "ledger", "last_acknowledged", "shortest_period_ms"] {
        assert_eq!(silent[unknown], Value::Null, "{unknown}");
    }
    rig.report_stops(&[]);
    let told = rig.get("/api/v1/lampposts/DF1").json();
    assert_eq!(told["road"], "Kai Cheung Road");
    assert_eq!(told["height_m"], 8.5);
    assert_eq!(
        (&told["backlog"], &told["shortest_period_ms"]),
        (&json!({"records": 12, "drains_in_s": null}), &json!(1000))
    );
    assert_eq!(told["last_acknowledged"], "2026-07-01T08:00:00.000Z");
    let report = &told["report"];
    assert_eq!(report["last_hello"], "2026-07-01T08:00:00.000Z");
    assert_eq!(report["last_observation"], "2026-07-01T08:00:09.000Z");
    assert_eq!(report["outbox"], "07".repeat(16));
    assert_eq!(report["hardware_serial"], Value::Null);
    let device = json!({
        "name": "weather-1", "model": "bme280",
        "grid": {"period_ms": 1000, "phase_ms": 0},
        "series": ["weather-1/air_temperature"],
    });
    assert_eq!(report["devices"][0], device);
}

#[test]
fn latest_values_come_with_unit_time_and_quality_and_none_is_no_number() {
    let rig = Rig::new();
    let begun = clock::wall();
    let latest = rig.get("/api/v1/lampposts/DF1/latest").json();
    let expected = json!([
        {
            "lamppost": "DF1", "device": "weather-1", "property": "air_temperature", "channel": null,
            "unit": "Cel", "statistic": "mean", "time": "2026-07-01T08:00:09.000Z",
            "value": 20.9, "quality": "good", "reason": "good", "period_ms": 1000,
        },
        {
            "lamppost": "DF1", "device": "weather-1", "property": "wind_direction", "channel": null,
            "unit": "deg", "statistic": "vector_mean", "time": "2026-07-01T08:00:00.000Z",
            "value": null, "quality": "bad", "reason": "no-answer", "period_ms": 1000,
        },
    ]);
    assert_eq!(latest["latest"], expected);
    assert_eq!(latest["event_id"], rig.live.head().to_string());
    let time = Timestamp::parse(latest["time"].as_str().unwrap()).unwrap();
    assert!((begun..=clock::wall()).contains(&time));
}

#[test]
fn the_latest_values_of_the_fleet_come_page_by_page() {
    let rig = Rig::new();
    rig.import(&["DF2"]);
    rig.observe("DF2", "air-1/pm2_5", 0, Some(12.5), Reason::GOOD);
    rig.observe("DF2", "air-1/pm2_5/max", 0, Some(40.0), Reason::GOOD);
    let mut found = Vec::new();
    let mut target = "/api/v1/latest?limit=1".to_owned();
    loop {
        let page = rig.get(&target).json();
        found.extend(page["latest"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/api/v1/latest?limit=1&after={next}");
    }
    assert_eq!(json!(found), rig.get("/api/v1/latest").json()["latest"]);
    let values: Vec<&Value> = found.iter().map(|one| &one["value"]).collect();
    assert_eq!(json!(values), json!([20.9, null, 12.5, 40.0]));
    assert_eq!(found[3]["channel"], "max");
}

#[test]
fn the_series_of_a_lamppost_say_from_when_to_when_they_can_be_asked_for() {
    let rig = Rig::new();
    let series = rig.get("/api/v1/lampposts/DF1/series").json();
    assert_eq!(series["series"][0]["resolution"], "0.01");
    assert_eq!(series["series"][0]["grid"], json!({"period_ms": 1000, "phase_ms": 0}));
    assert_eq!(series["series"][0]["floor"], Value::Null);
    assert_eq!(series["series"][0]["latest"], "2026-07-01T08:00:09.000Z");
}

#[test]
fn observations_of_a_range_take_in_its_begin_leave_out_its_end_and_come_page_by_page() {
    let rig = Rig::new();
    let range = "from=2026-07-01T16:00:02%2B08:00&to=2026-07-01T08:00:08Z";
    let mut seconds = Vec::new();
    let mut target = format!("{SERIES}?{range}&limit=4");
    let mut pages = 0;
    loop {
        let page = rig.get(&target).json();
        pages += 1;
        assert_eq!((&page["unit"], &page["from"]), (&json!("Cel"), &json!("2026-07-01T08:00:02.000Z")));
        let observations = page["observations"].as_array().unwrap();
        seconds.extend(observations.iter().map(|one| one["time"].as_str().unwrap()[17..19].to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("{SERIES}?{range}&limit=4&after={next}");
    }
    assert_eq!(seconds, ["02", "03", "04", "05", "06", "07"]);
    assert_eq!(pages, 2);
}

#[test]
fn a_range_left_out_is_the_last_hour_with_the_newest_observation() {
    let rig = Rig::new();
    rig.observe("DF1", "weather-1/air_temperature", -3_600_000, Some(1.0), Reason::GOOD);
    let data = rig.get(SERIES).json();
    assert_eq!(data["from"], "2026-07-01T07:00:09.001Z");
    assert_eq!(data["to"], "2026-07-01T08:00:09.001Z");
    assert_eq!(data["observations"].as_array().unwrap().len(), 10);
    let later = rig.get(&format!("{SERIES}?from=2026-07-02T00:00:00Z")).json();
    assert_eq!(later["observations"], json!([]));
}

#[test]
fn buckets_are_made_by_the_statistic_and_count_qualities() {
    let rig = Rig::new();
    rig.observe("DF1", "weather-1/air_temperature", 10_000, Some(90.0), Reason::OUT_OF_RANGE);
    rig.observe("DF1", "weather-1/air_temperature", 11_000, None, Reason::NO_ANSWER);
    let data =
        rig.get(&format!("{SERIES}?from=2026-07-01T08:00:08Z&to=2026-07-01T09:00:00Z&step=PT10S")).json();
    assert_eq!(data["step"], "PT10S");
    let expected = json!([
        {
            "start": "2026-07-01T08:00:00.000Z", "end": "2026-07-01T08:00:10.000Z",
            "value": 20.85, "minimum": 20.8, "maximum": 20.9, "good": 2, "uncertain": 0, "bad": 0,
        },
        {
            "start": "2026-07-01T08:00:10.000Z", "end": "2026-07-01T08:00:20.000Z",
            "value": 90.0, "minimum": 90.0, "maximum": 90.0, "good": 0, "uncertain": 1, "bad": 1,
        },
    ]);
    assert_eq!(data["buckets"], expected);
    let seconds =
        rig.get(&format!("{SERIES}?from=2026-07-01T08:00:00Z&to=2026-07-01T08:00:10Z&step=5")).json();
    assert_eq!(seconds["buckets"].as_array().unwrap().len(), 2);
}

#[test]
fn wind_directions_are_summed_up_as_vectors() {
    let rig = Rig::new();
    for (second, direction) in [(1, 350.0), (2, 30.0), (3, 10.0)] {
        rig.observe("DF1", "weather-1/wind_direction", second * 1000, Some(direction), Reason::GOOD);
    }
    let target = "/api/v1/lampposts/DF1/series/weather-1/wind_direction?from=2026-07-01T08:00:00Z&step=PT1H";
    let data = rig.get(target).json();
    let bucket = &data["buckets"][0];
    assert!((bucket["value"].as_f64().unwrap() - 10.0).abs() < 1e-6, "{bucket}");
    assert_eq!((&bucket["minimum"], &bucket["maximum"]), (&Value::Null, &Value::Null));
    assert_eq!((&bucket["good"], &bucket["bad"]), (&json!(3), &json!(1)));
    assert_eq!(data["statistic"], "vector_mean");
}

#[test]
fn figures_are_printed_for_prometheus() {
    let rig = Rig::new();
    rig.get("/nothing").problem(404, "not-found");
    let answer = rig.get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.text.contains("lamplighter_web_requests_total{status=\"404\"} 1"), "{}", answer.text);
    assert!(answer.text.ends_with("# EOF\n"));
}
