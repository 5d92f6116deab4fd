//! What will be, if all goes on as it does: for how long the outbox has room, and when what waits is sent. Pure.

use super::report::{Backlog, ConnectionStatus, Storage};

const HOUR_S: u128 = 3600;

/// What waits was last acknowledged so long ago that the rate says nothing, ms.
const STALLED_MS: i64 = 2 * 60_000;

/// For how long an outage may last before something has to go, from an outbox that the server holds whole.
pub(crate) fn holds_s(storage: &Storage) -> Option<u64> {
    let by_bytes = seconds(storage.capacity_bytes, storage.appended_bytes_per_hour?)?;
    Some(by_bytes.min(storage.max_age_s))
}

/// When something has to go if nothing is sent from now on. `on_disk_records` are all that are on disk, held or not.
pub(crate) fn room_for_s(
    storage: &Storage,
    backlog: &Backlog,
    on_disk_records: u64,
    now_ms: i64,
) -> Option<u64> {
    // What the server holds goes first; records are about as long as each other.
    let owed = u128::from(backlog.bytes) * u128::from(backlog.records) / u128::from(on_disk_records.max(1));
    let free = u128::from(storage.capacity_bytes).saturating_sub(owed);
    let by_bytes = seconds(u64::try_from(free).ok()?, storage.appended_bytes_per_hour?)?;
    let age_s = backlog.oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest).max(0) / 1000);
    Some(by_bytes.min(storage.max_age_s.saturating_sub(age_s.unsigned_abs())))
}

/// When what waits to be sent is sent. None while it does not shrink, or nobody knows.
pub(crate) fn drains_in_s(
    connection: &ConnectionStatus,
    appended_records_per_hour: Option<u64>,
    now_ms: i64,
) -> Option<u64> {
    if !connection.connected {
        return None;
    }
    if connection.to_send_records == 0 {
        return Some(0);
    }
    let last = connection.last_acknowledgement_ms?;
    if now_ms.saturating_sub(last) > STALLED_MS {
        return None;
    }
    let shrinks = connection.acknowledged_per_hour?.checked_sub(appended_records_per_hour.unwrap_or(0))?;
    seconds(connection.to_send_records, shrinks)
}

/// How long this much takes at so much an hour; none if that is never.
fn seconds(amount: u64, per_hour: u64) -> Option<u64> {
    let seconds = (u128::from(amount) * HOUR_S).checked_div(u128::from(per_hour))?;
    Some(u64::try_from(seconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;
    const NOW_MS: i64 = 1_000 * 86_400_000;

    fn storage() -> Storage {
        Storage {
            capacity_bytes: 74_000_000,
            appended_bytes_per_hour: Some(10_000_000 / 24),
            max_age_s: 30 * DAY_S,
            ..Storage::default()
        }
    }

    #[test]
    fn an_outage_may_last_until_the_bytes_or_the_age_is_reached() {
        let days = |storage: &Storage| holds_s(storage).map(|seconds| seconds * 10 / DAY_S);
        assert_eq!(days(&storage()), Some(74));
        assert_eq!(days(&Storage { appended_bytes_per_hour: Some(1), ..storage() }), Some(300));
        assert_eq!(days(&Storage { appended_bytes_per_hour: Some(0), ..storage() }), None);
        assert_eq!(days(&Storage { appended_bytes_per_hour: None, ..storage() }), None);
    }

    #[test]
    fn there_is_room_for_what_is_not_owed_and_not_longer_than_the_oldest_may_wait() {
        let backlog = Backlog { records: 50, bytes: 48_000_000, ..Backlog::default() };
        let days = |backlog: &Backlog| room_for_s(&storage(), backlog, 100, NOW_MS).unwrap() * 10 / DAY_S;
        assert_eq!(days(&backlog), 50);
        let oldest_ms = Some(NOW_MS - 29 * 86_400_000);
        assert_eq!(days(&Backlog { oldest_ms, ..backlog.clone() }), 10);
        assert_eq!(days(&Backlog { records: 100, bytes: 80_000_000, ..backlog }), 0);
        assert_eq!(room_for_s(&storage(), &Backlog::default(), 0, NOW_MS).unwrap() * 10 / DAY_S, 74);
    }

    #[test]
    fn what_waits_drains_by_what_is_acknowledged_beyond_what_is_read() {
        let connection = ConnectionStatus {
            connected: true,
            to_send_records: 9_000,
            acknowledged_per_hour: Some(3_600_000),
            last_acknowledgement_ms: Some(NOW_MS - 1_000),
            ..ConnectionStatus::default()
        };
        let drains = |connection: &ConnectionStatus| drains_in_s(connection, Some(360_000), NOW_MS);
        assert_eq!(drains(&connection), Some(10));
        assert_eq!(drains(&ConnectionStatus { to_send_records: 0, ..connection.clone() }), Some(0));
        assert_eq!(drains(&ConnectionStatus { connected: false, ..connection.clone() }), None);
        assert_eq!(
            drains(&ConnectionStatus { acknowledged_per_hour: Some(300_000), ..connection.clone() }),
            None
        );
        let stalled = Some(NOW_MS - 121_000);
        assert_eq!(drains(&ConnectionStatus { last_acknowledgement_ms: stalled, ..connection }), None);
    }
}
