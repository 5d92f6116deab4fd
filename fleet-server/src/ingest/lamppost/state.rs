//! What ingest knows of a lamppost as parts of a checkpoint, and back.
//!
//! Where the store keeps its series is not among it: that is found anew when it first writes.

use std::sync::Arc;

use lamplighter_protocol::{
    Digest, Hello, IdError, LamppostNumber, Log, Nonce, Opening, OutboxId, RunHeld, RunId, UtcMillis, limits,
};

use super::super::current::Current;
use super::super::known::{Descriptions, Known};
use super::super::lengths::{lengths, pieces};
use super::super::named::Named;
use super::{Lamppost, Opened, Run, SaidHello};
use crate::checkpoint::{WrongPart, wire};

impl Lamppost {
    /// Adds its parts, in order.
    pub(in crate::ingest) fn parts(&self, number: &LamppostNumber, into: &mut Vec<wire::part::Body>) {
        into.push(wire::part::Body::Lamppost(wire::Lamppost {
            number: number.to_string(),
            hello: self.hello.as_ref().map(hello_message),
            introduced: self.introduced,
            introduced_bytes: self.introduced_bytes as u64,
            lacking: self.lacking.iter().map(|digest| digest.0.to_vec()).collect(),
            current: self.current.as_ref().map(|current| wire::Current {
                description: current.digest.0.to_vec(),
                newest_ms: current.newest().map(|time| time.0),
            }),
            last_observation_ms: self.last_observation.map(|time| time.0),
            freshness_ms: self.freshness.map(|time| time.0),
            last_position_ms: self.last_position.0,
            last_acknowledged_ms: self.last_acknowledged.map(|time| time.0),
        }));
        let mut runs: Vec<_> = self.runs.iter().collect();
        runs.sort_unstable_by_key(|(run, _)| **run);
        into.extend(runs.into_iter().map(|(id, run)| wire::part::Body::Run(run_message(*id, run))));
        into.extend(self.openings.iter().map(|opened| wire::part::Body::Opening(opening_message(opened))));
        let named = self.hello.iter().flat_map(|said| said.named.logs());
        into.extend(named.map(|(run, log, sequences)| {
            wire::part::Body::Named(wire::NamedLog {
                run: run.0.to_vec(),
                events: log == Log::Events,
                sequences: lengths(sequences),
            })
        }));
        self.ledger.parts(into);
    }

    /// A lamppost that is put together again; its runs, openings and named logs follow, and its ledger.
    pub(in crate::ingest) fn restored(
        message: wire::Lamppost,
        descriptions: &Descriptions,
    ) -> Result<Self, WrongPart> {
        let digest = |bytes: &Vec<u8>| id(Digest::from_slice(bytes));
        let current = message.current.map(|current| {
            let digest = digest(&current.description)?;
            let known = descriptions.get(digest).ok_or(WrongPart("a lamppost without its description"))?;
            Ok(Current::restored(digest, known, current.newest_ms.map(UtcMillis)))
        });
        Ok(Self {
            hello: message.hello.map(hello).transpose()?,
            introduced: message.introduced,
            introduced_bytes: usize::try_from(message.introduced_bytes).unwrap_or(usize::MAX),
            lacking: message.lacking.iter().map(digest).collect::<Result<_, _>>()?,
            current: current.transpose()?,
            last_observation: message.last_observation_ms.map(UtcMillis),
            freshness: message.freshness_ms.map(UtcMillis),
            last_position: UtcMillis(message.last_position_ms),
            last_acknowledged: message.last_acknowledged_ms.map(UtcMillis),
            ..Self::default()
        })
    }

    pub(in crate::ingest) fn restore_run(&mut self, message: &wire::Run) -> Result<(), WrongPart> {
        let run = Run {
            samples: pieces(&message.samples)?,
            events: pieces(&message.events)?,
            written: message.written,
        };
        self.runs.insert(id(RunId::from_slice(&message.run))?, run);
        Ok(())
    }

    pub(in crate::ingest) fn restore_opening(
        &mut self,
        message: &wire::Opening,
        known: Arc<Known>,
    ) -> Result<(), WrongPart> {
        let before = Some(&message.run_before).filter(|run| !run.is_empty());
        let opening = Opening {
            run_before: before.map(|run| id(RunId::from_slice(run))).transpose()?,
            samples_end: message.samples_end,
            events_end: message.events_end,
            ended: message.ended_ms.map(UtcMillis),
            opened: UtcMillis(message.opened_ms),
        };
        self.openings.push_back(Opened { run: id(RunId::from_slice(&message.run))?, opening, known });
        Ok(())
    }

    pub(in crate::ingest) fn restore_named(&mut self, message: &wire::NamedLog) -> Result<(), WrongPart> {
        let said = self.hello.as_mut().ok_or(WrongPart("what a hello named without the hello"))?;
        let log = if message.events { Log::Events } else { Log::Samples };
        said.named.restore(id(RunId::from_slice(&message.run))?, log, pieces(&message.sequences)?);
        Ok(())
    }
}

fn hello_message(said: &SaidHello) -> wire::Hello {
    let SaidHello { hello, received, count, named: _ } = said;
    let runs = hello.runs.iter().map(|held| wire::RunHeld {
        run: held.run.0.to_vec(),
        samples: lengths(&held.samples),
        events: lengths(&held.events),
    });
    wire::Hello {
        nonce: hello.nonce.0.to_vec(),
        count: hello.count,
        outbox: hello.outbox.0.to_vec(),
        run: hello.run.0.to_vec(),
        runs: runs.collect(),
        agent_version: hello.agent_version.clone(),
        hardware_serial: hello.hardware_serial.clone(),
        generation: hello.generation,
        received_ms: received.0,
        counted: *count,
    }
}

fn hello(message: wire::Hello) -> Result<SaidHello, WrongPart> {
    if message.runs.len() > limits::MAX_RUNS_PER_HELLO {
        return Err(WrongPart("a hello of too many runs"));
    }
    let held = |held: wire::RunHeld| {
        Ok(RunHeld {
            run: id(RunId::from_slice(&held.run))?,
            samples: pieces(&held.samples)?,
            events: pieces(&held.events)?,
        })
    };
    let hello = Hello {
        nonce: id(Nonce::from_slice(&message.nonce))?,
        count: message.count,
        outbox: id(OutboxId::from_slice(&message.outbox))?,
        run: id(RunId::from_slice(&message.run))?,
        runs: message.runs.into_iter().map(held).collect::<Result<_, _>>()?,
        agent_version: message.agent_version,
        hardware_serial: message.hardware_serial,
        generation: message.generation,
        // The ledger has it.
        set_aside: Vec::new(),
    };
    let received = UtcMillis(message.received_ms);
    Ok(SaidHello { hello, received, count: message.counted, named: Named::default() })
}

fn run_message(id: RunId, run: &Run) -> wire::Run {
    wire::Run {
        run: id.0.to_vec(),
        samples: lengths(&run.samples),
        events: lengths(&run.events),
        written: run.written,
    }
}

fn opening_message(opened: &Opened) -> wire::Opening {
    let Opened { run, opening, known } = opened;
    wire::Opening {
        run: run.0.to_vec(),
        run_before: opening.run_before.map(|run| run.0.to_vec()).unwrap_or_default(),
        samples_end: opening.samples_end,
        events_end: opening.events_end,
        ended_ms: opening.ended.map(|time| time.0),
        opened_ms: opening.opened.0,
        description: known.digest.0.to_vec(),
    }
}

fn id<T>(read: Result<T, IdError>) -> Result<T, WrongPart> {
    read.map_err(|_| WrongPart("an id that is none"))
}
