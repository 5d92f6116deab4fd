//! What a city is told while it runs: lines, each an order to one lamppost.

use std::io::{self, BufRead as _, BufReader, Read};

use anyhow::Context as _;
use lamplighter_protocol::LamppostNumber;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::rig::Scene;
use crate::world::told::{NoOrder, Order};

/// Hands orders to the lampposts of one process.
#[derive(Clone, Debug)]
pub struct Ear {
    scenes: Vec<(LamppostNumber, Scene)>,
}

/// The answer to one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Heard {
    /// It is so from the next reading on.
    Told {
        /// The line.
        told: String,
    },
    /// Nothing has changed.
    Refused {
        /// The line, as far as it was read.
        refused: String,
        /// What is wrong with it.
        because: String,
    },
}

/// Why a line is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it is longer than {LONGEST_LINE} bytes")]
    Long,
    #[error("a line is an order whose second word is a lamppost's number, such as `mend KB0007`")]
    NoNumber,
    #[error("{0:?} is not the number of a lamppost of this process")]
    NotHere(String),
    #[error(transparent)]
    Order(#[from] NoOrder),
}

/// Bytes of a line. The longest order has less than half as many.
const LONGEST_LINE: usize = 120;

/// Lines that wait for their turn. Whoever writes more than these waits.
const LINES_WAITING: usize = 16;

impl Ear {
    pub(super) fn of(scenes: Vec<(LamppostNumber, Scene)>) -> Self {
        Self { scenes }
    }

    /// Takes one line. Its second word is a lamppost's number, the others are an [`Order`].
    pub fn hear(&self, line: &str) -> Heard {
        match self.tell(line) {
            Ok(()) => Heard::Told { told: line.to_owned() },
            Err(refusal) => Heard::Refused { refused: line.to_owned(), because: refusal.to_string() },
        }
    }

    fn tell(&self, line: &str) -> Result<(), Refusal> {
        if line.len() > LONGEST_LINE {
            return Err(Refusal::Long);
        }
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if words.len() < 2 {
            return Err(Refusal::NoNumber);
        }
        let number = words.remove(1);
        let order = Order::parse(&words)?;
        let here = self.scenes.iter().find(|(here, _)| here.as_str() == number);
        let (number, scene) = here.ok_or_else(|| Refusal::NotHere(number.to_owned()))?;
        tracing::info!(%number, ?order, "told");
        scene.tell(order);
        Ok(())
    }
}

/// The lines of `input`, until it ends or nobody takes them any more. A thread of its own reads them: standard input
/// cannot be waited for in any other way, so it ends with the process if the input does not.
pub(super) fn lines_of(input: impl Read + Send + 'static) -> anyhow::Result<mpsc::Receiver<String>> {
    let (lines, taken) = mpsc::channel(LINES_WAITING);
    let read = move || {
        let mut input = BufReader::new(input);
        while let Ok(Some(line)) = next_line(&mut input) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("told".to_owned()).spawn(read).context("cannot listen for orders")?;
    Ok(taken)
}

/// None, ever.
pub(super) fn no_lines() -> mpsc::Receiver<String> {
    mpsc::channel(1).1
}

/// A line without its end; of one that is too long, enough to see that it is.
fn next_line(input: &mut BufReader<impl Read>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let limit = LONGEST_LINE as u64 + 2;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else {
        input.skip_until(b'\n')?;
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}
