//! Frames to quantities: appendix I of the PMS5003 series data manual V2.3.

use super::error::Error;
use super::frame::{FRAME_LENGTH, WORDS, check_code};
use crate::quantity::{MicrogramsPerCubicMetre, ParticlesPerDecilitre};

/// What a good frame says. Its error code is 0: any other is an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    /// With CF=1: calibrated with standard particles, meant for factory air ("data 1" to "data 3").
    pub standard: MassConcentrations,
    /// In the atmospheric environment: the ones to report outdoors ("data 4" to "data 6").
    pub atmospheric: MassConcentrations,
    /// How many particles there are ("data 7" to "data 12").
    pub counts: ParticleCounts,
    /// Version of the instrument's firmware (high byte of "data 13"; 0 where it is reserved).
    pub version: u8,
}

/// Mass of particles up to a diameter. Each includes the smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MassConcentrations {
    /// Up to 1.0 µm.
    pub pm1_0: MicrogramsPerCubicMetre,
    /// Up to 2.5 µm; effective range 0 to 500 µg/m³, largest value at least 1000 µg/m³ (technical index).
    pub pm2_5: MicrogramsPerCubicMetre,
    /// Up to 10 µm.
    pub pm10: MicrogramsPerCubicMetre,
}

/// Number of particles beyond a diameter, in 0.1 litre of air. Each includes the larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParticleCounts {
    /// Beyond 0.3 µm.
    pub beyond_0_3_um: ParticlesPerDecilitre,
    /// Beyond 0.5 µm.
    pub beyond_0_5_um: ParticlesPerDecilitre,
    /// Beyond 1.0 µm.
    pub beyond_1_0_um: ParticlesPerDecilitre,
    /// Beyond 2.5 µm.
    pub beyond_2_5_um: ParticlesPerDecilitre,
    /// Beyond 5.0 µm.
    pub beyond_5_0_um: ParticlesPerDecilitre,
    /// Beyond 10 µm.
    pub beyond_10_um: ParticlesPerDecilitre,
}

/// Reads a frame whose start and length were found to be right.
pub(super) fn decode(bytes: &[u8; FRAME_LENGTH]) -> Result<Frame, Error> {
    let [summed @ .., check_high, check_low] = bytes;
    let (expected, found) = (check_code(summed), u16::from_be_bytes([*check_high, *check_low]));
    if expected != found {
        return Err(Error::CheckCode { expected, found });
    }
    let [measured @ .., status] = words(bytes);
    let [version, error_code] = status.to_be_bytes();
    // Before the error code, which is 0xFF where everything is.
    for word in [0x0000, 0xFFFF] {
        if measured == [word; WORDS - 1] {
            return Err(Error::Blank { word });
        }
    }
    if error_code != 0 {
        return Err(Error::Reported { code: error_code });
    }
    Ok(frame(measured, version))
}

fn words(bytes: &[u8; FRAME_LENGTH]) -> [u16; WORDS] {
    let [_, _, _, _, data @ .., _, _] = bytes;
    let mut words = [0; WORDS];
    for (word, pair) in words.iter_mut().zip(data.as_chunks::<2>().0) {
        *word = u16::from_be_bytes(*pair);
    }
    words
}

fn frame(measured: [u16; WORDS - 1], version: u8) -> Frame {
    let [s1, s25, s10, a1, a25, a10, counts @ ..] = measured;
    let mass = |pm1_0, pm2_5, pm10| MassConcentrations {
        pm1_0: MicrogramsPerCubicMetre::new(pm1_0),
        pm2_5: MicrogramsPerCubicMetre::new(pm2_5),
        pm10: MicrogramsPerCubicMetre::new(pm10),
    };
    let [n03, n05, n10, n25, n50, n100] = counts.map(ParticlesPerDecilitre::new);
    Frame {
        standard: mass(s1, s25, s10),
        atmospheric: mass(a1, a25, a10),
        counts: ParticleCounts {
            beyond_0_3_um: n03,
            beyond_0_5_um: n05,
            beyond_1_0_um: n10,
            beyond_2_5_um: n25,
            beyond_5_0_um: n50,
            beyond_10_um: n100,
        },
        version,
    }
}

/// A frame of these words, for the model: the inverse of [`decode`] before its judgement.
#[cfg(any(test, feature = "models"))]
pub(super) fn encode(words: [u16; WORDS]) -> [u8; FRAME_LENGTH] {
    let start = super::frame::FRAME_START.into_iter();
    let summed: Vec<u8> = start.chain(words.into_iter().flat_map(u16::to_be_bytes)).collect();
    let check = check_code(&summed).to_be_bytes();
    let mut bytes = [0; FRAME_LENGTH];
    for (byte, value) in bytes.iter_mut().zip(summed.into_iter().chain(check)) {
        *byte = value;
    }
    bytes
}

#[cfg(any(test, feature = "models"))]
impl Frame {
    /// The words that say this, the last one with this error code.
    pub(super) fn to_words(self, error_code: u8) -> [u16; WORDS] {
        let mass =
            |mass: MassConcentrations| [mass.pm1_0, mass.pm2_5, mass.pm10].map(MicrogramsPerCubicMetre::get);
        let ([s1, s25, s10], [a1, a25, a10]) = (mass(self.standard), mass(self.atmospheric));
        let ParticleCounts {
            beyond_0_3_um,
            beyond_0_5_um,
            beyond_1_0_um,
            beyond_2_5_um,
            beyond_5_0_um,
            beyond_10_um,
        } = self.counts;
        let counts =
            [beyond_0_3_um, beyond_0_5_um, beyond_1_0_um, beyond_2_5_um, beyond_5_0_um, beyond_10_um];
        let [n03, n05, n10, n25, n50, n100] = counts.map(ParticlesPerDecilitre::get);
        let status = u16::from_be_bytes([self.version, error_code]);
        [s1, s25, s10, a1, a25, a10, n03, n05, n10, n25, n50, n100, status]
    }
}
