//! Register map of the BME280: section 5.3 (table 18) and 5.4 of BST-BME280-DS001-10, revision 1.1.

/// Trimming parameters `calib00` to `calib25`, section 4.2.2, table 16.
pub(crate) const CALIB_LOW: u8 = 0x88;
/// 0x88 to 0xA1. The byte at 0xA0 is unused.
pub(crate) const CALIB_LOW_LENGTH: usize = 26;

/// Chip identification, section 5.4.1.
pub(crate) const ID: u8 = 0xD0;
/// What [`ID`] reads in a BME280, section 5.4.1. A BMP280, which has no humidity, reads 0x58.
pub(crate) const CHIP_ID: u8 = 0x60;

/// Soft reset, section 5.4.2. Reads 0x00.
pub(crate) const RESET: u8 = 0xE0;
/// The word that resets, section 5.4.2; any other has no effect.
pub(crate) const RESET_WORD: u8 = 0xB6;

/// Trimming parameters `calib26` to `calib32`, section 4.2.2, table 16.
pub(crate) const CALIB_HIGH: u8 = 0xE1;
/// 0xE1 to 0xE7.
pub(crate) const CALIB_HIGH_LENGTH: usize = 7;

/// Humidity oversampling, section 5.4.3. Takes effect only with the next write to [`CTRL_MEAS`].
pub(crate) const CTRL_HUM: u8 = 0xF2;
/// `osrs_h[2:0]` in [`CTRL_HUM`], section 5.4.3; the other bits are reserved.
pub(crate) const CTRL_HUM_OSRS_H: u8 = 0b0000_0111;

/// Device status, section 5.4.4.
pub(crate) const STATUS: u8 = 0xF3;
/// Set in [`STATUS`] while a conversion runs, section 5.4.4.
pub(crate) const STATUS_MEASURING: u8 = 0b0000_1000;
/// Set in [`STATUS`] while trimming parameters are copied from the chip's own memory, section 5.4.4.
pub(crate) const STATUS_IM_UPDATE: u8 = 0b0000_0001;

/// Temperature and pressure oversampling, and the mode, section 5.4.5.
pub(crate) const CTRL_MEAS: u8 = 0xF4;
/// `osrs_t[2:0]` starts at bit 5 of [`CTRL_MEAS`], section 5.4.5.
pub(crate) const CTRL_MEAS_OSRS_T_SHIFT: u8 = 5;
/// `osrs_p[2:0]` starts at bit 2 of [`CTRL_MEAS`], section 5.4.5.
pub(crate) const CTRL_MEAS_OSRS_P_SHIFT: u8 = 2;
/// `mode[1:0]` of [`CTRL_MEAS`] for one measurement, section 5.4.5, table 25.
pub(crate) const MODE_FORCED: u8 = 0b01;

/// Standby time, IIR filter, three-wire SPI, section 5.4.6.
pub(crate) const CONFIG: u8 = 0xF5;
/// IIR filter off, two-wire interfaces as they are, section 5.4.6.
pub(crate) const CONFIG_FILTER_OFF: u8 = 0x00;

/// First of the eight data registers, sections 5.4.7 to 5.4.9: pressure and temperature in 20 bits from the left of
/// three bytes each, then humidity in 16 bits.
pub(crate) const DATA: u8 = 0xF7;
/// 0xF7 to 0xFE. One burst: the chip shadows the registers for its length, so that the three belong together
/// (section 4.1).
pub(crate) const DATA_LENGTH: usize = 8;

/// What pressure and temperature read when not measured, and after reset, sections 5.4.5, 5.4.7, 5.4.8.
pub(crate) const SKIPPED_20_BIT: u32 = 0x80000;
/// What humidity reads when not measured, and after reset, sections 5.4.3, 5.4.9.
pub(crate) const SKIPPED_16_BIT: u16 = 0x8000;

/// Time from supply to first communication, which a soft reset goes through again: 2 ms, section 1.1, table 1
/// (`t_startup`), and section 5.4.2.
pub(crate) const START_UP_US: u32 = 2_000;

/// How many samples an oversampling code stands for, sections 5.4.3 (table 20) and 5.4.5 (tables 23, 24); 0 is
/// "skipped".
pub(crate) const fn oversampling(code: u8) -> u32 {
    match code {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4 => 8,
        _ => 16,
    }
}

/// The longest that a measurement takes with these oversampling codes, in microseconds: `t_measure,max` of
/// section 9.1, 1.25 ms + 2.3 ms a sample + 0.575 ms for each of pressure and humidity that is measured.
pub(crate) const fn measurement_time_max_us(osrs_t: u8, osrs_p: u8, osrs_h: u8) -> u32 {
    const fn with_offset_us(osrs: u8) -> u32 {
        if osrs == 0 { 0 } else { 2_300 * oversampling(osrs) + 575 }
    }
    1_250 + 2_300 * oversampling(osrs_t) + with_offset_us(osrs_p) + with_offset_us(osrs_h)
}
