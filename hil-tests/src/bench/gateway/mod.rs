//! `bench gateway`: what the gateway takes, how long it takes for it, and what a connection costs, with mosquitto beside it.

mod account;
mod caller;
mod client;
mod connection;
mod crew;
mod fanout;
mod flood;
mod lamppost;
mod load;
mod mosquitto;
mod schedule;
mod storm;
mod usage;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use self::account::Account;
use self::client::{Client, Shared, log_in};
use self::crew::{Crew, say};
use self::fanout::{Place, SPEAKERS, Words};
use self::lamppost::{Gateway, Lamppost};
use self::load::{Acknowledged, closed_loop, of_ticks, open_loop};
use self::mosquitto::Broker;
use self::storm::Storm;
use self::usage::settled_bytes;
use super::feed::Feed;
use super::figures::{Figures, quantile};
use crate::fleet::{Api, Binaries, Ending, ServerProcess, wait_for};

/// How the gateway is measured.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Lampposts that are connected, each with a certificate of its own.
    pub connections: usize,
    /// Lampposts that are connected and say nothing, to see what a connection costs.
    pub idle_connections: usize,
    /// Departments' clients that hear everything.
    pub subscribers: usize,
    /// How long each part is measured.
    pub seconds: u64,
    /// What is measured; all of it if none is named.
    pub only: Vec<GatewayPart>,
}

/// What can be measured on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GatewayPart {
    /// Memory of each idle connection
    Idle,
    /// Deliveries to departments, and latencies at a third of their rate
    Fanout,
    /// Throughput, and latencies at a third of it
    Load,
    /// What one client that floods and one that stalls do to the others
    Flood,
    /// All are cut, and come back; twice, the second time with TLS sessions to resume
    Storm,
    /// Mosquitto: idle, fan-out, load and storm
    Mosquitto,
}

/// File descriptors that are not connections.
const OTHER_DESCRIPTORS: usize = 200;

/// The feed tells of this property of every lamppost: one of the series of a tick, which is in one frame, so that all of them
/// are as old as this one.
const FOLLOWED: &str = "?property=noise_level";

/// Runs it.
///
/// Lampposts are played by one thread of this process, on the machine that the server is on too: real certificates, TLS 1.3,
/// one message in each write, `QoS` 1, each message a tick of twenty series that ingest stores. Each calls from a loopback
/// address of its own, for the gateway bounds what one address may try.
///
/// | figure | |
/// | --- | --- |
/// | `gateway.bytes_per_connection` | resident memory of the server, less that of the same server without connections, for each of the `idle_connections` that are logged in and subscribed |
/// | `gateway.fanout` | messages that departments' clients got in each second, all `subscribers` together, each of which hears every observation of fifty lampposts at `QoS` 0 and is a thousand messages behind on the average, so that there is always more to deliver. What was not delivered has to be told as missed, message by message, or it is an error; `gateway.fanout_missed` were |
/// | `gateway.fanout_p50`, `_p99`, `_max` | from when a tick was due at the lamppost until a client had its messages, at a third of that rate; `gateway.fanout_third_missed` did not come |
/// | `gateway.throughput` | observations acknowledged in each second, and so on disk; every connection has a window of a few messages (closed loop). What is stored is then compared with what was acknowledged: another number is an error |
/// | `gateway.ingest_behind` | seconds from the last acknowledgement until all of that was ingested |
/// | `gateway.durable_p50`, `_p99`, `_max` | from when a message was due to its PUBACK, at a third of that rate; what was sent late because the server was slow counts from when it was due (open loop) |
/// | `gateway.live_p50`, `_p99`, `_max` | the same to when a client of the live feed has read it; `gateway.live_missed` were not told |
/// | `gateway.flood_p99_ratio` | of the p99 from due to PUBACK with a tick a second of each connection: while two of them flood and stall, over before |
/// | `gateway.storm` | seconds from the cut of all connections until the last lamppost is live again: full TLS, login, subscription, hello and a tick acknowledged, with the waits of agents; `gateway.storm_again` with TLS sessions to resume, of which `gateway.storm_again_resumed` were |
/// | `.._server_cpu`, `.._generator_cpu` | shares of one core meanwhile |
/// | `mosquitto.*` | the same of mosquitto, which acknowledges what is in memory: nothing of it is durable, and with nobody subscribed it has nothing else to do. For fan-out the lampposts publish the messages themselves, at `QoS` 0 |
/// | `ratio.*` | the gateway's figure over mosquitto's |
///
/// # Errors
/// If the server or a client fails, a part takes too long, acknowledgements come out of order, or something else is stored than
/// was acknowledged. Names the part.
pub fn gateway(binaries: &Binaries, directory: &Path, options: &GatewayOptions) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let measured = measure(binaries, directory, options, &mut figures);
    if measured.is_err() && !figures.is_empty() {
        // A part fails late in a long run: what was found by then is not lost.
        figures.print(&mut std::io::stdout())?;
    }
    measured.map(|()| figures)
}

fn measure(
    binaries: &Binaries,
    directory: &Path,
    options: &GatewayOptions,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let has = |part| options.only.is_empty() || options.only.contains(&part);
    let parts =
        [GatewayPart::Idle, GatewayPart::Fanout, GatewayPart::Load, GatewayPart::Flood, GatewayPart::Storm];
    let own: Vec<GatewayPart> = parts.into_iter().filter(|part| has(*part)).collect();
    // On its own it has all that it has.
    let others: Vec<GatewayPart> = match (has(GatewayPart::Mosquitto), own.is_empty()) {
        (false, _) => Vec::new(),
        (true, true) => parts.to_vec(),
        (true, false) => own.clone(),
    };
    ensure!(options.connections > 2, "fewer than three connections are no crowd");
    ensure!(options.subscribers > 0, "without a subscriber nothing is delivered");
    let all = own.iter().chain(&others);
    let (mut count, mut connections) = (0, 0);
    for part in all {
        let (lampposts, subscribers) = match part {
            GatewayPart::Idle => (options.idle_connections, 0),
            GatewayPart::Fanout => (SPEAKERS, options.subscribers),
            GatewayPart::Load | GatewayPart::Flood | GatewayPart::Storm | GatewayPart::Mosquitto => {
                (options.connections, 0)
            }
        };
        count = count.max(lampposts);
        connections = connections.max(lampposts + subscribers);
    }
    let needed = connections + OTHER_DESCRIPTORS;
    let granted = rlimit::increase_nofile_limit(u64::MAX).context("cannot ask for file descriptors")?;
    ensure!(
        granted >= needed as u64,
        "{needed} file descriptors are needed, and {granted} are granted: raise the limit (ulimit -Hn), or measure fewer \
         connections (--connections, --idle-connections, --subscribers)"
    );

    let crew = Crew::new()?;
    let mut server = ServerProcess::start(binaries, directory)?;
    say(&format!("{count} lampposts are registered, and a certificate is issued to each"));
    let lampposts = lamppost::enlist(&server, &crew, count)?;
    let mut bench = Bench { crew, shared: Shared::new()?, lampposts, options, figures };
    let mut ours = Found::default();
    if own.contains(&GatewayPart::Idle) {
        ours.bytes = Some(bench.idle("gateway", Gateway::of(&server))?);
        // What follows begins with the memory of a server that was just started.
        server = server.restart(Ending::Stop)?;
    }
    let (data, logins) = (server.data(), fanout::add(&server)?);
    if own.contains(&GatewayPart::Fanout) {
        // It knows departments from its start on.
        server = server.restart(Ending::Stop)?;
        let (gateway, api) = (Gateway::of(&server), Some(server.api()));
        let (listener, words, data, logins) = (gateway.address, Words::Frames, &*data, &*logins);
        ours.fanout = Some(bench.fanout("gateway", &Place { gateway, listener, data, words, logins, api })?);
        server = server.restart(Ending::Stop)?;
    }
    bench.busy("gateway", Gateway::of(&server), Some(server.api()), &own, &mut ours)?;
    // Nobody needs what it has stored.
    server.end(Ending::Kill)?;

    if !others.is_empty() {
        let mut theirs = Found::default();
        let broker = || Broker::start(&directory.join("mosquitto"), &data);
        let Some(mut other) = broker()? else {
            say("mosquitto is not installed: there is nothing to compare with (apt-get install mosquitto)");
            return Ok(());
        };
        say("mosquitto: what it acknowledges is in memory, and nobody subscribes to that");
        if others.contains(&GatewayPart::Idle) {
            theirs.bytes = Some(bench.idle("mosquitto", other.gateway())?);
            drop(other);
            other = broker()?.context("mosquitto is gone")?;
        }
        if others.contains(&GatewayPart::Fanout) {
            let (gateway, listener, words) = (other.gateway(), other.departments(), Words::Messages);
            let (data, logins) = (&*data, &*logins);
            let place = Place { gateway, listener, data, words, logins, api: None };
            theirs.fanout = Some(bench.fanout("mosquitto", &place)?);
            drop(other);
            other = broker()?.context("mosquitto is gone")?;
        }
        bench.busy("mosquitto", other.gateway(), None, &others, &mut theirs)?;
        ours.compare(&theirs, bench.figures);
    }
    Ok(())
}

struct Bench<'a> {
    crew: Crew,
    shared: Arc<Shared>,
    /// Those that are not connected.
    lampposts: Vec<Lamppost>,
    options: &'a GatewayOptions,
    figures: &'a mut Figures,
}

/// What is compared.
#[derive(Default)]
struct Found {
    bytes: Option<f64>,
    fanout: Option<Fanned>,
    throughput: Option<f64>,
    acknowledged_p99: Option<f64>,
    storm: Option<f64>,
}

/// Deliveries in each second, and the p99 at a third of it.
#[derive(Clone, Copy)]
struct Fanned {
    rate: f64,
    p99: f64,
}

impl Bench<'_> {
    /// What each idle connection costs, in bytes.
    fn idle(&mut self, who: &str, gateway: Gateway) -> anyhow::Result<f64> {
        let count = self.options.idle_connections;
        say(&format!("{who}, idle: memory of {count} connections"));
        let alone = settled_bytes(gateway)?;
        let rest = self.lampposts.split_off(count);
        let clients = log_in(&self.crew, std::mem::take(&mut self.lampposts), gateway, None)?;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let each = (settled_bytes(gateway)? - alone) / count as f64;
        self.lampposts.extend(clients.into_iter().map(Client::cut).chain(rest));
        self.figures.add(format!("{who}.rss_without_connections"), alone, "bytes");
        self.figures.add(format!("{who}.bytes_per_connection"), each, "bytes");
        Ok(each)
    }

    /// What departments get of what some lampposts say.
    fn fanout(&mut self, who: &str, place: &Place<'_>) -> anyhow::Result<Fanned> {
        say(&format!("{who}, fan-out:"));
        let GatewayOptions { subscribers, seconds, .. } = *self.options;
        let rest = self.lampposts.split_off(SPEAKERS);
        let speakers = std::mem::replace(&mut self.lampposts, rest);
        let (speakers, found) =
            fanout::fanout(&self.crew, speakers, &self.shared, place, subscribers, seconds)?;
        self.lampposts.extend(speakers);
        #[expect(
            clippy::cast_precision_loss,
            reason = "thousands of subscribers, and what some of them missed"
        )]
        let (subscribers, missed, third_missed) =
            (subscribers as f64, found.full.missed as f64, found.third.missed as f64);
        let figure = |name: &str| format!("{who}.fanout{name}");
        self.figures.add(figure(""), found.full.rate, "1/s");
        self.figures.add(figure("_missed"), missed, "");
        self.figures.add(figure("_subscribers"), subscribers, "");
        self.figures.add(figure("_message_bytes"), found.full.message_bytes, "bytes");
        found.full.cpu.add(self.figures, &figure(""));
        self.figures.add(figure("_third"), found.third.rate, "1/s");
        self.figures.add(figure("_third_missed"), third_missed, "");
        self.add_times(&figure(""), &found.ages);
        found.third.cpu.add(self.figures, &figure("_third"));
        Ok(Fanned { rate: found.full.rate, p99: quantile(&found.ages, 0.99) })
    }

    /// All that the lampposts are logged in for. The API is that of the server; a broker has none.
    fn busy(
        &mut self,
        who: &str,
        gateway: Gateway,
        api: Option<&Api>,
        parts: &[GatewayPart],
        found: &mut Found,
    ) -> anyhow::Result<()> {
        if parts.iter().all(|part| matches!(part, GatewayPart::Idle | GatewayPart::Fanout)) {
            return Ok(());
        }
        say(&format!("{who}:"));
        let rest = self.lampposts.split_off(self.options.connections);
        let lampposts = std::mem::replace(&mut self.lampposts, rest);
        let mut clients = self.log_in(lampposts, gateway)?;
        if parts.contains(&GatewayPart::Load) {
            clients = self.load(who, clients, gateway, api, found)?;
        }
        if parts.contains(&GatewayPart::Flood) && api.is_some() {
            let (quiet, two, flood) =
                flood::flood(&self.crew, clients, &self.shared, gateway, self.options.seconds)?;
            clients = quiet;
            clients.extend(self.log_in(two, gateway)?);
            let (before, during) = (flood.before.p99(), flood.during.p99());
            self.figures.add("gateway.flood_messages", flood.rate, "1/s");
            self.figures.add("gateway.flood_p99_before", before, "ms");
            self.figures.add("gateway.flood_p99_during", during, "ms");
            flood.during.cpu.add(self.figures, "gateway.flood");
            self.figures.add("gateway.flood_p99_ratio", during / before, "");
        }
        if parts.contains(&GatewayPart::Storm) {
            for client in &mut clients {
                client.lamppost.remember_sessions();
            }
            let (back, first) = storm::storm(&self.crew, clients, &self.shared, gateway)?;
            ensure!(first.resumed == 0, "a storm of full handshakes had {} resumed", first.resumed);
            self.add_storm(&format!("{who}.storm"), first);
            let (back, again) = storm::storm(&self.crew, back, &self.shared, gateway)?;
            self.add_storm(&format!("{who}.storm_again"), again);
            found.storm = Some(first.seconds);
            clients = back;
        }
        self.lampposts.extend(clients.into_iter().map(Client::cut));
        Ok(())
    }

    fn log_in(&self, lampposts: Vec<Lamppost>, gateway: Gateway) -> anyhow::Result<Vec<Client>> {
        log_in(&self.crew, lampposts, gateway, Some(&self.shared))
    }

    fn load(
        &mut self,
        who: &str,
        clients: Vec<Client>,
        gateway: Gateway,
        api: Option<&Api>,
        found: &mut Found,
    ) -> anyhow::Result<Vec<Client>> {
        let (seconds, count) = (self.options.seconds, clients.len());
        let account = api.map(|api| Account::begin(api, &self.shared)).transpose()?;
        let (clients, throughput) = closed_loop(&self.crew, clients, &self.shared, gateway, seconds)?;
        ensure!(throughput.rate > 0.0, "throughput: nothing was acknowledged");
        self.figures.add(format!("{who}.throughput"), throughput.rate, "1/s");
        throughput.cpu.add(self.figures, &format!("{who}.throughput"));
        if let (Some(account), Some(api)) = (&account, api) {
            let behind = account.settle(api, &self.shared)?;
            self.figures.add("gateway.ingest_behind", behind, "s");
        }
        let feed = api.map(|api| Feed::follow(api, FOLLOWED));
        let rate = throughput.rate / of_ticks(1) / 3.0;
        let (clients, acknowledged) =
            open_loop("latency", &self.crew, clients, &self.shared, gateway, rate, seconds)?;
        self.figures.add(format!("{who}.latency_rate"), acknowledged.rate, "1/s");
        // Only the server's acknowledgement says that anything is on disk.
        let word = if api.is_some() { "durable" } else { "acknowledged" };
        self.add_times(&format!("{who}.{word}"), &acknowledged.times);
        if let Some(feed) = feed {
            self.add_live(feed, &acknowledged, count);
        }
        acknowledged.cpu.add(self.figures, &format!("{who}.latency"));
        if let (Some(account), Some(api)) = (account, api) {
            account.settle(api, &self.shared)?;
        }
        found.throughput = Some(throughput.rate);
        found.acknowledged_p99 = Some(acknowledged.p99());
        Ok(clients)
    }

    fn add_live(&mut self, feed: Feed, acknowledged: &Acknowledged, lampposts: usize) {
        let expected = acknowledged.ticks(lampposts);
        let is_measured = |time| time >= acknowledged.measured.wall;
        // What does not come is told as missed.
        let all = || (feed.count(is_measured) >= expected).then_some(());
        wait_for("the last event", Duration::from_secs(20), all).ok();
        let told = feed.stop().into_iter().filter(|told| is_measured(told.time));
        let mut ages: Vec<f64> = told.map(|told| told.age_ms).collect();
        ages.sort_by(f64::total_cmp);
        self.add_times("gateway.live", &ages);
        #[expect(clippy::cast_precision_loss, reason = "some millions")]
        self.figures.add("gateway.live_missed", expected.saturating_sub(ages.len()) as f64, "");
    }

    fn add_times(&mut self, figure: &str, times: &[f64]) {
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            self.figures.add(format!("{figure}_{name}"), quantile(times, share), "ms");
        }
    }

    fn add_storm(&mut self, figure: &str, storm: Storm) {
        self.figures.add(figure.to_owned(), storm.seconds, "s");
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        for (name, count) in [("attempts", storm.attempts as f64), ("resumed", storm.resumed as f64)] {
            self.figures.add(format!("{figure}_{name}"), count, "");
        }
        storm.cpu.add(self.figures, figure);
    }
}

impl Found {
    fn compare(&self, theirs: &Self, figures: &mut Figures) {
        for (figure, ours, theirs) in [
            ("ratio.bytes_per_connection", self.bytes, theirs.bytes),
            ("ratio.fanout", self.fanout.map(|own| own.rate), theirs.fanout.map(|own| own.rate)),
            ("ratio.fanout_p99", self.fanout.map(|own| own.p99), theirs.fanout.map(|own| own.p99)),
            ("ratio.throughput", self.throughput, theirs.throughput),
            ("ratio.acknowledged_p99", self.acknowledged_p99, theirs.acknowledged_p99),
            ("ratio.storm", self.storm, theirs.storm),
        ] {
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                figures.add(figure, ours / theirs, "");
            }
        }
    }
}
