//! Layout of frames and commands: appendix I and II of the PMS5003 series data manual V2.3. Words are big-endian.

/// Start characters 1 and 2 of frames and commands, appendix I and II.
pub(crate) const START: [u8; 2] = [0x42, 0x4D];

/// Start characters, then the frame length: 2×13 data bytes + 2 check bytes = 28 (appendix I). No other frame of
/// this part begins so.
pub(crate) const FRAME_START: [u8; 4] = [0x42, 0x4D, 0x00, 0x1C];

/// Data words of a frame: "data 1" to "data 13", appendix I.
///
/// 1 to 3: PM1.0, PM2.5, PM10 with CF=1 (standard particles). 4 to 6: the same in the atmospheric environment.
/// 7 to 12: particles beyond 0.3, 0.5, 1.0, 2.5, 5.0, 10 µm in 0.1 l. 13: see [`STATUS_WORD`].
pub(crate) const WORDS: usize = 13;

/// "Data 13" is reserved in V2.3. Units in the field, and Plantower's manuals of the sister parts, put a version
/// into its high byte and an error code into its low byte, 0 when all is well.
#[cfg(test)]
pub(crate) const STATUS_WORD: usize = 12;

/// The whole frame: start, length, 13 words, check word.
pub(crate) const FRAME_LENGTH: usize = 32;

/// A command: start characters, command, two data bytes, check word (appendix II).
pub(crate) const COMMAND_LENGTH: usize = 7;

/// "Read in passive mode", appendix II.
pub(crate) const COMMAND_READ: u8 = 0xE2;
/// "Change mode", appendix II: data 0 for passive, 1 for active.
pub(crate) const COMMAND_MODE: u8 = 0xE1;
/// "Sleep set", appendix II: data 0 to sleep, 1 to wake up.
pub(crate) const COMMAND_SLEEP: u8 = 0xE4;

/// Check code of frames and commands: the sum of all bytes before it (appendix I and II).
pub(crate) fn check_code(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum: u16, byte| sum.wrapping_add(u16::from(*byte)))
}
