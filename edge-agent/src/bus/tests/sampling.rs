//! Sampling of I2C devices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lamplighter_protocol::{Grid, Reason, Tick, UtcMillis};
use sensor_drivers::Bme280;
use sensor_drivers::bme280::Address;
use sensor_drivers::bme280::model::{Bme280Model, Fault};
use sensor_drivers::model::{Ack, I2cTarget, ModelBus};

use super::rig::*;
use super::stepped::SteppedClock;
use crate::bus::{Ended, I2cError, ThreadEnd};
use crate::clock::{Clock as _, ClockTrust, SystemClock};

fn minute(count: i64) -> UtcMillis {
    START.plus_ms(60_000 * count)
}

fn times(ticks: &[Tick]) -> Vec<UtcMillis> {
    ticks.iter().map(|tick| tick.time).collect()
}

#[test]
fn every_tick_is_read_at_its_time_and_says_what_the_world_is() {
    let rig = OneChip::on(MINUTE);
    for count in 1..=5_u32 {
        let (celsius, percent, hectopascals) =
            (20.0 + f64::from(count), 60.0 - f64::from(count), 1_010.0 + f64::from(count) / 10.0);
        rig.chip.lock().unwrap().set_environment(celsius, percent, hectopascals);
        let ticks = rig.up_to_minute(count.into());
        assert_eq!(times(&ticks), [minute(count.into())]);
        let read = values(&ticks[0], Reason::GOOD);
        let near = |place: usize, expected: f64, steps: f64| {
            let read = f64::from(i32::try_from(read[place]).unwrap());
            assert!((read - expected * 100.0).abs() <= steps, "{read} is not {expected}");
        };
        // Resolutions are 0.01; the chip's own steps are 0.005 °C, 0.008 % and 0.002 hPa.
        near(0, celsius, 1.0);
        near(1, percent, 2.0);
        near(2, hectopascals, 1.0);
    }
    let status = &rig.lamppost.health.sensors()[0];
    assert!(status.identified && status.read == 5 && status.missed == 0 && status.bad == 0, "{status:?}");
    assert_eq!((status.last_tick_ms, status.last_values), (Some(minute(5).0), 3));
    let fine = |end: &ThreadEnd| end.result.is_ok();
    assert!(rig.lamppost.stop().iter().all(fine));
}

#[test]
fn a_phase_shifts_the_ticks() {
    let rig = OneChip::on(Grid { period_ms: 60_000, phase_ms: 7_000 });
    let ticks = rig.up_to_minute(3);
    assert_eq!(times(&ticks), [7_000, 67_000, 127_000].map(|ms| START.plus_ms(ms)));
}

/// A lamppost whose run opened at [`START`] and a millisecond, and whose threads come so much later to read.
fn started_late(by: Duration, set_forward_ms: i64) -> (Arc<SteppedClock>, Lamppost) {
    let buses = Buses::default();
    let _chip = buses.add("/dev/i2c-1").with_chip();
    let config = config(vec![i2c_bus("/dev/i2c-1")], vec![bme280("weather-1", 0, MINUTE)]);
    let clock = Arc::new(SteppedClock::starting_at(START.plus_ms(1)));
    let opened = clock.now();
    clock.run_until(by);
    clock.set_wall_by_ms(set_forward_ms);
    let lamppost = Lamppost::start_opened(&config, &buses, &clock, opened);
    (clock, lamppost)
}

#[test]
fn what_was_due_between_the_opening_and_the_first_look_is_read_late_and_what_passed_is_missed() {
    let (clock, lamppost) = started_late(Duration::from_secs(150), 0);
    clock.run_until(Duration::from_mins(3));
    assert_eq!(times(&lamppost.collector.take(0)), [START.plus_ms(150_001), minute(3)]);
    assert_eq!(lamppost.health.sensors()[0].missed, 1, "the first minute's");
}

#[test]
fn a_clock_that_is_set_forward_between_the_opening_and_the_first_look_makes_nothing_missed() {
    let (clock, lamppost) = started_late(Duration::from_secs(30), 600_000);
    clock.run_until(Duration::from_mins(1));
    assert_eq!(times(&lamppost.collector.take(0)), [minute(11)]);
    assert_eq!(lamppost.health.sensors()[0].missed, 0);
}

#[test]
fn a_chip_that_is_unplugged_gives_a_bad_tick_each_time_and_is_read_again_when_it_is_back() {
    let rig = OneChip::on(MINUTE);
    assert_eq!(rig.up_to_minute(1).len(), 1);
    rig.chip.lock().unwrap().set_fault(Fault::Absent);
    let ticks = rig.up_to_minute(4);
    assert_eq!(times(&ticks), [minute(2), minute(3), minute(4)]);
    assert!(ticks.iter().all(|tick| absent(tick) == [Reason::NO_ANSWER; 3]));
    let status = &rig.lamppost.health.sensors()[0];
    assert!(!status.identified && status.bad == 3 && status.last_values == 0, "{status:?}");
    assert_eq!(status.last_error.as_deref(), Some("no chip acknowledged"));
    rig.chip.lock().unwrap().set_fault(Fault::None);
    values(&rig.up_to_minute(5)[0], Reason::GOOD);
    // The bus was well all the time.
    assert_eq!(rig.bus.openings(), 1);
}

#[test]
fn a_chip_that_is_another_kind_gives_no_value() {
    let rig = OneChip::on(MINUTE);
    // A BMP280, which has no humidity.
    rig.chip.lock().unwrap().set_fault(Fault::WrongId(0x58));
    let ticks = rig.up_to_minute(2);
    assert_eq!(ticks.len(), 2);
    assert!(ticks.iter().all(|tick| absent(tick) == [Reason::WRONG_IDENTITY; 3]));
    assert!(!rig.lamppost.health.sensors()[0].identified);
}

#[test]
fn a_line_that_reads_all_zeros_or_all_ones_gives_no_value() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    for (fault, at) in [(Fault::AllZero, 2), (Fault::AllOnes, 3)] {
        rig.chip.lock().unwrap().set_fault(fault);
        assert_eq!(absent(&rig.up_to_minute(at)[0]), [Reason::SENSOR_FAULT; 3], "{fault:?}");
    }
}

#[test]
fn an_adapter_that_does_nothing_and_says_so_gives_no_value() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    rig.bus.fail(Some(|| I2cError::Incomplete { done: 0, asked: 2 }));
    assert_eq!(absent(&rig.up_to_minute(2)[0]), [Reason::NO_ANSWER; 3]);
}

#[test]
fn a_chip_that_was_exchanged_is_identified_anew_and_does_not_inherit_the_calibration() {
    let rig = OneChip::on(MINUTE);
    let before = values(&rig.up_to_minute(1)[0], Reason::GOOD);
    rig.bus.chips.lock().unwrap().attach(ADDRESS, Box::new(Recalibrated::default()));
    let mut alone = ModelBus::new();
    alone.attach(ADDRESS, Box::new(Recalibrated::default()));
    let mut delay = linux_embedded_hal::Delay;
    let mut driver = Bme280::identify(&mut alone, &mut delay, Address::Primary).unwrap();
    let expected = driver.measure(&mut alone, &mut delay).unwrap().temperature.unwrap();

    let after = values(&rig.up_to_minute(2)[0], Reason::GOOD);
    assert_eq!(after[0], i64::from(expected.get()));
    assert_ne!(after[0], before[0]);
}

/// A BME280 with another `dig_T1` (registers 0x88, 0x89) than the model's usual one.
#[derive(Default)]
struct Recalibrated {
    chip: Bme280Model,
    pointer: u8,
}

impl I2cTarget for Recalibrated {
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack {
        self.pointer = bytes.first().copied().unwrap_or(self.pointer);
        self.chip.write(now, bytes)
    }

    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack {
        let ack = self.chip.read(now, buffer);
        if self.pointer == 0x88 {
            buffer[1] = buffer[1].wrapping_add(1);
        }
        ack
    }
}

#[test]
fn a_single_transfer_that_is_not_acknowledged_costs_no_tick() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    let refused = Arc::new(AtomicU64::new(0));
    rig.bus
        .chips
        .lock()
        .unwrap()
        .attach(ADDRESS, Box::new(OnceRefused(Bme280Model::new(), Arc::clone(&refused))));
    values(&rig.up_to_minute(2)[0], Reason::GOOD);
    assert_eq!(refused.load(Ordering::Relaxed), 1);
}

/// Does not acknowledge the first transfer.
struct OnceRefused(Bme280Model, Arc<AtomicU64>);

impl I2cTarget for OnceRefused {
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack {
        if self.1.fetch_max(1, Ordering::Relaxed) == 0 {
            return Ack::AddressRefused;
        }
        self.0.write(now, bytes)
    }

    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack {
        self.0.read(now, buffer)
    }
}

#[test]
fn a_bus_that_goes_on_failing_is_closed_and_opened_again_and_every_tick_is_recorded() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    rig.bus.fail(Some(|| I2cError::Bus(std::io::Error::from_raw_os_error(5))));
    let ticks = rig.up_to_minute(4);
    assert_eq!(times(&ticks), [minute(2), minute(3), minute(4)]);
    assert!(ticks.iter().all(|tick| absent(tick) == [Reason::NO_ANSWER; 3]));
    assert!(rig.bus.openings() > 1);
    rig.bus.fail(None);
    values(&rig.up_to_minute(5)[0], Reason::GOOD);
    let status = &rig.lamppost.health.buses()[0];
    assert!(status.open && status.reopened > 0, "{status:?}");
    assert!(status.last_error.as_ref().is_some_and(|error| error.contains("os error 5")), "{status:?}");
}

#[test]
fn an_adapter_that_is_unplugged_is_closed_at_once_and_in_use_again_soon_after_it_is_back() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    rig.buses.remove("/dev/i2c-1");
    rig.bus.fail(Some(|| I2cError::Gone));
    let ticks = rig.up_to_minute(3);
    assert!(ticks.len() == 2 && ticks.iter().all(|tick| absent(tick) == [Reason::NO_ANSWER; 3]));
    assert!(!rig.lamppost.health.buses()[0].open && !rig.lamppost.health.sensors()[0].identified);
    assert!(rig.lamppost.health.buses()[0].last_error.as_ref().unwrap().contains("/dev/i2c-1"));
    // Plugged in halfway to the next tick: pauses are at most 30 s.
    rig.clock.run_until(Duration::from_secs(205));
    rig.bus.fail(None);
    rig.buses.restore("/dev/i2c-1", &rig.bus);
    values(&rig.up_to_minute(4)[0], Reason::GOOD);
}

#[test]
fn a_bus_that_is_not_there_at_the_start_gives_bad_ticks_until_it_is() {
    let buses = Buses::default();
    let config = config(vec![i2c_bus("/dev/i2c-7")], vec![bme280("weather-1", 0, MINUTE)]);
    let clock = Arc::new(SteppedClock::starting_at(START.plus_ms(1)));
    let lamppost = Lamppost::start(&config, &buses, &clock);
    clock.run_until(Duration::from_mins(1));
    assert_eq!(absent(&lamppost.collector.take(0)[0]), [Reason::NO_ANSWER; 3]);
    let _chip = buses.add("/dev/i2c-7").with_chip();
    clock.run_until(Duration::from_mins(2));
    values(&lamppost.collector.take(0)[0], Reason::GOOD);
    assert_eq!(lamppost.health.buses()[0].reopened, 0);
}

#[test]
fn two_chips_on_one_bus_share_their_ticks_and_one_that_fails_does_not_spoil_the_other() {
    let buses = Buses::default();
    let (bus, _) = buses.add("/dev/i2c-1").with_chip();
    let second = Chip::default();
    bus.attach(0x77, &second);
    let mut other = bme280("weather-2", 0, MINUTE);
    other.sensor = crate::config::Sensor::Bme280 { address: 0x77 };
    let config = config(vec![i2c_bus("/dev/i2c-1")], vec![bme280("weather-1", 0, MINUTE), other]);
    let clock = Arc::new(SteppedClock::starting_at(START.plus_ms(1)));
    let lamppost = Lamppost::start(&config, &buses, &clock);
    second.lock().unwrap().set_environment(-7.0, 90.0, 1_000.0);
    clock.run_until(Duration::from_mins(1));
    let (one, two) = (lamppost.collector.take(0), lamppost.collector.take(1));
    assert_eq!(times(&one), times(&two));
    assert!((-702..=-698).contains(&values(&two[0], Reason::GOOD)[0]));
    second.lock().unwrap().set_fault(Fault::Absent);
    clock.run_until(Duration::from_mins(2));
    values(&lamppost.collector.take(0)[0], Reason::GOOD);
    absent(&lamppost.collector.take(1)[0]);
}

#[test]
fn values_are_uncertain_while_the_sensor_warms_up_and_again_after_it_was_away() {
    let buses = Buses::default();
    let (_, chip) = buses.add("/dev/i2c-1").with_chip();
    let mut device = bme280("weather-1", 0, MINUTE);
    device.warm_up = Duration::from_secs(90);
    let config = config(vec![i2c_bus("/dev/i2c-1")], vec![device]);
    let clock = Arc::new(SteppedClock::starting_at(START.plus_ms(1)));
    let lamppost = Lamppost::start(&config, &buses, &clock);
    let read = |seconds| {
        clock.run_until(Duration::from_secs(seconds));
        lamppost.collector.take(0).pop().unwrap()
    };
    values(&read(60), Reason::WARMING_UP);
    values(&read(120), Reason::GOOD);
    chip.lock().unwrap().set_fault(Fault::Absent);
    absent(&read(180));
    chip.lock().unwrap().set_fault(Fault::None);
    values(&read(240), Reason::WARMING_UP);
    values(&read(300), Reason::WARMING_UP);
    values(&read(360), Reason::GOOD);
}

#[test]
fn values_are_uncertain_while_the_clock_is() {
    let rig = OneChip::on(MINUTE);
    rig.clock.set_trust(ClockTrust::Unsure);
    values(&rig.up_to_minute(1)[0], Reason::CLOCK_UNSURE);
    rig.clock.set_trust(ClockTrust::Sure);
    values(&rig.up_to_minute(2)[0], Reason::GOOD);
}

#[test]
fn d3_a_clock_set_back_by_less_than_an_hour_is_waited_out() {
    let rig = OneChip::on(MINUTE);
    assert_eq!(times(&rig.up_to_minute(5)), (1..=5).map(minute).collect::<Vec<_>>());
    rig.clock.set_wall_by_ms(-30 * 60_000);
    // Half an hour later it is minute 5 again.
    assert_eq!(times(&rig.up_to_minute(37)), [minute(6), minute(7)]);
    assert_eq!(rig.lamppost.health.missed_ticks(), 0);
}

#[test]
fn d3_a_clock_set_back_by_an_hour_or_more_ends_the_run() {
    let mut rig = OneChip::on(MINUTE);
    rig.up_to_minute(5);
    // Twice by less than an hour is more than an hour all the same.
    rig.clock.set_wall_by_ms(-40 * 60_000);
    rig.up_to_minute(6);
    rig.clock.set_wall_by_ms(-40 * 60_000);
    rig.clock.run_until(Duration::from_mins(7));
    let end = rig.lamppost.next_end();
    assert!(matches!(end.result, Err(Ended::ClockJumped { back_ms }) if back_ms >= 3_600_000), "{end:?}");
    assert_eq!(rig.lamppost.collector.take(0), []);
}

#[test]
fn ticks_that_a_clock_set_forward_leaps_over_are_not_missed() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(2);
    rig.clock.set_wall_by_ms(86_400_000);
    let ticks = rig.up_to_minute(4);
    assert_eq!(times(&ticks), [minute(24 * 60 + 3), minute(24 * 60 + 4)]);
    assert_eq!(rig.lamppost.health.missed_ticks(), 0);
}

/// While it is read, sets the wall clock to 56 years later, once when it is told to.
struct SetsTheClock(Bme280Model, Arc<SteppedClock>, Arc<AtomicBool>);

impl I2cTarget for SetsTheClock {
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack {
        self.0.write(now, bytes)
    }

    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack {
        if self.2.swap(false, Ordering::Relaxed) {
            self.1.set_wall_by_ms(56 * 365 * 86_400_000);
        }
        self.0.read(now, buffer)
    }
}

#[test]
fn ticks_that_a_clock_set_forward_during_a_read_leaps_over_are_not_missed() {
    let rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    let leaps = Arc::new(AtomicBool::new(false));
    let chip = SetsTheClock(Bme280Model::new(), Arc::clone(&rig.clock), Arc::clone(&leaps));
    rig.bus.chips.lock().unwrap().attach(ADDRESS, Box::new(chip));
    rig.up_to_minute(2);
    leaps.store(true, Ordering::Relaxed);
    let leap = 56 * 365 * 24 * 60;
    // The reading for minute 3 ended after the leap, by the clock that is right.
    assert_eq!(times(&rig.up_to_minute(5)), [leap + 3, leap + 4, leap + 5].map(minute));
    assert_eq!(rig.lamppost.health.missed_ticks(), 0);
}

#[test]
fn sampling_ends_when_the_outbox_takes_nothing_any_more() {
    let mut rig = OneChip::on(MINUTE);
    rig.up_to_minute(1);
    rig.lamppost.collector.close();
    rig.clock.run_until(Duration::from_mins(2));
    let end = rig.lamppost.next_end();
    assert_eq!(end, ThreadEnd { name: "i2c-1".to_owned(), result: Err(Ended::OutboxClosed) });
}

#[test]
fn a_stuck_chip_stalls_its_own_bus_only_and_its_missed_ticks_are_counted() {
    let grid = Grid { period_ms: 250, phase_ms: 0 };
    let buses = Buses::default();
    let (stuck, _) = buses.add("/dev/i2c-1").with_chip();
    let _well = buses.add("/dev/i2c-2").with_chip();
    let devices = vec![bme280("weather-1", 0, grid), bme280("weather-2", 1, grid)];
    let config = config(vec![i2c_bus("/dev/i2c-1"), i2c_bus("/dev/i2c-2")], devices);
    let lamppost = Lamppost::start(&config, &buses, &Arc::new(SystemClock::new()));
    lamppost.collector.wait_for(0, 1);
    stuck.set_stuck(true);
    let transfers = stuck.transfers();
    lamppost.collector.wait_for(1, 8);
    assert!(stuck.transfers() <= transfers + 1);
    let while_stuck = lamppost.collector.take(0);
    assert!(while_stuck.len() <= 1, "{while_stuck:?}");
    stuck.set_stuck(false);
    let after = lamppost.collector.wait_for(0, 3);
    assert!(after.windows(2).all(|pair| pair[1].time.since_ms(pair[0].time) >= 62), "a burst: {after:?}");
    assert!(lamppost.health.sensors()[0].missed >= 4, "{:?}", lamppost.health.sensors());
    assert!(lamppost.stop().iter().all(|end| end.result.is_ok()));
}

#[test]
fn the_agent_observes_itself_on_its_own_grid() {
    let buses = Buses::default();
    let mut config = config(vec![], vec![]);
    config.health.grid = MINUTE;
    let clock = Arc::new(SteppedClock::starting_at(START));
    let lamppost = Lamppost::start(&config, &buses, &clock);
    clock.run_until(Duration::from_mins(2));
    let ticks = lamppost.collector.take(0);
    assert_eq!(times(&ticks), [minute(0), minute(1), minute(2)]);
    let read = values(&ticks[2], Reason::GOOD);
    assert_eq!((read[0], read[2], read[3]), (120, 42, 0));
    assert!(read[1] > 500, "{} KiB", read[1]);
}
