//! Registers, as CSV and `GeoJSON`.

use fleet_server::registry::{MOST_PROBLEMS, parse_list};
use lamplighter_protocol::limits::RESERVED_NUMBER;

use super::mutate::mutate;
use crate::simulation::dice::Dice;

const LISTS: [&str; 2] = [include_str!("../../fuzz/list.csv"), include_str!("../../fuzz/list.geojson")];

const INPUTS: u64 = 32;

pub(super) fn case(mut dice: Dice) -> u64 {
    for list in LISTS {
        assert!(
            parse_list(list.as_bytes()).is_ok_and(|lampposts| lampposts.len() == 2),
            "what is valid is read"
        );
    }
    for _ in 0..INPUTS {
        let mut list = dice.pick(&LISTS).copied().unwrap_or_default().as_bytes().to_vec();
        let other = dice.pick(&LISTS).copied().unwrap_or_default().as_bytes();
        mutate(&mut list, other, &mut dice);
        match parse_list(&list) {
            Ok(lampposts) => {
                assert!(!lampposts.is_empty(), "a list that names nobody is refused");
                assert!(lampposts.iter().all(|lamppost| lamppost.number.as_str() != RESERVED_NUMBER));
            }
            Err(problems) => assert!((1..=MOST_PROBLEMS).contains(&problems.len())),
        }
    }
    INPUTS
}
