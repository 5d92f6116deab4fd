//! What every lamppost of the benchmark has read: twenty series of ten devices, each ten seconds.

use anyhow::Context as _;
use bytes::Bytes;
use edge_agent::outbox::{Chunk, Place, ReadLimit};
use lamplighter_protocol::{
    Catalogue, Description, Device, Digest, Grid, Observation, Reason, Record, Series, Tick, UtcMillis,
};

use crate::world::dice::stirred;

/// Time between two ticks.
pub(super) const PERIOD_MS: i64 = 10_000;

/// Each device with its properties, and about what they read, in whole numbers of the resolution.
const DEVICES: [(&str, &[(&str, i64)]); 10] = [
    (
        "weather-1",
        &[("air_temperature", 2_512), ("relative_humidity", 6_341), ("barometric_pressure", 101_325)],
    ),
    ("air-1", &[("pm1", 90), ("pm2_5", 140), ("pm10", 210)]),
    ("gas-1", &[("no2", 310), ("o3", 255)]),
    ("wind-1", &[("wind_speed", 340), ("wind_gust", 620), ("wind_direction", 1_800)]),
    ("rain-1", &[("rainfall", 12)]),
    ("light-1", &[("illuminance", 12_000)]),
    ("noise-1", &[("noise_level", 640)]),
    ("traffic-1", &[("vehicle_count", 9)]),
    ("power-1", &[("supply_voltage", 22_050)]),
    (
        "agent",
        &[
            ("agent_uptime", 86_400),
            ("agent_memory", 6_100),
            ("agent_backlog", 40_000),
            ("agent_missed_ticks", 2),
        ],
    ),
];

/// Records of a tick: one of each device.
pub(in crate::bench) const RECORDS_PER_TICK: u64 = DEVICES.len() as u64;

/// The records of all ticks from one time on, as an outbox gives them to be sent. They are made once, and the same for
/// all lampposts: what a server does with them does not depend on what others have read.
#[derive(Debug)]
pub(super) struct Day {
    first: UtcMillis,
    records: Bytes,
    /// Where each record begins, and at last where the last one ends.
    bounds: Vec<usize>,
    digest: Digest,
    description: Vec<u8>,
}

impl Day {
    /// So many ticks from `first` on.
    pub(super) fn of(first: UtcMillis, ticks: u64) -> anyhow::Result<Self> {
        let mut records = Vec::new();
        let mut bounds = vec![0];
        for tick in 0..ticks {
            let time = first.plus_ms(i64::try_from(tick)? * PERIOD_MS);
            for record in records_of(tick, time) {
                records.extend(record);
                bounds.push(records.len());
            }
        }
        let (description, digest) = description()?.encode();
        Ok(Self { first, records: records.into(), bounds, digest, description })
    }

    /// How many records there are of the ticks before this time.
    pub(super) fn records_before(&self, time: UtcMillis) -> u64 {
        let ticks = (time.since_ms(self.first) + PERIOD_MS - 1).div_euclid(PERIOD_MS);
        u64::try_from(ticks).unwrap_or(0) * RECORDS_PER_TICK
    }

    /// As an outbox reads them, all written in one description. None past the end.
    pub(super) fn read(&self, place: Place, limit: ReadLimit) -> Option<Chunk> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        for sequence in place.sequence..=limit.last {
            let at = usize::try_from(sequence).ok()?;
            let (Some(&begin), Some(&end)) = (self.bounds.get(at), self.bounds.get(at + 1)) else { break };
            // In a frame each has a tag, and a length of one byte below 128.
            bytes += end - begin + 2;
            if !records.is_empty() && (bytes > limit.bytes || records.len() >= limit.records) {
                break;
            }
            records.push(self.records.slice(begin..end));
        }
        (!records.is_empty()).then_some(Chunk { place, description: self.digest, records })
    }

    /// The payload of the description that this digest names; none of any other.
    pub(super) fn description(&self, digest: Digest) -> Option<Vec<u8>> {
        (digest == self.digest).then(|| self.description.clone())
    }
}

/// Observations in so many records, of whole ticks.
pub(in crate::bench) fn observations(records: u64) -> u64 {
    let of_tick: usize = DEVICES.iter().map(|(_, series)| series.len()).sum();
    records / RECORDS_PER_TICK * of_tick as u64
}

/// The records of a tick, each serialised: what is read differs from tick to tick.
pub(in crate::bench) fn records_of(tick: u64, time: UtcMillis) -> impl Iterator<Item = Vec<u8>> {
    DEVICES.iter().enumerate().map(move |(device, (_, series))| {
        let observations = series.iter().enumerate().map(|(place, &(_, about))| {
            let off = stirred(tick << 16 | (device << 8 | place) as u64) % (about.unsigned_abs() / 8 + 2);
            Observation { series: place, value: Some(about + off.cast_signed()), reason: Reason::GOOD }
        });
        Record::Tick(Tick { device, time, observations: observations.collect() }).encode()
    })
}

/// What the records say, with units and resolutions of the catalogue.
pub(in crate::bench) fn description() -> anyhow::Result<Description> {
    let catalogue = Catalogue::built_in();
    let series = |property: &str| -> anyhow::Result<Series> {
        let property = catalogue.get(&property.parse()?).context("not in the catalogue")?;
        Ok(Series {
            property: property.name.clone(),
            channel: None,
            value_type: property.value_type,
            unit: property.unit.clone(),
            resolution: property.resolution,
        })
    };
    let devices = DEVICES.iter().map(|(name, properties)| {
        let series =
            properties.iter().map(|(property, _)| series(property)).collect::<anyhow::Result<_>>()?;
        Ok(Device { name: name.parse()?, grid: Some(0), model: (*name).to_owned(), series })
    });
    let grid = Grid { period_ms: u32::try_from(PERIOD_MS)?, phase_ms: 0 };
    Ok(Description { grids: vec![grid], devices: devices.collect::<anyhow::Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use edge_agent::outbox::Place;
    use lamplighter_protocol::{Frame, Log, Nonce, RunId, limits};

    use super::*;

    #[test]
    fn frames_are_full_and_within_the_limits_and_hold_every_tick_once() {
        let day = Day::of(UtcMillis(0), 500).unwrap();
        let last = day.records_before(UtcMillis(500 * PERIOD_MS)) - 1;
        assert_eq!(observations(last + 1), 500 * 20);
        let limit = ReadLimit {
            bytes: limits::MAX_PAYLOAD_BYTES - 160,
            records: limits::MAX_RECORDS_PER_FRAME,
            last,
        };
        let (mut sequence, mut frames) = (0, 0);
        while sequence <= last {
            let place = Place { run: RunId([1; 16]), log: Log::Samples, sequence };
            let Chunk { description, records, .. } = day.read(place, limit).unwrap();
            for (place, record) in (sequence..).zip(&records) {
                let Ok(Record::Tick(tick)) = Record::decode(record) else { panic!("{place} is no tick") };
                let at = (tick.time.0 / PERIOD_MS).unsigned_abs() * RECORDS_PER_TICK + tick.device as u64;
                assert_eq!(at, place);
            }
            sequence += records.len() as u64;
            let (nonce, run) = (Nonce([1; 16]), RunId([1; 16]));
            let frame = Frame { nonce, count: 1 << 20, run, first: place.sequence, description, records };
            assert!(frame.encode().len() <= limits::MAX_PAYLOAD_BYTES);
            frames += 1;
        }
        assert!(frames <= 6, "{frames} frames are not full");
    }
}
