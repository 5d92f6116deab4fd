//! The machine's bus over scripted system calls: what adapters do, and what must come of it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use embedded_hal::i2c::{Error as _, ErrorKind, I2c, NoAcknowledgeSource, Operation};
use proptest::prelude::*;
use sensor_drivers::Bme280;
use sensor_drivers::bme280::Address;

use super::*;

/// Answers each transfer by the next result of a script, filling reads with 1, 2, 3, ...
#[derive(Default)]
struct Scripted {
    answers: VecDeque<io::Result<u32>>,
    seen: Vec<(u8, Vec<Seen>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Read(usize),
    Write(Vec<u8>),
}

impl Scripted {
    fn answering(answers: impl IntoIterator<Item = io::Result<u32>>) -> LinuxI2c<Self> {
        LinuxI2c::over(Self { answers: answers.into_iter().collect(), seen: Vec::new() })
    }

    fn failing(errno: i32) -> LinuxI2c<Self> {
        Self::answering([Err(io::Error::from_raw_os_error(errno))])
    }
}

impl Transfer for &mut Scripted {
    fn transfer(&mut self, address: u8, messages: &mut [Message<'_>]) -> io::Result<u32> {
        Scripted::transfer(self, address, messages)
    }
}

impl Transfer for Scripted {
    fn transfer(&mut self, address: u8, messages: &mut [Message<'_>]) -> io::Result<u32> {
        let seen = messages.iter().map(|message| match message {
            Message::Read(buffer) => Seen::Read(buffer.len()),
            Message::Write(bytes) => Seen::Write(bytes.to_vec()),
        });
        self.seen.push((address, seen.collect()));
        let answer = self.answers.pop_front().unwrap_or(Ok(u32::try_from(messages.len()).unwrap()))?;
        let mut next = 1..;
        for message in messages.iter_mut().take(answer as usize) {
            if let Message::Read(buffer) = message {
                buffer.fill_with(|| next.next().unwrap());
            }
        }
        Ok(answer)
    }
}

#[test]
fn no_message_done_is_an_error_and_leaves_the_buffer_alone() {
    let mut bus = Scripted::answering([Ok(0)]);
    let mut buffer = [0xAA; 2];
    let error = bus.write_read(0x76, &[0xD0], &mut buffer).unwrap_err();
    assert!(matches!(error, I2cError::Incomplete { done: 0, asked: 2 }), "{error:?}");
    assert_eq!(error.to_string(), "only 0 of 2 messages of the transfer were done");
    assert_eq!(buffer, [0xAA; 2]);
}

#[test]
fn a_part_of_the_messages_done_is_an_error() {
    let mut bus = Scripted::answering([Ok(1), Ok(3)]);
    assert!(matches!(
        bus.write_read(0x76, &[0xD0], &mut [0]),
        Err(I2cError::Incomplete { done: 1, asked: 2 })
    ));
    assert!(matches!(
        bus.write_read(0x76, &[0xD0], &mut [0]),
        Err(I2cError::Incomplete { done: 3, asked: 2 })
    ));
}

#[test]
fn a_driver_over_an_adapter_that_does_nothing_and_says_success_gets_no_chip() {
    let mut bus = Scripted::answering((0..1000).map(|_| Ok(0)));
    let found = Bme280::identify(&mut bus, &mut linux_embedded_hal_delay(), Address::Primary);
    assert!(matches!(found, Err(sensor_drivers::bme280::Error::Bus(I2cError::Incomplete { .. }))));
}

#[test]
fn neighbours_of_one_direction_are_one_message_and_reads_are_handed_out_in_order() {
    let mut script = Scripted::default();
    let mut bus = LinuxI2c::over(&mut script);
    let (mut first, mut second) = ([0; 2], [0; 3]);
    bus.transaction(
        0x40,
        &mut [
            Operation::Write(&[1, 2]),
            Operation::Write(&[3]),
            Operation::Read(&mut first),
            Operation::Read(&mut second),
            Operation::Write(&[4]),
        ],
    )
    .unwrap();
    assert_eq!((first, second), ([1, 2], [3, 4, 5]));
    let sent = vec![Seen::Write(vec![1, 2, 3]), Seen::Read(5), Seen::Write(vec![4])];
    assert_eq!(script.seen, [(0x40, sent)]);
}

#[test]
fn an_empty_write_probes_and_no_operations_are_no_transfer() {
    let mut script = Scripted::default();
    let mut bus = LinuxI2c::over(&mut script);
    bus.transaction(0x40, &mut []).unwrap();
    bus.write(0x40, &[]).unwrap();
    assert_eq!(script.seen, [(0x40, vec![Seen::Write(vec![])])]);
}

#[test]
fn a_transaction_that_does_not_fit_is_refused_and_not_cut() {
    let mut script = Scripted::default();
    let mut bus = LinuxI2c::over(&mut script);
    let mut buffers = [[0u8; 1]; 22];
    let mut operations = Vec::new();
    for buffer in &mut buffers {
        operations.push(Operation::Write(&[0]));
        operations.push(Operation::Read(buffer));
    }
    assert!(matches!(bus.transaction(0x40, &mut operations), Err(I2cError::TooLarge { messages: 44, .. })));
    assert!(bus.transaction(0x40, &mut operations[..42]).is_ok());
    assert!(matches!(bus.write(0x40, &[0; 8193]), Err(I2cError::TooLarge { messages: 1, bytes: 8193 })));
    assert_eq!(script.seen.len(), 1);
}

#[test]
fn what_the_system_says_is_told_apart_by_what_helps() {
    let error = |errno| Scripted::failing(errno).write(0x76, &[0]).unwrap_err();
    assert!(matches!(error(6), I2cError::NoAcknowledge));
    assert!(matches!(error(121), I2cError::NoAcknowledge));
    assert_eq!(error(6).kind(), ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown));
    assert!(matches!(error(110), I2cError::Timeout));
    assert!(matches!(error(11), I2cError::Busy));
    assert!(matches!(error(16), I2cError::Busy));
    assert!(matches!(error(19), I2cError::Gone));
    assert!(matches!(error(2), I2cError::Gone));
    assert!(matches!(error(5), I2cError::Bus(source) if source.raw_os_error() == Some(5)));
}

#[test]
fn a_bus_that_is_not_there_is_named() {
    let error = LinuxI2cOpener.open(Path::new("/dev/i2c-4711")).err().expect("there is no such bus");
    assert!(
        matches!(&error, I2cError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound),
        "{error:?}"
    );
    assert!(error.to_string().contains("/dev/i2c-4711"), "{error}");
}

#[test]
fn a_file_that_is_no_bus_fails_its_first_transfer() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut bus = LinuxI2cOpener.open(file.path()).unwrap();
    // ENOTTY: not a device of this kind.
    let error = bus.write_read(0x76, &[0xD0], &mut [0]).unwrap_err();
    assert!(matches!(&error, I2cError::Bus(source) if source.raw_os_error() == Some(25)), "{error:?}");
}

proptest! {
    #[test]
    fn every_byte_read_arrives_in_the_operation_that_asked_for_it(
        lengths in prop::collection::vec((any::<bool>(), 0usize..6), 1..12),
    ) {
        let mut script = Scripted::default();
        let mut buffers: Vec<(bool, Vec<u8>)> =
            lengths.iter().map(|(reads, length)| (*reads, vec![0; *length])).collect();
        let mut operations: Vec<Operation<'_>> = buffers
            .iter_mut()
            .map(|(reads, bytes)| if *reads { Operation::Read(bytes) } else { Operation::Write(bytes) })
            .collect();
        LinuxI2c::over(&mut script).transaction(0x40, &mut operations).unwrap();
        let read: Vec<u8> = buffers.iter().filter(|(reads, _)| *reads).flat_map(|(_, bytes)| bytes.clone()).collect();
        let expected: Vec<u8> = (1..).take(read.len()).collect();
        prop_assert_eq!(read, expected);
    }
}

fn linux_embedded_hal_delay() -> impl embedded_hal::delay::DelayNs {
    linux_embedded_hal::Delay
}
