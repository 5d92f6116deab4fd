//! What a lamppost could not keep until the server held it (D11).

use crate::frame::RecordError;
use crate::id::{DeviceName, IdError, PropertyName, RunId, SeriesName};
use crate::pieces::Pieces;
use crate::time::UtcMillis;
use crate::topic::Log;
use crate::wire;

/// Records that had to go, or are gone, without a position's permission. It is synced before they go, so they may come
/// all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Whose records.
    pub run: RunId,
    /// Of which of its logs.
    pub log: Log,
    /// Which of them, at least one. No other report of the same outbox says the same ones again, except when both say
    /// that they are [damaged](DropReason::Damaged).
    pub pieces: Pieces,
    /// Why.
    pub reason: DropReason,
    /// When it was decided.
    pub time: UtcMillis,
    /// What was in those of them that could be read: each series once.
    pub series: Vec<DroppedSeries>,
}

/// Observations of one series that had to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedSeries {
    /// By name: the report needs no description.
    pub series: SeriesName,
    /// How many, at least one; those without a value count.
    pub count: u64,
    /// Phenomenon time of the earliest.
    pub first: UtcMillis,
    /// Phenomenon time of the latest.
    pub last: UtcMillis,
}

/// Why records had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// Newer ones needed the space.
    Bytes,
    /// They were older than the lamppost keeps anything.
    Age,
    /// They are on disk, and not as they were written.
    Damaged,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bytes, Self::Age, Self::Damaged];

    /// The word that reports and figures use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Age => "age",
            Self::Damaged => "damaged",
        }
    }

    fn to_wire(self) -> wire::DropReason {
        match self {
            Self::Bytes => wire::DropReason::Bytes,
            Self::Age => wire::DropReason::Age,
            Self::Damaged => wire::DropReason::Damaged,
        }
    }
}

impl Dropped {
    /// How many observations its series count.
    pub fn observations(&self) -> u64 {
        self.series.iter().map(|series| series.count).fold(0, u64::saturating_add)
    }

    pub(crate) fn to_wire(&self) -> wire::Dropped {
        let log = match self.log {
            Log::Samples => wire::Log::Samples,
            Log::Events => wire::Log::Events,
        };
        wire::Dropped {
            run: self.run.0.to_vec(),
            log: log.into(),
            pieces: self.pieces.to_wire(usize::MAX),
            reason: self.reason.to_wire().into(),
            time_ms: self.time.0,
            series: self.series.iter().map(DroppedSeries::to_wire).collect(),
        }
    }
}

impl TryFrom<wire::Dropped> for Dropped {
    type Error = RecordError;

    fn try_from(message: wire::Dropped) -> Result<Self, RecordError> {
        // What a later version adds here is not understood by halves.
        let log = match message.log() {
            wire::Log::Samples => Log::Samples,
            wire::Log::Events => Log::Events,
            wire::Log::Unspecified => return Err(RecordError::Unknown),
        };
        let reason = match message.reason() {
            wire::DropReason::Bytes => DropReason::Bytes,
            wire::DropReason::Age => DropReason::Age,
            wire::DropReason::Damaged => DropReason::Damaged,
            wire::DropReason::Unspecified => return Err(RecordError::Unknown),
        };
        let pieces = Pieces::try_from(&message.pieces[..])
            .map_err(|_| RecordError::Dropped("its pieces are not disjoint and ascending"))?;
        if pieces.is_empty() || pieces.end() > 1 << 62 {
            return Err(RecordError::Dropped("it names no records, or none that can be"));
        }
        Ok(Self {
            run: RunId::from_slice(&message.run)?,
            log,
            pieces,
            reason,
            time: UtcMillis(message.time_ms),
            series: message.series.into_iter().map(DroppedSeries::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl DroppedSeries {
    fn to_wire(&self) -> wire::DroppedSeries {
        let SeriesName { device, property, channel } = &self.series;
        wire::DroppedSeries {
            device: device.to_string(),
            property: property.to_string(),
            channel: channel.as_ref().map(ToString::to_string).unwrap_or_default(),
            count: self.count,
            first_ms: self.first.0,
            last_ms: self.last.0,
        }
    }
}

impl TryFrom<wire::DroppedSeries> for DroppedSeries {
    type Error = RecordError;

    fn try_from(message: wire::DroppedSeries) -> Result<Self, RecordError> {
        if message.count == 0 || message.last_ms < message.first_ms {
            return Err(RecordError::Dropped("a series has no observations, or ends before it begins"));
        }
        Ok(Self {
            series: name(&message)?,
            count: message.count,
            first: UtcMillis(message.first_ms),
            last: UtcMillis(message.last_ms),
        })
    }
}

fn name(message: &wire::DroppedSeries) -> Result<SeriesName, IdError> {
    let channel = Some(message.channel.as_str()).filter(|name| !name.is_empty());
    Ok(SeriesName {
        device: message.device.parse::<DeviceName>()?,
        property: message.property.parse::<PropertyName>()?,
        channel: channel.map(str::parse).transpose()?,
    })
}
