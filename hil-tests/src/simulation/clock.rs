//! The clock of a lamppost in the simulation: right, ahead or behind, or not known at all (D3).

use edge_agent::clock::{Boot, ClockTrust, Now};
use edge_agent::outbox::Beginning;
use lamplighter_protocol::UtcMillis;
use std::time::Duration;

use super::dice::Dice;
use super::world::wall;

/// How a machine comes by the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    /// It has a battery.
    KeepsTime,
    /// Somebody tells it, sooner or later after each boot.
    IsTold,
    /// Nobody does but the server, anew after each start of the agent.
    AsksServer,
}

/// What a lamppost's machine knows of the time.
#[derive(Debug)]
pub(super) struct PostClock {
    /// By how much what it believes is ahead of the true time.
    pub(super) ahead_ms: i64,
    /// Whether that was ever anything but nothing.
    pub(super) jumped: bool,
    /// Whether anybody has told it the time.
    pub(super) is_known: bool,
    pub(super) machine: Machine,
    /// By how much what it shows is ahead of the true time as long as nobody has told it.
    pub(super) off_ms: i64,
    pub(super) boot: [u8; 16],
    booted_ms: i64,
}

/// The clock of a server, which may be set wrongly for a while. It stamps what is received by the true time: what is judged
/// by that (D12) is another matter.
#[derive(Debug)]
pub(super) struct ServerClock {
    /// From when on it was how much ahead of the true time.
    set: Vec<(i64, i64)>,
}

/// What lampposts learn within this time is exact to this time.
const LEARNT_WITHIN_MS: i64 = 2_000;

impl ServerClock {
    pub(super) fn right() -> Self {
        Self { set: vec![(0, 0)] }
    }

    pub(super) fn set_ahead(&mut self, now_ms: i64, ahead_ms: i64) {
        self.set.push((now_ms, ahead_ms));
    }

    pub(super) fn shows(&self, wall: UtcMillis) -> UtcMillis {
        wall.plus_ms(self.set.last().map_or(0, |(_, ahead_ms)| *ahead_ms))
    }

    /// Whether it may just have said a time that is so much ahead of the true time.
    pub(super) fn may_have_said(&self, ahead_ms: i64, now_ms: i64) -> bool {
        let ends = self.set.iter().skip(1).map(|(since_ms, _)| *since_ms).chain([now_ms]);
        let lately = self.set.iter().zip(ends).filter(|(_, end_ms)| now_ms - end_ms <= LEARNT_WITHIN_MS);
        lately.into_iter().any(|((_, was_ms), _)| (ahead_ms - was_ms).abs() <= LEARNT_WITHIN_MS)
    }
}

impl PostClock {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let machine = match dice.below(6) {
            0..3 => Machine::KeepsTime,
            3..5 => Machine::IsTold,
            _ => Machine::AsksServer,
        };
        let mut clock = Self {
            ahead_ms: 0,
            jumped: false,
            is_known: true,
            machine,
            off_ms: 0,
            boot: [0; 16],
            booted_ms: 0,
        };
        clock.boots(dice, 0);
        clock
    }

    /// The machine boots.
    pub(super) fn boots(&mut self, dice: &mut Dice, now_ms: i64) {
        dice.fill(&mut self.boot);
        self.booted_ms = now_ms;
        if self.machine == Machine::KeepsTime {
            return;
        }
        self.is_known = false;
        // 1970; what it showed a while ago; anything.
        let off = [-wall(now_ms).0, -60_000, -7_200_000, 86_400_000, 3_000];
        // No two of them are the same, nor as a clock that is set wrongly.
        self.off_ms = dice.pick(&off).copied().unwrap_or(0) + 1 + i64::try_from(dice.below(900)).unwrap_or(0);
    }

    /// An agent's process ends.
    pub(super) fn agent_ends(&mut self) {
        if self.machine == Machine::AsksServer {
            self.is_known = false;
        }
    }

    /// What an agent that starts now is told.
    pub(super) fn beginning(&self, now_ms: i64) -> Beginning {
        let (ahead_ms, trust) = if self.is_known {
            (self.ahead_ms, ClockTrust::Sure)
        } else {
            (self.off_ms, ClockTrust::Unknown)
        };
        let since_boot = Duration::from_millis(u64::try_from(now_ms - self.booted_ms).unwrap_or(0));
        let now = Now { monotonic: Duration::ZERO, wall: wall(now_ms).plus_ms(ahead_ms), trust };
        Beginning { now, boot: Some(Boot { id: self.boot, at_zero: since_boot }) }
    }

    pub(super) fn set_ahead(&mut self, ahead_ms: i64) {
        self.ahead_ms = ahead_ms;
        self.jumped |= ahead_ms != 0;
    }
}
