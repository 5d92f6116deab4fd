//! The model against the manual, and the parser against the model.

use std::time::Duration;

use super::{Fault, Pms5003Model};
use crate::model::SerialTarget;
use crate::pms5003::{Command, Error, Frame, FrameParser};
use crate::quantity::MicrogramsPerCubicMetre;

#[test]
fn it_sends_one_frame_a_second_unasked() {
    let mut instrument = instrument();
    assert_eq!(instrument.next_at(), Some(seconds(1)));
    assert!(instrument.transmit(Duration::from_millis(999)).is_empty());
    let [frame] = frames(&instrument.transmit(seconds(1)))[..] else { panic!("not one frame") };
    let frame = frame.unwrap();
    let atmospheric = [frame.atmospheric.pm1_0, frame.atmospheric.pm2_5, frame.atmospheric.pm10];
    assert_eq!(atmospheric.map(MicrogramsPerCubicMetre::get), [11, 29, 45]);
    assert_eq!(frame.standard.pm10.get(), 67);
    assert!(instrument.transmit(seconds(1)).is_empty());
    assert_eq!(instrument.next_at(), Some(seconds(2)));
}

#[test]
fn clean_air_has_particles_and_hence_a_value() {
    let mut instrument = instrument();
    instrument.set_environment(0, 0, 0);
    let frame = frames(&instrument.transmit(seconds(1)))[0].unwrap();
    assert_eq!(frame.atmospheric.pm2_5.get(), 0);
}

#[test]
fn full_scale_does_not_overflow() {
    let mut instrument = instrument();
    instrument.set_environment(u16::MAX, u16::MAX, u16::MAX);
    let frame = frames(&instrument.transmit(seconds(1)))[0].unwrap();
    assert_eq!(frame.atmospheric.pm2_5.get(), u16::MAX);
}

#[test]
fn frames_that_nobody_collected_are_gone() {
    let mut instrument = instrument();
    assert_eq!(instrument.transmit(Duration::from_millis(86_400_500)).len(), 32);
    assert_eq!(instrument.next_at(), Some(seconds(86_401)));
    // However far the world has moved on.
    assert_eq!(instrument.transmit(seconds(1 << 40)).len(), 32);
    assert_eq!(instrument.next_at(), Some(seconds((1 << 40) + 1)));
}

#[test]
fn in_passive_mode_it_sends_when_asked() {
    let mut instrument = instrument();
    instrument.receive(seconds(1), &Command::PassiveMode.encode());
    assert_eq!(instrument.next_at(), Some(seconds(1)));
    let acknowledged = instrument.transmit(seconds(1));
    assert_eq!(acknowledged, [0x42, 0x4D, 0x00, 0x04, 0xE1, 0x00, 0x01, 0x74]);
    assert_eq!(instrument.next_at(), None);
    assert!(instrument.transmit(seconds(9)).is_empty());

    instrument.receive(seconds(9), &Command::Read.encode());
    assert_eq!(frames(&instrument.transmit(seconds(9))).len(), 1);
    assert!(instrument.transmit(seconds(10)).is_empty());

    instrument.receive(seconds(10), &Command::ActiveMode.encode());
    assert_eq!(instrument.transmit(seconds(10)), [0x42, 0x4D, 0x00, 0x04, 0xE1, 0x01, 0x01, 0x75]);
    assert_eq!(instrument.next_at(), Some(seconds(11)));
}

#[test]
fn asleep_it_hears_nothing_but_wake() {
    let mut instrument = instrument();
    instrument.receive(seconds(1), &Command::Sleep.encode());
    assert_eq!(instrument.transmit(seconds(1)), [0x42, 0x4D, 0x00, 0x04, 0xE4, 0x00, 0x01, 0x77]);
    instrument.receive(seconds(2), &Command::PassiveMode.encode());
    instrument.receive(seconds(2), &Command::Read.encode());
    assert!(instrument.transmit(seconds(60)).is_empty());
    assert_eq!(instrument.next_at(), None);
    instrument.receive(seconds(60), &Command::Wake.encode());
    assert_eq!(instrument.next_at(), Some(seconds(61)));
    assert_eq!(frames(&instrument.transmit(seconds(61))).len(), 1);
}

#[test]
fn commands_are_heard_in_pieces_and_after_noise_but_not_with_a_wrong_sum() {
    let mut instrument = instrument();
    let mut wrong = Command::PassiveMode.encode();
    wrong[6] ^= 1;
    instrument.receive(seconds(0), &wrong);
    assert!(instrument.transmit(seconds(0)).is_empty());
    for byte in [&[0x42, 0x42, 0x4D, 0xFF][..], &Command::PassiveMode.encode()].concat() {
        instrument.receive(seconds(0), &[byte]);
    }
    assert_eq!(instrument.transmit(seconds(0)).len(), 8);
}

#[test]
fn faults_have_their_effect_and_end() {
    for fault in [Fault::Silent, Fault::BadSum, Fault::AllZero, Fault::ErrorCode] {
        let mut instrument = instrument();
        let mut parser = FrameParser::new();
        instrument.set_fault(fault);
        assert_eq!(instrument.fault(), fault);
        let faulty = run(&mut instrument, &mut parser, 1..=3);
        match fault {
            Fault::Silent => assert_eq!(faulty, []),
            Fault::BadSum => assert!(matches!(faulty[..], [Err(Error::CheckCode { .. }), ..])),
            Fault::AllZero => assert_eq!(faulty, [Err(Error::Blank { word: 0 }); 3]),
            Fault::ErrorCode => assert_eq!(faulty, [Err(Error::Reported { code: 1 }); 3]),
            Fault::None | Fault::Cut | Fault::Noise => {}
        }
        assert!(faulty.iter().all(Result::is_err), "{fault:?}");
        instrument.set_fault(Fault::None);
        let mended = run(&mut instrument, &mut parser, 4..=6);
        assert_eq!(mended.iter().filter(|outcome| outcome.is_ok()).count(), 3, "{fault:?}");
    }
}

#[test]
fn every_other_frame_survives_cutting() {
    let mut instrument = instrument();
    instrument.set_fault(Fault::Cut);
    assert_eq!(instrument.transmit(seconds(1)).len(), 30);
    instrument.set_fault(Fault::Cut);
    let mut parser = FrameParser::new();
    let outcomes = run(&mut instrument, &mut parser, 2..=11);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    assert_eq!(parser.counters().bad_sums, 5);
}

#[test]
fn every_frame_survives_noise_in_its_own_second() {
    let mut instrument = instrument();
    instrument.set_fault(Fault::Noise);
    let mut parser = FrameParser::new();
    for second in 1..=10 {
        let outcomes = run(&mut instrument, &mut parser, second..=second);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "second {second}");
    }
    assert_eq!(parser.counters().bad_sums, 10);
}

fn instrument() -> Pms5003Model {
    let mut instrument = Pms5003Model::new();
    instrument.set_environment(11, 29, 45);
    instrument
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn run(
    instrument: &mut Pms5003Model,
    parser: &mut FrameParser,
    at: std::ops::RangeInclusive<u64>,
) -> Vec<Result<Frame, Error>> {
    at.flat_map(|second| {
        parser.push(&instrument.transmit(seconds(second)));
        std::iter::from_fn(|| parser.next_frame()).collect::<Vec<_>>()
    })
    .collect()
}

fn frames(bytes: &[u8]) -> Vec<Result<Frame, Error>> {
    let mut parser = FrameParser::new();
    parser.push(bytes);
    std::iter::from_fn(|| parser.next_frame()).collect()
}
