//! The instrument itself: sends frames of its environment, obeys commands.
//!
//! Modelled: active mode with one frame a second (the manual's "output result" gives 200 ms to 2.3 s, by how fast
//! the air changes; one second stands for all of it), passive mode, sleep, the replies that instruments give to mode
//! commands and `Sleep` though V2.3 is silent on them. Not modelled: the 30 s until readings settle after waking,
//! the pins.
//!
//! A frame that nobody collected in its second is gone, like bytes on a line that nobody listens to: a late call of
//! [`transmit`](SerialTarget::transmit) gets one frame, not a backlog. To have one, a rig keeps what it collects.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::conversion::{Frame, MassConcentrations, ParticleCounts, encode};
use super::driver::Command;
use super::frame::{COMMAND_LENGTH, START, WORDS, check_code};
use crate::model::SerialTarget;
use crate::quantity::{MicrogramsPerCubicMetre, ParticlesPerDecilitre};

/// What is wrong with an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Says nothing, hears nothing.
    Silent,
    /// Every frame's check code is wrong.
    BadSum,
    /// Every other frame, the next one first, loses its last two bytes, so that 30 of 32 bytes are followed by the
    /// next frame's start.
    Cut,
    /// Bytes around every frame that belong to none, a false start among them.
    Noise,
    /// Every data word is zero, the check code is right.
    AllZero,
    /// Frames carry error code 1.
    ErrorCode,
}

/// A PMS5003 in an environment.
#[derive(Debug, Clone)]
pub struct Pms5003Model {
    environment: Frame,
    fault: Fault,
    mode: Mode,
    power: Power,
    /// When the next frame is due in active mode.
    due: Duration,
    /// Answers to commands, and since when they wait.
    replies: Vec<u8>,
    replied_at: Duration,
    /// What may yet become a command.
    heard: Vec<u8>,
    cut_next: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Active,
    Passive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Awake,
    Asleep,
}

/// Pace of frames in active mode: whole seconds.
const PERIOD: Duration = Duration::from_secs(1);
/// A version that units in the field report.
const VERSION: u8 = 0x97;
const ERROR_CODE: u8 = 1;

impl Pms5003Model {
    /// An instrument in clean air, in active mode, whose first frame is due a second after the world began.
    pub fn new() -> Self {
        Self {
            environment: environment(0, 0, 0),
            fault: Fault::None,
            mode: Mode::Active,
            power: Power::Awake,
            due: PERIOD,
            replies: Vec::new(),
            replied_at: Duration::ZERO,
            heard: Vec::new(),
            cut_next: true,
        }
    }

    /// Sets what is in the air, in µg/m³, from the next frame on.
    ///
    /// The atmospheric values are these. Those with CF=1 are half as much again beyond 30 µg/m³, so that a reader
    /// that takes one for the other is found out. Counts follow from PM2.5 and are never zero, as in outdoor air.
    pub fn set_environment(&mut self, pm1: u16, pm2_5: u16, pm10: u16) {
        self.environment = environment(pm1, pm2_5, pm10);
    }

    /// Breaks the instrument, or mends it.
    pub fn set_fault(&mut self, fault: Fault) {
        self.fault = fault;
        self.cut_next = true;
    }

    /// What is wrong with the instrument.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    fn obey(&mut self, now: Duration, command: Command) {
        match command {
            Command::Wake => {
                if self.power == Power::Asleep {
                    self.due = now + PERIOD;
                }
                self.power = Power::Awake;
            }
            Command::Sleep => {
                self.power = Power::Asleep;
                self.reply(now, &acknowledgement(command));
            }
            Command::PassiveMode if self.power == Power::Awake => {
                self.mode = Mode::Passive;
                self.reply(now, &acknowledgement(command));
            }
            Command::ActiveMode if self.power == Power::Awake => {
                if self.mode == Mode::Passive {
                    self.due = now + PERIOD;
                }
                self.mode = Mode::Active;
                self.reply(now, &acknowledgement(command));
            }
            Command::Read if self.power == Power::Awake && self.mode == Mode::Passive => {
                let frame = self.frame();
                self.reply(now, &frame);
            }
            // Asleep it hears nothing but `Wake`; in active mode frames come unasked.
            Command::PassiveMode | Command::ActiveMode | Command::Read => {}
        }
    }

    fn reply(&mut self, now: Duration, bytes: &[u8]) {
        if self.replies.is_empty() {
            self.replied_at = now;
        }
        self.replies.extend_from_slice(bytes);
    }

    fn is_sending(&self) -> bool {
        self.mode == Mode::Active && self.power == Power::Awake
    }

    /// What goes over the line for one frame.
    fn frame(&mut self) -> Vec<u8> {
        let good = encode(self.environment.to_words(0)).to_vec();
        match self.fault {
            Fault::None => good,
            Fault::Silent => Vec::new(),
            Fault::BadSum => with_bad_sum(good),
            Fault::Cut => {
                let cut = self.cut_next;
                self.cut_next = !cut;
                if cut { without_end(good) } else { good }
            }
            Fault::Noise => within_noise(&good),
            Fault::AllZero => encode([0; WORDS]).to_vec(),
            Fault::ErrorCode => encode(self.environment.to_words(ERROR_CODE)).to_vec(),
        }
    }
}

impl Default for Pms5003Model {
    fn default() -> Self {
        Self::new()
    }
}

impl SerialTarget for Pms5003Model {
    fn receive(&mut self, now: Duration, bytes: &[u8]) {
        if self.fault == Fault::Silent {
            return;
        }
        for byte in bytes {
            self.heard.push(*byte);
            if let Some(command) = heard_command(&self.heard) {
                self.heard.clear();
                self.obey(now, command);
            }
            let surplus = self.heard.len().saturating_sub(COMMAND_LENGTH - 1);
            self.heard.drain(..surplus);
        }
    }

    fn transmit(&mut self, now: Duration) -> Vec<u8> {
        let mut sent = std::mem::take(&mut self.replies);
        if self.is_sending() && now >= self.due {
            sent.extend(self.frame());
            // On to the first due time after now; the frames between were heard by nobody.
            let late = now.saturating_sub(self.due);
            self.due += Duration::from_secs(late.as_secs()) + PERIOD;
        }
        if self.fault == Fault::Silent { Vec::new() } else { sent }
    }

    fn next_at(&self) -> Option<Duration> {
        if !self.replies.is_empty() {
            return Some(self.replied_at);
        }
        self.is_sending().then_some(self.due)
    }
}

fn environment(pm1: u16, pm2_5: u16, pm10: u16) -> Frame {
    const fn standard(micrograms: u16) -> u16 {
        match micrograms {
            0..=30 => micrograms,
            31.. => micrograms.saturating_add(micrograms / 2),
        }
    }
    let mass = |convert: fn(u16) -> u16| MassConcentrations {
        pm1_0: MicrogramsPerCubicMetre::new(convert(pm1)),
        pm2_5: MicrogramsPerCubicMetre::new(convert(pm2_5)),
        pm10: MicrogramsPerCubicMetre::new(convert(pm10)),
    };
    let count =
        |base: u16, slope: u16| ParticlesPerDecilitre::new(pm2_5.saturating_mul(slope).saturating_add(base));
    Frame {
        standard: mass(standard),
        atmospheric: mass(std::convert::identity),
        counts: ParticleCounts {
            beyond_0_3_um: count(60, 120),
            beyond_0_5_um: count(18, 36),
            beyond_1_0_um: count(4, 7),
            beyond_2_5_um: count(2, 1),
            beyond_5_0_um: count(1, 0),
            beyond_10_um: count(0, 0),
        },
        version: VERSION,
    }
}

/// The command that ends with the last byte heard.
fn heard_command(heard: &[u8]) -> Option<Command> {
    let commands = [Command::PassiveMode, Command::ActiveMode, Command::Read, Command::Sleep, Command::Wake];
    commands.into_iter().find(|command| heard.ends_with(&command.encode()))
}

/// What instruments answer: start, length 4, the command and its data, check code.
fn acknowledgement(command: Command) -> Vec<u8> {
    let [_, _, code, _, data, _, _] = command.encode();
    let mut reply = START.to_vec();
    reply.extend([0, 4, code, data]);
    reply.extend(check_code(&reply).to_be_bytes());
    reply
}

fn with_bad_sum(mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(check_low) = frame.last_mut() {
        *check_low ^= 0xFF;
    }
    frame
}

fn without_end(mut frame: Vec<u8>) -> Vec<u8> {
    frame.truncate(frame.len() - 2);
    frame
}

/// The false start before the frame swallows most of it, until its check code is found to be wrong.
fn within_noise(frame: &[u8]) -> Vec<u8> {
    const BEFORE: [u8; 9] = [0x00, 0xFF, 0x42, 0x42, 0x4D, 0x00, 0x1C, 0x13, 0x42];
    const AFTER: [u8; 6] = [0x4D, 0x42, 0x00, 0x7E, 0x42, 0x4D];
    [&BEFORE, frame, &AFTER].concat()
}
