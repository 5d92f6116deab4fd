//! `kill -9` at every step: what it leaves is in nobody's way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Runtime;

use super::*;

/// Ends the process, as far as anybody can tell: nothing runs any more but the release of locks.
fn die_at(step: usize) -> impl FnMut(Step) + Send {
    let steps = AtomicUsize::new(0);
    move |_| assert_ne!(steps.fetch_add(1, Ordering::Relaxed), step, "this process is killed")
}

/// Performs it with a kill at its first step, then at its second, and so on until it comes to its end; says how often.
fn kills(mut perform: impl FnMut(&mut (dyn FnMut(Step) + Send)), mut after: impl FnMut()) -> usize {
    let killed = (0..).take_while(|step| {
        let mut die = die_at(*step);
        let is_killed = catch_unwind(AssertUnwindSafe(|| perform(&mut die))).is_err();
        if is_killed {
            after();
        }
        is_killed
    });
    killed.count()
}

#[test]
fn a_backup_that_is_killed_is_none_and_the_next_takes_its_place() {
    let runtime = Runtime::new().unwrap();
    let city = runtime.block_on(City::new());
    let killed = kills(
        |tell| drop(runtime.block_on(take(&city.request(), clock::wall(), tell)).unwrap()),
        || {
            assert!(!city.path("backup").exists());
            if city.path("keys").exists() {
                // They are whole, and would do; the next backup is asked to make them.
                fs::rename(city.path("keys"), city.path("whole keys")).unwrap();
            }
        },
    );
    assert!(killed > 8, "{killed}");
    assert_eq!(names_in(city.directory.path()), ["backup", "data", "keys", "whole keys"]);
    check(&city.path("backup"), Some(&city.path("whole keys")), &mut |_| {}).unwrap();
    runtime.block_on(city.restored()).unwrap();
    runtime.block_on(city.is_restored(50));
}

#[test]
fn a_restore_that_is_killed_leaves_no_data_directory_and_the_next_takes_its_place() {
    let runtime = Runtime::new().unwrap();
    let city = runtime.block_on(City::new());
    runtime.block_on(city.backed_up());
    let (backup, keys, data) = (city.path("backup"), city.path("keys"), city.path("restored"));
    let by = (&Actor::Server, clock::wall());
    let perform = |tell: &mut (dyn FnMut(Step) + Send)| {
        drop(runtime.block_on(restore(&backup, Some(&keys), &data, by, tell)).unwrap());
    };
    let killed = kills(perform, || assert!(!data.exists()));
    assert!(killed > 16, "{killed}");
    assert_eq!(names_in(city.directory.path()), ["backup", "data", "keys", "restored"]);
    runtime.block_on(city.is_restored(50));
}
