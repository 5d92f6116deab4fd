//! The watcher: looks at all lampposts once a second, and tells whose state has changed.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::UtcMillis;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::look::AT_ONCE;
use super::reader::Reader;
use super::register::Register;
use super::{Roll, Rows, State};
use crate::clock;
use crate::live::LamppostState;
use crate::registry::Registry;

/// Is told each state that has changed. It must not wait.
pub type StatePublisher = Box<dyn Fn(LamppostState) + Send>;

/// How often all lampposts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many looks go by from one look at the registry to the next: an import shows after five seconds. One that could not
/// be read is tried again with the next look.
const LOOKS_PER_READING: u32 = 5;

/// Most changes that are published at once, and the time from one such piece to the next. That is 20,480 a second, half
/// of what a feed can tell with the default [`LiveOptions`](crate::live::LiveOptions) (an event of 4,096 lampposts each
/// 100 ms), and the ring of 65,536 reaches back three seconds beside what observations take of it. So a whole city that
/// changes at once (100,000 lampposts, in five seconds) runs over nobody who reads.
pub(super) const PIECE: usize = 1_024;
const PIECE_EVERY: Duration = Duration::from_millis(50);

/// Keeps the roll.
pub struct Watcher {
    roll: Roll,
    reader: Reader,
    publish: StatePublisher,
}

/// The watcher cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("a look at the lampposts panicked")]
pub struct LookPanicked(#[from] tokio::task::JoinError);

impl Watcher {
    /// A watcher that has not looked yet.
    pub fn new(roll: Roll, registry: Registry, publish: StatePublisher) -> Self {
        Self { roll, reader: Reader::new(registry), publish }
    }

    /// Reads the registry, if that has changed, and looks at all lampposts once. Nothing is published, for nobody can
    /// have seen the roll before: who comes now reads it whole. It is for when the journal has been read, before
    /// anybody may ask.
    ///
    /// # Errors
    /// [`LookPanicked`].
    pub async fn look(mut self) -> Result<Self, LookPanicked> {
        let register = self.reader.changed().await;
        Ok(self.pass(register).await?.0)
    }

    /// Looks once a second until `stop`, and publishes what has changed. Of a registry that can be read for the first
    /// time only now every lamppost is published, for who has listened meanwhile has read of none.
    ///
    /// # Errors
    /// [`LookPanicked`].
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), LookPanicked> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        // A look that took too long is not made up for.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for look in 1.. {
            let register = async {
                looks.tick().await;
                let reads = look % LOOKS_PER_READING == 0 || !self.reader.has_read();
                if reads { self.reader.changed().await } else { None }
            };
            let register = tokio::select! {
                () = stop.cancelled() => break,
                register = register => register,
            };
            let changed;
            (self, changed) = self.pass(register).await?;
            if let Some(changed) = changed
                && self.publish(&changed, &stop).await.is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Where waiting for locks is allowed.
    async fn pass(self, register: Option<Register>) -> Result<(Self, Option<Changed>), LookPanicked> {
        let pass = move || {
            let lag = self.roll.sources.lag(clock::monotonic());
            let changed = pass(&self.roll, register.map(Arc::new), clock::wall(), lag);
            (self, changed)
        };
        Ok(tokio::task::spawn_blocking(pass).await?)
    }

    /// Publishes piece by piece, unless the server stops in between.
    async fn publish(&mut self, changed: &Changed, stop: &CancellationToken) -> ControlFlow<()> {
        for (place, piece) in changed.places.chunks(PIECE).enumerate() {
            if place > 0 {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return ControlFlow::Break(()),
                    () = tokio::time::sleep(PIECE_EVERY) => {}
                }
            }
            changed.states(piece).for_each(&self.publish);
        }
        ControlFlow::Continue(())
    }
}

/// What a look has changed.
#[derive(Debug)]
pub(super) struct Changed {
    rows: Rows,
    /// Of the lampposts whose state is worth telling.
    pub(super) places: Vec<usize>,
}

impl Changed {
    pub(super) fn states(&self, places: &[usize]) -> impl Iterator<Item = LamppostState> {
        places.iter().map(|place| self.rows.states[*place].of(&self.rows.register.numbers()[*place]))
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("roll", &self.roll).finish_non_exhaustive()
    }
}

/// Looks at all lampposts, of this register if it is a new one, while ingest is behind by `lag`. Tells whose state has
/// changed: also that of a lamppost which is new on the roll, so that who listens learns of it. By then the roll has all
/// of it, so that who reads that after an event finds in it what the event told. None before there is a register.
pub(super) fn pass(
    roll: &Roll,
    register: Option<Arc<Register>>,
    now: UtcMillis,
    lag: Duration,
) -> Option<Changed> {
    let before = roll.rows();
    let register = register.or_else(|| before.as_ref().map(|rows| Arc::clone(&rows.register)))?;
    let state_before = |place: usize| {
        let (rows, number) = (before.as_ref()?, &register.numbers()[place]);
        let same = Arc::ptr_eq(&rows.register, &register);
        let state = if same { rows.states.get(place).copied() } else { rows.state(number) };
        Some((state?, rows.looked))
    };
    let mut states: Vec<State> = Vec::with_capacity(register.numbers().len());
    let mut places = Vec::new();
    for numbers in register.numbers().chunks(AT_ONCE) {
        for seen in roll.sources.look(numbers) {
            let place = states.len();
            let before = state_before(place);
            let state = seen.state(before, now, lag);
            if before.is_none_or(|(before, _)| state.differs(&before)) {
                places.push(place);
            }
            states.push(state);
        }
    }
    let rows = Rows { register, states: states.into(), looked: now };
    roll.replace(rows.clone());
    Some(Changed { rows, places })
}
