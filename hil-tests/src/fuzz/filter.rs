//! Filters of grants and subscriptions, and the topics they are judged by. Beside them stand the words of MQTT 3.1.1 (4.7), read off
//! the texts, level by level.

use fleet_server::feeds::{Filter, Topic, grants_property};
use lamplighter_protocol::{Privacy, Theme};

use super::mutate::mutate;
use crate::simulation::dice::Dice;

const INPUTS: u64 = 64;

/// Of which filters and districts are made, and what they are not to be taken for.
const LEVELS: [&str; 16] = [
    "+",
    "+",
    "+",
    "#",
    "weather",
    "air",
    "Kwun Tong",
    "DF1",
    "DF2",
    "pm1",
    "wind_speed",
    "max",
    "a+",
    "",
    "\u{0}",
    "$share",
];
const DISTRICTS: [&str; 5] = ["Kwun Tong", "+", "Central/Western", "\u{89c0}\u{5858}", ""];

pub(super) fn case(mut dice: Dice) -> u64 {
    let topics: Vec<Topic> = (0..16).map(|_| topic(&mut dice)).collect();
    let mut filters: Vec<Filter> = Vec::new();
    for _ in 0..INPUTS {
        let text = filter(&mut dice);
        let read: Result<Filter, _> = text.parse();
        assert_eq!(read.is_ok(), is_filter(&text), "{text:?}: {read:?}");
        let Ok(filter) = read else { continue };
        assert_eq!(filter.as_str(), text, "it is told as it was said");
        assert!(filter.covers(&filter) && filter.overlaps(&filter), "{text:?}");
        for topic in &topics {
            assert_eq!(filter.matches(topic), has(&text, topic.as_str()), "{text:?} and {topic:?}");
        }
        filters.push(filter);
    }
    for (one, other) in filters.iter().zip(filters.iter().skip(1)) {
        let (covers, overlaps) = (one.covers(other), one.overlaps(other));
        assert_eq!(overlaps, other.overlaps(one), "{one} {other}");
        assert!(overlaps || !covers, "{one} covers {other}, which matches something");
        for topic in &topics {
            let (in_one, in_other) = (one.matches(topic), other.matches(topic));
            assert!(in_one || !in_other || !covers, "{one} does not cover {other}: {topic}");
            assert!(!(in_one && in_other) || overlaps, "{one} and {other} overlap: {topic}");
        }
    }
    // What a department hears is what one of its grants says, and of what is restricted what one names.
    let grants = filters.get(..filters.len().min(3)).unwrap_or_default();
    for topic in &topics {
        let matching: Vec<&Filter> =
            grants.iter().filter(|grant| has(grant.as_str(), topic.as_str())).collect();
        let property = topic.as_str().split('/').nth(4);
        let is_named = matching.iter().any(|grant| grant.as_str().split('/').nth(4) == property);
        for (privacy, is_heard) in [
            (Privacy::Public, !matching.is_empty()),
            (Privacy::Departmental, !matching.is_empty()),
            (Privacy::Restricted, is_named),
        ] {
            assert_eq!(grants_property(grants, topic, privacy), is_heard, "{grants:?} {topic} {privacy:?}");
        }
    }
    INPUTS
}

fn filter(dice: &mut Dice) -> String {
    let mut text = if dice.chance(95) { "highway".to_owned() } else { String::new() };
    for _ in 0..dice.below(7) {
        let level = dice.pick(&LEVELS).copied().unwrap_or_default();
        text.push('/');
        text.push_str(level);
    }
    if dice.chance(40) {
        text.push_str("/#");
    }
    if dice.chance(20) {
        let mut bytes = text.into_bytes();
        mutate(&mut bytes, b"highway/+/+/DF1/#", dice);
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

/// A topic, of a district that somebody has written into the register.
fn topic(dice: &mut Dice) -> Topic {
    let theme = if dice.chance(50) { Theme::Weather } else { Theme::Air };
    let mut district = dice.pick(&DISTRICTS).copied().unwrap_or_default().as_bytes().to_vec();
    if dice.chance(30) {
        mutate(&mut district, b"/+/#\0", dice);
    }
    let district = String::from_utf8_lossy(&district);
    let series = ["d/pm1", "d/wind_speed", "d/pm1/max", "d/wind_speed/max"];
    let series = dice.pick(&series).copied().unwrap_or("d/pm1");
    let mut parts = series.split('/');
    let mut next = || parts.next();
    let series = lamplighter_protocol::SeriesName {
        device: next().unwrap_or_default().parse().expect("it is a name"),
        property: next().unwrap_or_default().parse().expect("it is a name"),
        channel: next().map(|name| name.parse().expect("it is a name")),
    };
    let number = if dice.chance(50) { "DF1" } else { "DF2" }.parse().expect("it is a number");
    let topic = Topic::new(theme, dice.chance(90).then_some(&*district), &number, &series);
    let levels: Vec<&str> = topic.as_str().split('/').collect();
    assert!((5..=6).contains(&levels.len()), "{topic}");
    assert_eq!(levels.len() == 6, series.channel.is_some(), "{topic}");
    let is_plain =
        |level: &&str| !level.is_empty() && !level.contains(['+', '#']) && !level.contains(char::is_control);
    assert!(levels.iter().all(is_plain), "{topic:?}");
    assert!(topic.as_str().len() < Filter::MOST_BYTES, "what is told can be asked for: {topic}");
    topic
}

/// What the tree of feeds has a place for: 4.7.1, 4.7.3, and the levels that its topics have.
fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let [root, below @ ..] = &levels[..] else { return false };
    let is_open = below.last() == Some(&"#");
    let named = if is_open { below.split_last().map_or(below, |(_, named)| named) } else { below };
    let is_level = |level: &&str| match *level {
        "" => false,
        "+" => true,
        level => !level.contains(['+', '#']) && !level.contains(char::is_control),
    };
    *root == "highway"
        && text.len() <= Filter::MOST_BYTES
        && named.iter().all(is_level)
        && if is_open { named.len() <= 5 } else { (4..=5).contains(&named.len()) }
}

/// 4.7.1: `+` is one level, `#` all that are left.
fn has(filter: &str, topic: &str) -> bool {
    match (filter.split_once('/').unwrap_or((filter, "")), topic.split_once('/')) {
        (("#", _), _) | (("+", ""), None) => true,
        ((own, ""), None) => own == topic,
        ((own, rest), Some((level, below))) => {
            (own == "+" || own == level) && !rest.is_empty() && has(rest, below)
        }
        // `a/#` is `a` as well.
        ((own, rest), None) => (own == "+" || own == topic) && rest == "#",
    }
}
