//! The agents of one process, from their building to their end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use edge_agent::agent::{Agent, AgentError};
use edge_agent::clock::Clock;
use edge_agent::status::Status;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::figures::Figures;
use super::positions::{MOST_LAMPPOSTS, SampleLamppost, sample_lampposts};
use super::timestamp;
use crate::rig::Scene;
use crate::rig::clock::{RealClock, SteppedClock};
use crate::rig::lamppost::{LamppostPlan, RigLamppost, ServerAddress};
use crate::rig::serial::{SerialInstruments, SerialRigError};
use crate::world::faults::{FaultKinds, Faults};
use crate::world::{Recordings, Site, Variation, World};

/// What a city is to be.
#[derive(Clone, Debug)]
pub struct CityPlan {
    /// The folder in which each agent has one, named by its number.
    pub state: PathBuf,
    /// Where the gateway is.
    pub server: ServerAddress,
    /// The folder with a folder of certificates for each lamppost, named by its number.
    pub certificates: PathBuf,
    /// How many lampposts the city has.
    pub lampposts: u32,
    /// The one of them that this process runs; none: all.
    pub only: Option<LamppostNumber>,
    /// How many times faster than real time.
    pub speed: f64,
    /// When virtual time begins; none: a day ago. At speed 1 time is the machine's.
    pub begin: Option<UtcMillis>,
    /// How true to the recordings it is.
    pub fidelity: Fidelity,
    /// Milliseconds from reading to reading of each sensor.
    pub every_ms: u32,
}

/// How true to the recordings a city is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// All lampposts see the recordings as they are, at one height, and nothing breaks.
    Exact,
    /// They differ a little, and now and then an instrument breaks.
    Natural {
        /// The same seed is the same city.
        seed: u64,
    },
}

/// Agents that are built and do not sample yet.
#[derive(Debug)]
pub struct City {
    agents: Vec<(LamppostNumber, Agent)>,
    time: CityTime,
    faults: Faults,
    places: Vec<u32>,
    /// Unplugged when the last agent has ended.
    instruments: SerialInstruments,
}

/// Why a city cannot be built, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum CityError {
    /// The number that was asked for is not in the city.
    #[error("{number} is not among the {lampposts} lampposts of this city; `list` prints them")]
    NoSuchLamppost {
        /// What was asked for.
        number: LamppostNumber,
        /// How many there are.
        lampposts: u32,
    },
    /// More than there are samples for, or none.
    #[error("a city has from 1 to {MOST_LAMPPOSTS} lampposts, not {0}")]
    Size(u32),
    /// A lamppost has no certificate.
    #[error("{} is missing: issue it with `fleet-server cert issue {number}`", path.display())]
    NoCertificate {
        /// Whose.
        number: LamppostNumber,
        /// Where it should be.
        path: PathBuf,
    },
    /// A folder of state cannot be made.
    #[error("cannot make the folder {}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A serial instrument cannot be plugged in.
    #[error("a rig cannot be wired")]
    Rig(#[from] SerialRigError),
    /// An agent cannot be built, or ended by itself.
    #[error("the agent of {number} ended")]
    Agent {
        /// Whose.
        number: LamppostNumber,
        /// Why.
        source: Box<AgentError>,
    },
    /// An agent panicked.
    #[error("an agent panicked")]
    Panicked,
    /// Nobody takes the figures any more.
    #[error("the figures cannot be written")]
    Figures(#[source] io::Error),
}

/// How long virtual time stands still at the end, at most, so that what was read arrives. A window in flight takes a
/// round trip and a sync of the server's journal; ten seconds are many of these.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

/// For so long nothing is in flight before all counts as sent: a session with more to send sends it within a turn.
const QUIET_FOR: Duration = Duration::from_millis(300);

const FIGURES_EVERY: Duration = Duration::from_secs(1);
const DAY_MS: i64 = 86_400_000;

/// The time that all agents of the process follow.
#[derive(Clone, Debug)]
enum CityTime {
    Real(Arc<RealClock>),
    Stepped(Arc<SteppedClock>),
}

/// What agents say of themselves.
struct Watched {
    statuses: Vec<Box<dyn Fn() -> Status>>,
    time: CityTime,
    faults: Faults,
    places: Vec<u32>,
}

type Running = JoinSet<Ended>;
type Ended = (LamppostNumber, Result<(), AgentError>);

impl City {
    /// Wires the rigs and builds the agents: opens their outboxes, and with them their runs. Blocks meanwhile.
    ///
    /// # Errors
    /// [`CityError`]; nothing samples then. Must be called within a tokio runtime.
    pub fn build(plan: &CityPlan) -> Result<Self, CityError> {
        let lampposts = chosen(plan)?;
        let time = CityTime::of(plan);
        let recordings = Arc::new(Recordings::built_in());
        let faults = plan.faults();
        let mut instruments = SerialInstruments::start()?;
        let mut agents = Vec::with_capacity(lampposts.len());
        for lamppost in &lampposts {
            let scene = Scene {
                world: plan.fidelity.world(&recordings, lamppost),
                faults,
                lamppost: lamppost.place,
                clock: time.clock(),
            };
            let agent = plan.build_agent(lamppost, &scene, &mut instruments)?;
            agents.push((lamppost.number.clone(), agent));
        }
        let places = lampposts.iter().map(|lamppost| lamppost.place).collect();
        Ok(Self { agents, time, faults, places, instruments })
    }

    /// Runs the agents until `stop`, and hands over figures once a second and at the end. Then time stands still until
    /// what was read has been sent (a while at most, and not at speed 1), and the agents are stopped. What could not
    /// be sent stays in their outboxes.
    ///
    /// # Errors
    /// [`CityError`]: an agent ended by itself, or the figures were not taken; all others were stopped.
    pub async fn run(
        self,
        stop: CancellationToken,
        mut figures: impl FnMut(&Figures) -> io::Result<()>,
    ) -> Result<(), CityError> {
        let Self { agents, time, faults, places, instruments } = self;
        let clock = time.clock();
        // Time does not begin before the last agent is there.
        clock.enter();
        let (stop_agents, mut running) = (CancellationToken::new(), Running::new());
        let statuses = agents.iter().map(|(_, agent)| Box::new(agent.status()) as Box<dyn Fn() -> Status>);
        let watched = Watched { statuses: statuses.collect(), time, faults, places };
        for (number, agent) in agents {
            let (span, stop) = (tracing::error_span!("lamppost", %number), stop_agents.clone());
            running.spawn(async move { (number, agent.run(stop).await) }.instrument(span));
        }
        // Each agent starts its threads, which follow the clock from then on, in its first turn; and each time that this
        // task yields at least one other has a turn.
        for _ in 0..running.len() {
            tokio::task::yield_now().await;
        }
        clock.leave();

        let mut each_second = tokio::time::interval(FIGURES_EVERY);
        each_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let outcome = loop {
            tokio::select! {
                () = stop.cancelled() => break Ok(()),
                ended = running.join_next() => break Err(ended_early(ended)),
                _ = each_second.tick() => {
                    if let Err(error) = figures(&watched.figures()) {
                        break Err(CityError::Figures(error));
                    }
                }
            }
        };
        let outcome = match outcome {
            Ok(()) => watched.drain(&mut running).await,
            Err(error) => Err(error),
        };
        stop_agents.cancel();
        let stopped = all_end(&mut running).await;
        drop(instruments);
        outcome.and(stopped)?;
        figures(&watched.figures()).map_err(CityError::Figures)
    }
}

impl CityPlan {
    fn faults(&self) -> Faults {
        let kinds = if self.runs_in_real_time() { FaultKinds::All } else { FaultKinds::Prompt };
        match self.fidelity {
            Fidelity::Exact => Faults::None,
            Fidelity::Natural { seed } => Faults::NowAndThen { seed, kinds },
        }
    }

    fn runs_in_real_time(&self) -> bool {
        self.speed <= 1.0
    }

    fn build_agent(
        &self,
        lamppost: &SampleLamppost,
        scene: &Scene,
        instruments: &mut SerialInstruments,
    ) -> Result<Agent, CityError> {
        let number = &lamppost.number;
        let plan = LamppostPlan {
            number: number.clone(),
            state_dir: self.state.join(number.as_str()),
            server: self.server.clone(),
            certificates: self.certificates.join(number.as_str()),
            every_ms: self.every_ms,
        };
        let missing = [plan.certificate_file(), plan.key_file(), plan.ca_file()];
        if let Some(path) = missing.into_iter().find(|path| !path.is_file()) {
            return Err(CityError::NoCertificate { number: number.clone(), path });
        }
        std::fs::create_dir_all(&plan.state_dir)
            .map_err(|source| CityError::State { path: plan.state_dir.clone(), source })?;
        let RigLamppost { config, opener } = RigLamppost::wire(&plan, scene, instruments)?;
        Agent::build(config, opener, Arc::clone(&scene.clock)).map_err(|error| failed(number.clone(), error))
    }
}

impl Fidelity {
    /// The world around a lamppost of such a city.
    pub fn world(self, recordings: &Arc<Recordings>, lamppost: &SampleLamppost) -> World {
        let (site, variation) = match self {
            Self::Exact => (Site::STREET, Variation::None),
            Self::Natural { seed } => {
                (lamppost.site(), Variation::Natural { seed, lamppost: lamppost.place })
            }
        };
        World::new(Arc::clone(recordings), site, variation)
    }
}

impl CityTime {
    fn of(plan: &CityPlan) -> Self {
        let real = RealClock::default();
        if plan.runs_in_real_time() {
            return Self::Real(Arc::new(real));
        }
        let begin = plan.begin.unwrap_or_else(|| real.now().wall.plus_ms(-DAY_MS));
        Self::Stepped(Arc::new(SteppedClock::new(begin, plan.speed)))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Real(clock) => Arc::clone(clock) as Arc<dyn Clock>,
            Self::Stepped(clock) => Arc::clone(clock) as Arc<dyn Clock>,
        }
    }

    fn now(&self) -> UtcMillis {
        self.clock().now().wall
    }
}

impl Watched {
    fn figures(&self) -> Figures {
        let now = self.time.now();
        let mut figures = Figures {
            virtual_time: timestamp::to_the_second(now),
            virtual_time_ms: now.0,
            ..Figures::default()
        };
        for status in &self.statuses {
            figures.add(&status());
        }
        figures.faults =
            self.places.iter().filter(|place| self.faults.at(**place, now).is_some()).count() as u64;
        figures
    }

    /// Stops time and waits until what was read has been sent. An agent without a connection is not waited for.
    async fn drain(&self, running: &mut Running) -> Result<(), CityError> {
        let CityTime::Stepped(clock) = &self.time else { return Ok(()) };
        clock.freeze();
        let quiet = async {
            let mut quiet = Duration::ZERO;
            let pause = QUIET_FOR / 6;
            while quiet < QUIET_FOR {
                tokio::time::sleep(pause).await;
                quiet = if self.is_sending() { Duration::ZERO } else { quiet + pause };
            }
        };
        tokio::select! {
            drained = tokio::time::timeout(DRAINS_WITHIN, quiet) => {
                if drained.is_err() {
                    tracing::warn!("not all that was read was sent in time; it stays in the outboxes");
                }
                Ok(())
            }
            ended = running.join_next() => Err(ended_early(ended)),
        }
    }

    fn is_sending(&self) -> bool {
        self.statuses.iter().any(|status| {
            let connection = status().connection;
            connection.connected && connection.in_flight_records > 0
        })
    }
}

fn chosen(plan: &CityPlan) -> Result<Vec<SampleLamppost>, CityError> {
    if !(1..=MOST_LAMPPOSTS).contains(&plan.lampposts) {
        return Err(CityError::Size(plan.lampposts));
    }
    let mut lampposts = sample_lampposts(plan.lampposts);
    if let Some(only) = &plan.only {
        lampposts.retain(|lamppost| lamppost.number == *only);
        if lampposts.is_empty() {
            return Err(CityError::NoSuchLamppost { number: only.clone(), lampposts: plan.lampposts });
        }
    }
    Ok(lampposts)
}

/// Waits for every agent; says how the first of those ended that did not end well.
async fn all_end(running: &mut Running) -> Result<(), CityError> {
    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = match ended {
            Ok((number, result)) => result.map_err(|error| failed(number, error)),
            Err(_) => Err(CityError::Panicked),
        };
        outcome = outcome.and(ended);
    }
    outcome
}

/// Nobody has told it to.
fn ended_early(ended: Option<Result<Ended, JoinError>>) -> CityError {
    match ended {
        Some(Ok((number, Err(error)))) => failed(number, error),
        Some(Ok((_, Ok(()))) | Err(_)) | None => CityError::Panicked,
    }
}

fn failed(number: LamppostNumber, error: AgentError) -> CityError {
    CityError::Agent { number, source: Box::new(error) }
}
