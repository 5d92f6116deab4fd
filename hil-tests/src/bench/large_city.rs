//! A generated city: as many lampposts as asked for, along made-up roads, for measuring what size costs.

use std::fmt::Write as _;

/// Lampposts of one road, 30 m apart.
const OF_A_ROAD: u32 = 80;
/// Roads of one district.
const OF_A_DISTRICT: u32 = 70;

const DISTRICTS: [&str; 18] = [
    "Central and Western",
    "Eastern",
    "Islands",
    "Kowloon City",
    "Kwai Tsing",
    "Kwun Tong",
    "North",
    "Sai Kung",
    "Sha Tin",
    "Sham Shui Po",
    "Southern",
    "Tai Po",
    "Tsuen Wan",
    "Tuen Mun",
    "Wan Chai",
    "Wong Tai Sin",
    "Yau Tsim Mong",
    "Yuen Long",
];

/// CSV for `fleet-server lamppost import`: the same for the same count, at most 2,600,000.
pub(super) fn csv(lampposts: u32) -> String {
    let mut csv = String::from("number,latitude,longitude,road,district\n");
    for place in 0..lampposts {
        let (road, along) = (place / OF_A_ROAD, f64::from(place % OF_A_ROAD));
        let district = DISTRICTS[(road / OF_A_DISTRICT) as usize % DISTRICTS.len()];
        // The golden angle spreads roads over the box and turns them in all directions.
        let turn = f64::from(road) * 2.399_963_229_728_653;
        let radius = 0.12 * (f64::from(road % 1_250) / 1_250.0).sqrt();
        let latitude = 22.35 + radius * turn.sin() + 0.000_27 * along * (turn * 1.7).cos();
        let longitude = 114.15 + 1.6 * radius * turn.cos() + 0.000_29 * along * (turn * 1.7).sin();
        let (series, number) = (place / 10_000, place % 10_000);
        let letter = |index: u32| char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
        // Writing to a String does not fail.
        writeln!(
            csv,
            "{}{}{number:04},{latitude:.6},{longitude:.6},Street {road:04},{district}",
            letter(series / 26),
            letter(series)
        )
        .ok();
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_has_as_many_different_numbers_as_were_asked_for() {
        let csv = csv(30_000);
        let numbers: std::collections::BTreeSet<&str> =
            csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!(numbers.len(), 30_000);
        assert!(numbers.contains("AC9999"));
    }
}
