//! A disk under the journal that is full, or nearly: what is not written is not acknowledged, the server says so and
//! stays up, and as soon as there is space everything goes on.

use std::time::Duration;

use hil_tests::fleet::{Api, Ending, ServerProcess, wait_for};
use serde_json::{Value, json};

use super::commands::binaries;
use super::connection::End;
use super::counters::counted;
use super::lamppost::{Lamppost, SAMPLES, certified};
use super::mounts::{Mount, ballast};
use super::server_log::{assert_says, server_log};

/// Longer than the journal's longest pause between two tries, 10 s, and some tries on top.
const PATIENCE: Duration = Duration::from_mins(1);

/// Some 4 KB of records.
const TICKS_PER_FRAME: u64 = 200;
/// Some 20 frames.
const ROOM_BYTES: u64 = 96 * 1024;
/// Twice as many as fit.
const FRAMES: u64 = 40;

#[test]
fn a_full_disk_withholds_acknowledgements_and_loses_nothing_that_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _disk = match Mount::small_disk(&data, 4) {
        Ok(disk) => disk,
        Err(reason) => {
            eprintln!("not tested: nothing can be mounted here: {reason}");
            return;
        }
    };
    // Else it stops before the disk does.
    let options = ["--low-water", "0"];
    let mut server = ServerProcess::start_with(&binaries(), folder.path(), &options).unwrap();
    let [lamppost, other] = certified(&server, ["DF3637", "DF3638"]);
    other.log_in(&server).describe().unwrap();
    let ballast = ballast(&data, ROOM_BYTES);

    // Until the disk is full each frame is acknowledged; then the connection closes.
    let mut sender = Sender { lamppost: &lamppost, acknowledged: 0 };
    assert_eq!(sender.send(&server, PATIENCE), Err(End::Closed));
    assert!((1..FRAMES).contains(&sender.acknowledged), "{} frames found room", sender.acknowledged);

    let unhealthy = || {
        // A lamppost comes again and again. Its connection closes again, or it waits for an acknowledgement.
        assert!(sender.send(&server, Duration::from_secs(2)).is_err());
        let (status, text) = server.api().ask("/healthz").unwrap();
        (status == 503).then_some(text)
    };
    let problem = wait_for("/healthz to say no", PATIENCE, unhealthy).unwrap();
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!(problem["type"], "/problems/unhealthy");
    assert_eq!(problem["detail"], json!("the journal does not work; the log says why"));
    assert!(sender.acknowledged < FRAMES);
    assert!(!server.has_ended());
    let api = server.api();
    assert!(counted(api, "lamplighter_journal_failures_total", "what=\"Write\"") > 0);
    assert!(counted(api, "lamplighter_journal_forgotten_total", "") > 0);
    assert!(counted(api, "lamplighter_gateway_endings_total", "reason=\"journal_cut\"") > 0);
    let log = server_log(folder.path());
    assert_says(
        &log,
        &["the journal cannot be written: nothing is acknowledged", "No space left on device (os error 28)"],
    );
    // What is there is served, and the gateway listens; it only acknowledges nothing.
    sender.assert_stored(api);
    other.log_in(&server).connection.ping();

    // It stops in good order, and starts, without a byte of space.
    let mut server = server.restart(Ending::Stop).unwrap();
    sender.assert_stored(server.api());
    assert!(sender.send(&server, Duration::from_secs(2)).is_err());
    assert!(!server.has_ended());

    std::fs::remove_file(ballast).unwrap();
    let sent = || sender.send(&server, PATIENCE).ok();
    wait_for("all frames to be acknowledged", PATIENCE, sent).unwrap();
    let position = lamppost.log_in(&server).greet(FRAMES * TICKS_PER_FRAME);
    assert_eq!(lamppost.held(&position), [(0, FRAMES * TICKS_PER_FRAME - 1)]);
    let mut back = other.log_in(&server);
    back.send(0..10).unwrap();
    let healthy = || (server.api().ask("/healthz").unwrap().0 == 200).then_some(());
    wait_for("/healthz to say yes", PATIENCE, healthy).unwrap();
    assert_says(&server_log(folder.path()), &["the journal goes on"]);

    let server = server.restart(Ending::Kill).unwrap();
    let api = server.api();
    assert_eq!(lamppost.stored(api), (0..FRAMES * TICKS_PER_FRAME).collect::<Vec<_>>());
    assert_eq!(other.stored(api), (0..10).collect::<Vec<_>>());
    assert_eq!(
        counted(api, "lamplighter_ingest_observations_total", "verdict=\"Stored\""),
        FRAMES * TICKS_PER_FRAME + 10,
        "each once"
    );
    assert_eq!(counted(api, "lamplighter_journal_damaged_regions", ""), 0);
    assert_eq!(counted(api, "lamplighter_journal_missing_entries", ""), 0);
}

#[test]
fn below_low_water_a_connection_stays_and_has_its_acknowledgement_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Of which 5 % are low water.
    let _disk = match Mount::small_disk(&data, 4) {
        Ok(disk) => disk,
        Err(reason) => {
            eprintln!("not tested: nothing can be mounted here: {reason}");
            return;
        }
    };
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost] = certified(&server, ["DF3637"]);
    let mut session = lamppost.log_in(&server);
    session.describe().unwrap();
    session.send(0..TICKS_PER_FRAME).unwrap();
    let ballast = ballast(&data, ROOM_BYTES);

    let frame = session.frame(TICKS_PER_FRAME..2 * TICKS_PER_FRAME);
    let packet_id = session.connection.publish(SAMPLES, &frame.encode()).unwrap();
    session.connection.wait_for_at_most(Duration::from_secs(3));
    assert_eq!(session.connection.acknowledged(packet_id), Err(End::Silent));
    session.connection.ping();
    let api = server.api();
    assert_eq!(api.ask("/readyz").unwrap().0, 503);
    // A restart makes no room.
    let healthy = api.json("/healthz").unwrap();
    assert!(healthy["detail"].as_str().unwrap().starts_with("the disk is nearly full"), "{healthy}");
    assert_eq!(counted(api, "lamplighter_journal_below_low_water", ""), 1);
    assert_eq!(lamppost.stored(api), (0..TICKS_PER_FRAME).collect::<Vec<_>>());

    std::fs::remove_file(ballast).unwrap();
    session.connection.wait_for_at_most(PATIENCE);
    session.connection.acknowledged(packet_id).unwrap();
    let ready = || (api.ask("/readyz").unwrap().0 == 200).then_some(());
    wait_for("/readyz to say yes", PATIENCE, ready).unwrap();
    let position = session.greet(2 * TICKS_PER_FRAME);
    assert_eq!(lamppost.held(&position), [(0, 2 * TICKS_PER_FRAME - 1)]);
    assert_eq!(counted(api, "lamplighter_journal_forgotten_total", ""), 0);
    let log = server_log(folder.path());
    assert_says(&log, &["the disk is nearly full: nothing new is acknowledged", "free_bytes="]);
    assert_says(&log, &["there is room on the disk again"]);
}

/// Sends frames in order, and remembers how many were acknowledged.
struct Sender<'a> {
    lamppost: &'a Lamppost,
    acknowledged: u64,
}

impl Sender<'_> {
    /// Logs in and sends all that is not acknowledged, until it is, or the connection closes, or no acknowledgement
    /// comes for this time.
    fn send(&mut self, server: &ServerProcess, patience: Duration) -> Result<(), End> {
        let mut session = self.lamppost.log_in(server);
        session.connection.wait_for_at_most(patience);
        session.describe()?;
        while self.acknowledged < FRAMES {
            let first = self.acknowledged * TICKS_PER_FRAME;
            session.send(first..first + TICKS_PER_FRAME)?;
            self.acknowledged += 1;
        }
        Ok(())
    }

    /// All that was acknowledged is stored; what lost its acknowledgement on the way may be, too.
    fn assert_stored(&self, api: &Api) {
        let acknowledged: Vec<_> = (0..self.acknowledged * TICKS_PER_FRAME).collect();
        assert!(self.lamppost.stored(api).starts_with(&acknowledged), "{} frames", self.acknowledged);
    }
}
