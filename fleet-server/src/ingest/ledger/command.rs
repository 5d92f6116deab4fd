//! What lampposts report of commands.

use std::collections::BTreeMap;

use lamplighter_protocol::wire::CommandState;
use lamplighter_protocol::{CommandId, CommandReport, UtcMillis, limits};

/// Most commands of one lamppost of which is remembered what became of them; past it, the one that was reported first is
/// forgotten.
const MOST_COMMANDS: usize = 64;

/// How far a command has come, by its lamppost's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandStage {
    /// It came too late to be begun.
    Expired,
    /// It is on the lamppost's disk.
    Acknowledged,
    /// It could not be done.
    Failed,
    /// It is done.
    Done,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFate {
    /// How far it has come.
    pub stage: CommandStage,
    /// When it was that far.
    pub time: UtcMillis,
    /// Why it failed.
    pub detail: String,
    /// The journal's sequence of the entry that told of it.
    pub(in crate::ingest) entry: u64,
}

/// What became of the commands of one lamppost.
pub type CommandFates = BTreeMap<CommandId, CommandFate>;

/// Takes a report. Reports come in any order: the one that has come farthest counts.
pub(super) fn take(fates: &mut CommandFates, report: &CommandReport, entry: u64) {
    let Some(stage) = CommandStage::of(report.state) else { return };
    if fates.get(&report.id).is_some_and(|known| known.stage >= stage) {
        return;
    }
    let most = report.detail.floor_char_boundary(limits::MAX_DETAIL_BYTES);
    let detail = report.detail.get(..most).unwrap_or_default().to_owned();
    fates.insert(report.id, CommandFate { stage, time: report.time, detail, entry });
    if fates.len() > MOST_COMMANDS
        && let Some((&oldest, _)) = fates.iter().min_by_key(|(_, fate)| fate.entry)
    {
        fates.remove(&oldest);
    }
}

impl CommandStage {
    fn of(state: CommandState) -> Option<Self> {
        match state {
            CommandState::Unspecified => None,
            CommandState::Acknowledged => Some(Self::Acknowledged),
            CommandState::Done => Some(Self::Done),
            CommandState::Failed => Some(Self::Failed),
            CommandState::Expired => Some(Self::Expired),
        }
    }
}
