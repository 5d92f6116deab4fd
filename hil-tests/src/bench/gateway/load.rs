//! Load: as much as the server takes, and a rate that is given.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::{Client, Shared};
use super::crew::{Crew, say};
use super::lamppost::Gateway;
use super::schedule::{Due, Schedule};
use super::usage::{Cpu, Usage};
use crate::bench::backlog::day::{RECORDS_PER_TICK, observations};
use crate::bench::figures::quantile;

/// What comes first is not measured.
pub(super) const WARM_UP: Duration = Duration::from_secs(3);

/// By then all has to be acknowledged that was sent.
pub(super) const DRAINS_WITHIN: Duration = Duration::from_mins(1);

/// What a closed loop came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    /// Observations acknowledged in each second.
    pub(super) rate: f64,
    pub(super) cpu: Cpu,
}

/// What an open loop came to.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    /// From when a tick was due to its PUBACK, in milliseconds, sorted.
    pub(super) times: Vec<f64>,
    /// Observations in each second that were due.
    pub(super) rate: f64,
    pub(super) cpu: Cpu,
    pub(super) schedule: Schedule,
    /// What was due from then on counts.
    pub(super) measured: Due,
}

/// Observations in so many ticks.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn of_ticks(ticks: u64) -> f64 {
    observations(ticks * RECORDS_PER_TICK) as f64
}

/// All clients send whatever their windows have room for.
pub(super) fn closed_loop(
    crew: &Crew,
    clients: Vec<Client>,
    shared: &Arc<Shared>,
    gateway: Gateway,
    seconds: u64,
) -> anyhow::Result<(Vec<Client>, Throughput)> {
    say(&format!("throughput: {} connections send as much as is taken, {seconds} s", clients.len()));
    shared.stop.store(false, Ordering::Relaxed);
    let work =
        crew.start("throughput", clients.into_iter().map(|client| client.closed_loop(Arc::clone(shared))));
    std::thread::sleep(WARM_UP);
    let usage = Usage::begin(gateway)?;
    let before = shared.acknowledged.load(Ordering::Relaxed);
    let so_far = || {
        let ticks = shared.acknowledged.load(Ordering::Relaxed) - before;
        of_ticks(ticks) / usage.elapsed().as_secs_f64()
    };
    let all = Duration::from_secs(seconds);
    while let Some(left) = all.checked_sub(usage.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left.min(Duration::from_secs(5)));
        say(&format!("  {:.0} observations/s", so_far()));
    }
    let throughput = Throughput { rate: so_far(), cpu: usage.cpu()? };
    shared.stop.store(true, Ordering::Relaxed);
    Ok((crew.finish(work, DRAINS_WITHIN)?, throughput))
}

/// Every client sends when it is due, all together so many ticks in each second.
pub(super) fn open_loop(
    phase: &'static str,
    crew: &Crew,
    clients: Vec<Client>,
    shared: &Arc<Shared>,
    gateway: Gateway,
    ticks_per_second: f64,
    seconds: u64,
) -> anyhow::Result<(Vec<Client>, Acknowledged)> {
    let all = clients.len();
    let lasts = WARM_UP + Duration::from_secs(seconds);
    let start = Due::now().after(Duration::from_millis(200));
    let measured = start.after(WARM_UP);
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let period = Duration::from_secs_f64(all as f64 / ticks_per_second);
    let schedule = Schedule::new(start, all, period, lasts);
    say(&format!("{phase}: {all} connections, {:.0} messages/s, {seconds} s", schedule.rate()));
    let clients = clients.into_iter().enumerate();
    let clients =
        clients.map(|(place, client)| client.open_loop(Arc::clone(shared), schedule, place, measured.at));
    let work = crew.start(phase, clients);
    std::thread::sleep(measured.at.saturating_duration_since(Due::now().at));
    let usage = Usage::begin(gateway)?;
    std::thread::sleep(schedule.end().at.saturating_duration_since(Due::now().at));
    let cpu = usage.cpu()?;
    let (clients, times): (Vec<_>, Vec<_>) = crew.finish(work, DRAINS_WITHIN)?.into_iter().unzip();
    let mut times: Vec<f64> = times.into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    let rate = schedule.rate() * of_ticks(1);
    Ok((clients, Acknowledged { times, rate, cpu, schedule, measured }))
}

impl Acknowledged {
    /// How many ticks were due from [`Self::measured`] on, by the clock that stamps them.
    pub(super) fn ticks(&self, lampposts: usize) -> usize {
        let due = (0..lampposts).flat_map(|place| self.schedule.of(place));
        due.filter(|due| due.wall >= self.measured.wall).count()
    }

    pub(super) fn p99(&self) -> f64 {
        quantile(&self.times, 0.99)
    }
}
