//! One street under chaos: a process of a few agents, their road to the server, and every life that the process had.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::account::Life;
use super::disk::{Burst, Saboteur, last_segments};
use super::plan::Injection;
use super::road::{Road, Weather};
use super::server::{RESTARTS_AFTER, Trouble, end_trouble};
use crate::city::{Fidelity, Who};
use crate::fleet::{Binaries, Certificates, Ending, Street, StreetProcess, monotonic};

/// What all streets have in common.
#[derive(Debug)]
pub(super) struct City<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) directory: &'a Path,
    pub(super) certificates: Certificates,
    pub(super) lampposts: usize,
    pub(super) fidelity: Fidelity,
    pub(super) every_ms: u32,
    pub(super) speed: f64,
    pub(super) outbox_kib: u32,
    /// When time began for the agents, and for us.
    pub(super) start: UtcMillis,
    pub(super) began: Instant,
}

/// The agents of a street.
#[derive(Debug)]
pub(super) struct Agents {
    pub(super) numbers: Vec<LamppostNumber>,
    pub(super) road: Road,
    clear_at: Option<Instant>,
    /// Whether the road is lost until then, whatever weather there would be.
    cut_off: bool,
    pub(super) lives: Vec<Life>,
    state: State,
    /// Whether something was done to them in this life of which they may end.
    touched: bool,
    /// How often the process ended by itself.
    pub(super) ended: u64,
}

#[derive(Debug)]
enum State {
    Up(StreetProcess, Trouble),
    Down { until: Instant, then: Option<Injection> },
}

/// So many of the last runs of an outbox are hard to read when its disk is: those whose ends the next opening states.
const RUNS_HARD_TO_READ: usize = 3;

impl City<'_> {
    /// What time it is for agents that were never stopped. Those that were are behind it.
    pub(super) fn now(&self) -> UtcMillis {
        #[expect(clippy::cast_possible_truncation, reason = "hours, in ms")]
        let passed = (self.began.elapsed().as_secs_f64() * self.speed * 1000.0) as i64;
        self.start.plus_ms(passed)
    }

    fn street(&self, numbers: &[LamppostNumber], start: UtcMillis) -> Street {
        Street {
            lampposts: self.lampposts,
            speed: self.speed,
            start,
            fidelity: self.fidelity,
            every_ms: self.every_ms,
            who: Who::Only(numbers.to_vec()),
            told: false,
        }
    }

    fn outbox(&self, number: &LamppostNumber) -> PathBuf {
        StreetProcess::state(self.directory).join(number.as_str()).join("outbox")
    }
}

impl Agents {
    /// Starts them for the first time, on a healthy disk.
    pub(super) fn start(city: &City<'_>, numbers: Vec<LamppostNumber>, road: Road) -> anyhow::Result<Self> {
        let state = State::Down { until: monotonic(), then: None };
        let (lives, clear_at) = (Vec::new(), None);
        let mut agents =
            Self { numbers, road, clear_at, cut_off: false, lives, state, touched: false, ended: 0 };
        agents.begin(city, city.binaries, &city.street(&agents.numbers, city.now()))?;
        Ok(agents)
    }

    /// Kills them, if they run and nothing is the matter with them; says whether.
    pub(super) fn kill(&mut self, down: Duration, then: Option<Injection>) -> anyhow::Result<bool> {
        let State::Up(_, Trouble::None) = &self.state else { return Ok(false) };
        let down = State::Down { until: monotonic() + down, then };
        if let State::Up(process, _) = std::mem::replace(&mut self.state, down) {
            self.note(&process);
            process.end(Ending::Kill)?;
        }
        Ok(true)
    }

    /// Tells them to stop, if they run and nothing is the matter with them; says whether.
    pub(super) fn stop(&mut self) -> bool {
        let State::Up(process, Trouble::None) = &self.state else { return false };
        process.tell_to_stop();
        self.touched = true;
        true
    }

    /// Stops their time, if they run and nothing is the matter with them; says whether.
    pub(super) fn freeze(&mut self, lasts: Duration) -> bool {
        let State::Up(process, trouble @ Trouble::None) = &mut self.state else { return false };
        process.freeze();
        *trouble = Trouble::Frozen { until: monotonic() + lasts };
        true
    }

    /// Has the disk of one of their outboxes fail, if they run and nothing is the matter with them; says whether.
    pub(super) fn break_disk(
        &mut self,
        saboteur: &mut Saboteur,
        injection: Injection,
        lasts: Duration,
        whose: usize,
    ) -> anyhow::Result<bool> {
        let State::Up(process, trouble @ Trouble::None) = &mut self.state else { return Ok(false) };
        let attached: Option<Burst> = saboteur.attach(process.id(), "outbox", injection, "agents", whose)?;
        let Some(burst) = attached else { return Ok(false) };
        *trouble = Trouble::Disk { burst, until: monotonic() + lasts };
        self.touched = true;
        Ok(true)
    }

    /// The road is so for a while, if it leads anywhere; says whether.
    pub(super) fn set_weather(&mut self, weather: Weather, lasts: Duration) -> bool {
        if !self.cut_off {
            self.road.set(weather);
            self.clear_at = Some(monotonic() + lasts);
        }
        !self.cut_off
    }

    /// Nothing comes through for a long while, unless that is so already; says whether.
    pub(super) fn cut_off(&mut self, lasts: Duration) -> bool {
        let is_new = self.set_weather(Weather::Lost, lasts);
        self.cut_off = true;
        is_new
    }

    fn clear(&mut self) {
        (self.clear_at, self.cut_off) = (None, false);
        self.road.set(Weather::Clear);
    }

    /// Does what is due: clears the road, ends troubles, starts them again.
    ///
    /// # Errors
    /// If they ended by themselves though nothing was done to them.
    pub(super) fn look_after(&mut self, city: &City<'_>, saboteur: &mut Saboteur) -> anyhow::Result<()> {
        let now = monotonic();
        if self.clear_at.is_some_and(|at| at <= now) {
            self.clear();
        }
        match &mut self.state {
            State::Up(process, trouble) => {
                end_trouble(trouble, now, || process.thaw())?;
                let has_ended = process.has_ended();
                if let (Some(life), Some(seen)) = (self.lives.last_mut(), time_of(process)) {
                    life.seen = Some(seen);
                }
                if has_ended {
                    let who = || format!("the agents of {:?} ended by themselves", self.numbers);
                    ensure!(self.touched, "{}, though nothing was done to them", who());
                    self.ended += 1;
                    self.state = State::Down { until: now + RESTARTS_AFTER, then: None };
                }
            }
            State::Down { until, then } if *until <= now => {
                let then = *then;
                let recovered: Vec<PathBuf> = self
                    .numbers
                    .iter()
                    .flat_map(|number| last_segments(&city.outbox(number), RUNS_HARD_TO_READ))
                    .collect();
                let under = then.map(|injection| saboteur.start_under(injection, "agents", &recovered));
                let binaries = city.binaries.under(under.unwrap_or_default());
                self.begin(city, &binaries, &city.street(&self.numbers, city.now()))?;
                self.touched = then.is_some();
            }
            State::Down { .. } => {}
        }
        Ok(())
    }

    /// The road is clear, and whatever is the matter with them is over at the next look.
    pub(super) fn calm(&mut self) {
        self.clear();
        match &mut self.state {
            State::Up(_, Trouble::Frozen { until } | Trouble::Disk { until, .. }) => *until = monotonic(),
            State::Down { until, then } => (*until, *then) = (monotonic(), None),
            State::Up(_, Trouble::None) => {}
        }
    }

    /// Whether they run and nothing is the matter with them.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.state, State::Up(_, Trouble::None))
    }

    /// A last life in which nothing is read: the grids have no tick within the hour. So what is owed comes to an end.
    pub(super) fn only_send(&mut self, city: &City<'_>) -> anyhow::Result<()> {
        const HOUR_MS: i64 = 3_600_000;
        let past_the_hour = UtcMillis((city.now().0.div_euclid(HOUR_MS) + 1) * HOUR_MS + 1_000);
        let street = Street {
            every_ms: 3_600_000,
            // At 1 time would be the machine's.
            speed: 1.001,
            ..city.street(&self.numbers, past_the_hour)
        };
        self.begin(city, city.binaries, &street)
    }

    /// Ends them in peace.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        let down = State::Down { until: monotonic(), then: None };
        match std::mem::replace(&mut self.state, down) {
            State::Up(process, _) => process.end(Ending::Stop),
            State::Down { .. } => Ok(()),
        }
    }

    /// What the process last said of itself.
    pub(super) fn figures(&self) -> serde_json::Value {
        match &self.state {
            State::Up(process, _) => process.figures(),
            State::Down { .. } => serde_json::Value::Null,
        }
    }

    fn begin(&mut self, city: &City<'_>, binaries: &Binaries, street: &Street) -> anyhow::Result<()> {
        self.lives.push(Life { began: street.start, seen: None });
        let (gateway, certificates) = (self.road.address(), &city.certificates);
        let process = StreetProcess::start_through(
            binaries,
            gateway,
            certificates,
            city.directory,
            street,
            &["--outbox-kib", &city.outbox_kib.to_string()],
        )
        .context("agents cannot be started")?;
        self.state = State::Up(process, Trouble::None);
        Ok(())
    }

    /// Notes at what time they are known to have lived.
    fn note(&mut self, process: &StreetProcess) {
        if let (Some(life), Some(seen)) = (self.lives.last_mut(), time_of(process)) {
            life.seen = Some(seen);
        }
    }
}

fn time_of(process: &StreetProcess) -> Option<UtcMillis> {
    process.figures()["virtual_time_ms"].as_i64().map(UtcMillis)
}
