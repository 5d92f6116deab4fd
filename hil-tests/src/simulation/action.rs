//! What may happen to a fleet, and a plan of it that follows from a seed.

use super::dice::Dice;

/// One thing that happens. Each carries the chance that decides its details, so that leaving one out of a plan changes
/// nothing about the others: that is what lets a failing plan shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) what: What,
    /// Which of several, and how.
    pub(super) chance: u64,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    // The fleet at work.
    Sample,
    /// A lamppost reports what became of commands.
    Report,
    Write,
    Sync,
    Connect,
    Pump,
    DeliverUp,
    DeliverDown,
    Commit,
    Ingest,
    Positions,
    /// A step of writing a checkpoint and trimming the journal.
    Seal,
    /// A lamppost says hello, and hears the answer.
    Greet,
    /// All of the above, for one lamppost, as far as it goes.
    Round,
    TimePasses,
    // The network.
    CutLink,
    BrokerForgets,
    BrokerRepeats,
    // Processes.
    AgentDies,
    AgentLosesPower,
    AgentDiesInAnEffect,
    AgentStarts,
    ServerDies,
    ServerLosesPower,
    ServerDiesInAnEffect,
    ServerStarts,
    // Disks.
    AgentDiskFails,
    ServerDiskFails,
    AgentDiskFull,
    AgentDiskReadOnly,
    AgentDiskHasRoom,
    ServerDiskFull,
    ServerDiskHasRoom,
    AgentSegmentDamaged,
    CheckpointDamaged,
    // Clocks.
    ClockJumps,
    ClockLearns,
    ServerClockJumps,
    // People.
    Reconfigure,
    ServerReplaced,
    BackUp,
    Restore,
    WipeOutbox,
    CloneOutbox,
    MoveOutbox,
    SecondAgent,
}

/// How often each happens, in parts of all.
const WEIGHTS: &[(What, usize)] = &[
    (What::Sample, 220),
    (What::Report, 60),
    (What::Write, 60),
    (What::Sync, 50),
    (What::Connect, 60),
    (What::Pump, 120),
    (What::DeliverUp, 150),
    (What::DeliverDown, 120),
    (What::Commit, 90),
    (What::Ingest, 70),
    (What::Positions, 50),
    (What::Seal, 100),
    (What::Greet, 30),
    (What::Round, 60),
    (What::TimePasses, 60),
    (What::CutLink, 25),
    (What::BrokerForgets, 30),
    (What::BrokerRepeats, 60),
    (What::AgentDies, 10),
    (What::AgentLosesPower, 10),
    (What::AgentDiesInAnEffect, 12),
    (What::AgentStarts, 60),
    (What::ServerDies, 6),
    (What::ServerLosesPower, 6),
    (What::ServerDiesInAnEffect, 8),
    (What::ServerStarts, 40),
    (What::AgentDiskFails, 8),
    (What::ServerDiskFails, 10),
    (What::AgentDiskFull, 4),
    (What::AgentDiskReadOnly, 3),
    (What::AgentDiskHasRoom, 8),
    (What::ServerDiskFull, 4),
    (What::ServerDiskHasRoom, 6),
    (What::AgentSegmentDamaged, 2),
    (What::CheckpointDamaged, 2),
    (What::ClockJumps, 4),
    (What::ClockLearns, 12),
    (What::ServerClockJumps, 6),
    (What::Reconfigure, 8),
    (What::ServerReplaced, 6),
    (What::BackUp, 30),
    (What::Restore, 8),
    (What::WipeOutbox, 1),
    (What::CloneOutbox, 2),
    (What::MoveOutbox, 1),
    (What::SecondAgent, 3),
];

/// The plan of a seed: how many lampposts, and what happens to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) lampposts: usize,
    /// Whether a broker stands between lampposts and gateway.
    pub(super) broker: bool,
    pub(super) actions: Vec<Action>,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let lampposts = 1 + dice.below(3);
        let broker = dice.chance(40);
        let steps = 100 + dice.below(300);
        // Each seed leaves out some of what can happen: rare things then meet in other company.
        let weights: Vec<(What, usize)> = WEIGHTS
            .iter()
            .copied()
            .filter(|(what, _)| *what <= What::TimePasses || dice.chance(70))
            .collect();
        let all: usize = weights.iter().map(|(_, weight)| weight).sum();
        let actions =
            (0..steps).map(|_| Action { what: choose(&weights, dice.below(all)), chance: dice.next_u64() });
        Self { seed, lampposts, broker, actions: actions.collect() }
    }
}

fn choose(weights: &[(What, usize)], mut at: usize) -> What {
    for (what, weight) in weights {
        if at < *weight {
            return *what;
        }
        at -= weight;
    }
    What::TimePasses
}
