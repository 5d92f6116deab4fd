//! `bench path`: what the path costs, and how long an observation takes from its tick to a live feed.

use std::path::Path;
use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use lamplighter_protocol::LamppostNumber;

use super::feed::Feed;
use super::figures::{Figures, quantile};
use super::process::{cpu_seconds, resident_bytes};
use crate::city::{Fidelity, Who};
use crate::fleet::{Binaries, Ending, ServerProcess, Street, StreetProcess, monotonic, wait_for};

/// How the path is measured.
#[derive(Clone, Copy, Debug)]
pub struct PathOptions {
    /// Lampposts, each a process of its own with two sensors at 1 s.
    pub lampposts: usize,
    /// How long is measured, after all are connected.
    pub seconds: u64,
}

/// Runs it.
///
/// An agent's process also carries the simulated chips and the world that feeds them, so its figures are upper
/// bounds of the agent's own. Latency counts from the tick, at which the bus read begins, to the moment at which a
/// client has read the event; events of a feed are 100 ms apart, so up to that much of it is the feed's pace.
///
/// # Errors
/// If the fleet does not run.
pub fn path(binaries: &Binaries, directory: &Path, options: PathOptions) -> anyhow::Result<Figures> {
    let server = ServerProcess::start(binaries, directory)?;
    let certificates = server.register(options.lampposts)?;
    let start = SystemClock::new().now().wall;
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(&certificates.0)? {
        numbers.push(LamppostNumber::new(&entry?.file_name().to_string_lossy())?);
    }
    let mut lampposts = Vec::new();
    for number in numbers {
        let street = Street {
            lampposts: options.lampposts,
            speed: 1.0,
            start,
            fidelity: Fidelity::Natural { seed: 1 },
            every_ms: 1_000,
            who: Who::Only(vec![number]),
            told: false,
        };
        lampposts.push(StreetProcess::start(binaries, &server, &certificates, directory, &street)?);
    }
    let connected = || lampposts.iter().filter(|one| one.figures()["connected"] == 1).count();
    wait_for("all lampposts to connect", Duration::from_mins(1), || {
        (connected() == options.lampposts).then_some(())
    })?;

    let feed = Feed::follow(server.api(), "");
    let before = lampposts.iter().map(|one| cpu_seconds(one.id())).collect::<Result<Vec<_>, _>>()?;
    let server_before = cpu_seconds(server.id())?;
    let began = monotonic();
    let (mut agent_bytes, mut server_bytes) = (0f64, 0f64);
    while began.elapsed() < Duration::from_secs(options.seconds) {
        std::thread::sleep(Duration::from_secs(1));
        server_bytes = server_bytes.max(resident_bytes(server.id())?);
        for one in &lampposts {
            agent_bytes = agent_bytes.max(resident_bytes(one.id())?);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut shares = Vec::new();
    for (one, before) in lampposts.iter().zip(before) {
        shares.push((cpu_seconds(one.id())? - before) / seconds * 100.0);
    }
    shares.sort_by(f64::total_cmp);
    let server_share = (cpu_seconds(server.id())? - server_before) / seconds * 100.0;
    let mut latencies: Vec<f64> = feed.stop().into_iter().map(|told| told.age_ms).collect();
    latencies.sort_by(f64::total_cmp);

    let mut figures = Figures::default();
    figures.add("agent.rss", agent_bytes, "bytes");
    figures.add("agent.cpu", quantile(&shares, 0.5), "% of a core");
    figures.add("server.rss", server_bytes, "bytes");
    figures.add("server.cpu", server_share, "% of a core");
    #[expect(clippy::cast_precision_loss, reason = "a count of a minute's events")]
    figures.add("path.rate", latencies.len() as f64 / seconds, "1/s");
    figures.add("path.latency.p50", quantile(&latencies, 0.5), "ms");
    figures.add("path.latency.p99", quantile(&latencies, 0.99), "ms");
    lampposts.iter().for_each(StreetProcess::tell_to_stop);
    lampposts.into_iter().try_for_each(|one| one.end(Ending::Stop))?;
    server.end(Ending::Stop)?;
    Ok(figures)
}
