//! What the server has counted.

use std::time::Duration;

use hil_tests::fleet::{Api, wait_for};

/// Longer than every time limit of the gateway that is met here, of which the longest is 20 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// The sum of a counter over all samples whose labels contain `label`.
pub(crate) fn counted(api: &Api, counter: &str, label: &str) -> u64 {
    // A whole number prints without a point; the sum of no samples is minus zero.
    api.metric(counter, label).unwrap().abs().to_string().parse().unwrap()
}

/// Waits until a counter is this high, and it may not be higher.
pub(crate) fn wait_for_count(api: &Api, counter: &str, label: &str, count: u64) {
    let reached = || Some(counted(api, counter, label)).filter(|counted| *counted >= count);
    let reached = wait_for(&format!("{counter}{{{label}}} to be {count}"), PATIENCE, reached).unwrap();
    assert_eq!(reached, count, "{counter}{{{label}}}");
}
