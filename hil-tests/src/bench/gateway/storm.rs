//! A storm: all connections are cut at once, and everybody comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use edge_agent::uplink::Backoff;
use tokio::time::Instant;

use super::client::{Client, Shared};
use super::connection::Connection;
use super::crew::{Crew, say};
use super::lamppost::{Gateway, Lamppost};
use super::schedule::Due;
use super::usage::{Cpu, Usage};

/// As the agent: TCP, TLS and login together.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);

/// By then all have to be back, whatever they were refused.
const PASSES_WITHIN: Duration = Duration::from_mins(5);

/// How a storm passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    /// From the cut until the last lamppost is live again, in seconds.
    pub(super) seconds: f64,
    /// How often lampposts tried to connect.
    pub(super) attempts: u64,
    /// How many connections took up their earlier TLS session.
    pub(super) resumed: usize,
    pub(super) cpu: Cpu,
}

/// Cuts all connections, and waits until all lampposts are live again: logged in, subscribed, their hellos and one tick of each
/// acknowledged. They wait before each attempt as agents do.
pub(super) fn storm(
    crew: &Crew,
    clients: Vec<Client>,
    shared: &Arc<Shared>,
    gateway: Gateway,
) -> anyhow::Result<(Vec<Client>, Storm)> {
    say(&format!("storm: {} connections are cut, and come back", clients.len()));
    let usage = Usage::begin(gateway)?;
    let began = Instant::now();
    let lampposts: Vec<Lamppost> = clients.into_iter().map(Client::cut).collect();
    let attempts = Arc::new(AtomicU64::new(0));
    let returns = lampposts
        .into_iter()
        .map(|lamppost| come_back(lamppost, gateway, Arc::clone(shared), Arc::clone(&attempts)));
    let back = crew.finish(crew.start("storm", returns), PASSES_WITHIN)?;
    let cpu = usage.cpu()?;
    let last = back.iter().map(|(_, live)| *live).max().context("nobody came back")?;
    let clients: Vec<Client> = back.into_iter().map(|(client, _)| client).collect();
    let storm = Storm {
        seconds: (last - began).as_secs_f64(),
        attempts: attempts.load(Ordering::Relaxed),
        resumed: clients.iter().filter(|client| client.connection.is_resumed()).count(),
        cpu,
    };
    Ok((clients, storm))
}

async fn come_back(
    mut lamppost: Lamppost,
    gateway: Gateway,
    shared: Arc<Shared>,
    attempts: Arc<AtomicU64>,
) -> anyhow::Result<(Client, Instant)> {
    let mut backoff = Backoff::default();
    loop {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        let [a, b, c, d, ..] = lamppost.dice(attempt).to_le_bytes();
        tokio::time::sleep(backoff.wait(u32::from_le_bytes([a, b, c, d]))).await;
        match live_again(&mut lamppost, gateway, &shared).await {
            Ok(connection) => return Ok((Client { lamppost, connection }, Instant::now())),
            Err(error) => say_seldom(attempt, &lamppost, &error),
        }
    }
}

async fn live_again(
    lamppost: &mut Lamppost,
    gateway: Gateway,
    shared: &Shared,
) -> anyhow::Result<Connection> {
    let opening = Connection::open(lamppost, gateway.address);
    let mut connection = tokio::time::timeout(CONNECTS_WITHIN, opening).await.context("no answer")??;
    connection.introduce(lamppost, &shared.readings).await?;
    connection.tick(lamppost, &shared.readings, Due::now()).await?;
    connection.drain(|_| ()).await?;
    Ok(connection)
}

/// Why attempts fail is told for a few of them: thousands may, for the same reason.
fn say_seldom(attempt: u64, lamppost: &Lamppost, error: &anyhow::Error) {
    if attempt.is_multiple_of(500) {
        say(&format!("  {} tries again: {error:#}", lamppost.number));
    }
}
