//! Whether the path works, as `/healthz` asks it.

use lamplighter_protocol::limits::RESERVED_NUMBER;

use super::bench::Bench;
use super::number;
use crate::gateway::{Stuck, Way};

#[tokio::test]
async fn a_message_of_the_servers_own_goes_through_the_journal_and_is_met_behind_it() {
    let bench = Bench::start().await;
    let (answer, entry) = tokio::join!(bench.probe.ask(), async {
        let entry = bench.journalled().await;
        bench.met.inc();
        entry
    });
    assert_eq!(answer, Ok(Way::Open));
    assert_eq!(entry.lamppost, number(RESERVED_NUMBER));
    // Who asks again at once is given the same answer, and nothing is written.
    assert_eq!(bench.probe.ask().await, Ok(Way::Open));
    assert!(bench.entries.try_recv().is_err());
    assert_eq!(bench.counter("publishes_total"), 0, "it is not counted among those of lampposts");
    assert_eq!(bench.counter("sessions"), 0);
    assert_eq!(bench.sessions.count(), 0);
}

#[tokio::test]
async fn a_disk_that_stands_still_is_no_health_although_the_process_is_up() {
    let bench = Bench::start().await;
    bench.gate.close();
    assert_eq!(bench.probe.ask().await, Err(Stuck::Gateway));
}

#[tokio::test]
async fn a_disk_without_room_is_healthy_for_as_long_as_somebody_looks_whether_there_is_some() {
    let bench = Bench::start().await;
    bench.gate.fill(true);
    // Asked before the journal has noticed, or after.
    let Ok(Way::Short(shortage)) = bench.probe.ask().await else { panic!("it is short of room") };
    assert_eq!(shortage.free_bytes, 0);
    assert!(bench.probe.anew().ask().await.is_ok_and(|way| way == Way::Short(shortage)));

    bench.gate.close();
    assert_eq!(bench.probe.anew().ask().await, Err(Stuck::Gateway), "nobody looks");
    bench.gate.fill(false);
    bench.gate.open();
    let probe = bench.probe.anew();
    let answer = tokio::select! {
        answer = probe.ask() => answer,
        // What was sent before it was known that there is no room is committed as well.
        () = bench.meets_all() => unreachable!("it never ends"),
    };
    assert_eq!(answer, Ok(Way::Open));
}

#[tokio::test]
async fn an_ingest_that_takes_nothing_is_no_health_although_all_is_acknowledged() {
    let bench = Bench::start().await;
    assert_eq!(bench.probe.ask().await, Err(Stuck::Ingest));
    assert_eq!(bench.journalled().await.lamppost, number(RESERVED_NUMBER), "it was on disk");
}

#[tokio::test]
async fn with_the_reserved_number_nobody_else_logs_in_unless_the_registry_knows_it() {
    let bench = Bench::start().await;
    bench.admission.refuse(RESERVED_NUMBER, crate::gateway::Refusal::UnknownLamppost);
    let mut poses = bench.client(RESERVED_NUMBER).await;
    poses.log_in_in_vain(RESERVED_NUMBER).await;
    bench.counts("refusals_total{reason=\"unknown_lamppost\"}", 1).await;
}
