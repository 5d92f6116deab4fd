//! Outboxes that were set aside, and what operators decide of them (D14).

use super::*;

/// A lamppost whose hardware was changed: the outbox of the old hardware has two runs, and is set aside by the next start.
struct Changed {
    bench: Bench,
    /// The runs of the old hardware, and how many samples each has.
    runs: Vec<(RunId, usize)>,
}

impl Changed {
    fn new() -> Self {
        let mut bench = Bench::new();
        let mut runs = Vec::new();
        for samples in [40, 15] {
            let (outbox, thread) = bench.open();
            append(&outbox, Log::Samples, 0..i64::try_from(samples).unwrap());
            runs.push((settled(&outbox).run, samples));
            close(outbox, thread);
        }
        bench.options.hardware_serial = "200000002".to_owned();
        Self { bench, runs }
    }

    /// The same disk once more.
    fn copy(&self) -> Self {
        let copy = self.bench.copy();
        Self {
            bench: Bench {
                options: OutboxOptions {
                    directory: copy.options.directory.clone(),
                    ..self.bench.options.clone()
                },
                ..copy
            },
            runs: self.runs.clone(),
        }
    }

    fn aside(&self) -> PathBuf {
        self.bench.options.directory.with_file_name("outbox.set-aside-1")
    }

    /// Every record of the old hardware can be read here, once, and nothing but the current run comes after it.
    fn has_all(&self, outbox: &mut SteppedOutbox) {
        let state = outbox.state();
        for (run, samples) in &self.runs {
            assert_eq!(state.runs.iter().filter(|one| one.run == *run).count(), 1);
            let found = run_of(&state, *run);
            assert_eq!(found.samples.on_disk, Pieces::below(*samples as u64));
            assert_eq!(found.events.on_disk, Pieces::below(1));
            let mut numbers = Vec::new();
            while numbers.len() < *samples {
                let place = Place { run: *run, log: Log::Samples, sequence: numbers.len() as u64 };
                let chunk = outbox.read(place, ALL).unwrap().unwrap();
                assert!(outbox.description(chunk.description).unwrap().is_some());
                numbers.extend(chunk.records.iter().map(|bytes| Record::decode(bytes).unwrap()));
            }
            assert_eq!(numbers, (0..i64::try_from(*samples).unwrap()).map(tick).collect::<Vec<_>>());
        }
        assert_eq!(state.runs.last().unwrap().run, state.run);
    }
}

const NOW: Now = Now { monotonic: Duration::ZERO, wall: UtcMillis(7_000), trust: ClockTrust::Sure };

fn command(id: u8, action: CommandAction) -> Command {
    Command { id: CommandId([id; 16]), expires: UtcMillis(8_000), action: Some(action) }
}

fn only(asides: &[Aside]) -> &Aside {
    match asides {
        [one] => one,
        other => panic!("{other:?}"),
    }
}

/// What became of commands, by all events on disk.
fn told(outbox: &mut SteppedOutbox) -> Vec<(CommandId, CommandState, String)> {
    let mut told = Vec::new();
    for run in outbox.state().runs {
        for sequence in 0..run.events.on_disk.end() {
            let chunk = outbox
                .read(Place { run: run.run, log: Log::Events, sequence }, ReadLimit { records: 1, ..ALL });
            if let Record::Command(CommandReport { id, state, detail, .. }) =
                Record::decode(&chunk.unwrap().unwrap().records[0]).unwrap()
            {
                told.push((id, state, detail));
            }
        }
    }
    told
}

fn states(outbox: &mut SteppedOutbox) -> Vec<CommandState> {
    told(outbox).into_iter().map(|(_, state, _)| state).collect()
}

#[test]
fn d14_an_outbox_that_was_set_aside_is_told_of_with_whose_it_is_and_why_at_every_start() {
    let changed = Changed::new();
    let old = {
        let mut old = changed.copy();
        old.bench.options.hardware_serial = "100000001".to_owned();
        old.bench.step().state().outbox
    };
    for _ in 0..3 {
        let state = changed.bench.step().state();
        let Aside { directory, told, .. } = only(&state.set_aside);
        assert_eq!(*directory, changed.aside());
        assert_eq!(told.outbox, old);
        assert_eq!(told.lamppost, Some("DF3637".parse().unwrap()));
        assert_eq!(
            (told.hardware_serial.as_str(), told.reason),
            ("100000001", SetAsideReason::OtherHardware)
        );
        assert_eq!((told.runs, told.first, told.last), (2, Some(UtcMillis(5_000)), Some(UtcMillis(5_000))));
        assert!(told.bytes > 55 * 20, "{}", told.bytes);
    }
}

#[test]
fn d14_one_that_cannot_say_whose_it_is_has_an_id_that_stays_and_no_two_have_the_same() {
    let mut changed = Changed::new();
    let identity = changed.bench.options.directory.join("identity");
    let whole = fs::read(&identity).unwrap();
    overwrite(&identity, b"nothing that it was");
    overwrite(&identity.with_file_name("identity.2"), b"nothing that it was");
    drop(changed.bench.step());
    // What is left of it is the same outbox twice more: an image that was put back.
    changed.bench.options.lamppost = "DF9999".parse().unwrap();
    for _ in 0..2 {
        let living = &changed.bench.options.directory;
        fs::remove_dir_all(living).unwrap();
        copy_all(&changed.aside(), living);
        overwrite(&living.join("identity"), &whole);
        drop(changed.bench.step());
    }
    let asides = changed.bench.step().state().set_aside;
    let reasons: Vec<_> = asides.iter().map(|aside| aside.told.reason).collect();
    assert_eq!(
        reasons,
        [SetAsideReason::DamagedIdentity, SetAsideReason::OtherLamppost, SetAsideReason::OtherLamppost]
    );
    let ids: std::collections::BTreeSet<_> = asides.iter().map(|aside| aside.told.outbox.0).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(changed.bench.step().state().set_aside, asides);
}

#[test]
fn d14_a_released_outbox_is_sent_by_the_living_one_and_its_place_is_gone() {
    let changed = Changed::new();
    let mut outbox = changed.bench.step();
    let aside = only(&outbox.state().set_aside).told.outbox;
    outbox.append(Log::Samples, &tick(1)).unwrap();
    outbox.command(&command(1, CommandAction::ReleaseOutbox(aside)), NOW).unwrap();
    changed.has_all(&mut outbox);
    assert!(outbox.state().set_aside.is_empty());
    assert!(!changed.aside().exists());
    assert_eq!(states(&mut outbox), [CommandState::Acknowledged, CommandState::Done]);
    // It goes on writing, and the next start finds the same.
    outbox.append(Log::Samples, &tick(2)).unwrap();
    outbox.sync().unwrap();
    let (run, bytes) = (outbox.state().run, outbox.state().bytes);
    drop(outbox);
    let mut outbox = changed.bench.step();
    changed.has_all(&mut outbox);
    let state = outbox.state();
    assert_eq!(run_of(&state, run).samples.on_disk, Pieces::below(2));
    assert!(state.bytes >= bytes);
    let opening = outbox.read(Place { run: state.run, log: Log::Events, sequence: 0 }, ALL).unwrap().unwrap();
    let Ok(Record::Opening(opening)) = Record::decode(&opening.records[0]) else { panic!("no opening") };
    assert_eq!((opening.run_before, opening.samples_end), (Some(run), 2));
}

#[test]
fn a_released_outbox_ends_where_a_power_cut_had_torn_it_and_keeps_what_it_had_dropped() {
    let changed = Changed::new();
    let (run, samples) = changed.runs[1];
    let last = segments(&changed.bench.runs()[1], Log::Samples).pop().unwrap();
    // Its last record is half there.
    let whole = fs::read(&last).unwrap();
    let mut outbox = changed.bench.step();
    let moved = changed.aside().join(last.strip_prefix(&changed.bench.options.directory).unwrap());
    overwrite(&moved, &[&whole[..], &[7, 0, 0, 0, 1]].concat());
    let aside = only(&outbox.state().set_aside).told.outbox;
    outbox.command(&command(1, CommandAction::ReleaseOutbox(aside)), NOW).unwrap();
    let state = outbox.state();
    assert_eq!(run_of(&state, run).samples.end, samples as u64);
    assert_eq!((state.damaged, state.dropped.total()), (0, 0));
    changed.has_all(&mut outbox);
    drop(outbox);
    let mut outbox = changed.bench.step();
    assert_eq!((outbox.state().damaged, outbox.state().dropped.total()), (0, 0));
    changed.has_all(&mut outbox);
}

#[test]
fn d3_a_run_that_did_not_know_the_time_is_dated_when_its_outbox_is_released() {
    let mut bench = Bench::new();
    let unknown = || Now { monotonic: Duration::ZERO, wall: UtcMillis(900), trust: ClockTrust::Unknown };
    let (disk, random) = (Arc::new(bench.disk.clone()), Random::system());
    let mut outbox =
        SteppedOutbox::open(disk, random, bench.options.clone(), &description("bme280"), unknown).unwrap();
    outbox.append(Log::Samples, &tick(1_000)).unwrap();
    outbox.sync().unwrap();
    let run = outbox.state().run;
    let place = Place { run, log: Log::Samples, sequence: 0 };
    assert_eq!(outbox.read(place, ALL).unwrap(), None, "it waits for its time");
    drop(outbox);

    bench.options.hardware_serial = "200000002".to_owned();
    let mut outbox = bench.step();
    let aside = only(&outbox.state().set_aside).told.outbox;
    outbox.command(&command(1, CommandAction::ReleaseOutbox(aside)), NOW).unwrap();
    let chunk = outbox.read(place, ALL).unwrap().expect("it is dated, and may be sent");
    let Ok(Record::Tick(tick)) = Record::decode(&chunk.records[0]) else { panic!("a tick") };
    assert!(tick.time <= UtcMillis(5_000), "before the run that has adopted it: {:?}", tick.time);
    let placed = outbox.state().runs.last().unwrap().events.on_disk.end();
    assert!(placed >= 4, "opening, two reports of the command, and where the run was placed");
}

#[test]
fn d14_whatever_interrupts_a_release_the_next_start_goes_on_with_it_and_nothing_is_lost_or_there_twice() {
    let changed = Changed::new();
    let (mut crashes, mut resumed) = (0, 0);
    for after in 0.. {
        let copy = changed.copy();
        let mut outbox = copy.bench.step();
        let aside = only(&outbox.state().set_aside).told.outbox;
        let release = command(1, CommandAction::ReleaseOutbox(aside));
        copy.bench.disk.changes.store(after, Ordering::SeqCst);
        let done = outbox.command(&release, NOW).is_ok();
        drop(outbox);
        // The next start dies too, a little later.
        for later in [after % 7, u32::MAX] {
            copy.bench.disk.changes.store(later, Ordering::SeqCst);
            drop(SteppedOutbox::open(
                Arc::new(copy.bench.disk.clone()),
                Random::system(),
                copy.bench.options.clone(),
                &description("bme280"),
                || BenchClock.now(),
            ));
        }
        let mut outbox = copy.bench.step();
        if outbox.state().set_aside.is_empty() {
            resumed += u32::from(!done);
        } else {
            // It was never begun: it comes again.
            assert!(told(&mut outbox).is_empty());
        }
        outbox.command(&release, NOW).unwrap();
        copy.has_all(&mut outbox);
        assert!(!copy.aside().exists());
        assert_eq!(states(&mut outbox).last(), Some(&CommandState::Done));
        if done {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20 && resumed > 10, "{crashes} {resumed}");
}

#[test]
fn d14_whatever_interrupts_a_close_the_next_start_goes_on_with_it() {
    let changed = Changed::new();
    for after in 0.. {
        let copy = changed.copy();
        let mut outbox = copy.bench.step();
        let aside = only(&outbox.state().set_aside).told.outbox;
        let close = command(1, CommandAction::CloseOutbox(aside));
        copy.bench.disk.changes.store(after, Ordering::SeqCst);
        let done = outbox.command(&close, NOW).is_ok();
        drop(outbox);
        copy.bench.disk.changes.store(u32::MAX, Ordering::SeqCst);
        let mut outbox = copy.bench.step();
        let begun = !told(&mut outbox).is_empty();
        assert_eq!(begun, !copy.aside().exists(), "after {after}");
        // The decision is on disk before anything of it is gone.
        outbox.command(&close, NOW).unwrap();
        assert!(!copy.aside().exists());
        let state = outbox.state();
        assert!(state.set_aside.is_empty());
        assert!(copy.runs.iter().all(|(run, _)| state.runs.iter().all(|one| one.run != *run)));
        assert_eq!(states(&mut outbox).last(), Some(&CommandState::Done));
        if done {
            break;
        }
    }
}

#[test]
fn d14_an_outbox_of_another_number_or_of_nobody_is_not_released_and_can_be_closed() {
    for harm in [false, true] {
        let mut changed = Changed::new();
        if harm {
            for copy in ["identity", "identity.2"] {
                overwrite(&changed.bench.options.directory.join(copy), b"nothing that it was");
            }
        } else {
            changed.bench.options.lamppost = "DF9999".parse().unwrap();
        }
        let mut outbox = changed.bench.step();
        let aside = only(&outbox.state().set_aside).told.outbox;
        outbox.command(&command(1, CommandAction::ReleaseOutbox(aside)), NOW).unwrap();
        let told = told(&mut outbox);
        assert!(
            matches!(&told[..], [(_, CommandState::Failed, detail)] if detail.contains("can only be closed")),
            "{told:?}"
        );
        assert!(changed.aside().join("runs").exists());
        outbox.command(&command(2, CommandAction::CloseOutbox(aside)), NOW).unwrap();
        assert!(!changed.aside().exists());
    }
}

#[test]
fn a_command_is_done_once_however_often_it_comes_and_not_after_it_has_expired() {
    let changed = Changed::new();
    let mut outbox = changed.bench.step();
    let aside = only(&outbox.state().set_aside).told.outbox;
    let close = command(1, CommandAction::CloseOutbox(aside));
    let late = Now { wall: UtcMillis(8_001), ..NOW };
    outbox.command(&close, late).unwrap();
    assert!(changed.aside().exists());
    // A clock that nobody trusts lets nothing expire.
    outbox.command(&close, Now { trust: ClockTrust::Unsure, ..late }).unwrap();
    assert!(!changed.aside().exists());
    outbox.command(&close, late).unwrap();
    drop(outbox);
    let mut outbox = changed.bench.step();
    outbox.command(&close, late).unwrap();
    assert_eq!(
        states(&mut outbox),
        [
            CommandState::Expired,
            CommandState::Acknowledged,
            CommandState::Done,
            CommandState::Done,
            CommandState::Done
        ]
    );
    outbox.command(&command(2, CommandAction::CloseOutbox(aside)), NOW).unwrap();
    outbox.command(&command(3, CommandAction::ReadNow("weather-1".parse().unwrap())), NOW).unwrap();
    outbox.command(&Command { action: None, ..command(4, CommandAction::CloseOutbox(aside)) }, NOW).unwrap();
    assert_eq!(states(&mut outbox)[5..], [CommandState::Failed; 3]);
}

#[test]
fn runs_that_are_here_already_stay_set_aside_and_it_is_said() {
    let changed = Changed::new();
    let image = changed.copy();
    let mut outbox = changed.bench.step();
    let aside = only(&outbox.state().set_aside).told.outbox;
    outbox.command(&command(1, CommandAction::ReleaseOutbox(aside)), NOW).unwrap();
    drop(outbox);
    // An image of the old card is put beside it, and is damaged.
    copy_all(&image.bench.options.directory, &changed.aside());
    let harmed = segments(&list(&changed.aside().join("runs"))[0], Log::Samples).remove(0);
    overwrite(&harmed, &[0; 400]);
    let mut outbox = changed.bench.step();
    outbox.command(&command(2, CommandAction::ReleaseOutbox(aside)), NOW).unwrap();
    let told = told(&mut outbox);
    assert!(
        matches!(told.last(), Some((_, CommandState::Failed, detail)) if detail.starts_with("0 runs are taken over; 2 stay")),
        "{told:?}"
    );
    changed.has_all(&mut outbox);
    assert_eq!(only(&outbox.state().set_aside).told.runs, 2);
    assert_eq!(outbox.state().damaged, 0, "what stays there is not damage here");
}

#[test]
fn commands_that_are_damaged_or_cannot_be_read_are_reported_and_keep_nobody_from_starting() {
    let changed = Changed::new();
    let mut outbox = changed.bench.step();
    let aside = only(&outbox.state().set_aside).told.outbox;
    let release = command(1, CommandAction::ReleaseOutbox(aside));
    // It is on disk that it was begun, and nothing of it is done.
    changed.bench.disk.changes.store(6, Ordering::SeqCst);
    assert!(outbox.command(&release, NOW).is_err());
    drop(outbox);
    changed.bench.disk.changes.store(u32::MAX, Ordering::SeqCst);
    let whole = fs::read(changed.bench.options.directory.join("commands")).unwrap();
    for harm in 0..=whole.len() {
        let copy = changed.copy();
        copy_all(&changed.aside(), &copy.aside());
        let path = copy.bench.options.directory.join("commands");
        let mut bytes = whole.clone();
        match bytes.get_mut(harm) {
            Some(byte) => *byte ^= 0x20,
            None => copy.bench.disk.cannot_read(&path, 0..u64::MAX),
        }
        overwrite(&path, &bytes);
        let mut outbox = copy.bench.step();
        assert_eq!((outbox.state().damaged, outbox.state().set_aside.len()), (1, 1), "byte {harm}");
        copy.bench.disk.reads_again();
        // It comes again.
        outbox.command(&release, NOW).unwrap();
        copy.has_all(&mut outbox);
        assert!(!copy.aside().exists());
        drop(outbox);
        assert_eq!(copy.bench.step().state().damaged, 0, "byte {harm}");
    }
}
