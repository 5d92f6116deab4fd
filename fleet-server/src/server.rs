//! The server, put together: what it is built of, how it runs, how it stops.

mod authority;
mod clock_watch;
mod departments;
mod feeding;
mod keeper;
mod options;
mod revocations;
mod start;
mod threads;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use lamplighter_protocol::{Catalogue, ImplausibleTime, UtcMillis};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as MetricRegistry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ca::{Present, record_certificates, server_tls};
use crate::checkpoint::{BackupLock, Cadence, CheckpointMetrics, Checkpoints, Fresh, SealingRules};
use crate::cli::RunArgs;
use crate::clock;
use crate::commands::Commands;
use crate::est::EstMetrics;
use crate::feeds::FeedMetrics;
use crate::gateway::{Gateway, GatewayMetrics, GatewayOptions, Probe, Sessions};
use crate::ingest::{Ingest, IngestMetrics};
use crate::journal::{Journal, JournalHandle, JournalHealth, JournalMetrics, JournalOptions};
use crate::live::{LiveHub, LiveMetrics, LiveOptions};
use crate::registry::{Registry, RegistryAdmission};
use crate::roll::{Roll, Sources, StatePublisher, Watcher};
use crate::store::{StoreMetrics, Tail, TailOptions};
use crate::web::{
    self, AccessToken, Basemap, Console, Figures, PeopleListener, Phase, Readiness, WebLimits, WebMetrics,
    WebState,
};

use authority::AuthorityWatch;
use clock_watch::ClockWatch;
use feeding::Feeding;
use keeper::Keeper;
#[cfg(test)]
pub(crate) use keeper::refusal_entry;
use options::{entrance, gateway_options, limits, make_private, open_ca, tail_options};
use start::Rebuild;
use threads::{Threads, Work};

/// How often the store's size, the journal's health and the clock are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A server whose directory and listeners are its own, and that has not read its journal yet.
#[derive(Debug)]
pub struct Server {
    journal: Journal,
    checkpoints: Checkpoints,
    rules: SealingRules,
    fresh: Fresh,
    ingest: Arc<RwLock<Ingest>>,
    store: Arc<RwLock<Tail>>,
    live: LiveHub,
    registry: Registry,
    sessions: Sessions,
    roll: Roll,
    gateway: GatewayOptions,
    tls: Present<rustls::ServerConfig>,
    authority: AuthorityWatch,
    lampposts: TcpListener,
    people: PeopleListener,
    phase: watch::Sender<Phase>,
    web: WebState,
    metrics: Metrics,
}

/// What the rooms count.
#[derive(Clone, Debug, Default)]
struct Metrics {
    /// Whether the clock shows a time that cannot be right.
    clock_wrong: Gauge,
    gateway: GatewayMetrics,
    est: EstMetrics,
    feeds: FeedMetrics,
    journal: JournalMetrics,
    checkpoint: CheckpointMetrics,
    ingest: IngestMetrics,
    store: StoreMetrics,
    live: LiveMetrics,
    web: WebMetrics,
}

impl Server {
    /// Looks at the basemap, then takes the data directory, the CA (made at the first start, and said so), the registry and both ports. What
    /// people need to know is written to `out`.
    ///
    /// # Errors
    /// Whatever of these cannot be had, and what to do about it.
    pub async fn build(args: &RunArgs, out: &mut dyn Write) -> anyhow::Result<Self> {
        let now = clock::wall();
        let (metrics, limits) = (Metrics::default(), limits(args)?);
        let attribution = || args.basemap_attribution.clone();
        let basemap = args.basemap.clone().map(|file| Basemap::open(file, attribution())).transpose()?;
        make_private(&args.data)
            .with_context(|| format!("cannot use the data directory {}", args.data.display()))?;
        let mut journal_options = JournalOptions::in_directory(args.data.join(Journal::DIRECTORY_NAME));
        journal_options.metrics = metrics.journal.clone();
        journal_options.low_water = args.low_water.unwrap_or_default();
        // The journal's lock is the server's: two servers never share a data directory.
        let journal = tokio::task::spawn_blocking(|| Journal::open(journal_options)).await??;
        let checkpoints = Checkpoints::in_directory(&args.data.join(Checkpoints::DIRECTORY_NAME))?;
        let cadence = Cadence::default();
        let rules = SealingRules {
            backup: BackupLock::of(&args.data),
            cadence: Cadence {
                every: args.checkpoint_every.map_or(cadence.every, Duration::from_secs),
                ..cadence
            },
            keep: args.journal_keep.unwrap_or_default(),
        };

        let (authority, certificate) = open_ca(args, now, out)?;
        let tls = Present::from(server_tls(&authority, &certificate)?);
        let registry = Registry::open(&args.data.join(Registry::FILE_NAME)).await?;
        record_certificates(&registry, &authority, &certificate, now).await?;
        let authority = Present::from(Arc::new(authority));
        let gateway = gateway_options(args, limits, &registry, authority.clone(), &metrics);

        let (lampposts, people) = (listen(args.mqtt).await?, web::bind(args.http).await?);
        let token = AccessToken::generate()?;
        let lampposts_at = lampposts.local_addr()?;
        writeln!(out, "lampposts  mqtts://{lampposts_at}")?;
        writeln!(out, "people     {}", token.login_link(people.local_addr()))?;
        out.flush()?;

        let tail = tail_options(args);
        let fresh = Fresh { catalogue: Catalogue::built_in(), metrics: metrics.ingest.clone(), tail };
        let (ingest, store) = fresh.build();
        let (ingest, store) = (Arc::new(RwLock::new(ingest)), Arc::new(RwLock::new(store)));
        let live = LiveHub::new(LiveOptions::default(), metrics.live.clone())?;
        let sessions = Sessions::default();
        let authority_watch = AuthorityWatch::new(
            args,
            (authority.clone(), certificate, tls.clone()),
            registry.clone(),
            sessions.clone(),
        );
        let roll = Roll::new(Sources {
            sessions: sessions.clone(),
            ingest: Arc::clone(&ingest),
            store: Arc::clone(&store),
            lag: metrics.journal.lag.clone(),
        });
        let (phase, readiness) = Readiness::new();
        let web = WebState {
            store: Arc::clone(&store),
            live: live.clone(),
            registry: registry.clone(),
            sessions: sessions.clone(),
            refusals: gateway.refusals.clone(),
            entrance: entrance(args, lampposts_at, authority),
            roll: roll.clone(),
            commands: Commands::new(registry.clone(), sessions.clone(), Arc::clone(&ingest)),
            readiness,
            probe: Probe::new(metrics.ingest.probes.clone()),
            console: Console::built_in(),
            basemap,
            token,
            lifelines: Arc::clone(&ingest) as _,
            catalogue: Arc::new(Catalogue::built_in()),
            prometheus: Arc::new(metrics.registry()),
            metrics: metrics.web.clone(),
            figures: metrics.figures(now, gateway.limits.connections, tail),
            limits: WebLimits::default(),
            stop: CancellationToken::new(),
        };
        Ok(Self {
            journal,
            checkpoints,
            rules,
            fresh,
            ingest,
            store,
            live,
            registry,
            sessions,
            roll,
            gateway,
            tls,
            authority: authority_watch,
            lampposts,
            people,
            phase,
            web,
            metrics,
        })
    }

    /// Where lampposts and people connect.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.lampposts.local_addr()?, self.people.local_addr()))
    }

    /// Reads the newest checkpoint and the journal behind it, then serves until `stop`: first no new bytes are taken,
    /// then what is committed is ingested and sealed, then people are let go.
    ///
    /// # Errors
    /// If the journal cannot be read, or a part ends by itself.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self {
            journal,
            checkpoints,
            rules,
            fresh,
            ingest,
            store,
            live,
            registry,
            sessions,
            roll,
            gateway: mut options,
            tls,
            authority,
            lampposts,
            people,
            phase,
            web,
            metrics,
        } = self;
        let mut clock_watch = ClockWatch::new(metrics.clock_wrong.clone());
        // Said before the journal is read, which may take a while. That the server is starting is all that is asked then.
        clock_watch.look(clock::wall()).ok();
        let (feeds, directory) = feeding::open(&mut options, &metrics.feeds);
        let mut keeper = Keeper::begin(&registry, &sessions, options.refusals.clone(), directory).await;
        keeper.keep(|stop| authority.run(stop));
        let (stop_web, commands, probe) = (web.stop.clone(), web.commands.clone(), web.probe.clone());
        let mut serving = JoinSet::new();
        serving.spawn(web::serve(people, web));

        let start = Rebuild {
            journal,
            checkpoints,
            fresh,
            ingest: Arc::clone(&ingest),
            store: Arc::clone(&store),
            phase: phase.clone(),
            store_metrics: metrics.store.clone(),
            checkpoint_metrics: metrics.checkpoint.clone(),
        }
        .start()?;
        let rebuilt = tokio::select! {
            rebuilt = start => rebuilt.context("the replay thread panicked")??,
            () = stop.cancelled() => {
                end(&stop_web, &mut serving).await;
                keeper.end(None).await;
                return Ok(());
            }
        };
        commands.load().await?;
        let work = Work {
            ingest,
            store: Arc::clone(&store),
            live: live.clone(),
            sessions: sessions.clone(),
            commands,
            rules,
            metrics: metrics.clone(),
        };
        let (journal, threads) = Threads::start(rebuilt, work)?;

        let gateway = Gateway::new(
            lampposts,
            options,
            tls,
            journal.clone(),
            Arc::new(RegistryAdmission::new(registry.clone())),
            sessions,
            metrics.gateway.clone(),
        )?;
        probe.attach(&gateway);
        // The roll is whole before anybody may read it.
        let watcher = Watcher::new(roll.clone(), registry.clone(), telling(&live)).look().await?;
        let mut feeding = Feeding::begin(&feeds, &live, roll, store.clone());
        phase.send_replace(Phase::Ready);
        tracing::info!("ready");

        let (stop_gateway, stop_watcher) = (CancellationToken::new(), CancellationToken::new());
        let (mut gateway_task, mut watcher_task) = (JoinSet::new(), JoinSet::new());
        gateway_task.spawn(gateway.run(stop_gateway.clone()));
        watcher_task.spawn(watcher.run(stop_watcher.clone()));
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            _ = gateway_task.join_next() => Err(anyhow::anyhow!("the gateway ended by itself")),
            _ = serving.join_next() => Err(anyhow::anyhow!("the people's listener ended by itself")),
            () = keeper.ended() => Err(anyhow::anyhow!("the keeper of the audit, of revocations or of departments ended by itself")),
            () = feeding.ended() => Err(anyhow::anyhow!("the feeds of departments ended by themselves")),
            _ = watcher_task.join_next() => Err(anyhow::anyhow!("the watcher of lampposts ended by itself")),
            part = watch_parts(&journal, &threads, &store, &phase, &metrics.store, clock_watch) => {
                Err(anyhow::anyhow!("the {part} thread ended by itself"))
            }
        };

        // First, so that nobody is told that the fleet went offline when it is the server that goes.
        end(&stop_watcher, &mut watcher_task).await;
        end(&stop_gateway, &mut gateway_task).await;
        journal.close();
        let finished = tokio::task::spawn_blocking(|| threads.finish()).await;
        live.close();
        feeding.end().await;
        end(&stop_web, &mut serving).await;
        keeper.end(ended.as_ref().err()).await;
        finished??;
        ended
    }
}

impl Metrics {
    fn figures(&self, started: UtcMillis, connections: usize, tail: TailOptions) -> Figures {
        let Self {
            clock_wrong: _,
            gateway,
            est: _,
            feeds: _,
            journal,
            checkpoint,
            ingest,
            store,
            live,
            web: _,
        } = self.clone();
        Figures { started, gateway, connections, journal, checkpoint, ingest, store, tail, live }
    }

    fn registry(&self) -> MetricRegistry {
        let mut registry = MetricRegistry::default();
        registry.register(
            "lamplighter_clock_wrong",
            "1 while the server's clock shows a time that cannot be right, else 0",
            self.clock_wrong.clone(),
        );
        self.gateway.register(&mut registry);
        self.est.register(&mut registry);
        self.feeds.register(&mut registry);
        self.journal.register(&mut registry);
        self.checkpoint.register(&mut registry);
        self.ingest.register(&mut registry);
        self.store.register(&mut registry);
        self.live.register(&mut registry);
        self.web.register(&mut registry);
        registry
    }
}

/// Tells of states of lampposts.
fn telling(live: &LiveHub) -> StatePublisher {
    let live = live.clone();
    Box::new(move |state| live.publish_state(state))
}

/// Looks after the parts that people should hear of. Ends only when one of these threads has, and says which.
async fn watch_parts(
    journal: &JournalHandle,
    threads: &Threads,
    store: &Arc<RwLock<Tail>>,
    phase: &watch::Sender<Phase>,
    metrics: &StoreMetrics,
    mut clock_watch: ClockWatch,
) -> &'static str {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        if let Some(part) = threads.ended() {
            return part;
        }
        looks.tick().await;
        let (tail, figures) = (Arc::clone(store), metrics.clone());
        // Where waiting is allowed: ingest keeps the lock for a while when the tail is full.
        let look = move || figures.observe(&tail.read().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = tokio::task::spawn_blocking(look).await {
            tracing::error!(%error, "looking at the store panicked");
        }
        let now = phase_by(&journal.health(), clock_watch.look(clock::wall()));
        phase.send_if_modified(|phase| std::mem::replace(phase, now.clone()) != now);
    }
}

/// Where a server stands that has read its journal.
fn phase_by(journal: &JournalHealth, clock: Result<UtcMillis, ImplausibleTime>) -> Phase {
    match (journal, clock) {
        (JournalHealth::Failing { .. }, _) => Phase::Failing { part: "journal" },
        (JournalHealth::Writing | JournalHealth::Short { .. }, Err(_)) => Phase::Failing { part: "clock" },
        (JournalHealth::Short { .. }, Ok(_)) => Phase::Short,
        (JournalHealth::Writing, Ok(_)) => Phase::Ready,
    }
}

/// Ends tasks, and waits until they have ended.
async fn end<T: 'static>(stop: &CancellationToken, tasks: &mut JoinSet<T>) {
    stop.cancel();
    while tasks.join_next().await.is_some() {}
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen for lampposts on {address}: end what uses the port, or choose another with --mqtt"
        )
    })
}

#[cfg(test)]
mod tests;
