//! Says once that the server's own clock cannot be right (D3). It is looked at whether or not anybody is connected: by a
//! clock that is in 1970 no certificate is valid yet, and nobody can connect.

use lamplighter_protocol::{ImplausibleTime, UtcMillis};
use prometheus_client::metrics::gauge::Gauge;

/// What was last said of the clock.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    is_wrong: bool,
    wrong: Gauge,
}

impl ClockWatch {
    /// Tells `wrong` what it sees: 1 or 0.
    pub(super) fn new(wrong: Gauge) -> Self {
        Self { is_wrong: false, wrong }
    }

    /// The clock shows this: gives it back if it can be right.
    pub(super) fn look(&mut self, now: UtcMillis) -> Result<UtcMillis, ImplausibleTime> {
        match self.changed(now) {
            Some(Err(why)) => {
                tracing::error!(
                    %why,
                    "the clock cannot be right: until it is set lampposts are told no time and no command, and may not \
                     be able to connect"
                );
            }
            Some(Ok(now)) => {
                tracing::info!(?now, "the clock is set: lampposts that ask are told the time again");
            }
            None => {}
        }
        self.wrong.set(i64::from(self.is_wrong));
        now.plausible()
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
    use lamplighter_protocol::EARLIEST;

    use super::*;

    #[test]
    fn d3_that_the_clock_cannot_be_right_is_said_once_until_it_is() {
        let mut clock = ClockWatch::default();
        assert_eq!(clock.changed(EARLIEST), None);
        let wrong = UtcMillis(5);
        assert_eq!(clock.changed(wrong), Some(Err(ImplausibleTime::TooEarly(wrong))));
        assert_eq!(clock.changed(wrong.plus_ms(1)), None);
        assert_eq!(clock.changed(EARLIEST), Some(Ok(EARLIEST)));
        assert_eq!(clock.changed(EARLIEST), None);
    }

    #[test]
    fn d3_a_clock_that_cannot_be_right_is_in_the_figures_until_it_is() {
        let wrong = Gauge::default();
        let mut clock = ClockWatch::new(wrong.clone());
        assert_eq!(clock.look(UtcMillis(5)), Err(ImplausibleTime::TooEarly(UtcMillis(5))));
        assert_eq!(wrong.get(), 1);
        assert_eq!(clock.look(EARLIEST), Ok(EARLIEST));
        assert_eq!(wrong.get(), 0);
    }
}
