//! Where the lampposts of the demonstration stand: along roads of Kowloon Bay.
//!
//! **These are samples.** The roads' names are real; that there is a lamppost at any of these places, under any of
//! these numbers or on any of these feeders, is made up, and so are heights. The city's register has the real ones.

use std::io::Write;

use lamplighter_protocol::LamppostNumber;

use crate::world::Site;

/// A lamppost that may well stand there.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleLamppost {
    /// Counted from 0.
    pub place: u32,
    /// `KB0001`, `KB0002`, …
    pub number: LamppostNumber,
    /// Degrees north, WGS 84.
    pub latitude_deg: f64,
    /// Degrees east, WGS 84.
    pub longitude_deg: f64,
    /// The road that it lights.
    pub road: &'static str,
    /// The feeder that it hangs on.
    pub feeder: String,
    /// Height of the pole in metres.
    pub height_m: f64,
}

/// There are samples for this many lampposts.
pub const MOST_LAMPPOSTS: u32 = 400;

/// The district of all of them.
pub const DISTRICT: &str = "Kwun Tong";

/// A stretch of a road, as a straight line between two places (latitude, longitude).
struct Stretch {
    road: &'static str,
    from: (f64, f64),
    to: (f64, f64),
    /// Height of its poles in metres.
    pole_m: f64,
}

/// Read off a map by eye.
const STRETCHES: [Stretch; 10] = [
    stretch("Wai Yip Street", (22.3216, 114.2084), (22.3182, 114.2131), 10.0),
    stretch("Sheung Yuet Road", (22.3243, 114.2069), (22.3214, 114.2118), 10.0),
    stretch("Kai Cheung Road", (22.3256, 114.2118), (22.3222, 114.2066), 12.0),
    stretch("Wang Chiu Road", (22.3271, 114.2056), (22.3221, 114.2108), 10.0),
    stretch("Lam Hing Street", (22.3219, 114.2049), (22.3203, 114.2073), 8.0),
    stretch("Wang Kwong Road", (22.3285, 114.2043), (22.3231, 114.2097), 10.0),
    stretch("Kai Fuk Road", (22.3278, 114.2012), (22.3209, 114.2061), 12.0),
    stretch("Wang Tai Road", (22.3247, 114.2047), (22.3222, 114.2077), 8.0),
    stretch("Sheung Yee Road", (22.3228, 114.2041), (22.3196, 114.2092), 10.0),
    stretch("Kwun Tong Road", (22.3262, 114.2109), (22.3207, 114.2168), 12.0),
];

/// Lampposts of each stretch among the first fifty.
const FIRST_EACH: u32 = 5;

/// Places for the others of a stretch, between those.
const OTHERS_EACH: u32 = 40;

/// The first `count` lampposts, at most [`MOST_LAMPPOSTS`]. Those of a smaller count are among those of a larger one, at
/// the same places: fifty are evenly spread over the roads, more fill the gaps.
pub fn sample_lampposts(count: u32) -> Vec<SampleLamppost> {
    (0..count.min(MOST_LAMPPOSTS)).map(sample).collect()
}

/// Writes lampposts as CSV with the columns of `fleet-server lamppost import`.
///
/// # Errors
/// What writing to `out` gives.
pub fn write_csv(lampposts: &[SampleLamppost], out: &mut dyn Write) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "number",
        "latitude",
        "longitude",
        "road",
        "district",
        "feeder",
        "height_m",
        "remarks",
    ])?;
    for lamppost in lampposts {
        csv.write_record([
            lamppost.number.as_str(),
            &format!("{:.6}", lamppost.latitude_deg),
            &format!("{:.6}", lamppost.longitude_deg),
            lamppost.road,
            DISTRICT,
            &lamppost.feeder,
            &format!("{:.1}", lamppost.height_m),
            "sample position, not from the city's register",
        ])?;
    }
    csv.flush()?;
    Ok(())
}

impl SampleLamppost {
    /// Where its sensors hang, 4 m above a road that is 4 to 7 m above the sea.
    pub fn site(&self) -> Site {
        // Roads rise from the harbour, in the south-west, inland.
        let inland = ((self.latitude_deg - 22.318) / 0.012).clamp(0.0, 1.0);
        Site { height_m: 4.0 + 4.0 + 3.0 * inland }
    }
}

const fn stretch(road: &'static str, from: (f64, f64), to: (f64, f64), pole_m: f64) -> Stretch {
    Stretch { road, from, to, pole_m }
}

fn sample(place: u32) -> SampleLamppost {
    let roads = u32::try_from(STRETCHES.len()).unwrap_or(u32::MAX);
    let (road, along) = (place % roads, place / roads);
    let part = if along < FIRST_EACH {
        (f64::from(along) + 0.5) / f64::from(FIRST_EACH)
    } else {
        // 17 and 40 have no common factor: each place is taken once, far from the one before.
        let other = (along - FIRST_EACH) * 17 % OTHERS_EACH;
        (f64::from(other) + 0.25) / f64::from(OTHERS_EACH)
    };
    let stretch = &STRETCHES[road as usize];
    let between = |from: f64, to: f64| from + (to - from) * part;
    let number = format!("KB{:04}", place + 1);
    SampleLamppost {
        place,
        number: number.parse().expect("KB and four digits is a number"),
        latitude_deg: between(stretch.from.0, stretch.to.0),
        longitude_deg: between(stretch.from.1, stretch.to.1),
        road: stretch.road,
        feeder: format!("KB-F{:02}", road + 1),
        height_m: stretch.pole_m,
    }
}
