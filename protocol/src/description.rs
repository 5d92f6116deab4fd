//! Descriptions (D4): what the records of a frame mean.

use prost::Message as _;

use crate::decimal::{Decimal, DecimalError};
use crate::id::{ChannelName, DeviceName, Digest, IdError, PropertyName, SeriesName};
use crate::{limits, wire};

/// Grids, devices and series, checked. Records name a device by its place here, a series by its place in the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The grids that devices are read on.
    pub grids: Vec<Grid>,
    /// The devices, each with its series.
    pub devices: Vec<Device>,
}

/// When a device is read: at every `t` with `t ≡ phase (mod period)`, counted from 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Milliseconds from tick to tick, at least 1.
    pub period_ms: u32,
    /// Milliseconds, less than the period.
    pub phase_ms: u32,
}

/// A device on the lamppost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Unique on the lamppost.
    pub name: DeviceName,
    /// Place of its grid in the description; none: it reports by exception.
    pub grid: Option<usize>,
    /// What it is: `bme280`.
    pub model: String,
    /// What it observes.
    pub series: Vec<Series>,
}

/// A series of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// A property of the catalogue.
    pub property: PropertyName,
    /// Which of several, if there are several.
    pub channel: Option<ChannelName>,
    /// Quantity or count.
    pub value_type: ValueType,
    /// UCUM.
    pub unit: String,
    /// Values are whole numbers of this.
    pub resolution: Decimal,
}

/// What kind of number a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// A physical quantity.
    Quantity,
    /// Something counted over the period that ends at the observation's time.
    Count,
}

/// Why a description is refused.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// Not the message that it should be.
    #[error("the description is not readable protobuf")]
    Unreadable(#[from] prost::DecodeError),
    /// Written in a later version of the language.
    #[error("the description needs version {0} of the language, this is {ours}", ours = limits::VERSION)]
    Newer(u32),
    /// A name is not allowed.
    #[error("a name in the description is not allowed")]
    Name(#[from] IdError),
    /// A resolution is not allowed.
    #[error("a resolution in the description is not allowed")]
    Resolution(#[from] DecimalError),
    /// A rule on the whole is broken.
    #[error("the description breaks a rule: {0}")]
    Rule(&'static str),
}

impl Description {
    /// Reads and checks a description's payload.
    ///
    /// # Errors
    /// [`DescriptionError`]; nothing of a refused description is used.
    pub fn decode(payload: &[u8]) -> Result<Self, DescriptionError> {
        let message = wire::Description::decode(payload)?;
        if message.version > limits::VERSION {
            return Err(DescriptionError::Newer(message.version));
        }
        let grids = message.grids.iter().map(|one| grid(*one)).collect::<Result<Vec<Grid>, _>>()?;
        if message.devices.len() > limits::MAX_DEVICES {
            return Err(DescriptionError::Rule("it has too many devices"));
        }
        let devices = message
            .devices
            .into_iter()
            .map(|d| device(d, grids.len()))
            .collect::<Result<Vec<Device>, _>>()?;
        for (place, one) in devices.iter().enumerate() {
            if devices.iter().take(place).any(|other| other.name == one.name) {
                return Err(DescriptionError::Rule("two devices have one name"));
            }
        }
        Ok(Self { grids, devices })
    }

    /// The payload, and the digest that frames name it by.
    pub fn encode(&self) -> (Vec<u8>, Digest) {
        let devices = self.devices.iter().map(|device| wire::Device {
            name: device.name.to_string(),
            grid: device.grid.and_then(|place| u32::try_from(place).ok()),
            model: device.model.clone(),
            series: device.series.iter().map(Series::to_wire).collect(),
        });
        let grids =
            self.grids.iter().map(|grid| wire::Grid { period_ms: grid.period_ms, phase_ms: grid.phase_ms });
        let message = wire::Description {
            version: limits::VERSION,
            grids: grids.collect(),
            devices: devices.collect(),
        };
        let payload = message.encode_to_vec();
        let digest = Digest::of(&payload);
        (payload, digest)
    }

    /// The grid that the device at this place is read on.
    pub fn grid_of(&self, device: &Device) -> Option<Grid> {
        device.grid.and_then(|place| self.grids.get(place)).copied()
    }
}

impl Device {
    /// The full name of one of this device's series.
    pub fn name_of(&self, series: &Series) -> SeriesName {
        SeriesName {
            device: self.name.clone(),
            property: series.property.clone(),
            channel: series.channel.clone(),
        }
    }
}

impl Series {
    fn to_wire(&self) -> wire::Series {
        let value_type = match self.value_type {
            ValueType::Quantity => wire::ValueType::Quantity,
            ValueType::Count => wire::ValueType::Count,
        };
        wire::Series {
            property: self.property.to_string(),
            channel: self.channel.as_ref().map(ToString::to_string).unwrap_or_default(),
            r#type: value_type.into(),
            unit: self.unit.clone(),
            resolution: Some(self.resolution.to_wire()),
        }
    }
}

fn grid(message: wire::Grid) -> Result<Grid, DescriptionError> {
    if message.period_ms == 0 || message.phase_ms >= message.period_ms {
        return Err(DescriptionError::Rule("a grid has a period, and a phase below it"));
    }
    Ok(Grid { period_ms: message.period_ms, phase_ms: message.phase_ms })
}

fn device(message: wire::Device, grids: usize) -> Result<Device, DescriptionError> {
    let grid = message.grid.map(|place| place as usize);
    if grid.is_some_and(|place| place >= grids) {
        return Err(DescriptionError::Rule("a device names a grid that is not there"));
    }
    if message.model.len() > 64 {
        return Err(DescriptionError::Rule("a device's model has more than 64 bytes"));
    }
    if message.series.len() > limits::MAX_SERIES_PER_DEVICE {
        return Err(DescriptionError::Rule("a device has too many series"));
    }
    let series = message.series.into_iter().map(series).collect::<Result<Vec<Series>, _>>()?;
    for (place, one) in series.iter().enumerate() {
        let same = |other: &Series| other.property == one.property && other.channel == one.channel;
        if series.iter().take(place).any(same) {
            return Err(DescriptionError::Rule("two series of a device have one property and channel"));
        }
    }
    Ok(Device { name: DeviceName::new(&message.name)?, grid, model: message.model, series })
}

fn series(message: wire::Series) -> Result<Series, DescriptionError> {
    let value_type = match wire::ValueType::try_from(message.r#type) {
        Ok(wire::ValueType::Quantity) => ValueType::Quantity,
        Ok(wire::ValueType::Count) => ValueType::Count,
        Ok(wire::ValueType::Unspecified) | Err(_) => {
            return Err(DescriptionError::Rule("a series has a type that is not known"));
        }
    };
    if message.unit.len() > 32 {
        return Err(DescriptionError::Rule("a unit has more than 32 bytes"));
    }
    let resolution = message.resolution.ok_or(DescriptionError::Rule("a series has a resolution"))?;
    let channel = Some(&message.channel)
        .filter(|name| !name.is_empty())
        .map(|name| ChannelName::new(name))
        .transpose()?;
    Ok(Series {
        property: PropertyName::new(&message.property)?,
        channel,
        value_type,
        unit: message.unit,
        resolution: resolution.try_into()?,
    })
}
