//! A department's end of the live feed: how old observations are when a client has read them.

use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use edge_agent::clock::{Clock as _, SystemClock};
use lamplighter_protocol::UtcMillis;
use serde::Deserialize;

use crate::fleet::Api;

/// An observation that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Its phenomenon time.
    pub(super) time: UtcMillis,
    /// How old it was when it had been read, in ms.
    pub(super) age_ms: f64,
}

/// A client of the live feed that notes how old each observation is when it is read.
pub(super) struct Feed {
    told: Arc<Mutex<Vec<Told>>>,
    done: Arc<AtomicBool>,
}

/// Of an event of any kind; most have no observations.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    observations: Vec<Observation>,
}

#[derive(Deserialize)]
struct Observation {
    time_ms: i64,
}

impl Feed {
    /// Follows what this query asks for; empty: everything.
    pub(super) fn follow(api: &Api, query: &str) -> Self {
        let feed = Self { told: Arc::default(), done: Arc::default() };
        let (told, done) = (Arc::clone(&feed.told), Arc::clone(&feed.done));
        let (url, token) = (format!("{}/live{query}", api.url()), format!("Bearer {}", api.token()));
        // It ends with the server, or at the first event after `stop`.
        std::thread::spawn(move || {
            let Ok(response) = ureq::get(url).header("authorization", token).call() else { return };
            let clock = SystemClock::believed();
            for line in BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok) {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let Some(data) = line.strip_prefix("data:") else { continue };
                let now = clock.now().wall;
                let Ok(event) = serde_json::from_str::<Event>(data) else { continue };
                #[expect(clippy::cast_precision_loss, reason = "milliseconds of some days")]
                let of_event = event.observations.iter().map(|one| Told {
                    time: UtcMillis(one.time_ms),
                    age_ms: now.since_ms(UtcMillis(one.time_ms)) as f64,
                });
                told.lock().unwrap_or_else(PoisonError::into_inner).extend(of_event);
            }
        });
        feed
    }

    /// How many of a time that `wanted` takes were read by now.
    pub(super) fn count(&self, wanted: impl Fn(UtcMillis) -> bool) -> usize {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|one| wanted(one.time)).count()
    }

    /// All that was read, in that order.
    pub(super) fn stop(self) -> Vec<Told> {
        self.done.store(true, Ordering::Relaxed);
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
