//! One series against the world. Pure: observations come from wherever the caller has them.

use std::fmt;

use lamplighter_protocol::{Grid, LamppostNumber, UtcMillis};

use crate::city::timestamp;
use crate::world::World;

/// A series to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedSeries {
    /// Whose.
    pub lamppost: LamppostNumber,
    /// The device on it.
    pub device: String,
    /// What it observes; a name of the catalogue that the world knows.
    pub property: String,
    /// When it is read.
    pub grid: Grid,
}

/// What was stored of one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Phenomenon time.
    pub time: UtcMillis,
    /// In the unit of the catalogue.
    pub value: Option<f64>,
    /// The word for its reason: `good`, or why it is less.
    pub reason: String,
}

/// How a comparison went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Observations compared.
    pub compared: u64,
    /// Of these, observations off the grid.
    pub late: u64,
    /// Largest distance of a value from the truth.
    pub worst: f64,
    /// What is not as it should be, in the order of time.
    pub mismatches: Vec<Mismatch>,
}

/// Something is not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Which series.
    pub series: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing is stored at all.
    Nothing,
    /// The value is not the truth.
    Wrong {
        /// When.
        time: UtcMillis,
        /// What is stored.
        found: f64,
        /// What was true.
        truth: f64,
    },
    /// There is no value, or it is doubted, and nothing was broken.
    NotGood {
        /// When.
        time: UtcMillis,
        /// What is stored as the reason.
        reason: String,
    },
    /// Ticks without an observation.
    Gap {
        /// The first tick that is missing.
        first: UtcMillis,
        /// How many there are.
        ticks: u64,
    },
    /// Two observations of one time, or one that is older than the one before.
    Repeated {
        /// When.
        time: UtcMillis,
    },
    /// The world has no such property.
    UnknownProperty,
}

/// How far a value may be from the truth, in the unit of its property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(pub f64);

impl Tolerance {
    /// Of this property; none if no rig measures it. Steps of the chips: sensor-drivers' documentation of them.
    pub fn of(property: &str) -> Option<Self> {
        // A BME280 reports whole 0.01 °C; the recording has whole 0.01 °C as well.
        const TEMPERATURE: f64 = 0.005;
        // A code of its humidity is 0.0116 % wide, and the catalogue's step is 0.01 %.
        const HUMIDITY: f64 = 0.0058 + 0.005;
        // A code of its pressure is 0.0017 hPa wide at ×16, and the catalogue's step is 0.01 hPa.
        const PRESSURE: f64 = 0.000_85 + 0.005;
        // A PMS5003 reports whole µg/m³, and so does the world.
        const PARTICLES: f64 = 0.5;
        /// For sums of decimals in binary.
        const ROUNDING: f64 = 1e-6;
        let within = match property {
            "air_temperature" => TEMPERATURE,
            "relative_humidity" => HUMIDITY,
            "barometric_pressure" => PRESSURE,
            "pm1" | "pm2_5" | "pm10" => PARTICLES,
            _ => return None,
        };
        Some(Self(within + ROUNDING))
    }
}

/// Compares the observations of a series, in the order of their times, with the world that its sensor was in.
pub fn compare(series: &ComparedSeries, observations: &[Observed], world: &World) -> Report {
    let mut report = Report::default();
    let name = series.to_string();
    let mut found = |fault| report.mismatches.push(Mismatch { series: name.clone(), fault });
    let Some(tolerance) = Tolerance::of(&series.property) else {
        found(Fault::UnknownProperty);
        return report;
    };
    if observations.is_empty() {
        found(Fault::Nothing);
    }
    let mut before: Option<&Observed> = None;
    let (mut late, mut worst) = (0, 0.0_f64);
    for observed in observations {
        if let Some(fault) = before.and_then(|before| succession(series.grid, before.time, observed.time)) {
            found(fault);
        }
        before = Some(observed);
        let tick = tick_of(series.grid, observed.time);
        late += u64::from(tick != observed.time);
        let value = observed.value.filter(|value| value.is_finite() && observed.reason == "good");
        let Some(value) = value else {
            found(Fault::NotGood { time: observed.time, reason: observed.reason.clone() });
            continue;
        };
        let (truth, distance) = nearest_truth(series, world, tick, observed.time, value);
        worst = worst.max(distance);
        if distance > tolerance.0 {
            found(Fault::Wrong { time: observed.time, found: value, truth });
        }
    }
    Report { compared: observations.len() as u64, late, worst, ..report }
}

impl Report {
    /// Nothing is stored of a series that should be there.
    pub(super) fn of_nothing(series: String) -> Self {
        Self { mismatches: vec![Mismatch { series, fault: Fault::Nothing }], ..Self::default() }
    }

    /// Takes in the report of another series.
    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.late += other.late;
        self.worst = self.worst.max(other.worst);
        self.mismatches.extend(other.mismatches);
    }
}

impl fmt::Display for ComparedSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.lamppost, self.device, self.property)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |time: &UtcMillis| timestamp::to_the_millisecond(*time);
        write!(f, "{}", self.series)?;
        match &self.fault {
            Fault::Nothing => write!(f, ": nothing is stored"),
            Fault::Wrong { time, found, truth } => {
                write!(f, " at {}: {found} is stored where {truth} was true", at(time))
            }
            Fault::NotGood { time, reason } => {
                write!(f, " at {}: {reason}, and nothing was broken", at(time))
            }
            Fault::Gap { first, ticks } => write!(f, ": {ticks} ticks from {} on are missing", at(first)),
            Fault::Repeated { time } => write!(f, " at {}: it is not after the observation before", at(time)),
            Fault::UnknownProperty => write!(f, ": the world has no such property"),
        }
    }
}

/// What is wrong between one observation and the next.
fn succession(grid: Grid, before: UtcMillis, this: UtcMillis) -> Option<Fault> {
    if this <= before {
        return Some(Fault::Repeated { time: this });
    }
    let period = i64::from(grid.period_ms);
    let (last, tick) = (tick_of(grid, before), tick_of(grid, this));
    let missing = tick.since_ms(last) / period - 1;
    let missing = u64::try_from(missing).ok().filter(|missing| *missing > 0)?;
    Some(Fault::Gap { first: last.plus_ms(period), ticks: missing })
}

/// The tick that an observation of this time stands for.
fn tick_of(grid: Grid, time: UtcMillis) -> UtcMillis {
    let past = time.since_ms(UtcMillis(i64::from(grid.phase_ms))).rem_euclid(i64::from(grid.period_ms));
    time.plus_ms(-past)
}

/// Of what was true between the tick and the time of the observation: the nearest to it, and how far it is.
fn nearest_truth(
    series: &ComparedSeries,
    world: &World,
    tick: UtcMillis,
    time: UtcMillis,
    value: f64,
) -> (f64, f64) {
    /// The world keeps still within a minute.
    const MINUTE_MS: i64 = 60_000;
    let first = tick.0.div_euclid(MINUTE_MS);
    let last = time.0.div_euclid(MINUTE_MS);
    (first..=last)
        .filter_map(|minute| world.at(UtcMillis(minute * MINUTE_MS)).value(&series.property))
        .map(|truth| (truth, (value - truth).abs()))
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .unwrap_or((f64::NAN, f64::INFINITY))
}
