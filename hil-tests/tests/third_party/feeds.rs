//! Departments: mosquitto's client and, over WebSocket, Eclipse's hear what was granted, and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hil_tests::fleet::{Ending, wait_for};
use serde_json::{Value, json};

use crate::lamppost::{measurements, yesterday};
use crate::stage::{Stage, python, run};

const A: &str = "GF0001";
const HOUR_MS: i64 = 3_600_000;

const TOPICS: [&str; 4] = [
    "highway/weather/Kwun Tong/GF0001/air_temperature",
    "highway/weather/Kwun Tong/GF0001/wind_direction",
    "highway/weather/Kwun Tong/GF0001/wind_gust",
    "highway/weather/Kwun Tong/GF0001/wind_speed",
];

#[test]
fn mosquitto_hears_what_a_department_is_granted_after_a_restart_and_live_and_is_refused_what_is_anothers() {
    let city = City::after_a_day();
    let said = run(city.listen("weather", "highway/#", 1).args(["-C", "4", "-F", "%r %q %t\t%p"]));
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let heard: Vec<(&str, Value)> = said
        .out
        .lines()
        .map(|line| {
            let (head, json) = line.split_once('\t').unwrap();
            (head, serde_json::from_str(json).unwrap())
        })
        .collect();
    let heads: BTreeSet<&str> = heard.iter().map(|(head, _)| *head).collect();
    assert_eq!(heads, TOPICS.map(|topic| format!("1 1 {topic}")).iter().map(String::as_str).collect());
    let (_, speed) = heard.iter().find(|(head, _)| head.ends_with("wind_speed")).unwrap();
    assert_eq!(
        (&speed["lamppost"], &speed["device"], &speed["property"]),
        (&json!(A), &json!("wind-1"), &json!("wind_speed"))
    );
    assert_eq!(
        (&speed["channel"], &speed["unit"], &speed["quality"], &speed["reason"]),
        (&Value::Null, &json!("m/s"), &json!("good"), &json!("good"))
    );
    assert!(speed["value"].is_f64() && speed["time"].as_str().unwrap().ends_with(":00.000Z"), "{speed}");

    let refused = run(city.listen("air", "highway/weather/#", 1).args(["-W", "20"]));
    assert!(refused.err.contains("denied"), "{}{}", refused.out, refused.err);
    let confined = run(city.listen("air", "#", 0).args(["-W", "3"]));
    assert_eq!(confined.out, "", "granted, and nothing of what is asked for");
    let mut wrong = city.sub("weather", &city.key_of("air"));
    let said = run(wrong.args(["-t", "highway/#", "-W", "20"]));
    assert!(said.code != Some(0) && said.err.contains("bad user name or password"), "{}", said.err);
    let said = run(city.listen("weather", "highway/#", 0).args(["-V", "5", "-W", "20"]));
    assert!(said.code != Some(0), "{}{}", said.out, said.err);

    let live = city
        .listen("weather", "highway/weather/+/GF0001/#", 0)
        .args(["-R", "-C", "4", "-F", "%t"])
        .stdout(Stdio::piped())
        .spawn();
    let live = live.unwrap();
    city.counts("connections", "weather", 1.0);
    city.publish(yesterday());
    let heard = live.wait_with_output().unwrap();
    let heard = String::from_utf8(heard.stdout).unwrap();
    assert_eq!(heard.lines().count(), 4);
    assert!(heard.lines().all(|topic| TOPICS.contains(&topic)), "{heard}");
}

#[test]
fn who_listens_with_a_key_that_somebody_ends_is_thrown_out_and_others_listen_on() {
    let city = City::after_a_day();
    let mut thrown_out = city.listen("weather", "highway/#", 0).stdout(Stdio::null()).spawn().unwrap();
    let mut other = city.listen("air", "highway/air/#", 0).stdout(Stdio::null()).spawn().unwrap();
    city.counts("connections", "weather", 1.0);
    city.counts("connections", "air", 1.0);
    city.stage.server.operate(&["department", "end-key", "1"]).unwrap();
    let ended = wait_for("mosquitto_sub to end", Duration::from_secs(20), || thrown_out.try_wait().unwrap());
    assert!(!ended.unwrap().success(), "it comes again, and its key is not good");
    assert!(other.try_wait().unwrap().is_none());
    end(&mut other);
}

#[test]
fn mosquitto_hears_by_a_departments_certificate_until_somebody_ends_it_and_no_lamppost_does() {
    let city = City::after_a_day();
    let air = city.certify("air");
    let weather = city.certify("weather");
    let said = run(city.show(&weather).args(["-t", "highway/#", "-C", "4", "-W", "20", "-F", "%t"]));
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(said.out.lines().collect::<BTreeSet<_>>(), TOPICS.into_iter().collect());
    let refused = run(city.show(&air).args(["-t", "highway/weather/#", "-q", "1", "-W", "20"]));
    assert!(refused.err.contains("denied"), "{}{}", refused.out, refused.err);
    let named = run(city.show(&air).args(["-u", "weather", "-P", "x", "-t", "highway/#", "-W", "20"]));
    assert!(named.code != Some(0) && named.err.contains("bad user name or password"), "{}", named.err);

    // A department speaks for no lamppost, and a lamppost listens to no feed.
    let topic = format!("lampposts/{A}/up/hello");
    let mut speak = city.certified("mosquitto_pub", &weather);
    let said = run(speak.args(["-i", A, "-t", &topic, "-m", "a lie", "-q", "1"]));
    assert!(said.code != Some(0), "{}{}", said.out, said.err);
    let mut listen = city.stage.mosquitto("mosquitto_sub", A);
    let said = run(listen.args(["-i", A, "-t", "highway/#", "-q", "1", "-W", "5"]));
    assert!(said.out.contains("Subscribed (mid: 1): 128"), "{}{}", said.out, said.err);
    assert!(!said.out.contains("air_temperature"), "{}", said.out);

    let mut thrown_out = city.show(&weather).args(["-t", "highway/#"]).stdout(Stdio::null()).spawn().unwrap();
    let mut other = city.show(&air).args(["-t", "highway/air/#"]).stdout(Stdio::null()).spawn().unwrap();
    city.counts("connections", "weather", 1.0);
    city.counts("connections", "air", 1.0);
    city.stage.server.operate(&["department", "end-certificate", &weather.serial]).unwrap();
    let ended = wait_for("mosquitto_sub to end", Duration::from_secs(20), || thrown_out.try_wait().unwrap());
    assert!(!ended.unwrap().success(), "it comes again, and its certificate is not good");
    assert!(other.try_wait().unwrap().is_none());
    end(&mut other);
}

#[test]
fn over_websocket_eclipses_client_hears_the_same_and_is_refused_the_same() {
    let city = City::after_a_day();
    let said: Value =
        serde_json::from_str(&run(&mut city.browser("weather", "highway/#", 4)).succeeded()).unwrap();
    assert_eq!(said["codes"], json!([1]));
    let messages = said["messages"].as_array().unwrap();
    let topics: BTreeSet<&str> = messages.iter().map(|message| message["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, TOPICS.into_iter().collect());
    assert!(
        messages.iter().all(|message| message["retained"] == true && message["says"]["unit"].is_string())
    );
    let said: Value =
        serde_json::from_str(&run(&mut city.browser("air", "highway/weather/#", 1)).succeeded()).unwrap();
    assert_eq!(said, json!({"codes": [128], "messages": []}));
}

/// A server that was killed and restarted after a lamppost handed in a day; weather may hear weather, and air what is of the air.
struct City {
    stage: Stage,
    keys: [(&'static str, String); 2],
}

/// A department's key, its certificate, and that one's serial number.
struct Certified {
    key: PathBuf,
    certificate: PathBuf,
    serial: String,
}

impl City {
    fn after_a_day() -> Self {
        let mut stage = Stage::with_lampposts(&[A]);
        publish(&stage, yesterday() - HOUR_MS);
        let keys = ["weather", "air"].map(|name| {
            stage.server.operate(&["department", "add", name, "--title", name]).unwrap();
            stage.server.operate(&["grant", "add", name, &format!("highway/{name}/#")]).unwrap();
            let said = stage.server.operate(&["department", "add-key", name]).unwrap();
            (name, said.lines().nth(1).unwrap().trim().to_owned())
        });
        stage.server = stage.server.restart(Ending::Kill).unwrap();
        Self { stage, keys }
    }

    /// What `openssl` makes and the fleet's CA signs: the files, and the serial number.
    fn certify(&self, department: &str) -> Certified {
        let file = |kind: &str| self.stage.directory().join(format!("{department}-desk.{kind}"));
        let (key, request, certificate) = (file("key"), file("csr"), file("pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-subj", "/"]).arg("-keyout").arg(&key).arg("-out").arg(&request);
        run(&mut openssl).succeeded();
        let (request, out) = (request.display().to_string(), certificate.display().to_string());
        let certify = ["department", "certify", department, "--request", &request, "--out", &out];
        let said = self.stage.server.operate(&certify).unwrap();
        let serial = said.split(' ').nth(1).unwrap().to_owned();
        let certified = Certified { key, certificate, serial };
        // The server knows of it within a second.
        wait_for("the certificate to be taken", Duration::from_secs(20), || {
            let said = run(self.show(&certified).args(["-t", "highway/#", "-E"]));
            (said.code == Some(0)).then_some(())
        })
        .unwrap();
        self.counts("connections", department, 0.0);
        certified
    }

    /// A program of mosquitto that shows a department's certificate, and names nobody.
    fn certified(&self, program: &str, certified: &Certified) -> Command {
        let mut command = self.stage.stranger(program, A);
        command.arg("--cert").arg(&certified.certificate).arg("--key").arg(&certified.key);
        command
    }

    fn show(&self, certified: &Certified) -> Command {
        let server = self.stage.server.mqtt();
        let mut command = Command::new("timeout");
        command.args([
            "60",
            "mosquitto_sub",
            "-h",
            &server.ip().to_string(),
            "-p",
            &server.port().to_string(),
        ]);
        command.arg("--cafile").arg(self.stage.certificates_of(A).join("ca.pem"));
        command.arg("--cert").arg(&certified.certificate).arg("--key").arg(&certified.key);
        command
    }

    fn key_of(&self, department: &str) -> String {
        self.keys.iter().find(|(name, _)| *name == department).unwrap().1.clone()
    }

    fn publish(&self, start_ms: i64) {
        publish(&self.stage, start_ms);
    }

    fn sub(&self, department: &str, key: &str) -> Command {
        let server = self.stage.server.mqtt();
        let mut command = Command::new("timeout");
        command.args([
            "60",
            "mosquitto_sub",
            "-h",
            &server.ip().to_string(),
            "-p",
            &server.port().to_string(),
        ]);
        command.arg("--cafile").arg(self.stage.certificates_of(A).join("ca.pem"));
        command.args(["-u", department, "-P", key, "-i", &format!("{department}-desk")]);
        command
    }

    fn listen(&self, department: &str, filter: &str, qos: u8) -> Command {
        let mut command = self.sub(department, &self.key_of(department));
        command.args(["-t", filter, "-q", &qos.to_string()]);
        command
    }

    fn browser(&self, department: &str, filter: &str, count: usize) -> Command {
        let mut command = python("feed.py");
        command.args(["--server", &self.stage.server.mqtt().to_string(), "--name", department]);
        command.args(["--key", &self.key_of(department), "--filter", filter, "--count", &count.to_string()]);
        command.arg("--ca").arg(self.stage.certificates_of(A).join("ca.pem"));
        command
    }

    fn counts(&self, figure: &str, department: &str, expected: f64) {
        let (name, label) = (format!("lamplighter_feeds_{figure}"), format!("department=\"{department}\""));
        let counted = || {
            let count = self.stage.api().metric(&name, &label).ok()?;
            ((count - expected).abs() < 0.5).then_some(())
        };
        wait_for("connections to be counted", Duration::from_secs(20), counted).unwrap();
    }
}

/// A day of wind that begins then.
fn publish(stage: &Stage, start_ms: i64) {
    let mut lamppost = stage.python("lamppost.py", A);
    lamppost.arg("--measurements").arg(measurements()).args(["--start-ms", &start_ms.to_string()]);
    run(&mut lamppost).succeeded();
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
