//! The simulated disk behind the ports of both ends.

mod outbox;
mod server;

use std::io;
use std::sync::{Arc, Mutex};

use super::dice::Dice;

pub(super) use outbox::OutboxDisk;
pub(super) use server::ServerDirectory;

/// A source of ids that follows from the dice.
pub(super) fn filler(dice: &mut Dice) -> impl Fn(&mut [u8]) -> io::Result<()> + Send + Sync + use<> {
    let dice = Arc::new(Mutex::new(dice.fork()));
    move |bytes| {
        dice.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(bytes);
        Ok(())
    }
}
