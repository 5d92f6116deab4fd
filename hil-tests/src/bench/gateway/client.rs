//! A lamppost and its connection, at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connection::{Connection, Sent};
use super::crew::{Crew, say};
use super::lamppost::{Gateway, Lamppost, Readings};
use super::schedule::{Due, Schedule};

/// Publishes of one connection that wait for their acknowledgement in the closed loop: a few, as an agent's that has a little
/// to catch up with. With thousands of connections it is far more than the disk takes at once.
const WINDOW: usize = 4;

/// Handshakes at a time, where it is not the handshakes that are measured.
pub(super) const OPENING: usize = 128;

/// A lamppost that is logged in.
pub(super) struct Client {
    pub(super) lamppost: Lamppost,
    pub(super) connection: Connection,
}

/// What all clients share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) readings: Readings,
    /// Ticks acknowledged so far, of all clients.
    pub(super) acknowledged: AtomicU64,
    /// The closed loop ends.
    pub(super) stop: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> anyhow::Result<Arc<Self>> {
        let readings = Readings::new()?;
        Ok(Arc::new(Self { readings, acknowledged: AtomicU64::new(0), stop: AtomicBool::new(false) }))
    }

    fn count(&self, _: Sent) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Logs all of them in. `introduced` with their hellos; otherwise they are idle from their subscription on.
pub(super) fn log_in(
    crew: &Crew,
    lampposts: Vec<Lamppost>,
    gateway: Gateway,
    shared: Option<&Arc<Shared>>,
) -> anyhow::Result<Vec<Client>> {
    let all = lampposts.len();
    say(&format!("  {all} lampposts log in"));
    let places = Arc::new(Semaphore::new(OPENING));
    let clients = lampposts.into_iter().map(|mut lamppost| {
        let (places, shared) = (Arc::clone(&places), shared.cloned());
        async move {
            let _place = places.acquire_owned().await?;
            let opening = async {
                let mut connection = Connection::open(&mut lamppost, gateway.address).await?;
                if let Some(shared) = shared {
                    connection.introduce(&lamppost, &shared.readings).await?;
                }
                anyhow::Ok(connection)
            };
            let connection = opening.await.with_context(|| lamppost.number.to_string())?;
            Ok(Client { lamppost, connection })
        }
    });
    crew.finish(crew.start("login", clients), Duration::from_secs(60 + all as u64 / 50))
}

impl Client {
    /// Sends as long as there is room in the window, until it is told to stop and all is acknowledged.
    pub(super) async fn closed_loop(mut self, shared: Arc<Shared>) -> anyhow::Result<Self> {
        let ended = self.send_in_window(&shared).await;
        ended.with_context(|| self.lamppost.number.to_string())?;
        Ok(self)
    }

    /// Sends when it is due. Gives the times in milliseconds from when those ticks were due that were due from `measured` on
    /// until they were acknowledged.
    pub(super) async fn open_loop(
        mut self,
        shared: Arc<Shared>,
        schedule: Schedule,
        place: usize,
        measured: Instant,
    ) -> anyhow::Result<(Self, Vec<f64>)> {
        let mut times = Vec::new();
        let note = |sent: Sent| {
            shared.count(sent);
            if sent.due >= measured {
                times.push(sent.due.elapsed().as_secs_f64() * 1000.0);
            }
        };
        let ended = Self::send_when_due(&mut self, &shared, schedule.of(place), note).await;
        ended.with_context(|| self.lamppost.number.to_string())?;
        Ok((self, times))
    }

    async fn send_in_window(&mut self, shared: &Shared) -> anyhow::Result<()> {
        let Self { lamppost, connection } = self;
        while !shared.stop.load(Ordering::Relaxed) {
            while connection.in_flight() < WINDOW {
                connection.tick(lamppost, &shared.readings, Due::now()).await?;
            }
            connection.read().await?;
            connection.take(&mut |sent| shared.count(sent)).await?;
        }
        connection.drain(|sent| shared.count(sent)).await
    }

    async fn send_when_due(
        &mut self,
        shared: &Shared,
        ticks: impl Iterator<Item = Due>,
        mut acknowledged: impl FnMut(Sent),
    ) -> anyhow::Result<()> {
        let Self { lamppost, connection } = self;
        for due in ticks {
            loop {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(due.at) => break,
                    read = connection.read() => read?,
                }
                connection.take(&mut acknowledged).await?;
            }
            connection.tick(lamppost, &shared.readings, due).await?;
        }
        connection.drain(acknowledged).await
    }

    /// Cuts the connection without a word.
    pub(super) fn cut(self) -> Lamppost {
        self.lamppost
    }
}
