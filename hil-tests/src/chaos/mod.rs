//! Everything fails at random moments, in real processes over mutual TLS; then it is compared exactly what became of
//! all that was read.
//!
//! The promise under test: *an observation that was read is stored exactly once, or has a verdict that says why not.*
//! The simulation proves it of the parts, millions of times, in a world that it makes up; here are the real kernel,
//! sockets, files and programs, so few times and slowly.
//!
//! - `plan`: what befalls whom and when, drawn from a seed. Pure.
//! - `road`: the network between a street of agents and the server.
//!   Now and then one is cut off for longer than outboxes hold what is read, so that they have to drop some of it.
//! - `disk`: file systems that fail, by strace.
//! - `server`, `street`: the processes, killed, frozen, and started again whenever they end.
//! - `evidence`: what disks, API and world say at the end. `account`: the comparison of it. Pure.
//!
//! Agents follow a clock that stands still while a sensor is read, so that every tick is read, or falls into a stop.
//! At the end the faults stop, agents and server are killed once more, and each agent lives a last life in which it
//! reads nothing and sends what it owes, until the API says of every lamppost that nothing is owed.

mod account;
mod dice;
mod disk;
mod evidence;
mod plan;
mod report;
mod road;
mod server;
mod street;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use edge_agent::clock::{Clock as _, SystemClock};
use lamplighter_protocol::LamppostNumber;

pub use account::Account;
pub use report::{Befell, Report};

use self::dice::Dice;
use self::disk::Saboteur;
use self::evidence::{account_for, judge, owes_nothing};
use self::plan::{Fault, Planner, Whom};
use self::road::{Road, Weather};
use self::server::Server;
use self::street::{Agents, City};
use crate::city::Fidelity;
use crate::city::positions::sample_lampposts;
use crate::fleet::{Binaries, Ending, ServerProcess, monotonic, wait_for};

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChaosOptions {
    /// How long faults befall the fleet.
    pub seconds: u64,
    /// Draws the faults.
    pub seed: u64,
    /// Processes of agents.
    pub streets: u32,
    /// Lampposts of each.
    pub lampposts: u32,
    /// How many times faster than real time; more than 1.
    pub speed: f64,
    /// KiB that an outbox may hold: what the server has said to hold is freed when there is more.
    pub outbox_kib: u32,
}

impl ChaosOptions {
    /// What an outbox may hold by default: what a lamppost reads in some seventy seconds, and the openings of its runs,
    /// which are never freed. It is longer than it takes until a position tells what the server holds; and shorter than
    /// most runs, so that what the server says to hold is freed, and gone if it does not.
    pub fn outbox_kib_at(speed: f64, seconds: u64) -> u32 {
        /// Positions come once a minute.
        const HOLDS_S: f64 = 70.0;
        /// A run in ten seconds takes 200 bytes.
        const SECONDS_PER_KIB: u64 = 40;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let samples = (HOLDS_S * speed * KIB_PER_SECOND) as u32;
        let openings = u32::try_from(seconds / SECONDS_PER_KIB).unwrap_or(u32::MAX);
        samples.saturating_add(openings).max(LEAST_OUTBOX_KIB)
    }

    /// How long it takes to fill an empty outbox.
    fn fills_in(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.outbox_kib) / (self.speed * KIB_PER_SECOND))
    }
}

/// What a lamppost with two sensors at 1 s writes in a second of its time.
const KIB_PER_SECOND: f64 = 0.1;

/// Less than this holds not even two segments.
const LEAST_OUTBOX_KIB: u32 = 24;

/// Each sensor is read once a second, the fastest that a PMS5003 can be.
const EVERY_MS: u32 = 1_000;
/// More observations than a lamppost makes in a second of its time.
const OBSERVATIONS_PER_SECOND: f64 = 8.0;

/// How often is looked after everything.
const LOOKS_EVERY: Duration = Duration::from_millis(30);
const TELLS_EVERY: Duration = Duration::from_secs(10);

/// How long everything may take to come up again, once the faults have stopped.
const RECOVERS_WITHIN: Duration = Duration::from_mins(5);
/// How long all that is owed may take to arrive. An agent that waits for a server tries again within a minute.
const DRAINS_WITHIN: Duration = Duration::from_mins(15);

/// Runs it: everything that is kept lives in `directory`; progress goes to `out`.
///
/// # Errors
/// If the fleet does not run: a process ended by itself, or does not come back, though its disk is well; or what is owed
/// does not arrive. What is missing or wrong is no error, but in the report.
pub fn chaos(
    binaries: &Binaries,
    directory: &Path,
    options: ChaosOptions,
    out: &mut dyn Write,
) -> anyhow::Result<Report> {
    ensure!(options.speed > 1.0, "agents follow a clock that is faster than the machine's");
    let mut field = Field::lay_out(binaries, directory, options)?;
    let mut planner = Planner::new(options.seed, field.streets.len(), options.fills_in());
    let (began, lasts) = (monotonic(), Duration::from_secs(options.seconds));
    let mut tell_at = TELLS_EVERY;
    while began.elapsed() < lasts {
        while let Some(fault) = planner.due(began.elapsed()) {
            field.befall(fault)?;
        }
        field.look_after()?;
        if began.elapsed() >= tell_at {
            tell_at += TELLS_EVERY;
            field.tell(began.elapsed(), out)?;
        }
        std::thread::sleep(LOOKS_EVERY);
    }
    writeln!(out, "the faults stop; what is owed is waited for")?;
    field.conclude()
}

/// The fleet, and what was done to it.
struct Field<'a> {
    city: City<'a>,
    server: Server,
    streets: Vec<Agents>,
    saboteur: Saboteur,
    dice: Dice,
    befell: Befell,
}

impl<'a> Field<'a> {
    /// Starts a server and all agents.
    fn lay_out(binaries: &'a Binaries, directory: &'a Path, options: ChaosOptions) -> anyhow::Result<Self> {
        let ChaosOptions { seconds, seed, streets, lampposts, speed, outbox_kib } = options;
        let saboteur = Saboteur::new(directory.join("strace"))?;
        let in_all = streets * lampposts;
        #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
        let virtual_seconds = seconds as f64 * speed;
        // Nothing may leave the server's memory: what is not served could not be compared.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bound, rounded")]
        let tail = (virtual_seconds * f64::from(in_all) * OBSERVATIONS_PER_SECOND) as u64 + 1_000_000;
        let tail = tail.to_string();
        let server = ServerProcess::start_with(binaries, directory, &["--tail-observations", &tail])?;
        let certificates = server.register(in_all as usize)?;
        // So far in the past that the agents' time does not reach the present.
        #[expect(clippy::cast_possible_truncation, reason = "hours, in ms")]
        let past_ms = (virtual_seconds * 1000.0) as i64 + 6 * 3_600_000;
        let city = City {
            binaries,
            directory,
            certificates,
            lampposts: in_all as usize,
            fidelity: Fidelity::Unbroken { seed },
            every_ms: EVERY_MS,
            speed,
            outbox_kib,
            start: SystemClock::new().now().wall.plus_ms(-past_ms),
            began: monotonic(),
        };
        let mut dice = Dice::new(!seed);
        let numbers: Vec<LamppostNumber> =
            sample_lampposts(in_all).into_iter().map(|lamppost| lamppost.number).collect();
        let streets = numbers.chunks(lampposts as usize).map(|numbers| {
            let road = Road::open(server.mqtt(), dice.below(u64::MAX))?;
            Agents::start(&city, numbers.to_vec(), road)
        });
        let streets = streets.collect::<anyhow::Result<_>>()?;
        Ok(Self { city, server: Server::new(server), streets, saboteur, dice, befell: Befell::default() })
    }

    /// Lets something happen, unless something else is the matter with whom it concerns.
    fn befall(&mut self, fault: Fault) -> anyhow::Result<()> {
        let Self { server, streets, saboteur, dice, befell, .. } = self;
        let (happened, count) = match fault {
            Fault::Kill { whom: Whom::Street(street), down, then } => {
                (streets[street].kill(down, then)?, &mut befell.agents_killed)
            }
            Fault::Kill { whom: Whom::Server, down, then } => {
                (server.kill(down, then)?, &mut befell.server_killed)
            }
            Fault::Stop { street } => (streets[street].stop(), &mut befell.agents_stopped),
            Fault::Freeze { whom: Whom::Street(street), lasts } => {
                (streets[street].freeze(lasts), &mut befell.agents_frozen)
            }
            Fault::Freeze { whom: Whom::Server, lasts } => (server.freeze(lasts), &mut befell.server_frozen),
            Fault::Disk { whom: Whom::Street(street), injection, lasts } => {
                let whose = dice.place(streets[street].numbers.len());
                // Calls that failed are counted by what strace says.
                (streets[street].break_disk(saboteur, injection, lasts, whose)?, &mut befell.agents_disks)
            }
            Fault::Disk { whom: Whom::Server, injection, lasts } => {
                (server.break_disk(saboteur, injection, lasts)?, &mut befell.server_disks)
            }
            Fault::Outage { street, lasts } => (streets[street].cut_off(lasts), &mut befell.outages),
            // What becomes of connections the road counts.
            Fault::Weather { street, weather, lasts } => {
                let count = match weather {
                    Weather::Slow { .. } => &mut befell.slow_roads,
                    Weather::Narrow { .. } => &mut befell.narrow_roads,
                    Weather::Clear | Weather::Lost => &mut befell.lost_roads,
                };
                (streets[street].set_weather(weather, lasts), count)
            }
            Fault::Close { street } => {
                streets[street].road.close_all();
                (true, &mut befell.closings)
            }
            Fault::Tear { street } => {
                streets[street].road.tear_all();
                (true, &mut befell.tearings)
            }
        };
        *count += u64::from(happened);
        Ok(())
    }

    fn look_after(&mut self) -> anyhow::Result<()> {
        self.server.look_after(self.city.binaries, &mut self.saboteur)?;
        let (city, saboteur) = (&self.city, &mut self.saboteur);
        self.streets.iter_mut().try_for_each(|street| street.look_after(city, saboteur))
    }

    fn tell(&self, elapsed: Duration, out: &mut dyn Write) -> anyhow::Result<()> {
        let befell = self.befell_so_far();
        let figures: Vec<_> = self.streets.iter().map(Agents::figures).collect();
        let sum = |name: &str| figures.iter().filter_map(|one| one[name].as_u64()).sum::<u64>();
        let failed: u64 = self.saboteur.injected()?.values().sum();
        writeln!(
            out,
            "{:>5} s  kills {} + {}  connections cut {}  calls failed {failed}  connected {} of {}  waiting {}",
            elapsed.as_secs(),
            befell.agents_killed,
            befell.server_killed,
            befell.closed + befell.torn + befell.lost,
            sum("connected"),
            self.city.lampposts,
            sum("backlog"),
        )?;
        Ok(out.flush()?)
    }

    fn befell_so_far(&self) -> Befell {
        let mut befell = Befell { server_ended: self.server.ended, ..self.befell };
        for street in &self.streets {
            befell.agents_ended += street.ended;
            let counts = street.road.counts();
            befell.connections += counts.carried.load(Relaxed);
            befell.closed += counts.closed.load(Relaxed);
            befell.torn += counts.torn.load(Relaxed);
            befell.lost += counts.lost.load(Relaxed);
            befell.delayed += counts.delayed.load(Relaxed);
            befell.narrowed += counts.narrowed.load(Relaxed);
        }
        befell
    }

    /// The faults stop; all that is owed arrives; everything is accounted for.
    fn conclude(mut self) -> anyhow::Result<Report> {
        self.server.calm();
        self.streets.iter_mut().for_each(Agents::calm);
        let began = monotonic();
        while !(self.server.is_well() && self.streets.iter().all(Agents::is_well)) {
            self.look_after()?;
            ensure!(began.elapsed() < RECOVERS_WITHIN, "not everything comes up again on healthy disks");
            std::thread::sleep(LOOKS_EVERY);
        }
        for street in &mut self.streets {
            street.kill(Duration::ZERO, None)?;
        }
        let befell = self.befell_so_far();
        let server = self.server.restarted()?;
        let (began, said_after) = (monotonic(), SystemClock::new().now().wall);
        for street in &mut self.streets {
            street.only_send(&self.city)?;
        }
        for number in self.streets.iter().flat_map(|street| &street.numbers) {
            wait_for(&format!("all that {number} owes"), DRAINS_WITHIN, || {
                owes_nothing(server.api(), number, said_after).then_some(())
            })?;
        }
        let drained_in = began.elapsed().as_secs_f64();
        self.streets.iter_mut().try_for_each(Agents::end)?;

        let injected = self.saboteur.injected()?;
        let mut account = Account::default();
        for street in &self.streets {
            for number in &street.numbers {
                let of_one = account_for(&self.city, street, number, server.api());
                account.add(of_one.with_context(|| format!("the account of {number}"))?);
            }
        }
        judge(server.api(), &mut account)?;
        server.end(Ending::Stop)?;
        Ok(Report { befell, injected, account, drained_in })
    }
}
