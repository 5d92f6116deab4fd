mod mistakes;

use std::time::Duration;

use lamplighter_protocol::{Catalogue, Description, Grid};
use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "/etc/lamplighter/agent.toml";

/// The least that runs, with a device on either kind of bus. Line 1 is `lamppost`.
const GOOD: &str = r#"lamppost = "DF3637"

[server]
host = "fleet.example.city"
ca_file = "ca.pem"
certificate_file = "/keys/DF3637.pem"
key_file = "DF3637.key"

[[bus]]
name = "i2c-env"
kind = "i2c"
path = "/dev/i2c-1"

[[bus]]
name = "air"
kind = "serial"
path = "/dev/ttyS1"

[[device]]
name = "weather-1"
bus = "i2c-env"
sensor = "bme280"
address = 0x76
every_s = 10

[[device]]
name = "air-1"
bus = "air"
sensor = "pms5003"
every_s = 2.5
phase_s = 0.125
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new(ORIGIN))
}

/// What is wrong with a text, a line each, without the name of the file.
fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(error @ ConfigError::Invalid(_)) => error
            .to_string()
            .lines()
            .map(|line| line.replacen("/etc/lamplighter/agent.toml:", "", 1))
            .collect(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_short_file_gets_the_defaults_and_paths_start_at_its_folder() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.lamppost.as_str(), "DF3637");
    assert_eq!(config.generation, 1);
    assert_eq!(config.hardware_serial, None);
    assert_eq!(config.state_dir, Path::new("/var/lib/lamplighter"));
    assert_eq!(config.server.port, 8883);
    assert_eq!(config.server.ca_file, Path::new("/etc/lamplighter/ca.pem"));
    assert_eq!(config.server.certificate_file, Path::new("/keys/DF3637.pem"));
    assert_eq!(config.server.keep_alive, Duration::from_secs(30));
    let (max_age, sync_every) = (Duration::from_hours(30 * 24), Duration::from_secs(2));
    assert_eq!(config.outbox, OutboxConfig { max_bytes: 64 << 20, max_age, sync_every });
    assert_eq!(config.health.grid, Grid { period_ms: 60_000, phase_ms: 0 });
    assert_eq!(config.buses[1].kind, BusKind::Serial { path: "/dev/ttyS1".into(), baud: 9600 });
    assert_eq!(config.devices[0].sensor, Sensor::Bme280 { address: 0x76 });
    assert_eq!(config.devices[0].warm_up, Duration::ZERO);
    assert_eq!(config.devices[1].bus, 1);
    assert_eq!(config.devices[1].grid, Grid { period_ms: 2500, phase_ms: 125 });
    assert_eq!(config.devices[1].warm_up, Duration::from_secs(30));
}

#[test]
fn each_mistake_is_told_with_line_column_key_and_remedy() {
    for (good, bad, said) in mistakes::MISTAKES {
        assert!(GOOD.contains(good), "{good:?} stands in the good file");
        let found = problems(&GOOD.replacen(good, bad, 1));
        assert_eq!(&found, said, "{bad:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replace("\"DF3637\"", "\"D F\"")
        .replace("host =", "hots =")
        .replace("\"i2c\"", "\"i3c\"")
        .replace("0x76", "0x79")
        .replace("every_s = 10", "every_s = 0")
        .replace("phase_s = 0.125", "phase_s = 3\nwarm_up = 5");
    let said = problems(&text);
    let places: Vec<&str> = said.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(
        places,
        [
            "lamppost",
            "server.host",
            "server.hots",
            "bus[i2c-env].kind",
            "device[weather-1].address",
            "device[weather-1].every_s",
            "device[air-1].phase_s",
            "device[air-1].warm_up"
        ]
    );
}

#[test]
fn a_sixty_fourth_device_is_refused_for_the_agent_is_one_too() {
    let device = |i: usize| {
        format!(
            "[[bus]]\nname = \"b{i}\"\nkind = \"i2c\"\npath = \"/dev/i2c-{i}\"\n[[device]]\nname = \"d{i}\"\nbus = \"b{i}\"\nsensor = \"bme280\"\naddress = 0x76\nevery_s = 1\n"
        )
    };
    let with = |count: usize| {
        let head = GOOD.split("[[bus]]").next().unwrap().to_owned();
        problems(&(0..count).fold(head, |text, i| text + &device(i)))
    };
    assert_eq!(with(63), [""; 0]);
    assert_eq!(with(64), ["643:1: device[d63]: a lamppost has at most 63 devices; remove some"]);
}

#[test]
fn a_folder_whose_status_socket_would_have_too_long_a_path_is_refused() {
    let with = |length: usize| {
        problems(&GOOD.replacen("lamppost", &format!("state_dir = \"/{}\"\nlamppost", "x".repeat(length)), 1))
    };
    assert_eq!(with(94), [""; 0]);
    let said = "1:13: state_dir: the path of the status socket in this folder has 108 bytes, and the system allows 107; \
                choose a folder with a shorter path";
    assert_eq!(with(95), [said]);
}

#[test]
fn what_print_writes_is_read_as_the_same_configuration() {
    let full = GOOD
        .replacen("lamppost", "generation = 7\nhardware_serial = \"a \\\"b\\\\ ü\"\nstate_dir = \"state\"\nlamppost", 1)
        .replacen("[server]", "[health]\nevery_s = 30\nphase_s = 1.5\n[outbox]\nmax_mb = 16\nmax_age_days = 3650\nsync_every_ms = 0\n[server]\nport = 1\nkeep_alive_s = 5", 1)
        .replacen("\"/dev/ttyS1\"", "\"tty\"\nbaud = 115200", 1)
        .replacen("phase_s = 0.125", "phase_s = 0.001\nwarm_up_s = 0.25", 1);
    for text in [GOOD, &full, GOOD.split("[[bus]]").next().unwrap()] {
        let config = parse(text).unwrap();
        let printed = config.commented();
        assert_eq!(parse(&printed).unwrap(), config, "{printed}");
    }
}

#[test]
fn the_example_is_what_print_writes_so_that_it_shows_every_key() {
    let example = include_str!("../../../example.toml");
    let config = Config::parse(example, Path::new("example.toml")).unwrap();
    assert_eq!(config.commented(), example, "edge-agent config print --config edge-agent/example.toml");
    assert_eq!((config.buses.len(), config.devices.len()), (2, 3));
}

#[test]
fn a_token_is_named_by_a_uri_that_is_read_as_it_is_printed_and_holds_no_pin() {
    let with = |uri: &str| GOOD.replacen("[server]", &format!("[server]\npkcs11_uri = \"{uri}\""), 1);
    let read = |uri: &str| parse(&with(uri)).unwrap().server.pkcs11.unwrap();
    let plain = read("pkcs11:token=a%20lamp%2Fpost?module-path=/usr/lib/a.so&pin-source=file:/run/a%26pin");
    let TokenUri { token, serial, module, pin_file } = plain.clone();
    assert_eq!((token.as_deref(), serial), (Some("a lamp/post"), None));
    assert_eq!((module, pin_file), ("/usr/lib/a.so".into(), "/run/a&pin".into()));
    assert_eq!(read(&plain.to_string()), plain);
    let relative = read("pkcs11:serial=00ff;token=%C3%BC?pin-source=pin&module-path=a.so");
    assert_eq!((relative.token.as_deref(), relative.serial.as_deref()), (Some("ü"), Some("00ff")));
    assert_eq!(relative.pin_file, Path::new("/etc/lamplighter/pin"));
    assert_eq!(read(&relative.to_string()), relative);
    assert_eq!(read("pkcs11:token=a?module-path=/a&pin-source=file:///b").pin_file, Path::new("/b"));
    let printed = parse(&with(&relative.to_string())).unwrap().commented();
    assert!(printed.contains("\npkcs11_uri = \"pkcs11:token=%C3%BC;serial=00ff?"), "{printed}");

    let rest = "?module-path=/a&pin-source=/b";
    for (wrong, said) in [
        ("lamppost".to_owned(), "\"lamppost\" is no PKCS#11 URI (RFC 7512); write pkcs11:token="),
        (format!("pkcs11:{rest}"), "it does not say which token; name it by token or serial: "),
        ("pkcs11:token=a?module-path=/a".to_owned(), "pin-source is missing in it; "),
        ("pkcs11:token=a?pin-source=/b".to_owned(), "module-path is missing in it; "),
        (
            format!("pkcs11:token=a;object=b{rest}"),
            "the attribute \"object\" has no meaning here; remove it, ",
        ),
        (format!("pkcs11:token=a{rest}&pin-value=1234"), "the attribute \"pin-value\" has no meaning here; "),
        (format!("pkcs11:token=a;token=b{rest}"), "token stands there twice; remove one"),
        (format!("pkcs11:token{rest}"), "\"token\" in it is no attribute; write NAME=VALUE"),
        (format!("pkcs11:token={rest}"), "token is empty or not printable; "),
        (format!("pkcs11:token=%0A{rest}"), "token is empty or not printable; "),
        (format!("pkcs11:token=%4{rest}"), "token is not well encoded; "),
        (format!("pkcs11:token=%FF{rest}"), "token is not well encoded; "),
        (
            "pkcs11:token=a?module-path=/a&pin-source=%7Ccat".to_owned(),
            "pin-source is a command, and none is run ",
        ),
    ] {
        let found = problems(&with(&wrong));
        let before = "4:14: server.pkcs11_uri: ";
        assert!(found.len() == 1 && found[0].starts_with(&format!("{before}{said}")), "{wrong}: {found:?}");
        assert!(!found[0].contains("1234"), "{found:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Config::load(&missing).unwrap_err();
    assert!(error.to_string().contains("none.toml cannot be read"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("No such file"), "{cause}");

    let long = folder.path().join("long.toml");
    write(&long, &vec![b'#'; 65_537]);
    assert!(matches!(Config::load(&long), Err(ConfigError::TooLong { path }) if path == long));

    let binary = folder.path().join("binary.toml");
    write(&binary, b"lamppost = \"A\"\n# caf\xe9\n");
    let said = format!("{}:2:6: this is not UTF-8; save the file as UTF-8 text", binary.display());
    assert_eq!(Config::load(&binary).unwrap_err().to_string(), said);
}

#[test]
fn a_loaded_file_has_paths_that_hold_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    write(&file, GOOD.as_bytes());
    assert_eq!(Config::load(&file).unwrap().server.ca_file, folder.path().join("ca.pem"));
}

#[test]
fn the_description_has_the_devices_of_the_file_then_the_agent() {
    let text = GOOD.replace("every_s = 2.5\nphase_s = 0.125", "every_s = 60");
    let description = parse(&text).unwrap().description(&Catalogue::built_in());
    assert_eq!(
        description.grids,
        [Grid { period_ms: 10_000, phase_ms: 0 }, Grid { period_ms: 60_000, phase_ms: 0 }]
    );
    let devices: Vec<_> = description
        .devices
        .iter()
        .map(|device| {
            let series: Vec<_> =
                device.series.iter().map(|one| format!("{} {}", one.property, one.unit)).collect();
            (device.name.as_str(), device.model.as_str(), device.grid, series.join(", "))
        })
        .collect();
    let expected = [
        ("weather-1", "bme280", Some(0), "air_temperature Cel, relative_humidity %, barometric_pressure hPa"),
        ("air-1", "pms5003", Some(1), "pm1 ug/m3, pm2_5 ug/m3, pm10 ug/m3"),
        (
            "agent",
            "lamplighter-agent",
            Some(1),
            "agent_uptime s, agent_memory KiBy, agent_backlog {record}, agent_missed_ticks {tick}",
        ),
    ];
    assert_eq!(devices, expected.map(|(name, model, grid, series)| (name, model, grid, series.to_owned())));
    let (payload, _) = description.encode();
    assert_eq!(Description::decode(&payload).unwrap(), description);
}

#[test]
fn deep_nesting_is_refused_and_breaks_nothing() {
    let most = usize::try_from(MAX_BYTES).unwrap();
    for text in [
        "a=".to_owned() + &"[".repeat(most - 2),
        "a=".to_owned() + &"{a=".repeat(most / 3 - 2),
        "a.".repeat(most / 2 - 2) + "a=1",
        format!("[{}a]", "a.".repeat(most / 2 - 3)),
    ] {
        assert!(!problems(&text).is_empty());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        prop_assert!(parse(&text).is_err());
    }

    #[test]
    fn no_change_of_a_good_file_makes_it_panic(at in 0..GOOD.len(), cut in 0usize..12, put in "[\\PC\n\"=\\[\\]{}.]{0,6}") {
        let end = (at + cut).min(GOOD.len());
        if let Ok(config) = parse(&format!("{}{put}{}", &GOOD[..at], &GOOD[end..])) {
            prop_assert_eq!(parse(&config.commented()).unwrap(), config);
        }
    }

    #[test]
    fn no_value_in_place_of_another_makes_it_panic(
        line in 0..GOOD.lines().count(),
        value in "-?[0-9]{1,30}|-?[0-9]{1,4}\\.[0-9]{1,20}|[+-]inf|nan|1e[0-9]{1,3}|\"[a-z\\-/]{0,8}\"|\\[\\]|\\{\\}|true",
    ) {
        let changed = |(place, one): (usize, &str)| match one.split_once(" = ") {
            Some((key, _)) if place == line => format!("{key} = {value}\n"),
            Some(_) | None => format!("{one}\n"),
        };
        if let Ok(config) = parse(&GOOD.lines().enumerate().map(changed).collect::<String>()) {
            prop_assert_eq!(parse(&config.commented()).unwrap(), config);
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    File::create(path).unwrap().write_all(bytes).unwrap();
}
