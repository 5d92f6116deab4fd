//! The in-process bus against embedded-hal's contract.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error, ErrorKind, I2c, NoAcknowledgeSource, Operation};

use super::{Ack, I2cTarget, ModelBus};

#[test]
fn an_address_without_a_target_is_not_acknowledged() {
    let mut bus = ModelBus::new();
    let error = bus.write(0x76, &[0xD0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
    let (target, _) = attach(&mut bus);
    bus.write(0x20, &[1]).unwrap();
    bus.detach(0x20);
    bus.write(0x20, &[1]).unwrap_err();
    assert_eq!(target.lock().unwrap().calls.len(), 1);
}

#[test]
fn refused_data_is_told_from_a_refused_address() {
    let mut bus = ModelBus::new();
    let (target, _) = attach(&mut bus);
    target.lock().unwrap().answer = Some(Ack::DataRefused);
    let error = bus.write(0x20, &[1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data));
}

#[test]
fn neighbouring_operations_of_one_direction_are_one_transfer() {
    let mut bus = ModelBus::new();
    let (target, _) = attach(&mut bus);
    let (mut first, mut second) = ([0; 2], [0; 3]);
    let mut operations = [
        Operation::Write(&[1, 2]),
        Operation::Write(&[3]),
        Operation::Read(&mut first),
        Operation::Read(&mut second),
        Operation::Write(&[4]),
    ];
    bus.transaction(0x20, &mut operations).unwrap();
    assert_eq!((first, second), ([0, 1], [2, 3, 4]));
    let calls = &target.lock().unwrap().calls;
    let expected = [Call::Write(vec![1, 2, 3]), Call::Read(5), Call::Write(vec![4])];
    assert_eq!(calls.iter().map(|(_, call)| call.clone()).collect::<Vec<_>>(), expected);
}

#[test]
fn targets_are_given_world_time_and_a_delay_moves_it() {
    let mut bus = ModelBus::new();
    let (target, _) = attach(&mut bus);
    bus.set_now(Duration::from_mins(1));
    bus.write(0x20, &[]).unwrap();
    bus.time().delay_ms(5);
    bus.write(0x20, &[]).unwrap();
    let times: Vec<Duration> = target.lock().unwrap().calls.iter().map(|(now, _)| *now).collect();
    assert_eq!(times, [Duration::from_mins(1), Duration::from_millis(60_005)]);
}

/// Writes down what it is asked, and counts up when read.
#[derive(Default)]
struct Recorder {
    calls: Vec<(Duration, Call)>,
    answer: Option<Ack>,
}

#[derive(Debug, Clone, PartialEq)]
enum Call {
    Write(Vec<u8>),
    Read(usize),
}

impl I2cTarget for Recorder {
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack {
        self.calls.push((now, Call::Write(bytes.to_vec())));
        self.answer.unwrap_or(Ack::Acknowledged)
    }

    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack {
        self.calls.push((now, Call::Read(buffer.len())));
        buffer.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
        self.answer.unwrap_or(Ack::Acknowledged)
    }
}

fn attach(bus: &mut ModelBus) -> (Arc<Mutex<Recorder>>, u8) {
    let target = Arc::new(Mutex::new(Recorder::default()));
    bus.attach(0x20, Box::new(Arc::clone(&target)));
    (target, 0x20)
}
