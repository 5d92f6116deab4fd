//! GeoJSON (RFC 7946): a `FeatureCollection` of `Point`s. Features are taken one by one as they stand in the text; no tree of
//! it is built, and nothing in it is followed by recursion, however deep it is nested.
//!
//! Numbers are read from their digits, so that what was exported comes back as it was, to the last bit. An altitude is read
//! past, and so are members that other programs add (`id`, `bbox`, `crs`), but not properties that nobody knows: a
//! property whose name is misspelt would be lost.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::column::Column;
use super::gather::{Field, Gathering};
use super::problem::{Fault, Place, Problem};
use super::{MOST_PROBLEMS, shortened};
use crate::registry::Lamppost;

/// All lampposts of a text, or all its problems; at least one then.
pub(super) fn parse(text: &str) -> Result<Vec<Lamppost>, Vec<Problem>> {
    let mut reading = Reading {
        text,
        gathering: Gathering::default(),
        unknown: HashSet::new(),
        index: 0,
        offset: 0,
        line: 1,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Collection(&mut reading).deserialize(&mut json).and_then(|()| json.end());
    let mut gathering = reading.gathering;
    if let Err(error) = read
        && !gathering.is_given_up()
    {
        let place = Place::Line(error.line() as u64);
        gathering.problem(Problem { place, column: None, fault: fault_of(&error) });
    }
    gathering.finish()
}

/// How far a text has been read.
struct Reading<'a> {
    text: &'a str,
    gathering: Gathering,
    /// Properties that are not known, and were told.
    unknown: HashSet<String>,
    /// Of the last feature.
    index: u64,
    /// Where the last feature begins.
    offset: usize,
    /// In which line.
    line: u64,
}

/// A feature; its parts as they are written.
#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
}

/// A geometry; its parts as they are written.
#[derive(Deserialize)]
struct Geometry<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
}

/// The known properties of a feature, and the names of all others.
#[derive(Default)]
struct Properties<'a> {
    known: [Option<&'a RawValue>; Column::PROPERTIES.len()],
    twice: Vec<Column>,
    unknown: Vec<String>,
}

impl<'a> Reading<'a> {
    fn feature(&mut self, raw: &'a RawValue) {
        let text = raw.get();
        let offset = text.as_ptr().addr() - self.text.as_ptr().addr();
        let between = self.text.as_bytes().get(self.offset..offset).unwrap_or_default();
        self.line += between.split(|byte| *byte == b'\n').skip(1).count() as u64;
        self.offset = offset;
        self.index += 1;
        let place = Place::Feature { index: self.index, line: self.line, offset: offset as u64 };
        let feature: Feature<'a> = match object(raw) {
            Ok(feature) => feature,
            Err(fault) => return self.problem(place, None, fault),
        };
        if let Some(fault) = other_type(feature.kind, "Feature") {
            self.problem(place, Some("type"), fault);
        }
        let position = match position(feature.geometry) {
            Ok(position) => Some(position),
            Err((member, fault)) => {
                self.problem(place, Some(member), fault);
                None
            }
        };
        let properties: Properties<'a> = match feature.properties.map(object) {
            None => Properties::default(),
            Some(Ok(properties)) => properties,
            Some(Err(fault)) => return self.problem(place, Some("properties"), fault),
        };
        for column in properties.twice {
            self.gathering.problem(column.problem(place, Fault::ColumnTwice("feature")));
        }
        for name in properties.unknown {
            if self.unknown.insert(name.clone()) {
                self.problem(place, Some(&shortened(&name)), Fault::UnknownProperty);
            }
        }
        let known = properties.known;
        self.gathering.take(place, |column| {
            let of_position = |axis: usize| match position {
                Some(position) => Field::of(position[axis].get()),
                None => Field::Told,
            };
            let property = || {
                let which = Column::PROPERTIES.iter().position(|known| *known == column)?;
                known.get(which).copied().flatten()
            };
            match column {
                Column::Longitude => of_position(0),
                Column::Latitude => of_position(1),
                Column::Height => property().map_or(Field::Empty, |raw| Field::of(raw.get())),
                Column::Number
                | Column::Road
                | Column::District
                | Column::Feeder
                | Column::Pillar
                | Column::Remarks => property().map_or(Field::Empty, text_of),
            }
        });
    }

    fn problem(&mut self, place: Place, member: Option<&str>, fault: Fault) {
        self.gathering.problem(Problem { place, column: member.map(str::to_owned), fault });
    }
}

/// An object. Readers of objects take a list for one, too: that is refused first.
fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, Fault> {
    if !raw.get().starts_with('{') {
        return Err(Fault::NotAnObject);
    }
    serde_json::from_str(raw.get()).map_err(|error| fault_of(&error))
}

/// The text of a property.
fn text_of(raw: &RawValue) -> Field<'_> {
    match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(Text(text)) => match text {
            Cow::Borrowed(text) => Field::of(text.trim()),
            Cow::Owned(text) => Field::of(text.trim().to_owned()),
        },
        Err(_) => Field::Wrong(Fault::NotText),
    }
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Longitude and latitude as they are written, or what is wrong with which member.
fn position(geometry: Option<&RawValue>) -> Result<[&RawValue; 2], (&'static str, Fault)> {
    let found = |found: &str| Fault::Type { found: found.to_owned(), expected: "Point" };
    let geometry = geometry.ok_or_else(|| ("geometry", found("missing")))?;
    let geometry: Geometry<'_> = object(geometry).map_err(|fault| ("geometry", fault))?;
    if let Some(fault) = other_type(geometry.kind, "Point") {
        return Err(("geometry", fault));
    }
    let coordinates = geometry.coordinates.map_or("", RawValue::get);
    let flat = serde_json::from_str::<[&RawValue; 2]>(coordinates);
    let with_altitude = || serde_json::from_str::<[&RawValue; 3]>(coordinates).map(|[x, y, _]| [x, y]);
    flat.or_else(|_| with_altitude()).map_err(|_| ("coordinates", Fault::Position))
}

fn other_type(kind: Option<&RawValue>, expected: &'static str) -> Option<Fault> {
    let found = kind.map_or("missing", RawValue::get);
    let is_expected = found.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(expected);
    (!is_expected).then(|| Fault::Type { found: shortened(found), expected })
}

/// What a reader says, without where: that is told in lines of the file.
fn fault_of(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    Fault::Json(text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned())
}

/// The whole text.
struct Collection<'r, 'a>(&'r mut Reading<'a>);

impl<'a> DeserializeSeed<'a> for Collection<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Collection<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let (mut kind, mut has_features) = (None, false);
        while let Some(Text(name)) = map.next_key::<Text<'a>>()? {
            match name.as_ref() {
                "type" if kind.is_some() => return Err(M::Error::duplicate_field("type")),
                "type" => kind = Some(map.next_value::<&RawValue>()?),
                "features" if has_features => return Err(M::Error::duplicate_field("features")),
                "features" => {
                    has_features = true;
                    map.next_value_seed(Features(&mut *self.0))?;
                }
                _ => {
                    let IgnoredAny = map.next_value()?;
                }
            }
        }
        if let Some(fault) = other_type(kind, "FeatureCollection") {
            self.0.problem(Place::Line(1), Some("type"), fault);
        }
        Ok(())
    }
}

/// Its features.
struct Features<'r, 'a>(&'r mut Reading<'a>);

impl<'a> DeserializeSeed<'a> for Features<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Features<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut features: S) -> Result<(), S::Error> {
        while let Some(feature) = features.next_element::<&RawValue>()? {
            self.0.feature(feature);
            if self.0.gathering.is_given_up() {
                return Err(S::Error::custom("too many problems"));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Properties<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(PropertiesVisitor)
    }
}

struct PropertiesVisitor;

impl<'de> Visitor<'de> for PropertiesVisitor {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("properties")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Properties<'de>, M::Error> {
        let (mut found, mut seen) = (Properties::default(), [false; Column::PROPERTIES.len()]);
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &RawValue>()? {
            let which = Column::PROPERTIES.iter().position(|column| column.name() == name);
            let Some(which) = which else {
                if found.unknown.len() < MOST_PROBLEMS {
                    found.unknown.push(name.into_owned());
                }
                continue;
            };
            if std::mem::replace(&mut seen[which], true) {
                found.twice.push(Column::PROPERTIES[which]);
            }
            found.known[which] = Some(value).filter(|value| value.get() != "null");
        }
        Ok(found)
    }
}
