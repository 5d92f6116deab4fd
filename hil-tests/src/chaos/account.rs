//! The comparison: of every tick that a lamppost's world offered, what became of it. Pure.
//!
//! Between the first tick and the last one that a device read, every tick of its grid is either stored or named as
//! missed by exactly one side: by a stop. What is stored is exactly what the outbox has on disk, and each value is what
//! was true then.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use crate::city::compare::Tolerance;
use crate::city::timestamp;
use crate::fleet::observed::{NamedStop, Observed, Which};
use crate::world::World;

/// All that is known of one lamppost at the end.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) lamppost: &'a LamppostNumber,
    /// What its outbox has on disk.
    pub(super) on_disk: &'a Observed,
    /// What the API serves.
    pub(super) served: &'a Observed,
    pub(super) stops: &'a [NamedStop],
    /// Each life of its process, oldest first.
    pub(super) lives: &'a [Life],
    pub(super) world: &'a World,
    /// Device, and milliseconds from tick to tick, in phase with the minute.
    pub(super) grids: &'a [(&'static str, u32)],
    /// How long before an agent's end the last record that is on its disk may be, in its own time.
    pub(super) unsynced_ms: i64,
}

/// One life of an agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// When its time began.
    pub(super) began: UtcMillis,
    /// The last time that it is known to have lived at; none if it never said.
    pub(super) seen: Option<UtcMillis>,
}

/// What became of observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the world offered: the ticks of all grids, and what each would have observed.
    pub offered: u64,
    /// What outboxes accepted, be it freed since.
    pub read: u64,
    /// Of these, stored and freed: the room was needed.
    pub freed: u64,
    /// Of these, bad ones: nothing could be read.
    pub bad: u64,
    /// What the API serves.
    pub stored: u64,
    /// What the API names as missed while an agent was stopped.
    pub stopped: u64,
    /// What the server rejected.
    pub rejected: u64,
    /// Neither stored nor reported.
    pub missing: u64,
    /// Stored and not what was read, or not what was true; stored twice; reported although it is stored, or although it
    /// was read long before the agent ended.
    pub wrong: u64,
    /// Stops that the API names.
    pub stops: u64,
    /// Runs of all outboxes.
    pub runs: u64,
    /// What is missing or wrong, in words, as far as it is told.
    pub told: Vec<String>,
}

/// So many are told of one lamppost.
const MOST_TOLD: usize = 20;

impl Account {
    /// Whether everything that was read is stored or reported.
    pub fn is_lossless(&self) -> bool {
        self.missing == 0 && self.wrong == 0
    }

    /// Takes in the account of another lamppost.
    pub(super) fn add(&mut self, other: Self) {
        let Self { offered, read, freed, bad, stored, stopped, rejected, missing, wrong, stops, runs, told } =
            other;
        self.offered += offered;
        self.read += read;
        self.freed += freed;
        self.bad += bad;
        self.stored += stored;
        self.stopped += stopped;
        self.rejected += rejected;
        self.missing += missing;
        self.wrong += wrong;
        self.stops += stops;
        self.runs += runs;
        self.told.extend(told);
    }

    fn missing(&mut self, count: u64, what: String) {
        self.missing += count;
        self.tell(what);
    }

    fn wrong(&mut self, what: String) {
        self.wrong += 1;
        self.tell(what);
    }

    fn tell(&mut self, what: String) {
        if self.told.len() < MOST_TOLD {
            self.told.push(what);
        }
    }
}

/// Accounts for all observations of a lamppost.
pub(super) fn account(evidence: &Evidence<'_>) -> Account {
    let (on_disk, served) = (&evidence.on_disk.observations, &evidence.served.observations);
    let mut account = Account {
        read: on_disk.len() as u64,
        bad: on_disk.values().filter(|what| what.value.is_none()).count() as u64,
        stored: served.len() as u64,
        stops: evidence.stops.len() as u64,
        ..Account::default()
    };
    compare_with_disk(evidence, &mut account);
    for (which, what) in served {
        if let Some(value) = what.value {
            compare_with_truth(evidence, which, value, &mut account);
        }
    }
    for (device, every_ms) in evidence.grids {
        ticks(evidence, device, *every_ms, &mut account);
    }
    for stop in evidence.stops {
        explain(evidence, stop, &mut account);
    }
    account
}

fn compare_with_disk(evidence: &Evidence<'_>, account: &mut Account) {
    let name = evidence.lamppost;
    for (which, read) in &evidence.on_disk.observations {
        match evidence.served.observations.get(which) {
            None => account.missing(1, format!("{name} {}: on disk and not stored", words(which))),
            Some(stored) if stored != read => {
                account.wrong(format!("{name} {}: {stored:?} is stored, {read:?} is on disk", words(which)));
            }
            Some(_) => {}
        }
    }
    for which in evidence.served.observations.keys() {
        if !evidence.on_disk.observations.contains_key(which) {
            // The server holds it, so it may be freed (D9). What it was, the comparison with the truth says.
            account.read += 1;
            account.freed += 1;
        }
    }
    for (which, whose) in evidence
        .on_disk
        .twice
        .iter()
        .map(|which| (which, "read"))
        .chain(evidence.served.twice.iter().map(|which| (which, "served")))
    {
        account.wrong(format!("{name} {}: {whose} twice", words(which)));
    }
}

fn compare_with_truth(evidence: &Evidence<'_>, which: &Which, value: f64, account: &mut Account) {
    let truth = evidence.world.at(which.time).value(&which.property);
    // What the agent says of itself is in no world.
    let (Some(truth), Some(Tolerance(within))) = (truth, Tolerance::of(&which.property)) else { return };
    // Lampposts differ by fractions of a step, so a step of chip and catalogue each may lie between.
    if (value - truth).abs() > 2.0 * within {
        let name = evidence.lamppost;
        account.wrong(format!("{name} {}: {value} is stored where {truth} was true", words(which)));
    }
}

/// Every tick of a device's grid was read, or a stop names it.
fn ticks(evidence: &Evidence<'_>, device: &str, every_ms: u32, account: &mut Account) {
    let name = evidence.lamppost;
    // What is on disk and not stored is missing already; it is not missing twice.
    let of_device = |which: &&Which| which.device == device;
    let mut read: BTreeMap<UtcMillis, BTreeSet<&str>> = BTreeMap::new();
    for observed in [evidence.served, evidence.on_disk] {
        for which in observed.observations.keys().filter(of_device) {
            read.entry(which.time).or_default().insert(&which.property);
        }
    }
    let (Some(first), Some((last, _))) = (evidence.lives.first(), read.last_key_value()) else {
        return account.missing(1, format!("{name} {device}: nothing was ever read"));
    };
    // A tick is one record, and has all series of its device.
    let series = read.values().map(|properties| properties.len() as u64).max().unwrap_or(0);
    let named: BTreeSet<UtcMillis> =
        evidence.stops.iter().filter_map(|stop| stop.missed.get(device)).flatten().copied().collect();
    let period = i64::from(every_ms);
    let begin = first.began.0.div_euclid(period) + i64::from(first.began.0.rem_euclid(period) != 0);
    for tick in (begin..=last.0.div_euclid(period)).map(|tick| UtcMillis(tick * period)) {
        account.offered += series;
        let here = read.get(&tick).map_or(0, |properties| properties.len() as u64);
        match (here, named.contains(&tick)) {
            (0, true) => account.stopped += series,
            (_, true) => account.wrong(format!("{name} {device} {}: named as missed and read", at(tick))),
            (0, false) => {
                account.missing(series, format!("{name} {device} {}: neither read nor named", at(tick)));
            }
            (here, false) if here != series => {
                let part = format!("{name} {device} {}: {here} of {series} series", at(tick));
                account.missing(series - here, part);
            }
            (_, false) => {}
        }
    }
    for time in read.keys().filter(|time| time.0.rem_euclid(period) != 0) {
        account.wrong(format!("{name} {device} {}: not on the grid", at(*time)));
    }
}

/// A stop begins where a life is known to have ended, and ends where the next one began.
fn explain(evidence: &Evidence<'_>, stop: &NamedStop, account: &mut Account) {
    let name = evidence.lamppost;
    let (ended, opened) = (at(stop.ended), at(stop.opened));
    let began = |life: &&Life| life.began == stop.opened;
    if !evidence.lives.iter().any(|life| began(&life)) {
        return account.wrong(format!("{name}: a stop ends at {opened}, when no agent was started"));
    }
    let before = evidence.lives.iter().filter(|life| life.began < stop.opened);
    let Some(alive) = before.filter_map(|life| life.seen).max() else { return };
    if alive.since_ms(stop.ended) > evidence.unsynced_ms {
        let alive = at(alive);
        account.wrong(format!("{name}: a stop begins at {ended}, and the agent was alive at {alive}"));
    }
}

fn words(which: &Which) -> String {
    format!("{}/{} {}", which.device, which.property, at(which.time))
}

fn at(time: UtcMillis) -> String {
    timestamp::to_the_millisecond(time)
}

#[cfg(test)]
mod tests {
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
            let stop = NamedStop { ended: tick(9), opened: tick(15), missed: missed.collect() };
            let lives = [(0, 9), (15, 19)];
            Self {
                lamppost: lamppost.number,
                on_disk: observed.clone(),
                served: observed,
                stops: vec![stop],
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
                lives: &self.lives,
                world: &self.world,
                grids: GRIDS,
                unsynced_ms: 2_000,
            })
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
}
