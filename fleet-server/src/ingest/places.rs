//! Where the store keeps the series of a description, for one lamppost, and what it says of them: what the current
//! description does. An older one that a backlog brings is read by, and makes known what the store has never heard of;
//! it takes nothing back.

use std::sync::Arc;

use lamplighter_protocol::{Description, Device, Digest, LamppostNumber, Series};

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

    /// Has the store say of its series what this description, to which the places belong, does.
    pub(super) fn describe(&self, known: &Known, store: &mut Tail) {
        let description = &known.description;
        for (device, kinds) in description.devices.iter().zip(&known.series) {
            for (series, kind) in device.series.iter().zip(kinds) {
                let meta = meta(&self.lamppost, description, device, series, kind);
                // What found no place before finds none now.
                if let Some(meta) = meta.filter(|meta| store.find(&meta.key).is_some()) {
                    store.series(meta).ok();
                }
            }
        }
    }
}

/// The store has no room for another series of anybody: not the fault of whoever comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreFull;

/// The places of a description's series; those that the store does not know are made known to it when this lamppost
/// first writes in it.
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
            let meta = meta(number, description, device, series, kind);
            of_device.push(meta.map(|meta| place(meta, store)).transpose()?.flatten());
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

/// Where the store keeps a series; none if its lamppost has too many.
fn place(meta: SeriesMeta, store: &mut Tail) -> Result<Option<SeriesId>, StoreFull> {
    if let Some(id) = store.find(&meta.key) {
        return Ok(Some(id));
    }
    match store.series(meta) {
        Ok(id) => Ok(Some(id)),
        Err(TooManySeries::OfLamppost { .. }) => Ok(None),
        Err(TooManySeries::OfFleet { .. }) => Err(StoreFull),
    }
}

/// What a description says of a series; none for one that is not taken.
fn meta(
    number: &LamppostNumber,
    description: &Description,
    device: &Device,
    series: &Series,
    kind: &SeriesKind,
) -> Option<SeriesMeta> {
    match kind {
        SeriesKind::Rejected(_) => None,
        SeriesKind::Taken { statistic, resolution, live } => Some(SeriesMeta {
            key: SeriesKey { lamppost: number.clone(), name: live.name.clone() },
            unit: series.unit.clone(),
            statistic: *statistic,
            resolution: *resolution,
            grid: description.grid_of(device),
        }),
    }
}
