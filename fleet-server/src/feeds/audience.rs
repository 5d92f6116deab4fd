//! Whether anybody listens, and whether there is anything to hear: messages are made for somebody, or not at all.

use std::sync::Arc;

use tokio::sync::watch;

/// Those who listen, and the encoder that they wait for. Clones are one and the same.
#[derive(Clone, Debug)]
pub(super) struct Audience {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    seats: usize,
    is_served: bool,
}

/// Somebody who listens, or is about to; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    audience: Audience,
}

impl Audience {
    pub(super) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())) }
    }

    /// Takes a seat, which has the encoder begin if it rests, and go on while it is held.
    pub(super) fn enter(&self) -> Seat {
        self.state.send_modify(|state| state.seats += 1);
        Seat { audience: self.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.borrow().seats == 0
    }

    /// Ends once somebody has a seat.
    pub(super) async fn entered(&self) {
        self.wait_for(|state| state.seats > 0).await;
    }

    /// Lets those in who wait: the shelf has the latest of each series, and what follows comes onto it.
    pub(super) fn serve(&self) {
        self.state.send_modify(|state| state.is_served = true);
    }

    /// True: nobody has a seat, and whoever takes one from now on waits until it is served again.
    pub(super) fn leave(&self) -> bool {
        self.state.send_if_modified(|state| {
            let is_empty = state.seats == 0;
            state.is_served &= !is_empty;
            is_empty
        })
    }

    async fn wait_for(&self, is_so: impl FnMut(&State) -> bool) {
        let waited = self.state.subscribe().wait_for(is_so).await.map(drop);
        waited.expect("what sends is held by what waits");
    }
}

impl Seat {
    /// Ends once the shelf has what there is to hear. It then stays so for as long as the seat is held.
    pub(super) async fn served(&self) {
        self.audience.wait_for(|state| state.is_served).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.audience.state.send_modify(|state| state.seats -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn nobody_listens_to_a_shelf_that_is_not_filled() {
        let audience = Audience::new();
        assert!(audience.is_empty() && audience.entered().now_or_never().is_none());
        let first = audience.enter();
        assert!(audience.entered().now_or_never().is_some());
        assert!(first.served().now_or_never().is_none());
        audience.serve();
        assert!(first.served().now_or_never().is_some());
        let second = audience.enter();
        assert!(second.served().now_or_never().is_some(), "it goes on");
        drop(first);
        assert!(!audience.leave(), "there is one still");
        assert!(second.served().now_or_never().is_some());
        drop(second);
        assert!(audience.leave());
        assert!(audience.enter().served().now_or_never().is_none(), "it has to begin anew");
    }
}
