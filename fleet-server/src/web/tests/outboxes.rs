use serde_json::{Value, json};

use super::rig::Rig;
use super::speaker::{Speaker, run, seconds};

const OUTBOXES: &str = "/api/v1/lampposts/DF9/outboxes";

#[test]
fn what_became_of_records_is_told_run_by_run_and_in_all() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&[("weather-1", Some(1000))]);
    speaker.greets(0, 5, &[(2, 0, 3), (1, 60, 79)]);
    speaker.opens(2, digest, 200_000, Some((1, 100, 99_000)));
    speaker.drops((2, 1), digest, (1, 0, 29), (0, 29_000));
    speaker.reads(1, 20, digest, seconds(20_000, 30), 60_000);
    let told = rig.get(OUTBOXES).json();
    let samples = json!({
        "owed": 100, "held": 30, "dropped": {"bytes": 20, "age": 0, "damaged": 0}, "lost": 30, "lost_closed": 0,
        "not_yet_here": 20,
    });
    let first = json!({
        "run": "01".repeat(16), "run_before": null, "opened": null, "ended": "2026-07-01T08:01:39.000Z",
        "ended_known": true, "placed_between": null,
        "samples": samples,
        "events": {
            "owed": 1, "held": 0, "dropped": {"bytes": 0, "age": 0, "damaged": 0}, "lost": 0, "lost_closed": 0,
            "not_yet_here": 1,
        },
    });
    assert_eq!(told["runs"][1], first);
    assert_eq!(told["runs"][0]["run_before"], "01".repeat(16));
    assert_eq!(told["runs"][0]["opened"], "2026-07-01T08:03:20.000Z");
    let outbox = json!({
        "outbox": "05".repeat(16), "standing": "living", "hardware_serial": "S5", "run": "02".repeat(16),
        "first_heard": "2026-07-01T08:00:00.000Z", "last_heard": "2026-07-01T08:00:00.000Z",
        "lives": 1, "runs": 2, "records": 25, "set_aside": null, "speaks": true,
    });
    assert_eq!(told["outboxes"], json!([outbox]));
    assert_eq!(told["decisions"], json!([]));
    assert_eq!((&told["forks"], &told["next"], &told["unplaced"]), (&json!([]), &Value::Null, &json!(0)));
    assert_eq!(told["records"]["owed"], 100 + 1 + 4 + 2);

    let lamppost = rig.get("/api/v1/lampposts/DF9").json();
    assert_eq!(lamppost["ledger"]["records"], told["records"]);
    assert_eq!((&lamppost["ledger"]["outboxes"], &lamppost["ledger"]["forks"]), (&json!(1), &json!(0)));
}

#[test]
fn d3_of_a_run_that_never_learnt_the_time_it_is_told_between_what_it_was_placed() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&[("weather-1", Some(1000))]);
    speaker.opens(2, digest, 200_000, Some((1, 100, 99_000)));
    let (earliest, latest) = ("2026-07-01T08:00:01.000Z", "2026-07-01T08:03:20.000Z");
    for (sequence, of, told) in [(1, 1, Some(1_000)), (2, 3, None)] {
        speaker.places((2, sequence), digest, of, (told, 200_000));
    }
    let runs = rig.get(OUTBOXES).json()["runs"].clone();
    let placed = |id: u8| {
        let run = runs.as_array().unwrap().iter().find(|run| run["run"] == format!("{id:02x}").repeat(16));
        run.unwrap()["placed_between"].clone()
    };
    assert_eq!(placed(1), json!({"earliest": earliest, "latest": latest}));
    assert_eq!(placed(2), Value::Null);
    assert_eq!(placed(3), json!({"earliest": null, "latest": latest}));
}

#[test]
fn d3_a_run_whose_end_nobody_can_tell_has_ended_at_the_newest_time_that_is_known_of_it() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&[("weather-1", Some(1000))]);
    // Two runs without the time, one after the other, and one that knows it hours later.
    speaker.opens(1, digest, 10_000, None);
    speaker.reads(1, 0, digest, seconds(11_000, 5), 8_000_000);
    let end = |id: u8| {
        let runs = rig.get(OUTBOXES).json()["runs"].clone();
        let run = runs.as_array().unwrap().iter().find(|told| told["run"] == run(id).to_string());
        run.map(|run| (run["ended"].clone(), run["ended_known"].clone())).unwrap()
    };
    let open = (Value::Null, json!(false));
    assert_eq!(end(1), open, "it may be the one that speaks");

    speaker.places((3, 1), digest, 1, (None, 8_000_000));
    let first = (json!("2026-07-01T08:00:15.000Z"), json!(false));
    assert_eq!(end(1), first, "it is over, though the opening after it is still to come");

    speaker.opens_after(2, digest, 20_000, Some((1, 5)), None);
    speaker.opens_after(3, digest, 8_000_000, Some((2, 1)), Some(25_000));
    speaker.places((3, 2), digest, 2, (None, 8_000_000));
    let second = (json!("2026-07-01T08:00:25.000Z"), json!(true));
    assert_eq!([end(1), end(2), end(3)], [first, second, open]);
}

#[test]
fn a_fork_is_told_with_both_runs_and_their_times() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&[("weather-1", Some(1000))]);
    speaker.opens(3, digest, 5_000, Some((1, 10, 0)));
    speaker.opens(2, digest, 2_000, Some((1, 10, 0)));
    let forked = |id: u8, time: &str| json!({"run": run(id).to_string(), "opened": time, "received": time});
    let runs = [forked(2, "2026-07-01T08:00:02.000Z"), forked(3, "2026-07-01T08:00:05.000Z")];
    assert_eq!(rig.get(OUTBOXES).json()["forks"], json!([{"run_before": "01".repeat(16), "runs": runs}]));
    assert_eq!(rig.get("/api/v1/lampposts/DF9").json()["ledger"]["forks"], 1);
}

#[test]
fn runs_come_page_by_page_and_totals_are_of_all() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&[("weather-1", Some(1000))]);
    for id in 1..=5 {
        speaker.opens(id, digest, i64::from(id) * 1000, None);
    }
    let (mut told, mut after) = (Vec::new(), String::new());
    loop {
        let page = rig.get(&format!("{OUTBOXES}?limit=2{after}")).json();
        assert_eq!(page["records"]["held"], 5);
        told.extend(
            page["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(told, [5, 4, 3, 2, 1].map(|id| run(id).to_string()));
}

#[test]
fn a_lamppost_that_never_spoke_has_no_outbox_and_owes_nothing() {
    let rig = Rig::new();
    let told = rig.get("/api/v1/lampposts/DF1/outboxes").json();
    assert_eq!(
        (&told["outboxes"], &told["runs"], &told["records"]["owed"]),
        (&json!([]), &json!([]), &json!(0))
    );
}
