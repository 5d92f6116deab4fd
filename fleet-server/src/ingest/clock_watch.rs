//! Says once, and not with every position, that the server's own clock cannot be right (D3).

use lamplighter_protocol::{ImplausibleTime, UtcMillis};

/// What was last said of the clock.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    is_wrong: bool,
}

impl ClockWatch {
    /// The clock shows this.
    pub(super) fn look(&mut self, now: UtcMillis) {
        match self.changed(now) {
            Some(Err(why)) => {
                tracing::error!(%why, "the clock cannot be right: lampposts that ask are told no time until it is set");
            }
            Some(Ok(now)) => {
                tracing::info!(?now, "the clock is set: lampposts that ask are told the time again");
            }
            None => {}
        }
    }

    /// What is to be said of it; none if that was said.
    fn changed(&mut self, now: UtcMillis) -> Option<Result<UtcMillis, ImplausibleTime>> {
        let clock = now.plausible();
        let was_wrong = std::mem::replace(&mut self.is_wrong, clock.is_err());
        (was_wrong != self.is_wrong).then_some(clock)
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::RELEASED;

    use super::*;

    #[test]
    fn d3_that_the_clock_cannot_be_right_is_said_once_until_it_is() {
        let mut clock = ClockWatch::default();
        assert_eq!(clock.changed(RELEASED), None);
        let wrong = UtcMillis(5);
        assert_eq!(clock.changed(wrong), Some(Err(ImplausibleTime::BeforeRelease(wrong))));
        assert_eq!(clock.changed(wrong.plus_ms(1)), None);
        assert_eq!(clock.changed(RELEASED), Some(Ok(RELEASED)));
        assert_eq!(clock.changed(RELEASED), None);
    }
}
