//! What dates the records of a run that did not know the time when they were written (D3).
//!
//! Such a run has a file `undated`, written with its opening: its records have *provisional* times, which run evenly but
//! may be years off. What they are off by is told by a file `dating`, which is written once, whole and synced, and never
//! changes. Until then nothing of the run is read to be sent; from then on records are dated whenever they are read, so
//! what is sent follows from what is on disk alone.

use bytes::Bytes;
use lamplighter_protocol::{Dropped, Log, Reason, Record, RunId, UtcMillis};

use super::disk::Disk;
use super::error::OutboxError;
use super::run::Run;
use super::sealed::{self, Sealed};
use super::twin::{self, Kind, Lacking, Twin};
use crate::clock::ClockTrust;

/// The file that says that a run began without knowing the time.
pub(super) const UNDATED: &str = "undated";

/// The file that dates it. There are two copies: what was sent by it may not change, and without it could not be told again.
pub(super) const DATING: &str = "dating";

/// Datings of the kinds that version 1 does not know have this version. A reader of version 1 alone would take one of them for
/// damaged, and date the run anew; so it lets the run wait for whoever can read it.
const VERSION_OF_ROUGH: u16 = 2;

const DATINGS: Kind = Kind { name: DATING, newest: VERSION_OF_ROUGH, version_of };

/// What is known of the times of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunTime {
    /// They are what they say.
    Known,
    /// All of them are provisional.
    Undated(Undated),
    /// Some or all are provisional, and by how much they are off is known.
    Dated(Undated, Dating),
    /// What dates them cannot be read at the moment; the next start tries it again.
    Unread,
}

/// How a run began that did not know the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undated {
    /// Provisional time of its opening.
    pub(super) opened: UtcMillis,
    /// When the run before ended, by its provisional times, if it did not know the time either: its last records may go before
    /// it is dated.
    pub(super) before_ended: Option<UtcMillis>,
    /// Which moment of which boot that was.
    pub(super) boot: Option<BootTime>,
}

/// Stands for no time.
const NEVER: UtcMillis = UtcMillis(i64::MIN);

/// A moment of a boot of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootTime {
    pub(super) boot: [u8; 16],
    /// Since the boot.
    pub(super) ms: i64,
}

/// By how much provisional times are off, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dating {
    /// To be added to them.
    pub(super) shift_ms: i64,
    /// Records of the samples below this sequence have provisional times,
    pub(super) samples_below: u64,
    /// and of the events below this one.
    pub(super) events_below: u64,
    /// The last run that there was when this was found out.
    pub(super) after: RunId,
    pub(super) how: How,
}

/// How it was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The machine's clock was confirmed during the run.
    OwnClock,
    /// The server told the time during the run.
    Server,
    /// A server told the time during the run that never answered fast enough to be exact.
    SlowServer,
    /// A later run of the same boot learnt the time.
    SameBoot,
    /// A later run of the same boot learnt the time, not exactly.
    SameBootRoughly,
    /// Not at all: the run was placed between its neighbours.
    Placed(Bounds),
}

/// Between which times a run lies that never learnt the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) earliest: Option<UtcMillis>,
    pub(super) latest: UtcMillis,
}

/// By how much the times of observations are off that a report of drops counts (D11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpansOff {
    By(i64),
    /// Nobody knows.
    Unknown,
}

impl RunTime {
    /// What a time in a record of the run is in truth, as far as it is known.
    pub(super) fn of(&self, log: Log, sequence: u64, time: UtcMillis) -> Option<UtcMillis> {
        match self {
            Self::Known => Some(time),
            Self::Dated(_, dating) => Some(time.plus_ms(dating.shift_of(log, sequence))),
            Self::Undated(_) | Self::Unread => None,
        }
    }

    /// Whether the run lies between bounds and nothing more is known of its time.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Dated(_, Dating { how: How::Placed(bounds), .. }) => Some(*bounds),
            Self::Dated(..) | Self::Known | Self::Undated(_) | Self::Unread => None,
        }
    }
}

impl How {
    /// How far the times are to be believed that were found out so.
    pub(super) fn trust(self) -> ClockTrust {
        match self {
            Self::OwnClock | Self::Server | Self::SameBoot => ClockTrust::Sure,
            Self::SlowServer | Self::SameBootRoughly => ClockTrust::Unsure,
            Self::Placed(_) => ClockTrust::Unknown,
        }
    }
}

impl Dating {
    /// What is to be added to the times of a record.
    pub(super) fn shift_of(&self, log: Log, sequence: u64) -> i64 {
        if self.is_provisional(log, sequence) { self.shift_ms } else { 0 }
    }

    /// Whether a record was written with provisional times.
    pub(super) fn is_provisional(&self, log: Log, sequence: u64) -> bool {
        match log {
            Log::Samples => sequence < self.samples_below,
            Log::Events => sequence < self.events_below,
        }
    }

    /// The record as it is sent. What cannot be read is sent as it is: it has no time that anybody could read.
    pub(super) fn date(
        &self,
        (log, sequence): (Log, u64),
        bytes: &Bytes,
        spans_off: &dyn Fn(&Dropped) -> SpansOff,
    ) -> Bytes {
        let shift_ms = self.shift_of(log, sequence);
        let Ok(mut record) = Record::decode(bytes) else { return bytes.clone() };
        shift(&mut record, shift_ms, spans_off);
        if self.is_provisional(log, sequence) {
            self.doubt(&mut record);
        }
        record.encode().into()
    }

    /// What was good in a record with a provisional time is uncertain, if that is not dated exactly.
    pub(super) fn doubt(&self, record: &mut Record) {
        let is_exact = self.how.trust() == ClockTrust::Sure;
        if let (false, Record::Tick(tick)) = (is_exact, record) {
            let good = tick.observations.iter_mut().filter(|one| one.reason == Reason::GOOD);
            good.for_each(|one| one.reason = Reason::CLOCK_UNSURE);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let (how, bounds) = match self.how {
            How::OwnClock => (0, None),
            How::Server => (1, None),
            How::SameBoot => (2, None),
            How::SlowServer => (SLOW_SERVER, None),
            How::SameBootRoughly => (SAME_BOOT_ROUGHLY, None),
            How::Placed(bounds) => (if bounds.earliest.is_some() { 4 } else { 3 }, Some(bounds)),
        };
        let earliest = bounds.and_then(|bounds| bounds.earliest).unwrap_or_default();
        let latest = bounds.map(|bounds| bounds.latest).unwrap_or_default();
        let mut body = vec![how];
        body.extend_from_slice(&self.shift_ms.to_le_bytes());
        body.extend_from_slice(&self.samples_below.to_le_bytes());
        body.extend_from_slice(&self.events_below.to_le_bytes());
        body.extend_from_slice(&self.after.0);
        body.extend_from_slice(&earliest.0.to_le_bytes());
        body.extend_from_slice(&latest.0.to_le_bytes());
        body
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (&[how], rest) = body.split_first_chunk()?;
        let (shift_ms, rest) = rest.split_first_chunk()?;
        let (samples_below, rest) = rest.split_first_chunk()?;
        let (events_below, rest) = rest.split_first_chunk()?;
        let (after, rest) = rest.split_first_chunk()?;
        let (earliest, rest) = rest.split_first_chunk()?;
        let (latest, []) = rest.split_first_chunk()? else { return None };
        let latest = UtcMillis(i64::from_le_bytes(*latest));
        let earliest = UtcMillis(i64::from_le_bytes(*earliest));
        let how = match how {
            0 => How::OwnClock,
            1 => How::Server,
            2 => How::SameBoot,
            3 => How::Placed(Bounds { earliest: None, latest }),
            4 => How::Placed(Bounds { earliest: Some(earliest), latest }),
            SLOW_SERVER => How::SlowServer,
            SAME_BOOT_ROUGHLY => How::SameBootRoughly,
            _ => return None,
        };
        Some(Self {
            shift_ms: i64::from_le_bytes(*shift_ms),
            samples_below: u64::from_le_bytes(*samples_below),
            events_below: u64::from_le_bytes(*events_below),
            after: RunId(*after),
            how,
        })
    }
}

/// Kinds of datings that came with version 2.
const SLOW_SERVER: u8 = 5;
const SAME_BOOT_ROUGHLY: u8 = 6;

/// The version under which what dates a run is written.
fn version_of(dating: &[u8]) -> u16 {
    match dating.first() {
        Some(&(SLOW_SERVER | SAME_BOOT_ROUGHLY)) => VERSION_OF_ROUGH,
        Some(_) | None => sealed::VERSION,
    }
}

/// Moves the times of a record that were written by the clock of its run.
pub(super) fn shift(record: &mut Record, shift_ms: i64, spans_off: &dyn Fn(&Dropped) -> SpansOff) {
    match record {
        Record::Tick(tick) => tick.time = tick.time.plus_ms(shift_ms),
        // When the run before ended is said only if that is known in truth.
        Record::Opening(opening) => opening.opened = opening.opened.plus_ms(shift_ms),
        Record::Command(report) => report.time = report.time.plus_ms(shift_ms),
        // Its bounds are true times.
        Record::Dating(dating) => dating.time = dating.time.plus_ms(shift_ms),
        Record::Dropped(report) => {
            report.time = report.time.plus_ms(shift_ms);
            match spans_off(report) {
                SpansOff::By(off_ms) => {
                    for series in &mut report.series {
                        series.first = series.first.plus_ms(off_ms);
                        series.last = series.last.plus_ms(off_ms);
                    }
                }
                SpansOff::Unknown => report.series.clear(),
            }
        }
    }
}

impl Undated {
    fn encode(&self) -> Vec<u8> {
        let mut body = self.opened.0.to_le_bytes().to_vec();
        body.extend_from_slice(&self.before_ended.unwrap_or(NEVER).0.to_le_bytes());
        if let Some(BootTime { boot, ms }) = self.boot {
            body.extend_from_slice(&boot);
            body.extend_from_slice(&ms.to_le_bytes());
        }
        body
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (opened, rest) = body.split_first_chunk()?;
        let (before_ended, rest) = rest.split_first_chunk()?;
        let opened = UtcMillis(i64::from_le_bytes(*opened));
        let before_ended = Some(UtcMillis(i64::from_le_bytes(*before_ended))).filter(|time| *time != NEVER);
        if rest.is_empty() {
            return Some(Self { opened, before_ended, boot: None });
        }
        let (boot, rest) = rest.split_first_chunk()?;
        let (ms, []) = rest.split_first_chunk()? else { return None };
        let boot = Some(BootTime { boot: *boot, ms: i64::from_le_bytes(*ms) });
        Some(Self { opened, before_ended, boot })
    }

    /// Says of a run that is being opened that it does not know the time.
    pub(super) fn write(&self, disk: &dyn Disk, directory: &std::path::Path) -> Result<(), OutboxError> {
        sealed::write(disk, &directory.join(UNDATED), &self.encode())
    }
}

/// Dates a run, for good: it is on disk, wholly, when this returns.
pub(super) fn write(disk: &dyn Disk, run: &Run, dating: &Dating) -> Result<(), OutboxError> {
    twin::write(disk, &run.directory, DATINGS, &dating.encode())
}

/// What is known of a run's times, its directory being synced; and of what dates it, the copy that is to be written again.
pub(super) fn load(disk: &dyn Disk, run: &Run) -> (RunTime, Option<Lacking>) {
    let (path, opened) = (run.directory.display(), run.opening.map(|opening| opening.opened));
    let undated = match sealed::read(disk, &run.directory.join(UNDATED)) {
        Ok(Sealed::Absent) => return (RunTime::Known, None),
        Ok(Sealed::Whole(body)) => Undated::decode(&body),
        Ok(Sealed::Damaged) => None,
        Err(error) => {
            tracing::error!(%path, %error, "whether the run knew the time cannot be read: it waits for the next start");
            return (RunTime::Unread, None);
        }
    };
    let undated = undated.unwrap_or_else(|| {
        tracing::error!(%path, "when the run began is damaged: it is placed between its neighbours");
        Undated { opened: opened.unwrap_or_default(), before_ended: None, boot: None }
    });
    match twin::read(disk, &run.directory, DATINGS, Dating::decode) {
        Ok(Twin::Absent) => (RunTime::Undated(undated), None),
        Ok(Twin::Whole(dating, lacking)) => (RunTime::Dated(undated, dating), lacking),
        Ok(Twin::Damaged) => {
            tracing::error!(%path, "what dates the run is damaged twice: it is dated anew, as one that never learnt the time");
            (RunTime::Undated(Undated { boot: None, ..undated }), None)
        }
        Err(error) => {
            tracing::error!(%path, %error, "what dates the run cannot be read: it waits for the next start");
            (RunTime::Unread, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::{Observation, Tick};

    use super::*;

    const DATING: Dating = Dating {
        shift_ms: 1_000_000,
        samples_below: 10,
        events_below: u64::MAX,
        after: RunId([3; 16]),
        how: How::OwnClock,
    };

    fn bounds(earliest: Option<i64>) -> How {
        How::Placed(Bounds { earliest: earliest.map(UtcMillis), latest: UtcMillis(9) })
    }

    #[test]
    fn what_dates_a_run_is_read_as_it_was_written() {
        let exactly = [How::OwnClock, How::Server, How::SameBoot];
        let roughly = [How::SlowServer, How::SameBootRoughly, bounds(None), bounds(Some(-1))];
        for how in exactly.into_iter().chain(roughly) {
            let dating = Dating { how, ..DATING };
            assert_eq!(Dating::decode(&dating.encode()), Some(dating));
            assert_eq!(Dating::decode(&dating.encode()[1..]), None);
        }
        for boot in [None, Some(BootTime { boot: [7; 16], ms: 1 << 40 })] {
            for before_ended in [None, Some(UtcMillis(0))] {
                let undated = Undated { opened: UtcMillis(-5), before_ended, boot };
                assert_eq!(Undated::decode(&undated.encode()), Some(undated));
            }
        }
        assert_eq!(Undated::decode(&[0; 17]), None);
    }

    fn dated(dating: &Dating, sequence: u64) -> Tick {
        let observation = |series, reason: Reason| {
            let value = (reason.quality() != lamplighter_protocol::Quality::Bad).then_some(5);
            Observation { series, value, reason }
        };
        let reasons = [Reason::GOOD, Reason::OUT_OF_RANGE, Reason::NO_ANSWER];
        let observations =
            reasons.into_iter().enumerate().map(|(series, reason)| observation(series, reason));
        let tick = Tick { device: 0, time: UtcMillis(7), observations: observations.collect() };
        let bytes = Record::Tick(tick).encode().into();
        let dated = dating.date((Log::Samples, sequence), &bytes, &|_| SpansOff::Unknown);
        let Ok(Record::Tick(tick)) = Record::decode(&dated) else { panic!("{dated:?}") };
        tick
    }

    #[test]
    fn d3_records_below_the_sequence_are_dated_and_those_after_it_are_as_they_are() {
        assert_eq!(dated(&DATING, 9).time, UtcMillis(1_000_007));
        assert_eq!(dated(&DATING, 10).time, UtcMillis(7));
        let reasons = |tick: Tick| tick.observations.iter().map(|one| one.reason).collect::<Vec<_>>();
        assert_eq!(reasons(dated(&DATING, 9)), [Reason::GOOD, Reason::OUT_OF_RANGE, Reason::NO_ANSWER]);
        for how in [bounds(None), How::SlowServer, How::SameBootRoughly] {
            let roughly = Dating { how, ..DATING };
            assert_eq!(
                reasons(dated(&roughly, 9)),
                [Reason::CLOCK_UNSURE, Reason::OUT_OF_RANGE, Reason::NO_ANSWER],
                "a worse reason stays"
            );
            assert_eq!(reasons(dated(&roughly, 10))[0], Reason::GOOD, "read by a time that is known");
        }
    }
}
