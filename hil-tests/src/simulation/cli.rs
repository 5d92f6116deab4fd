//! `cargo xtask simulate`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::action::{Action, Plan};
use super::settle::{self, Outcome};
use super::shrink::shrink;
use super::verdict::Broken;

/// Run the whole path in one process under every fault, seed by seed
///
/// Agents, gateway, journal, ingest and store are the real ones; disks, network, clocks and people are simulated. A seed
/// that fails is printed with the fewest actions that fail, and fails again with `--seed S --seeds 1`.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many at once; the machine's processors by default
    #[arg(long)]
    jobs: Option<usize>,
    /// Stop at the first seed that fails
    #[arg(long)]
    first: bool,
}

/// Runs the seeds; says whether all passed.
///
/// # Errors
/// If `out` cannot be written.
pub fn simulate(args: &SimulateArgs, out: &mut dyn Write) -> std::io::Result<bool> {
    let began = now();
    // What the parts say of the faults that are injected here is not for people, nor are the panics, which are reported.
    std::panic::set_hook(Box::new(|_| {}));
    let run = Seeds {
        next: AtomicU64::new(args.seed),
        end: args.seed.saturating_add(args.seeds),
        first: args.first,
        found: Mutex::default(),
    };
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| run.work());
        }
        let mut told = began;
        let mut named = BTreeSet::new();
        while !run.is_done(args.seeds) {
            std::thread::sleep(Duration::from_millis(50));
            for (seed, broken) in &run.found.lock().unwrap_or_else(PoisonError::into_inner).failed {
                if named.insert(*seed) {
                    writeln!(out, "seed {seed} fails: {broken}")?;
                    out.flush()?;
                }
            }
            if now().duration_since(told) > Duration::from_secs(10) {
                told = now();
                let found = run.found.lock().unwrap_or_else(PoisonError::into_inner);
                let done = found.passed + found.failed.len() as u64;
                writeln!(out, "{done} of {} seeds, {} failed", args.seeds, found.failed.len())?;
                out.flush()?;
            }
        }
        Ok::<(), std::io::Error>(())
    })?;
    let found = run.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (seed, broken) in found.failed.iter().take(20) {
        report(*seed, broken, out)?;
    }
    writeln!(out, "what happened in those that passed:")?;
    for (what, count) in &found.tally {
        writeln!(out, "{count:>10} {what}")?;
    }
    let seconds = now().duration_since(began).as_secs_f64();
    writeln!(out, "{seconds:.1} s")?;
    writeln!(out, "{} passed, {} failed", found.passed, found.failed.len())?;
    Ok(found.failed.is_empty())
}

struct Seeds {
    next: AtomicU64,
    end: u64,
    first: bool,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    passed: u64,
    failed: BTreeMap<u64, Broken>,
    tally: BTreeMap<&'static str, u64>,
}

impl Seeds {
    fn work(&self) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.end || self.is_over() {
                return;
            }
            let plan = Plan::of(seed);
            let outcome = attempt(&plan, &plan.actions);
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(outcome) => {
                    found.passed += 1;
                    for (what, count) in outcome.tally {
                        *found.tally.entry(what).or_default() += count;
                    }
                }
                Err(broken) => {
                    found.failed.insert(seed, broken);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.first && !self.found.lock().unwrap_or_else(PoisonError::into_inner).failed.is_empty()
    }

    fn is_done(&self, seeds: u64) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.passed + found.failed.len() as u64 >= seeds || (self.first && !found.failed.is_empty())
    }
}

/// Runs a plan; a panic breaks it too.
pub(super) fn attempt(plan: &Plan, actions: &[Action]) -> Result<Outcome, Broken> {
    let outcome = catch_unwind(AssertUnwindSafe(|| settle::run(plan, actions, now())));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Broken(format!("it panicked: {}", text.unwrap_or_default())))
    })
}

fn report(seed: u64, broken: &Broken, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "seed {seed} failed: {broken}")?;
    let plan = Plan::of(seed);
    let kept = shrink(&plan.actions, |actions| attempt(&plan, actions).is_err());
    writeln!(
        out,
        "  {} lampposts{}; {} of {} actions are enough:",
        plan.lampposts,
        if plan.broker { ", a broker in between" } else { "" },
        kept.len(),
        plan.actions.len()
    )?;
    for action in &kept {
        writeln!(out, "    {:?} {:#018x}", action.what, action.chance)?;
    }
    if let Err(broken) = attempt(&plan, &kept) {
        writeln!(out, "  then: {broken}")?;
    }
    writeln!(out, "  again: cargo xtask simulate --seeds 1 --seed {seed}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is for people; nothing that is simulated sees it"
)]
fn now() -> Instant {
    Instant::now()
}
