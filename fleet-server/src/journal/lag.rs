//! What is committed and not ingested yet: the writer counts batches in, ingest counts entries out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::clock;

/// How far ingest is behind the journal. Clones are one and the same.
///
/// It holds as many batches as wait between the two, which is a handful: the journal commits nothing more while ingest
/// takes nothing.
#[derive(Debug, Clone, Default)]
pub struct Lag {
    batches: Arc<Mutex<VecDeque<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    entries: u64,
    committed: Instant,
}

impl Lag {
    /// A batch of so many entries is on disk; said before ingest can have it.
    pub(super) fn committed(&self, entries: u64, now: Instant) {
        if entries > 0 {
            self.lock().push_back(Waiting { entries, committed: now });
        }
    }

    /// Ingest has taken the oldest entry.
    pub fn ingested(&self) {
        let mut batches = self.lock();
        if let Some(oldest) = batches.front_mut() {
            oldest.entries -= 1;
            if oldest.entries == 0 {
                batches.pop_front();
            }
        }
    }

    /// Entries that wait, and how long the oldest of them has; nothing waits for no time.
    pub fn waiting(&self, now: Instant) -> (u64, Duration) {
        let batches = self.lock();
        let oldest = batches.front().map(|oldest| now.saturating_duration_since(oldest.committed));
        (batches.iter().map(|batch| batch.entries).sum(), oldest.unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        // No code that holds the lock can panic half way through a change.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (entries, oldest) = self.waiting(clock::monotonic());
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        #[expect(clippy::cast_precision_loss, reason = "a handful of batches")]
        gauge("waiting_entries", "Entries committed and not ingested yet", None, entries as f64)?;
        let help = "How long the oldest entry that is committed and not ingested yet has waited";
        gauge("waiting", help, Some(&Unit::Seconds), oldest.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn the_oldest_entry_that_waits_says_for_how_long() {
        let (lag, start) = (Lag::default(), clock::monotonic());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(lag.waiting(after(9)), (0, Duration::ZERO));
        lag.committed(2, after(0));
        lag.committed(1, after(3));
        lag.committed(0, after(4));
        assert_eq!(lag.waiting(after(5)), (3, Duration::from_secs(5)));
        lag.ingested();
        assert_eq!(lag.waiting(after(5)), (2, Duration::from_secs(5)));
        lag.ingested();
        assert_eq!(lag.waiting(after(5)), (1, Duration::from_secs(2)));
        lag.ingested();
        assert_eq!(lag.waiting(after(5)), (0, Duration::ZERO));
        lag.ingested();
        assert_eq!(
            lag.waiting(after(5)),
            (0, Duration::ZERO),
            "what was never counted in is not counted out"
        );
    }

    #[test]
    fn it_is_printed_under_the_name_of_the_journal() {
        let (lag, mut registry) = (Lag::default(), Registry::default());
        lag.committed(3, clock::monotonic());
        registry.sub_registry_with_prefix("journal").register_collector(Box::new(lag));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.lines().any(|line| line == "journal_waiting_entries 3.0"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("journal_waiting_seconds 0.")), "{text}");
    }
}
