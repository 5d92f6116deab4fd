//! A lamppost as the city's register describes it.

use std::fmt;

use lamplighter_protocol::LamppostNumber;

/// A lamppost: its official number, where it stands, and what feeds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lamppost {
    /// The official number, unique in the city.
    pub number: LamppostNumber,
    /// Where it stands.
    pub coordinates: Coordinates,
    /// The road that it lights.
    pub road: String,
    /// The district that the road is in.
    pub district: String,
    /// The electrical feeder that it hangs on, where it is known.
    pub feeder: Option<String>,
    /// The switching pillar of that feeder, where it is known.
    pub pillar: Option<String>,
    /// Height of the pole in metres, where it is known.
    pub height_m: Option<f64>,
    /// What else the register says.
    pub remarks: Option<String>,
}

#[cfg(test)]
impl Lamppost {
    /// One for tests, in which nothing matters but its number.
    pub(crate) fn example(number: &str) -> Self {
        Self {
            number: number.parse().unwrap(),
            coordinates: Coordinates::new(22.32, 114.21).unwrap(),
            road: "Wang Chiu Road".to_owned(),
            district: "Kwun Tong".to_owned(),
            feeder: None,
            pillar: None,
            height_m: None,
            remarks: None,
        }
    }
}

/// A place on earth, WGS 84. What holds one has checked its ranges.
#[derive(Clone, Copy, PartialEq)]
pub struct Coordinates {
    latitude_deg: f64,
    longitude_deg: f64,
}

/// A latitude or longitude is outside its range, or not a number.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "latitude {latitude_deg}, longitude {longitude_deg} is no place: latitudes go from -90 to 90 degrees, longitudes from -180 to 180"
)]
pub struct OffTheGlobe {
    latitude_deg: f64,
    longitude_deg: f64,
}

impl Coordinates {
    /// Checks and keeps a place given in degrees, north and east positive.
    ///
    /// # Errors
    /// [`OffTheGlobe`] unless the latitude is in -90..=90 and the longitude in -180..=180.
    pub fn new(latitude_deg: f64, longitude_deg: f64) -> Result<Self, OffTheGlobe> {
        if (-90.0..=90.0).contains(&latitude_deg) && (-180.0..=180.0).contains(&longitude_deg) {
            return Ok(Self { latitude_deg, longitude_deg });
        }
        Err(OffTheGlobe { latitude_deg, longitude_deg })
    }

    /// Degrees north of the equator, -90 to 90.
    pub fn latitude_deg(self) -> f64 {
        self.latitude_deg
    }

    /// Degrees east of Greenwich, -180 to 180.
    pub fn longitude_deg(self) -> f64 {
        self.longitude_deg
    }
}

impl fmt::Debug for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} N {} E", self.latitude_deg, self.longitude_deg)
    }
}
