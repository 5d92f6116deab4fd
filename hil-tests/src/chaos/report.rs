//! What happened, and what became of what was read.

use std::io::{self, Write};

use super::account::Account;
use super::disk::Injected;
use crate::bench::Figures;

/// What befell the fleet, counted where it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Befell {
    /// `kill -9` of a process of agents.
    pub agents_killed: u64,
    /// `kill -9` of the server.
    pub server_killed: u64,
    /// SIGTERM to a process of agents.
    pub agents_stopped: u64,
    /// Processes of agents that ended by themselves, told to or because their disk failed.
    pub agents_ended: u64,
    /// Servers that ended by themselves or did not start, because their disk failed.
    pub server_ended: u64,
    /// SIGSTOP, and SIGCONT later, of a process of agents.
    pub agents_frozen: u64,
    /// The same of the server.
    pub server_frozen: u64,
    /// Outages that were longer than outboxes hold what is read.
    pub outages: u64,
    /// Times in which a road was slow.
    pub slow_roads: u64,
    /// Times in which a road was narrow.
    pub narrow_roads: u64,
    /// Times in which a road lost everything.
    pub lost_roads: u64,
    /// Times at which all connections of a road were closed.
    pub closings: u64,
    /// Times at which all connections of a road were closed in the middle of what they carried.
    pub tearings: u64,
    /// Times in which the disk of an outbox failed.
    pub agents_disks: u64,
    /// Times in which the disk of the journal failed.
    pub server_disks: u64,
    /// Connections that the roads carried.
    pub connections: u64,
    /// Of these, closed by a road.
    pub closed: u64,
    /// Closed in the middle of what they carried.
    pub torn: u64,
    /// Dead without a word.
    pub lost: u64,
    /// Pieces that were delayed.
    pub delayed: u64,
    /// Pieces that a narrow road carried.
    pub narrowed: u64,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Report {
    /// What befell the fleet.
    pub befell: Befell,
    /// Calls to the disk that failed: whose, which call, which error, how often.
    pub injected: Injected,
    /// What became of all observations.
    pub account: Account,
    /// Seconds until all that was owed had arrived, once the faults had stopped.
    pub drained_in: f64,
}

impl Report {
    /// Calls to the disk of these (`agents`, `server`) that failed; delays are not counted.
    pub fn failed_calls(&self, whose: &str) -> u64 {
        let theirs = self.injected.iter().filter(|((who, _, error), _)| who == whose && error != "delay");
        theirs.map(|(_, count)| count).sum()
    }

    /// All of it, by name.
    pub fn figures(&self) -> Figures {
        let Self { befell, account, .. } = self;
        let mut figures = Figures::default();
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let mut add = |name: String, count: u64| figures.add(name, count as f64, "");
        for (name, count) in [
            ("kill.agents", befell.agents_killed),
            ("kill.server", befell.server_killed),
            ("stop.agents", befell.agents_stopped),
            ("ended.agents", befell.agents_ended),
            ("ended.server", befell.server_ended),
            ("freeze.agents", befell.agents_frozen),
            ("freeze.server", befell.server_frozen),
            ("outages", befell.outages),
            ("road.slow", befell.slow_roads),
            ("road.narrow", befell.narrow_roads),
            ("road.gone", befell.lost_roads),
            ("road.closings", befell.closings),
            ("road.tearings", befell.tearings),
            ("disk.agents", befell.agents_disks),
            ("disk.server", befell.server_disks),
            ("road.connections", befell.connections),
            ("road.closed", befell.closed),
            ("road.torn", befell.torn),
            ("road.lost", befell.lost),
            ("road.delayed", befell.delayed),
            ("road.narrowed", befell.narrowed),
        ] {
            add(format!("chaos.{name}"), count);
        }
        for ((whose, call, error), count) in &self.injected {
            add(format!("chaos.disk.{whose}.{call}.{}", error.to_lowercase()), *count);
        }
        for (name, count) in [
            ("runs", account.runs),
            ("stops", account.stops),
            ("offered", account.offered),
            ("read", account.read),
            ("read.freed", account.freed),
            ("read.bad", account.bad),
            ("stored", account.stored),
            ("reported.dropped", account.dropped),
            ("reported.stopped", account.stopped),
            ("reported.rejected", account.rejected),
            ("missing", account.missing),
            ("wrong", account.wrong),
        ] {
            add(format!("chaos.{name}"), count);
        }
        figures.add("chaos.drained_in", self.drained_in, "s");
        figures
    }

    /// The table, and what is missing or wrong, in words.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { befell, account, .. } = self;
        let mut row = |what: &str, count: u64| writeln!(out, "{what:<58} {count:>12}");
        row("kill -9 of a process of agents", befell.agents_killed)?;
        row("kill -9 of the server", befell.server_killed)?;
        row("processes of agents told to stop", befell.agents_stopped)?;
        row("processes of agents that ended: stopped, or a failed disk", befell.agents_ended)?;
        row("servers that ended, or did not start: a failed disk", befell.server_ended)?;
        row("processes of agents stopped and continued", befell.agents_frozen)?;
        row("server stopped and continued", befell.server_frozen)?;
        row("streets cut off for longer than their outboxes hold", befell.outages)?;
        row("roads slow for a while", befell.slow_roads)?;
        row("roads narrow for a while", befell.narrow_roads)?;
        row("roads that lost everything for a while", befell.lost_roads)?;
        row("roads that cut all their connections", befell.closings)?;
        row("roads that cut all of them in the middle of a packet", befell.tearings)?;
        row("disks of outboxes that failed for a while", befell.agents_disks)?;
        row("disk of the journal failed for a while", befell.server_disks)?;
        row("connections carried", befell.connections)?;
        row("  cut", befell.closed)?;
        row("  cut in the middle of a packet", befell.torn)?;
        row("  lost without a word", befell.lost)?;
        row("pieces delayed", befell.delayed)?;
        row("pieces through a narrow road", befell.narrowed)?;
        for ((whose, call, error), count) in &self.injected {
            row(&format!("{whose}: {call}: {error}"), *count)?;
        }
        row("runs", account.runs)?;
        row("stops named", account.stops)?;
        row("observations offered by the world", account.offered)?;
        row("  named as missed while an agent was stopped", account.stopped)?;
        row("  read: on a lamppost's disk", account.read)?;
        row("    stored", account.stored)?;
        row("      of these freed since: the room was needed", account.freed)?;
        row("    dropped (reported)", account.dropped)?;
        row("    of all on disk bad: nothing could be read", account.bad)?;
        row("    rejected", account.rejected)?;
        row("missing: neither stored nor reported", account.missing)?;
        row("wrong: not what was read, not what was true, or twice", account.wrong)?;
        account.told.iter().try_for_each(|what| writeln!(out, "  {what}"))
    }
}
