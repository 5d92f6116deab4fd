//! Where the store keeps the series of a description, for one lamppost.

use std::sync::Arc;

use lamplighter_protocol::{Digest, LamppostNumber};

use super::known::{Known, SeriesKind};
use super::lamppost::Lamppost;
use crate::store::{SeriesId, SeriesKey, SeriesMeta, Tail, TooManySeries};

/// Most descriptions of which a lamppost's places are remembered at once.
const MOST_REMEMBERED: usize = 16;

/// What a lamppost's frames of one description lead to.
#[derive(Debug)]
pub(super) struct Places {
    /// The lamppost, shared by all that feeds say of it.
    pub(super) lamppost: Arc<LamppostNumber>,
    /// By device and series; none for a series that is not taken.
    ids: Vec<Vec<Option<SeriesId>>>,
}

impl Places {
    /// Where the store keeps a series; none if it does not take it.
    pub(super) fn id(&self, device: usize, series: usize) -> Option<SeriesId> {
        self.ids.get(device)?.get(series).copied().flatten()
    }
}

/// The store has no room for another series of anybody: not the fault of whoever comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreFull;

/// The places of a description's series; makes them known to the store when this lamppost first writes in it.
pub(super) fn places(
    number: &LamppostNumber,
    lamppost: &mut Lamppost,
    digest: Digest,
    known: &Known,
    store: &mut Tail,
) -> Result<Arc<Places>, StoreFull> {
    if let Some(places) = lamppost.places.get(&digest) {
        return Ok(Arc::clone(places));
    }
    let description = &known.description;
    let mut ids = Vec::with_capacity(description.devices.len());
    for (device, kinds) in description.devices.iter().zip(&known.series) {
        let mut of_device = Vec::with_capacity(device.series.len());
        for (series, kind) in device.series.iter().zip(kinds) {
            of_device.push(match kind {
                SeriesKind::Rejected(_) => None,
                SeriesKind::Taken { statistic, resolution, live } => {
                    let key = SeriesKey { lamppost: number.clone(), name: live.name.clone() };
                    let grid = description.grid_of(device);
                    let unit = series.unit.clone();
                    let meta = SeriesMeta { key, unit, statistic: *statistic, resolution: *resolution, grid };
                    match store.series(meta) {
                        Ok(id) => Some(id),
                        Err(TooManySeries::OfLamppost { .. }) => None,
                        Err(TooManySeries::OfFleet { .. }) => return Err(StoreFull),
                    }
                }
            });
        }
        ids.push(of_device);
    }
    if lamppost.places.len() >= MOST_REMEMBERED {
        lamppost.places.clear();
    }
    let places = Arc::new(Places { lamppost: Arc::new(number.clone()), ids });
    lamppost.places.insert(digest, Arc::clone(&places));
    Ok(places)
}
