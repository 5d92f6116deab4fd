//! The agents of one process, from their building to their end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use edge_agent::agent::{Agent, AgentError};
use edge_agent::status::Status;
use lamplighter_protocol::LamppostNumber;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::clock::CityClock;
use super::error::CityError;
use super::figures::Figures;
use super::plan::CityPlan;
use super::positions::SampleLamppost;
use super::timestamp;
use super::told::Ear;
use crate::rig::Scene;
use crate::rig::lamppost::{LamppostPlan, RigLamppost};
use crate::rig::serial::SerialInstruments;
use crate::world::Recordings;

/// Agents that are built and do not sample yet.
#[derive(Debug)]
pub struct City {
    agents: Vec<(LamppostNumber, Agent)>,
    clock: CityClock,
    scenes: Vec<(LamppostNumber, Scene)>,
    /// Unplugged when the last agent has ended.
    instruments: SerialInstruments,
}

/// How long virtual time stands still at the end, at most, so that what was read arrives. A window in flight takes a
/// round trip and a sync of the server's journal; ten seconds are many of these.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

/// For so long nothing is in flight before all counts as sent: a session with more to send sends it within a turn.
const QUIET_FOR: Duration = Duration::from_millis(300);

const FIGURES_EVERY: Duration = Duration::from_secs(1);

/// What agents say of themselves.
struct Watched {
    statuses: Vec<Box<dyn Fn() -> Status>>,
    clock: CityClock,
    scenes: Vec<(LamppostNumber, Scene)>,
}

type Running = JoinSet<Ended>;
type Ended = (LamppostNumber, Result<(), AgentError>);

impl City {
    /// Wires the rigs and builds the agents: opens their outboxes, and with them their runs. Blocks meanwhile.
    ///
    /// # Errors
    /// [`CityError`]; nothing samples then. Must be called within a tokio runtime.
    pub fn build(plan: &CityPlan) -> Result<Self, CityError> {
        let lampposts = plan.chosen()?;
        let clock = CityClock::of(plan);
        let recordings = Arc::new(Recordings::built_in());
        let faults = plan.faults();
        let mut instruments = SerialInstruments::start()?;
        let (mut agents, mut scenes) = (Vec::new(), Vec::new());
        for lamppost in &lampposts {
            let world = plan.fidelity.world(&recordings, lamppost);
            let scene = Scene::new(world, faults, lamppost.place, clock.port());
            let agent = build_agent(plan, lamppost, &scene, &mut instruments)?;
            agents.push((lamppost.number.clone(), agent));
            scenes.push((lamppost.number.clone(), scene));
        }
        Ok(Self { agents, clock, scenes, instruments })
    }

    /// Takes what its lampposts are told, before and while they run.
    pub fn ear(&self) -> Ear {
        Ear::of(self.scenes.clone())
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
        let Self { agents, clock, scenes, instruments } = self;
        // Time does not begin before the last agent is there.
        clock.port().enter();
        let (stop_agents, mut running) = (CancellationToken::new(), Running::new());
        let statuses = agents.iter().map(|(_, agent)| Box::new(agent.status()) as Box<dyn Fn() -> Status>);
        let watched = Watched { statuses: statuses.collect(), clock, scenes };
        for (number, agent) in agents {
            let (span, stop) = (tracing::error_span!("lamppost", %number), stop_agents.clone());
            running.spawn(async move { (number, agent.run(stop).await) }.instrument(span));
        }
        // Each agent starts its threads, which follow the clock from then on, in its first turn; and each time that this
        // task yields at least one other has a turn.
        for _ in 0..running.len() {
            tokio::task::yield_now().await;
        }
        watched.clock.port().leave();

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

impl Watched {
    fn figures(&self) -> Figures {
        let now = self.clock.now();
        let mut figures = Figures {
            virtual_time: timestamp::to_the_second(now),
            virtual_time_ms: now.0,
            ..Figures::default()
        };
        for status in &self.statuses {
            figures.add(&status());
        }
        figures.faults = self.scenes.iter().filter(|(_, scene)| scene.is_broken()).count() as u64;
        figures
    }

    /// Stops time and waits until what was read has been sent. An agent without a connection is not waited for.
    async fn drain(&self, running: &mut Running) -> Result<(), CityError> {
        let CityClock::Stepped(clock) = &self.clock else { return Ok(()) };
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

fn build_agent(
    plan: &CityPlan,
    lamppost: &SampleLamppost,
    scene: &Scene,
    instruments: &mut SerialInstruments,
) -> Result<Agent, CityError> {
    let number = &lamppost.number;
    let rig = LamppostPlan {
        number: number.clone(),
        state_dir: plan.state.join(number.as_str()),
        server: plan.server.clone(),
        certificates: plan.certificates.join(number.as_str()),
        every_ms: plan.every_ms,
        outbox: plan.outbox.clone(),
    };
    let missing = [rig.certificate_file(), rig.key_file(), rig.ca_file()];
    if let Some(path) = missing.into_iter().find(|path| !path.is_file()) {
        return Err(CityError::NoCertificate { number: number.clone(), path });
    }
    std::fs::create_dir_all(&rig.state_dir)
        .map_err(|source| CityError::State { path: rig.state_dir.clone(), source })?;
    let RigLamppost { config, opener } = RigLamppost::wire(&rig, scene, instruments)?;
    Agent::build(config, opener, Arc::clone(scene.clock())).map_err(|error| failed(number.clone(), error))
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
