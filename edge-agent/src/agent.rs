//! One agent, put together: what it is built of, how it runs, how it stops.

mod status_source;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::Catalogue;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::status_source::StatusSource;
use crate::bus::{BusPorts, BusTasks, BusThreads, Ended, I2cOpener, ThreadEnd};
use crate::clock::{Clock, Stop};
use crate::config::{Config, HardwareError, hardware_serial};
use crate::health::Health;
use crate::identity::{Keeper, Store};
use crate::outbox::{Outbox, OutboxError, OutboxOptions, OutboxThread};
use crate::status::{self, CertificateStatus, ConnectionStatus, Status};
use crate::uplink::{Session, Speaker, Uplink, UplinkError};

/// Version that hellos and `status` tell.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longest time that sampling threads are waited for: the longest exchange of a sensor that works, a PMS5003's, takes
/// 2.6 s.
const SAMPLING_STOPS_WITHIN: Duration = Duration::from_secs(5);

/// An agent whose outbox is open and whose run has begun, and that does not sample yet.
#[derive(Debug)]
pub struct Agent {
    tasks: BusTasks<Outbox>,
    stop_sampling: Stop,
    uplink: Uplink,
    keeper: Keeper,
    outbox: Outbox,
    outbox_thread: OutboxThread,
    socket: UnixListener,
    status: StatusSource,
}

/// Why an agent cannot be built, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No serial number: an outbox belongs to a lamppost and to a piece of hardware (D14).
    #[error("the hardware is not known")]
    Hardware(#[from] HardwareError),
    /// The folder of everything that the agent keeps cannot be made.
    #[error("cannot use the state_dir {}: make it, writable for the agent's user, or configure another", path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The outbox cannot be opened, or a write or sync failed.
    #[error("the outbox failed; what it had synced is kept")]
    Outbox(#[from] OutboxError),
    /// The status socket cannot be made.
    #[error("cannot listen on the status socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A sampling thread cannot be started.
    #[error("cannot start the sampling threads")]
    Threads(#[source] io::Error),
    /// A sampling thread ended by itself.
    #[error("sampling on {name} ended")]
    Sampling {
        /// The bus, or `agent`.
        name: String,
        /// Why.
        source: Ended,
    },
    /// The uplink ended by itself.
    #[error("the uplink ended")]
    Uplink(#[from] UplinkError),
    /// One of our own tasks panicked.
    #[error("a task of the agent panicked")]
    Panicked,
}

impl Agent {
    /// Opens the outbox and with it a new run (D1), and prepares everything else. Blocks while what earlier runs left
    /// is synced and verified. Buses come from `opener`, time from `clock`.
    ///
    /// # Errors
    /// [`AgentError`]; nothing samples then. Must be called within a tokio runtime.
    pub fn build(
        config: Config,
        opener: Arc<dyn I2cOpener>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AgentError> {
        let hardware_serial = config.hardware_serial.clone().map_or_else(hardware_serial, Ok)?;
        let catalogue = Catalogue::built_in();
        let options = OutboxOptions {
            directory: config.state_dir.join("outbox"),
            lamppost: config.lamppost.clone(),
            hardware_serial: hardware_serial.clone(),
            max_bytes: config.outbox.max_bytes,
            segment_bytes: OutboxOptions::segment_bytes_of(config.outbox.max_bytes),
            max_age: config.outbox.max_age,
            sync_every: config.outbox.sync_every,
        };
        make_durable(&Store::directory(&config.state_dir))
            .map_err(|source| AgentError::StateDir { path: config.state_dir.clone(), source })?;
        // Before the outbox: a start that fails here has begun no run.
        let path = status::socket_path(&config.state_dir);
        let socket = status::listen(&path).map_err(|source| AgentError::Socket { path, source })?;
        let (outbox, outbox_thread) =
            Outbox::open(options, &config.description(&catalogue), Arc::clone(&clock))?;
        let (health, stop_sampling) = (Arc::new(Health::new(&config)), Stop::new());
        let backlog = outbox.state();
        let ports = BusPorts {
            opener,
            clock: Arc::clone(&clock),
            opened: outbox.opened(),
            sink: outbox.clone(),
            count_backlog: Box::new(move || Session::backlog(&backlog.borrow())),
            stop: stop_sampling.clone(),
            health: Arc::clone(&health),
        };
        let tasks = BusTasks::build(&config, &catalogue, ports);
        let (connection_sender, connection) = watch::channel(ConnectionStatus::default());
        let (certificate_sender, certificate) = watch::channel(CertificateStatus::default());
        let store = Store::new(&config.server, &config.state_dir, config.lamppost.clone());
        let (keeper, badge) = Keeper::new(
            store,
            config.server.clone(),
            config.lamppost.clone(),
            Arc::clone(&clock),
            certificate_sender,
        );
        let status = StatusSource {
            lamppost: config.lamppost.clone(),
            generation: config.generation,
            clock: Arc::clone(&clock),
            outbox: outbox.clone(),
            health,
            connection,
            certificate,
            max_age: config.outbox.max_age,
        };
        let speaker =
            Speaker { agent_version: VERSION.to_owned(), hardware_serial, generation: config.generation };
        let uplink = Uplink::new(
            config.lamppost,
            (config.server, badge),
            speaker,
            outbox.clone(),
            clock,
            connection_sender,
        );
        Ok(Self { tasks, stop_sampling, uplink, keeper, outbox, outbox_thread, socket, status })
    }

    /// What the agent would say of itself, from now on and while it runs.
    pub fn status(&self) -> impl Fn() -> Status + Send + Sync + 'static {
        let source = self.status.clone();
        move || source.snapshot()
    }

    /// Samples and sends until `stop`; then stops sampling, syncs what was read, says goodbye, and closes the outbox.
    ///
    /// # Errors
    /// [`AgentError`] if it ended by itself: the caller exits non-zero, and a restart begins the next run.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AgentError> {
        let Self { tasks, stop_sampling, uplink, keeper, outbox, outbox_thread, socket, status } = self;
        let mut threads = tasks.start().map_err(AgentError::Threads)?;
        let stop_sending = CancellationToken::new();
        let mut sending = JoinSet::new();
        sending.spawn(uplink.run(stop_sending.clone()));
        let mut serving = JoinSet::new();
        serving.spawn(keeper.run(stop_sending.clone()));
        serving.spawn(status::serve(socket, move || status.snapshot(), stop_sending.clone()));

        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            end = threads.next_end() => Err(end.map_or(AgentError::Panicked, sampling_ended)),
            sent = sending.join_next() => Err(match sent {
                Some(Ok(Err(error))) => error.into(),
                Some(Ok(Ok(())) | Err(_)) | None => AgentError::Panicked,
            }),
        };

        stop_sampling.raise();
        let sampled = join(threads).await;
        // A failed sync is told by the outbox's own end, below.
        let synced = outbox.sync().await;
        tracing::debug!(?synced, "all that was read is on disk");
        stop_sending.cancel();
        while sending.join_next().await.is_some() {}
        while serving.join_next().await.is_some() {}
        outbox.close();
        let closed = tokio::task::spawn_blocking(move || outbox_thread.join()).await;
        // The outbox's failure is the cause of all the others.
        closed.map_err(|_| AgentError::Panicked)??;
        ended.and(sampled)
    }
}

/// Makes a folder that only its owner enters, and its parents, so that a power cut does not undo it.
fn make_durable(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_durable(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    File::open(parent)?.sync_all()
}

/// Waits for the sampling threads. One that is blocked in a bus ends when the bus lets it go, and is not waited for
/// beyond [`SAMPLING_STOPS_WITHIN`]: what it reads then finds the outbox closed.
async fn join(threads: BusThreads) -> Result<(), AgentError> {
    let joining = tokio::task::spawn_blocking(move || threads.join());
    let Ok(joined) = tokio::time::timeout(SAMPLING_STOPS_WITHIN, joining).await else {
        tracing::warn!("a bus does not let its thread go: stopping without it");
        return Ok(());
    };
    let ends = joined.map_err(|_| AgentError::Panicked)?;
    ends.into_iter().find(|end| end.result.is_err()).map_or(Ok(()), |end| Err(sampling_ended(end)))
}

fn sampling_ended(end: ThreadEnd) -> AgentError {
    match end.result {
        Err(source) => AgentError::Sampling { name: end.name, source },
        Ok(()) => AgentError::Panicked,
    }
}
