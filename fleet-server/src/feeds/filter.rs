//! Parts of the tree of topics: MQTT topic filters (4.7 of MQTT 3.1.1) below `highway/`.

use std::fmt;
use std::str::FromStr;

use super::Topic;

/// A topic filter below `highway/` that matches something: what a department is granted, or asks for.
///
/// `+` stands for one level, `#` at the end for all that follow, and for none. Ordered and compared as text: two filters
/// of the same topics may differ ([`covers`](Self::covers) says more).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter {
    text: Box<str>,
    /// After the first one, and without a `#` at the end.
    levels: Box<[Level]>,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Level {
    Any,
    Is(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum End {
    /// Topics have as many levels.
    Closed,
    /// Topics have as many levels or more: it ends with `#`.
    Open,
}

/// Why a text is no filter of feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Longer than any that makes sense.
    #[error("a filter is at most {} bytes long", Filter::MOST_BYTES)]
    TooLong,
    /// Another tree; `$SYS` and `$share` among them.
    #[error(
        "a filter of feeds begins with highway/ and names a theme or a wildcard next, as in highway/weather/#"
    )]
    NotBelowRoot,
    /// Nothing between two slashes.
    #[error("a level of the filter is empty, which no topic has: write + for any")]
    EmptyLevel,
    /// A wildcard beside something else, or a `#` before the end.
    #[error("+ stands alone in its level, # does as well and is the last one")]
    Wildcard,
    /// What no topic holds.
    #[error("the filter has control characters, which no topic has")]
    Control,
    /// No topic is that long, or that short.
    #[error(
        "no topic has that many levels: they are highway/theme/district/lamppost/property, and for some a channel; \
         end with # for all that follows"
    )]
    Levels,
}

impl Filter {
    /// Longest filter, in bytes: longer than every topic.
    pub const MOST_BYTES: usize = 512;

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a topic.
    pub fn matches(&self, topic: &Topic) -> bool {
        let levels = topic.levels();
        self.has(levels.len())
            && self.levels.iter().zip(levels).all(|(own, level)| match own {
                Level::Any => true,
                Level::Is(text) => **text == *level,
            })
    }

    /// Whether every topic that `other` matches is also matched by this one.
    pub fn covers(&self, other: &Self) -> bool {
        // Each length that topics have by itself: a # stands for as many + as there are levels left.
        Self::lengths().filter(|length| other.has(*length)).all(|length| {
            self.has(length)
                && (0..length).all(|at| match (self.level(at), other.level(at)) {
                    (Level::Any, _) => true,
                    (Level::Is(own), Level::Is(others)) => own == others,
                    (Level::Is(_), Level::Any) => false,
                })
        })
    }

    /// Whether there can be a topic that both match.
    pub fn overlaps(&self, other: &Self) -> bool {
        Self::lengths().filter(|length| self.has(*length) && other.has(*length)).any(|length| {
            (0..length).all(|at| match (self.level(at), other.level(at)) {
                (Level::Is(own), Level::Is(others)) => own == others,
                (Level::Any, _) | (_, Level::Any) => true,
            })
        })
    }

    fn lengths() -> impl Iterator<Item = usize> {
        Topic::LEAST_LEVELS..=Topic::MOST_LEVELS
    }

    /// Whether it matches topics of so many levels after the first one.
    fn has(&self, length: usize) -> bool {
        match self.end {
            End::Closed => self.levels.len() == length,
            End::Open => self.levels.len() <= length,
        }
    }

    fn level(&self, at: usize) -> &Level {
        self.levels.get(at).unwrap_or(&Level::Any)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.len() > Self::MOST_BYTES {
            return Err(FilterError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(FilterError::Control);
        }
        let (root, below) = text.split_once('/').ok_or(FilterError::NotBelowRoot)?;
        if root != Topic::ROOT || below.is_empty() {
            return Err(FilterError::NotBelowRoot);
        }
        let (named, end) = match below.strip_suffix('#') {
            Some("") => (None, End::Open),
            Some(named) => (Some(named.strip_suffix('/').ok_or(FilterError::Wildcard)?), End::Open),
            None => (Some(below), End::Closed),
        };
        let levels = named.into_iter().flat_map(|named| named.split('/')).map(Level::parse);
        let levels = levels.collect::<Result<Box<[Level]>, FilterError>>()?;
        let filter = Self { text: text.into(), levels, end };
        if Self::lengths().any(|length| filter.has(length)) { Ok(filter) } else { Err(FilterError::Levels) }
    }
}

impl Level {
    fn parse(text: &str) -> Result<Self, FilterError> {
        match text {
            "" => Err(FilterError::EmptyLevel),
            "+" => Ok(Self::Any),
            text if text.contains(['+', '#']) => Err(FilterError::Wildcard),
            text => Ok(Self::Is(text.into())),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::Theme;
    use proptest::prelude::*;

    use super::super::topic::tests::series;
    use super::*;

    /// 4.7.1 to the letter, without knowing what topics there are.
    fn naive(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => naive(filter, topic),
            ([own, filter @ ..], [level, topic @ ..]) => own == level && naive(filter, topic),
            _ => false,
        }
    }

    /// A topic of few names, so that they meet often.
    fn topics() -> Vec<Topic> {
        // Every name that filters have, and one that they have not.
        const NAMES: [&str; 3] = ["a", "b", "z"];
        let mut all = Vec::new();
        for theme in [Theme::Weather, Theme::Air, Theme::Light] {
            for at in 0..81 {
                let name = |place: u32| NAMES[at / 3_usize.pow(place) % 3];
                let (district, lamppost) = (name(0), name(1).parse().unwrap());
                for of in [format!("d/{}", name(2)), format!("d/{}/{}", name(2), name(3))] {
                    all.push(Topic::new(theme, Some(district), &lamppost, &series(&of)));
                }
            }
        }
        all
    }

    fn filters() -> impl Strategy<Value = String> {
        let theme = prop::sample::select(vec!["weather", "air", "+"]);
        let level = prop::sample::select(vec!["a", "b", "+"]);
        let levels = prop::collection::vec(level, 0..5);
        (theme, levels, prop::bool::ANY).prop_map(|(theme, levels, open)| {
            let mut text = format!("highway/{theme}");
            levels.iter().chain(open.then_some(&"#")).for_each(|level| {
                text.push('/');
                text.push_str(level);
            });
            text
        })
    }

    proptest! {
        #[test]
        fn filters_match_by_the_words_of_the_standard(text in filters()) {
            let parts: Vec<&str> = text.split('/').collect();
            let matched = |topic: &Topic| naive(&parts, &topic.as_str().split('/').collect::<Vec<_>>());
            match text.parse::<Filter>() {
                Ok(filter) => for topic in topics() {
                    prop_assert_eq!(filter.matches(&topic), matched(&topic), "{} {}", filter, topic);
                },
                Err(error) => {
                    prop_assert_eq!(error, FilterError::Levels);
                    prop_assert!(!topics().iter().any(matched));
                }
            }
        }

        #[test]
        fn what_covers_and_what_overlaps_is_told_by_the_topics(one in filters(), other in filters()) {
            let (Ok(one), Ok(other)) = (one.parse::<Filter>(), other.parse::<Filter>()) else { return Ok(()) };
            let topics = topics();
            let of = |filter: &Filter| topics.iter().map(|topic| filter.matches(topic)).collect::<Vec<_>>();
            let (in_one, in_other) = (of(&one), of(&other));
            let covers = in_one.iter().zip(&in_other).all(|(one, other)| *one || !*other);
            let overlaps = in_one.iter().zip(&in_other).any(|(one, other)| *one && *other);
            prop_assert_eq!(one.overlaps(&other), overlaps, "{} {}", one, other);
            prop_assert_eq!(one.covers(&other), covers, "{} {}", one, other);
        }

        #[test]
        fn nothing_that_is_written_breaks_it(text in "(highway/)?[a+#/$\0 ]{0,12}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.to_string(), text);
                prop_assert!(filter.covers(&filter) && filter.overlaps(&filter));
            }
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_and_says_why() {
        let long = format!("highway/{}/#", "a".repeat(Filter::MOST_BYTES));
        for (text, error) in [
            ("", FilterError::NotBelowRoot),
            ("#", FilterError::NotBelowRoot),
            ("highway", FilterError::NotBelowRoot),
            ("highway/", FilterError::NotBelowRoot),
            ("$SYS/#", FilterError::NotBelowRoot),
            ("$share/g/highway/#", FilterError::NotBelowRoot),
            ("+/weather/#", FilterError::NotBelowRoot),
            ("highway//a/b/c", FilterError::EmptyLevel),
            ("highway/weather//#", FilterError::EmptyLevel),
            ("highway/#/a/b/c", FilterError::Wildcard),
            ("highway/weather#", FilterError::Wildcard),
            ("highway/wea+/a/b/c", FilterError::Wildcard),
            ("highway/weather\0/#", FilterError::Control),
            ("highway/weather", FilterError::Levels),
            ("highway/a/b/c/d/e/f", FilterError::Levels),
            ("highway/a/b/c/d/e/f/#", FilterError::Levels),
            (&long, FilterError::TooLong),
        ] {
            assert_eq!(text.parse::<Filter>(), Err(error), "{text:?}");
        }
        for text in ["highway/#", "highway/+/+/+/+", "highway/a/b/c/d/e/#", "highway/weather/Kwun Tong/#"] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_hash_covers_as_many_plus_as_there_are_levels() {
        let filter = |text: &str| text.parse::<Filter>().unwrap();
        assert!(filter("highway/+/+/+/+/#").covers(&filter("highway/#")));
        assert!(!filter("highway/+/+/+/+").covers(&filter("highway/#")));
        assert!(filter("highway/weather/#").overlaps(&filter("highway/+/+/DF1/#")));
        assert!(!filter("highway/weather/#").covers(&filter("highway/+/+/DF1/#")));
    }
}
