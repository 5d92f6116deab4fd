//! `cargo xtask fuzz`.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Target;
use crate::fleet::monotonic;

/// Throw hostile bytes at every parser that faces a network, from a seed
///
/// A case that fails is printed with its seed, and fails again with `--target T --seed S --runs 1`.
#[derive(Clone, Debug, clap::Args)]
pub struct FuzzArgs {
    /// What is driven; all of it by default, one after the other
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// How many inputs (packets, payloads, requests) of each target; underscores may be in it
    #[arg(long, default_value = "1_000_000", value_parser = count)]
    runs: u64,
    /// The seed of the first case
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many at once; the machine's processors by default
    #[arg(long)]
    jobs: Option<usize>,
}

const TELL_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the cases; says whether none failed.
///
/// # Errors
/// If `out` cannot be written.
pub fn fuzz(args: &FuzzArgs, out: &mut dyn Write) -> std::io::Result<bool> {
    // Panics are what is looked for; they are told with their seeds.
    std::panic::set_hook(Box::new(|_| {}));
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let targets = args.target.map_or(Target::ALL.to_vec(), |target| vec![target]);
    let mut all_hold = true;
    for target in targets {
        let run =
            Run { target, runs: args.runs, next: args.seed.into(), done: 0.into(), failed: Mutex::default() };
        all_hold &= run.run(jobs.max(1), out)?;
    }
    Ok(all_hold)
}

/// The cases of one target.
struct Run {
    target: Target,
    runs: u64,
    next: AtomicU64,
    done: AtomicU64,
    failed: Mutex<Vec<(u64, String)>>,
}

/// Then it is told, and nothing more is tried: a hundred say no more than these.
const MOST_FAILURES: usize = 10;

impl Run {
    fn run(&self, jobs: usize, out: &mut dyn Write) -> std::io::Result<bool> {
        let began = monotonic();
        let name = format!("{:?}", self.target).to_lowercase();
        std::thread::scope(|scope| -> std::io::Result<()> {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| self.work())).collect();
            let mut told = began;
            while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                std::thread::sleep(LOOK_EVERY);
                if told.elapsed() > TELL_EVERY {
                    told = monotonic();
                    writeln!(out, "{name}: {} inputs", self.done.load(Ordering::Relaxed))?;
                }
            }
            Ok(())
        })?;
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        for (seed, why) in &*failed {
            writeln!(out, "{name}: seed {seed} fails: {why}")?;
            writeln!(out, "  again: cargo xtask fuzz --target {name} --seed {seed} --runs 1")?;
        }
        let (done, seconds) = (self.done.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = done as f64 / seconds.max(0.001);
        writeln!(
            out,
            "{name}: {done} inputs in {seconds:.1} s, {rate:.0} a second, {} cases failed",
            failed.len()
        )?;
        Ok(failed.is_empty())
    }

    fn work(&self) {
        while self.done.load(Ordering::Relaxed) < self.runs && !self.is_enough() {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            match catch_unwind(AssertUnwindSafe(|| self.target.case(seed))) {
                Ok(inputs) => self.done.fetch_add(inputs, Ordering::Relaxed),
                Err(panic) => {
                    let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.push((seed, words_of(&*panic)));
                    self.done.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }

    fn is_enough(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).len() >= MOST_FAILURES
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

fn count(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.replace('_', "").parse()
}
