//! The store's figures.

use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use super::size;
use crate::store::{StoreMetrics, TailOptions};
use crate::web::timestamp::Timestamp;

/// The newest observations, in memory; measured once a second.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct StoreDocument {
    /// Series that are known.
    series: u64,
    /// Most series.
    series_limit: u64,
    /// Observations in memory.
    observations: u64,
    /// Most observations in memory; when there are as many, the oldest of whoever holds most leave it.
    observations_limit: u64,
    /// Bytes of memory that all of it takes.
    bytes: u64,
    /// Phenomenon time of the oldest observation in memory; null without any.
    #[schema(required = true)]
    oldest: Option<Timestamp>,
    /// Observations that have left the memory because it was full; the journal still has them.
    evicted: u64,
}

impl StoreDocument {
    pub(super) fn new(metrics: &StoreMetrics, bounds: TailOptions) -> Self {
        let observations = size(&metrics.observations);
        Self {
            series: size(&metrics.series),
            series_limit: bounds.max_series as u64,
            observations,
            observations_limit: bounds.max_observations as u64,
            bytes: size(&metrics.bytes),
            oldest: (observations > 0).then(|| Timestamp(UtcMillis(metrics.oldest_ms.get()))),
            evicted: metrics.evicted.get(),
        }
    }
}
