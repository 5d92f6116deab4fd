//! Running a plan, and what must be true when the faults stop.

use std::collections::BTreeMap;
use std::time::Instant;

use edge_agent::clock::LearntFrom;

use super::action::{Action, Plan};
use super::dice::Dice;
use super::verdict::Broken;
use super::world::World;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// How often what happened.
    pub(super) tally: BTreeMap<&'static str, u64>,
}

/// So many minutes without faults are enough: the longest wait of a resend is an hour.
const MOST_ROUNDS: usize = 600;

/// In so many of them devices are still read,
const ROUNDS_OF_SAMPLES: usize = 3;

/// so often.
const SAMPLES_A_ROUND: usize = 15;

/// and so many commands are reported.
const REPORTS_A_ROUND: usize = 5;

/// Runs a plan. `started` is any instant: monotonic clocks count from there.
pub(super) fn run(plan: &Plan, actions: &[Action], started: Instant) -> Result<Outcome, Broken> {
    let mut world = World::new(plan, started);
    for (step, action) in actions.iter().enumerate() {
        world.apply(*action);
        if let Some(broken) = world.broken.take() {
            return Err(broken);
        }
        if step % 16 == 0 {
            world.check_nothing_invented()?;
            world.check_openings()?;
        }
    }
    world.server_is_up_to_date();
    settle(&mut world)?;
    world.excuse_damage();
    a_month_passes(&mut world)?;
    world.check_nothing_invented()?;
    world.check_openings()?;
    world.check_records()?;
    world.check_nothing_hangs_on_starts()?;
    world.check_times()?;
    Ok(Outcome { tally: world.told() })
}

fn settle(world: &mut World) -> Result<(), Broken> {
    // Another stream at each time: no two connections draw the same nonce.
    let mut dice = Dice::new(world.now_ms.unsigned_abs());
    world.server.disk.heal();
    world.server.clock.set_ahead(world.now_ms, 0);
    // Of two connections of one lamppost the server keeps the newer: from here on it always notices.
    world.cut_all_links();
    for post in 0..world.posts.len() {
        world.posts[post].disk.heal();
        world.posts[post].clock.set_ahead(0);
    }
    for round in 0..MOST_ROUNDS {
        world.start_server();
        if world.server.running.is_none() {
            return Err(Broken(format!("the server does not start: {:?}", world.server.start())));
        }
        let mut owed = false;
        for post in 0..world.posts.len() {
            world.start_agent(post);
            world.learn(post, 0, LearntFrom::OwnClock);
            if round < ROUNDS_OF_SAMPLES {
                // What is read now needs the space of what may be freed.
                (0..SAMPLES_A_ROUND).for_each(|_| world.sample(post, &mut dice));
                (0..REPORTS_A_ROUND).for_each(|_| world.report(post, &mut dice));
            }
            world.round(post, &mut dice);
            owed |= world.posts[post].owes();
        }
        if !owed && round >= ROUNDS_OF_SAMPLES {
            return Ok(());
        }
        world.now_ms += 61_000;
    }
    Err(Broken("it does not converge: after ten hours without a fault something is still owed".to_owned()))
}

/// So long that an outbox which nobody hears of any more has closed itself beside another one (D14).
fn a_month_passes(world: &mut World) -> Result<(), Broken> {
    world.now_ms += 31 * 24 * 3_600_000;
    settle(world)
}
