//! The statistics that sum up a series over a time, as pure functions of the values of that time.
//!
//! All take finite values in order of time and give none for no values. Results stay within the least and greatest
//! value wherever the statistic does so in exact arithmetic.

use lamplighter_protocol::Statistic;

/// Length of the mean of unit vectors below which their direction is chance: far above what rounding leaves of
/// directions that cancel out (some 1e-16), far below what a degree's resolution tells apart.
const NO_DIRECTION: f64 = 1e-9;

/// Sums values up by a property's statistic, in the unit of the values.
pub fn summarise(statistic: Statistic, values: &[f64]) -> Option<f64> {
    let summary = match statistic {
        Statistic::Mean => mean(values),
        Statistic::VectorMean => vector_mean(values),
        Statistic::EnergyMean => energy_mean(values),
        Statistic::Sum => sum(values),
        Statistic::Last => values.last().copied(),
        Statistic::Maximum => maximum(values),
    };
    summary.filter(|one| one.is_finite())
}

/// Arithmetic mean.
pub fn mean(values: &[f64]) -> Option<f64> {
    within(values, sum(values)? / count(values))
}

/// Direction of the sum of unit vectors: directions in degrees, the result from 0 to below 360. None if they cancel
/// out.
pub fn vector_mean(directions: &[f64]) -> Option<f64> {
    if let [one] = directions {
        return Some(turned(*one));
    }
    let (mut north, mut east) = (0.0, 0.0);
    for direction in directions {
        let (sin, cos) = turned(*direction).to_radians().sin_cos();
        north += cos;
        east += sin;
    }
    if directions.is_empty() || north.hypot(east) / count(directions) < NO_DIRECTION {
        return None;
    }
    Some(turned(east.atan2(north).to_degrees()))
}

/// Level of the mean energy, in decibels: `10 log10(mean(10^(x/10)))`, the equivalent level Leq of equally long
/// levels (IEC 61672-1). Energies are taken relative to the loudest, so that no level is too high or too low.
pub fn energy_mean(levels: &[f64]) -> Option<f64> {
    let loudest = maximum(levels)?;
    let energy: f64 = levels.iter().map(|level| 10f64.powf((level - loudest) / 10.0)).sum();
    within(levels, loudest + 10.0 * (energy / count(levels)).log10())
}

/// Sum, with the rounding error of each addition carried along (Neumaier): a month of 0.1 mm adds up.
pub fn sum(values: &[f64]) -> Option<f64> {
    let (mut total, mut error) = (*values.first()?, 0.0);
    for value in values.iter().skip(1) {
        let next = total + value;
        error += if f64::abs(total) >= value.abs() { (total - next) + value } else { (value - next) + total };
        total = next;
    }
    Some(total + error)
}

/// Least.
pub fn minimum(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

/// Greatest.
pub fn maximum(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

/// A mean lies among its values; rounding must not move it out.
fn within(values: &[f64], mean: f64) -> Option<f64> {
    Some(mean.max(minimum(values)?).min(maximum(values)?))
}

/// The direction from 0 to below 360 degrees.
fn turned(degrees: f64) -> f64 {
    let turned = degrees.rem_euclid(360.0);
    // A tiny negative angle rounds up to the full circle, which is north; and north is 0, not -0.
    if turned >= 360.0 { 0.0 } else { turned + 0.0 }
}

fn count(values: &[f64]) -> f64 {
    f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MET_MINUTE: &str = include_str!("../../../hil-tests/data/met-minute.csv");

    fn column(name: &str) -> Vec<f64> {
        let mut rows = csv::Reader::from_reader(MET_MINUTE.as_bytes());
        let place = rows.headers().unwrap().iter().position(|one| one == name).unwrap();
        rows.records().map(|row| row.unwrap()[place].parse().unwrap()).collect()
    }

    fn near(found: Option<f64>, expected: f64, tolerance: f64) {
        let found = found.expect("a value");
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected} within {tolerance}");
    }

    /// Degrees between two directions, the short way round.
    fn apart(one: f64, other: f64) -> f64 {
        let difference = (one - other).rem_euclid(360.0);
        difference.min(360.0 - difference)
    }

    #[test]
    fn the_recorded_wind_crosses_north_and_only_the_vector_mean_follows() {
        let directions = column("wind_direction_deg");
        near(mean(&directions[..4]), 169.0, 0.5);
        near(vector_mean(&directions[..4]), 349.0, 0.5);
        let wrong = directions
            .chunks(60)
            .filter(|hour| apart(mean(hour).unwrap(), vector_mean(hour).unwrap()) > 22.0);
        assert_eq!(
            wrong.count(),
            18,
            "hours of the day in which the arithmetic mean is off by more than 22 degrees"
        );
    }

    #[test]
    fn directions_close_to_north_have_a_mean_close_to_north() {
        near(vector_mean(&[359.9, 0.1]), 0.0, 1e-9);
        near(vector_mean(&[359.9, 0.0]), 359.95, 1e-9);
        near(vector_mean(&[350.0, 20.0]), 5.0, 1e-9);
        near(vector_mean(&[90.0, 180.0]), 135.0, 1e-9);
        near(vector_mean(&[328.6]), 328.6, 0.0);
        near(vector_mean(&[360.0]), 0.0, 0.0);
        near(vector_mean(&[-1e-20]), 0.0, 0.0);
    }

    #[test]
    fn directions_that_cancel_out_have_no_mean() {
        for directions in [&[0.0, 180.0][..], &[90.0, 270.0], &[10.0, 190.0], &[0.0, 120.0, 240.0], &[]] {
            assert_eq!(vector_mean(directions), None, "{directions:?}");
        }
        assert_eq!(vector_mean(&[45.0, 225.0].repeat(50_000)), None);
    }

    #[test]
    fn decibels_are_averaged_as_energy() {
        // Two equal halves at 60 and 70 dB: 10 log10((10^6 + 10^7) / 2).
        near(energy_mean(&[60.0, 70.0]), 67.403_626_894_942_44, 1e-9);
        near(energy_mean(&[65.0, 65.0, 65.0]), 65.0, 0.0);
        // One minute of 90 dB in an hour of silence is 17.78 dB below it: 10 log10(60).
        let mut hour = vec![0.0; 59];
        hour.push(90.0);
        near(energy_mean(&hour), 90.0 - 17.781_512_503_836_435, 1e-6);
        near(energy_mean(&[5_000.0, 5_000.0]), 5_000.0, 0.0);
        near(energy_mean(&[-5_000.0, -5_000.0]), -5_000.0, 0.0);
    }

    #[test]
    fn many_small_values_add_up() {
        near(sum(&vec![0.1; 100_000]), 10_000.0, 1e-9);
        near(sum(&[1e16, 1.0, -1e16]), 1.0, 0.0);
        near(mean(&[16.1, 16.06, 16.03, 16.01]), 16.05, 1e-12);
        near(mean(&[0.1; 3]), 0.1, 0.0);
    }

    #[test]
    fn the_last_is_the_last_and_the_maximum_the_greatest() {
        near(summarise(Statistic::Last, &[3.0, 9.0, 1.0]), 1.0, 0.0);
        near(summarise(Statistic::Maximum, &[-3.0, -9.0, -1.0]), -1.0, 0.0);
        near(summarise(Statistic::Sum, &[1.0, 2.0, 4.0]), 7.0, 0.0);
    }

    #[test]
    fn no_values_have_no_statistic() {
        for statistic in EVERY {
            assert_eq!(summarise(statistic, &[]), None, "{statistic:?}");
        }
    }

    #[test]
    fn a_sum_that_overflows_is_none_instead_of_infinite() {
        assert_eq!(summarise(Statistic::Sum, &[f64::MAX, f64::MAX]), None);
    }

    const EVERY: [Statistic; 6] = [
        Statistic::Mean,
        Statistic::VectorMean,
        Statistic::EnergyMean,
        Statistic::Sum,
        Statistic::Last,
        Statistic::Maximum,
    ];

    proptest! {
        #[test]
        fn a_vector_mean_is_a_direction_and_turns_with_its_values(
            directions in prop::collection::vec(0u32..36_000, 1..50), turn in 0u32..36_000
        ) {
            let degrees = |hundredths: u32| f64::from(hundredths) / 100.0;
            let plain: Vec<f64> = directions.iter().map(|&one| degrees(one)).collect();
            let turned: Vec<f64> = directions.iter().map(|&one| degrees(one + turn)).collect();
            let (before, after) = (vector_mean(&plain), vector_mean(&turned));
            prop_assert_eq!(before.is_some(), after.is_some());
            if let (Some(before), Some(after)) = (before, after) {
                prop_assert!((0.0..360.0).contains(&before) && (0.0..360.0).contains(&after));
                prop_assert!(apart(before + degrees(turn), after) < 1e-4, "{before} turned is {after}");
            }
        }

        #[test]
        fn means_lie_among_their_values(tenths in prop::collection::vec(-500i32..1_500, 1..50)) {
            let values: Vec<f64> = tenths.iter().map(|&one| f64::from(one) / 10.0).collect();
            let among = minimum(&values).unwrap()..=maximum(&values).unwrap();
            let (plain, energy) = (mean(&values).unwrap(), energy_mean(&values).unwrap());
            prop_assert!(among.contains(&plain) && among.contains(&energy));
            prop_assert!(energy >= plain - 1e-9, "the mean energy is never below the mean level");
        }
    }
}
