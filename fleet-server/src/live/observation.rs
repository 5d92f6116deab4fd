//! An observation as feeds carry it: numbers, and shared words.

use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, Quality, Reason, SeriesName, UtcMillis};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// An observation, never without unit, time and quality. What is the same for all observations of a series is
/// shared: the ring keeps many. In JSON, names are text and times are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveObservation {
    /// The lamppost that observed.
    pub lamppost: Arc<LamppostNumber>,
    /// What it describes the series as.
    pub series: Arc<LiveSeries>,
    /// Phenomenon time.
    pub time: UtcMillis,
    /// In the unit; none if there was none.
    pub value: Option<f64>,
    /// Why it is less than good; tells the quality.
    pub reason: Reason,
    /// When the gateway received it.
    pub received: UtcMillis,
}

/// What a description says of a series; the same for all lampposts of that description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSeries {
    /// Device, property and channel: `weather-1/air_temperature`.
    pub name: SeriesName,
    /// UCUM.
    pub unit: String,
    /// The period of its grid; none if it reports by exception.
    pub period_ms: Option<u32>,
}

impl LiveObservation {
    /// How far it is to be believed.
    pub fn quality(&self) -> Quality {
        self.reason.quality()
    }
}

impl Serialize for LiveObservation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let LiveSeries { name, unit, period_ms } = &*self.series;
        let mut fields = to.serialize_struct("LiveObservation", 9)?;
        fields.serialize_field("lamppost", &*self.lamppost)?;
        fields.serialize_field("series", &format_args!("{name}"))?;
        fields.serialize_field("time_ms", &self.time)?;
        fields.serialize_field("value", &self.value)?;
        fields.serialize_field("unit", unit)?;
        fields.serialize_field("quality", self.quality().as_str())?;
        fields.serialize_field("reason", &self.reason.name())?;
        fields.serialize_field("received_ms", &self.received)?;
        fields.serialize_field("period_ms", period_ms)?;
        fields.end()
    }
}
