//! The stream of a PMS5003: finds frames in whatever arrives, and encodes what may be sent.

use super::conversion::{Frame, decode};
use super::error::Error;
use super::frame::{
    COMMAND_LENGTH, COMMAND_MODE, COMMAND_READ, COMMAND_SLEEP, FRAME_LENGTH, FRAME_START, START, check_code,
};

/// How many bytes are held: 16 frames, at least 3 s of the instrument's fastest stream, one frame in 200 ms ("output
/// result").
const CAPACITY: usize = 16 * FRAME_LENGTH;

/// Finds frames in a stream of bytes, however it was cut up, and finds its place again after noise.
///
/// Holds at most 512 bytes: if more arrive between two calls of [`next_frame`](Self::next_frame) the oldest are
/// dropped and counted, because the newest reading is the one that is wanted.
#[derive(Debug, Clone)]
pub struct FrameParser {
    buffer: [u8; CAPACITY],
    length: usize,
    counters: Counters,
}

/// What a parser has seen since it was made. None of them wraps: no serial line carries 2⁶⁴ bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames with the right check code, whatever they said.
    pub frames: u64,
    /// Frame starts whose frame had a wrong check code.
    pub bad_sums: u64,
    /// Bytes that belonged to no frame with the right check code, dropped ones and replies to commands included.
    pub discarded_bytes: u64,
}

/// What can be sent to the instrument, appendix II.
///
/// V2.3 mentions no reply to anything but [`Read`](Self::Read). Instruments do answer the mode commands and `Sleep`,
/// with eight bytes that [`FrameParser`] passes over and counts as discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// From now on send a frame only when asked by [`Read`](Self::Read).
    PassiveMode,
    /// From now on send frames unasked. The instrument's state after power-on.
    ActiveMode,
    /// Send one frame. Heard in passive mode.
    Read,
    /// Stop fan and laser.
    Sleep,
    /// Start fan and laser. Readings are stable 30 s later at the earliest (circuit attentions, 4).
    Wake,
}

impl FrameParser {
    /// A parser that has seen nothing.
    pub const fn new() -> Self {
        let counters = Counters { frames: 0, bad_sums: 0, discarded_bytes: 0 };
        Self { buffer: [0; CAPACITY], length: 0, counters }
    }

    /// Takes bytes as they arrive, in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(CAPACITY);
        let (passed_over, kept) = bytes.split_at(bytes.len() - fits);
        let overflow = (self.length + kept.len()).saturating_sub(CAPACITY);
        self.consume(overflow);
        self.count_discarded(overflow + passed_over.len());
        for (free, byte) in self.buffer.iter_mut().skip(self.length).zip(kept) {
            *free = *byte;
        }
        self.length += kept.len();
    }

    /// The next frame, or why it has no values. None: more bytes are needed.
    ///
    /// Call it until it returns none. After an error it goes on right behind the damaged frame's start, so that a
    /// good frame that begins within the damaged one is found.
    pub fn next_frame(&mut self) -> Option<Result<Frame, Error>> {
        self.skip_to_start();
        let candidate = *self.pending().first_chunk::<FRAME_LENGTH>()?;
        let decoded = decode(&candidate);
        if matches!(decoded, Err(Error::CheckCode { .. })) {
            self.counters.bad_sums += 1;
            // Its start cannot be part of another one, so it can go as a whole.
            self.discard(FRAME_START.len());
        } else {
            self.counters.frames += 1;
            self.consume(FRAME_LENGTH);
        }
        Some(decoded)
    }

    /// Forgets what is held: before a request, so that what comes next is its answer.
    pub fn clear(&mut self) {
        self.discard(self.length);
    }

    /// What has been seen so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Discards what no frame can begin with. What may be the first bytes of a start stays.
    fn skip_to_start(&mut self) {
        let pending = self.pending();
        let start = (0..pending.len()).find(|from| {
            let rest = pending.get(*from..).unwrap_or_default();
            rest.iter().zip(&FRAME_START).all(|(byte, expected)| byte == expected)
        });
        self.discard(start.unwrap_or(pending.len()));
    }

    fn discard(&mut self, count: usize) {
        self.consume(count);
        self.count_discarded(count);
    }

    fn count_discarded(&mut self, count: usize) {
        // A usize is at most 64 bits wide.
        self.counters.discarded_bytes += count as u64;
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.length);
        self.buffer.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

impl Default for FrameParser {
    fn default() -> Self {
        Self::new()
    }
}

impl Command {
    /// The bytes to send.
    pub fn encode(self) -> [u8; COMMAND_LENGTH] {
        let (command, data) = match self {
            Self::PassiveMode => (COMMAND_MODE, 0),
            Self::ActiveMode => (COMMAND_MODE, 1),
            Self::Read => (COMMAND_READ, 0),
            Self::Sleep => (COMMAND_SLEEP, 0),
            Self::Wake => (COMMAND_SLEEP, 1),
        };
        let [start_1, start_2] = START;
        let summed = [start_1, start_2, command, 0, data];
        let [check_high, check_low] = check_code(&summed).to_be_bytes();
        [start_1, start_2, command, 0, data, check_high, check_low]
    }
}
