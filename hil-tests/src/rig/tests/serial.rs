//! Serial instruments, over the line and with the parser that the agent uses.

use std::path::Path;

use edge_agent::bus::serial::{SerialError, SerialLine};
use sensor_drivers::FrameParser;
use sensor_drivers::pms5003::model::Fault as ParticlesFault;
use sensor_drivers::pms5003::{Command, Frame};

use super::*;
use crate::rig::serial::SerialInstruments;
use crate::world::told::Order;

/// Far more than an answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// For answers that must not come.
const A_WHILE: Duration = Duration::from_millis(300);

#[test]
fn a_question_is_answered_by_what_is_in_the_air_at_that_time() {
    let hands = Hands::at(MORNING);
    let scene = scene(&hands, Faults::None, 0);
    let world = scene.world.clone();
    let mut instruments = SerialInstruments::start().unwrap();
    let path = instruments.plug_in_pms5003(scene).unwrap();
    let mut line = open_passive(&path);
    for hour in 0..48 {
        let time = MORNING.plus_ms(hour * 3_600_000);
        hands.set(time);
        let mass = ask(&mut line, PATIENCE).expect("it answers").atmospheric;
        let truth = world.at(time);
        let found = (mass.pm1_0.get(), mass.pm2_5.get(), mass.pm10.get());
        assert_eq!(found, (truth.pm1, truth.pm2_5, truth.pm10), "{time:?}");
    }
}

#[test]
fn what_is_told_befalls_an_instrument_on_a_line_too() {
    let scene = scene(&Hands::at(MORNING), Faults::None, 0);
    let mut instruments = SerialInstruments::start().unwrap();
    let mut line = open_passive(&instruments.plug_in_pms5003(scene.clone()).unwrap());
    scene.tell(Order::Break(Fault::Particles(ParticlesFault::Silent)));
    assert!(ask(&mut line, A_WHILE).is_none());
    scene.tell(Order::Mend);
    scene.tell(Order::Set { property: "pm2_5", value: 1_500.0 });
    assert_eq!(ask(&mut line, PATIENCE).unwrap().atmospheric.pm2_5.get(), 1_500);
}

#[test]
fn a_port_that_was_closed_opens_again_and_is_the_same_instrument() {
    let mut instruments = SerialInstruments::start().unwrap();
    let path = instruments.plug_in_pms5003(scene(&Hands::at(MORNING), Faults::None, 0)).unwrap();
    for _ in 0..3 {
        let mut line = open_passive(&path);
        assert!(ask(&mut line, PATIENCE).is_some());
    }
}

#[test]
fn instruments_of_one_process_do_not_mix() {
    let mut instruments = SerialInstruments::start().unwrap();
    let mut lines: Vec<(SerialLine, u16)> = (0..8)
        .map(|hour| {
            let scene = scene(&Hands::at(MORNING.plus_ms(hour * 3_600_000)), Faults::None, 0);
            let truth = scene.world.at(scene.clock.now().wall);
            (open_passive(&instruments.plug_in_pms5003(scene).unwrap()), truth.pm10)
        })
        .collect();
    for (line, pm10) in &mut lines {
        assert_eq!(ask(line, PATIENCE).unwrap().atmospheric.pm10.get(), *pm10);
    }
}

#[test]
fn before_it_is_told_to_wait_for_questions_it_sends_by_itself() {
    let hands = Hands::at(MORNING);
    let mut instruments = SerialInstruments::start().unwrap();
    let path = instruments.plug_in_pms5003(scene(&hands, Faults::None, 0)).unwrap();
    let mut line = SerialLine::open(&path, 9600).unwrap();
    // World time stands still: one frame is due, as since the world began.
    assert!(listen(&mut line, PATIENCE).is_some());
    hands.set(MORNING.plus_ms(1_000));
    assert!(listen(&mut line, PATIENCE).is_some());
}

#[test]
fn it_keeps_silent_within_its_window_and_answers_after_it() {
    let (lamppost, window) = some_window(Fault::Particles(ParticlesFault::Silent));
    let hands = Hands::at(window.from.plus_ms(-1));
    let mut instruments = SerialInstruments::start().unwrap();
    let path = instruments.plug_in_pms5003(scene(&hands, BROKEN, lamppost)).unwrap();
    let mut line = open_passive(&path);
    assert!(ask(&mut line, PATIENCE).is_some());
    hands.set(window.from);
    assert!(ask(&mut line, A_WHILE).is_none());
    hands.set(window.until);
    assert!(ask(&mut line, PATIENCE).is_some());
}

#[test]
fn a_port_whose_instruments_are_unplugged_is_gone() {
    let mut instruments = SerialInstruments::start().unwrap();
    let path = instruments.plug_in_pms5003(scene(&Hands::at(MORNING), Faults::None, 0)).unwrap();
    let mut line = open_passive(&path);
    drop(instruments);
    let heard = line.exchange(PATIENCE, async |wire| wire.read(&mut [0; 8]).await.map(<[u8]>::len));
    assert!(matches!(heard, Err(SerialError::Gone { .. })), "{heard:?}");
}

/// In passive mode, with nothing under way.
fn open_passive(path: &Path) -> SerialLine {
    let mut line = SerialLine::open(path, 9600).unwrap();
    // The acknowledgement has the start of a frame and is none.
    let acknowledged = line
        .exchange(PATIENCE, async |wire| {
            wire.write_all(&Command::PassiveMode.encode()).await?;
            let (mut heard, mut buffer) = (Vec::new(), [0; 64]);
            while !heard.ends_with(&ACKNOWLEDGED) {
                heard.extend_from_slice(wire.read(&mut buffer).await?);
            }
            Ok::<_, SerialError>(())
        })
        .unwrap();
    acknowledged.expect("it acknowledges the mode");
    line
}

/// Start, length 4, command 0xE1, data 0, and their sum.
const ACKNOWLEDGED: [u8; 8] = [0x42, 0x4D, 0x00, 0x04, 0xE1, 0x00, 0x01, 0x74];

fn ask(line: &mut SerialLine, within: Duration) -> Option<Frame> {
    line.exchange(within, async |wire| wire.write_all(&Command::Read.encode()).await).unwrap();
    listen(line, within)
}

/// The next frame, if one comes.
fn listen(line: &mut SerialLine, within: Duration) -> Option<Frame> {
    line.exchange(within, async |wire| {
        let (mut parser, mut buffer) = (FrameParser::new(), [0; 64]);
        loop {
            parser.push(wire.read(&mut buffer).await?);
            if let Some(frame) = parser.next_frame() {
                return Ok::<_, SerialError>(frame.expect("the frame is good"));
            }
        }
    })
    .unwrap()
}
