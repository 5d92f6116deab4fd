//! Random histories of appends, faults of the disk, kills and power cuts, against what must hold after each of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::memory_disk::{Faults, Stop};
use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Queues entries of these sizes and waits for what becomes of them.
    Append(Vec<usize>),
    Fail(Faults),
    /// Trims below the sequence that is this far behind the newest one.
    Trim(u64),
    /// Starts again; these faults meet the opening.
    Restart(Stop, Faults),
}

fn faults() -> impl Strategy<Value = Faults> {
    let space = prop_oneof![3 => Just(None), 1 => (0..4000_usize).prop_map(Some)];
    let stops_after = prop_oneof![2 => Just(None), 1 => (0..12_u32).prop_map(Some)];
    let names = (0..2_u32, 0..2_u32);
    (space, 0..2_u32, 0..3_u32, 0..2_u32, names, stops_after).prop_map(
        |(space, writes, syncs, cuts, (removals, name_syncs), stops_after)| Faults {
            space,
            writes,
            syncs,
            cuts,
            removals,
            name_syncs,
            stops_after,
            ..Faults::default()
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let stop = prop_oneof![Just(Stop::Kill), Just(Stop::PowerCut)];
    let at_open = prop_oneof![2 => Just(Faults::default()), 1 => faults()];
    prop_oneof![
        5 => proptest::collection::vec(0..200_usize, 1..6).prop_map(Step::Append),
        2 => faults().prop_map(Step::Fail),
        2 => (0..20_u64).prop_map(Step::Trim),
        2 => (stop, at_open).prop_map(|(stop, faults)| Step::Restart(stop, faults)),
    ]
}

proptest! {
    // A history depends on how the journal's thread is scheduled, too: its seed alone does not bring it back.
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_committed_and_not_trimmed_is_replayed_ever_after_once_and_in_order(
        seed: u64, steps in proptest::collection::vec(step(), 1..25),
    ) {
        block_on(async {
            let mut history = History::begin(seed);
            for step in steps {
                match step {
                    Step::Append(sizes) => history.append(&sizes).await,
                    Step::Fail(faults) => history.disk.fail(faults),
                    Step::Trim(behind) => history.trim(behind),
                    Step::Restart(stop, at_open) => history.restart(stop, at_open),
                }
            }
            history.restart(Stop::PowerCut, Faults::default());
        });
    }
}

struct History {
    disk: MemoryDisk,
    running: Running,
    /// What must be there from now on: by sequence, which entry.
    durable: BTreeMap<u64, u64>,
    /// Below it nothing has to be there any more.
    trimmed: u64,
    next_id: u64,
}

impl History {
    fn begin(seed: u64) -> Self {
        let disk = MemoryDisk::new(seed);
        let running = start(open(&disk).unwrap().0);
        Self { disk, running, durable: BTreeMap::new(), trimmed: 0, next_id: 0 }
    }

    async fn append(&mut self, sizes: &[usize]) {
        let ids = self.next_id..;
        self.next_id += sizes.len() as u64;
        let tickets = self.running.append(sizes, ids.start).await;
        for (id, ticket) in ids.zip(tickets) {
            match self.fate(ticket).await {
                Fate::Committed => self.must_stay(ticket.sequence, id),
                Fate::Void => {}
                // Nor will those behind it be settled.
                Fate::Waiting => break,
            }
        }
    }

    fn trim(&mut self, behind: u64) {
        let sequence = self.running.handle.committed().borrow().below.saturating_sub(behind);
        self.trimmed = self.trimmed.max(sequence);
        self.running.handle.trim_below(sequence);
    }

    /// What becomes of a ticket; it waits for ever on a machine that has stopped or a disk that stays full.
    async fn fate(&self, ticket: Ticket) -> Fate {
        let mut commits = self.running.handle.committed();
        for _ in 0..20 {
            let fate = commits.borrow_and_update().fate(ticket);
            if fate != Fate::Waiting || self.disk.has_stopped() {
                return fate;
            }
            // Elapsed or changed: either way the next round looks.
            drop(tokio::time::timeout(Duration::from_millis(2), commits.changed()).await);
        }
        Fate::Waiting
    }

    fn restart(&mut self, stop: Stop, at_open: Faults) {
        self.disk = self.disk.restart(stop);
        let (sender, committed) = sync_channel(1);
        let stopped = std::mem::replace(&mut self.running.committed, committed);
        drop(sender);
        self.running.handle.close();

        self.disk.fail(at_open);
        let mut opened = open(&self.disk);
        if opened.is_err() {
            self.disk = self.disk.restart(stop);
            opened = open(&self.disk);
        }
        let (journal, replayed, report) = opened.unwrap();
        let old = std::mem::replace(&mut self.running, start(journal));
        old.thread.join().unwrap();
        for entry in stopped.iter().flatten() {
            self.must_stay(entry.sequence, id_of(&entry));
        }
        self.check(&replayed, &report);
    }

    fn check(&mut self, replayed: &[Entry], report: &ReplayReport) {
        assert!(report.damaged.is_empty() && report.missing == 0, "{report:?}");
        assert!(report.first <= self.trimmed, "{report:?}");
        self.durable.retain(|sequence, _| *sequence >= report.first);
        for (entry, sequence) in replayed.iter().zip(report.first..) {
            assert_eq!(entry.sequence, sequence);
            let Draft { received, lamppost, leaf, .. } = draft(id_of(entry), 0);
            assert_eq!((entry.received, &entry.lamppost, entry.leaf), (received, &lamppost, leaf));
            assert_eq!(entry.payload, draft(id_of(entry), entry.payload.len() - 8).payload);
            self.must_stay(sequence, id_of(entry));
        }
        assert_eq!(self.durable.len(), replayed.len(), "something durable is not there");
    }

    fn must_stay(&mut self, sequence: u64, id: u64) {
        let before = self.durable.insert(sequence, id);
        assert!(before.is_none_or(|before| before == id), "sequence {sequence} was {before:?}, now {id}");
    }
}
