//! Trimming parameters and data registers to quantities: sections 4.2.2 and 4.2.3, revision 1.1 of the code there.
//!
//! Names and order of operations are the datasheet's, shifts included, because they decide the last digit. Widths
//! are not: whatever the registers hold, nothing here overflows. Where the datasheet's own types would, there is no
//! value.

use super::registers::{CALIB_HIGH_LENGTH, CALIB_LOW_LENGTH, DATA_LENGTH, SKIPPED_16_BIT, SKIPPED_20_BIT};
use crate::quantity::{CentiCelsius, Pascals, RelativeHumidity};

/// Trimming parameters, section 4.2.2, table 16: set in the factory, different in every chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calibration {
    pub(crate) t1: u16,
    pub(crate) t2: i16,
    pub(crate) t3: i16,
    pub(crate) p1: u16,
    pub(crate) p2: i16,
    pub(crate) p3: i16,
    pub(crate) p4: i16,
    pub(crate) p5: i16,
    pub(crate) p6: i16,
    pub(crate) p7: i16,
    pub(crate) p8: i16,
    pub(crate) p9: i16,
    pub(crate) h1: u8,
    pub(crate) h2: i16,
    pub(crate) h3: u8,
    /// 12 bits, signed.
    pub(crate) h4: i16,
    /// 12 bits, signed.
    pub(crate) h5: i16,
    pub(crate) h6: i8,
}

/// What the data registers hold, before compensation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Codes {
    /// 20 bits.
    pub(crate) pressure: u32,
    /// 20 bits.
    pub(crate) temperature: u32,
    pub(crate) humidity: u16,
}

/// `t_fine` of section 4.2.3: temperature in 1/5120 °C, on which pressure and humidity depend. Within ±2²².
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FineTemperature(pub(crate) i32);

impl Calibration {
    /// From registers 0x88 to 0xA1 and 0xE1 to 0xE7.
    pub(crate) fn from_registers(low: &[u8; CALIB_LOW_LENGTH], high: [u8; CALIB_HIGH_LENGTH]) -> Self {
        let [words @ .., _unused, h1] = low;
        let mut halves = words.as_chunks::<2>().0.iter().copied();
        let mut word = || halves.next().map_or(0, u16::from_le_bytes);
        let [h2_low, h2_high, h3, e4, e5, e6, h6] = high;
        Self {
            t1: word(),
            t2: word().cast_signed(),
            t3: word().cast_signed(),
            p1: word(),
            p2: word().cast_signed(),
            p3: word().cast_signed(),
            p4: word().cast_signed(),
            p5: word().cast_signed(),
            p6: word().cast_signed(),
            p7: word().cast_signed(),
            p8: word().cast_signed(),
            p9: word().cast_signed(),
            h1: *h1,
            h2: i16::from_le_bytes([h2_low, h2_high]),
            h3,
            // 0xE5 is shared: its low half ends H4, its high half ends H5. The sign is in 0xE4 and 0xE6.
            h4: (i16::from(e4.cast_signed()) << 4) | i16::from(e5 & 0x0F),
            h5: (i16::from(e6.cast_signed()) << 4) | i16::from(e5 >> 4),
            h6: h6.cast_signed(),
        }
    }

    /// `t_fine`, section 4.2.3, first half of `BME280_compensate_T_int32`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both differences are within ±2^17, so that var1 and var2 are within ±2^21"
    )]
    pub(crate) fn fine_temperature(&self, code: u32) -> FineTemperature {
        let (adc, t1) = (i64::from(code), i64::from(self.t1));
        let var1 = (((adc >> 3) - (t1 << 1)) * i64::from(self.t2)) >> 11;
        let var2 = (((((adc >> 4) - t1) * ((adc >> 4) - t1)) >> 12) * i64::from(self.t3)) >> 14;
        FineTemperature((var1 + var2) as i32)
    }

    /// Pressure, section 4.2.3, `BME280_compensate_P_int64`. None where its 64 bits overflow, where it would divide
    /// by zero, or where the result is negative.
    pub(crate) fn pressure(&self, code: u32, fine: FineTemperature) -> Option<Pascals> {
        let var1 = i64::from(fine.0) - 128_000;
        let var2 = var1 * var1 * i64::from(self.p6);
        let var2 = var2 + ((var1 * i64::from(self.p5)) << 17);
        let var2 = var2 + (i64::from(self.p4) << 35);
        let var1 = ((var1 * var1 * i64::from(self.p3)) >> 8) + ((var1 * i64::from(self.p2)) << 12);
        let var1 = ((1_i64 << 47) + var1).checked_mul(i64::from(self.p1))? >> 33;
        let p = 1_048_576 - i64::from(code);
        let p = ((p << 31) - var2).checked_mul(3_125)?.checked_div(var1)?;
        let var1 = i64::from(self.p9).checked_mul(p >> 13)?.checked_mul(p >> 13)? >> 25;
        let var2 = i64::from(self.p8).checked_mul(p)? >> 19;
        let p = (p.checked_add(var1)?.checked_add(var2)? >> 8) + (i64::from(self.p7) << 4);
        u32::try_from(p).ok().map(Pascals::from_q24_8)
    }

    /// Relative humidity, section 4.2.3, `bme280_compensate_H_int32`, held to 0 to 100 % as there. None where its 32
    /// bits overflow, which is past 500 %.
    ///
    /// The formula halves the code early (`>> 15` after `<< 14`), so that two neighbouring codes can give one value.
    #[expect(clippy::cast_sign_loss, reason = "clamped to 0 to 419430400")]
    pub(crate) fn humidity(&self, code: u16, fine: FineTemperature) -> Option<RelativeHumidity> {
        let v = i64::from(fine.0) - 76_800;
        let offset =
            ((i64::from(code) << 14) - (i64::from(self.h4) << 20) - i64::from(self.h5) * v + 16_384) >> 15;
        let slope = (((v * i64::from(self.h6)) >> 10) * (((v * i64::from(self.h3)) >> 11) + 32_768)) >> 10;
        let slope = ((slope + 2_097_152) * i64::from(self.h2) + 8_192) >> 14;
        let x = i64::from(i32::try_from(offset * slope).ok()?);
        let x = x - (((((x >> 15) * (x >> 15)) >> 7) * i64::from(self.h1)) >> 4);
        Some(RelativeHumidity::from_q22_10((x.clamp(0, 419_430_400) >> 12) as u32))
    }
}

impl FineTemperature {
    /// Temperature, section 4.2.3, second half of `BME280_compensate_T_int32`.
    pub(crate) const fn celsius(self) -> CentiCelsius {
        CentiCelsius::new((self.0 * 5 + 128) >> 8)
    }
}

impl Codes {
    /// From registers 0xF7 to 0xFE.
    pub(crate) fn from_registers(data: [u8; DATA_LENGTH]) -> Self {
        let [p_high, p_mid, p_low, t_high, t_mid, t_low, h_high, h_low] = data;
        Self {
            pressure: u32::from_be_bytes([0, p_high, p_mid, p_low]) >> 4,
            temperature: u32::from_be_bytes([0, t_high, t_mid, t_low]) >> 4,
            humidity: u16::from_be_bytes([h_high, h_low]),
        }
    }

    /// None if this quantity was not measured.
    pub(crate) fn temperature(self) -> Option<u32> {
        (self.temperature != SKIPPED_20_BIT).then_some(self.temperature)
    }

    /// None if this quantity was not measured.
    pub(crate) fn pressure(self) -> Option<u32> {
        (self.pressure != SKIPPED_20_BIT).then_some(self.pressure)
    }

    /// None if this quantity was not measured.
    pub(crate) fn humidity(self) -> Option<u16> {
        (self.humidity != SKIPPED_16_BIT).then_some(self.humidity)
    }
}

#[cfg(any(test, feature = "models"))]
impl Calibration {
    /// The registers that hold this, for the model: the inverse of [`Self::from_registers`].
    pub(crate) fn to_registers(self) -> ([u8; CALIB_LOW_LENGTH], [u8; CALIB_HIGH_LENGTH]) {
        let signed = [self.p2, self.p3, self.p4, self.p5, self.p6, self.p7, self.p8, self.p9];
        let words = [self.t1, self.t2.cast_unsigned(), self.t3.cast_unsigned(), self.p1];
        let words = words.into_iter().chain(signed.map(i16::cast_unsigned));
        let mut low = [0; CALIB_LOW_LENGTH];
        for (half, byte) in low.iter_mut().zip(words.flat_map(u16::to_le_bytes).chain([0, self.h1])) {
            *half = byte;
        }
        let [h2_low, h2_high] = self.h2.to_le_bytes();
        let ([h4_low, _], [h5_low, _]) = (self.h4.to_le_bytes(), self.h5.to_le_bytes());
        let ([e4, _], [e6, _]) = ((self.h4 >> 4).to_le_bytes(), (self.h5 >> 4).to_le_bytes());
        let e5 = (h4_low & 0x0F) | (h5_low << 4);
        (low, [h2_low, h2_high, self.h3, e4, e5, e6, self.h6.cast_unsigned()])
    }
}

#[cfg(any(test, feature = "models"))]
impl Codes {
    /// The registers that hold this, for the model: the inverse of [`Self::from_registers`].
    pub(crate) fn to_registers(self) -> [u8; DATA_LENGTH] {
        let [_, p_high, p_mid, p_low] = (self.pressure << 4).to_be_bytes();
        let [_, t_high, t_mid, t_low] = (self.temperature << 4).to_be_bytes();
        let [h_high, h_low] = self.humidity.to_be_bytes();
        [p_high, p_mid, p_low, t_high, t_mid, t_low, h_high, h_low]
    }
}
