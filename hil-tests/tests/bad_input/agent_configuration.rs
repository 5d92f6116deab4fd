//! Mistakes in an agent's configuration.

use super::agent_process::with;
use super::commands::{done, names, put, refused};

const GOOD: &str = r#"lamppost = "DF3637"
state_dir = "state"

[server]
host = "127.0.0.1"
ca_file = "ca.pem"
certificate_file = "DF3637.pem"
key_file = "DF3637.key"

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

/// What stands in the good file, what stands there instead; and what is said about it.
type Mistake = (&'static [(&'static str, &'static str)], &'static [&'static str]);

const MISTAKES: &[Mistake] = &[
    (
        &[("host = ", "hots = ")],
        &[
            "4:1: server.host: this key is missing; add it: Name or address of the fleet server, without port",
            "5:1: server.hots: there is no such key; did you mean host?",
        ],
    ),
    (
        &[("\"bme280\"", "\"bme820\"")],
        &[r#"18:10: device[weather-1].sensor: "bme820" is no kind of sensor; did you mean bme280?"#],
    ),
    (
        &[("\"bme280\"", "\"anemometer\"")],
        &[r#"18:10: device[weather-1].sensor: "anemometer" is no kind of sensor; choose bme280 or pms5003"#],
    ),
    (
        &[
            ("\"DF3637\"\nstate_dir", "\"DF/3637\"\nstate_dir"),
            ("[server]", "[server]\nport = 70000"),
            ("\"i2c\"", "\"spi\""),
            ("every_s = 1", "every_s = 0\ncolour = \"grey\""),
        ],
        &[
            r#"1:12: lamppost: "DF/3637" is not a lamppost number: it is 1 to 32 characters of A-Z, a-z, 0-9, _ and -; choose such a name"#,
            "5:8: server.port: 70000 is out of range; choose from 1 to 65535",
            r#"13:8: bus[i2c-env].kind: "spi" is no kind of bus; choose i2c or serial"#,
            "21:11: device[weather-1].every_s: 0 s is out of range; choose from 0.25 to 86400",
            "22:1: device[weather-1].colour: there is no such key; the keys here are name, bus, sensor, address, \
             every_s, phase_s, warm_up_s",
        ],
    ),
    (
        &[("[[bus]]", "[[bus")],
        &["10:6: this is not TOML: unclosed array table, expected `]]`; correct the line"],
    ),
];

#[test]
fn every_mistake_is_named_with_its_place_by_check_and_run_and_nothing_is_touched() {
    for (changes, problems) in MISTAKES {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        let bad = changes.iter().fold(GOOD.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        put(&file, bad);
        let said: Vec<_> = problems.iter().map(|problem| format!("{}:{problem}\n", file.display())).collect();
        let said = format!("edge-agent: {}", said.concat());
        assert_eq!(refused(&mut with(&["config", "check"], &file)), said);
        assert_eq!(refused(&mut with(&["run"], &file)), said);
        assert_eq!(refused(&mut with(&["config", "print"], &file)), said);
        assert_eq!(names(folder.path()), ["agent.toml"]);
    }
}

#[test]
fn a_good_configuration_is_called_good_although_nothing_of_it_is_there_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    put(&file, GOOD);
    let said = format!(
        "{}: good: lamppost DF3637, configuration 1, 1 bus, 1 device, 7 series with the agent's own\n",
        file.display()
    );
    assert_eq!(done(&mut with(&["config", "check"], &file)), said);
    assert_eq!(names(folder.path()), ["agent.toml"]);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let said = format!(
        "edge-agent: the configuration file {} cannot be read; check the path and the rights to it: No such file or \
         directory (os error 2)\n",
        file.display()
    );
    assert_eq!(refused(&mut with(&["config", "check"], &file)), said);
    assert_eq!(refused(&mut with(&["run"], &file)), said);
}
