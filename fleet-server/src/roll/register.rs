//! What the registry says of all lampposts, in columns.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lamplighter_protocol::LamppostNumber;

use crate::registry::{Coordinates, Lamppost};

/// Names the content of a register: that of another content is another one, that of the same content is the same one,
/// also after a restart. A new release may name the same content anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(u64);

/// All registered lampposts in the order of their numbers. Every column has one row for each of them.
#[derive(Debug, PartialEq)]
pub struct Register {
    revision: Revision,
    numbers: Vec<LamppostNumber>,
    latitude_e6: Vec<i32>,
    longitude_e6: Vec<i32>,
    roads: Dictionary,
    districts: Dictionary,
}

/// Texts of which many are the same: each once, and which of them stands in which row.
#[derive(Debug, Default, PartialEq)]
pub struct Dictionary {
    texts: Vec<String>,
    rows: Vec<usize>,
}

/// Takes lampposts one by one, so that a register can be read page by page.
#[derive(Debug)]
pub(super) struct RegisterBuilder {
    register: Register,
    hasher: DefaultHasher,
    roads: HashMap<String, usize>,
    districts: HashMap<String, usize>,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Register {
    /// Names its content.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The official numbers, ascending byte by byte.
    pub fn numbers(&self) -> &[LamppostNumber] {
        &self.numbers
    }

    /// Millionths of a degree north (some 11 cm).
    pub fn latitude_e6(&self) -> &[i32] {
        &self.latitude_e6
    }

    /// Millionths of a degree east.
    pub fn longitude_e6(&self) -> &[i32] {
        &self.longitude_e6
    }

    /// The roads that they light.
    pub fn roads(&self) -> &Dictionary {
        &self.roads
    }

    /// The districts that the roads are in.
    pub fn districts(&self) -> &Dictionary {
        &self.districts
    }

    /// The row of a lamppost.
    pub fn place(&self, number: &LamppostNumber) -> Option<usize> {
        self.numbers.binary_search(number).ok()
    }
}

impl Dictionary {
    /// Each text once, in the order in which they first stand in a row.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The place of each row's text among the texts.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn push(&mut self, places: &mut HashMap<String, usize>, text: &str) {
        let place = places.get(text).copied().unwrap_or_else(|| {
            self.texts.push(text.to_owned());
            places.insert(text.to_owned(), self.texts.len() - 1);
            self.texts.len() - 1
        });
        self.rows.push(place);
    }
}

impl Default for RegisterBuilder {
    fn default() -> Self {
        let register = Register {
            revision: Revision(0),
            numbers: Vec::new(),
            latitude_e6: Vec::new(),
            longitude_e6: Vec::new(),
            roads: Dictionary::default(),
            districts: Dictionary::default(),
        };
        // Not the hasher of a map: that one is seeded anew with every start.
        let hasher = DefaultHasher::new();
        Self { register, hasher, roads: HashMap::new(), districts: HashMap::new() }
    }
}

impl RegisterBuilder {
    /// Takes the next lamppost, whose number is greater than all before; one whose number is not is left out.
    pub(super) fn push(&mut self, lamppost: &Lamppost) {
        let register = &mut self.register;
        if register.numbers.last().is_some_and(|last| *last >= lamppost.number) {
            return;
        }
        let (latitude_e6, longitude_e6) = millionths(lamppost.coordinates);
        // What is not in a column does not make another revision.
        let row = (lamppost.number.as_str(), latitude_e6, longitude_e6, &lamppost.road, &lamppost.district);
        row.hash(&mut self.hasher);
        register.numbers.push(lamppost.number.clone());
        register.latitude_e6.push(latitude_e6);
        register.longitude_e6.push(longitude_e6);
        register.roads.push(&mut self.roads, &lamppost.road);
        register.districts.push(&mut self.districts, &lamppost.district);
    }

    /// The number of the last lamppost that was taken.
    pub(super) fn last(&self) -> Option<&LamppostNumber> {
        self.register.numbers.last()
    }

    /// The register of all that were taken.
    pub(super) fn finish(self) -> Register {
        Register { revision: Revision(self.hasher.finish()), ..self.register }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "coordinates are at most 180 degrees")]
fn millionths(coordinates: Coordinates) -> (i32, i32) {
    let millionths = |degrees: f64| (degrees * 1e6).round() as i32;
    (millionths(coordinates.latitude_deg()), millionths(coordinates.longitude_deg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lamppost(number: &str, longitude: f64, road: &str) -> Lamppost {
        let coordinates = Coordinates::new(22.320_000_4, longitude).unwrap();
        Lamppost { coordinates, road: road.to_owned(), ..Lamppost::example(number) }
    }

    fn register(lampposts: &[Lamppost]) -> Register {
        let mut builder = RegisterBuilder::default();
        for lamppost in lampposts {
            builder.push(lamppost);
        }
        builder.finish()
    }

    #[test]
    fn lampposts_stand_in_columns_and_each_road_once() {
        let rows = [
            lamppost("A1", -180.0, "Wai Yip"),
            lamppost("A2", 1.5, "Hoi Bun"),
            lamppost("B", 2.0, "Wai Yip"),
        ];
        let register = register(&rows);
        assert_eq!(register.latitude_e6(), [22_320_000; 3]);
        assert_eq!(register.longitude_e6(), [-180_000_000, 1_500_000, 2_000_000]);
        assert_eq!(register.roads().texts(), ["Wai Yip", "Hoi Bun"]);
        assert_eq!(register.roads().rows(), [0, 1, 0]);
        assert_eq!(register.districts().rows(), [0, 0, 0]);
        let places = ["A1", "A2", "B", "A", "C"].map(|number| register.place(&number.parse().unwrap()));
        assert_eq!(places, [Some(0), Some(1), Some(2), None, None]);
    }

    #[test]
    fn a_revision_names_the_content_of_the_columns_and_nothing_else() {
        let rows = || vec![lamppost("A1", 1.0, "Wai Yip"), lamppost("A2", 1.5, "Hoi Bun")];
        let revision = |rows: &[Lamppost]| register(rows).revision();
        let before = revision(&rows());
        assert_eq!(revision(&rows()), before);
        assert_eq!(before.to_string().len(), 16);
        let mut remarked = rows();
        remarked[0].remarks = Some("leans".to_owned());
        assert_eq!(revision(&remarked), before);
        let changes: [fn(&mut Vec<Lamppost>); 5] = [
            |rows| rows[1].number = "A3".parse().unwrap(),
            |rows| rows[0].coordinates = Coordinates::new(22.32, 1.000_001).unwrap(),
            |rows| rows[0].road = "Hoi Bun".to_owned(),
            |rows| rows[1].district = "Sai Kung".to_owned(),
            |rows| drop(rows.pop()),
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let mut others = rows();
            change(&mut others);
            assert_ne!(revision(&others), before, "{place}");
        }
    }

    #[test]
    fn a_number_out_of_order_is_left_out() {
        let rows = [lamppost("B", 1.0, "a"), lamppost("A", 1.0, "b"), lamppost("B", 1.0, "c")];
        assert_eq!(register(&rows), register(&rows[..1]));
    }
}
