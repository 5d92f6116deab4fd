//! The server, put together: what it is built of, how it runs, how it stops.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use lamplighter_protocol::{Catalogue, UtcMillis};
use prometheus_client::registry::Registry as MetricRegistry;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ca::{Authority, Origin, ServerCertificate, server_tls};
use crate::cli::RunArgs;
use crate::clock;
use crate::gateway::{Gateway, GatewayMetrics, GatewayOptions, Limits, Sessions};
use crate::ingest::{Ingest, IngestMetrics, IngestThread};
use crate::journal::{Journal, JournalHandle, JournalHealth, JournalMetrics, JournalOptions, ReplayReport};
use crate::live::{LiveHub, LiveMetrics, LiveOptions};
use crate::registry::{Registry, RegistryAdmission};
use crate::roll::{Roll, Sources, Watcher};
use crate::store::{StoreMetrics, Tail, TailOptions};
use crate::web::{
    self, AccessToken, Basemap, Console, Figures, PeopleListener, Phase, Progress, Readiness, WebLimits,
    WebMetrics, WebState,
};

/// Batches that may wait for ingest; while they do, nothing more is committed, and so acknowledged.
const BATCHES_WAITING: usize = 4;

/// How often the store's size and the journal's health are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// 256 connections of people, 16 of SQLite, the journal's files, the runtime's own, and as many again.
const DESCRIPTORS_KEPT_BACK: usize = 640;

/// A server whose directory and listeners are its own, and that has not read its journal yet.
#[derive(Debug)]
pub struct Server {
    journal: Journal,
    ingest: Arc<RwLock<Ingest>>,
    store: Arc<RwLock<Tail>>,
    live: LiveHub,
    registry: Registry,
    sessions: Sessions,
    roll: Roll,
    limits: Limits,
    tls: Arc<rustls::ServerConfig>,
    lampposts: TcpListener,
    people: PeopleListener,
    phase: watch::Sender<Phase>,
    web: WebState,
    metrics: Metrics,
}

/// What the rooms count.
#[derive(Clone, Debug, Default)]
struct Metrics {
    gateway: GatewayMetrics,
    journal: JournalMetrics,
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
        let (metrics, limits) = (Metrics::default(), limits()?);
        let basemap = args.basemap.clone().map(|file| Basemap::open(file, args.basemap_attribution.clone()));
        let basemap = basemap.transpose()?;
        make_private(&args.data)
            .with_context(|| format!("cannot use the data directory {}", args.data.display()))?;
        let mut journal_options = JournalOptions::in_directory(args.data.join(Journal::DIRECTORY_NAME));
        journal_options.metrics = metrics.journal.clone();
        journal_options.low_water = args.low_water.unwrap_or_default();
        // The journal's lock is the server's: two servers never share a data directory.
        let journal = tokio::task::spawn_blocking(|| Journal::open(journal_options)).await??;

        let directory = args.data.join(Authority::DIRECTORY_NAME);
        let (authority, origin) = Authority::open_or_create(&directory, now)?;
        match origin {
            Origin::Found => {}
            Origin::Created => writeln!(out, "made the fleet CA in {}", directory.display())?,
            Origin::Completed => {
                writeln!(out, "made the certificate of the fleet CA anew in {}", directory.display())?;
            }
        }
        let directory = args.data.join(ServerCertificate::DIRECTORY_NAME);
        let (certificate, made) = ServerCertificate::open_or_make(&directory, &authority, &args.names, now)?;
        if let Some(why) = made {
            writeln!(out, "made the server's certificate in {} ({why})", directory.display())?;
        }
        let tls = server_tls(&authority, &certificate)?;
        let registry = Registry::open(&args.data.join(Registry::FILE_NAME)).await?;

        let lampposts = listen(args.mqtt).await?;
        let people = web::bind(args.http).await?;
        let token = AccessToken::generate()?;
        let (lampposts_at, people_at) = (lampposts.local_addr()?, people.local_addr());
        writeln!(out, "lampposts  mqtts://{lampposts_at}")?;
        writeln!(out, "people     {}", token.login_link(people_at))?;
        out.flush()?;

        let tail = TailOptions {
            max_observations: args.tail_observations.unwrap_or(TailOptions::default().max_observations),
            ..TailOptions::default()
        };
        let store = Arc::new(RwLock::new(Tail::new(tail)));
        let ingest = Arc::new(RwLock::new(Ingest::new(Catalogue::built_in(), metrics.ingest.clone())));
        let live = LiveHub::new(LiveOptions::default(), metrics.live.clone())?;
        let sessions = Sessions::default();
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
            roll: roll.clone(),
            readiness,
            console: Console::built_in(),
            basemap,
            token,
            lifelines: Arc::clone(&ingest) as _,
            catalogue: Arc::new(Catalogue::built_in()),
            prometheus: Arc::new(metrics.registry()),
            metrics: metrics.web.clone(),
            figures: metrics.figures(now, limits.connections, tail),
            limits: WebLimits::default(),
            stop: CancellationToken::new(),
        };
        Ok(Self {
            journal,
            ingest,
            store,
            live,
            registry,
            sessions,
            roll,
            limits,
            tls,
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

    /// Reads the journal, then serves until `stop`: first no new bytes are taken, then what is committed is
    /// ingested, then people are let go.
    ///
    /// # Errors
    /// If the journal cannot be read, or a part ends by itself.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self {
            journal,
            ingest,
            store,
            live,
            registry,
            sessions,
            roll,
            limits,
            tls,
            lampposts,
            people,
            phase,
            web,
            metrics,
        } = self;
        let stop_web = web.stop.clone();
        let mut serving = JoinSet::new();
        serving.spawn(web::serve(people, web));

        let replayed = start_replay(journal, &ingest, &store, &phase, &metrics.store)?;
        let (journal, report) = tokio::select! {
            replayed = replayed => replayed.context("the replay thread panicked")??,
            () = stop.cancelled() => {
                end(&stop_web, &mut serving).await;
                registry.close().await;
                return Ok(());
            }
        };
        tell(&report);

        let (committed, batches) = sync_channel(BATCHES_WAITING);
        let (journal, writer) = journal.start(committed)?;
        let downlink = sessions.clone();
        let send = Box::new(move |number: &_, payload| {
            let sent = downlink.send(number, lamplighter_protocol::Leaf::Position, payload);
            tracing::trace!(lamppost = %number, ?sent, "position");
        });
        let follower =
            IngestThread::new(ingest, Arc::clone(&store), live.clone(), send, metrics.journal.lag.clone());
        let follower = std::thread::Builder::new()
            .name("ingest".to_owned())
            .spawn(move || follower.run(&batches))
            .context("cannot start the ingest thread")?;

        let options = GatewayOptions { limits };
        let admission = Arc::new(RegistryAdmission::new(registry.clone()));
        let gateway = Gateway::new(
            lampposts,
            options,
            tls,
            journal.clone(),
            admission,
            sessions,
            metrics.gateway.clone(),
        )?;
        let told = live.clone();
        let publish = Box::new(move |state| told.publish_state(state));
        // The roll is whole before anybody may read it.
        let watcher = Watcher::new(roll, registry.clone(), publish).look().await?;
        phase.send_replace(Phase::Ready);
        tracing::info!("ready");

        let stop_gateway = CancellationToken::new();
        let mut gateway_task = JoinSet::new();
        gateway_task.spawn(gateway.run(stop_gateway.clone()));
        let stop_watcher = CancellationToken::new();
        let mut watcher_task = JoinSet::new();
        watcher_task.spawn(watcher.run(stop_watcher.clone()));
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            _ = gateway_task.join_next() => Err(anyhow::anyhow!("the gateway ended by itself")),
            _ = serving.join_next() => Err(anyhow::anyhow!("the people's listener ended by itself")),
            _ = watcher_task.join_next() => Err(anyhow::anyhow!("the watcher of lampposts ended by itself")),
            () = watch_parts(&journal, &follower, &store, &phase, &metrics.store) => {
                Err(anyhow::anyhow!("the ingest thread ended by itself"))
            }
        };

        // First, so that nobody is told that the fleet went offline when it is the server that goes.
        end(&stop_watcher, &mut watcher_task).await;
        end(&stop_gateway, &mut gateway_task).await;
        journal.close();
        let drained = tokio::task::spawn_blocking(move || {
            let written = writer.join();
            let ingested = follower.join();
            (written, ingested.is_ok())
        })
        .await;
        live.close();
        end(&stop_web, &mut serving).await;
        registry.close().await;
        match drained? {
            (Ok(()), true) => ended,
            (Err(error), _) => Err(error.into()),
            (Ok(()), false) => bail!("the ingest thread panicked"),
        }
    }
}

impl Metrics {
    fn figures(&self, started: UtcMillis, connections: usize, tail: TailOptions) -> Figures {
        let Self { gateway, journal, ingest, store, live, web: _ } = self.clone();
        Figures { started, gateway, connections, journal, ingest, store, tail, live }
    }

    fn registry(&self) -> MetricRegistry {
        let mut registry = MetricRegistry::default();
        self.gateway.register(&mut registry);
        self.journal.register(&mut registry);
        self.ingest.register(&mut registry);
        self.store.register(&mut registry);
        self.live.register(&mut registry);
        self.web.register(&mut registry);
        registry
    }
}

/// The gateway's limits, within the file descriptors that the system grants: enough are kept back for the journal, the
/// registry and people, however many strangers connect.
fn limits() -> anyhow::Result<Limits> {
    let granted = rlimit::increase_nofile_limit(u64::MAX).context("cannot ask for more file descriptors")?;
    let most = usize::try_from(granted).unwrap_or(usize::MAX).saturating_sub(DESCRIPTORS_KEPT_BACK).max(1);
    let limits = Limits::default();
    if most < limits.connections {
        tracing::warn!(
            granted,
            connections = most,
            "fewer lampposts can connect than the gateway would serve"
        );
    }
    let connections = limits.connections.min(most);
    Ok(Limits { connections, opening: limits.opening.min(connections / 4).max(1), ..limits })
}

/// Rebuilds what is derived from the journal, on a thread of its own, which a stop leaves behind: reading changes
/// nothing on disk.
fn start_replay(
    mut journal: Journal,
    ingest: &Arc<RwLock<Ingest>>,
    store: &Arc<RwLock<Tail>>,
    phase: &watch::Sender<Phase>,
    metrics: &StoreMetrics,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<(Journal, ReplayReport)>>> {
    let (done, replayed) = oneshot::channel();
    let (ingest, store) = (Arc::clone(ingest), Arc::clone(store));
    let (phase, metrics) = (phase.clone(), metrics.clone());
    let work = move || {
        let report = replay(&mut journal, &ingest, &store, &phase, &metrics);
        // Nobody listens any more when the server stops.
        done.send(report.map(|report| (journal, report))).ok();
    };
    let thread = std::thread::Builder::new().name("replay".to_owned());
    thread.spawn(work).context("cannot start the replay thread")?;
    Ok(replayed)
}

fn replay(
    journal: &mut Journal,
    ingest: &RwLock<Ingest>,
    store: &RwLock<Tail>,
    phase: &watch::Sender<Phase>,
    metrics: &StoreMetrics,
) -> anyhow::Result<ReplayReport> {
    let mut progress = Progress::default();
    let mut looked = clock::monotonic();
    let report = journal.replay(|entry| {
        let mut ingest = ingest.write().unwrap_or_else(PoisonError::into_inner);
        let mut store = store.write().unwrap_or_else(PoisonError::into_inner);
        ingest.apply(&entry, &mut store, &mut |_| {});
        progress.entries += 1;
        progress.bytes += entry.payload.len() as u64;
        if progress.entries.is_multiple_of(1024) {
            phase.send_replace(Phase::Starting(progress));
            let now = clock::monotonic();
            if now.duration_since(looked) >= LOOK_EVERY {
                looked = now;
                metrics.observe(&store);
            }
        }
    })?;
    Ok(report)
}

fn tell(report: &ReplayReport) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let seconds_per_gb = if report.bytes == 0 { 0.0 } else { report.seconds / (report.bytes as f64 / 1e9) };
    tracing::info!(
        entries = report.entries,
        bytes = report.bytes,
        seconds = report.seconds,
        seconds_per_gb,
        "the journal is read"
    );
    for damage in &report.damaged {
        tracing::error!(?damage, "the journal is damaged; the rest of it is served");
    }
}

/// Looks after the parts that people should hear of. Ends only when the ingest thread has.
async fn watch_parts(
    journal: &JournalHandle,
    follower: &std::thread::JoinHandle<()>,
    store: &Arc<RwLock<Tail>>,
    phase: &watch::Sender<Phase>,
    metrics: &StoreMetrics,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while !follower.is_finished() {
        looks.tick().await;
        let (tail, figures) = (Arc::clone(store), metrics.clone());
        // Where waiting is allowed: ingest keeps the lock for a while when the tail is full.
        let look = move || figures.observe(&tail.read().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = tokio::task::spawn_blocking(look).await {
            tracing::error!(%error, "looking at the store panicked");
        }
        let now = match journal.health() {
            JournalHealth::Writing => Phase::Ready,
            JournalHealth::Short { .. } | JournalHealth::Failing { .. } => Phase::Failing { part: "journal" },
        };
        phase.send_if_modified(|phase| std::mem::replace(phase, now.clone()) != now);
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

/// Makes a directory that only its owner enters, and its parents, so that a power cut does not undo it.
fn make_private(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private(parent)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests;
