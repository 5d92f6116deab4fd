//! The comparison: of every tick that a lamppost's world offered, what became of it. Pure.
//!
//! Between the first tick and the last one that a device read, every tick of its grid is stored, or named by a stop as
//! missed, or counted by the server's ledger as dropped, as its lamppost has reported. What is stored is exactly what the
//! outbox has on disk, and each value is what was true then.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use crate::city::compare::Tolerance;
use crate::city::timestamp;
use crate::fleet::observed::{NamedStop, Observed, Told, Which};
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
    /// What the server's ledger says of each series, up to the last tick that its device read.
    pub(super) told: &'a BTreeMap<(String, String), Told>,
    /// Samples of all runs that the server's ledger counts as dropped and not here. One is a tick of one device.
    pub(super) dropped: u64,
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
    /// Read, and reported as dropped, and not stored.
    pub dropped: u64,
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
        let Self {
            offered,
            read,
            freed,
            bad,
            dropped,
            stored,
            stopped,
            rejected,
            missing,
            wrong,
            stops,
            runs,
            told,
        } = other;
        self.offered += offered;
        self.read += read;
        self.freed += freed;
        self.bad += bad;
        self.dropped += dropped;
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
    let (mut least, mut most) = (0, 0);
    for (device, every_ms) in evidence.grids {
        let of_device = ticks(evidence, device, *every_ms, &mut account);
        (least, most) = (least + of_device.told, most + of_device.neither + of_device.at_ends);
    }
    if !(least..=most).contains(&evidence.dropped) {
        let (name, records) = (evidence.lamppost, evidence.dropped);
        account.wrong(format!("{name}: {records} samples are reported as dropped, not {least} to {most}"));
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

/// Ticks of which nothing is stored or on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unread {
    /// No stop names them: they were read, and had to be dropped.
    neither: u64,
    /// They are of the very time at which a stop begins: the agent may have been killed before it read them, or have had
    /// to drop them later.
    at_ends: u64,
    /// Of the former, those that the ledger tells to be dropped.
    told: u64,
}

/// Every tick of a device's grid was read, or a stop names it, or it had to be dropped.
fn ticks(evidence: &Evidence<'_>, device: &str, every_ms: u32, account: &mut Account) -> Unread {
    let name = evidence.lamppost;
    // What is on disk and not stored is missing already; it is not missing twice.
    let of_device = |which: &&Which| which.device == device;
    let mut read: BTreeMap<UtcMillis, BTreeSet<&str>> = BTreeMap::new();
    for observed in [evidence.served, evidence.on_disk] {
        for which in observed.observations.keys().filter(of_device) {
            read.entry(which.time).or_default().insert(&which.property);
        }
    }
    let mut unread = Unread::default();
    let (Some(first), Some((last, _))) = (evidence.lives.first(), read.last_key_value()) else {
        account.missing(1, format!("{name} {device}: nothing was ever read"));
        return unread;
    };
    // A tick is one record, and has all series of its device.
    let properties: BTreeSet<&str> = read.values().flatten().copied().collect();
    let series = properties.len() as u64;
    let named: BTreeSet<UtcMillis> =
        evidence.stops.iter().filter_map(|stop| stop.missed.get(device)).flatten().copied().collect();
    let ends: BTreeSet<UtcMillis> = evidence.stops.iter().map(|stop| stop.ended).collect();
    let period = i64::from(every_ms);
    let begin = first.began.0.div_euclid(period) + i64::from(first.began.0.rem_euclid(period) != 0);
    let (mut offered, mut neither) = (0, Vec::new());
    for tick in (begin..=last.0.div_euclid(period)).map(|tick| UtcMillis(tick * period)) {
        offered += 1;
        let here = read.get(&tick).map_or(0, |properties| properties.len() as u64);
        match (here, named.contains(&tick)) {
            (0, true) => {
                account.stopped += series;
                unread.at_ends += u64::from(ends.contains(&tick));
            }
            (_, true) => account.wrong(format!("{name} {device} {}: named as missed and read", at(tick))),
            (0, false) => neither.push(tick),
            (here, false) if here != series => {
                let part = format!("{name} {device} {}: {here} of {series} series", at(tick));
                account.missing(series - here, part);
            }
            (_, false) => {}
        }
    }
    account.offered += offered * series;
    (unread.neither, unread.told) = (neither.len() as u64, neither.len() as u64);
    for property in properties {
        let dropped = told(evidence, (device, property), offered, unread, account);
        let (of_series, unnamed) = (unread.neither.min(dropped), unread.neither.saturating_sub(dropped));
        account.read += of_series;
        account.dropped += of_series;
        unread.told = unread.told.min(dropped);
        if let (1.., Some(first), Some(last)) = (unnamed, neither.first(), neither.last()) {
            let (first, last) = (at(*first), at(*last));
            let what = format!("{name} {device}/{property}: {unnamed} ticks between {first} and {last}");
            account.missing(unnamed, format!("{what}: neither read nor named"));
        }
    }
    for time in read.keys().filter(|time| time.0.rem_euclid(period) != 0) {
        account.wrong(format!("{name} {device} {}: not on the grid", at(*time)));
    }
    unread
}

/// Checks what the server's ledger says of a series; says how many ticks of it were dropped.
fn told(
    evidence: &Evidence<'_>,
    (device, property): (&str, &str),
    offered: u64,
    unread: Unread,
    account: &mut Account,
) -> u64 {
    let what = format!("{} {device}/{property}", evidence.lamppost);
    let Some(told) = evidence.told.get(&(device.to_owned(), property.to_owned())) else {
        account.wrong(format!("{what}: the ledger does not tell of it"));
        return 0;
    };
    let of_series = |which: &&Which| which.device == device && which.property == property;
    let stored = evidence.served.observations.keys().filter(of_series).count() as u64;
    let is_unstored = |which: &&Which| !evidence.served.observations.contains_key(*which);
    let unstored = evidence.on_disk.observations.keys().filter(of_series).filter(is_unstored).count() as u64;
    if (told.expected, told.stored) != (offered, stored) || told.unsettled > unstored {
        account.wrong(format!("{what}: {told:?} is told of {offered} ticks, of which {stored} are stored"));
    }
    if told.dropped > unread.neither + unread.at_ends {
        account.wrong(format!("{what}: {} ticks are told to be dropped, and {unread:?}", told.dropped));
    }
    told.dropped
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
    let Some(alive) = before.filter_map(|life| life.seen).max().filter(|_| stop.ended_known) else { return };
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
mod tests;
