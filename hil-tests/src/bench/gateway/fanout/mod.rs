//! Fan-out: some lampposts speak, and every subscriber hears each of their messages.

mod departments;
mod heard;
mod packets;
mod speakers;
mod subscriber;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use tokio_util::sync::CancellationToken;

use self::heard::{Counts, Heard};
use self::speakers::{Speakers, messages_of_tick};
use self::subscriber::Subscriber;
use super::client::{Client, Shared, log_in};
use super::crew::{Crew, Work, say};
use super::lamppost::{Gateway, Lamppost};
use super::load::{DRAINS_WITHIN, WARM_UP};
use super::schedule::{Due, Schedule};
use super::usage::{Cpu, Usage};
use crate::bench::feed::Told;
use crate::fleet::Api;

pub(super) use departments::{Login, add};
pub(super) use speakers::{SPEAKERS, Words};

/// Where the server or broker is, and how it is spoken to.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Where lampposts speak.
    pub(super) gateway: Gateway,
    /// Where subscribers listen.
    pub(super) listener: SocketAddr,
    /// Where the CA of both is.
    pub(super) data: &'a Path,
    pub(super) words: Words,
    pub(super) logins: &'a [Login],
    /// That of the server, which counts as well, and tells what was missed. A broker does neither.
    pub(super) api: Option<&'a Api>,
}

/// What fan-out came to.
pub(super) struct Fanout {
    /// While there was always more to deliver.
    pub(super) full: Deliveries,
    /// At a third of that rate.
    pub(super) third: Deliveries,
    /// How old the messages of that were when they came, in milliseconds, sorted.
    pub(super) ages: Vec<f64>,
}

/// What came in one measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deliveries {
    /// Messages in each second.
    pub(super) rate: f64,
    /// Bytes of the payload of one.
    pub(super) message_bytes: f64,
    /// Messages that did not come, until the last one did that came.
    pub(super) missed: u64,
    pub(super) cpu: Cpu,
}

/// By then all subscriptions have to be answered, and what is retained has to be there.
const OPENS_WITHIN: Duration = Duration::from_mins(3);

/// When nothing has come for this long, nothing more comes.
const QUIET: Duration = Duration::from_secs(15);

/// Lampposts speak while so many subscribers listen. Gives back the lampposts.
pub(super) fn fanout(
    crew: &Crew,
    lampposts: Vec<Lamppost>,
    shared: &Arc<Shared>,
    place: &Place<'_>,
    subscribers: usize,
    seconds: u64,
) -> anyhow::Result<(Vec<Lamppost>, Fanout)> {
    let clients = log_in(crew, lampposts, place.gateway, Some(shared))?;
    let heard = Arc::new(Heard::new(subscribers as u64));
    // What they say before anybody listens is retained.
    let speakers = Speakers::new(clients, place.words, Arc::clone(shared), Arc::clone(&heard))?;
    let speakers = finish(crew, crew.start("first values", [speakers.once()]))?;
    say(&format!("  {subscribers} subscribers log in"));
    let listening = listen(crew, place, &heard)?;
    let measured = measure(crew, speakers, &heard, place, seconds);
    heard.stop.cancel();
    // Why a subscriber has failed says more than that nothing came.
    let told = crew.finish(listening, DRAINS_WITHIN)?;
    let (clients, full, (third, since)) = measured?;
    let mut ages: Vec<f64> =
        told.into_iter().flatten().filter(|told| told.time >= since.wall).map(|told| told.age_ms).collect();
    ages.sort_by(f64::total_cmp);
    Ok((clients.into_iter().map(Client::cut).collect(), Fanout { full, third, ages }))
}

fn listen(crew: &Crew, place: &Place<'_>, heard: &Arc<Heard>) -> anyhow::Result<Work<Vec<Told>>> {
    let tls = departments::client_tls(place.data)?;
    let subscribers = place.logins.iter().cycle().zip(0..heard.subscribers).map(|(login, number)| {
        let subscriber =
            Subscriber { number, login: login.clone(), tls: Arc::clone(&tls), server: place.listener };
        subscriber.listen(Arc::clone(heard))
    });
    Ok(crew.start("subscribers", subscribers))
}

type Measured = (Vec<Client>, Deliveries, (Deliveries, Due));

fn measure(
    crew: &Crew,
    speakers: Speakers,
    heard: &Arc<Heard>,
    place: &Place<'_>,
    seconds: u64,
) -> anyhow::Result<Measured> {
    let all = heard.subscribers;
    let subscribed = || heard.subscribed.load(Ordering::Relaxed) == all;
    heard.wait("all subscriptions to be answered", OPENS_WITHIN, subscribed)?;
    heard.settle(QUIET)?;
    let counts = heard.counts();
    say(&format!("  {} retained messages are there", counts.messages));

    let (speakers, full) = without_pause(crew, speakers, heard, place, seconds)?;
    ensure!(full.rate > 0.0, "nothing was delivered");
    #[expect(clippy::cast_precision_loss, reason = "thousands of subscribers, and twenty messages")]
    let of_tick = (all * messages_of_tick()) as f64;
    let (speakers, third, since) =
        when_due(crew, speakers, heard, place, (full.rate / 3.0 / of_tick, seconds))?;
    if let Some(api) = place.api {
        let Counts { messages, missed, .. } = heard.counts();
        for (figure, ours) in [("deliveries", messages), ("missed", missed)] {
            let counted = api.metric(&format!("lamplighter_feeds_{figure}"), "")?;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let differs = (counted - ours as f64).abs() > 0.5;
            ensure!(!differs, "the server counts {counted} {figure}, and its subscribers {ours}");
        }
    }
    Ok((speakers.into_clients(), full, (third, since)))
}

/// There is always more to deliver than is delivered.
fn without_pause(
    crew: &Crew,
    speakers: Speakers,
    heard: &Arc<Heard>,
    place: &Place<'_>,
    seconds: u64,
) -> anyhow::Result<(Speakers, Deliveries)> {
    say(&format!("fanout: {} subscribers are told as much as they take, {seconds} s", heard.subscribers));
    let stop = CancellationToken::new();
    let missed = heard.counts().missed;
    let work = crew.start("fanout", [speakers.without_pause(stop.clone())]);
    std::thread::sleep(WARM_UP);
    let (usage, before) = (Usage::begin(place.gateway)?, heard.counts());
    let all = Duration::from_secs(seconds);
    while let Some(left) = all.checked_sub(usage.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left.min(Duration::from_secs(5)));
        say(&format!("  {:.0} deliveries/s", heard.counts().since(before).rate(usage.elapsed())));
    }
    let (came, lasted, cpu) = (heard.counts().since(before), usage.elapsed(), usage.cpu()?);
    stop.cancel();
    let speakers = finish(crew, work)?;
    settle(heard, place)?;
    Ok((speakers, came.deliveries(lasted, heard.counts().missed.saturating_sub(missed), cpu)))
}

/// Lampposts speak so many times in each second, and how old their messages are when they come is noted. From the time that is
/// given back on it counts.
fn when_due(
    crew: &Crew,
    speakers: Speakers,
    heard: &Arc<Heard>,
    place: &Place<'_>,
    (ticks_per_second, seconds): (f64, u64),
) -> anyhow::Result<(Speakers, Deliveries, Due)> {
    let start = Due::now().after(Duration::from_millis(200));
    let measured = start.after(WARM_UP);
    let lasts = WARM_UP + Duration::from_secs(seconds);
    // They speak in turn, as one.
    let schedule = Schedule::new(start, 1, Duration::from_secs_f64(1.0 / ticks_per_second), lasts);
    say(&format!("fanout: {ticks_per_second:.1} ticks/s, {seconds} s"));
    let missed = heard.counts().missed;
    heard.notes_ages.store(true, Ordering::Relaxed);
    let work = crew.start("fanout at a third", [speakers.when_due(schedule)]);
    std::thread::sleep(measured.at.saturating_duration_since(Due::now().at));
    let (usage, before) = (Usage::begin(place.gateway)?, heard.counts());
    std::thread::sleep(schedule.end().at.saturating_duration_since(Due::now().at));
    let (came, lasted, cpu) = (heard.counts().since(before), usage.elapsed(), usage.cpu()?);
    let speakers = finish(crew, work)?;
    settle(heard, place)?;
    heard.notes_ages.store(false, Ordering::Relaxed);
    Ok((speakers, came.deliveries(lasted, heard.counts().missed.saturating_sub(missed), cpu), measured))
}

/// What a server neither delivers nor tells as missed is an error; a broker tells nothing of the kind.
fn settle(heard: &Heard, place: &Place<'_>) -> anyhow::Result<()> {
    let settled = heard.settle(QUIET);
    if place.api.is_none() && settled.is_err() && !heard.failed.load(Ordering::Relaxed) {
        heard.give_up();
        return Ok(());
    }
    settled
}

/// The only one of its kind.
fn finish(crew: &Crew, work: Work<Speakers>) -> anyhow::Result<Speakers> {
    let mut done = crew.finish(work, DRAINS_WITHIN)?;
    done.pop().ok_or_else(|| anyhow::anyhow!("nobody spoke"))
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages - before.messages,
            payloads: self.payloads - before.payloads,
            missed: self.missed - before.missed,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn rate(self, lasted: Duration) -> f64 {
        self.messages as f64 / lasted.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn deliveries(self, lasted: Duration, missed: u64, cpu: Cpu) -> Deliveries {
        let message_bytes = self.payloads as f64 / self.messages as f64;
        Deliveries { rate: self.rate(lasted), message_bytes, missed, cpu }
    }
}
