//! `bench console`: what the console costs, in a real browser.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use edge_agent::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value};

use super::figures::{Figures, quantile};
use super::large_city;
use super::process::{cpu_seconds, resident_bytes};
use crate::city::{Fidelity, Who};
use crate::fleet::{Binaries, Ending, ServerProcess, Street, StreetProcess, monotonic, wait_for};

/// Lampposts of the generated city.
const CITY: u32 = 100_000;

/// Lampposts of the soak. Each has six observations a second of its sensors: together more than 1,000 changes a second.
const SOAK_LAMPPOSTS: usize = 180;

/// Measures pages against a street of fifty lampposts that report, and against a generated city of 100,000.
///
/// # Errors
/// If fleet or browser do not run.
pub fn console(binaries: &Binaries, directory: &Path) -> anyhow::Result<Figures> {
    let street_server = ServerProcess::start(binaries, &directory.join("street"))?;
    let street = street(binaries, &street_server, &directory.join("street"), 50, 2_000)?;
    let city_server = ServerProcess::start(binaries, &directory.join("city"))?;
    city_server.import_list(&large_city::csv(CITY))?;
    let city = || city_server.api().json("/api/v1/city").ok();
    wait_for("the city to be on the roll", Duration::from_mins(1), || {
        let numbers = city()?.get("numbers")?.as_array()?.len();
        (numbers == CITY as usize).then_some(())
    })?;

    let found = browser("bench.mjs", &[&street_server.api().link(), &city_server.api().link()])?;
    let mut figures = Figures::default();
    for (figure, unit) in [
        ("console.list_bytes", "bytes"),
        ("console.list_wire_bytes", "bytes"),
        ("console.system_bytes", "bytes"),
        ("console.lamppost_bytes", "bytes"),
        ("console.map_bytes", "bytes"),
        ("console.lampposts", "lampposts"),
        ("console.positions_bytes", "bytes"),
        ("console.update_ms", "ms"),
        ("console.update_p95_ms", "ms"),
        ("console.update_script_ms", "ms"),
        ("console.update_table_ms", "ms"),
        ("console.update_table_p95_ms", "ms"),
        ("console.search_ms", "ms"),
        ("console.scroll_longest_frame_ms", "ms"),
    ] {
        figures.add(figure, number(&found, figure)?, unit);
    }
    figures.add("console.city_server_rss", resident_bytes(city_server.id())?, "bytes");
    street.end(Ending::Stop)?;
    street_server.end(Ending::Stop)?;
    city_server.end(Ending::Stop)?;
    Ok(figures)
}

/// Keeps the console open on a street that makes more than 1,000 changes a second, and counts at the end what the page
/// was told against what the API serves.
///
/// # Errors
/// If fleet or browser do not run, or an observation was missed.
pub fn soak(binaries: &Binaries, directory: &Path, seconds: u64) -> anyhow::Result<Figures> {
    // Full after some minutes: from then on the server's memory has no reason to grow.
    let server = ServerProcess::start_with(binaries, directory, &["--tail-observations", "400000"])?;
    let street = street(binaries, &server, directory, SOAK_LAMPPOSTS, 1_000)?;
    let (id, began) = (server.id(), monotonic());
    let cpu_before = cpu_seconds(id)?;
    let watched = Watched::start(id);
    let found = browser("soak.mjs", &[&server.api().link(), &seconds.to_string()])?;
    let resident = watched.end();
    let mut figures = Figures::default();
    for (figure, unit) in [
        ("soak.seconds", "s"),
        ("soak.rate", "1/s"),
        ("soak.observations", "observations"),
        ("soak.missed", "observations"),
        ("soak.differing", "series"),
        ("soak.resets", "resets"),
        ("soak.heap_begin", "bytes"),
        ("soak.heap_middle", "bytes"),
        ("soak.heap_end", "bytes"),
    ] {
        figures.add(figure, number(&found, figure)?, unit);
    }
    for (figure, part) in [
        ("soak.server_rss_begin", 0.0),
        ("soak.server_rss_quarter", 0.25),
        ("soak.server_rss_middle", 0.5),
        ("soak.server_rss_end", 1.0),
    ] {
        figures.add(figure, quantile(&resident, part), "bytes");
    }
    let share = (cpu_seconds(id)? - cpu_before) / began.elapsed().as_secs_f64() * 100.0;
    figures.add("soak.server_cpu", share, "% of a core");
    let collapsed = server.api().metric("lamplighter_live_collapsed_total", "")?;
    figures.add("soak.collapsed", collapsed, "observations");
    street.end(Ending::Stop)?;
    server.end(Ending::Stop)?;
    let missed = number(&found, "soak.missed")? + number(&found, "soak.differing")?;
    ensure!(missed < 0.5, "the page missed observations, or shows another value than the API");
    Ok(figures)
}

/// The resident memory of a process, looked at now and then.
struct Watched {
    done: Arc<AtomicBool>,
    looks: std::thread::JoinHandle<Vec<f64>>,
}

impl Watched {
    fn start(process: u32) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        let looks = std::thread::spawn(move || {
            let mut looks = Vec::new();
            while !flag.load(Ordering::Relaxed) {
                looks.extend(resident_bytes(process).ok());
                std::thread::sleep(Duration::from_secs(1));
            }
            looks
        });
        Self { done, looks }
    }

    /// In the order of time.
    fn end(self) -> Vec<f64> {
        self.done.store(true, Ordering::Relaxed);
        self.looks.join().unwrap_or_default()
    }
}

fn street(
    binaries: &Binaries,
    server: &ServerProcess,
    directory: &Path,
    lampposts: usize,
    every_ms: u32,
) -> anyhow::Result<StreetProcess> {
    let certificates = server.register(lampposts)?;
    let street = Street {
        lampposts,
        speed: 1.0,
        start: SystemClock::new().now().wall,
        fidelity: Fidelity::Unbroken { seed: 1 },
        every_ms,
        who: Who::All,
        told: false,
    };
    let street = StreetProcess::start(binaries, server, &certificates, directory, &street)?;
    wait_for("the street to connect", Duration::from_mins(1), || {
        (street.figures()["connected"].as_u64() == Some(lampposts as u64)).then_some(())
    })?;
    // Until every series has been observed.
    std::thread::sleep(Duration::from_secs(15));
    Ok(street)
}

/// Runs a script of `browser/` and reads the figures that it prints as one line of JSON.
fn browser(script: &str, words: &[&str]) -> anyhow::Result<Map<String, Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    writeln!(std::io::stdout(), "a browser measures; this takes some minutes")?;
    let mut node = Command::new("node");
    node.current_dir(&folder).arg(script).args(words).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = node.output().context("cannot run node: cargo xtask test installs it")?;
    ensure!(output.status.success(), "{script} failed ({})", output.status);
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().context("it printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("{script} printed no figures: {line}"))
}

fn number(found: &Map<String, Value>, figure: &str) -> anyhow::Result<f64> {
    found.get(figure).and_then(Value::as_f64).with_context(|| format!("{figure} was not measured"))
}
