//! The renewal in stepped time: a model of disk and server beside it, and what must hold after every step.

use std::collections::BTreeSet;
use std::time::Duration;

use lamplighter_protocol::UtcMillis;
use proptest::prelude::*;

use crate::clock::{ClockTrust, Now};
use crate::identity::renewal::{Effect, Event, Life, Login, Moment, State, Which};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-01-01T00:00:00Z
const BEGIN: UtcMillis = UtcMillis(1_767_225_600_000);
const LIFE_DAYS: i64 = 90;

/// A lamppost and its server. The disk survives what the lamppost does not.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault that comes and goes by itself")]
struct World {
    wall: UtcMillis,
    trust: ClockTrust,
    /// Time since this life of the agent began.
    monotonic: Duration,
    state: State,
    /// What logins use.
    using: Which,
    is_connected: bool,
    on_disk: (Life, Option<Life>),
    certified: u64,
    /// The last one that was certified and handed out.
    newest: Option<u64>,
    /// Pairs that a login has worked with.
    worked: BTreeSet<u64>,
    refused: BTreeSet<u64>,
    /// The server says nothing to a pair that has ended: it hangs up.
    hangs_up: bool,
    promoted: Vec<UtcMillis>,
    asked: Vec<UtcMillis>,
    is_reachable: bool,
    loses_answers: bool,
    refuses_next: bool,
    /// The power goes before so many more effects are done.
    cut_after: Option<usize>,
}

impl World {
    fn new() -> Self {
        let first = Life { mark: 1 << 40, from: BEGIN, until: BEGIN.plus_ms(LIFE_DAYS * DAY_MS) };
        Self {
            wall: BEGIN,
            trust: ClockTrust::Sure,
            monotonic: Duration::ZERO,
            state: State::None,
            using: Which::Current,
            is_connected: false,
            on_disk: (first, None),
            certified: 0,
            newest: None,
            worked: BTreeSet::from([first.mark]),
            refused: BTreeSet::new(),
            hangs_up: false,
            promoted: Vec::new(),
            asked: Vec::new(),
            is_reachable: true,
            loses_answers: false,
            refuses_next: false,
            cut_after: None,
        }
    }

    fn now(&self) -> Now {
        Now { monotonic: self.monotonic, wall: self.wall, trust: self.trust }
    }

    /// Time passes; the agent looks at its disk, and connects if it is not connected.
    fn step(&mut self, ms: i64) {
        self.wall = self.wall.plus_ms(ms);
        self.monotonic += Duration::from_millis(ms.unsigned_abs());
        let (current, trial) = self.on_disk;
        self.happened(Event::Found { current: Some(current), trial });
        self.log_in();
    }

    fn log_in(&mut self) {
        if self.is_connected && self.is_reachable {
            return;
        }
        let (current, trial) = self.on_disk;
        let (which, life) = match (self.using, trial) {
            (Which::Trial, Some(trial)) => (Which::Trial, trial),
            (Which::Trial | Which::Current, _) => (Which::Current, current),
        };
        let login = if !self.is_reachable {
            Login::Failed
        } else if self.hangs_up && self.wall > life.until {
            Login::HungUp
        } else if self.is_refused(life) {
            Login::Refused
        } else {
            self.worked.insert(life.mark);
            Login::Worked
        };
        self.is_connected = login == Login::Worked;
        self.happened(Event::Login(which, login));
    }

    fn happened(&mut self, event: Event) {
        let random = u32::try_from(self.certified.wrapping_mul(2_654_435_761) % (1 << 32)).unwrap();
        let effects;
        (self.state, effects) = self.state.on(event, Moment { now: self.now(), random });
        for effect in effects {
            if let Some(left) = self.cut_after.as_mut() {
                if *left == 0 {
                    self.cut_after = None;
                    return self.cut();
                }
                *left -= 1;
            }
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ask(which) => {
                let (current, trial) = self.on_disk;
                let is_refused = trial.is_none_or(|trial| self.is_refused(trial));
                assert!(is_refused, "no other pair is asked for while one is untried");
                self.asked.push(self.wall);
                let shown = if which == Which::Trial { trial.expect("there is a trial") } else { current };
                let event = self.certify(shown).map_or(Event::Denied { retry_after: None }, Event::Came);
                self.happened(event);
            }
            Effect::Promote => {
                let trial = self.on_disk.1.take().expect("there is a trial");
                assert!(self.worked.contains(&trial.mark), "the old pair stays until the new one has worked");
                self.on_disk.0 = trial;
                self.promoted.push(self.wall);
            }
            Effect::Discard => {
                let trial = self.on_disk.1.take().expect("there is a trial");
                assert!(self.is_refused(trial));
                assert!(self.is_connected, "the other one has worked since");
            }
            Effect::Use(which) => {
                if self.using != which && which == Which::Trial {
                    self.is_connected = false;
                }
                self.using = which;
            }
        }
    }

    fn is_refused(&self, life: Life) -> bool {
        self.refused.contains(&life.mark) || self.wall > life.until
    }

    /// The server gives another pair for one that it has not revoked; for one that has ended, only if it is the newest that
    /// was handed out.
    fn certify(&mut self, shown: Life) -> Option<Life> {
        let is_newest =
            self.newest.is_none_or(|newest| newest == shown.mark || self.refused.contains(&newest));
        let has_ended = self.wall > shown.until;
        if !self.is_reachable || self.refused.contains(&shown.mark) || (has_ended && !is_newest) {
            return None;
        }
        self.certified += 1;
        let mark = self.certified.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if std::mem::take(&mut self.refuses_next) {
            self.refused.insert(mark);
        }
        if self.loses_answers {
            return None;
        }
        let until = self.wall.plus_ms(LIFE_DAYS * DAY_MS);
        let life = Life { mark, from: self.wall.plus_ms(-HOUR_MS), until };
        self.newest = Some(mark);
        self.on_disk.1 = Some(life);
        Some(life)
    }

    /// The power goes, and comes back: only the disk is as it was.
    fn cut(&mut self) {
        self.state = State::None;
        self.using = if self.on_disk.1.is_some() { Which::Trial } else { Which::Current };
        self.is_connected = false;
        self.monotonic = Duration::ZERO;
        // An agent looks at its disk before it hears of a login.
        let (current, trial) = self.on_disk;
        self.happened(Event::Found { current: Some(current), trial });
    }

    fn run(&mut self, days: i64) {
        (0..days * 12).for_each(|_| self.step(2 * HOUR_MS));
    }
}

#[test]
fn in_a_year_a_certificate_of_90_days_is_renewed_at_two_thirds_of_its_life_give_or_take_a_twentieth() {
    let mut world = World::new();
    world.run(365);
    let gaps: Vec<i64> = std::iter::once(&BEGIN)
        .chain(&world.promoted)
        .zip(&world.promoted)
        .map(|(from, to)| to.since_ms(*from) / DAY_MS)
        .collect();
    assert!((5..=6).contains(&gaps.len()), "{gaps:?}");
    assert!(gaps.iter().all(|days| (55..=65).contains(days)), "{gaps:?}");
    assert_eq!(world.asked.len(), world.promoted.len());
    assert!(world.is_connected);
}

#[test]
fn lampposts_of_one_day_are_renewed_over_a_tenth_of_a_life() {
    let until = BEGIN.plus_ms(300 * DAY_MS);
    let due = |mark| Life { mark, from: BEGIN, until }.due().since_ms(BEGIN) / DAY_MS;
    let all: BTreeSet<i64> = (0..1000_u64).map(|n| due(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    assert!(all.first() >= Some(&185) && all.last() <= Some(&215), "{all:?}");
    assert!(all.len() > 25, "{all:?}");
}

#[test]
fn a_lamppost_that_was_dark_past_the_end_of_its_certificate_comes_back_at_once() {
    let mut world = World::new();
    world.run(50);
    world.cut();
    world.wall = world.wall.plus_ms(60 * DAY_MS);
    world.step(1000);
    assert_eq!((world.asked.len(), world.promoted.len()), (1, 1));
    assert!(world.is_connected);
}

#[test]
fn one_that_does_not_know_the_time_either_asks_once_the_server_refuses_its_certificate() {
    for hangs_up in [false, true] {
        let mut world = World { hangs_up, trust: ClockTrust::Unknown, ..World::new() };
        // The server knows the time; the lamppost's clock shows something.
        world.wall = BEGIN.plus_ms(110 * DAY_MS);
        let (current, trial) = world.on_disk;
        world.happened(Event::Found { current: Some(current), trial });
        assert_eq!(world.asked.len(), 0, "a clock that nobody confirms makes nothing due");
        world.log_in();
        world.step(10_000);
        assert_eq!((world.asked.len(), world.promoted.len()), (1, 1));
        assert!(world.is_connected);
    }
}

#[test]
fn a_new_certificate_that_is_refused_goes_and_the_old_one_serves_on_until_another_comes() {
    let mut world = World::new();
    world.refuses_next = true;
    world.run(70);
    assert_eq!(world.asked.len(), 2);
    assert_eq!(world.promoted.len(), 1);
    assert!(world.asked[1].since_ms(world.asked[0]) >= 60_000);
    assert!(world.is_connected);
}

#[test]
fn one_that_was_dark_for_long_with_an_untried_certificate_comes_back_with_that_whatever_it_knows_of_the_time()
{
    for trust in [ClockTrust::Sure, ClockTrust::Unknown] {
        let mut world = World::new();
        world.run(50);
        while world.on_disk.1.is_none() {
            world.is_reachable = true;
            world.wall = world.wall.plus_ms(HOUR_MS);
            world.monotonic += Duration::from_hours(1);
            let (current, trial) = world.on_disk;
            world.happened(Event::Found { current: Some(current), trial });
        }
        world.cut();
        (world.wall, world.trust) = (world.wall.plus_ms(300 * DAY_MS), trust);
        (0..20).for_each(|_| world.step(60_000));
        assert!(world.is_connected);
        assert_eq!(world.on_disk.1, None);
    }
}

#[test]
fn a_network_that_fails_says_nothing_of_a_new_certificate() {
    let mut world = World::new();
    world.run(50);
    while world.on_disk.1.is_none() {
        // Not connected while it is asked for, so that it is not tried in the same step.
        world.wall = world.wall.plus_ms(HOUR_MS);
        world.monotonic += Duration::from_hours(1);
        let (current, trial) = world.on_disk;
        world.happened(Event::Found { current: Some(current), trial });
    }
    world.is_reachable = false;
    let trial = world.on_disk.1;
    (0..48).for_each(|_| world.step(HOUR_MS / 2));
    assert_eq!(world.on_disk.1, trial);
    world.is_reachable = true;
    (0..48).for_each(|_| world.step(HOUR_MS / 2));
    assert_eq!(Some(world.on_disk.0), trial);
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn waits_grow_to_an_hour_and_a_server_that_asks_for_more_gets_no_more_than_that() {
    let life = Life { mark: 0, from: BEGIN, until: BEGIN.plus_ms(DAY_MS) };
    let mut now = Now { monotonic: Duration::ZERO, wall: life.until, trust: ClockTrust::Sure };
    let mut waits = Vec::new();
    let mut state = State::None;
    for retry_after in [0, 0, 0, 0, 0, 0, 0, 100, 86_400] {
        let at = Moment { now, random: u32::MAX };
        let (asking, effects) = state.on(Event::Found { current: Some(life), trial: None }, at);
        assert_eq!(effects, [Effect::Ask(Which::Current)]);
        let retry_after = Some(Duration::from_secs(retry_after));
        (state, _) = asking.on(Event::Denied { retry_after }, at);
        let wait = state.idle(now).unwrap();
        now.monotonic += wait;
        waits.push(wait.as_secs() / 60);
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60, 60]);
}

#[test]
fn a_certificate_that_somebody_puts_there_by_hand_counts_from_then_on() {
    let mut world = World::new();
    world.run(50);
    let by_hand = Life { mark: 77, from: world.wall, until: world.wall.plus_ms(LIFE_DAYS * DAY_MS) };
    world.on_disk = (by_hand, None);
    world.run(10);
    assert_eq!(world.asked.len(), 0, "it is not due");
    assert_eq!(world.state.current(), Some(by_hand));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Hours(u8),
    Dark { days: u8 },
    Reachable(bool),
    LosesAnswers(bool),
    RefusesNext,
    HangsUp(bool),
    CutAfter(u8),
    Drop,
    KnowsTime(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=240_u8).prop_map(Step::Hours),
        1 => (1..=120_u8).prop_map(|days| Step::Dark { days }),
        1 => any::<bool>().prop_map(Step::Reachable),
        1 => any::<bool>().prop_map(Step::LosesAnswers),
        1 => Just(Step::RefusesNext),
        1 => any::<bool>().prop_map(Step::HangsUp),
        2 => (0..=3_u8).prop_map(Step::CutAfter),
        1 => Just(Step::Drop),
        1 => any::<bool>().prop_map(Step::KnowsTime),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens, the pair before stays until the next has worked (checked in `perform`), and once the faults end the
    /// lamppost is connected, with a certificate that is good and not due.
    #[test]
    fn whatever_happens_a_lamppost_keeps_a_pair_and_comes_back(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Hours(hours) => (0..hours).for_each(|_| world.step(HOUR_MS)),
                Step::Dark { days } => {
                    world.wall = world.wall.plus_ms(i64::from(days) * DAY_MS);
                    world.cut();
                }
                Step::Reachable(is_reachable) => world.is_reachable = is_reachable,
                Step::LosesAnswers(loses) => world.loses_answers = loses,
                Step::RefusesNext => world.refuses_next = true,
                Step::HangsUp(hangs_up) => world.hangs_up = hangs_up,
                Step::CutAfter(effects) => world.cut_after = Some(effects.into()),
                Step::Drop => world.is_connected = false,
                Step::KnowsTime(true) => world.trust = ClockTrust::Sure,
                Step::KnowsTime(false) => world.trust = ClockTrust::Unknown,
            }
        }
        world.is_reachable = true;
        world.loses_answers = false;
        world.refuses_next = false;
        world.cut_after = None;
        world.trust = ClockTrust::Sure;
        world.run(3);
        prop_assert!(world.is_connected);
        prop_assert_eq!(world.using, Which::Current);
        prop_assert_eq!(world.on_disk.1, None);
        prop_assert!(world.wall < world.on_disk.0.due());
        prop_assert_eq!(world.state.current().map(|life| life.mark), Some(world.on_disk.0.mark));
    }
}
