//! Topics: `lampposts/{number}/{up|down}/{leaf}`, and nothing else.

use std::fmt;
use std::str::FromStr;

use crate::id::LamppostNumber;

/// One of the two logs of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Log {
    /// Ticks of devices.
    Samples,
    /// Openings, reports (of commands, of what was dropped), and observations by exception.
    Events,
}

impl Log {
    /// Both, in the order in which a hello names them.
    pub const ALL: [Self; 2] = [Self::Samples, Self::Events];

    /// The word that topics, files and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Events => "events",
        }
    }
}

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// `up/hello`
    Hello,
    /// `up/description`
    Description,
    /// `up/samples`, `up/events`: frames of that log.
    Frames(Log),
    /// `down/position`
    Position,
    /// `down/command`
    Command,
}

impl Leaf {
    const ALL: [Self; 6] = [
        Self::Hello,
        Self::Description,
        Self::Frames(Log::Samples),
        Self::Frames(Log::Events),
        Self::Position,
        Self::Command,
    ];

    /// Whether a lamppost may publish it; otherwise it listens to it.
    pub fn is_up(self) -> bool {
        match self {
            Self::Hello | Self::Description | Self::Frames(_) => true,
            Self::Position | Self::Command => false,
        }
    }

    /// The end of the topic, below the lamppost's number.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "up/hello",
            Self::Description => "up/description",
            Self::Frames(Log::Samples) => "up/samples",
            Self::Frames(Log::Events) => "up/events",
            Self::Position => "down/position",
            Self::Command => "down/command",
        }
    }
}

/// A topic of one lamppost.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose it is.
    pub lamppost: LamppostNumber,
    /// What it carries.
    pub leaf: Leaf,
}

/// Why a text is not one of our topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a topic of a lamppost (lampposts/NUMBER/up/.. or lampposts/NUMBER/down/..)")]
pub struct TopicError(String);

impl Topic {
    /// A topic of this lamppost.
    pub fn new(lamppost: LamppostNumber, leaf: Leaf) -> Self {
        Self { lamppost, leaf }
    }

    /// The one filter that a lamppost may subscribe to, besides the topics that it covers.
    pub fn down_filter(lamppost: &LamppostNumber) -> String {
        format!("lampposts/{lamppost}/down/#")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lampposts/{}/{}", self.lamppost, self.leaf.as_str())
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(text: &str) -> Result<Self, TopicError> {
        let error = || TopicError(text.chars().take(96).collect());
        let (number, end) =
            text.strip_prefix("lampposts/").and_then(|rest| rest.split_once('/')).ok_or_else(error)?;
        let lamppost = LamppostNumber::new(number).map_err(|_| error())?;
        let leaf = Leaf::ALL.into_iter().find(|leaf| leaf.as_str() == end).ok_or_else(error)?;
        Ok(Self { lamppost, leaf })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_topic_prints_and_parses_back(number in "[A-Za-z0-9_-]{1,32}", leaf in 0..Leaf::ALL.len()) {
            let topic = Topic::new(LamppostNumber::new(&number).unwrap(), Leaf::ALL[leaf]);
            prop_assert_eq!(topic.to_string().parse(), Ok(topic));
        }

        #[test]
        fn what_parses_prints_as_it_was(text in "(lampposts|lamppost)/[A-Z#+/]{0,4}/(up|down|#)/(hello|samples|position|x|)") {
            if let Ok(topic) = text.parse::<Topic>() {
                prop_assert_eq!(topic.to_string(), text);
            }
        }
    }

    #[test]
    fn wildcards_and_strangers_are_refused() {
        for text in [
            "",
            "lampposts//up/hello",
            "lampposts/#",
            "lampposts/+/up/hello",
            "lampposts/A/up/hello/",
            "a/A/up/hello",
            "lampposts/A/up",
        ] {
            assert!(text.parse::<Topic>().is_err(), "{text:?}");
        }
    }
}
