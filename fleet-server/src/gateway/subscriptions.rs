//! What a lamppost listens to: its own `down`, and nothing else.

use lamplighter_protocol::{LamppostNumber, Leaf, Topic};
use rumqttc::mqttbytes::QoS;

/// The filters that a lamppost may hold, each with the `QoS` that was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions {
    all: Option<Granted>,
    position: Option<Granted>,
    command: Option<Granted>,
}

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granted {
    /// At `QoS` 0.
    Unacknowledged,
    /// At `QoS` 1.
    Acknowledged,
}

impl Granted {
    /// What is granted where this is asked: `QoS` 2 becomes 1, as the standard allows (3.8.4).
    pub(super) fn of(asked: QoS) -> Self {
        match asked {
            QoS::AtMostOnce => Self::Unacknowledged,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Self::Acknowledged,
        }
    }
}

impl Subscriptions {
    /// Grants a filter. False: it is not one that this lamppost may hold.
    pub(super) fn grant(&mut self, number: &LamppostNumber, filter: &str, granted: Granted) -> bool {
        self.slot(number, filter).map(|slot| *slot = Some(granted)).is_some()
    }

    /// Gives a filter up; any other text than a held filter changes nothing.
    pub(super) fn give_up(&mut self, number: &LamppostNumber, filter: &str) {
        if let Some(slot) = self.slot(number, filter) {
            *slot = None;
        }
    }

    /// How a message for this leaf is delivered, if the lamppost listens to it.
    pub fn delivery(self, leaf: Leaf) -> Option<Granted> {
        match leaf {
            Leaf::Position => self.all.max(self.position),
            Leaf::Command => self.all.max(self.command),
            Leaf::Hello | Leaf::Description | Leaf::Frames(_) => None,
        }
    }

    /// Whether it listens to anything.
    pub fn any(self) -> bool {
        self.all.or(self.position).or(self.command).is_some()
    }

    fn slot(&mut self, number: &LamppostNumber, filter: &str) -> Option<&mut Option<Granted>> {
        if filter == Topic::down_filter(number) {
            return Some(&mut self.all);
        }
        let topic: Topic = filter.parse().ok()?;
        if topic.lamppost != *number {
            return None;
        }
        match topic.leaf {
            Leaf::Position => Some(&mut self.position),
            Leaf::Command => Some(&mut self.command),
            Leaf::Hello | Leaf::Description | Leaf::Frames(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_filters_below_its_own_down_are_granted() {
        let number = LamppostNumber::new("DF3637").unwrap();
        let mut subscriptions = Subscriptions::default();
        for filter in [
            "#",
            "lampposts/#",
            "lampposts/+/down/#",
            "lampposts/DF3638/down/#",
            "lampposts/DF3638/down/position",
            "lampposts/DF3637/#",
            "lampposts/DF3637/up/hello",
            "lampposts/DF3637/down",
            "lampposts/DF3637/down/+",
            "$share/group/lampposts/DF3637/down/#",
            "",
        ] {
            assert!(!subscriptions.grant(&number, filter, Granted::Acknowledged), "{filter}");
        }
        assert!(!subscriptions.any());
        for filter in ["#", "position", "command"] {
            let filter = format!("lampposts/DF3637/down/{filter}");
            assert!(subscriptions.grant(&number, &filter, Granted::Acknowledged), "{filter}");
        }
    }

    #[test]
    fn overlapping_filters_deliver_once_at_the_better_quality() {
        let number = LamppostNumber::new("A").unwrap();
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.grant(&number, "lampposts/A/down/#", Granted::Unacknowledged));
        assert!(subscriptions.grant(&number, "lampposts/A/down/position", Granted::Acknowledged));
        assert_eq!(subscriptions.delivery(Leaf::Position), Some(Granted::Acknowledged));
        assert_eq!(subscriptions.delivery(Leaf::Command), Some(Granted::Unacknowledged));
        subscriptions.give_up(&number, "lampposts/A/down/#");
        assert_eq!(subscriptions.delivery(Leaf::Command), None);
        assert_eq!(subscriptions.delivery(Leaf::Position), Some(Granted::Acknowledged));
        assert_eq!(subscriptions.delivery(Leaf::Hello), None);
    }
}
