//! Where the store keeps the series of a description, for one lamppost.

use std::sync::Arc;

use lamplighter_protocol::{Digest, LamppostNumber};

use super::known::{Known, SeriesKind};
use super::lamppost::Lamppost;
use crate::store::{SeriesId, SeriesKey, SeriesMeta, Tail, TooManySeries};

/// Most descriptions of which a lamppost's places are remembered at once.
const MOST_REMEMBERED: usize = 16;

/// By device and series; none for a series that is not taken.
pub(super) type Places = Vec<Vec<Option<SeriesId>>>;

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
    let mut places = Places::with_capacity(description.devices.len());
    for (device, kinds) in description.devices.iter().zip(&known.series) {
        let mut of_device = Vec::with_capacity(device.series.len());
        for (series, kind) in device.series.iter().zip(kinds) {
            of_device.push(match *kind {
                SeriesKind::Rejected(_) => None,
                SeriesKind::Taken { statistic, resolution } => {
                    let key = SeriesKey { lamppost: number.clone(), name: device.name_of(series) };
                    let grid = description.grid_of(device);
                    let meta = SeriesMeta { key, unit: series.unit.clone(), statistic, resolution, grid };
                    match store.series(meta) {
                        Ok(id) => Some(id),
                        Err(TooManySeries::OfLamppost { .. }) => None,
                        Err(TooManySeries::OfFleet { .. }) => return Err(StoreFull),
                    }
                }
            });
        }
        places.push(of_device);
    }
    if lamppost.places.len() >= MOST_REMEMBERED {
        lamppost.places.clear();
    }
    let places = Arc::new(places);
    lamppost.places.insert(digest, Arc::clone(&places));
    Ok(places)
}
