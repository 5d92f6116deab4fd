//! Whatever is lost or cut, in the end the server holds everything.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_lost_or_cut_the_server_holds_everything_in_the_end(
        ends in prop::collection::vec((0u64..300, 1u64..5), 1..4),
        steps in prop::collection::vec((0u8..12, 0u64..90), 0..200),
    ) {
        let mut world = World::new(&ends);
        for (step, amount) in steps {
            world.now += Duration::from_millis(amount * 100);
            match step {
                0 => world.append(amount),
                1 => world.connect(),
                2 => world.cut(),
                3 => world.deliver(true),
                4 => world.answer(),
                5 if amount == 0 => world.restore(),
                5..=8 => world.deliver(false),
                _ => { world.pump(); }
            }
        }
        // The faults stop.
        if !world.up {
            world.connect();
        }
        for _ in 0..5_000 {
            if world.is_complete() {
                break;
            }
            while world.pump() {}
            while !world.wire.is_empty() {
                world.deliver(false);
            }
            world.now += Duration::from_secs(30);
            world.answer();
            if !world.up {
                world.connect();
            }
        }
        prop_assert!(world.is_complete(), "{:?} of {:?}", world.held, world.ends);
    }
}
