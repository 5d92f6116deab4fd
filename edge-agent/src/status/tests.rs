use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const NOW_MS: i64 = 500_000 * HOUR_MS;

fn status() -> Status {
    Status {
        agent_version: "0.1.0".into(),
        lamppost: "DF3637".into(),
        run: "00112233445566778899aabbccddeeff".into(),
        outbox: "ffeeddccbbaa99887766554433221100".into(),
        generation: 7,
        clock_trusted: true,
        time_known: true,
        waiting_for_time: 0,
        now_ms: NOW_MS,
        connection: ConnectionStatus {
            connected: true,
            since_ms: Some(NOW_MS - 2 * HOUR_MS - 90_000),
            server: "fleet.example.city:8883".into(),
            last_error: None,
            last_acknowledgement_ms: Some(NOW_MS - 900),
            last_position_ms: Some(NOW_MS - 42_000),
            in_flight_records: 3,
            to_send_records: 9_000,
            acknowledged_per_hour: Some(3_600_000),
            retry_in_ms: None,
        },
        certificate: CertificateStatus {
            serial: Some("4f2a".into()),
            good_until_ms: Some(NOW_MS + 720 * HOUR_MS),
            renewal_due_ms: Some(NOW_MS + 30 * HOUR_MS),
            is_trying_another: false,
            last_attempt_ms: Some(NOW_MS - 1_000),
            last_outcome: Some("the server refuses: 503 Service Unavailable".into()),
            problem: None,
            key: Some("/etc/lamplighter/DF3637.key".into()),
            key_problem: None,
        },
        backlog: Backlog {
            records: 120,
            bytes: 3_500_000,
            oldest_ms: Some(NOW_MS - 120_000),
            drains_in_s: Some(150),
        },
        storage: Storage {
            capacity_bytes: 64 << 20,
            max_age_s: 30 * 86_400,
            appended_bytes_per_hour: Some(380_000),
            holds_s: Some(639_360),
            room_for_s: Some(610_000),
            dropped: DroppedRecords { bytes: 10, age: 2, damaged: 1 },
            refused: 0,
            damaged: 1,
            undated_for_room: 0,
        },
        set_aside: vec![SetAsideOutbox {
            outbox: "aa".repeat(16),
            directory: "/var/lib/edge-agent/outbox.set-aside-1".into(),
            lamppost: Some("DF3637".into()),
            hardware_serial: "10000000abcdef01".into(),
            reason: "other_hardware".into(),
            bytes: 2 << 20,
            runs: 3,
            first_ms: Some(NOW_MS - 50 * HOUR_MS),
            last_ms: Some(NOW_MS - 2 * HOUR_MS),
        }],
        buses: vec![BusStatus {
            name: "i2c-env".into(),
            kind: "i2c".into(),
            path: "/dev/i2c-1".into(),
            open: true,
            reopened: 0,
            last_error: None,
        }],
        sensors: vec![
            SensorStatus {
                name: "weather-1".into(),
                sensor: "bme280".into(),
                bus: "i2c-env".into(),
                identified: true,
                last_tick_ms: Some(NOW_MS - 5_000),
                last_values: 3,
                read: 720,
                missed: 0,
                bad: 1,
                last_error: Some("no answer at 0x76\n\u{1b}[2J".into()),
            },
            SensorStatus {
                name: "w2".into(),
                sensor: "bme280".into(),
                bus: "i2c-env".into(),
                ..Default::default()
            },
        ],
    }
}

fn table(status: &Status) -> String {
    let mut out = Vec::new();
    write_table(status, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// An agent's folder with a served status: asks from another thread, as another process does.
async fn served<T: Send + 'static>(ask: impl FnOnce(PathBuf) -> T + Send + 'static) -> (T, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    let listener = listen(&path).unwrap();
    let cancel = CancellationToken::new();
    let asking = async {
        let answer = tokio::task::spawn_blocking({
            let path = path.clone();
            move || ask(path)
        });
        let answer = answer.await.unwrap();
        cancel.cancel();
        answer
    };
    let ((), answer) = tokio::join!(serve(listener, status, cancel.clone()), asking);
    assert!(!path.exists(), "the socket's file goes with the agent");
    (answer, path)
}

#[tokio::test]
async fn every_client_is_given_one_status_and_only_the_user_can_ask() {
    let (answers, _) = served(|path| {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        [ask(&path).unwrap(), ask(&path).unwrap()]
    })
    .await;
    assert_eq!(answers, [status(), status()]);
}

#[tokio::test]
async fn clients_that_go_or_talk_or_do_not_read_take_nothing_from_the_next() {
    let (answer, _) = served(|path| {
        let _silent = UnixStream::connect(&path).unwrap();
        let mut talking = UnixStream::connect(&path).unwrap();
        drop(UnixStream::connect(&path).unwrap());
        // It may be closed by now; either way it is no matter to the agent.
        drop(talking.write_all(b"GET / HTTP/1.1\r\n\r\n"));
        ask(&path).unwrap()
    })
    .await;
    assert_eq!(answer, status());
}

#[tokio::test]
async fn what_a_killed_agent_left_is_replaced_and_a_living_agent_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let living = listen(&path).unwrap();
    let error = listen(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains("another agent answers there; stop it"), "{error}");
    assert!(path.exists());
    drop(living);

    std::fs::remove_file(&path).unwrap();
    std::fs::File::create(&path).unwrap();
    assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(path.exists(), "a file that is no socket is nobody's to remove");

    let nowhere = folder.path().join("none").join("status.sock");
    assert_eq!(listen(&nowhere).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn without_an_agent_the_error_names_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    let said = format!("no agent is running: nothing answers at {}", path.display());
    assert_eq!(ask(&path).unwrap_err().to_string(), said);
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(ask(&path).unwrap_err().to_string(), said);
}

#[test]
fn an_answer_that_is_no_status_is_an_error() {
    for (answer, text) in
        [("", "is no status"), ("{}", "is no status"), ("{\"agent_version\":", "is no status")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let agent =
            std::thread::spawn(move || listener.accept().unwrap().0.write_all(answer.as_bytes()).unwrap());
        let error = ask(&path).unwrap_err().to_string();
        agent.join().unwrap();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn people_see_each_bus_and_sensor_and_ages_instead_of_times() {
    let expected = "\
lamppost  DF3637
agent     0.1.0, configuration 7, clock confirmed
run       00112233445566778899aabbccddeeff, outbox ffeeddccbbaa99887766554433221100
server    fleet.example.city:8883, connected for 2 h 1 min
          last acknowledgement 0 s ago, last position 42 s ago, 3 records under way
identity  certificate 4f2a, good for another 30 d 0 h, renewal in 1 d 6 h
          its key is in /etc/lamplighter/DF3637.key
          last renewal 1 s ago: the server refuses: 503 Service Unavailable
backlog   120 records that the server does not hold yet, the oldest 2 min 0 s ago; 9000 to be sent, which takes about 2.5 minutes
outbox    3.3 MiB on disk of 64.0 MiB; holds about 7.4 days at the present rate (8.6 MiB a day), from now on about 7.0 days
          13 records DROPPED and reported: 10 for want of space, 2 too old, 1 damaged
          0 records refused, 1 places on disk unreadable, in this run
set aside aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: lamppost DF3637, hardware 10000000abcdef01; belongs to other hardware of this number: an operator releases or closes it
          2.0 MiB in 3 runs, begun 2 d 2 h ago, last written 2 h 0 min ago; in /var/lib/edge-agent/outbox.set-aside-1

BUS      KIND  PATH        OPEN  REOPENED  LAST ERROR
i2c-env  i2c   /dev/i2c-1  yes   0         -

SENSOR     KIND    BUS      IDENTIFIED  LAST TICK  VALUES  READ  MISSED  BAD  LAST ERROR
weather-1  bme280  i2c-env  yes         5 s ago    3       720   0       1    no answer at 0x76\u{fffd}\u{fffd}[2J
w2         bme280  i2c-env  NO          never      0       0     0       0    -
";
    assert_eq!(table(&status()), expected);
}

#[test]
fn people_see_why_there_is_no_connection_and_when_it_is_tried_again() {
    let connection = ConnectionStatus {
        connected: false,
        since_ms: Some(NOW_MS - 50 * HOUR_MS),
        last_error: Some("connection refused".into()),
        last_acknowledgement_ms: None,
        retry_in_ms: Some(8_000),
        ..status().connection
    };
    let backlog = Backlog { records: 0, bytes: 512, oldest_ms: None, drains_in_s: None };
    let storage = Storage { capacity_bytes: 1 << 20, ..Storage::default() };
    let shown = table(&Status {
        connection,
        backlog,
        storage,
        set_aside: vec![],
        clock_trusted: false,
        buses: vec![],
        sensors: vec![],
        ..status()
    });
    let expected = "\
agent     0.1.0, configuration 7, clock NOT confirmed: values are uncertain
run       00112233445566778899aabbccddeeff, outbox ffeeddccbbaa99887766554433221100
server    fleet.example.city:8883, NOT connected for 2 d 2 h, next attempt in 8 s
          last acknowledgement never, last position 42 s ago, 3 records under way
          last error: connection refused
identity  certificate 4f2a, good for another 30 d 0 h, renewal in 1 d 6 h
          its key is in /etc/lamplighter/DF3637.key
          last renewal 1 s ago: the server refuses: 503 Service Unavailable
backlog   0 records that the server does not hold yet
outbox    512 B on disk of 1.0 MiB; for how long that is enough is not known yet
";
    assert_eq!(shown.split_once('\n').unwrap().1, expected);
}

#[test]
fn d3_people_see_that_the_time_is_not_known_and_how_many_records_wait_for_it() {
    let shown = table(&Status { time_known: false, waiting_for_time: 7, clock_trusted: false, ..status() });
    let agent = shown.lines().nth(1).unwrap();
    assert_eq!(agent, "agent     0.1.0, configuration 7, clock NOT KNOWN yet: 7 records wait for their time");
}

#[test]
fn d3_people_see_that_runs_are_not_sent_because_the_disk_has_no_room_to_date_them() {
    let storage = Storage { undated_for_room: 300, ..status().storage };
    let shown = table(&Status { storage, ..status() });
    let line =
        "          300 runs that did not know the time are NOT sent: the disk has no room to date them\n";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn people_see_a_certificate_that_has_ended_one_that_is_tried_and_that_there_is_none() {
    let shown = |certificate| {
        let shown = table(&Status { certificate, ..status() });
        shown.lines().find_map(|line| line.strip_prefix("identity  ").map(str::to_owned)).unwrap()
    };
    let ended = CertificateStatus {
        good_until_ms: Some(NOW_MS - 2 * HOUR_MS),
        renewal_due_ms: Some(NOW_MS - 300 * HOUR_MS),
        is_trying_another: true,
        ..status().certificate
    };
    assert_eq!(
        shown(ended),
        "certificate 4f2a, NOT good any more for 2 h 0 min, renewal is due; another one is there and is being tried"
    );
    let none = CertificateStatus { problem: Some("cannot read it".into()), ..CertificateStatus::default() };
    assert_eq!(shown(none), "NO certificate: cannot read it");
}

#[test]
fn a_status_of_a_later_version_with_more_in_it_is_still_read() {
    let mut document = serde_json::to_value(status()).unwrap();
    document["more"] = 1.into();
    assert_eq!(serde_json::from_value::<Status>(document).unwrap(), status());
}

#[test]
fn a_backlog_is_sent_or_said_not_to_shrink() {
    let line = |to_send_records, drains_in_s| {
        let connection = ConnectionStatus { to_send_records, ..status().connection };
        let backlog = Backlog { drains_in_s, ..status().backlog };
        let shown = table(&Status { connection, backlog, ..status() });
        shown
            .lines()
            .find(|line| line.starts_with("backlog"))
            .unwrap()
            .rsplit("; ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(line(0, Some(0)), "all of them are sent");
    assert_eq!(line(7, None), "7 to be sent, which does not shrink at present");
    assert_eq!(line(7, Some(100)), "7 to be sent, which takes about 100 s");
}
