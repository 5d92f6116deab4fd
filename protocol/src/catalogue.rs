//! The catalogue: every observed property, named once (`catalogue.toml`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::decimal::Decimal;
use crate::description::ValueType;
use crate::id::PropertyName;
use crate::statistic::Statistic;

/// All observed properties, by name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    properties: BTreeMap<PropertyName, Property>,
}

/// What a property is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Theme {
    Weather,
    Air,
    Light,
    Traffic,
    Structure,
    Energy,
    Lighting,
    Health,
}

/// Who may see observations of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// Anybody.
    Public,
    /// City departments.
    Departmental,
    /// Whoever holds a grant; every read is audited.
    Restricted,
}

/// One observed property.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// Its name on the wire, in the API and in configurations.
    pub name: PropertyName,
    /// What people call it in English.
    pub title_en: String,
    /// What people call it in Traditional Chinese.
    pub title_zh: String,
    /// UCUM.
    pub unit: String,
    /// Quantity or count.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// Values travel and are stored as whole numbers of this.
    #[serde(deserialize_with = "decimal")]
    pub resolution: Decimal,
    /// Least and greatest value that is believed, in the unit.
    pub valid: (f64, f64),
    /// How it is summed up over time.
    pub statistic: Statistic,
    /// What it is about.
    pub theme: Theme,
    /// Who may see it.
    pub privacy: Privacy,
    /// Days for which raw observations are kept by default.
    pub retention_days: u32,
    /// What exactly is meant: a URI.
    pub definition: String,
}

impl Theme {
    /// Its name, as in the catalogue's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weather => "weather",
            Self::Air => "air",
            Self::Light => "light",
            Self::Traffic => "traffic",
            Self::Structure => "structure",
            Self::Energy => "energy",
            Self::Lighting => "lighting",
            Self::Health => "health",
        }
    }
}

impl Property {
    /// Whether `value`, in the unit, lies in the valid range.
    pub fn believes(&self, value: f64) -> bool {
        (self.valid.0..=self.valid.1).contains(&value)
    }
}

/// Why a catalogue is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, or not of the catalogue's shape; the message names line and column.
    #[error("the catalogue cannot be read")]
    Toml(#[from] toml::de::Error),
    /// Two entries of one name.
    #[error("the property {0} stands twice in the catalogue")]
    Twice(PropertyName),
    /// A range that nothing lies in.
    #[error("the valid range of {0} is empty")]
    EmptyRange(PropertyName),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    property: Vec<Property>,
}

impl Catalogue {
    /// The catalogue that this version is built with.
    ///
    /// # Panics
    /// Never: a test reads the same text.
    pub fn built_in() -> Self {
        Self::parse(include_str!("../catalogue.toml")).expect("the shipped catalogue is read by a test")
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// [`CatalogueError`], naming the line or the property.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text)?;
        let mut properties = BTreeMap::new();
        for property in file.property {
            if property.valid.0 >= property.valid.1 {
                return Err(CatalogueError::EmptyRange(property.name));
            }
            if let Some(twice) = properties.insert(property.name.clone(), property) {
                return Err(CatalogueError::Twice(twice.name));
            }
        }
        Ok(Self { properties })
    }

    /// The property of this name.
    pub fn get(&self, name: &PropertyName) -> Option<&Property> {
        self.properties.get(name)
    }

    /// All properties, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Property> {
        self.properties.values()
    }
}

fn decimal<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_names_every_property_of_the_contract() {
        let catalogue = Catalogue::built_in();
        for name in [
            "air_temperature",
            "relative_humidity",
            "barometric_pressure",
            "pm1",
            "pm2_5",
            "pm10",
            "no2",
            "o3",
            "illuminance",
            "wind_speed",
            "wind_gust",
            "wind_direction",
            "rainfall",
            "noise_level",
            "vehicle_count",
            "supply_voltage",
        ] {
            assert!(catalogue.get(&name.parse().unwrap()).is_some(), "{name}");
        }
        let direction = catalogue.get(&"wind_direction".parse().unwrap()).unwrap();
        assert_eq!(direction.statistic, Statistic::VectorMean);
        assert!(direction.believes(360.0) && !direction.believes(360.1));
    }

    #[test]
    fn a_mistake_in_a_catalogue_is_named() {
        let entry = include_str!("../catalogue.toml").split("[[property]]").nth(1).unwrap();
        let twice = format!("[[property]]{entry}[[property]]{entry}");
        assert!(
            matches!(Catalogue::parse(&twice), Err(CatalogueError::Twice(name)) if name.as_str() == "air_temperature")
        );
        let unknown = format!("[[property]]\ncolour = 1{entry}");
        assert!(Catalogue::parse(&unknown).unwrap_err().to_string().contains("cannot be read"));
        let empty = format!("[[property]]{entry}").replace("[-40.0, 60.0]", "[60.0, -40.0]");
        assert!(matches!(Catalogue::parse(&empty), Err(CatalogueError::EmptyRange(_))));
    }
}
