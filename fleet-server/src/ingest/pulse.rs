//! A lamppost's pulse: the little of what ingest knows of it that tells whether it is well, cheap enough to be taken of
//! a whole fleet every second.

use lamplighter_protocol::UtcMillis;

/// What tells whether a lamppost is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Whether it has ever said hello.
    pub said_hello: bool,
    /// The greatest phenomenon time of its data.
    pub last_observation: Option<UtcMillis>,
    /// How recent its data is.
    pub freshness: Option<UtcMillis>,
    /// The shortest period of the grids of the devices that it has now; none if all report by exception.
    pub shortest_period_ms: Option<u32>,
}

/// How recent data is that was observed at `time` and `received` when `before` was the freshness: each datum counts as
/// of its phenomenon time, or of its receipt where that is earlier, and the most recent one counts. So a lamppost
/// whose clock runs ahead is not taken for fresh after it has fallen silent, and one that empties a backlog is not
/// fresh because it talks. Nothing counts as later than the newest receipt: when the server's clock is set back, that
/// goes for what it had received before.
pub(super) fn freshened(before: Option<UtcMillis>, time: UtcMillis, received: UtcMillis) -> UtcMillis {
    before.map_or(time, |before| before.max(time)).min(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(data: &[(i64, i64)]) -> i64 {
        let step = |before, (time, received): &(i64, i64)| {
            Some(freshened(before, UtcMillis(*time), UtcMillis(*received)))
        };
        data.iter().fold(None, step).unwrap().0
    }

    #[test]
    fn data_is_as_recent_as_what_it_is_about() {
        assert_eq!(after(&[(100, 105)]), 100);
        assert_eq!(after(&[(100, 105), (200, 205)]), 200);
    }

    #[test]
    fn data_from_the_future_is_as_recent_as_its_receipt() {
        assert_eq!(after(&[(700, 105)]), 105);
        assert_eq!(after(&[(700, 105), (800, 205)]), 205);
        assert_eq!(after(&[(700, 105), (201, 206)]), 201, "the clock of the lamppost was put right");
    }

    #[test]
    fn a_backlog_makes_nothing_fresh() {
        assert_eq!(after(&[(100, 105), (20, 900), (30, 901)]), 100);
        assert_eq!(after(&[(20, 900), (30, 901)]), 30);
        assert_eq!(after(&[(700, 105), (20, 900)]), 105, "nor one after data from the future");
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_nothing_in_the_future() {
        assert_eq!(after(&[(1000, 1005), (405, 400)]), 400);
        assert_eq!(after(&[(1000, 1005), (20, 400)]), 400);
        assert_eq!(after(&[(1000, 1005), (405, 400), (410, 410)]), 410);
    }
}
