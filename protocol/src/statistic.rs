//! How a property is summed up over time.

/// The statistic of a property: it decides every roll-up, chart and feed, for a mean of directions or of decibels
/// is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Direction of the sum of unit vectors (directions in degrees).
    VectorMean,
    /// Level of the mean energy (decibels): Leq.
    EnergyMean,
    /// Sum.
    Sum,
    /// The last one.
    Last,
    /// The greatest.
    Maximum,
}

impl Statistic {
    /// The word that the API and the catalogue use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::VectorMean => "vector_mean",
            Self::EnergyMean => "energy_mean",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Maximum => "maximum",
        }
    }
}
