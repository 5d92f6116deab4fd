//! The ledger as parts of a checkpoint, and back. Operators' decisions are among it, although no journal tells them.

use lamplighter_protocol::{
    CommandId, DeviceName, Digest, DropReason, IdError, Log, Nonce, OutboxId, RunId, SeriesName, SetAside,
    SetAsideReason, UtcMillis, limits,
};

use super::Ledger;
use super::account::{DroppedPart, Ends, PlacedBetween, RunAccount, RunOpening};
use super::command::{CommandFate, CommandStage};
use super::described::{Described, DescribedSpan, Times};
use super::outbox::{Life, NamedLog, NamedRun, Outbox, OutboxDecision};
use super::set_aside::AsideReport;
use super::span::{Span, Spans};
use super::tally::{Rejection, Tallied};
use crate::checkpoint::{WrongPart, wire};
use crate::ingest::lengths::{lengths, pieces};
use wire::part::Body;

impl Ledger {
    /// Adds its parts, in order.
    pub(in crate::ingest) fn parts(&self, into: &mut Vec<Body>) {
        into.push(Body::Ledger(wire::Ledger {
            latest_received_ms: self.latest_received.0,
            unplaced: self.unplaced,
            tallies_unplaced: self.tallies.unplaced,
            unreadable: self.tallies.unreadable,
            forgotten_to_ms: self.forgotten_to.map(|time| time.0),
            commands: self.commands.iter().map(|(id, fate)| fate_message(*id, fate)).collect(),
        }));
        for (run, account) in &self.runs {
            into.push(Body::Account(account_message(*run, account)));
            for log in Log::ALL {
                let dropped = account.log(log).dropped.iter();
                into.extend(dropped.map(|(reason, part)| Body::Dropped(dropped_message(log, *reason, part))));
            }
        }
        for (id, outbox) in &self.outboxes {
            into.push(Body::Outbox(outbox_message(*id, outbox)));
            into.extend(outbox.lives.iter().map(|life| Body::Life(life_message(life))));
        }
        for (series, tallied) in &self.tallies.spans {
            into.extend(
                tallied.iter().map(|(why, spans)| Body::Tallied(tallied_message(series, *why, spans))),
            );
        }
    }
}

/// Puts ledgers together again, part by part.
#[derive(Debug, Default)]
pub(in crate::ingest) struct LedgerRestore {
    /// What was dropped is of this one.
    run: Option<RunId>,
    /// Lives are of this one.
    outbox: Option<OutboxId>,
}

impl LedgerRestore {
    /// Takes a part of this ledger.
    pub(in crate::ingest) fn restore(&mut self, ledger: &mut Ledger, part: Body) -> Result<(), WrongPart> {
        match part {
            Body::Ledger(message) => {
                *self = Self::default();
                ledger.latest_received = UtcMillis(message.latest_received_ms);
                ledger.unplaced = message.unplaced;
                ledger.tallies.unplaced = message.tallies_unplaced;
                ledger.tallies.unreadable = message.unreadable;
                ledger.forgotten_to = message.forgotten_to_ms.map(UtcMillis);
                ledger.commands = message.commands.into_iter().map(fate_of).collect::<Result<_, _>>()?;
            }
            Body::Account(message) => {
                let (run, account) = account_of(&message)?;
                ledger.runs.insert(run, account);
                self.run = Some(run);
            }
            Body::Dropped(message) => self.dropped(ledger, message)?,
            Body::Outbox(message) => {
                let id = id(OutboxId::from_slice(&message.id))?;
                ledger.outboxes.insert(id, outbox_of(id, &message)?);
                self.outbox = Some(id);
            }
            Body::Life(message) => {
                let outbox = self.outbox.and_then(|id| ledger.outboxes.get_mut(&id));
                outbox.ok_or(WrongPart("a life without its outbox"))?.lives.push(life_of(message)?);
            }
            Body::Tallied(message) => {
                let (series, why, spans) = tallied_of(message)?;
                ledger.tallies.places += 1;
                ledger.tallies.spans.entry(series).or_default().insert(why, spans);
            }
            Body::Ingest(_)
            | Body::Description(_)
            | Body::Lamppost(_)
            | Body::Run(_)
            | Body::Opening(_)
            | Body::Named(_)
            | Body::Quarantined(_)
            | Body::Tail(_)
            | Body::Series(_)
            | Body::Block(_)
            | Body::End(_) => return Err(WrongPart("a part of a ledger that is none")),
        }
        Ok(())
    }

    fn dropped(&self, ledger: &mut Ledger, message: wire::DroppedPart) -> Result<(), WrongPart> {
        let reason = match message.reason() {
            wire::DropReason::Bytes => DropReason::Bytes,
            wire::DropReason::Age => DropReason::Age,
            wire::DropReason::Damaged => DropReason::Damaged,
            wire::DropReason::Unspecified => return Err(WrongPart("a reason that is none")),
        };
        let mut part = DroppedPart::of(pieces(&message.pieces)?);
        for one in message.series {
            let span = one.span.ok_or(WrongPart("a series without its span"))?;
            part.add(name_of(one.name)?, span_of(&span));
        }
        let account = self.run.and_then(|run| ledger.runs.get_mut(&run));
        let account = account.ok_or(WrongPart("what was dropped without its run"))?;
        let log = if message.events { Log::Events } else { Log::Samples };
        ledger.dropped_pieces += part.size().pieces;
        ledger.dropped_series += part.size().series;
        account.log_mut(log).dropped.insert(reason, part);
        Ok(())
    }
}

fn account_message(run: RunId, account: &RunAccount) -> wire::Account {
    let described = account.described.0.iter().map(|span| wire::DescribedSpan {
        first: span.first,
        last: span.last,
        description: span.description.0.to_vec(),
        first_ms: span.times.map(|times| times.first.0),
        last_ms: span.times.map(|times| times.last.0),
    });
    wire::Account {
        run: run.0.to_vec(),
        touched: account.touched,
        is_held: account.is_held,
        opening: account.opening.as_ref().map(|opening| wire::RunOpening {
            before: opening.before.map(|run| run.0.to_vec()).unwrap_or_default(),
            samples_end: opening.ends.samples,
            events_end: opening.ends.events,
            ended_ms: opening.ended.map(|time| time.0),
            opened_ms: opening.opened.0,
            description: opening.description.0.to_vec(),
            received_ms: opening.received.0,
        }),
        placed: account.placed.map(|placed| wire::PlacedBetween {
            earliest_ms: placed.earliest.map(|time| time.0),
            latest_ms: placed.latest.0,
        }),
        samples_stated: account.samples.stated,
        events_stated: account.events.stated,
        described: described.collect(),
    }
}

fn account_of(message: &wire::Account) -> Result<(RunId, RunAccount), WrongPart> {
    let mut account =
        RunAccount { touched: message.touched, is_held: message.is_held, ..RunAccount::default() };
    account.samples.stated = message.samples_stated;
    account.events.stated = message.events_stated;
    account.placed = message.placed.as_ref().map(|placed| PlacedBetween {
        earliest: placed.earliest_ms.map(UtcMillis),
        latest: UtcMillis(placed.latest_ms),
    });
    if let Some(opening) = &message.opening {
        let before = Some(&opening.before).filter(|run| !run.is_empty());
        account.opening = Some(RunOpening {
            before: before.map(|run| id(RunId::from_slice(run))).transpose()?,
            ends: Ends { samples: opening.samples_end, events: opening.events_end },
            ended: opening.ended_ms.map(UtcMillis),
            opened: UtcMillis(opening.opened_ms),
            description: id(Digest::from_slice(&opening.description))?,
            received: UtcMillis(opening.received_ms),
        });
    }
    let described = message.described.iter().map(|span| {
        let times = span.first_ms.zip(span.last_ms);
        Ok(DescribedSpan {
            first: span.first,
            last: span.last,
            description: id(Digest::from_slice(&span.description))?,
            times: times.map(|(first, last)| Times { first: UtcMillis(first), last: UtcMillis(last) }),
        })
    });
    account.described = Described(described.collect::<Result<_, _>>()?);
    let is_sorted = account.described.0.is_sorted_by(|one, next| one.last < next.first);
    let is_right = is_sorted && account.described.0.iter().all(|span| span.first <= span.last);
    let run = id(RunId::from_slice(&message.run))?;
    is_right.then_some((run, account)).ok_or(WrongPart("descriptions of a run that are out of order"))
}

fn dropped_message(log: Log, reason: DropReason, part: &DroppedPart) -> wire::DroppedPart {
    let reason = match reason {
        DropReason::Bytes => wire::DropReason::Bytes,
        DropReason::Age => wire::DropReason::Age,
        DropReason::Damaged => wire::DropReason::Damaged,
    };
    let series = part.series().map(|(name, span)| wire::SeriesSpan {
        name: Some(name_message(name)),
        span: Some(span_message(span)),
    });
    wire::DroppedPart {
        events: log == Log::Events,
        reason: reason.into(),
        pieces: lengths(&part.pieces),
        series: series.collect(),
    }
}

fn outbox_message(id: OutboxId, outbox: &Outbox) -> wire::Outbox {
    let decision = outbox.decision.map(|decision| match decision {
        OutboxDecision::Close { at } => wire::outbox::Decision::ClosedMs(at.0),
        OutboxDecision::Release { at } => wire::outbox::Decision::ReleasedMs(at.0),
    });
    wire::Outbox {
        id: id.0.to_vec(),
        first_heard_ms: outbox.first_heard.map(|time| time.0),
        decision,
        set_aside: outbox.aside.as_ref().map(aside_message),
    }
}

fn outbox_of(id: OutboxId, message: &wire::Outbox) -> Result<Outbox, WrongPart> {
    let decision = message.decision.as_ref().map(|decision| match *decision {
        wire::outbox::Decision::ClosedMs(at) => OutboxDecision::Close { at: UtcMillis(at) },
        wire::outbox::Decision::ReleasedMs(at) => OutboxDecision::Release { at: UtcMillis(at) },
    });
    let aside = message.set_aside.as_ref().map(|aside| aside_of(id, aside)).transpose()?;
    Ok(Outbox { first_heard: message.first_heard_ms.map(UtcMillis), lives: Vec::new(), decision, aside })
}

fn aside_message(aside: &AsideReport) -> wire::SetAside {
    let AsideReport { since, by, told } = aside;
    let reason = match told.reason {
        SetAsideReason::OtherLamppost => wire::SetAsideReason::OtherLamppost,
        SetAsideReason::OtherHardware => wire::SetAsideReason::OtherHardware,
        SetAsideReason::DamagedIdentity => wire::SetAsideReason::DamagedIdentity,
        SetAsideReason::NoIdentity => wire::SetAsideReason::NoIdentity,
        SetAsideReason::Unknown => wire::SetAsideReason::Unspecified,
    };
    wire::SetAside {
        since_ms: since.0,
        by: by.0.to_vec(),
        lamppost: told.lamppost.as_ref().map(ToString::to_string).unwrap_or_default(),
        hardware_serial: told.hardware_serial.clone(),
        reason: reason.into(),
        bytes: told.bytes,
        runs: told.runs,
        first_ms: told.first.map(|time| time.0),
        last_ms: told.last.map(|time| time.0),
    }
}

fn aside_of(outbox: OutboxId, message: &wire::SetAside) -> Result<AsideReport, WrongPart> {
    let reason = match message.reason() {
        wire::SetAsideReason::OtherLamppost => SetAsideReason::OtherLamppost,
        wire::SetAsideReason::OtherHardware => SetAsideReason::OtherHardware,
        wire::SetAsideReason::DamagedIdentity => SetAsideReason::DamagedIdentity,
        wire::SetAsideReason::NoIdentity => SetAsideReason::NoIdentity,
        wire::SetAsideReason::Unspecified => SetAsideReason::Unknown,
    };
    let lamppost = Some(&message.lamppost).filter(|number| !number.is_empty());
    let told = SetAside {
        outbox,
        lamppost: lamppost.map(|number| id(number.parse())).transpose()?,
        hardware_serial: message.hardware_serial.clone(),
        reason,
        bytes: message.bytes,
        runs: message.runs,
        first: message.first_ms.map(UtcMillis),
        last: message.last_ms.map(UtcMillis),
    };
    Ok(AsideReport { since: UtcMillis(message.since_ms), by: id(OutboxId::from_slice(&message.by))?, told })
}

fn fate_message(id: CommandId, fate: &CommandFate) -> wire::CommandFate {
    let state = match fate.stage {
        CommandStage::Expired => wire::CommandState::Expired,
        CommandStage::Acknowledged => wire::CommandState::Acknowledged,
        CommandStage::Failed => wire::CommandState::Failed,
        CommandStage::Done => wire::CommandState::Done,
    };
    wire::CommandFate {
        id: id.0.to_vec(),
        state: state.into(),
        time_ms: fate.time.0,
        detail: fate.detail.clone(),
        entry: fate.entry,
    }
}

fn fate_of(message: wire::CommandFate) -> Result<(CommandId, CommandFate), WrongPart> {
    let stage = match message.state() {
        wire::CommandState::Expired => CommandStage::Expired,
        wire::CommandState::Acknowledged => CommandStage::Acknowledged,
        wire::CommandState::Failed => CommandStage::Failed,
        wire::CommandState::Done => CommandStage::Done,
        wire::CommandState::Unspecified => return Err(WrongPart("a state of a command that is none")),
    };
    let (time, entry) = (UtcMillis(message.time_ms), message.entry);
    let fate = CommandFate { stage, time, detail: message.detail, entry };
    Ok((id(CommandId::from_slice(&message.id))?, fate))
}

fn life_message(life: &Life) -> wire::Life {
    let named = life.named.iter().map(|(run, named)| wire::ClaimedRun {
        run: run.0.to_vec(),
        samples: lengths(&named.samples.pieces),
        samples_open_from: named.samples.open_from,
        events: lengths(&named.events.pieces),
        events_open_from: named.events.open_from,
    });
    wire::Life {
        run: life.run.0.to_vec(),
        first_heard_ms: life.first_heard.0,
        last_heard_ms: life.last_heard.0,
        hardware_serial: life.hardware_serial.clone(),
        nonce: life.nonce.0.to_vec(),
        count: life.count,
        earlier_nonces: life.earlier_nonces.iter().map(|nonce| nonce.0.to_vec()).collect(),
        named: named.collect(),
        names_all: life.names_all,
    }
}

fn life_of(message: wire::Life) -> Result<Life, WrongPart> {
    if message.named.len() > limits::MAX_RUNS_PER_HELLO {
        return Err(WrongPart("a hello of too many runs"));
    }
    let named = message.named.iter().map(|named| {
        let (samples, events) = (pieces(&named.samples)?, pieces(&named.events)?);
        let named_run = NamedRun {
            samples: NamedLog { pieces: samples, open_from: named.samples_open_from },
            events: NamedLog { pieces: events, open_from: named.events_open_from },
        };
        Ok((id(RunId::from_slice(&named.run))?, named_run))
    });
    let nonce = |bytes: &Vec<u8>| id(Nonce::from_slice(bytes));
    Ok(Life {
        run: id(RunId::from_slice(&message.run))?,
        first_heard: UtcMillis(message.first_heard_ms),
        last_heard: UtcMillis(message.last_heard_ms),
        nonce: nonce(&message.nonce)?,
        count: message.count,
        earlier_nonces: message.earlier_nonces.iter().map(nonce).collect::<Result<_, _>>()?,
        named: named.collect::<Result<_, _>>()?,
        names_all: message.names_all,
        hardware_serial: message.hardware_serial,
    })
}

fn tallied_message(series: &SeriesName, why: Tallied, spans: &Spans) -> wire::Tallied {
    let why = match why {
        Tallied::Late => wire::TalliedAs::Late,
        Tallied::Rejected(Rejection::Future) => wire::TalliedAs::Future,
        Tallied::Rejected(Rejection::Retention) => wire::TalliedAs::Retention,
        Tallied::Rejected(Rejection::Type) => wire::TalliedAs::Type,
        Tallied::Rejected(Rejection::UnknownProperty) => wire::TalliedAs::UnknownProperty,
        Tallied::Rejected(Rejection::TooManySeries) => wire::TalliedAs::TooManySeries,
    };
    wire::Tallied {
        name: Some(name_message(series)),
        why: why.into(),
        spans: spans.iter().map(span_message).collect(),
    }
}

fn tallied_of(message: wire::Tallied) -> Result<(SeriesName, Tallied, Spans), WrongPart> {
    let why = match message.why() {
        wire::TalliedAs::Late => Tallied::Late,
        wire::TalliedAs::Future => Tallied::Rejected(Rejection::Future),
        wire::TalliedAs::Retention => Tallied::Rejected(Rejection::Retention),
        wire::TalliedAs::Type => Tallied::Rejected(Rejection::Type),
        wire::TalliedAs::UnknownProperty => Tallied::Rejected(Rejection::UnknownProperty),
        wire::TalliedAs::TooManySeries => Tallied::Rejected(Rejection::TooManySeries),
        wire::TalliedAs::Unspecified => return Err(WrongPart("a reason that is none")),
    };
    let mut spans = Spans::default();
    for span in &message.spans {
        // Without a period none of them becomes one with another.
        spans.add(span_of(span), None);
    }
    Ok((name_of(message.name)?, why, spans))
}

fn name_message(name: &SeriesName) -> wire::SeriesName {
    wire::SeriesName {
        device: name.device.to_string(),
        property: name.property.to_string(),
        channel: name.channel.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn name_of(message: Option<wire::SeriesName>) -> Result<SeriesName, WrongPart> {
    let wire::SeriesName { device, property, channel } =
        message.ok_or(WrongPart("something of a series without its name"))?;
    let channel = Some(channel).filter(|channel| !channel.is_empty());
    Ok(SeriesName {
        device: id(DeviceName::new(&device))?,
        property: id(property.parse())?,
        channel: channel.map(|channel| id(channel.parse())).transpose()?,
    })
}

fn span_message(span: Span) -> wire::Span {
    wire::Span { first_ms: span.first.0, last_ms: span.last.0, count: span.count }
}

fn span_of(message: &wire::Span) -> Span {
    Span { first: UtcMillis(message.first_ms), last: UtcMillis(message.last_ms), count: message.count }
}

fn id<T>(read: Result<T, IdError>) -> Result<T, WrongPart> {
    read.map_err(|_| WrongPart("an id that is none"))
}
