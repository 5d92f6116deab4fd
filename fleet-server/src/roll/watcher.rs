//! The watcher: looks at all lampposts once a second, and tells whose state has changed.

use std::fmt;
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

/// So many looks go by from one look at the registry to the next: an import shows after five seconds.
const LOOKS_PER_READING: u32 = 5;

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

    /// Reads the registry, if that has changed, and looks at all lampposts once. The first time nothing is published,
    /// for nobody can have seen the roll before: who comes now reads it whole. It is for when the journal has been read,
    /// before anybody may ask.
    ///
    /// # Errors
    /// [`LookPanicked`].
    pub async fn look(mut self) -> Result<Self, LookPanicked> {
        let register = self.reader.changed().await;
        self.pass(register).await
    }

    /// Looks once a second until `stop`.
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
                if look % LOOKS_PER_READING == 0 { self.reader.changed().await } else { None }
            };
            let register = tokio::select! {
                () = stop.cancelled() => break,
                register = register => register,
            };
            self = self.pass(register).await?;
        }
        Ok(())
    }

    /// Where waiting for locks is allowed.
    async fn pass(self, register: Option<Register>) -> Result<Self, LookPanicked> {
        let pass = move || {
            pass(&self.roll, register.map(Arc::new), clock::wall(), &self.publish);
            self
        };
        Ok(tokio::task::spawn_blocking(pass).await?)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("roll", &self.roll).finish_non_exhaustive()
    }
}

/// Looks at all lampposts, of this register if it is a new one, and publishes whose state has changed: also that of a
/// lamppost which is new on the roll, so that who listens learns of it.
pub(super) fn pass(
    roll: &Roll,
    register: Option<Arc<Register>>,
    now: UtcMillis,
    publish: &dyn Fn(LamppostState),
) {
    let before = roll.rows();
    let Some(register) = register.or_else(|| before.as_ref().map(|rows| Arc::clone(&rows.register))) else {
        return;
    };
    let state_before = |place: usize| {
        let (rows, number) = (before.as_ref()?, &register.numbers()[place]);
        let same = Arc::ptr_eq(&rows.register, &register);
        let state = if same { rows.states.get(place).copied() } else { rows.state(number) };
        Some((state?, rows.looked))
    };
    let mut states: Vec<State> = Vec::with_capacity(register.numbers().len());
    let mut changed = Vec::new();
    for numbers in register.numbers().chunks(AT_ONCE) {
        for seen in roll.sources.look(numbers) {
            let place = states.len();
            let before = state_before(place);
            let state = seen.state(before, now);
            if before.is_none_or(|(before, _)| state.differs(&before)) {
                changed.push(place);
            }
            states.push(state);
        }
    }
    let states: Arc<[State]> = states.into();
    roll.replace(Rows { register: Arc::clone(&register), states: Arc::clone(&states), looked: now });
    // Only now, so that who reads the roll after an event finds in it what the event told.
    if before.is_some() {
        for place in changed {
            publish(states[place].of(&register.numbers()[place]));
        }
    }
}
