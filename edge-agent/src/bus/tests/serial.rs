//! Sampling of a serial instrument over a pseudo-terminal, and the line itself.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use lamplighter_protocol::{Reason, Tick};
use sensor_drivers::model::SerialTarget;
use sensor_drivers::pms5003::Command;
use sensor_drivers::pms5003::model::{Fault, Pms5003Model};
use tempfile::TempDir;
use tokio_serial::{SerialPort as _, SerialStream};

use super::rig::*;
use super::stepped::SteppedClock;
use crate::bus::serial::{SerialError, SerialLine, Wire};
use crate::clock::{Clock as _, Stop, SystemClock, Waited};
use crate::config::{BusConfig, BusKind, DeviceConfig, Sensor};

/// Which of its two data wires are connected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wires {
    Both,
    /// It sends, and hears nothing.
    OnlyItsSending,
}

/// A PMS5003 that outlives the port it is plugged into.
#[derive(Clone, Default)]
struct Particles {
    model: Arc<Mutex<Pms5003Model>>,
    /// Bytes that it sent.
    sent: Arc<AtomicUsize>,
}

/// A port that is there for as long as this lives.
struct Port {
    path: PathBuf,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Particles {
    fn set(&self, pm1: u16, pm2_5: u16, pm10: u16) {
        self.model.lock().unwrap().set_environment(pm1, pm2_5, pm10);
    }

    fn break_with(&self, fault: Fault) {
        self.model.lock().unwrap().set_fault(fault);
    }

    fn plug_in(&self, path: &Path, wires: Wires) -> Port {
        let (ready, is_ready) = mpsc::channel();
        let stop = Stop::new();
        let (particles, stopped, at) = (self.clone(), stop.clone(), path.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (master, slave) = SerialStream::pair().unwrap();
                symlink(slave.name().unwrap(), &at).unwrap();
                drop(slave);
                ready.send(()).unwrap();
                particles.talk(Wire(master), wires, &stopped).await;
            });
        });
        is_ready.recv().unwrap();
        Port { path: path.to_owned(), stop, thread: Some(thread) }
    }

    /// The instrument lives in real time, as its reader's deadlines do.
    async fn talk(&self, mut wire: Wire, wires: Wires, stop: &Stop) {
        const LOOKS_EVERY: Duration = Duration::from_millis(5);
        let world = SystemClock::new();
        let mut buffer = [0; 64];
        while !stop.is_raised() {
            match tokio::time::timeout(LOOKS_EVERY, wire.read(&mut buffer)).await {
                Ok(Ok(heard)) if wires == Wires::Both => {
                    self.model.lock().unwrap().receive(world.now().monotonic, heard);
                }
                Ok(Ok(_)) | Err(_) => {}
                // Nobody has the port open.
                Ok(Err(_)) => tokio::time::sleep(LOOKS_EVERY).await,
            }
            let sent = self.model.lock().unwrap().transmit(world.now().monotonic);
            if wire.write_all(&sent).await.is_ok() {
                self.sent.fetch_add(sent.len(), Ordering::Relaxed);
            }
        }
    }

    fn wait_until_it_sends(&self) {
        let (before, patience) = (self.sent.load(Ordering::Relaxed), Stop::new());
        for _ in 0..3_000 {
            if self.sent.load(Ordering::Relaxed) > before {
                return;
            }
            assert_eq!(patience.wait(Duration::from_millis(10)), Waited::Reached);
        }
        panic!("it sends nothing");
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
        self.stop.raise();
        self.thread.take().map(JoinHandle::join);
    }
}

/// A lamppost with a PMS5003 that is read once a minute.
struct OneParticles {
    particles: Particles,
    port: Option<Port>,
    path: PathBuf,
    clock: Arc<SteppedClock>,
    lamppost: Lamppost,
    _folder: TempDir,
}

impl OneParticles {
    fn wired(wires: Wires) -> Self {
        Self::with(wires, Duration::ZERO)
    }

    fn with(wires: Wires, warm_up: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ttyS1");
        let particles = Particles::default();
        particles.set(8, 15, 23);
        let port = Some(particles.plug_in(&path, wires));
        let bus =
            BusConfig { name: "ttyS1".to_owned(), kind: BusKind::Serial { path: path.clone(), baud: 9600 } };
        let name = "particles-1".parse().unwrap();
        let device = DeviceConfig { name, bus: 0, sensor: Sensor::Pms5003, grid: MINUTE, warm_up };
        let clock = Arc::new(SteppedClock::starting_at(START.plus_ms(1)));
        let lamppost = Lamppost::start(&config(vec![bus], vec![device]), &Buses::default(), &clock);
        Self { particles, port, path, clock, lamppost, _folder: folder }
    }

    /// The one tick of this minute.
    fn minute(&self, minute: u64) -> Tick {
        self.clock.run_until(Duration::from_mins(minute));
        let ticks = self.lamppost.collector.take(0);
        assert_eq!(ticks.len(), 1, "{ticks:?}");
        assert_eq!(ticks[0].time.since_ms(START), i64::try_from(60_000 * minute).unwrap());
        ticks.into_iter().next().unwrap()
    }
}

#[test]
fn the_instrument_is_asked_at_each_tick_and_answers_with_what_is_in_the_air_then() {
    let rig = OneParticles::wired(Wires::Both);
    assert_eq!(values(&rig.minute(1), Reason::GOOD), [80, 150, 230]);
    // Beyond 30 µg/m³ the values for factory air differ from those for the atmosphere.
    rig.particles.set(40, 75, 120);
    assert_eq!(values(&rig.minute(2), Reason::GOOD), [400, 750, 1200]);
    let status = &rig.lamppost.health.sensors()[0];
    assert!(status.identified && status.read == 2 && status.bad == 0, "{status:?}");
}

#[test]
fn an_instrument_that_hears_nothing_is_read_by_its_next_frame_never_by_an_older_one() {
    let rig = OneParticles::wired(Wires::OnlyItsSending);
    assert_eq!(values(&rig.minute(1), Reason::GOOD), [80, 150, 230]);
    // Frames that nobody reads pile up in the port.
    rig.particles.wait_until_it_sends();
    rig.particles.set(1, 2, 3);
    assert_eq!(values(&rig.minute(2), Reason::GOOD), [10, 20, 30]);
}

#[test]
fn a_frame_that_nobody_asked_for_is_not_the_answer_to_the_next_question() {
    let rig = OneParticles::wired(Wires::Both);
    assert_eq!(values(&rig.minute(1), Reason::GOOD), [80, 150, 230]);
    // As after a moment without power.
    rig.particles.model.lock().unwrap().receive(Duration::ZERO, &Command::ActiveMode.encode());
    rig.particles.wait_until_it_sends();
    rig.particles.wait_until_it_sends();
    rig.particles.set(1, 2, 3);
    assert_eq!(values(&rig.minute(2), Reason::GOOD), [10, 20, 30]);
}

#[test]
fn a_cut_frame_costs_a_second_question_and_not_the_tick() {
    let rig = OneParticles::wired(Wires::Both);
    rig.particles.break_with(Fault::Cut);
    values(&rig.minute(1), Reason::GOOD);
    // The line is clean for the next tick.
    rig.particles.break_with(Fault::None);
    rig.particles.set(4, 5, 6);
    assert_eq!(values(&rig.minute(2), Reason::GOOD), [40, 50, 60]);
}

#[test]
fn noise_around_a_frame_does_not_matter() {
    let rig = OneParticles::wired(Wires::Both);
    rig.particles.break_with(Fault::Noise);
    assert_eq!(values(&rig.minute(1), Reason::GOOD), [80, 150, 230]);
}

#[test]
fn frames_that_do_not_arrive_whole_give_no_value() {
    let rig = OneParticles::wired(Wires::Both);
    rig.particles.break_with(Fault::BadSum);
    assert_eq!(absent(&rig.minute(1)), [Reason::CORRUPTED; 3]);
    assert!(!rig.lamppost.health.sensors()[0].identified);
}

#[test]
fn an_instrument_that_says_or_shows_that_it_is_broken_gives_no_value() {
    let rig = OneParticles::wired(Wires::Both);
    for (minute, fault) in [(1, Fault::AllZero), (2, Fault::ErrorCode)] {
        rig.particles.break_with(fault);
        assert_eq!(absent(&rig.minute(minute)), [Reason::SENSOR_FAULT; 3], "{fault:?}");
    }
}

#[test]
fn silence_is_a_bad_tick_and_after_it_the_instrument_is_set_up_and_warms_up_again() {
    let rig = OneParticles::with(Wires::Both, Duration::from_secs(30));
    values(&rig.minute(1), Reason::GOOD);
    rig.particles.break_with(Fault::Silent);
    assert_eq!(absent(&rig.minute(2)), [Reason::NO_ANSWER; 3]);
    // It was without power: it comes back in active mode.
    *rig.particles.model.lock().unwrap_or_else(PoisonError::into_inner) = Pms5003Model::new();
    rig.particles.set(1, 2, 3);
    assert_eq!(values(&rig.minute(3), Reason::WARMING_UP), [10, 20, 30]);
    values(&rig.minute(4), Reason::GOOD);
    // The port was well all the time.
    assert_eq!(rig.lamppost.health.buses()[0].reopened, 0);
}

#[test]
fn a_port_that_vanishes_is_closed_and_used_again_when_it_is_back() {
    let mut rig = OneParticles::wired(Wires::Both);
    values(&rig.minute(1), Reason::GOOD);
    rig.port = None;
    assert_eq!(absent(&rig.minute(2)), [Reason::NO_ANSWER; 3]);
    assert_eq!(absent(&rig.minute(3)), [Reason::NO_ANSWER; 3]);
    let bus = &rig.lamppost.health.buses()[0];
    assert!(!bus.open && bus.last_error.as_ref().is_some_and(|error| error.contains("ttyS1")), "{bus:?}");
    // Another terminal behind the same name, halfway to the next tick.
    rig.clock.run_until(Duration::from_secs(200));
    rig.port = Some(rig.particles.plug_in(&rig.path, Wires::Both));
    rig.particles.set(1, 2, 3);
    assert_eq!(values(&rig.minute(4), Reason::GOOD), [10, 20, 30]);
    assert_eq!(rig.lamppost.health.buses()[0].reopened, 1);
}

#[test]
fn a_port_that_is_not_there_or_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyS9");
    let error = SerialLine::open(&path, 9600).unwrap_err();
    assert!(matches!(error, SerialError::Open { .. }) && error.to_string().contains("ttyS9"), "{error}");
    let _port = Particles::default().plug_in(&path, Wires::Both);
    let _first = SerialLine::open(&path, 9600).unwrap();
    let error = SerialLine::open(&path, 9600).unwrap_err();
    assert!(matches!(error, SerialError::Open { .. }), "{error}");
}

#[test]
fn reading_a_port_that_is_gone_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyS1");
    let port = Particles::default().plug_in(&path, Wires::Both);
    let mut line = SerialLine::open(&path, 9600).unwrap();
    drop(port);
    let read = line.exchange(Duration::from_secs(30), async |wire| {
        let mut buffer = [0; 8];
        loop {
            wire.read(&mut buffer).await?;
        }
    });
    assert!(matches!(read, Err::<Option<()>, _>(SerialError::Gone { .. })), "{read:?}");
}

#[test]
fn waiting_for_bytes_takes_no_processor_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyS1");
    let particles = Particles::default();
    let _port = particles.plug_in(&path, Wires::OnlyItsSending);
    let mut line = SerialLine::open(&path, 9600).unwrap();
    // A frame or two arrive meanwhile: after each the wait is a wait again.
    let before = processor_ticks();
    let listened = line.exchange(Duration::from_secs(2), async |wire| -> Result<(), SerialError> {
        let mut buffer = [0; 8];
        loop {
            wire.read(&mut buffer).await?;
        }
    });
    assert!(matches!(listened, Ok(None)), "{listened:?}");
    assert!(particles.sent.load(Ordering::Relaxed) > 0);
    // Ticks are 10 ms: a loop that spins takes up to 200.
    assert!(processor_ticks() - before < 40, "{} ticks", processor_ticks() - before);
}

/// User and system time of this thread (fields 14 and 15 of `stat` in proc(5)).
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
