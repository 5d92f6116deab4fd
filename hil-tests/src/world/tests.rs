//! The world against its recordings.

use super::faults::{Fault, FaultKinds, Faults, SLOT_MS};
use super::*;

const MET_MINUTE: &str = include_str!("../../data/met-minute.csv");
const KERBSIDE: &str = include_str!("../../data/kerbside-hourly.csv");

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// 2026-03-05T00:00:00Z
const MIDNIGHT: UtcMillis = UtcMillis(1_772_668_800_000);
/// 2003-01-01T00:00:00Z, the begin of the recorded year.
const YEAR_2003: UtcMillis = UtcMillis(1_041_379_200_000);
/// 2028-02-29T00:00:00Z
const LEAP_DAY: UtcMillis = UtcMillis(1_835_395_200_000);

#[test]
fn each_minute_of_any_day_has_exactly_the_row_of_the_same_time_of_day() {
    let world = exact();
    let rows: Vec<Vec<&str>> = MET_MINUTE.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 1440);
    for (place, row) in rows.iter().enumerate() {
        let time_of_day: Vec<i64> =
            row[0][11..16].split(':').map(|part| part.parse().expect("HH:MM")).collect();
        let time = MIDNIGHT.plus_ms(time_of_day[0] * HOUR_MS + time_of_day[1] * MINUTE_MS);
        assert_eq!(time_of_day[0] * 60 + time_of_day[1], (420 + i64::try_from(place).unwrap()) % 1440);
        for within in [0, 1, 59_999] {
            let truth = world.at(time.plus_ms(within));
            assert_same(truth.air_temperature, row[1].parse().unwrap(), row[0]);
            assert_same(truth.relative_humidity, row[2].parse().unwrap(), row[0]);
        }
    }
}

#[test]
fn times_before_1970_have_a_time_of_day_too() {
    let (world, days) = (exact(), -40_000 * DAY_MS);
    assert_eq!(world.at(UtcMillis(days + 7 * HOUR_MS)).air_temperature.to_string(), "16.1");
    assert_eq!(world.at(UtcMillis(days + 7 * HOUR_MS - 1)).air_temperature.to_string(), "17.25");
}

#[test]
fn the_standard_atmosphere_is_that_of_the_standard() {
    // ISO 2533, by geopotential height.
    for (height_m, hpa) in
        [(0.0, 1013.25), (500.0, 954.61), (1000.0, 898.75), (5000.0, 540.20), (11_000.0, 226.32)]
    {
        assert_near(standard_pressure_hpa(height_m), hpa, 0.01);
    }
}

#[test]
fn pressure_keeps_its_course_and_has_the_streets_level() {
    let recordings = Arc::new(Recordings::built_in());
    for height_m in [0.0, STREET_HEIGHT_M, 120.0] {
        let world = World::new(Arc::clone(&recordings), Site { height_m }, Variation::None);
        let day: Vec<f64> = (0..1440)
            .map(|minute| world.at(MIDNIGHT.plus_ms(minute * MINUTE_MS)).barometric_pressure)
            .collect();
        assert_near(day.iter().sum::<f64>() / 1440.0, standard_pressure_hpa(height_m), 1e-6);
        // As far apart as the recorded 927.935 and 927.963 of 07:00 and 07:01.
        assert_near(day[421] / day[420], 927.963 / 927.935, 1e-12);
    }
}

#[test]
fn particles_are_those_of_the_same_hour_of_the_year_in_whole_micrograms() {
    let world = exact();
    // 2003-01-01T00:00 and T01:00, and the same a quarter of a century later.
    for year in [YEAR_2003, UtcMillis(1_830_297_600_000)] {
        assert_eq!(particles(&world, year), (29, 41, 45));
        assert_eq!(particles(&world, year.plus_ms(HOUR_MS - 1)), (29, 41, 45));
        assert_eq!(particles(&world, year.plus_ms(HOUR_MS)), (13, 19, 36));
    }
    // 2003-12-31T23:00
    assert_eq!(particles(&world, YEAR_2003.plus_ms(365 * DAY_MS - 1)), (11, 15, 25));
}

#[test]
fn where_the_station_had_no_value_its_last_one_holds() {
    let world = exact();
    let january_7 = YEAR_2003.plus_ms(6 * DAY_MS);
    // 09:00 has PM10 35 and PM2.5 20; at 10:00 and 11:00 PM10 is empty, PM2.5 17 and 19.
    assert_eq!(particles(&world, january_7.plus_ms(9 * HOUR_MS)), (14, 20, 35));
    assert_eq!(particles(&world, january_7.plus_ms(10 * HOUR_MS)), (12, 17, 35));
    assert_eq!(particles(&world, january_7.plus_ms(11 * HOUR_MS)), (13, 19, 35));
}

#[test]
fn a_leap_day_is_the_day_before_again() {
    let world = exact();
    for hour in 0..24 {
        let time = LEAP_DAY.plus_ms(hour * HOUR_MS);
        assert_eq!(particles(&world, time), particles(&world, time.plus_ms(-DAY_MS)), "hour {hour}");
    }
    // 1 March has its own: not that of 28 February, of which 00:00 has 15 and 32.
    assert_eq!(particles(&world, LEAP_DAY), (11, 15, 32));
    let first_of_march: Vec<&str> =
        KERBSIDE.lines().find(|line| line.starts_with("2003-03-01T00")).unwrap().split(',').collect();
    let march = particles(&world, LEAP_DAY.plus_ms(DAY_MS));
    assert_eq!(
        (march.1.to_string(), march.2.to_string()),
        (first_of_march[7].into(), first_of_march[6].into())
    );
}

#[test]
fn what_the_station_reports_below_zero_is_zero() {
    let below = KERBSIDE.replacen(",45,41,", ",-1,-3,", 1);
    let recordings = Recordings::parse(MET_MINUTE, &below).unwrap();
    let world = World::new(Arc::new(recordings), Site::STREET, Variation::None);
    assert_eq!(particles(&world, YEAR_2003), (0, 0, 0));
}

#[test]
fn recordings_that_are_not_whole_are_refused() {
    let rows = MET_MINUTE.lines().enumerate().filter(|(place, _)| *place != 5).map(|(_, row)| row);
    let without_a_row = rows.collect::<Vec<_>>().join("\n");
    assert!(matches!(
        Recordings::parse(&without_a_row, KERBSIDE),
        Err(RecordingError::Rows { found: 1439, expected: 1440 })
    ));
    let out_of_order = MET_MINUTE.replacen("T07:04:00Z", "T07:05:00Z", 1);
    assert!(matches!(
        Recordings::parse(&out_of_order, KERBSIDE),
        Err(RecordingError::Order { row: 5, time }) if time == "2018-10-18T07:05:00Z"
    ));
    let no_number = KERBSIDE.replacen(",45,41,", ",45,n/a,", 1);
    assert!(matches!(Recordings::parse(MET_MINUTE, &no_number), Err(RecordingError::Row(_))));
    assert!(Recordings::parse(MET_MINUTE, MET_MINUTE).is_err());
}

#[test]
fn lampposts_differ_within_bounds_and_always_in_the_same_way() {
    let (exact, recordings) = (exact(), Arc::new(Recordings::built_in()));
    let (mut warmest, mut coldest): (f64, f64) = (0.0, 0.0);
    for lamppost in 0..100 {
        let variation = Variation::Natural { seed: 7, lamppost };
        let [world, again] =
            [variation, variation].map(|one| World::new(Arc::clone(&recordings), Site::STREET, one));
        for minute in (0..1440).step_by(7) {
            let time = MIDNIGHT.plus_ms(minute * MINUTE_MS);
            let (varied, truth) = (world.at(time), exact.at(time));
            assert_eq!(varied, again.at(time));
            let warmer = varied.air_temperature - truth.air_temperature;
            assert!(warmer.abs() <= Variation::CELSIUS, "{lamppost}: {warmer}");
            (warmest, coldest) = (warmest.max(warmer), coldest.min(warmer));
            assert!((varied.relative_humidity - truth.relative_humidity).abs() <= Variation::PERCENT);
            assert_same(varied.barometric_pressure, truth.barometric_pressure, "one height");
            for (varied, truth) in
                [(varied.pm1, truth.pm1), (varied.pm2_5, truth.pm2_5), (varied.pm10, truth.pm10)]
            {
                let (varied, truth) = (f64::from(varied), f64::from(truth));
                assert!(varied <= truth * Variation::PARTICLES_FACTOR + 1.2, "{varied} of {truth}");
                assert!(varied >= truth / Variation::PARTICLES_FACTOR - 1.2, "{varied} of {truth}");
            }
        }
    }
    // They do differ, and not all to one side.
    assert!(warmest > 0.6 && coldest < -0.6, "{warmest} {coldest}");
}

#[test]
fn another_seed_is_another_city() {
    assert_ne!(natural(1, 0).at(MIDNIGHT), natural(2, 0).at(MIDNIGHT));
    assert_ne!(natural(1, 0).at(MIDNIGHT), natural(1, 1).at(MIDNIGHT));
}

#[test]
fn a_lampposts_offset_moves_slowly() {
    let (exact, world) = (exact(), natural(3, 5));
    let offset = |time| world.at(time).air_temperature - exact.at(time).air_temperature;
    for minute in 0..1440 {
        let time = MIDNIGHT.plus_ms(minute * MINUTE_MS);
        let moved = offset(time.plus_ms(MINUTE_MS)) - offset(time);
        assert!(moved.abs() < 0.05, "{moved} °C in a minute");
    }
}

#[test]
fn humidity_stays_within_its_scale() {
    let wet = MET_MINUTE.replace(",48.73,", ",99.9,").replace(",48.83,", ",0.1,");
    let recordings = Arc::new(Recordings::parse(&wet, KERBSIDE).unwrap());
    for lamppost in 0..50 {
        let variation = Variation::Natural { seed: 1, lamppost };
        let world = World::new(Arc::clone(&recordings), Site::STREET, variation);
        for minute in [0, 1] {
            let time = MIDNIGHT.plus_ms(7 * HOUR_MS + minute * MINUTE_MS);
            assert!((0.0..=100.0).contains(&world.at(time).relative_humidity));
        }
    }
}

#[test]
fn a_property_that_no_rig_measures_has_no_value() {
    assert_eq!(exact().at(MIDNIGHT).value("wind_speed"), None);
}

#[test]
fn one_lamppost_in_25_has_a_fault() {
    let faults = Faults::NowAndThen { seed: 1, kinds: FaultKinds::All };
    let times = (0..DAY_MS).step_by(10 * 60_000 + 7_000);
    let (mut broken, mut looks) = (0_u32, 0_u32);
    for time in times {
        for lamppost in 0..400 {
            looks += 1;
            broken += u32::from(faults.at(lamppost, MIDNIGHT.plus_ms(time)).is_some());
        }
    }
    let share = f64::from(broken) / f64::from(looks);
    assert!((0.036..0.044).contains(&share), "{share}");
}

#[test]
fn a_fault_is_there_for_its_window_and_no_longer() {
    let faults = Faults::NowAndThen { seed: 9, kinds: FaultKinds::All };
    let mut seen = 0;
    for second in 0..6 * 3600 {
        let time = MIDNIGHT.plus_ms(second * 1000);
        let Some(window) = faults.at(3, time) else { continue };
        seen += 1;
        assert!(window.from <= time && time < window.until);
        assert!((20_000..=100_000).contains(&window.until.since_ms(window.from)));
        let slot = window.from.0.div_euclid(SLOT_MS);
        assert!(window.until.0 <= (slot + 1) * SLOT_MS, "a window lies within its slot");
        assert_eq!(faults.at(3, window.from), Some(window));
        assert_eq!(faults.at(3, window.until.plus_ms(-1)), Some(window));
        assert_ne!(faults.at(3, window.until), Some(window));
        assert_ne!(faults.at(3, window.from.plus_ms(-1)), Some(window));
    }
    assert!(seen > 0, "nothing broke in six hours");
}

#[test]
fn prompt_faults_are_never_those_that_an_agent_waits_for() {
    use sensor_drivers::pms5003::model::Fault as Particles;
    let seen = |kinds| {
        let faults = Faults::NowAndThen { seed: 4, kinds };
        let times = (0..DAY_MS).step_by(30_000).map(|time| MIDNIGHT.plus_ms(time));
        let windows = times.flat_map(|time| (0..50).filter_map(move |lamppost| faults.at(lamppost, time)));
        windows.map(|window| window.fault).collect::<std::collections::HashSet<_>>()
    };
    let slow = [Particles::Silent, Particles::BadSum, Particles::Cut].map(Fault::Particles);
    let (all, prompt) = (seen(FaultKinds::All), seen(FaultKinds::Prompt));
    assert!(slow.iter().all(|fault| all.contains(fault) && !prompt.contains(fault)));
    assert_eq!((all.len(), prompt.len()), (10, 7));
}

#[test]
fn without_faults_nothing_breaks() {
    let times = (0..DAY_MS).step_by(60_000);
    assert!(times.into_iter().all(|time| Faults::None.at(0, MIDNIGHT.plus_ms(time)).is_none()));
}

fn exact() -> World {
    World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None)
}

fn natural(seed: u64, lamppost: u32) -> World {
    World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::Natural { seed, lamppost })
}

fn particles(world: &World, time: UtcMillis) -> (u16, u16, u16) {
    let Truth { pm1, pm2_5, pm10, .. } = world.at(time);
    (pm1, pm2_5, pm10)
}

/// To the last bit.
fn assert_same(found: f64, expected: f64, what: &str) {
    assert_eq!(found.to_bits(), expected.to_bits(), "{what}: {found} is not {expected}");
}

fn assert_near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} is not {expected}");
}
