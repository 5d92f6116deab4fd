//! The outbox and a list of records take the same steps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append(Log, u8),
    Describe(u8),
    /// A position that lists, of each run and log, these per mille of what was written: from, to.
    Believe(Vec<(u16, u16)>),
    Reopen,
    /// A power cut that takes so many bytes of the last segment of the samples.
    Cut(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let log = prop_oneof![4 => Just(Log::Samples), 1 => Just(Log::Events)];
    prop_oneof![
        12 => (log, 1..30_u8).prop_map(|(log, count)| Step::Append(log, count)),
        1 => (0..3_u8).prop_map(Step::Describe),
        4 => prop::collection::vec((0..1_000_u16, 0..1_400_u16), 8).prop_map(Step::Believe),
        2 => Just(Step::Reopen),
        1 => any::<u8>().prop_map(Step::Cut),
    ]
}

/// What was written, what the last position listed, and what was reported as dropped.
#[derive(Default)]
struct Model {
    written: BTreeMap<(RunId, Log), Vec<(Record, Digest)>>,
    held: BTreeMap<(RunId, Log), Pieces>,
    on_disk: BTreeMap<(RunId, Log), Pieces>,
    reported: BTreeMap<(RunId, Log), Pieces>,
    number: i64,
}

impl Model {
    fn log(&mut self, run: RunId, log: Log) -> &mut Vec<(Record, Digest)> {
        self.written.entry((run, log)).or_default()
    }

    /// A run that was opened is a run with an opening.
    fn opened(&mut self, outbox: &Outbox) {
        let run = settled(outbox).run;
        let opening = Record::Opening(opening(outbox, run));
        *self.log(run, Log::Events) = vec![(opening, digest("bme280"))];
        self.log(run, Log::Samples);
    }

    fn check(&mut self, outbox: &Outbox) {
        let state = settled(outbox);
        for ((run, log), written) in &self.written {
            let found = run_of(&state, *run).log(*log);
            assert_eq!(found.end, written.len() as u64);
            assert_eq!(*found.held, self.held.get(&(*run, *log)).cloned().unwrap_or_default());
            // Nothing comes, and what goes is held at that time, or was reported.
            let before = self.on_disk.entry((*run, *log)).or_default();
            let mut may_go = Pieces::clone(&found.held);
            may_go.union(self.reported.get(&(*run, *log)).unwrap_or(&Pieces::new()));
            for (first, last) in before.ranges() {
                for (from, to) in found.on_disk.missing_in(first, last) {
                    assert!(may_go.contains_all(from, to), "{from} to {to} went, and nobody says why");
                }
            }
            *before = found.on_disk.clone();
            for (sequence, record, description) in read_all(outbox, *run, *log) {
                let (expected, written_in) = &written[usize::try_from(sequence).unwrap()];
                assert_eq!((&record, description), (expected, *written_in));
            }
            assert!(*log == Log::Samples || found.on_disk.contains(0));
        }
        assert_eq!(state.damaged, 0);
    }

    fn append(&mut self, outbox: &Outbox, log: Log, count: u8, model: &str) {
        let run = settled(outbox).run;
        for _ in 0..count {
            self.number += 1;
            let (record, before) = (tick(self.number), settled(outbox));
            let (first, first_event) = (run_of(&before, run).log(log).end, run_of(&before, run).events.end);
            outbox.append(log, &record).unwrap();
            let after = settled(outbox);
            let written = first_event..run_of(&after, run).events.end;
            let mut taken = 1 - (after.refused - before.refused);
            if log == Log::Samples {
                assert_eq!(run_of(&after, run).samples.end - first, taken);
                if taken == 1 {
                    self.log(run, log).push((record.clone(), digest(model)));
                    self.on_disk.entry((run, log)).or_default().insert(first, first);
                }
            }
            for sequence in written {
                let chunk =
                    read(outbox, run, Log::Events, sequence, ReadLimit { records: 1, ..ALL }).unwrap();
                let event = Record::decode(&chunk.records[0]).unwrap();
                match &event {
                    Record::Dropped(report) => self.dropped(report),
                    other @ (Record::Tick(_)
                    | Record::Opening(_)
                    | Record::Command(_)
                    | Record::Dating(_)) => {
                        assert_eq!((log, other), (Log::Events, &record));
                        taken -= 1;
                    }
                }
                self.on_disk.entry((run, Log::Events)).or_default().insert(sequence, sequence);
                self.log(run, Log::Events).push((event, digest(model)));
            }
            assert!(log == Log::Samples || taken == 0);
        }
    }

    /// A report says what was written, nothing that is held, and nothing twice.
    fn dropped(&mut self, report: &Dropped) {
        let key = (report.run, report.log);
        assert_eq!(report.reason, DropReason::Bytes);
        let records: Vec<u64> = report.pieces.ranges().flat_map(|(first, last)| first..=last).collect();
        let written = &self.written[&key];
        let expected =
            counted(records.iter().map(|sequence| &written[usize::try_from(*sequence).unwrap()].0));
        assert_eq!(report.series, expected);
        let (held, reported) = (self.held.get(&key), self.reported.entry(key).or_default());
        for sequence in records {
            assert!(held.is_none_or(|held| !held.contains(sequence)) && !reported.contains(sequence));
        }
        reported.union(&report.pieces);
    }

    fn believe(&mut self, outbox: &Outbox, parts: &[(u16, u16)]) {
        let runs: Vec<RunId> = settled(outbox).runs.iter().rev().map(|run| run.run).collect();
        let mut position = position(&[]);
        self.held.clear();
        for (run, parts) in runs.into_iter().zip(parts.chunks(2)) {
            let mut listed = Log::ALL.into_iter().zip(parts).map(|(log, (from, to))| {
                let end = self.log(run, log).len() as u64;
                let mut pieces = Pieces::new();
                let last = (end * u64::from(*to) / 1_000).min(end);
                if last > 0 {
                    pieces.insert(end * u64::from(*from) / 1_000, last - 1);
                }
                self.held.insert((run, log), pieces.clone());
                LogHeld { pieces, complete_below: u64::MAX }
            });
            position.runs.push(RunPosition {
                run,
                samples: listed.next().unwrap(),
                events: listed.next().unwrap(),
            });
        }
        wait(outbox.believe(position)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_outbox_keeps_every_record_until_the_server_holds_it_or_a_report_says_that_it_goes(steps in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::new();
        bench.options.max_bytes = 8_000;
        let mut model = Model::default();
        let mut described = "bme280".to_owned();
        let (mut outbox, mut thread) = bench.open();
        model.opened(&outbox);
        for step in steps {
            match step {
                Step::Append(log, count) => model.append(&outbox, log, count, &described),
                Step::Describe(version) => {
                    described = format!("version-{version}");
                    outbox.describe(&description(&described)).unwrap();
                }
                Step::Believe(parts) => model.believe(&outbox, &parts),
                Step::Reopen | Step::Cut(_) => {
                    let run = settled(&outbox).run;
                    close(outbox, thread);
                    if let Step::Cut(bytes) = step {
                        cut(&bench, &mut model, run, bytes);
                    }
                    (outbox, thread) = bench.open();
                    described = "bme280".to_owned();
                    model.opened(&outbox);
                }
            }
            model.check(&outbox);
        }
        close(outbox, thread);
    }
}

/// Cuts bytes off the last segment of the samples, and what they held off the model.
fn cut(bench: &Bench, model: &mut Model, run: RunId, bytes: u8) {
    let Some(path) = segments(bench.runs().last().unwrap(), Log::Samples).pop() else { return };
    let file = fs::File::options().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let kept = length.saturating_sub(u64::from(bytes));
    file.set_len(kept).unwrap();
    let first: usize = path.to_str().unwrap().rsplit(['-', '.']).nth(1).unwrap().parse().unwrap();
    let log = model.log(run, Log::Samples);
    let mut offset = crate::outbox::segment::HEADER_BYTES as u64;
    let whole = log[first..].iter().take_while(|one| {
        offset += (crate::outbox::segment::PREFIX_BYTES + one.0.encode().len()) as u64;
        offset <= kept
    });
    let end = first + whole.count();
    log.truncate(end);
    model.on_disk.entry((run, Log::Samples)).or_default().remove(end as u64, u64::MAX - 1);
}
