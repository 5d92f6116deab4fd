//! Vectors of the PMS5003, and its parser against streams as serial lines deliver them.

use proptest::prelude::*;

use super::conversion::encode;
use super::frame::{FRAME_LENGTH, FRAME_START, STATUS_WORD, WORDS};
use super::{Command, Counters, Error, Frame, FrameParser};
use crate::ErrorKind;
use crate::quantity::{MicrogramsPerCubicMetre, ParticlesPerDecilitre};

/// A frame by hand, byte for byte as appendix I lays it out; its sum, taken apart from this code, is 0x0216.
const VECTOR: [u8; FRAME_LENGTH] = [
    0x42, 0x4D, 0x00, 0x1C, // start, length
    0x00, 0x05, 0x00, 0x0A, 0x00, 0x0C, // CF=1: 5, 10, 12
    0x00, 0x04, 0x00, 0x09, 0x00, 0x0B, // atmospheric: 4, 9, 11
    0x04, 0x1A, 0x01, 0x36, 0x00, 0x42, // beyond 0.3, 0.5, 1.0 µm: 1050, 310, 66
    0x00, 0x07, 0x00, 0x02, 0x00, 0x01, // beyond 2.5, 5.0, 10 µm: 7, 2, 1
    0x97, 0x00, // version, no error
    0x02, 0x16, // check code
];
const VECTOR_WORDS: [u16; WORDS] = [5, 10, 12, 4, 9, 11, 1_050, 310, 66, 7, 2, 1, 0x9700];

// Conversion.

#[test]
fn the_vector_is_read_field_by_field() {
    let frame = only_frame(&VECTOR).unwrap();
    let standard = [frame.standard.pm1_0, frame.standard.pm2_5, frame.standard.pm10];
    let atmospheric = [frame.atmospheric.pm1_0, frame.atmospheric.pm2_5, frame.atmospheric.pm10];
    assert_eq!(standard.map(MicrogramsPerCubicMetre::get), [5, 10, 12]);
    assert_eq!(atmospheric.map(MicrogramsPerCubicMetre::get), [4, 9, 11]);
    let counts = &frame.counts;
    let counts = [
        counts.beyond_0_3_um,
        counts.beyond_0_5_um,
        counts.beyond_1_0_um,
        counts.beyond_2_5_um,
        counts.beyond_5_0_um,
        counts.beyond_10_um,
    ];
    assert_eq!(counts.map(ParticlesPerDecilitre::get), [1_050, 310, 66, 7, 2, 1]);
    assert_eq!(frame.version, 0x97);
}

#[test]
fn the_vector_is_written_byte_for_byte() {
    assert_eq!(encode(VECTOR_WORDS), VECTOR);
    assert_eq!(only_frame(&VECTOR).unwrap().to_words(0), VECTOR_WORDS);
}

#[test]
fn zero_mass_with_particles_is_a_value() {
    let words = [0, 0, 0, 0, 0, 0, 60, 18, 4, 2, 1, 0, 0x9700];
    assert_eq!(only_frame(&encode(words)).unwrap().atmospheric.pm2_5.get(), 0);
}

#[test]
fn full_scale_is_a_value() {
    let mut words = [0xFFFF; WORDS];
    words[0] = 0xFFFE;
    words[STATUS_WORD] = 0xFF00;
    let frame = only_frame(&encode(words)).unwrap();
    assert_eq!(frame.atmospheric.pm10.get(), 0xFFFF);
    assert_eq!(frame.counts.beyond_10_um.get(), 0xFFFF);
    assert_eq!(frame.to_words(0), words);
}

#[test]
fn frames_without_a_value_have_their_exact_error() {
    let mut blank_but_version = [0; WORDS];
    blank_but_version[STATUS_WORD] = 0x9700;
    let mut reported = VECTOR_WORDS;
    reported[STATUS_WORD] = 0x9704;
    let cases = [
        ([0; WORDS], Error::Blank { word: 0 }),
        (blank_but_version, Error::Blank { word: 0 }),
        ([0xFFFF; WORDS], Error::Blank { word: 0xFFFF }),
        (reported, Error::Reported { code: 4 }),
    ];
    for (words, expected) in cases {
        let error = only_frame(&encode(words)).unwrap_err();
        assert_eq!((error, error.kind()), (expected, ErrorKind::SensorFault));
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for position in FRAME_START.len()..FRAME_LENGTH {
        for bit in 0..8 {
            let mut bytes = VECTOR;
            bytes[position] ^= 1 << bit;
            let error = only_frame(&bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Bus, "byte {position}, bit {bit}");
        }
    }
}

#[test]
fn commands_are_those_of_appendix_ii() {
    let vectors = [
        (Command::PassiveMode, [0x42, 0x4D, 0xE1, 0x00, 0x00, 0x01, 0x70]),
        (Command::ActiveMode, [0x42, 0x4D, 0xE1, 0x00, 0x01, 0x01, 0x71]),
        (Command::Read, [0x42, 0x4D, 0xE2, 0x00, 0x00, 0x01, 0x71]),
        (Command::Sleep, [0x42, 0x4D, 0xE4, 0x00, 0x00, 0x01, 0x73]),
        (Command::Wake, [0x42, 0x4D, 0xE4, 0x00, 0x01, 0x01, 0x74]),
    ];
    for (command, bytes) in vectors {
        assert_eq!(command.encode(), bytes, "{command:?}");
    }
}

// The stream.

#[test]
fn a_frame_needs_its_last_byte() {
    let mut parser = FrameParser::new();
    parser.push(&VECTOR[..31]);
    assert_eq!(parser.next_frame(), None);
    parser.push(&VECTOR[31..]);
    assert!(matches!(parser.next_frame(), Some(Ok(_))));
    assert_eq!(parser.next_frame(), None);
    assert_eq!(parser.counters(), Counters { frames: 1, bad_sums: 0, discarded_bytes: 0 });
}

#[test]
fn the_frame_after_a_cut_one_is_recovered() {
    // As recorded by others on the street: 30 of 32 bytes, then the next frame.
    let stream = [&VECTOR[..30], &numbered(7), &numbered(8)].concat();
    let mut parser = FrameParser::new();
    let outcomes = collect(&mut parser, &stream);
    let [cut, after, last] = outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(cut, Err(Error::CheckCode { found: 0x424D, .. })), "{cut:?}");
    assert_eq!([number(after), number(last)], [7, 8]);
    assert_eq!(parser.counters(), Counters { frames: 2, bad_sums: 1, discarded_bytes: 30 });
}

#[test]
fn a_frame_cut_anywhere_costs_no_other() {
    for kept in 0..FRAME_LENGTH {
        let stream = [&VECTOR[..kept], &numbered(7), &numbered(8)].concat();
        let mut parser = FrameParser::new();
        let good: Vec<u16> = collect(&mut parser, &stream).into_iter().flatten().map(number_of).collect();
        assert_eq!(good, [7, 8], "{kept} bytes kept");
        assert_eq!(parser.counters().discarded_bytes, kept as u64);
    }
}

#[test]
fn a_false_start_right_before_a_frame_costs_no_frame() {
    for false_start in [&FRAME_START[..1], &FRAME_START[..2], &FRAME_START[..3], &FRAME_START[..]] {
        let stream = [false_start, &numbered(7), &numbered(8)].concat();
        let good: Vec<u16> =
            collect(&mut FrameParser::new(), &stream).into_iter().flatten().map(number_of).collect();
        assert_eq!(good, [7, 8], "{false_start:?}");
    }
}

#[test]
fn a_start_within_the_data_does_not_begin_a_frame() {
    let mut words = VECTOR_WORDS;
    (words[2], words[3]) = (0x424D, 0x001C);
    let stream = [encode(words), numbered(8)].concat();
    let outcomes = collect(&mut FrameParser::new(), &stream);
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(Result::is_ok));
}

#[test]
fn frames_of_another_length_and_replies_to_commands_are_passed_over() {
    let reply = [0x42, 0x4D, 0x00, 0x04, 0xE1, 0x00, 0x01, 0x74];
    let pms5003st = [0x42, 0x4D, 0x00, 0x24];
    let stream = [&reply[..], &numbered(7), &pms5003st, &numbered(8)].concat();
    let mut parser = FrameParser::new();
    let good: Vec<u16> = collect(&mut parser, &stream).into_iter().map(number).collect();
    assert_eq!(good, [7, 8]);
    assert_eq!(parser.counters(), Counters { frames: 2, bad_sums: 0, discarded_bytes: 12 });
}

#[test]
fn a_backlog_keeps_its_newest_frames_and_counts_the_rest() {
    let stream: Vec<u8> = (0..100).flat_map(numbered).collect();
    for piece in [stream.len(), 700, 33] {
        let mut parser = FrameParser::new();
        stream.chunks(piece).for_each(|piece| parser.push(piece));
        let good: Vec<u16> = drain(&mut parser).into_iter().map(number).collect();
        assert_eq!(good, (84..100).collect::<Vec<u16>>(), "pieces of {piece}");
        assert_eq!(parser.counters().discarded_bytes, 84 * 32);
    }
}

#[test]
fn clear_forgets_half_a_frame() {
    let mut parser = FrameParser::new();
    parser.push(&VECTOR[..20]);
    parser.clear();
    assert_eq!(collect(&mut parser, &numbered(7)).into_iter().map(number).collect::<Vec<_>>(), [7]);
    assert_eq!(parser.counters(), Counters { frames: 1, bad_sums: 0, discarded_bytes: 20 });
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_all_accounted_for(
        pieces in proptest::collection::vec(stream_piece(), 0..40),
    ) {
        let mut parser = FrameParser::new();
        let mut pushed = 0;
        for piece in &pieces {
            parser.push(piece);
            pushed += piece.len() as u64;
            drain(&mut parser);
        }
        parser.clear();
        let counters = parser.counters();
        prop_assert_eq!(counters.frames * 32 + counters.discarded_bytes, pushed);
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        words in proptest::collection::vec(good_words(), 1..12),
        cuts in proptest::collection::vec(1_usize..60, 1..200),
    ) {
        let stream: Vec<u8> = words.iter().flat_map(|words| encode(*words)).collect();
        let (mut parser, mut rest, mut outcomes) = (FrameParser::new(), &stream[..], Vec::new());
        for cut in cuts.iter().cycle() {
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            outcomes.extend(collect(&mut parser, piece));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let read: Vec<[u16; WORDS]> = outcomes.into_iter().map(|outcome| outcome.unwrap().to_words(0)).collect();
        prop_assert_eq!(read, words);
        prop_assert_eq!(parser.counters().discarded_bytes, 0);
    }

    #[test]
    fn noise_between_frames_costs_no_frame_and_makes_none(
        parts in proptest::collection::vec((noise(), good_words()), 1..12),
    ) {
        let mut parser = FrameParser::new();
        let mut read = Vec::new();
        for (noise, words) in &parts {
            for piece in [&noise[..], &encode(*words)] {
                read.extend(collect(&mut parser, piece).into_iter().flatten().map(|frame| frame.to_words(0)));
            }
        }
        let sent: Vec<[u16; WORDS]> = parts.iter().map(|(_, words)| *words).collect();
        prop_assert_eq!(read, sent);
    }
}

/// Words of a frame that has a value.
fn good_words() -> impl Strategy<Value = [u16; WORDS]> {
    any::<[u16; WORDS]>().prop_map(|mut words| {
        words[0] = words[0].clamp(1, 0xFFFE);
        words[STATUS_WORD] &= 0xFF00;
        words
    })
}

/// Any bytes without a whole false start, which is dealt with by name above: it delays a frame to the next one.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => any::<u8>(), 1 => Just(0x42), 1 => Just(0x4D), 1 => Just(0x00)];
    proptest::collection::vec(byte, 0..70)
        .prop_filter("false start", |noise| !noise.windows(4).any(|window| window == FRAME_START))
}

fn stream_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..700),
        Just(FRAME_START.to_vec()),
        good_words().prop_map(|words| encode(words).to_vec()),
        (good_words(), 0..FRAME_LENGTH).prop_map(|(words, kept)| encode(words)[..kept].to_vec()),
    ]
}

/// A frame that can be told from others by its PM1.0.
fn numbered(number: u16) -> [u8; FRAME_LENGTH] {
    let mut words = VECTOR_WORDS;
    words[3] = number;
    encode(words)
}

fn number(outcome: Result<Frame, Error>) -> u16 {
    number_of(outcome.unwrap())
}

fn number_of(frame: Frame) -> u16 {
    frame.atmospheric.pm1_0.get()
}

fn only_frame(bytes: &[u8]) -> Result<Frame, Error> {
    let outcomes = collect(&mut FrameParser::new(), bytes);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes[0]
}

fn collect(parser: &mut FrameParser, bytes: &[u8]) -> Vec<Result<Frame, Error>> {
    parser.push(bytes);
    drain(parser)
}

fn drain(parser: &mut FrameParser) -> Vec<Result<Frame, Error>> {
    std::iter::from_fn(|| parser.next_frame()).collect()
}
