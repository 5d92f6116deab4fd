//! What is said of a lamppost: the columns of CSV and the properties of GeoJSON.

use super::problem::{Fault, Place, Problem};

/// A column that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Number,
    Latitude,
    Longitude,
    Road,
    District,
    Feeder,
    Pillar,
    Height,
    Remarks,
}

impl Column {
    /// In the order of the documentation.
    pub(super) const ALL: [Self; 9] = [
        Self::Number,
        Self::Latitude,
        Self::Longitude,
        Self::Road,
        Self::District,
        Self::Feeder,
        Self::Pillar,
        Self::Height,
        Self::Remarks,
    ];
    /// Those that every list has.
    pub(super) const NEEDED: [Self; 5] =
        [Self::Number, Self::Latitude, Self::Longitude, Self::Road, Self::District];
    /// Those that are properties of a feature.
    pub(super) const PROPERTIES: [Self; 7] =
        [Self::Number, Self::Road, Self::District, Self::Feeder, Self::Pillar, Self::Height, Self::Remarks];

    /// As files name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Road => "road",
            Self::District => "district",
            Self::Feeder => "feeder",
            Self::Pillar => "pillar",
            Self::Height => "height_m",
            Self::Remarks => "remarks",
        }
    }

    /// These names, for a message.
    pub(super) fn list(columns: &[Self]) -> String {
        columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ")
    }

    /// A fault of this column.
    pub(super) fn problem(self, place: Place, fault: Fault) -> Problem {
        Problem { place, column: Some(self.name().to_owned()), fault }
    }
}
