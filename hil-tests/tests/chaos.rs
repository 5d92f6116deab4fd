//! For most of a minute everything fails at random moments: agents and server are killed, the network between them
//! cuts, delays and loses, their disks fail. All that was read is stored or reported, exactly (D1 to D15).

use hil_tests::chaos::{ChaosOptions, chaos};
use hil_tests::fleet::Binaries;

#[test]
fn whatever_fails_when_all_that_was_read_is_stored_once_or_reported() {
    let directory = tempfile::tempdir().unwrap();
    let binaries = Binaries::beside_this_program().unwrap();
    // An outbox is full in twenty seconds, so that an outage that is longer fits in.
    let (seconds, speed, outbox_kib) = (45, 12.0, 24);
    let options = ChaosOptions { seconds, seed: 2, streets: 3, lampposts: 2, speed, outbox_kib };
    let report = chaos(&binaries, directory.path(), options, &mut std::io::stdout()).unwrap();
    let mut table = Vec::new();
    report.print(&mut table).unwrap();
    let table = format!("seed {}\n{}", options.seed, String::from_utf8(table).unwrap());

    assert!(report.account.is_lossless(), "{table}");
    assert!(report.account.stored > 5_000, "{table}");
    // The faults were real.
    let befell = report.befell;
    assert!(befell.agents_killed >= 3 && befell.server_killed >= 1, "{table}");
    assert!(befell.closed + befell.torn + befell.lost >= 3, "{table}");
    assert!(report.failed_calls("agents") >= 1 && report.failed_calls("server") >= 1, "{table}");
    assert!(report.account.stopped > 0, "{table}");
    assert!(befell.outages >= 1 && report.account.dropped > 0, "{table}");
}
