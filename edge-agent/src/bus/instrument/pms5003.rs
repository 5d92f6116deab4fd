//! A PMS5003: particles up to 1, 2.5 and 10 µm.
//!
//! It is kept in passive mode and asked once for each tick, so that a reading is of its tick. An instrument of which
//! only the sending wire is connected stays in active mode and hears no question; its next frame is the answer then.
//! A frame is never older than the question: what arrived before is forgotten first, and after a question that was not
//! answered in time the line is listened to for a while before the next.
//!
//! It has no identity to ask for. A frame of the right start, length and check code is what it is known by.

use std::time::Duration;

use sensor_drivers::pms5003::{Command, Error, Frame, MassConcentrations};
use sensor_drivers::{ErrorKind, FrameParser};
use tokio::time::timeout;

use super::{Again, Blame, Failure, Instrument, WarmUp, chain};
use crate::bus::serial::{SerialError, SerialLine, Wire};
use crate::quality::{Absence, Reading};

/// The longest time for an answer. In active mode frames are at most 2.3 s apart (appendix I of the data manual) and
/// take 33 ms on the line.
const ANSWERS_WITHIN: Duration = Duration::from_millis(2_500);

/// When a question that was not answered by a whole frame is put again. An answer takes 33 ms on the line; the rest is
/// the instrument's.
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(700);

/// How long the line is listened to before a question, if something that was asked earlier may still come: three times
/// what a frame takes on the line.
const QUARANTINE: Duration = Duration::from_millis(100);

/// A PMS5003 on a serial line.
#[derive(Debug)]
pub(in crate::bus) struct Pms5003 {
    parser: FrameParser,
    state: State,
    warm_up: WarmUp,
}

/// What is known of the instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was told to wake and to wait for questions, and has sent no frame yet.
    SetUp,
    /// It answers.
    Answers,
    /// It answered after several questions: another answer may still be under way.
    AnswersLate,
    /// It sent something that was no frame.
    Garbled,
    /// It said nothing. It may have been without power since.
    Silent,
}

/// How an exchange ended without a frame.
enum NoFrame {
    Line(SerialError),
    Fault(Error),
}

impl Pms5003 {
    pub(in crate::bus) const fn new(warm_up: Duration) -> Self {
        Self { parser: FrameParser::new(), state: State::SetUp, warm_up: WarmUp::of(warm_up) }
    }

    fn ask(&mut self, line: &mut SerialLine) -> Result<Frame, Failure> {
        self.parser.clear();
        let parser = &mut self.parser;
        let (mut questions, mut heard) = (0_u32, 0_usize);
        let answer = line.exchange(ANSWERS_WITHIN, async |wire| {
            wire.forget_received().map_err(NoFrame::Line)?;
            loop {
                questions += 1;
                wire.write_all(&Command::Read.encode()).await.map_err(NoFrame::Line)?;
                if let Ok(answer) = timeout(ASKS_AGAIN_AFTER, next_frame(wire, parser, &mut heard)).await {
                    return answer;
                }
            }
        });
        let (state, result) = match answer {
            Ok(Some(frame)) if questions == 1 => (State::Answers, Ok(frame)),
            Ok(Some(frame)) => (State::AnswersLate, Ok(frame)),
            Ok(None) if heard == 0 => (State::Silent, Err(unanswered(Absence::NoAnswer, "it sends nothing"))),
            Ok(None) => (State::Garbled, Err(unanswered(Absence::Corrupted, "it sends no whole frame"))),
            Err(NoFrame::Fault(error)) => (State::Answers, Err(fault(error))),
            Err(NoFrame::Line(error)) => (State::Silent, Err(line_failure(&error))),
        };
        self.state = state;
        result
    }
}

impl Instrument<SerialLine> for Pms5003 {
    fn opened(&mut self, line: &mut SerialLine, now: Duration) -> Result<(), Failure> {
        self.state = State::SetUp;
        self.warm_up.begin(now);
        set_up(line)
    }

    fn read(&mut self, line: &mut SerialLine, now: Duration) -> Result<Vec<Reading>, Failure> {
        let before = self.state;
        match before {
            State::SetUp | State::Answers => {}
            State::AnswersLate => listen_off(line)?,
            State::Garbled | State::Silent => set_up(line)?,
        }
        let frame = self.ask(line)?;
        if before == State::Silent {
            self.warm_up.begin(now);
        }
        Ok(readings(frame.atmospheric).into_iter().map(|reading| self.warm_up.mark(now, reading)).collect())
    }

    fn is_identified(&self) -> bool {
        matches!(self.state, State::Answers | State::AnswersLate)
    }
}

/// Wakes it, bids it wait for questions, and lets its replies pass.
fn set_up(line: &mut SerialLine) -> Result<(), Failure> {
    line.exchange(ANSWERS_WITHIN, async |wire| {
        wire.write_all(&Command::Wake.encode()).await?;
        wire.write_all(&Command::PassiveMode.encode()).await
    })
    .map_err(|error| line_failure(&error))?;
    listen_off(line)
}

/// The next frame with a right check code; what comes before it is passed over.
async fn next_frame(wire: &mut Wire, parser: &mut FrameParser, heard: &mut usize) -> Result<Frame, NoFrame> {
    let mut buffer = [0; 64];
    loop {
        let arrived = wire.read(&mut buffer).await.map_err(NoFrame::Line)?;
        *heard += arrived.len();
        parser.push(arrived);
        while let Some(frame) = parser.next_frame() {
            match frame {
                Ok(frame) => return Ok(frame),
                Err(error) => match error.kind() {
                    ErrorKind::SensorFault | ErrorKind::Identity => return Err(NoFrame::Fault(error)),
                    ErrorKind::Bus => {}
                },
            }
        }
    }
}

/// Lets pass what may still come of earlier questions.
fn listen_off(line: &mut SerialLine) -> Result<(), Failure> {
    let listened = line.exchange(QUARANTINE, async |wire| {
        let mut buffer = [0; 64];
        loop {
            wire.read(&mut buffer).await?;
        }
    });
    listened
        .map(|never: Option<()>| never.unwrap_or_default())
        .map_err(|error: SerialError| line_failure(&error))
}

fn readings(mass: MassConcentrations) -> [Reading; 3] {
    [mass.pm1_0, mass.pm2_5, mass.pm10].map(|mass| Reading::Settled(f64::from(mass.get())))
}

fn fault(error: Error) -> Failure {
    let why = error.to_string();
    Failure { absence: Absence::SensorFault, blame: Blame::Sensor, again: Again::NextTick, why }
}

fn unanswered(absence: Absence, why: &str) -> Failure {
    Failure { absence, blame: Blame::Sensor, again: Again::NextTick, why: why.to_owned() }
}

fn line_failure(error: &SerialError) -> Failure {
    let (absence, again) = (Absence::NoAnswer, Again::NextTick);
    Failure { absence, blame: Blame::Gone, again, why: chain(error) }
}
