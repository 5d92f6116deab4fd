//! Commands that concern outboxes that were set aside (D14). A command is on disk before it is acknowledged, and acknowledged
//! before it is begun; one that was begun is gone on with by the next start, whatever interrupted it. What became of it is
//! an event like any other.

use std::path::Path;

use lamplighter_protocol::wire::CommandState;
use lamplighter_protocol::{
    Command, CommandAction, CommandId, CommandReport, Log, Record, UtcMillis, limits,
};

use super::adopt::{self, Adopted};
use super::disk::Disk;
use super::error::{OutboxError, chain};
use super::files::Files;
use super::kept::{self, Decision, Kept, Stage};
use super::queue::{Append, Times};
use super::room::Purpose;
use super::run::Run;
use super::set_aside::Aside;
use super::{identity, set_aside};
use crate::clock::{ClockTrust, Now};

/// Most commands that are remembered, so that one that comes again is not done again; the oldest that are done are
/// forgotten first.
const MOST_KEPT: usize = 64;

/// What became of a command that an earlier run had begun.
#[derive(Debug)]
pub(super) struct Resumed {
    kept: Kept,
    stage: Stage,
}

/// When something is reported.
#[derive(Clone, Copy, Debug)]
struct When(UtcMillis, Times);

impl When {
    fn of(now: Now) -> Self {
        let times = match now.trust {
            ClockTrust::Sure | ClockTrust::Unsure => Times::Known,
            ClockTrust::Unknown => Times::Provisional,
        };
        Self(now.wall, times)
    }
}

impl Files {
    /// Does what a command says, as far as it concerns outboxes, and reports it. One that comes again is only reported again.
    pub(super) fn command(&mut self, command: &Command, now: Now) -> Result<(), OutboxError> {
        let when = When::of(now);
        if let Some(stage) = self.commands.iter().find(|kept| kept.id == command.id).map(|kept| &kept.stage) {
            let stage = stage.clone();
            return self.report_command(command.id, &stage, when);
        }
        let kept = match self.accept(command, now) {
            Ok(kept) => kept,
            Err((state, detail)) => return self.tell_command(command.id, state, detail, when),
        };
        self.keep_command(kept.clone())?;
        self.tell_command(command.id, CommandState::Acknowledged, "", when)?;
        let stage = self.perform(&kept)?;
        self.report_command(command.id, &stage, when)?;
        self.keep_command(Kept { stage, ..kept })
    }

    /// Reports what this start has gone on with; its run has begun.
    pub(super) fn report_resumed(&mut self, resumed: Vec<Resumed>) -> Result<(), OutboxError> {
        let when = When(self.now, Times::Known);
        for Resumed { kept, stage } in resumed {
            self.report_command(kept.id, &stage, when)?;
            self.keep_command(Kept { stage, ..kept })?;
        }
        Ok(())
    }

    /// The command as it is to be kept, or why it is not begun.
    fn accept(&self, command: &Command, now: Now) -> Result<Kept, (CommandState, &'static str)> {
        // By a clock that may be years off nothing expires: whoever sent it sends it again as long as it stands.
        if now.trust == ClockTrust::Sure && command.expires < now.wall {
            return Err((CommandState::Expired, ""));
        }
        let failed = |detail| Err((CommandState::Failed, detail));
        let (decision, outbox) = match command.action {
            Some(CommandAction::ReleaseOutbox(outbox)) => (Decision::Release, outbox),
            Some(CommandAction::CloseOutbox(outbox)) => (Decision::Close, outbox),
            Some(CommandAction::ReadNow(_)) => return failed("this version reads no device by command"),
            None => return failed("this version does not know what the command says"),
        };
        let Some(aside) = self.asides.iter().find(|aside| aside.told.outbox == outbox) else {
            return failed("no outbox of this id is set aside here");
        };
        let is_ours = aside.told.lamppost.as_ref() == Some(&self.lamppost);
        if decision == Decision::Release && !is_ours {
            return failed(
                "the outbox is not known to belong to this lamppost's number: it can only be closed",
            );
        }
        Ok(Kept { id: command.id, outbox, number: aside.number, decision, stage: Stage::Begun })
    }

    fn perform(&mut self, kept: &Kept) -> Result<Stage, OutboxError> {
        let directory = identity::aside_path(&self.directory, kept.number);
        tracing::warn!(outbox = %kept.outbox, aside = %directory.display(), decision = ?kept.decision, "an operator has decided");
        let stage = match kept.decision {
            Decision::Release => {
                let adopted = adopt::adopt(&*self.disk, &directory, &self.directory)?;
                let stage = released(&*self.disk, &directory, &adopted);
                self.take_over(adopted)?;
                stage
            }
            Decision::Close => closed(&*self.disk, &directory),
        };
        self.asides = set_aside::find(&*self.disk, &self.directory, (&self.lamppost, self.outbox())).into();
        Ok(stage)
    }

    /// Runs that have moved here are here from now on, before all others.
    fn take_over(&mut self, adopted: Adopted) -> Result<(), OutboxError> {
        let Adopted { runs, reports, damaged, lacking, left: _, failed: _ } = adopted;
        self.plan.mend(lacking);
        self.bytes += runs.iter().map(Run::bytes).sum::<u64>();
        self.damaged += damaged.len() as u64;
        self.damage_found = true;
        self.runs.splice(0..0, runs);
        self.finish_drops(&reports)?;
        self.date_adopted()?;
        // Found anew with the next write.
        self.oldest_gone = true;
        Ok(())
    }

    fn report_command(&mut self, id: CommandId, stage: &Stage, when: When) -> Result<(), OutboxError> {
        match stage {
            Stage::Begun => self.tell_command(id, CommandState::Acknowledged, "", when),
            Stage::Done => self.tell_command(id, CommandState::Done, "", when),
            Stage::Failed(detail) => self.tell_command(id, CommandState::Failed, detail, when),
        }
    }

    fn tell_command(
        &mut self,
        id: CommandId,
        state: CommandState,
        detail: &str,
        When(time, times): When,
    ) -> Result<(), OutboxError> {
        tracing::info!(command = %id, ?state, detail, "command");
        let report = CommandReport { id, state, time, detail: detail.to_owned() };
        self.append(Append::record(Log::Events, &Record::Command(report), times))?;
        self.write()
    }

    fn keep_command(&mut self, kept: Kept) -> Result<(), OutboxError> {
        let mut commands: Vec<Kept> =
            self.commands.iter().filter(|known| known.id != kept.id).cloned().collect();
        commands.push(kept);
        while commands.len() > MOST_KEPT {
            let done = commands.iter().position(|known| known.stage != Stage::Begun);
            commands.remove(done.unwrap_or(0));
        }
        self.in_space(Purpose::Kept, |files| kept::write(&*files.disk, &files.directory, &commands))?;
        self.commands = commands;
        Ok(())
    }
}

/// Goes on with what was begun, before the runs of the living outbox are looked at.
pub(super) fn resume(
    disk: &dyn Disk,
    living: &Path,
    commands: &[Kept],
    asides: &[Aside],
) -> Result<Vec<Resumed>, OutboxError> {
    let mut resumed = Vec::new();
    for kept in commands.iter().filter(|kept| kept.stage == Stage::Begun) {
        let directory = identity::aside_path(living, kept.number);
        let aside = asides.iter().find(|aside| aside.number == kept.number);
        let stage = match (aside, kept.decision) {
            // It is gone, or its place another's.
            (None, _) => Stage::Done,
            (Some(aside), _) if is_another(aside, kept) => Stage::Done,
            (Some(_), Decision::Close) => closed(disk, &directory),
            (Some(_), Decision::Release) => {
                released(disk, &directory, &adopt::adopt(disk, &directory, living)?)
            }
        };
        resumed.push(Resumed { kept: kept.clone(), stage });
    }
    Ok(resumed)
}

/// Whether an outbox is certainly not the one that a command is about.
fn is_another(aside: &Aside, kept: &Kept) -> bool {
    // One that is half deleted may have lost what its id was made of.
    aside.told.lamppost.is_some() && aside.told.outbox != kept.outbox
}

fn closed(disk: &dyn Disk, directory: &Path) -> Stage {
    adopt::delete(disk, directory).map_or_else(
        |error| failed(&format!("it is not wholly deleted: {}", chain(&error))),
        |()| Stage::Done,
    )
}

/// Deletes what is left of an outbox whose runs have moved, if all of them have.
fn released(disk: &dyn Disk, directory: &Path, adopted: &Adopted) -> Stage {
    if let Some(error) = &adopted.failed {
        return failed(&format!(
            "{} runs are taken over, others are not: {}",
            adopted.runs.len(),
            chain(error)
        ));
    }
    if adopted.left > 0 {
        return failed(&format!(
            "{} runs are taken over; {} stay set aside, which are here already or are no runs",
            adopted.runs.len(),
            adopted.left
        ));
    }
    if let Err(error) = adopt::delete(disk, directory) {
        // All that it had to send is here.
        tracing::error!(error = %chain(&error), "the rest of a released outbox cannot be deleted");
    }
    Stage::Done
}

fn failed(detail: &str) -> Stage {
    tracing::error!(detail, "a decision about an outbox could not be carried out");
    let most = detail.floor_char_boundary(limits::MAX_DETAIL_BYTES);
    Stage::Failed(detail.get(..most).unwrap_or_default().to_owned())
}
