//! Observations and series as documents: never a value without unit, time and quality.

use lamplighter_protocol::{ChannelName, DeviceName, Grid, LamppostNumber, PropertyName, Quality, Statistic};
use serde::Serialize;
use utoipa::ToSchema;

use super::timestamp::Timestamp;
use crate::store::{Point, SeriesKey, SeriesMeta};

/// Names a series: lamppost, device, property and, rarely, channel.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct SeriesDocument {
    /// The lamppost that observes.
    #[schema(value_type = String, example = "DF3637")]
    lamppost: LamppostNumber,
    /// The device on it.
    #[schema(value_type = String, example = "weather-1")]
    device: DeviceName,
    /// What it observes; a name of the catalogue.
    #[schema(value_type = String, example = "air_temperature")]
    property: PropertyName,
    /// Which of several series of that device and property; null if there is one.
    #[schema(value_type = Option<String>, required = true)]
    channel: Option<ChannelName>,
    /// UCUM; the unit of every value of the series.
    #[schema(example = "Cel")]
    unit: String,
    /// How the series is summed up over time.
    statistic: StatisticName,
}

/// One observation of a series that stands beside it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct ObservationDocument {
    /// Phenomenon time.
    pub(super) time: Timestamp,
    /// In the unit of the series; null when there was none.
    #[schema(required = true, example = 27.31)]
    pub(super) value: Option<f64>,
    /// How far it is to be believed.
    pub(super) quality: QualityName,
    /// Why it is less than good, else `good`. The set is open: `reason-N` for one that this version has no word for.
    #[schema(example = "good")]
    pub(super) reason: String,
}

/// When a device is read: at every time t with t mod period = phase, counted from 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct GridDocument {
    /// Milliseconds.
    period_ms: u32,
    /// Milliseconds.
    phase_ms: u32,
}

/// How far an observation is to be believed: good, uncertain (there is a value, with doubt), bad (there is none).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Quality)]
pub(super) enum QualityName {
    Good,
    Uncertain,
    Bad,
}

/// How a series is summed up over time. A vector mean is the direction of the sum of unit vectors; an energy mean is
/// the level of the mean energy (Leq).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Statistic)]
pub(super) enum StatisticName {
    Mean,
    VectorMean,
    EnergyMean,
    Sum,
    Last,
    Maximum,
}

impl SeriesDocument {
    pub(super) fn key(&self) -> SeriesKey {
        let name = lamplighter_protocol::SeriesName {
            device: self.device.clone(),
            property: self.property.clone(),
            channel: self.channel.clone(),
        };
        SeriesKey { lamppost: self.lamppost.clone(), name }
    }
}

impl From<&SeriesMeta> for SeriesDocument {
    fn from(meta: &SeriesMeta) -> Self {
        let name = &meta.key.name;
        Self {
            lamppost: meta.key.lamppost.clone(),
            device: name.device.clone(),
            property: name.property.clone(),
            channel: name.channel.clone(),
            unit: meta.unit.clone(),
            statistic: meta.statistic.into(),
        }
    }
}

impl From<Point> for ObservationDocument {
    fn from(point: Point) -> Self {
        Self {
            time: Timestamp(point.time),
            value: point.value,
            quality: point.reason.quality().into(),
            reason: point.reason.name(),
        }
    }
}

impl From<Grid> for GridDocument {
    fn from(grid: Grid) -> Self {
        Self { period_ms: grid.period_ms, phase_ms: grid.phase_ms }
    }
}

impl From<Quality> for QualityName {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Good => Self::Good,
            Quality::Uncertain => Self::Uncertain,
            Quality::Bad => Self::Bad,
        }
    }
}

impl From<Statistic> for StatisticName {
    fn from(statistic: Statistic) -> Self {
        match statistic {
            Statistic::Mean => Self::Mean,
            Statistic::VectorMean => Self::VectorMean,
            Statistic::EnergyMean => Self::EnergyMean,
            Statistic::Sum => Self::Sum,
            Statistic::Last => Self::Last,
            Statistic::Maximum => Self::Maximum,
        }
    }
}
