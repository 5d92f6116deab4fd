//! `bench backlog`: a street comes back after an outage, and hands in what it has read meanwhile beside what it reads now.

pub(super) mod day;
mod sender;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use edge_agent::clock::{Clock as _, SystemClock};
use edge_agent::config::ServerConfig;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::day::{Day, PERIOD_MS, observations};
use self::sender::{Progress, Sender};
use super::feed::Feed;
use super::figures::{Figures, quantile};
use super::process::{cpu_seconds, most_resident_bytes};
use crate::fleet::{Api, Binaries, Certificates, Ending, ServerProcess, monotonic, wait_for};

/// How large the backlog is.
#[derive(Clone, Debug)]
pub struct BacklogOptions {
    /// Lampposts, each with twenty series at 10 s.
    pub lampposts: usize,
    /// For how long they were cut off.
    pub hours: u32,
    /// How many observations the server keeps in memory; none: its own bound.
    pub tail_observations: Option<usize>,
}

/// For how long lampposts have something to read once they are back. A drain that takes longer is given up.
const LIVE: Duration = Duration::from_mins(30);

/// So long before a tick they come back: as they do on average.
const BEFORE_TICK_MS: i64 = PERIOD_MS / 2;

/// The feed tells of this property of every lamppost. The whole tick of a lamppost is in one frame, so that all its series are
/// as old as this one.
const FOLLOWED: &str = "?property=noise_level";

/// Runs it.
///
/// Lampposts are played by the agent's own session, MQTT client and TLS, all in this process, with a day in memory instead
/// of buses and disk. They all connect at once, and each sends what it reads every ten seconds ahead of its backlog.
///
/// | figure | |
/// | --- | --- |
/// | `backlog.drain` | seconds from the first connection until every observation of the backlog is on disk, ingested and stored |
/// | `backlog.live_p50`, `backlog.live_p99` | age, in milliseconds, of what was read meanwhile when a client of the live feed has it, which is where a department meets it |
/// | `backlog.live_told`, `backlog.live_missed` | how many of these the feed told and did not tell, of one series of every lamppost |
/// | `backlog.server_cpu`, `backlog.senders_cpu` | seconds of one core, from connecting to the end of the drain; this process with the feed's client counts as senders |
/// | `backlog.server_rss` | the most memory that was resident |
/// | `backlog.tail_observations` | what the server had in memory then; the rest is in the journal |
///
/// # Errors
/// If the server does not run, a lamppost loses its connection, or an observation got another verdict than stored.
pub fn backlog(binaries: &Binaries, directory: &Path, options: &BacklogOptions) -> anyhow::Result<Figures> {
    let tail = options.tail_observations.map(|most| most.to_string());
    let flags: Vec<&str> = tail.iter().flat_map(|most| ["--tail-observations", most]).collect();
    let server = ServerProcess::start_with(binaries, directory, &flags)?;
    let certificates = server.register(options.lampposts)?;

    let clock = SystemClock::believed();
    let now = clock.now().wall.0;
    let first = UtcMillis(now - now.rem_euclid(PERIOD_MS)).plus_ms(-i64::from(options.hours) * 3_600_000);
    let ticks = (u64::from(options.hours) * 3600 + LIVE.as_secs()) * 1000 / PERIOD_MS.unsigned_abs();
    let day = Arc::new(Day::of(first, ticks)?);
    let progress = Arc::new(Progress::default());
    let outboxes = directory.join("outboxes");
    std::fs::create_dir_all(&outboxes)?;
    let mut senders = Vec::new();
    for entry in std::fs::read_dir(&certificates.0)? {
        let number = LamppostNumber::new(&entry?.file_name().to_string_lossy())?;
        let gateway = gateway(&server, &certificates, &number);
        let (day, progress) = (Arc::clone(&day), Arc::clone(&progress));
        senders.push(Sender::new(number, gateway, day, progress, &outboxes)?);
    }

    let feed = Feed::follow(server.api(), FOLLOWED);
    let (server_before, senders_before) = (cpu_seconds(server.id())?, cpu_seconds(std::process::id())?);
    let to_tick = PERIOD_MS - clock.now().wall.0.rem_euclid(PERIOD_MS);
    let wait = (to_tick - BEFORE_TICK_MS).rem_euclid(PERIOD_MS).unsigned_abs();
    std::thread::sleep(Duration::from_millis(wait));
    let (began, back) = (monotonic(), clock.now().wall);
    let backlog = day.records_before(back) * options.lampposts as u64;
    let stop = CancellationToken::new();
    let street = Street::start(senders, back, stop.clone())?;
    let drained = wait_for("the backlog to drain", LIVE, || {
        let acknowledged = progress.acknowledged.load(Ordering::Relaxed);
        // Each lamppost has an opening in its events besides.
        let all = backlog + options.lampposts as u64 + progress.live.load(Ordering::Relaxed);
        (street.has_ended() || acknowledged >= all && has_ingested_all(server.api())).then_some(())
    });
    let drain = began.elapsed().as_secs_f64();
    let drained_at = clock.now().wall;
    drained?;
    if street.has_ended() {
        street.end()?;
        bail!("the lampposts ended before their backlog");
    }
    let server_cpu = cpu_seconds(server.id())? - server_before;
    let senders_cpu = cpu_seconds(std::process::id())? - senders_before;

    let meanwhile = |time: UtcMillis| time >= back && time <= drained_at;
    let ticks = drained_at.0.div_euclid(PERIOD_MS) - (back.0 - 1).div_euclid(PERIOD_MS);
    let expected = usize::try_from(ticks)? * options.lampposts;
    // The last of them may be on its way; what does not come is told as missed.
    wait_for("the last tick", Duration::from_secs(20), || (feed.count(meanwhile) >= expected).then_some(()))
        .ok();
    let mut ages: Vec<f64> =
        feed.stop().into_iter().filter(|told| meanwhile(told.time)).map(|told| told.age_ms).collect();
    ages.sort_by(f64::total_cmp);
    stop.cancel();
    street.end()?;

    let sent = observations(backlog + progress.live.load(Ordering::Relaxed));
    check(server.api(), observations(backlog), sent)?;

    let metric = |name: &str, label: &str| server.api().metric(name, label);
    let mut figures = Figures::default();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    {
        let count = observations(backlog) as f64;
        figures.add("backlog.lampposts", options.lampposts as f64, "");
        figures.add("backlog.observations", count, "");
        figures.add("backlog.drain", drain, "s");
        figures.add("backlog.rate", count / drain, "1/s");
        // A short drain has no tick beside it.
        if !ages.is_empty() {
            figures.add("backlog.live_p50", quantile(&ages, 0.5), "ms");
            figures.add("backlog.live_p99", quantile(&ages, 0.99), "ms");
            figures.add("backlog.live_max", quantile(&ages, 1.0), "ms");
        }
        figures.add("backlog.live_told", ages.len() as f64, "");
        figures.add("backlog.live_missed", expected.saturating_sub(ages.len()) as f64, "");
    }
    figures.add("backlog.server_cpu", server_cpu, "s");
    figures.add("backlog.senders_cpu", senders_cpu, "s");
    figures.add("backlog.server_rss", most_resident_bytes(server.id())?, "bytes");
    figures.add("backlog.tail_observations", metric("lamplighter_store_observations", "")?, "");
    figures.add("backlog.tail_bytes", metric("lamplighter_store_bytes", "")?, "bytes");
    figures.add("backlog.journal_bytes", metric("lamplighter_journal_record_bytes_total", "")?, "bytes");
    server.end(Ending::Stop)?;
    Ok(figures)
}

/// The lampposts, on a thread of their own.
struct Street(JoinHandle<anyhow::Result<()>>);

impl Street {
    /// All connect at once; what they read before `back` is their backlog.
    fn start(senders: Vec<Sender>, back: UtcMillis, stop: CancellationToken) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let street = async move {
            let mut tasks = JoinSet::new();
            for sender in senders {
                tasks.spawn_local(sender.run(back, stop.clone()));
            }
            while let Some(ended) = tasks.join_next().await {
                ended.context("a lamppost panicked")??;
            }
            Ok(())
        };
        Ok(Self(std::thread::spawn(move || runtime.block_on(tokio::task::LocalSet::new().run_until(street)))))
    }

    fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    fn end(self) -> anyhow::Result<()> {
        self.0.join().map_err(|_| anyhow!("the street panicked"))?
    }
}

/// How this lamppost reaches the server.
fn gateway(server: &ServerProcess, certificates: &Certificates, number: &LamppostNumber) -> ServerConfig {
    let folder = certificates.0.join(number.as_str());
    ServerConfig {
        host: server.mqtt().ip().to_string(),
        port: server.mqtt().port(),
        ca_file: folder.join("ca.pem"),
        certificate_file: folder.join(format!("{number}.pem")),
        key_file: folder.join(format!("{number}.key")),
        pkcs11: None,
        keep_alive: Duration::from_secs(30),
    }
}

/// Whether nothing waits between the journal and ingest.
fn has_ingested_all(api: &Api) -> bool {
    api.metric("lamplighter_journal_waiting_entries", "").is_ok_and(|waiting| waiting < 0.5)
}

/// Every observation of the backlog was taken once, and none was refused.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn check(api: &Api, backlog: u64, sent: u64) -> anyhow::Result<()> {
    let verdicts = |name: &str| api.metric("lamplighter_ingest_observations", name);
    wait_for(
        "the last frame to be stored, and seen in the store's figures",
        Duration::from_secs(10),
        || {
            let seen = api.metric("lamplighter_store_stored", "").ok()?;
            let stored = verdicts("\"Stored\"").ok()?;
            (has_ingested_all(api) && (seen - stored).abs() < 0.5).then_some(())
        },
    )?;
    let (all, stored) = (verdicts("")?, verdicts("\"Stored\"")? + verdicts("\"OlderThanTail\"")?);
    ensure!((all - stored).abs() < 0.5, "of {all} observations only {stored} were stored");
    ensure!(all >= backlog as f64 && all <= sent as f64, "{all} of {sent} observations were taken");
    for never in ["lamplighter_ingest_malformed", "lamplighter_ingest_repeated_records"] {
        let count = api.metric(never, "")?;
        ensure!(count < 0.5, "{never} is {count}");
    }
    Ok(())
}
