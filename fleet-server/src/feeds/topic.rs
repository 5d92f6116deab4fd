//! Where an observation stands in the tree of topics.

use std::fmt;

use lamplighter_protocol::{LamppostNumber, SeriesName, Theme};

/// `highway/{theme}/{district}/{lamppost}/{property}[/{channel}]`, split into its levels once.
///
/// The theme is the catalogue's, the district the register's, made into one level. The device is not in it: who asks for
/// the air temperature of a district does not know how its lampposts are fitted. Where two devices of a lamppost observe
/// the same property, both speak on one topic, and each message names its device.
#[derive(Clone, PartialEq, Eq)]
pub struct Topic {
    text: Box<str>,
    /// Where each level after the first one ends; of a topic without a channel one fewer counts.
    ends: [u16; Self::MOST_LEVELS],
    levels: usize,
}

impl Topic {
    /// The first level of every topic.
    pub const ROOT: &str = "highway";
    /// Levels of a topic after the first one, without a channel.
    pub(super) const LEAST_LEVELS: usize = 4;
    /// The same, with a channel.
    pub(super) const MOST_LEVELS: usize = 5;
    /// Longest district in a topic, in bytes: several times the longest that there is; the rest of it is cut off.
    const DISTRICT_BYTES: usize = 256;

    /// The topic of a series. A district is made into one level: what cannot stand in one is written `-`, and so is none.
    ///
    /// # Panics
    /// Never: names and a district are bounded.
    pub fn new(theme: Theme, district: Option<&str>, lamppost: &LamppostNumber, series: &SeriesName) -> Self {
        let district = level_of(district.unwrap_or_default());
        let mut levels = vec![theme.as_str(), &district, lamppost.as_str(), series.property.as_str()];
        levels.extend(series.channel.as_ref().map(lamplighter_protocol::ChannelName::as_str));
        let mut text = String::from(Self::ROOT);
        let mut ends = [0; Self::MOST_LEVELS];
        for (level, end) in levels.iter().zip(&mut ends) {
            text.push('/');
            text.push_str(level);
            *end = u16::try_from(text.len()).expect("names and a district are some hundred bytes");
        }
        Self { text: text.into(), ends, levels: levels.len() }
    }

    /// The topic as it is sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its levels after the first one.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = &str> {
        let ends = self.ends.iter().take(self.levels);
        let mut from = Self::ROOT.len() + 1;
        ends.map(move |end| {
            let level = self.text.get(from..usize::from(*end)).unwrap_or_default();
            from = usize::from(*end) + 1;
            level
        })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name as one level of a topic (4.7): without separators, wildcards and control characters.
fn level_of(name: &str) -> String {
    let name = name.trim();
    let mut level = String::with_capacity(name.len().max(1));
    for character in name.chars() {
        let is_plain = !matches!(character, '/' | '+' | '#') && !character.is_control();
        let character = if is_plain { character } else { '-' };
        if level.len() + character.len_utf8() > Topic::DISTRICT_BYTES {
            break;
        }
        level.push(character);
    }
    if level.is_empty() { "-".to_owned() } else { level }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::feeds) fn series(text: &str) -> SeriesName {
        let mut parts = text.split('/');
        SeriesName {
            device: parts.next().unwrap().parse().unwrap(),
            property: parts.next().unwrap().parse().unwrap(),
            channel: parts.next().map(|channel| channel.parse().unwrap()),
        }
    }

    fn topic(district: Option<&str>, name: &str) -> String {
        Topic::new(Theme::Weather, district, &"DF3637".parse().unwrap(), &series(name)).to_string()
    }

    #[test]
    fn a_topic_reads_from_theme_to_channel() {
        assert_eq!(
            topic(Some("Kwun Tong"), "weather-1/air_temperature"),
            "highway/weather/Kwun Tong/DF3637/air_temperature"
        );
        assert_eq!(
            topic(Some("觀塘"), "weather-1/air_temperature/max"),
            "highway/weather/觀塘/DF3637/air_temperature/max"
        );
    }

    #[test]
    fn a_district_is_one_level_whatever_stands_in_it() {
        for (district, level) in [
            (Some("Central/Western"), "Central-Western"),
            (Some("a+b#c\0d\n"), "a-b-c-d"),
            (Some(" "), "-"),
            (None, "-"),
        ] {
            let expected = format!("highway/weather/{level}/DF3637/pm1");
            assert_eq!(topic(district, "air-1/pm1"), expected);
        }
        assert!(topic(Some(&"觀".repeat(200)), "air-1/pm1").len() < 300);
    }

    proptest! {
        #[test]
        fn levels_are_what_stands_between_the_slashes(district in ".{0,40}", channel in "(/[a-z]{1,4})?") {
            let topic = Topic::new(
                Theme::Air,
                Some(&district),
                &"DF1".parse().unwrap(),
                &series(&format!("air-1/pm1{channel}")),
            );
            let levels: Vec<&str> = topic.levels().collect();
            let split: Vec<&str> = topic.as_str().split('/').skip(1).collect();
            prop_assert_eq!(&levels, &split);
            prop_assert!(levels.iter().all(|level| !level.is_empty()));
            prop_assert!((Topic::LEAST_LEVELS..=Topic::MOST_LEVELS).contains(&levels.len()));
        }
    }
}
