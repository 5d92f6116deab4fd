//! What befalls whom, and when: drawn from a seed. Pure.
//!
//! The same seed draws the same faults at the same times. What each meets differs from run to run, for processes, disks
//! and networks have their own pace.

use std::time::Duration;

use super::dice::Dice;
use super::disk::{AT_START_OF_AGENTS, AT_START_OF_SERVER, Failure, OF_AGENTS, OF_SERVER};
use super::road::Weather;

/// A process that something can befall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The process of the lampposts of this street.
    Street(usize),
    Server,
}

/// Something that befalls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// SIGKILL; it is started again after `down`, on a disk that fails if there is a failure.
    Kill { whom: Whom, down: Duration, then: Option<Injection> },
    /// SIGTERM to the process of a street; it is started again once it has ended.
    Stop { street: usize },
    /// SIGSTOP, and SIGCONT after `lasts`.
    Freeze { whom: Whom, lasts: Duration },
    /// Calls to the disk fail.
    Disk { whom: Whom, injection: Injection, lasts: Duration },
    /// A street is cut off for longer than its outboxes hold what is read.
    Outage { street: usize, lasts: Duration },
    /// The road between a street and the server is bad.
    Weather { street: usize, weather: Weather, lasts: Duration },
    /// All connections of a road are closed.
    Close { street: usize },
    /// All connections of a road are closed in the middle of what they carry next.
    Tear { street: usize },
}

/// A failure of the disk, and which of a thread's calls fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Injection {
    pub(super) failure: &'static Failure,
    /// The first call that fails, counted from 1.
    pub(super) first: u32,
    /// From then on every so-manieth; none: no other.
    pub(super) step: Option<u32>,
}

/// Draws faults, in the order of their times.
#[derive(Debug)]
pub(super) struct Planner {
    dice: Dice,
    streets: usize,
    next_at: Duration,
    /// What does not happen in this era.
    spared: Vec<Kind>,
    era_ends: Duration,
    outages: Outages,
}

/// Draws outages, one after the other, beside all else.
#[derive(Debug)]
struct Outages {
    dice: Dice,
    streets: usize,
    /// How long it takes to fill an outbox.
    fills_in: Duration,
    next_at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    KillAgents,
    KillServer,
    StopAgents,
    FreezeAgents,
    FreezeServer,
    DiskOfAgents,
    DiskOfServer,
    Weather,
    Close,
    Tear,
}

/// How often each kind is drawn, of a hundred.
const KINDS: [(u64, Kind); 10] = [
    (22, Kind::KillAgents),
    (13, Kind::KillServer),
    (4, Kind::StopAgents),
    (7, Kind::FreezeAgents),
    (4, Kind::FreezeServer),
    (12, Kind::DiskOfAgents),
    (8, Kind::DiskOfServer),
    (14, Kind::Weather),
    (8, Kind::Close),
    (8, Kind::Tear),
];

/// Time from fault to fault, in milliseconds: more than one a second, so that what one of them breaks is met by the next.
const PAUSE_MS: u32 = 1_200;

/// How long an outage is, of the time in which an outbox fills: agents that are killed or stopped meanwhile read less.
const OUTAGE_PERCENT: std::ops::RangeInclusive<u32> = 120..=150;

/// In the first era everything happens. Each further one is spared about half of the kinds, for some faults hide what
/// others break: a server that is often killed often learns anew what it lacks.
const ERA: Duration = Duration::from_mins(1);

impl Planner {
    /// An outbox is full in so much time if the server cannot be reached.
    pub(super) fn new(seed: u64, streets: usize, fills_in: Duration) -> Self {
        let mut dice = Dice::new(seed);
        // Everybody may say hello first.
        let next_at = dice.time(500..=PAUSE_MS);
        let outages = Outages::new(seed, streets, fills_in);
        Self { dice, streets, next_at, spared: Vec::new(), era_ends: ERA, outages }
    }

    /// The next fault, if its time has come.
    pub(super) fn due(&mut self, now: Duration) -> Option<Fault> {
        self.outages.due(now).or_else(|| self.passing(now))
    }

    fn passing(&mut self, now: Duration) -> Option<Fault> {
        while self.next_at <= now {
            if self.next_at >= self.era_ends {
                self.era_ends += ERA;
                self.spared =
                    KINDS.into_iter().map(|kind| kind.1).filter(|_| self.dice.below(2) == 0).collect();
            }
            self.next_at += self.dice.time(0..=PAUSE_MS);
            let kind = self.kind();
            if !self.spared.contains(&kind) {
                return Some(self.draw(kind));
            }
        }
        None
    }

    fn kind(&mut self) -> Kind {
        let mut drawn = self.dice.below(KINDS.iter().map(|kind| kind.0).sum());
        for (share, kind) in KINDS {
            match drawn.checked_sub(share) {
                Some(rest) => drawn = rest,
                None => return kind,
            }
        }
        Kind::KillAgents
    }

    fn draw(&mut self, kind: Kind) -> Fault {
        let street = self.dice.place(self.streets);
        match kind {
            Kind::KillAgents => self.kill(Whom::Street(street)),
            Kind::KillServer => self.kill(Whom::Server),
            Kind::StopAgents => Fault::Stop { street },
            Kind::FreezeAgents => {
                Fault::Freeze { whom: Whom::Street(street), lasts: self.dice.time(200..=6_000) }
            }
            Kind::FreezeServer => Fault::Freeze { whom: Whom::Server, lasts: self.dice.time(200..=5_000) },
            Kind::DiskOfAgents => {
                let injection = self.injection(&OF_AGENTS, 1..=12);
                Fault::Disk { whom: Whom::Street(street), injection, lasts: self.dice.time(500..=4_000) }
            }
            Kind::DiskOfServer => {
                let injection = self.injection(&OF_SERVER, 1..=8);
                Fault::Disk { whom: Whom::Server, injection, lasts: self.dice.time(500..=4_000) }
            }
            Kind::Weather => {
                let weather = match self.dice.below(3) {
                    0 => Weather::Slow { delay: self.dice.time(20..=600) },
                    1 => Weather::Narrow { bytes_per_second: self.dice.number(1_000..=20_000) },
                    _ => Weather::Lost,
                };
                Fault::Weather { street, weather, lasts: self.dice.time(1_000..=8_000) }
            }
            Kind::Close => Fault::Close { street },
            Kind::Tear => Fault::Tear { street },
        }
    }

    fn kill(&mut self, whom: Whom) -> Fault {
        let down = self.dice.time(0..=1_500);
        let failures: &[Failure] = match whom {
            Whom::Street(_) => &AT_START_OF_AGENTS,
            Whom::Server => &AT_START_OF_SERVER,
        };
        let fails = self.dice.below(3) == 0;
        let then = fails.then(|| Injection { step: None, ..self.injection(failures, 1..=12) });
        Fault::Kill { whom, down, then }
    }

    fn injection(&mut self, of: &'static [Failure], first: std::ops::RangeInclusive<u32>) -> Injection {
        let failure = self.dice.one(of);
        let first = self.dice.number(first);
        Injection { failure, first, step: Some(self.dice.number(1..=6)) }
    }
}

impl Outages {
    fn new(seed: u64, streets: usize, fills_in: Duration) -> Self {
        // The faults beside it do not depend on how long outages are.
        let mut dice = Dice::new(seed.rotate_left(32));
        let next_at = dice.time(1_000..=3_000);
        Self { dice, streets, fills_in, next_at }
    }

    fn due(&mut self, now: Duration) -> Option<Fault> {
        if now < self.next_at {
            return None;
        }
        let lasts = self.fills_in * self.dice.number(OUTAGE_PERCENT) / 100;
        self.next_at = now + lasts + self.fills_in * self.dice.number(0..=100) / 100;
        Some(Fault::Outage { street: self.dice.place(self.streets), lasts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILLS_IN: Duration = Duration::from_secs(20);

    fn drawn(seed: u64, seconds: u64) -> Vec<Fault> {
        let mut planner = Planner::new(seed, 4, FILLS_IN);
        (0..seconds * 20).filter_map(|step| planner.due(Duration::from_millis(step * 50))).collect()
    }

    #[test]
    fn a_seed_draws_the_same_faults_again_and_another_seed_draws_others() {
        assert_eq!(drawn(7, 100), drawn(7, 100));
        assert_ne!(drawn(7, 100), drawn(8, 100));
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_more_than_one_a_second() {
        // The first era, of many seeds.
        let faults: Vec<Fault> = (0..10).flat_map(|seed| drawn(seed, 60)).collect();
        assert!((800..=1_200).contains(&faults.len()), "{}", faults.len());
        let kinds: [fn(&Fault) -> bool; 10] = [
            |fault| matches!(fault, Fault::Kill { whom: Whom::Street(_), then: None, .. }),
            |fault| matches!(fault, Fault::Kill { whom: Whom::Street(_), then: Some(_), .. }),
            |fault| matches!(fault, Fault::Kill { whom: Whom::Server, .. }),
            |fault| matches!(fault, Fault::Stop { .. }),
            |fault| matches!(fault, Fault::Freeze { whom: Whom::Street(_), .. }),
            |fault| matches!(fault, Fault::Freeze { whom: Whom::Server, .. }),
            |fault| matches!(fault, Fault::Disk { whom: Whom::Street(_), .. }),
            |fault| matches!(fault, Fault::Disk { whom: Whom::Server, .. }),
            |fault| matches!(fault, Fault::Weather { weather: Weather::Lost, .. }),
            |fault| matches!(fault, Fault::Outage { lasts, .. } if *lasts > FILLS_IN),
        ];
        for (place, kind) in kinds.iter().enumerate() {
            assert!(faults.iter().any(kind), "kind {place}");
        }
    }

    #[test]
    fn an_era_is_spared_some_kinds_and_another_one_others() {
        let (mut planner, mut kills) = (Planner::new(3, 4, FILLS_IN), [0; 30]);
        for step in 0..30 * 600 {
            let fault = planner.due(Duration::from_millis(step * 100));
            if matches!(fault, Some(Fault::Kill { whom: Whom::Server, .. })) {
                kills[usize::try_from(step / 600).unwrap()] += 1;
            }
        }
        assert!(kills[0] > 0, "in the first era everything happens");
        let spared = kills.iter().filter(|kills| **kills == 0).count();
        assert!((8..=21).contains(&spared), "{kills:?}");
    }
}
