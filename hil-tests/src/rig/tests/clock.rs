//! Clocks that rigs follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use edge_agent::clock::{Clock, ClockTrust, Stop, SystemClock, Waited};
use lamplighter_protocol::UtcMillis;

use crate::rig::clock::{RealClock, SteppedClock};

/// Long ago: the present is never in the way.
const BEGIN: UtcMillis = UtcMillis(1_600_000_000_000);

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_tick_of_every_thread_comes_exactly_at_its_time_at_ten_thousand_times_real_time() {
    let clock = Arc::new(SteppedClock::new(BEGIN, 10_000.0));
    let real = SystemClock::believed();
    let hour = Duration::from_hours(1);
    let periods = [2, 3, 10, 60].map(|seconds| SECOND * seconds);
    for _ in periods {
        clock.enter();
    }
    let threads = periods.map(|period| {
        follow(&clock, move |clock, stop| {
            let mut ticks = 0_u32;
            loop {
                let tick = period * (ticks + 1);
                if tick > hour {
                    return ticks;
                }
                assert_eq!(clock.wait(tick, stop), Waited::Reached);
                let now = clock.now();
                assert_eq!(now.monotonic, tick, "a thread woke late");
                assert_eq!(now.wall, BEGIN.plus_ms(i64::try_from(tick.as_millis()).unwrap()));
                assert_eq!(now.trust, ClockTrust::Sure);
                // Time stands still while it works, be it in another thread's time.
                std::thread::yield_now();
                assert_eq!(clock.now(), now);
                ticks += 1;
            }
        })
    });
    let ticks = threads.map(|thread| thread.join().unwrap());
    assert_eq!(ticks, [1800, 1200, 360, 60]);
    // Never faster than it may.
    assert!(real.now().monotonic >= hour / 10_000, "{:?}", real.now());
}

#[test]
fn time_waits_for_a_thread_that_works() {
    let clock = Arc::new(SteppedClock::new(BEGIN, 1e6));
    clock.enter();
    let other = following(&clock, |clock, stop| clock.wait(SECOND, stop));
    let patience = Stop::new();
    patience.wait(Duration::from_millis(200));
    assert_eq!(clock.now().monotonic, Duration::ZERO, "time moved while this thread worked");
    clock.leave();
    assert_eq!(other.join().unwrap(), Waited::Reached);
    assert_eq!(clock.now().monotonic, SECOND);
}

#[test]
fn a_thread_that_hangs_holds_the_others_up_only_once() {
    let hangs_after = Duration::from_millis(300);
    let clock = Arc::new(SteppedClock::new(BEGIN, 1e6).hanging_after(hangs_after));
    clock.enter();
    let real = SystemClock::believed();
    let other = following(&clock, |clock, stop| {
        (1..=1000).all(|tick| clock.wait(SECOND * tick, stop) == Waited::Reached)
    });
    assert!(other.join().unwrap());
    assert!(real.now().monotonic >= hangs_after);
    // The hanging thread comes back: time waits for it again.
    let behind = clock.now().monotonic;
    assert_eq!(clock.wait(behind, &Stop::new()), Waited::Reached);
    let other = following(&clock, |clock, stop| clock.wait(SECOND * 2000, stop));
    Stop::new().wait(hangs_after / 3);
    assert_eq!(clock.now().monotonic, behind, "time moved while a thread worked that had come back");
    clock.leave();
    assert_eq!(other.join().unwrap(), Waited::Reached);
}

#[test]
fn time_never_overtakes_the_present() {
    let real = SystemClock::believed();
    let begin = real.now().wall.plus_ms(-100);
    let clock = Arc::new(SteppedClock::new(begin, 1e6));
    let thread = following(&clock, move |clock, stop| {
        for tick in 1..=10 {
            clock.wait(Duration::from_millis(50) * tick, stop);
            let (virtual_now, now) = (clock.now().wall, real.now().wall);
            assert!(virtual_now <= now, "{virtual_now:?} is in the future of {now:?}");
            // Nor does it fall behind for long.
            assert!(tick < 4 || now.since_ms(virtual_now) < 2_000);
        }
    });
    thread.join().unwrap();
    assert_eq!(clock.now().monotonic, Duration::from_millis(500));
}

#[test]
fn a_raised_stop_ends_every_wait_soon() {
    let clock = Arc::new(SteppedClock::new(BEGIN, 2.0));
    let stop = Stop::new();
    let waits = Arc::new(AtomicBool::new(false));
    let (stopped, reached) = (stop.clone(), Arc::clone(&waits));
    clock.enter();
    let thread = follow(&clock, move |clock, _| {
        reached.store(true, Ordering::SeqCst);
        clock.wait(Duration::from_hours(1), &stopped)
    });
    while !waits.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    let real = SystemClock::believed();
    stop.raise();
    assert_eq!(thread.join().unwrap(), Waited::Stopped);
    assert!(real.now().monotonic < Duration::from_secs(5));
}

#[test]
fn a_frozen_clock_stands_still_and_still_hears_a_stop() {
    let clock = Arc::new(SteppedClock::new(BEGIN, 1e6));
    clock.freeze();
    let stop = Stop::new();
    let stopped = stop.clone();
    let thread = following(&clock, move |clock, _| clock.wait(SECOND, &stopped));
    stop.wait(Duration::from_millis(200));
    assert_eq!(clock.now().monotonic, Duration::ZERO);
    stop.raise();
    assert_eq!(thread.join().unwrap(), Waited::Stopped);
}

#[test]
fn a_rigs_real_time_is_the_machines_and_sure() {
    let (rig, machine) = (RealClock::default(), SystemClock::believed());
    rig.hear_server_time(UtcMillis(0), Duration::ZERO..Duration::ZERO);
    let (ours, theirs) = (rig.now(), machine.now());
    assert_eq!(ours.trust, ClockTrust::Sure);
    assert!(theirs.wall.since_ms(ours.wall).abs() < 2_000);
}

/// A thread that has entered the clock before it starts, and leaves it at its end.
fn following<T: Send + 'static>(
    clock: &Arc<SteppedClock>,
    body: impl FnOnce(&SteppedClock, &Stop) -> T + Send + 'static,
) -> JoinHandle<T> {
    clock.enter();
    follow(clock, body)
}

/// A thread for which the caller has entered the clock.
fn follow<T: Send + 'static>(
    clock: &Arc<SteppedClock>,
    body: impl FnOnce(&SteppedClock, &Stop) -> T + Send + 'static,
) -> JoinHandle<T> {
    let clock = Arc::clone(clock);
    std::thread::spawn(move || {
        let done = body(&clock, &Stop::new());
        clock.leave();
        done
    })
}
