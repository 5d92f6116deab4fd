//! What an agent does not find where its configuration says: it samples all the same, and says what is missing.

use std::time::Duration;

use hil_tests::fleet::{ServerProcess, wait_for};
use serde_json::{Value, json};

use super::agent_process::AgentProcess;
use super::commands::binaries;

const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn without_its_certificate_an_agent_samples_on_says_why_it_is_not_connected_and_connects_once_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let issued = server.enrol(&["DF3637"]).unwrap().0.join("DF3637");
    let certificates = folder.path().join("not-there-yet");
    let mut agent = AgentProcess::start(folder.path(), &server, "DF3637", &certificates, "");

    // The run's opening, and what was sampled: a sample is counted as read just before it is in the outbox.
    let in_outbox = |status: &Value| count(&status["backlog"]["records"]) > 3;
    let sampling =
        || agent.status().filter(|status| count(&status["sensors"][0]["read"]) >= 3 && in_outbox(status));
    let status = wait_for("three samples in the outbox", PATIENCE, sampling).unwrap();
    let missing = format!(
        "cannot read a certificate from {}: I/O error: No such file or directory (os error 2)",
        certificates.join("ca.pem").display()
    );
    assert_eq!(status["connection"]["connected"], json!(false));
    assert_eq!(status["connection"]["last_error"], json!(missing));
    assert_eq!(status["connection"]["server"], json!(server.mqtt().to_string()));
    assert_eq!(status["sensors"][0]["last_values"], json!(3));
    let said = agent.status_for_people();
    assert!(said.contains(&format!("{}, NOT connected for ", server.mqtt())), "{said}");
    assert!(said.contains(&format!("\n          last error: {missing}\n")), "{said}");
    assert!(!agent.has_ended());

    std::fs::rename(issued, &certificates).unwrap();
    let connected = || agent.status().filter(|status| status["connection"]["connected"] == json!(true));
    let status = wait_for("a connection", PATIENCE, connected).unwrap();
    let (read, missed) = (count(&status["sensors"][0]["read"]), count(&status["sensors"][0]["missed"]));
    assert_eq!(missed, 0);
    let path = "/api/v1/lampposts/DF3637/series/air-1/pm2_5?limit=10000";
    let stored = || {
        let (status, text) = server.api().ask(path).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let observations = document["observations"].as_array().filter(|_| status == 200)?.len() as u64;
        (observations >= read).then_some(observations)
    };
    wait_for("all that was sampled without a connection", PATIENCE, stored).unwrap();
}

#[test]
fn a_bus_that_is_not_there_gives_bad_observations_and_the_other_bus_goes_on() {
    const MISSING_BUS: &str = r#"
[[bus]]
name = "i2c-env"
kind = "i2c"
path = "/dev/i2c-99"

[[device]]
name = "weather-1"
bus = "i2c-env"
sensor = "bme280"
address = 0x76
every_s = 1
"#;
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let certificates = server.enrol(&["DF3637"]).unwrap().0.join("DF3637");
    let mut agent = AgentProcess::start(folder.path(), &server, "DF3637", &certificates, MISSING_BUS);

    let both_read = || {
        let status = agent.status()?;
        let well = count(&status["sensors"][0]["read"]) - count(&status["sensors"][0]["bad"]);
        (well >= 3 && count(&status["sensors"][1]["bad"]) >= 3).then_some(status)
    };
    let status = wait_for("three ticks of both buses", PATIENCE, both_read).unwrap();
    let why = "cannot open the I2C bus /dev/i2c-99: check that it is enabled, and that the agent's group may use it: \
               No such file or directory (os error 2)";
    let (air, i2c) = (&status["buses"][0], &status["buses"][1]);
    assert_eq!((&air["open"], &air["last_error"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&i2c["path"], &i2c["open"], &i2c["reopened"]),
        (&json!("/dev/i2c-99"), &json!(false), &json!(0))
    );
    assert_eq!(i2c["last_error"], json!(why));
    let weather = &status["sensors"][1];
    assert_eq!((&weather["name"], &weather["identified"]), (&json!("weather-1"), &json!(false)));
    assert_eq!((&weather["read"], &weather["last_values"]), (&weather["bad"], &json!(0)));
    assert_eq!(status["sensors"][0]["last_values"], json!(3));
    let said = agent.status_for_people();
    // A column is as wide as its widest cell, and the other bus's path is the machine's choice.
    let rows: Vec<String> =
        said.lines().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(rows.contains(&format!("i2c-env i2c /dev/i2c-99 NO 0 {why}")), "{said}");

    let latest = || {
        let document = server.api().json("/api/v1/lampposts/DF3637/latest").unwrap();
        let latest = document["latest"].as_array().unwrap().clone();
        let of = |device| latest.iter().filter(move |one| one["device"] == device);
        (of("weather-1").count() == 3 && of("air-1").count() == 3).then_some(latest)
    };
    for one in wait_for("observations of both devices", PATIENCE, latest).unwrap() {
        if one["device"] == "weather-1" {
            assert_eq!(
                (&one["value"], &one["quality"], &one["reason"]),
                (&Value::Null, &json!("bad"), &json!("no-answer"))
            );
        } else if one["device"] == "air-1" {
            assert!(one["value"].is_number() && one["quality"] != "bad", "{one}");
        }
    }
    assert!(!agent.has_ended());
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}
