//! Mistakes, each beside exactly what is said about it.

/// What stands in the good file, what stands there instead, and every line that is said about it, without the name
/// of the file.
pub(super) const MISTAKES: &[(&str, &str, &[&str])] = &[
    // keys
    (
        "host = ",
        "hots = ",
        &[
            "3:1: server.host: this key is missing; add it: Name or address of the fleet server, without port",
            "4:1: server.hots: there is no such key; did you mean host?",
        ],
    ),
    (
        r#"host = "fleet.example.city""#,
        "host = \"a\"\ncolour = 1",
        &[
            "5:1: server.colour: there is no such key; the keys here are host, port, ca_file, certificate_file, key_file, pkcs11_uri, keep_alive_s",
        ],
    ),
    ("[server]", "[sevrer]\n[server]", &["3:2: sevrer: there is no such key; did you mean server?"]),
    (
        "every_s = 10",
        "every_s = 10\n\"a\\u001Bb\" = 1",
        &[
            r"25:1: device[weather-1].a\u{1b}b: there is no such key; the keys here are name, bus, sensor, address, every_s, phase_s, warm_up_s",
        ],
    ),
    (
        "every_s = 10\n",
        "every_s = 10\nevery = 1\n",
        &["25:1: device[weather-1].every: there is no such key; did you mean every_s?"],
    ),
    (
        r#"lamppost = "DF3637""#,
        "",
        &[
            "1:1: lamppost: this key is missing; add it: The official number of the lamppost that this agent is on",
        ],
    ),
    (
        "every_s = 10",
        "",
        &[
            "19:1: device[weather-1].every_s: this key is missing; add it: Seconds from one reading to the next; fractions to the millisecond are allowed",
        ],
    ),
    (
        "address = 0x76",
        "",
        &["19:1: device[weather-1].address: this key is missing; add it: Its address on an i2c bus"],
    ),
    (
        r#"name = "air-1""#,
        "",
        &[
            "26:1: device[#2].name: this key is missing; add it: The device's name on this lamppost; its series are called by it (weather-1/air_temperature)",
        ],
    ),
    (
        "[server]",
        "[outbox]",
        &[
            "1:1: server: this table is missing; add [server]: How to reach the fleet server, and as whom",
            "4:1: outbox.host: there is no such key; the keys here are max_mb, max_age_days, sync_every_ms",
            "5:1: outbox.ca_file: there is no such key; the keys here are max_mb, max_age_days, sync_every_ms",
            "6:1: outbox.certificate_file: there is no such key; the keys here are max_mb, max_age_days, sync_every_ms",
            "7:1: outbox.key_file: there is no such key; the keys here are max_mb, max_age_days, sync_every_ms",
        ],
    ),
    // kinds of values
    (r#""DF3637""#, "3637", &["1:12: lamppost: a text belongs here, not a whole number; write it in quotes"]),
    (
        "[server]",
        "[server]\nport = \"8883\"",
        &["4:8: server.port: a whole number belongs here, not a text; write it without quotes or point"],
    ),
    (
        "[server]",
        "health = 3\n[server]",
        &["3:10: health: a table belongs here, not a whole number; write it as one"],
    ),
    (
        "[server]",
        "[server]\nport = 8883.0",
        &[
            "4:8: server.port: a whole number belongs here, not a number with a fraction; write it without quotes or point",
        ],
    ),
    (
        "every_s = 10",
        "every_s = true",
        &[
            "24:11: device[weather-1].every_s: a number of seconds belongs here, not true or false; write it such as 10 or 0.5, in decimal and without quotes",
        ],
    ),
    (
        "every_s = 10",
        r#"every_s = "10""#,
        &[
            "24:11: device[weather-1].every_s: a number of seconds belongs here, not a text; write it such as 10 or 0.5, in decimal and without quotes",
        ],
    ),
    (
        "every_s = 10",
        "every_s = 1979-05-27",
        &[
            "24:11: device[weather-1].every_s: a number of seconds belongs here, not a date or time; write it such as 10 or 0.5, in decimal and without quotes",
        ],
    ),
    (
        "lamppost",
        "state_dir = 5\nlamppost",
        &["1:13: state_dir: a text belongs here, not a whole number; write it in quotes"],
    ),
    // ranges
    (
        "[server]",
        "[server]\nport = 70000",
        &["4:8: server.port: 70000 is out of range; choose from 1 to 65535"],
    ),
    (
        "[server]",
        "[server]\nport = 0xFFFFFFFFFFFFFFFFFFFF",
        &["4:8: server.port: 0xFFFFFFFFFFFFFFFFFFFF is out of range; choose from 1 to 65535"],
    ),
    (
        "[server]",
        "[server]\nkeep_alive_s = 4",
        &["4:16: server.keep_alive_s: 4 is out of range; choose from 5 to 600"],
    ),
    (
        "[server]",
        "[outbox]\nmax_mb = 0\n[server]",
        &["4:10: outbox.max_mb: 0 is out of range; choose from 16 to 1048576"],
    ),
    (
        "[server]",
        "[outbox]\nmax_age_days = 0\n[server]",
        &["4:16: outbox.max_age_days: 0 is out of range; choose from 1 to 3650"],
    ),
    (
        "[server]",
        "[outbox]\nsync_every_ms = -1\n[server]",
        &["4:17: outbox.sync_every_ms: -1 is out of range; choose from 0 to 60000"],
    ),
    (
        "[server]",
        "[health]\nevery_s = 0.5\n[server]",
        &["4:11: health.every_s: 0.5 s is out of range; choose from 1 to 86400"],
    ),
    (
        "lamppost",
        "generation = 0\nlamppost",
        &["1:14: generation: 0 is out of range; choose from 1 to 9223372036854775807"],
    ),
    (
        "every_s = 10",
        "every_s = 0.05",
        &["24:11: device[weather-1].every_s: 0.05 s is out of range; choose from 0.25 to 86400"],
    ),
    (
        "every_s = 2.5",
        "every_s = 0.5",
        &["30:11: device[air-1].every_s: 0.5 s is out of range; choose from 1 to 86400"],
    ),
    (
        "every_s = 10",
        "every_s = nan",
        &["24:11: device[weather-1].every_s: nan s is out of range; choose from 0.25 to 86400"],
    ),
    (
        "every_s = 10",
        "every_s = -inf",
        &["24:11: device[weather-1].every_s: -inf s is out of range; choose from 0.25 to 86400"],
    ),
    (
        "every_s = 10",
        "every_s = 1e300",
        &["24:11: device[weather-1].every_s: 1e300 s is out of range; choose from 0.25 to 86400"],
    ),
    (
        "every_s = 10",
        "every_s = 0.3333",
        &[
            "24:11: device[weather-1].every_s: 0.3333 s is not whole in milliseconds; write at most three places",
        ],
    ),
    (
        "phase_s = 0.125",
        "phase_s = 2.5",
        &[
            "31:11: device[air-1].phase_s: 2.5 s is not below the period of 2.5 s (every_s); choose from 0 to 2.499",
        ],
    ),
    (
        "phase_s = 0.125",
        "warm_up_s = 3601",
        &["31:13: device[air-1].warm_up_s: 3601 s is out of range; choose from 0 to 3600"],
    ),
    (
        "0x76",
        "0x10",
        &["23:11: device[weather-1].address: a bme280 does not answer at 0x10; choose 0x76 or 0x77"],
    ),
    (
        r#""/dev/ttyS1""#,
        "\"/dev/ttyS1\"\nbaud = 110",
        &["18:8: bus[air].baud: 110 is out of range; choose from 300 to 4000000"],
    ),
    // words and names
    (
        r#""DF3637""#,
        r#""DF 3637""#,
        &[
            r#"1:12: lamppost: "DF 3637" is not a lamppost number: it is 1 to 32 characters of A-Z, a-z, 0-9, _ and -; choose such a name"#,
        ],
    ),
    (
        r#""weather-1""#,
        r#""Weather""#,
        &[
            r#"20:8: device[Weather].name: "Weather" is not a device name: it is 1 to 32 characters of a-z, 0-9 and -; choose such a name"#,
        ],
    ),
    (
        r#""weather-1""#,
        r#""agent""#,
        &["20:8: device[agent].name: agent is the name of the agent itself; choose another"],
    ),
    (
        r#""bme280""#,
        r#""bme208""#,
        &[r#"22:10: device[weather-1].sensor: "bme208" is no kind of sensor; did you mean bme280?"#],
    ),
    (
        r#""bme280""#,
        r#""geiger""#,
        &[r#"22:10: device[weather-1].sensor: "geiger" is no kind of sensor; choose bme280 or pms5003"#],
    ),
    (
        r#""i2c""#,
        r#""spi-dev""#,
        &[r#"11:8: bus[i2c-env].kind: "spi-dev" is no kind of bus; choose i2c or serial"#],
    ),
    (
        r#""fleet.example.city""#,
        r#""mqtts://fleet""#,
        &[r#"4:8: server.host: "mqtts://fleet" is a URL; write the host alone"#],
    ),
    (
        r#""fleet.example.city""#,
        r#""fleet:8883""#,
        &[r#"4:8: server.host: "fleet:8883" has a port; write it as the key port"#],
    ),
    (
        r#""fleet.example.city""#,
        r#""a b""#,
        &[r#"4:8: server.host: "a b" is neither a DNS name nor an IP address; write one"#],
    ),
    (
        r#""fleet.example.city""#,
        r#""""#,
        &[
            r#"4:8: server.host: "" is empty, too long or not printable; write 1 to 253 bytes without control characters"#,
        ],
    ),
    (
        "lamppost",
        "hardware_serial = \"\"\nlamppost",
        &[
            r#"1:19: hardware_serial: "" is empty, too long or not printable; write 1 to 64 bytes without control characters"#,
        ],
    ),
    (
        r#""DF3637.key""#,
        r#""""#,
        &[
            r#"7:12: server.key_file: "" is empty, too long or not printable; write 1 to 4096 bytes without control characters"#,
        ],
    ),
    // what does not belong together
    (
        r#"kind = "i2c""#,
        "kind = \"i2c\"\nbaud = 9600",
        &["12:8: bus[i2c-env].baud: a bus of kind i2c has no baud; remove this key"],
    ),
    (
        r#""pms5003""#,
        "\"pms5003\"\naddress = 1",
        &["30:11: device[air-1].address: a pms5003 has no address; remove this key"],
    ),
    (
        r#"bus = "i2c-env""#,
        r#"bus = "i2c-evn""#,
        &[r#"21:7: device[weather-1].bus: no bus is named "i2c-evn"; did you mean i2c-env?"#],
    ),
    (
        r#"bus = "i2c-env""#,
        r#"bus = "modbus""#,
        &[r#"21:7: device[weather-1].bus: no bus is named "modbus"; choose air or i2c-env"#],
    ),
    (
        r#"name = "air-1""#,
        r#"name = "weather-1""#,
        &["27:8: device[weather-1].name: the device in line 20 has this name; give this one another"],
    ),
    (
        r#""/dev/ttyS1""#,
        r#""/dev/i2c-1""#,
        &["17:8: bus[air].path: the bus in line 12 has this path; put the devices of both on one bus"],
    ),
    (
        "[[bus]]\nname = \"air\"",
        "[[buss]]\nname = \"air\"",
        &[
            "14:3: buss: there is no such key; did you mean bus?",
            r#"28:7: device[air-1].bus: no bus is named "air"; choose i2c-env"#,
        ],
    ),
    (
        r#"bus = "air""#,
        r#"bus = "i2c-env""#,
        &[
            "28:7: device[air-1].bus: this bus is of kind i2c, a pms5003 needs one of kind serial; name such a bus",
        ],
    ),
    (
        r#"name = "air""#,
        r#"name = "i2c-env""#,
        &["15:8: bus[i2c-env].name: the bus in line 10 has this name; give this one another"],
    ),
    (
        "every_s = 10\n",
        "every_s = 10\n[[device]]\nname = \"b\"\nbus = \"i2c-env\"\nsensor = \"bme280\"\naddress = 118\nevery_s = 1\n",
        &[
            "29:11: device[b].address: the device in line 23 has this address on the same bus; wire one of them to another address",
        ],
    ),
    (
        "every_s = 2.5",
        "every_s = 2.5\n[[device]]\nname = \"b\"\nbus = \"air\"\nsensor = \"pms5003\"\nevery_s = 1",
        &["33:7: device[b].bus: the device in line 28 is on this serial bus; give each a bus of its own"],
    ),
    (
        "[[bus]]\nname = \"air\"",
        "[[bus]]\nname = \"spare\"\nkind = \"i2c\"\npath = \"/dev/i2c-2\"\n[[bus]]\nname = \"air\"",
        &["14:1: bus[spare]: no device is on this bus; name it in a [[device]], or remove it"],
    ),
    // the text itself
    (
        "[server]",
        "[server",
        &[
            "3:8: this is not TOML: unclosed table, expected `]`; correct the line",
            "14:3: this is not TOML: duplicate key; correct the line",
        ],
    ),
    (
        "address = 0x76",
        "address = ",
        &["23:11: this is not TOML: string values must be quoted, expected literal string; correct the line"],
    ),
    (
        "every_s = 10",
        "every_s = 10\nevery_s = 11",
        &["25:1: this is not TOML: duplicate key; correct the line"],
    ),
    (
        r#""fleet.example.city""#,
        r#""fleet"#,
        &[r#"4:14: this is not TOML: invalid basic string, expected `"`; correct the line"#],
    ),
    (
        "[server]",
        "[server]\nport = 8883 8884",
        &["4:8: this is not TOML: string values must be quoted, expected literal string; correct the line"],
    ),
    (
        "[server]",
        "bus = 3\n[server]",
        &[
            "10:3: this is not TOML: duplicate key; correct the line",
            "15:3: this is not TOML: duplicate key; correct the line",
        ],
    ),
];
