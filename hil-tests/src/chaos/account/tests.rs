//! The comparison, of a lamppost of which all is known.

use std::sync::Arc;

use super::*;
use crate::city::Fidelity;
use crate::city::positions::sample_lampposts;
use crate::fleet::observed::What;
use crate::rig::lamppost::SERIES;
use crate::world::Recordings;

/// 2026-03-05T07:00:00Z
const MORNING: UtcMillis = UtcMillis(1_772_694_000_000);

const GRIDS: &[(&str, u32)] = &[("weather-1", 1_000), ("air-1", 1_000)];

/// An agent that read from tick 0 to 9, was stopped until 15, and read up to 19.
struct Case {
    lamppost: LamppostNumber,
    on_disk: Observed,
    served: Observed,
    stops: Vec<NamedStop>,
    /// Samples of each device that are reported as dropped.
    dropped: BTreeMap<&'static str, u64>,
    lives: Vec<Life>,
    world: World,
}

impl Case {
    fn new() -> Self {
        let lamppost = sample_lampposts(1).remove(0);
        let world = Fidelity::Exact.world(&Arc::new(Recordings::built_in()), &lamppost);
        let mut observed = Observed::default();
        for second in (0..10).chain(15..20) {
            for (device, property) in SERIES {
                let value = world.at(tick(second)).value(property);
                let what = What { value, reason: "good".to_owned() };
                observed.observations.insert(which(device, property, second), what);
            }
        }
        let missed = GRIDS.iter().map(|grid| (grid.0.to_owned(), (10..15).map(tick).collect()));
        let stop =
            NamedStop { ended: tick(9), ended_known: true, opened: tick(15), missed: missed.collect() };
        let lives = [(0, 9), (15, 19)];
        Self {
            lamppost: lamppost.number,
            on_disk: observed.clone(),
            served: observed,
            stops: vec![stop],
            dropped: BTreeMap::new(),
            lives: lives.map(|(from, to)| Life { began: tick(from), seen: Some(tick(to)) }).into(),
            world,
        }
    }

    fn account(&self) -> Account {
        account(&Evidence {
            lamppost: &self.lamppost,
            on_disk: &self.on_disk,
            served: &self.served,
            stops: &self.stops,
            told: &SERIES.map(|series| self.told(series)).into(),
            dropped: self.dropped.values().sum(),
            lives: &self.lives,
            world: &self.world,
            grids: GRIDS,
            unsynced_ms: 2_000,
        })
    }

    /// What the ledger tells of a series.
    fn told(&self, (device, property): (&str, &str)) -> ((String, String), Told) {
        let of_series = |which: &&Which| which.device == device && which.property == property;
        let stored = self.served.observations.keys().filter(of_series).count() as u64;
        let dropped = self.dropped.get(device).copied().unwrap_or(0);
        ((device.to_owned(), property.to_owned()), Told { expected: 20, stored, dropped, unsettled: 0 })
    }

    /// These ticks of a device are neither on disk nor served; so many are reported as dropped.
    fn drop_ticks(&mut self, device: &'static str, seconds: std::ops::Range<i64>, reported: u64) {
        for second in seconds {
            for (_, property) in SERIES.iter().filter(|series| series.0 == device) {
                self.forget(device, property, second, true);
            }
        }
        self.dropped.insert(device, reported);
    }

    /// Missing and wrong.
    fn faults(&self) -> (u64, u64) {
        let account = self.account();
        (account.missing, account.wrong)
    }

    fn forget(&mut self, device: &str, property: &str, second: i64, also_on_disk: bool) {
        self.served.observations.remove(&which(device, property, second));
        if also_on_disk {
            self.on_disk.observations.remove(&which(device, property, second));
        }
    }
}

fn tick(second: i64) -> UtcMillis {
    MORNING.plus_ms(second * 1_000)
}

fn which(device: &str, property: &str, second: i64) -> Which {
    Which { device: device.to_owned(), property: property.to_owned(), time: tick(second) }
}

#[test]
fn what_was_offered_is_what_is_stored_and_what_a_stop_names() {
    let account = Case::new().account();
    assert!(account.is_lossless(), "{:?}", account.told);
    assert_eq!((account.offered, account.stored, account.stopped), (120, 90, 30));
    assert_eq!(account.read, 90);
}

#[test]
fn what_is_on_disk_and_not_stored_is_missing() {
    let mut case = Case::new();
    case.forget("weather-1", "air_temperature", 5, false);
    assert_eq!(case.faults(), (1, 0));
}

#[test]
fn a_tick_that_neither_disk_nor_server_has_is_missing_unless_a_stop_names_it() {
    let mut case = Case::new();
    for (device, property) in SERIES.iter().filter(|series| series.0 == "air-1") {
        case.forget(device, property, 9, true);
    }
    assert_eq!(case.faults(), (3, 0));
    case.stops[0].missed.get_mut("air-1").unwrap().insert(tick(9));
    assert_eq!(case.faults(), (0, 0));
}

#[test]
fn a_tick_that_is_stored_and_named_as_missed_is_wrong() {
    let mut case = Case::new();
    case.stops[0].missed.get_mut("weather-1").unwrap().insert(tick(9));
    assert_eq!(case.faults(), (0, 1));
}

#[test]
fn a_value_that_was_not_true_is_wrong_even_if_the_disk_has_it_too() {
    let mut case = Case::new();
    for observed in [&mut case.on_disk, &mut case.served] {
        let what = observed.observations.get_mut(&which("air-1", "pm10", 3)).unwrap();
        what.value = what.value.map(|value| value + 2.0);
    }
    assert_eq!(case.faults(), (0, 1));
}

#[test]
fn what_is_stored_otherwise_than_it_was_read_is_wrong_and_so_is_what_is_there_twice() {
    let mut case = Case::new();
    let doubted = case.served.observations.get_mut(&which("air-1", "pm1", 3)).unwrap();
    doubted.reason = "clock-unsure".to_owned();
    assert_eq!(case.faults(), (0, 1));
    case.served.twice.push(which("air-1", "pm1", 4));
    assert_eq!(case.faults(), (0, 2));
}

#[test]
fn what_is_stored_may_be_freed_and_still_has_to_be_true() {
    let mut case = Case::new();
    case.on_disk.observations.remove(&which("air-1", "pm1", 3));
    let account = case.account();
    assert!(account.is_lossless());
    assert_eq!((account.read, account.freed), (90, 1));
    let stored = case.served.observations.get_mut(&which("air-1", "pm1", 3)).unwrap();
    stored.value = stored.value.map(|value| value + 2.0);
    assert_eq!(case.faults(), (0, 1));
}

#[test]
fn a_stop_that_hides_what_an_agent_read_long_before_its_end_is_wrong() {
    let mut case = Case::new();
    for second in 5..10 {
        for (device, property) in SERIES {
            case.forget(device, property, second, true);
        }
        for missed in case.stops[0].missed.values_mut() {
            missed.insert(tick(second));
        }
    }
    assert_eq!(case.faults(), (0, 0), "the stop itself says that it began at 9 s");
    case.stops[0].ended = tick(4);
    assert_eq!(case.faults(), (0, 1));
}

#[test]
fn a_stop_that_ends_when_nobody_was_started_is_wrong() {
    let mut case = Case::new();
    case.stops[0].opened = tick(16);
    assert_eq!(case.faults(), (0, 1));
}

#[test]
fn what_is_reported_as_dropped_was_read_and_is_not_missing() {
    let mut case = Case::new();
    case.drop_ticks("air-1", 3..7, 4);
    let account = case.account();
    assert!(account.is_lossless(), "{:?}", account.told);
    assert_eq!((account.read, account.stored, account.dropped, account.stopped), (90, 78, 12, 30));
}

#[test]
fn what_is_gone_and_not_reported_is_missing() {
    let mut case = Case::new();
    case.drop_ticks("air-1", 3..7, 3);
    assert_eq!(case.faults(), (3, 0), "a tick of three series");
}

#[test]
fn what_is_reported_as_dropped_although_it_was_never_read_or_is_here_is_wrong() {
    let mut case = Case::new();
    case.drop_ticks("air-1", 3..7, 5);
    assert_eq!(case.faults(), (0, 3 + 1), "each series, and all samples");
}

#[test]
fn what_was_dropped_at_the_very_end_of_a_run_is_named_by_the_stop_too() {
    let mut case = Case::new();
    case.drop_ticks("air-1", 8..10, 2);
    case.stops[0].missed.get_mut("air-1").unwrap().insert(tick(9));
    let account = case.account();
    assert!(account.is_lossless(), "{:?}", account.told);
    assert_eq!((account.dropped, account.stopped), (3, 33));
}

#[test]
fn a_series_of_which_the_ledger_tells_otherwise_than_is_served_is_wrong() {
    let mut case = Case::new();
    case.forget("weather-1", "air_temperature", 3, true);
    assert_eq!(case.faults(), (1, 0), "one of three series of a tick");
    case.dropped.insert("weather-1", 1);
    assert_eq!(case.faults(), (1, 3 + 1));
}
