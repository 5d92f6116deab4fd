//! What a stranger may not do: each is refused, counted under its reason, and touches nobody else.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hil_tests::fleet::wait_for;
use serde_json::Value;

use crate::lamppost::{measurements, yesterday};
use crate::stage::{Said, Stage, run, show_certificate};
use crate::tls::{ForeignCa, subject_of};

const A: &str = "GF0001";
const B: &str = "GF0002";

const REFUSALS: &str = "lamplighter_gateway_refusals_total";
const HANDSHAKES: &str = "lamplighter_gateway_handshakes_total";
const FEEDS: &str = "lamplighter_feeds_endings_total";

#[test]
fn with_one_lampposts_certificate_nothing_is_published_for_another() {
    let stage = Stage::with_lampposts(&[A, B]);
    let mut forge = stage.mosquitto("mosquitto_pub", A);
    forge.args(["-V", "311", "-q", "1", "-i", A, "-t", &format!("lampposts/{B}/up/samples"), "-m", "forged"]);
    let said = run(&mut forge);
    assert_ne!(said.code, Some(0), "{}", said.out);
    assert!(said.err.contains("The connection was lost"), "MQTT 3.1.1 has no other refusal: {}", said.err);
    assert_eq!(acknowledgements(&said), 0);

    // All that a lamppost says, in B's name, and then the very same in its own.
    let forged = published(&stage, &["--speak-for", B]);
    assert!(forged.iter().all(|one| one["acknowledged"] == false), "{forged:?}");
    let refusals = 1.0 + f64::from(u32::try_from(forged.len()).unwrap());
    wait_for_count(&stage, (REFUSALS, "reason=\"foreign_topic\""), refusals);
    let own = published(&stage, &[]);
    assert!(own.iter().all(|one| one["acknowledged"] == true), "{own:?}");

    // Ingest follows the order of the journal: what stood before A's would be stored by now.
    wait_for("A's series", Duration::from_secs(30), || (series_of(&stage, A) == 4).then_some(())).unwrap();
    assert_eq!(series_of(&stage, B), 0);
    assert!(has_said_hello(&stage, A) && !has_said_hello(&stage, B));
}

#[test]
fn subscriptions_outside_of_its_own_down_are_refused_one_by_one() {
    let stage = Stage::with_lampposts(&[A, B]);
    let own = format!("lampposts/{A}/down/#");
    let others = ["#".to_owned(), format!("lampposts/{B}/down/#"), "lampposts/+/down/#".to_owned()];
    for (refused, filter) in (1u32..).zip(&others) {
        let said = run(subscribe(&stage).args(["-t", filter]));
        assert!(said.out.contains("Subscribed (mid: 1): 128\n"), "{filter}: {}", said.out);
        assert!(said.err.contains("All subscription requests were denied"), "{filter}: {}", said.err);
        wait_for_count(&stage, (REFUSALS, "reason=\"foreign_filter\""), refused.into());
    }
    let mixed = run(subscribe(&stage).args(["-t", &own, "-t", &others[1]]));
    assert!(mixed.out.contains("Subscribed (mid: 1): 1, 128\n"), "{}", mixed.out);
}

#[test]
fn whatever_breaks_a_rule_is_refused_and_counted_and_the_lamppost_goes_on() {
    let stage = Stage::with_lampposts(&[A]);
    for mut case in broken_rules(&stage) {
        let (metric, label) = case.counter;
        let before = stage.api().metric(metric, label).unwrap();
        let said = run(&mut case.command);
        assert_eq!(connacks(&said), Vec::from_iter(case.connack), "{}: {}{}", case.what, said.out, said.err);
        assert_eq!(acknowledgements(&said), 0, "{}: {}", case.what, said.out);
        // At QoS 0 there is no acknowledgement that the sender could miss.
        assert_eq!(said.code == Some(0), case.what == "QoS 0", "{}: {}", case.what, said.err);
        wait_for_count(&stage, case.counter, before + 1.0);
    }
    let journalled = ("lamplighter_gateway_publishes_total", "");
    wait_for_count(&stage, journalled, 0.0);

    let mut in_order = stage.mosquitto("mosquitto_pub", A);
    in_order.args(["-V", "311", "-q", "1", "-i", A, "-t", &format!("lampposts/{A}/up/hello"), "-m", "x"]);
    let in_order = run(&mut in_order);
    assert_eq!(
        (acknowledgements(&in_order), in_order.code),
        (1, Some(0)),
        "{}{}",
        in_order.out,
        in_order.err
    );
    wait_for_count(&stage, journalled, 1.0);
}

/// A client that breaks a rule, and how it is told.
struct Case {
    what: &'static str,
    command: Command,
    /// The code of its CONNACK; none if it does not come that far.
    connack: Option<u8>,
    /// Where it is counted: metric and label.
    counter: (&'static str, &'static str),
}

fn broken_rules(stage: &Stage) -> Vec<Case> {
    let topic = |leaf: &str| format!("lampposts/{A}/{leaf}");
    let (hello, position, unknown) = (topic("up/hello"), topic("down/position"), topic("up/picture"));
    let (long, longer) = (stage.file_of(32 * 1024 + 1), stage.file_of(40 * 1024));
    let (long, longer) = (long.to_str().unwrap(), longer.to_str().unwrap());
    let rules: [(_, _, _, &[&str]); 11] = [
        ("MQTT 5", 132, "reason=\"version_5\"", &["-V", "5", "-i", A, "-t", &hello, "-m", "x"]),
        ("MQTT 3.1", 1, "reason=\"other_version\"", &["-V", "31", "-i", A, "-t", &hello, "-m", "x"]),
        ("another client id", 2, "reason=\"client_id\"", &["-q", "1", "-i", B, "-t", &hello, "-m", "x"]),
        ("a will", 5, "reason=\"will\"", &["-i", A, "-t", &hello, "-m", "x", "--will-topic", &hello]),
        ("QoS 0", 0, "reason=\"qos\"", &["-q", "0", "-i", A, "-t", &hello, "-m", "x"]),
        ("QoS 2", 0, "reason=\"qos\"", &["-q", "2", "-i", A, "-t", &hello, "-m", "x"]),
        (
            "a retained message",
            0,
            "reason=\"retained\"",
            &["-q", "1", "-r", "-i", A, "-t", &hello, "-m", "x"],
        ),
        ("its own down", 0, "reason=\"unknown_topic\"", &["-q", "1", "-i", A, "-t", &position, "-m", "x"]),
        (
            "a topic of no kind",
            0,
            "reason=\"unknown_topic\"",
            &["-q", "1", "-i", A, "-t", &unknown, "-m", "x"],
        ),
        ("a byte too many", 0, "reason=\"too_long\"", &["-q", "1", "-i", A, "-t", &hello, "-f", long]),
        ("a packet of 40 KiB", 0, "reason=\"too_long\"", &["-q", "1", "-i", A, "-t", &hello, "-f", longer]),
    ];
    let mut cases = Vec::new();
    for (what, code, label, arguments) in rules {
        let mut command = stage.mosquitto("mosquitto_pub", A);
        command.args(arguments);
        cases.push(Case { what, command, connack: Some(code), counter: (REFUSALS, label) });
    }
    for (what, certificates, label) in strangers(stage) {
        let mut command = stage.stranger("mosquitto_pub", A);
        if let Some(folder) = &certificates {
            show_certificate(&mut command, folder, A);
        }
        command.args(["-q", "1", "-i", A, "-t", &hello, "-m", "x"]);
        // Without a certificate TLS is done all the same, for a lamppost may come to enrol, and departments log in with a name;
        // so it is told by MQTT.
        let connack = certificates.is_none().then_some(5);
        let family = if certificates.is_none() { FEEDS } else { HANDSHAKES };
        cases.push(Case { what, command, connack, counter: (family, label) });
    }
    cases
}

/// Clients without a certificate of the fleet's CA: the folder of what they show, and the outcome of the handshake.
fn strangers(stage: &Stage) -> [(&'static str, Option<PathBuf>, &'static str); 3] {
    let foreign = ForeignCa::make(stage.directory(), "/CN=Somebody else");
    let fleet_ca = stage.certificates_of(A).join("ca.pem");
    let namesake = ForeignCa::make(stage.directory(), &subject_of(&fleet_ca));
    assert_eq!(subject_of(&namesake.certificate()), subject_of(&fleet_ca));
    let bad = "outcome=\"bad_certificate\"";
    [
        ("no certificate", None, "reason=\"no_login\""),
        ("a certificate of a foreign CA", Some(foreign.issue(A)), bad),
        ("a certificate of a CA that bears the fleet's name", Some(namesake.issue(A)), bad),
    ]
}

/// What `lamppost.py` published with A's certificate, message by message.
fn published(stage: &Stage, more: &[&str]) -> Vec<Value> {
    let mut lamppost = stage.python("lamppost.py", A);
    lamppost.arg("--measurements").arg(measurements()).args(["--start-ms", &yesterday().to_string()]);
    let said: Value = serde_json::from_str(&run(lamppost.args(more)).succeeded()).unwrap();
    said["published"].as_array().unwrap().clone()
}

/// Subscribes with A's certificate until every filter is answered.
fn subscribe(stage: &Stage) -> Command {
    let mut command = stage.mosquitto("mosquitto_sub", A);
    command.args(["-V", "311", "-q", "1", "-i", A, "-E"]);
    command
}

/// How many series of a lamppost the server knows.
fn series_of(stage: &Stage, number: &str) -> usize {
    let list = stage.api().json(&format!("/api/v1/lampposts/{number}/series")).unwrap();
    list["series"].as_array().unwrap().len()
}

/// Whether the server knows a hello of `lamppost.py` from this lamppost.
fn has_said_hello(stage: &Stage, number: &str) -> bool {
    let lamppost = stage.api().json(&format!("/api/v1/lampposts/{number}")).unwrap();
    lamppost.to_string().contains("third-party")
}

/// The codes with which the server answered the client's CONNECT.
fn connacks(said: &Said) -> Vec<u8> {
    let answers =
        said.out.lines().filter_map(|line| line.split_once("received CONNACK (")?.1.strip_suffix(')'));
    answers.map(|code| code.parse().unwrap()).collect()
}

fn acknowledgements(said: &Said) -> usize {
    said.out.matches("received PUBACK").count() + said.out.matches("received PUBREC").count()
}

/// A client may know before the counter does.
fn wait_for_count(stage: &Stage, (metric, label): (&str, &str), expected: f64) {
    let reached = || stage.api().metric(metric, label).ok().filter(|count| (count - expected).abs() < 0.5);
    let what = format!("{metric} {label} to be {expected}");
    wait_for(&what, Duration::from_secs(10), reached).unwrap();
}
