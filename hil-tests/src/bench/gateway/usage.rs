//! What server and load generator cost meanwhile: both are on the same machine, and share its processors.

use std::time::{Duration, Instant};

use super::crew::say;
use super::lamppost::Gateway;
use crate::bench::figures::Figures;
use crate::bench::process::{cpu_seconds, resident_bytes};
use crate::fleet::monotonic;

/// Processor time used when a measurement began.
pub(super) struct Usage {
    gateway: Gateway,
    server: f64,
    generator: f64,
    began: Instant,
}

/// Cpu of one core, in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpu {
    pub(super) server: f64,
    pub(super) generator: f64,
}

/// Memory is taken to be settled if it changes by less than this share in [`LOOKS`] looks, a second apart.
const SETTLED: f64 = 0.005;

const LOOKS: usize = 5;

/// Memory that grows for longer than this is taken as it is then.
const SETTLES_WITHIN: Duration = Duration::from_mins(1);

impl Usage {
    pub(super) fn begin(gateway: Gateway) -> anyhow::Result<Self> {
        let (server, generator) = (cpu_seconds(gateway.process)?, cpu_seconds(std::process::id())?);
        Ok(Self { gateway, server, generator, began: monotonic() })
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn cpu(&self) -> anyhow::Result<Cpu> {
        let now = Self::begin(self.gateway)?;
        let seconds = self.began.elapsed().as_secs_f64();
        let share = |now: f64, before: f64| (now - before) / seconds * 100.0;
        let (server, generator) = (share(now.server, self.server), share(now.generator, self.generator));
        Ok(Cpu { server, generator })
    }
}

impl Cpu {
    pub(super) fn add(self, figures: &mut Figures, figure: &str) {
        figures.add(format!("{figure}_server_cpu"), self.server, "% of a core");
        figures.add(format!("{figure}_generator_cpu"), self.generator, "% of a core");
    }
}

/// The server's resident memory, once it does not change any more.
pub(super) fn settled_bytes(gateway: Gateway) -> anyhow::Result<f64> {
    let began = monotonic();
    let mut looks = vec![resident_bytes(gateway.process)?];
    while began.elapsed() < SETTLES_WITHIN {
        std::thread::sleep(Duration::from_secs(1));
        looks.push(resident_bytes(gateway.process)?);
        let newest = &looks[looks.len().saturating_sub(LOOKS)..];
        let (least, most) =
            newest.iter().fold((f64::MAX, 0_f64), |(least, most), look| (least.min(*look), most.max(*look)));
        if newest.len() == LOOKS && most - least < most * SETTLED {
            break;
        }
    }
    let bytes = looks.last().copied().unwrap_or(0.0);
    say(&format!("  {:.1} MB are resident", bytes / 1e6));
    Ok(bytes)
}
