//! Orders as they come in: lines, of which not all are what they should be.

use std::io::Cursor;
use std::sync::Arc;

use crate::city::told::{Ear, Heard, lines_of};
use crate::rig::Scene;
use crate::rig::clock::RealClock;
use crate::world::faults::Faults;
use crate::world::{Recordings, Site, Variation, World};

#[test]
fn an_order_reaches_its_lamppost_and_is_answered_by_its_own_words() {
    let (first, second) = (scene(), scene());
    let ear = Ear::of(vec![
        ("KB0001".parse().unwrap(), first.clone()),
        ("KB0002".parse().unwrap(), second.clone()),
    ]);
    let line = "break KB0002 chip absent";
    let heard = ear.hear(line);
    assert_eq!(heard, Heard::Told { told: line.to_owned() });
    assert_eq!(serde_json::to_string(&heard).unwrap(), r#"{"told":"break KB0002 chip absent"}"#);
    assert!(second.is_broken() && !first.is_broken());
    ear.hear("mend KB0002");
    assert!(!second.is_broken());
}

#[test]
fn what_is_refused_is_refused_by_name_and_changes_nothing() {
    let scene = scene();
    let ear = Ear::of(vec![("KB0001".parse().unwrap(), scene.clone())]);
    for (line, said) in [
        ("", "a line is an order whose second word is a lamppost's number, such as `mend KB0007`"),
        ("mend", "a line is an order whose second word is a lamppost's number, such as `mend KB0007`"),
        ("break KB0009 chip absent", "\"KB0009\" is not the number of a lamppost of this process"),
        ("break KB0001 lamp absent", "a lamppost has no instrument \"lamp\"; it has chip and particles"),
        (&"x".repeat(121), "it is longer than 120 bytes"),
    ] {
        let refused = Heard::Refused { refused: line.to_owned(), because: said.to_owned() };
        assert_eq!(ear.hear(line), refused);
    }
    assert!(!scene.is_broken());
}

#[test]
fn lines_are_read_to_the_end_and_one_that_never_ends_is_cut_and_not_kept() {
    let endless = "x".repeat(1 << 20);
    let input = Cursor::new(format!("mend KB0001\n{endless}\nmend KB0002"));
    let mut lines = lines_of(input).unwrap();
    assert_eq!(lines.blocking_recv().as_deref(), Some("mend KB0001"));
    assert_eq!(lines.blocking_recv().map(|line| line.len()), Some(122));
    assert_eq!(lines.blocking_recv().as_deref(), Some("mend KB0002"));
    assert_eq!(lines.blocking_recv(), None);
}

fn scene() -> Scene {
    let world = World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None);
    Scene::new(world, Faults::None, 0, Arc::new(RealClock::default()))
}
