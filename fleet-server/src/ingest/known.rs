//! Descriptions that the server has (D4), each compared with the catalogue once.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lamplighter_protocol::{Catalogue, Decimal, Description, Device, Digest, Series, SeriesName, Statistic};

use super::metrics::Verdict;
use crate::live::LiveSeries;

/// A description with what the catalogue says of each of its series.
#[derive(Debug)]
pub(super) struct Known {
    pub digest: Digest,
    /// As it was sent.
    pub payload: Bytes,
    pub description: Description,
    /// By device and series.
    pub series: Vec<Vec<SeriesKind>>,
    /// Those of them that are taken, in order of their names.
    pub taken: Vec<Arc<LiveSeries>>,
    /// Of the grids on which its devices are read.
    pub shortest_period_ms: Option<u32>,
}

/// What the catalogue says of a described series.
#[derive(Clone, Debug)]
pub(super) enum SeriesKind {
    /// It is taken. What feeds say of it is kept here, once for all lampposts of the description.
    Taken { statistic: Statistic, resolution: Decimal, live: Arc<LiveSeries> },
    /// Its observations are rejected, for this reason.
    Rejected(Verdict),
}

#[derive(Debug)]
pub(super) struct Descriptions {
    catalogue: Catalogue,
    known: HashMap<Digest, Arc<Known>>,
}

impl Descriptions {
    pub(super) fn new(catalogue: Catalogue) -> Self {
        Self { catalogue, known: HashMap::new() }
    }

    pub(super) fn get(&self, digest: Digest) -> Option<Arc<Known>> {
        self.known.get(&digest).cloned()
    }

    /// Keeps the description of this payload.
    pub(super) fn keep(&mut self, digest: Digest, payload: Bytes, description: Description) {
        let catalogue = &self.catalogue;
        let known = || Arc::new(compare(digest, payload, description, catalogue));
        self.known.entry(digest).or_insert_with(known);
    }

    /// All of them, in the order of their digests.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Known>> {
        let mut known: Vec<_> = self.known.values().collect();
        known.sort_unstable_by_key(|known| known.digest);
        known.into_iter()
    }
}

fn compare(digest: Digest, payload: Bytes, description: Description, catalogue: &Catalogue) -> Known {
    let kinds = |device: &Device| {
        let period_ms = description.grid_of(device).map(|grid| grid.period_ms);
        let series = device.series.iter().map(|series| match catalogue.get(&series.property) {
            None => SeriesKind::Rejected(Verdict::UnknownProperty),
            // Resolution may differ from the catalogue's, type and unit may not (D4).
            Some(property) if property.unit != series.unit || property.value_type != series.value_type => {
                SeriesKind::Rejected(Verdict::Type)
            }
            Some(property) => SeriesKind::Taken {
                statistic: property.statistic,
                resolution: series.resolution,
                live: Arc::new(LiveSeries {
                    name: device.name_of(series),
                    unit: series.unit.clone(),
                    period_ms,
                }),
            },
        });
        series.collect()
    };
    let series: Vec<Vec<SeriesKind>> = description.devices.iter().map(kinds).collect();
    let mut taken: Vec<Arc<LiveSeries>> = series.iter().flatten().filter_map(SeriesKind::taken).collect();
    taken.sort_by(|one, other| one.name.cmp(&other.name));
    let grids = description.devices.iter().filter_map(|device| description.grid_of(device));
    let shortest_period_ms = grids.map(|grid| grid.period_ms).min();
    Known { digest, payload, description, series, taken, shortest_period_ms }
}

impl Known {
    /// The device that has a series; none if it is not described.
    pub(super) fn device_of(&self, series: &SeriesName) -> Option<&Device> {
        let device = self.description.devices.iter().find(|device| device.name == series.device)?;
        let has = |one: &Series| one.property == series.property && one.channel == series.channel;
        device.series.iter().any(has).then_some(device)
    }
}

impl SeriesKind {
    fn taken(&self) -> Option<Arc<LiveSeries>> {
        match self {
            Self::Taken { live, .. } => Some(Arc::clone(live)),
            Self::Rejected(_) => None,
        }
    }
}
